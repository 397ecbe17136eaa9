//! The rules of a consume queue, one by one, over the real disk with files of ten units.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::disk::memory::{Fault, Operation};
use crate::disk::{Disk, MemoryDisk, OpenMode, RealDisk};
use crate::error::StoreError;
use crate::position::{PhysicalOffset, QueueOffset};

pub(super) const FILE_BYTES: u64 = 10 * UNIT_BYTES;

pub(super) struct Store {
    directory: TempDir,
    pub(super) disk: Arc<dyn Disk>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            disk: Arc::new(RealDisk),
        }
    }

    pub(super) fn root(&self) -> &Path {
        self.directory.path()
    }

    fn try_open(&self, opening: Opening) -> crate::Result<(ConsumeQueue, Cut)> {
        let place = QueuePlace {
            root: self.root(),
            topic: "topic",
            queue_id: 3,
        };
        ConsumeQueue::open(&self.disk, place, FILE_BYTES, opening)
    }

    pub(super) fn open(&self, opening: Opening) -> ConsumeQueue {
        self.try_open(opening).unwrap().0
    }

    pub(super) fn filled(&self, count: u64) -> ConsumeQueue {
        let mut queue = self.open(Opening::Clean);
        queue.append(QueueOffset(0), &units(0..count), None).unwrap();
        queue.write_newest().unwrap();
        queue
    }

    pub(super) fn file(&self, first_byte: u64) -> std::path::PathBuf {
        self.root().join(format!("consumequeue/topic/3/{first_byte:020}"))
    }

    fn names(&self) -> Vec<String> {
        let entries = self.disk.list(&self.root().join("consumequeue/topic/3")).unwrap();
        entries
            .into_iter()
            .map(|entry| entry.name.trim_start_matches('0').to_owned())
            .collect()
    }
}

/// The unit at a queue offset: records are 100 bytes long and begin at 100.
pub(super) fn unit(queue_offset: u64) -> Unit {
    Unit {
        physical_offset: PhysicalOffset(100 + queue_offset * 100),
        size: 100,
        tags_code: -(queue_offset as i64),
    }
}

pub(super) fn units(range: std::ops::Range<u64>) -> Vec<Unit> {
    range.map(unit).collect()
}

/// All that a reader gets from `first` on, file by file.
pub(super) fn read_from(view: &QueueView, first: u64) -> Vec<(u64, Unit)> {
    let mut all = Vec::new();
    let mut next = QueueOffset(first);
    loop {
        let run = view.read(next, usize::MAX).unwrap();
        let before = all.len();
        all.extend(run.map(|(queue_offset, unit)| (queue_offset.0, unit)));
        if all.len() == before {
            return all;
        }
        next = next.advanced((all.len() - before) as u64);
    }
}

pub(super) fn expected(range: std::ops::Range<u64>) -> Vec<(u64, Unit)> {
    range.map(|queue_offset| (queue_offset, unit(queue_offset))).collect()
}

#[test]
fn units_are_read_across_files_in_runs_that_end_with_a_file() {
    let store = Store::new();
    let view = store.filled(25).view();
    assert_eq!(view.max_offset(), QueueOffset(25));
    assert_eq!(read_from(&view, 0), expected(0..25));
    assert_eq!(view.read(QueueOffset(7), 100).unwrap().count(), 3);
    assert_eq!(view.read(QueueOffset(10), 4).unwrap().count(), 4);
    assert_eq!(view.unit(QueueOffset(24)).unwrap(), Some(unit(24)));
    for outside in [25, 26, 30, u64::MAX] {
        assert_eq!(view.unit(QueueOffset(outside)).unwrap(), None);
    }
    assert_eq!(store.names(), ["", "200", "400"]);
}

#[test]
fn an_unused_queue_has_no_files_and_files_have_their_full_length_at_once() {
    let store = Store::new();
    let mut queue = store.open(Opening::Clean);
    assert!(store.names().is_empty() && !queue.is_dirty());
    queue.append(QueueOffset(0), &units(0..1), None).unwrap();
    assert_eq!(
        store
            .disk
            .open(&store.file(0), OpenMode::Read)
            .unwrap()
            .length()
            .unwrap(),
        FILE_BYTES
    );
}

#[test]
fn what_is_there_already_is_skipped_and_a_gap_is_refused() {
    let store = Store::new();
    let mut queue = store.filled(5);
    assert_eq!(
        queue.append(QueueOffset(2), &units(2..5), None).unwrap(),
        Appended { written: 0, skipped: 3 }
    );
    assert_eq!(
        queue.append(QueueOffset(3), &units(3..12), None).unwrap(),
        Appended { written: 7, skipped: 2 }
    );
    let refused = queue.append(QueueOffset(13), &units(13..14), None).unwrap_err();
    assert!(matches!(
        refused,
        AppendError::Gap {
            expected: QueueOffset(12),
            found: QueueOffset(13)
        }
    ));
    assert_eq!(read_from(&queue.view(), 0), expected(0..12));
    assert_eq!(queue.end_physical(), unit(12).physical_offset);
}

#[test]
fn a_clean_open_finds_the_end_wherever_it_lies() {
    for count in [0, 1, 9, 10, 11, 20, 29] {
        let store = Store::new();
        drop(store.filled(count));
        let (queue, cut) = store.try_open(Opening::Clean).unwrap();
        assert_eq!((queue.end(), cut), (QueueOffset(count), Cut::default()));
        assert_eq!(queue.synced(), (queue.end(), queue.end_physical()));
        assert_eq!(read_from(&queue.view(), 0), expected(0..count));
    }
}

#[test]
fn after_a_crash_only_units_below_the_confirmed_position_stay() {
    for (limit, kept) in [
        (0, 0),
        (100, 0),
        (101, 1),
        (1100, 10),
        (1150, 11),
        (2100, 20),
        (9000, 25),
    ] {
        let store = Store::new();
        drop(store.filled(25));
        let (mut queue, cut) = store.try_open(Opening::AfterCrash(PhysicalOffset(limit))).unwrap();
        assert_eq!(queue.end(), QueueOffset(kept));
        let last_file = kept.saturating_sub(1) / 10 * 10;
        assert_eq!(
            cut,
            Cut {
                units: (last_file + 10).min(25) - kept,
                files: 2 - (last_file / 10) as usize
            }
        );
        queue.append(QueueOffset(0), &units(0..25), None).unwrap();
        assert_eq!(read_from(&queue.view(), 0), expected(0..25));
    }
}

#[test]
fn units_behind_a_lost_page_do_not_come_back_to_life() {
    let store = Store::new();
    drop(store.filled(9));
    let file = store.disk.open(&store.file(0), OpenMode::Write).unwrap();
    file.write_at(&[std::io::IoSlice::new(&[0; 40])], 5 * UNIT_BYTES)
        .unwrap();
    let (mut queue, cut) = store.try_open(Opening::AfterCrash(unit(4).physical_offset)).unwrap();
    assert_eq!((queue.end(), cut.units), (QueueOffset(4), 3));
    queue.append(QueueOffset(4), &units(4..7), None).unwrap();
    queue.sync().unwrap();
    drop(queue);
    assert_eq!(store.open(Opening::Clean).end(), QueueOffset(7));
}

#[test]
fn a_cut_to_nothing_keeps_the_number_that_comes_next() {
    let store = Store::new();
    let mut queue = store.filled(25);
    queue.delete_before(unit(10).physical_offset).unwrap();
    drop(queue);
    let queue = store.open(Opening::AfterCrash(unit(2).physical_offset));
    assert_eq!(
        (queue.end(), queue.view().min_offset()),
        (QueueOffset(10), QueueOffset(10))
    );
    assert_eq!(store.names(), ["200"]);
}

#[test]
fn truncation_needs_that_nobody_reads() {
    let store = Store::new();
    let mut queue = store.filled(25);
    let view = queue.view();
    assert!(matches!(
        queue.truncate_to(PhysicalOffset(500)),
        Err(StoreError::Unsupported { .. })
    ));
    drop(view);
    assert_eq!(
        queue.truncate_to(PhysicalOffset(500)).unwrap(),
        Cut { units: 6, files: 2 }
    );
    assert_eq!(queue.truncate_to(PhysicalOffset(500)).unwrap(), Cut::default());
    assert_eq!(read_from(&queue.view(), 0), expected(0..4));
}

#[test]
fn a_queue_that_begins_in_the_middle_is_filled_as_java_fills_it() {
    let store = Store::new();
    let mut queue = store.filled(3);
    let old = queue.view().read(QueueOffset(0), 3).unwrap();
    queue.restart(QueueOffset(17), &units(17..22), None).unwrap();
    assert_eq!(store.names(), ["200", "400"]);
    assert_eq!(queue.view().min_offset(), QueueOffset(17));
    assert_eq!(read_from(&queue.view(), 17), expected(17..22));
    assert_eq!(old.count(), 3, "a reader of the removed file goes on");
    let filler = &store.disk.read_whole(&store.file(200), FILE_BYTES).unwrap()[..140];
    assert_eq!(
        filler,
        [0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0].repeat(7)
    );
    queue.sync().unwrap();
    drop(queue);

    let mut queue = store.open(Opening::Clean);
    assert_eq!(queue.end(), QueueOffset(22));
    assert_eq!(queue.correct_min(PhysicalOffset(0)).unwrap(), QueueOffset(17));
    drop(queue);
    let mut queue = store.open(Opening::AfterCrash(unit(17).physical_offset));
    assert_eq!(queue.end(), QueueOffset(17));
    queue.append(QueueOffset(17), &units(17..18), None).unwrap();
    assert_eq!(read_from(&queue.view(), 17), expected(17..18));
}

#[test]
fn retention_takes_whole_files_but_never_the_newest() {
    let store = Store::new();
    let mut queue = store.filled(30);
    let view = queue.view();
    let old = view.read(QueueOffset(0), 10).unwrap();
    assert_eq!(queue.delete_before(unit(14).physical_offset).unwrap(), 1);
    assert_eq!((view.min_offset(), store.names().len()), (QueueOffset(14), 2));
    assert_eq!(view.unit(QueueOffset(9)).unwrap(), None);
    assert_eq!(old.map(|(_, unit)| unit).collect::<Vec<_>>(), units(0..10));
    assert_eq!(queue.delete_before(PhysicalOffset(1_000_000)).unwrap(), 1);
    assert_eq!(
        (view.min_offset(), view.max_offset()),
        (QueueOffset(30), QueueOffset(30))
    );
    queue.append(QueueOffset(30), &units(30..31), None).unwrap();
    assert_eq!(view.unit(QueueOffset(30)).unwrap(), Some(unit(30)));
    assert_eq!(store.names(), ["400", "600"]);
}

#[test]
fn a_file_removed_behind_the_back_of_a_reader_reads_as_nothing() {
    let store = Store::new();
    let view = store.filled(5).view();
    store.disk.remove_file(&store.file(0)).unwrap();
    assert_eq!(view.unit(QueueOffset(1)).unwrap(), None);
}

#[test]
fn a_sync_speaks_for_what_was_there_when_it_was_asked_for() {
    let store = Store::new();
    let mut queue = store.filled(8);
    let sync = queue.dirty().unwrap().unwrap();
    queue.append(QueueOffset(8), &units(8..12), None).unwrap();
    let synced = sync.run().unwrap();
    queue.confirm(synced);
    assert_eq!(
        queue.synced(),
        (QueueOffset(10), unit(10).physical_offset),
        "the roll has synced the first file"
    );
    assert!(queue.is_dirty());
    queue.sync().unwrap();
    assert_eq!(queue.synced(), (QueueOffset(12), unit(12).physical_offset));
    assert!(!queue.is_dirty());
}

#[test]
fn a_sync_from_before_a_cut_confirms_nothing() {
    let store = Store::new();
    let mut queue = store.filled(8);
    let late = queue.dirty().unwrap().unwrap().run().unwrap();
    queue.truncate_to(unit(2).physical_offset).unwrap();
    queue.append(QueueOffset(2), &units(2..6), None).unwrap();
    queue.confirm(late);
    assert_eq!(queue.synced().0, QueueOffset(2));
    assert!(queue.is_dirty());
}

#[test]
fn a_reattached_queue_syncs_what_was_not_confirmed() {
    let store = Store::new();
    let readers = store.filled(25).view();
    let mut queue = store.open(Opening::Again(unit(7).physical_offset));
    assert_eq!((queue.end(), queue.synced().0), (QueueOffset(25), QueueOffset(7)));
    queue.sync().unwrap();
    assert_eq!(queue.synced(), (QueueOffset(25), unit(25).physical_offset));
    assert_eq!(read_from(&readers, 0), expected(0..25));
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    let store = Store::new();
    drop(store.filled(25));
    store
        .disk
        .open(&store.file(200), OpenMode::Write)
        .unwrap()
        .set_length(180)
        .unwrap();
    assert!(matches!(
        store.try_open(Opening::Clean),
        Err(StoreError::SizeMismatch {
            found: 180,
            configured: 200,
            ..
        })
    ));
    store.disk.remove_file(&store.file(200)).unwrap();
    assert!(matches!(
        store.try_open(Opening::AfterCrash(PhysicalOffset(0))),
        Err(StoreError::Damaged { .. })
    ));
}

#[test]
fn a_newest_file_that_never_got_its_length_is_removed() {
    let store = Store::new();
    drop(store.filled(10));
    store.disk.open(&store.file(200), OpenMode::CreateNew).unwrap();
    let (queue, cut) = store.try_open(Opening::AfterCrash(PhysicalOffset(9999))).unwrap();
    assert_eq!((queue.end(), cut), (QueueOffset(10), Cut { units: 0, files: 1 }));
    assert_eq!(store.names(), [""]);
}

#[test]
fn files_of_another_length_are_used_as_they_are() {
    let store = Store::new();
    drop(store.filled(25));
    let place = QueuePlace {
        root: store.root(),
        topic: "topic",
        queue_id: 3,
    };
    let (mut queue, _) = ConsumeQueue::open(&store.disk, place, DEFAULT_FILE_BYTES, Opening::Clean).unwrap();
    queue.append(QueueOffset(25), &units(25..41), None).unwrap();
    assert_eq!(read_from(&queue.view(), 0), expected(0..41));
    assert_eq!(
        discover(&*store.disk, store.root(), Opening::Clean).unwrap().file_bytes,
        Some(FILE_BYTES)
    );
}

#[test]
fn a_topic_never_leads_out_of_its_directory() {
    let store = Store::new();
    let long = "t".repeat(256);
    for topic in ["", ".", "..", "a/b", "/etc", "a\0", &long] {
        let place = QueuePlace {
            root: store.root(),
            topic,
            queue_id: 0,
        };
        assert!(
            ConsumeQueue::open(&store.disk, place, FILE_BYTES, Opening::Clean).is_err(),
            "{topic:?}"
        );
    }
    assert!(QueuePlace::is_possible(&long[1..]));
}

#[test]
fn queues_are_discovered_and_odd_names_reported() {
    let store = Store::new();
    drop(store.filled(1));
    let topics = store.root().join("consumequeue");
    for directory in ["%RETRY%group/0", "topic/11", "topic/03", "topic/x"] {
        store.disk.create_directory(&topics.join(directory)).unwrap();
    }
    store.disk.open(&topics.join("file"), OpenMode::CreateNew).unwrap();
    let discovery = discover(&*store.disk, store.root(), Opening::Clean).unwrap();
    let queues: Vec<_> = discovery
        .queues
        .iter()
        .map(|found| (found.topic.as_str(), found.queue_id))
        .collect();
    assert_eq!(queues, [("%RETRY%group", 0), ("topic", 3), ("topic", 11)]);
    assert_eq!(
        discovery.odd,
        [topics.join("file"), topics.join("topic/03"), topics.join("topic/x")]
    );
    let empty = discover(&*store.disk, &store.root().join("absent"), Opening::Clean).unwrap();
    assert!(empty.queues.is_empty() && empty.file_bytes.is_none());
}

#[test]
fn a_file_whose_name_is_no_multiple_of_a_unit_is_left_alone() {
    let store = Store::new();
    drop(store.filled(15));
    let stray = store.disk.open(&store.file(407), OpenMode::CreateNew).unwrap();
    for length in [0, 7, FILE_BYTES] {
        stray.set_length(length).unwrap();
        for opening in [Opening::Clean, Opening::AfterCrash(PhysicalOffset(u64::MAX))] {
            assert_eq!(store.open(opening).end(), QueueOffset(15), "{opening:?}");
            let found = discover(&*store.disk, store.root(), opening).unwrap();
            assert_eq!(found.file_bytes, Some(FILE_BYTES));
        }
    }
    assert_eq!(store.names().last().map(String::as_str), Some("407"));
}

#[test]
fn an_idle_queue_is_small() {
    let store = Store::new();
    let mut queue = store.filled(25);
    queue.view().unit(QueueOffset(0)).unwrap();
    queue.sync().unwrap();
    queue.release().unwrap();
    assert_eq!(queue.view().mapped(), 0);
    let files = 3 * (size_of::<usize>() * 6);
    let path = store.file(0).as_os_str().len();
    assert!(size_of::<ConsumeQueue>() + size_of::<QueueView>() + files + path < 768);
    assert_eq!(read_from(&queue.view(), 0), expected(0..25));
    queue.append(QueueOffset(25), &units(25..26), None).unwrap();
}

#[test]
fn units_read_from_the_disk_are_those_of_the_mapping_and_need_none() {
    let store = Store::new();
    let view = store.filled(25).view();
    view.unmap();
    let copied = |first, most| view.copy(QueueOffset(first), most).unwrap();
    assert_eq!(copied(7, 100), units(7..10), "they end with the file");
    assert_eq!(copied(10, 4), units(10..14));
    assert_eq!(copied(24, 1), units(24..25));
    assert_eq!(copied(25, 1), []);
    assert_eq!(view.mapped(), 0);
}

#[test]
fn a_full_disk_fails_the_append_and_the_next_one_goes_on() {
    for operation in [
        Operation::Write,
        Operation::Allocate,
        Operation::SetLength,
        Operation::Create,
    ] {
        let memory = MemoryDisk::new(1);
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let place = QueuePlace {
            root: Path::new("/store"),
            topic: "topic",
            queue_id: 3,
        };
        let (mut queue, _) = ConsumeQueue::open(&disk, place, FILE_BYTES, Opening::Clean).unwrap();
        queue.append(QueueOffset(0), &units(0..10), None).unwrap();
        memory.inject(
            Fault::new(operation)
                .times(1)
                .kind(std::io::ErrorKind::StorageFull)
                .partial(7),
        );
        assert!(matches!(
            queue.append(QueueOffset(10), &units(10..15), None),
            Err(AppendError::Store(_))
        ));
        assert_eq!(read_from(&queue.view(), 0), expected(0..10));
        queue.append(QueueOffset(10), &units(10..15), None).unwrap();
        assert_eq!(read_from(&queue.view(), 0), expected(0..15));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the reader is to run beside the writer")]
fn a_reader_beside_the_writer_sees_whole_units_up_to_the_maximum() {
    let store = Store::new();
    let mut queue = store.open(Opening::Clean);
    let view = queue.view();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 0;
            while next < 2000 {
                let run = view.read(QueueOffset(next), usize::MAX).unwrap();
                next = next.max(view.min_offset().0);
                for (queue_offset, found) in run {
                    assert_eq!(found, unit(queue_offset.0));
                    next = queue_offset.0 + 1;
                }
            }
        });
        for first in (0..2000).step_by(5) {
            queue
                .append(QueueOffset(first), &units(first..first + 5), None)
                .unwrap();
            if first % 200 == 0 {
                queue
                    .delete_before(unit(first.saturating_sub(100)).physical_offset)
                    .unwrap();
                queue.view().unmap();
            }
        }
    });
}
