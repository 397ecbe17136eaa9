//! The rules of the index, one by one, over the real disk with files of four slots and five entries.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::disk::memory::{Fault, Operation, Survival};
use crate::disk::{Disk, MemoryDisk, OpenMode, RealDisk};

struct Store {
    directory: TempDir,
    disk: Arc<dyn Disk>,
}

fn layout() -> Layout {
    Layout::new(4, 6).unwrap()
}

impl Store {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            disk: Arc::new(RealDisk),
        }
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn open(&self, opening: Opening) -> (Index, Cut) {
        Index::open(&self.disk, self.root(), layout(), opening).unwrap()
    }

    fn paths(&self) -> Vec<PathBuf> {
        let entries = self.disk.list(&self.root().join("index")).unwrap();
        entries
            .into_iter()
            .map(|entry| self.root().join("index").join(entry.name))
            .collect()
    }

    fn read(&self, path: &Path) -> Vec<u8> {
        self.disk.read_whole(path, 1000).unwrap()
    }
}

/// A key of the record at `physical`, which is stored `physical` seconds after a billion.
fn key(hash: i32, physical: u64) -> IndexKey {
    let store_timestamp_ms = 1_000_000_000_000 + physical as i64 * 1000;
    IndexKey {
        hash,
        physical_offset: PhysicalOffset(physical),
        store_timestamp_ms,
    }
}

fn put(index: &mut Index, keys: &[IndexKey]) {
    let upto = keys
        .last()
        .map_or(PhysicalOffset(0), |key| key.physical_offset.advanced(1));
    index.put_batch(keys, upto).unwrap();
}

fn find_within(index: &mut Index, hash: i32, most: usize, begin_ms: i64, end_ms: i64) -> Vec<u64> {
    let answer = index
        .query(Question {
            hash,
            most,
            begin_ms,
            end_ms,
        })
        .unwrap();
    answer
        .physical_offsets
        .into_iter()
        .map(|physical_offset| physical_offset.0)
        .collect()
}

fn find(index: &mut Index, hash: i32) -> Vec<u64> {
    find_within(index, hash, 64, 0, i64::MAX)
}

#[test]
fn keys_are_found_before_and_after_a_flush_and_over_several_files() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    assert_eq!(find(&mut index, 1), []);
    put(&mut index, &[key(1, 10), key(5, 10), key(1, 20), key(9, 30)]);
    assert_eq!(find(&mut index, 1), [10, 20]);
    put(
        &mut index,
        &[
            key(1, 40),
            key(1, 50),
            key(2, 60),
            key(1, 70),
            key(5, 80),
            key(1, 90),
            key(1, 100),
        ],
    );
    assert_eq!(store.paths().len(), 3);
    for _ in 0..2 {
        assert_eq!(find(&mut index, 1), [10, 20, 40, 50, 70, 90, 100]);
        assert_eq!(
            (find(&mut index, 5), find(&mut index, 9), find(&mut index, 2)),
            (vec![10, 80], vec![30], vec![60])
        );
        assert_eq!(find(&mut index, 13), [], "another key of the same slot");
        index.flush().unwrap();
        index.release();
    }
    drop(index);
    let (mut index, cut) = store.open(Opening::Clean);
    assert_eq!(
        (find(&mut index, 1), cut),
        (vec![10, 20, 40, 50, 70, 90, 100], Cut::default())
    );
}

#[test]
fn the_newest_are_answered_in_the_order_of_the_log() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    let keys: Vec<_> = (1..=100).map(|physical| key(3, physical)).collect();
    put(&mut index, &keys);
    assert_eq!(find_within(&mut index, 3, 3, 0, i64::MAX), [98, 99, 100]);
    assert_eq!(
        find_within(&mut index, 3, 1000, 0, i64::MAX),
        (37..=100).collect::<Vec<_>>()
    );
    let at = |second: i64| 1_000_000_000_000 + second * 1000;
    assert_eq!(find_within(&mut index, 3, 64, at(40), at(45)), [40, 41, 42, 43, 44, 45]);
    assert_eq!(find_within(&mut index, 3, 2, at(40), at(45)), [44, 45]);
    assert_eq!(find_within(&mut index, 3, 64, at(101), i64::MAX), []);
    assert_eq!(find_within(&mut index, 3, 64, i64::MIN, at(0)), []);
    assert_eq!(find_within(&mut index, 3, 0, 0, i64::MAX), []);
    let answer = index
        .query(Question {
            hash: 0,
            most: 1,
            begin_ms: 0,
            end_ms: 0,
        })
        .unwrap();
    assert_eq!(
        (answer.last_update_ms, answer.last_update_physical),
        (at(100), PhysicalOffset(100))
    );
}

#[test]
fn records_fed_twice_are_put_in_once_and_a_record_with_some_keys_gets_the_others() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    let batch = [key(1, 10), key(2, 10), key(3, 20), key(4, 30), key(5, 30), key(6, 30)];
    put(&mut index, &batch);
    put(&mut index, &batch);
    index.flush().unwrap();
    let second = store.paths().pop().unwrap();
    drop(index);
    // The sixth key began a second file, which a crash has taken.
    store.disk.remove_file(&second).unwrap();
    let (mut index, _) = store.open(Opening::AfterCrash(PhysicalOffset(1000)));
    assert_eq!(find(&mut index, 6), []);
    put(&mut index, &batch);
    put(&mut index, &[key(6, 30), key(4, 30)]);
    for (hash, found) in [(1, 10), (2, 10), (3, 20), (4, 30), (5, 30), (6, 30)] {
        assert_eq!(find(&mut index, hash), [found], "{hash}");
    }
}

#[test]
fn nothing_is_confirmed_before_its_header_is_on_disk() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    put(&mut index, &[key(1, 10)]);
    let first = index.dirty().unwrap().unwrap().run().unwrap();
    put(&mut index, &[key(1, 20)]);
    let header = store.read(&store.paths()[0]);
    assert!(header.starts_with(&[0; 40]), "no header before the data is synced");
    let headers = index.confirm(first).unwrap().unwrap();
    let header = store.read(&store.paths()[0]);
    assert_eq!(
        (index.confirmed(), header[39]),
        (PhysicalOffset(0), 2),
        "the header claims what was synced"
    );
    assert!(index.confirm(headers.run().unwrap()).unwrap().is_none());
    assert_eq!(
        (index.confirmed(), index.confirmed_ms()),
        (PhysicalOffset(11), 1_000_000_010_000)
    );
    index.flush().unwrap();
    assert_eq!(
        (index.confirmed(), index.confirmed_ms()),
        (PhysicalOffset(21), 1_000_000_020_000)
    );
    assert!(index.dirty().unwrap().is_none());
    index.put_batch(&[], PhysicalOffset(99)).unwrap();
    assert_eq!(
        index.confirmed(),
        PhysicalOffset(99),
        "nothing to put in, nothing to sync"
    );
}

#[test]
fn overlapping_flushes_never_take_a_header_back() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    put(&mut index, &[key(1, 10)]);
    let first = index.dirty().unwrap().unwrap();
    put(&mut index, &[key(1, 20)]);
    let second = index.dirty().unwrap().unwrap();
    let second = index.confirm(second.run().unwrap()).unwrap().unwrap();
    let first = index.confirm(first.run().unwrap()).unwrap().unwrap();
    assert_eq!(store.read(&store.paths()[0])[39], 3);
    index.confirm(second.run().unwrap()).unwrap();
    index.confirm(first.run().unwrap()).unwrap();
    assert_eq!(index.confirmed(), PhysicalOffset(21));
    assert!(index.dirty().unwrap().is_none());
}

#[test]
fn after_a_crash_slots_follow_from_the_entries_that_the_header_claims() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    put(&mut index, &[key(1, 10), key(5, 20), key(1, 30)]);
    index.flush().unwrap();
    let durable = store.read(&store.paths()[0]);
    put(&mut index, &[key(1, 40), key(2, 50)]);
    index.flush().unwrap();
    // Entries and slots were written, the header was not.
    let path = store.paths().remove(0);
    let file = store.disk.open(&path, OpenMode::Write).unwrap();
    file.write_at(&[IoSlice::new(&durable[..40])], 0).unwrap();
    drop(index);
    let (mut index, _) = store.open(Opening::AfterCrash(PhysicalOffset(1000)));
    assert_eq!((find(&mut index, 1), find(&mut index, 2)), (vec![10, 30], vec![]));
    assert_eq!(index.newest(), Some(PhysicalOffset(30)));
    assert_eq!(store.read(&path), durable);
    put(&mut index, &[key(7, 60)]);
    assert_eq!((find(&mut index, 2), find(&mut index, 7)), (vec![], vec![60]));
}

#[test]
fn entries_of_records_that_the_log_lost_are_dropped() {
    for (limit, left, files) in [(1000, 8, 2), (80, 7, 2), (60, 5, 1), (11, 1, 1), (10, 0, 0), (0, 0, 0)] {
        let store = Store::new();
        let (mut index, _) = store.open(Opening::Clean);
        let keys: Vec<_> = (1..=8).map(|number| key(number % 3, number as u64 * 10)).collect();
        put(&mut index, &keys);
        index.flush().unwrap();
        drop(index);
        let (mut index, _) = store.open(Opening::AfterCrash(PhysicalOffset(limit)));
        assert_eq!(
            (store.paths().len(), index.newest().map_or(0, |newest| newest.0)),
            (files, left * 10),
            "{limit}"
        );
        // Other records take the places of the lost ones.
        put(
            &mut index,
            &keys
                .iter()
                .map(|key| IndexKey {
                    hash: key.hash + 3,
                    ..*key
                })
                .collect::<Vec<_>>(),
        );
        let old: usize = (0..3).map(|hash| find(&mut index, hash).len()).sum();
        let new: usize = (3..6).map(|hash| find(&mut index, hash).len()).sum();
        assert_eq!((old, new), (left as usize, 8 - left as usize), "{limit}");
    }
}

#[test]
fn files_behind_one_that_is_not_full_are_removed_after_a_crash() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    let keys: Vec<_> = (1..=12).map(|number| key(1, number * 10)).collect();
    put(&mut index, &keys);
    index.flush().unwrap();
    drop(index);
    let paths = store.paths();
    let file = store.disk.open(&paths[1], OpenMode::Write).unwrap();
    file.write_at(&[IoSlice::new(&[0; 40])], 0).unwrap();
    let (mut index, cut) = store.open(Opening::AfterCrash(PhysicalOffset(1000)));
    assert_eq!((index.newest(), cut.files), (Some(PhysicalOffset(50)), 2));
    put(&mut index, &keys);
    assert_eq!(
        find(&mut index, 1),
        (1..=12).map(|number| number * 10).collect::<Vec<_>>()
    );
}

#[test]
fn a_header_torn_upwards_claims_nothing_behind_the_limit() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    put(&mut index, &[key(1, 10), key(2, 20)]);
    index.flush().unwrap();
    put(&mut index, &[key(3, 30), key(4, 40)]);
    let path = store.paths().remove(0);
    let file = store.disk.open(&path, OpenMode::Write).unwrap();
    file.write_at(&[IoSlice::new(&[0, 0, 0, 5])], 36).unwrap();
    drop(index);
    let (mut index, cut) = store.open(Opening::AfterCrash(PhysicalOffset(30)));
    assert_eq!((index.newest(), cut.entries), (Some(PhysicalOffset(20)), 2));
    assert_eq!(find(&mut index, 3), []);
}

#[test]
fn a_header_whose_last_record_is_torn_downwards_loses_no_entry_before_the_limit() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    put(&mut index, &[key(1, 0x0356), key(2, 0x052A)]);
    index.flush().unwrap();
    drop(index);
    let path = store.paths().remove(0);
    let file = store.disk.open(&path, OpenMode::Write).unwrap();
    // A start that takes the second entry back dies while it writes the header: one byte of the offset is new.
    file.write_at(&[IoSlice::new(&[0x03, 0x2A])], 30).unwrap();
    let (mut index, cut) = store.open(Opening::AfterCrash(PhysicalOffset(0x0400)));
    assert_eq!((index.newest(), cut.entries), (Some(PhysicalOffset(0x0356)), 1));
    assert_eq!(find(&mut index, 1), [0x0356]);
}

#[test]
fn the_newest_record_of_the_files_that_a_checkpoint_knows_is_told() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    put(
        &mut index,
        &(1..=12).map(|number| key(1, number * 10)).collect::<Vec<_>>(),
    );
    for (index_ms, newest) in [
        (1_000_000_120_000, Some(120)),
        (1_000_000_119_999, Some(100)),
        (1_000_000_100_000, Some(100)),
        (1_000_000_099_999, Some(50)),
        (1_000_000_049_999, None),
        (0, None),
    ] {
        assert_eq!(index.newest_until(index_ms), newest.map(PhysicalOffset), "{index_ms}");
    }
}

#[test]
fn retention_takes_files_of_deleted_records_but_never_the_newest() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    put(
        &mut index,
        &(1..=12).map(|number| key(1, number * 10)).collect::<Vec<_>>(),
    );
    assert_eq!(index.delete_before(PhysicalOffset(50)).unwrap(), 0);
    assert_eq!(index.delete_before(PhysicalOffset(51)).unwrap(), 1);
    assert_eq!(find(&mut index, 1), [60, 70, 80, 90, 100, 110, 120]);
    assert_eq!(index.delete_before(PhysicalOffset(u64::MAX)).unwrap(), 1);
    assert_eq!((find(&mut index, 1), store.paths().len()), (vec![110, 120], 1));
}

#[test]
fn names_rise_even_when_the_clock_steps_back() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    let backwards = |number: u64| IndexKey {
        store_timestamp_ms: 1_000_000_000_000 - number as i64,
        ..key(1, number)
    };
    put(&mut index, &(1..=12).map(backwards).collect::<Vec<_>>());
    let names: Vec<_> = store
        .paths()
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["20010909014639999", "20010909014640000", "20010909014640001"]);
}

#[test]
fn files_of_another_layout_are_refused_and_other_files_left_alone() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    put(&mut index, &[key(1, 10)]);
    index.flush().unwrap();
    store
        .disk
        .open(&store.root().join("index/notes.txt"), OpenMode::CreateNew)
        .unwrap();
    let refused = Index::open(&store.disk, store.root(), Layout::DEFAULT, Opening::Clean)
        .err()
        .unwrap();
    let expected = "is 176 bytes long but the configuration says 420000040";
    assert!(refused.to_string().contains(expected), "{refused}");
    store.open(Opening::Clean);
    assert_eq!(Layout::new(0, 5), None);
    assert_eq!(Layout::new(1, 1), None);
    assert_eq!(Layout::new(1, u32::MAX), None);
}

#[test]
fn a_newest_file_that_never_got_its_length_is_removed() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    put(&mut index, &[key(1, 10)]);
    index.flush().unwrap();
    store
        .disk
        .open(&store.root().join("index/20990101000000000"), OpenMode::CreateNew)
        .unwrap();
    let (mut index, cut) = store.open(Opening::AfterCrash(PhysicalOffset(99)));
    assert_eq!((find(&mut index, 1), cut), (vec![10], Cut { entries: 0, files: 1 }));
}

#[test]
fn a_chain_that_a_damaged_file_bends_upwards_ends_there() {
    let store = Store::new();
    let (mut index, _) = store.open(Opening::Clean);
    put(&mut index, &[key(1, 10), key(1, 20), key(1, 30)]);
    index.flush().unwrap();
    let file = store.disk.open(&store.paths()[0], OpenMode::Write).unwrap();
    // The first entry's previous number.
    file.write_at(&[IoSlice::new(&[0, 0, 0, 3])], 40 + 16 + 20 + 16)
        .unwrap();
    assert_eq!(find(&mut index, 1), [10, 20, 30]);
}

#[test]
fn after_a_failed_write_the_index_is_of_no_more_use() {
    use crate::disk::MemoryDisk;
    use crate::disk::memory::{Fault, Operation};
    let memory = MemoryDisk::new(1);
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let (mut index, _) = Index::open(&disk, Path::new("/store"), layout(), Opening::Clean).unwrap();
    put(&mut index, &[key(1, 10)]);
    memory.inject(Fault::new(Operation::Write).times(1));
    assert!(index.put_batch(&[key(1, 20)], PhysicalOffset(21)).is_err());
    assert!(index.put_batch(&[key(1, 20)], PhysicalOffset(21)).is_err());
    assert!(index.dirty().is_err() && index.flush().is_err());
}

/// Puts keys in on a disk that has no room for some operations, again and again until there is.
fn put_and_flush(index: &mut Index, keys: &[IndexKey]) -> crate::Result<()> {
    let upto = keys[keys.len() - 1].physical_offset.advanced(1);
    index.put_batch(keys, upto)?;
    index.flush()
}

#[test]
fn a_put_and_a_flush_that_find_no_room_lose_nothing_and_go_on_when_there_is() {
    let before = [key(1, 10), key(1, 10), key(2, 20), key(1, 30), key(5, 40)];
    let after = [key(1, 45), key(1, 50), key(2, 60), key(1, 70), key(5, 80), key(1, 90)];
    for operation in [
        Operation::Allocate,
        Operation::Write,
        Operation::SetLength,
        Operation::Create,
        Operation::CreateDirectory,
    ] {
        for succeed in 0..8 {
            let memory = MemoryDisk::new(1);
            let disk: Arc<dyn Disk> = Arc::new(memory.clone());
            let (mut index, _) = Index::open(&disk, Path::new("/store"), layout(), Opening::Clean).unwrap();
            let full = Fault::new(operation).kind(std::io::ErrorKind::StorageFull).partial(7);
            let full = memory.inject(full.after(succeed));
            for keys in [&before[..], &after[..]] {
                for _ in 0..3 {
                    if let Err(error) = put_and_flush(&mut index, keys) {
                        assert!(error.is_no_room(), "{error}");
                        // What is there is found also while it is not in the file.
                        find(&mut index, 1);
                    }
                }
                memory.clear(full);
                put_and_flush(&mut index, keys).unwrap();
            }
            let check = |index: &mut Index| {
                assert_eq!(find(index, 1), [10, 10, 30, 45, 50, 70, 90], "{operation:?} {succeed}");
                assert_eq!((find(index, 2), find(index, 5)), (vec![20, 60], vec![40, 80]));
            };
            check(&mut index);
            assert_eq!(index.confirmed(), PhysicalOffset(91));
            memory.crash(Survival::Nothing);
            let limit = PhysicalOffset(1000);
            let opened = Index::open(&disk, Path::new("/store"), layout(), Opening::AfterCrash(limit));
            check(&mut opened.unwrap().0);
        }
    }
}

#[test]
fn entries_for_which_there_is_no_room_yet_are_found() {
    let memory = MemoryDisk::new(1);
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let (mut index, _) = Index::open(&disk, Path::new("/store"), layout(), Opening::Clean).unwrap();
    put(&mut index, &[key(1, 10)]);
    memory.inject(Fault::new(Operation::Write).kind(std::io::ErrorKind::StorageFull));
    assert!(index.put_batch(&[key(1, 20)], PhysicalOffset(21)).is_err());
    assert_eq!(find(&mut index, 1), [10, 20]);
}
