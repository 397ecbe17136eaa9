//! The rules of an extension, one by one: queue files of ten entries, extension files of three units.

use std::path::Path;
use std::sync::Arc;

use super::unit::ExtensionUnit;
use super::*;
use crate::consume_queue::{ConsumeQueue, Opening, QueuePlace, QueueView, UNIT_BYTES, Unit};
use crate::disk::memory::{Fault, Operation};
use crate::disk::{Disk, DiskFile, MemoryDisk, OpenMode};
use crate::error::StoreError;
use crate::position::{PhysicalOffset, QueueOffset};

const QUEUE_FILE_BYTES: u64 = 10 * UNIT_BYTES;
const FILE_BYTES: u64 = 70;

struct Store {
    memory: MemoryDisk,
    disk: Arc<dyn Disk>,
}

impl Store {
    fn new() -> Self {
        let memory = MemoryDisk::new(1);
        Self {
            disk: Arc::new(memory.clone()),
            memory,
        }
    }

    /// The queue without an extension to write to.
    fn plain(&self, opening: Opening) -> ConsumeQueue {
        let place = QueuePlace {
            root: Path::new("/store"),
            topic: "topic",
            queue_id: 3,
        };
        ConsumeQueue::open(&self.disk, place, QUEUE_FILE_BYTES, opening)
            .unwrap()
            .0
    }

    fn extended(&self, opening: Opening) -> ConsumeQueue {
        let mut queue = self.plain(opening);
        queue.open_extension(FILE_BYTES, opening).unwrap();
        queue
    }

    fn filled(&self, count: u64) -> ConsumeQueue {
        let mut queue = self.extended(Opening::Clean);
        feed(&mut queue, 0..count);
        queue
    }

    fn directory(&self) -> &'static Path {
        Path::new("/store/consumequeue_ext/topic/3")
    }

    fn file(&self, start: u64) -> Arc<dyn DiskFile> {
        let path = self.directory().join(format!("{start:020}"));
        self.disk.open(&path, OpenMode::Write).unwrap()
    }

    fn bytes(&self, start: u64) -> Vec<u8> {
        let mut bytes = vec![0; 100];
        let read = self.file(start).read_at(&mut bytes, 0).unwrap();
        bytes.truncate(read);
        bytes
    }

    fn starts(&self) -> Vec<u64> {
        let entries = self.disk.list(self.directory()).unwrap();
        entries.into_iter().map(|entry| entry.name.parse().unwrap()).collect()
    }
}

/// What is fed at a queue offset: records of 100 bytes.
fn entry(queue_offset: u64) -> Unit {
    Unit {
        physical_offset: PhysicalOffset(queue_offset * 100),
        size: 100,
        tags_code: 7 - (queue_offset as i64),
    }
}

fn feed(queue: &mut ConsumeQueue, range: std::ops::Range<u64>) {
    let entries: Vec<Unit> = range.clone().map(entry).collect();
    let mut stored = StoreTimes::default();
    for entry in &entries {
        stored.note(entry.physical_offset, 1000 + entry.physical_offset.0.cast_signed());
    }
    queue.append(QueueOffset(range.start), &entries, Some(&stored)).unwrap();
    queue.write_newest().unwrap();
}

/// The places of the units of these entries; −1 where the entry holds its tags code itself.
fn places(view: &QueueView, range: std::ops::Range<u64>) -> Vec<i64> {
    let place = |at| place_of(view.unit(QueueOffset(at)).unwrap().unwrap().tags_code);
    range.map(|at| place(at).map_or(-1, u64::cast_signed)).collect()
}

fn tags(view: &QueueView, range: std::ops::Range<u64>) -> Vec<Option<i64>> {
    let mut tags = view.tags();
    let code = |at| tags.code(view.unit(QueueOffset(at)).unwrap().unwrap());
    range.map(code).collect()
}

fn expected(range: std::ops::Range<u64>) -> Vec<Option<i64>> {
    range.map(|at| Some(entry(at).tags_code)).collect()
}

#[test]
fn units_go_one_behind_the_other_and_never_across_a_file() {
    let store = Store::new();
    let view = store.filled(7).view();
    assert_eq!(store.starts(), [0, 70, 140]);
    assert_eq!(places(&view, 0..7), [0, 20, 40, 70, 90, 110, 140]);
    assert_eq!(tags(&view, 0..7), expected(0..7));
    let first = store.bytes(0);
    assert_eq!(first.len(), 70);
    assert_eq!(first[20..40], ExtensionUnit::new(6, 1100).encode());
    assert_eq!(first[60..], [0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(store.bytes(140)[20..], [0; 50]);
}

#[test]
fn without_an_extension_to_write_to_entries_hold_their_tags_and_addresses_still_lead_to_theirs() {
    let store = Store::new();
    let mut queue = store.plain(Opening::Clean);
    feed(&mut queue, 0..2);
    assert_eq!(store.starts(), [0; 0]);
    drop(queue);
    let mut queue = store.extended(Opening::Clean);
    feed(&mut queue, 2..4);
    drop(queue);
    let mut queue = store.plain(Opening::Clean);
    feed(&mut queue, 4..6);
    drop(queue);
    let mut queue = store.extended(Opening::Clean);
    feed(&mut queue, 6..9);
    assert_eq!(places(&queue.view(), 0..9), [-1, -1, 0, 20, -1, -1, 40, 70, 90]);
    assert_eq!(tags(&queue.view(), 0..9), expected(0..9));
}

#[test]
fn a_unit_that_is_missing_or_damaged_tells_nothing_and_the_others_theirs() {
    let store = Store::new();
    let view = store.filled(9).view();
    store
        .file(0)
        .write_at(&[std::io::IoSlice::new(&[0xFF, 0xEE])], 20)
        .unwrap();
    store.file(140).set_length(30).unwrap();
    store
        .disk
        .remove_file(&store.directory().join(format!("{:020}", 70)))
        .unwrap();
    let found = tags(&view, 0..9);
    let none = [false, true, false, true, true, true, false, true, true];
    assert_eq!(
        none.map(|none| !none),
        found.iter().map(Option::is_some).collect::<Vec<_>>()[..]
    );
    assert_eq!((found[2], found[6]), (expected(2..3)[0], expected(6..7)[0]));
}

#[test]
fn an_address_that_no_file_can_have_tells_nothing() {
    let store = Store::new();
    let view = store.filled(1).view();
    for tags_code in [
        ADDRESS_MAX,
        address_of(1),
        address_of(50),
        address_of(69),
        address_of(70),
    ] {
        assert_eq!(view.tags().code(Unit { tags_code, ..entry(0) }), None, "{tags_code}");
    }
}

#[test]
fn a_bad_sector_tells_nothing_and_fails_nobody() {
    let store = Store::new();
    let view = store.filled(2).view();
    let entries = [0, 1].map(|at| view.unit(QueueOffset(at)).unwrap().unwrap());
    store.memory.inject(Fault::new(Operation::Read).times(1));
    let mut tags = view.tags();
    assert_eq!(entries.map(|entry| tags.code(entry)), [None, Some(6)]);
}

#[test]
fn it_goes_on_behind_the_last_address_and_drops_what_no_entry_leads_to() {
    for opening in [
        Opening::Clean,
        Opening::Again(PhysicalOffset(0)),
        Opening::AfterCrash(PhysicalOffset(9999)),
    ] {
        let store = Store::new();
        drop(store.filled(4));
        // As a writer leaves it that ends between a unit and its entry.
        let stray = ExtensionUnit::new(5, 5).encode();
        store.file(70).write_at(&[std::io::IoSlice::new(&stray)], 20).unwrap();
        let later = store
            .disk
            .open(&store.directory().join(format!("{:020}", 140)), OpenMode::Create)
            .unwrap();
        later.set_length(FILE_BYTES).unwrap();
        let mut queue = store.extended(opening);
        assert_eq!(store.starts(), [0, 70], "{opening:?}");
        assert_eq!(store.bytes(70)[20..], [0; 50], "{opening:?}");
        feed(&mut queue, 4..6);
        assert_eq!(places(&queue.view(), 3..6), [70, 90, 110], "{opening:?}");
        assert_eq!(tags(&queue.view(), 0..6), expected(0..6), "{opening:?}");
    }
}

#[test]
fn a_queue_that_is_cut_cuts_its_extension() {
    let store = Store::new();
    let mut queue = store.filled(8);
    queue.truncate_to(PhysicalOffset(200)).unwrap();
    assert_eq!(store.starts(), [0]);
    assert_eq!(store.bytes(0)[40..], [0; 30]);
    feed(&mut queue, 2..4);
    assert_eq!(places(&queue.view(), 0..4), [0, 20, 40, 70]);
}

#[test]
fn a_queue_that_begins_anew_begins_its_extension_anew() {
    let store = Store::new();
    let mut queue = store.filled(8);
    queue
        .restart(QueueOffset(17), &[entry(17)], Some(&StoreTimes::default()))
        .unwrap();
    assert_eq!(store.starts(), [0]);
    assert_eq!(places(&queue.view(), 17..18), [0]);
    assert_eq!(tags(&queue.view(), 17..18), expected(17..18));
    drop(queue);
    let mut queue = store.extended(Opening::Clean);
    feed(&mut queue, 18..19);
    assert_eq!(places(&queue.view(), 17..19), [0, 20]);
}

#[test]
fn a_queue_whose_last_unit_is_lost_never_gives_an_address_twice() {
    let store = Store::new();
    drop(store.filled(4));
    store.file(70).write_at(&[std::io::IoSlice::new(&[0; 20])], 0).unwrap();
    let mut queue = store.extended(Opening::Clean);
    feed(&mut queue, 4..6);
    assert_eq!(places(&queue.view(), 3..6), [70, -1, -1]);
    let lost: Vec<_> = [expected(0..3), vec![None], expected(4..6)].concat();
    assert_eq!(tags(&queue.view(), 0..6), lost);
}

#[test]
fn an_address_is_found_however_far_back_it_is() {
    let store = Store::new();
    drop(store.filled(4));
    let mut queue = store.plain(Opening::Clean);
    feed(&mut queue, 4..45);
    drop(queue);
    let mut queue = store.extended(Opening::Clean);
    feed(&mut queue, 45..46);
    assert_eq!(places(&queue.view(), 45..46), [90]);
    assert_eq!(tags(&queue.view(), 0..46), expected(0..46));
}

#[test]
fn files_of_another_length_are_refused_with_the_key_and_nothing_changes() {
    let store = Store::new();
    drop(store.filled(4));
    let mut queue = store.plain(Opening::Clean);
    let refused = queue.open_extension(700, Opening::Clean).unwrap_err();
    let StoreError::SizeMismatch {
        found: 70,
        configured: 700,
        key,
        ..
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!(key, "mappedFileSizeConsumeQueueExt");
    assert_eq!(store.starts(), [0, 70]);
    assert_eq!(tags(&queue.view(), 0..4), expected(0..4));
}

#[test]
fn files_go_that_no_entry_leads_to_any_more() {
    let store = Store::new();
    let mut queue = store.filled(11);
    queue.delete_before(PhysicalOffset(500)).unwrap();
    assert_eq!(store.starts(), [70, 140, 210]);
    queue.delete_before(PhysicalOffset(600)).unwrap();
    assert_eq!(store.starts(), [140, 210]);
    assert_eq!(tags(&queue.view(), 6..11), expected(6..11));
    queue.delete_before(PhysicalOffset(99_999)).unwrap();
    assert!(store.starts().contains(&210));
    feed(&mut queue, 11..12);
    assert_eq!(tags(&queue.view(), 11..12), expected(11..12));
}

#[test]
fn what_a_full_disk_did_not_take_is_written_again_at_the_same_place() {
    let store = Store::new();
    let mut queue = store.filled(2);
    let fault = Fault::new(Operation::Write)
        .on("consumequeue/")
        .kind(std::io::ErrorKind::StorageFull);
    store.memory.inject(fault.times(1));
    let entries = [2, 3, 4].map(entry);
    let refused = queue.append(QueueOffset(2), &entries, Some(&StoreTimes::default()));
    assert!(refused.is_err(), "{refused:?}");
    feed(&mut queue, 2..5);
    assert_eq!(places(&queue.view(), 0..5), [0, 20, 40, 70, 90]);
    assert_eq!(tags(&queue.view(), 0..5), expected(0..5));
}

#[test]
fn an_extension_is_durable_before_its_queue() {
    let store = Store::new();
    let mut queue = store.filled(5);
    store
        .memory
        .inject(Fault::new(Operation::SyncData).on("consumequeue/").times(1));
    queue.sync().unwrap_err();
    for start in [0, 70] {
        let path = store.directory().join(format!("{start:020}"));
        assert_eq!(store.memory.durable(&path), Some(store.bytes(start)), "{start}");
    }
}

/// Feeds ten entries of which every third has a bitmap, each of another length.
fn feed_marked(queue: &mut ConsumeQueue, lengths: [usize; 4]) {
    let entries: Vec<Unit> = (0..10).map(entry).collect();
    let mut stored = StoreTimes::default();
    stored.note(PhysicalOffset(0), 5);
    for (entry, length) in entries.iter().step_by(3).zip(lengths) {
        stored.mark(entry.physical_offset, vec![length as u8; length].into());
    }
    queue.append(QueueOffset(0), &entries, Some(&stored)).unwrap();
    queue.write_newest().unwrap();
}

#[test]
fn a_bitmap_is_told_for_its_entry_and_goes_on_with_the_tags() {
    let store = Store::new();
    let mut queue = store.extended(Opening::Clean);
    feed_marked(&mut queue, [14, 1, 46, 47]);
    let view = queue.view();
    assert_eq!(tags(&view, 0..10), expected(0..10));
    let mut told = view.tags();
    let marks: Vec<_> = (0..10)
        .map(|at| {
            told.marks(view.unit(QueueOffset(at)).unwrap().unwrap())
                .map(|(ms, bits)| (ms, bits.to_vec()))
        })
        .collect();
    let marked = |length: u8| Some((5, vec![length; length.into()]));
    let none = || None;
    assert_eq!(
        marks,
        [
            marked(14),
            none(),
            none(),
            marked(1),
            none(),
            none(),
            marked(46),
            none(),
            none(),
            none()
        ],
        "what no file of 70 bytes can hold is left out"
    );
    assert_eq!(places(&view, 0..10), [0, 34, 70, 90, 111, 140, 210, 280, 300, 320]);
    drop(queue);
    let again = store.extended(Opening::Clean);
    assert_eq!(tags(&again.view(), 0..10), expected(0..10));
    let plain = entry(3);
    assert_eq!(again.view().tags().marks(plain), None, "an entry without a unit");
}

#[test]
fn all_that_an_extension_holds_of_an_entry_is_told_or_that_it_is_missing() {
    let store = Store::new();
    let mut queue = store.extended(Opening::Clean);
    feed_marked(&mut queue, [14, 1, 46, 47]);
    let view = queue.view();
    let lost = store.directory().join(format!("{:020}", 210));
    store.disk.remove_file(&lost).unwrap();
    let mut told = view.tags();
    let mut of = |at: u64| told.extension(view.unit(QueueOffset(at)).unwrap().unwrap()).unwrap();
    let unit = |at: u64, stored_ms, length: u8| Extension::Unit {
        tags_code: entry(at).tags_code,
        stored_ms,
        bitmap: vec![length; length.into()],
    };
    assert_eq!(of(0), unit(0, 5, 14));
    assert_eq!(of(6), Extension::Missing);
    assert_eq!(of(3), unit(3, 5, 1));
    assert_eq!(of(1), unit(1, 5, 0));
    assert_eq!(view.tags().extension(entry(3)).unwrap(), Extension::None);
    let first = view.unit(QueueOffset(0)).unwrap().unwrap();
    store.memory.inject(Fault::new(Operation::Read).times(1));
    assert!(view.tags().extension(first).is_err());
}
