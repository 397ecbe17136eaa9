//! What waits for its time, on disk in the order of the times, so that what is due is found without looking at the rest, and
//! memory does not grow with what waits but by a key for each 170.
//!
//! What comes together is written once, as a run in the order of its keys (`run.rs`), into `cuemq/timer-runs/`; eight
//! runs of a size are merged into one. `cuemq/timers` is the snapshot that says which runs count and what in them is done, and
//! is replaced as a whole: a crash leaves the state before a change or behind it. Most that is done is told by
//! `Passed` alone; the rest by its key, until a merge drops it.
//!
//! Nothing in it is the truth: what is missing or damaged is made anew from the consume queue.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cuemq_storage::StoreError;
use cuemq_storage::disk::Disk;
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::snapshot::{self, Format};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Key};
use super::merge::Merged;
use super::note::Passed;
use super::run::{Run, RunWriter, path as run_path};

const FORMAT: Format = Format {
    kind: *b"TIMI",
    version: 1,
};
/// So many runs of a size are merged into one of the next.
const RUNS_OF_A_SIZE: usize = 8;
/// With more keys of what is done all runs are merged, so that they go.
const DONE_MOST: usize = 1 << 20;

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The disk fails, or has no room.
    #[error("the index of messages that wait cannot be read or written: {0}")]
    Disk(String),
    /// What is in the files makes no sense.
    #[error("the index of messages that wait is damaged: {0}")]
    Damaged(String),
}

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::NotFound => Self::Damaged(error.to_string()),
            _ => Self::Disk(error.to_string()),
        }
    }
}

impl From<StoreError> for IndexError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { .. } | StoreError::NewerVersion { .. } => Self::Damaged(error.to_string()),
            other => Self::Disk(other.to_string()),
        }
    }
}

/// What changes in the index, all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What waits and is not in it yet, in order.
    pub insert: Vec<Entry>,
    /// What waits no longer.
    pub remove: Vec<Key>,
    /// Up to where it is whole then, where that changes.
    pub indexed: Option<Indexed>,
    /// What is delivered for good then.
    pub passed: Option<Passed>,
}

/// Up to where the index is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// What has a lower queue offset is in it, or waits no longer.
    pub upto: QueueOffset,
    /// Where the last record in front of it lies, by which another log is known.
    pub last: PhysicalOffset,
}

/// What the snapshot holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Table {
    upto: u64,
    last: u64,
    /// The number of the next run.
    next: u64,
    /// Number and entries of each run.
    runs: Vec<(u64, u64)>,
    /// What is delivered for good: what each of these covers.
    passed: Vec<(u64, u64, u64)>,
    /// The keys of what else is done.
    done: BTreeSet<(u64, u64)>,
}

/// What readers see.
#[derive(Clone, Default)]
struct View {
    table: Table,
    runs: Vec<Arc<Run>>,
}

impl View {
    fn is_done(&self, key: Key) -> bool {
        self.table.is_done(key)
    }
}

impl Table {
    fn is_done(&self, key: Key) -> bool {
        let covers = |passed: &(u64, u64, u64)| passed_of(*passed).covers(key);
        self.passed.iter().any(covers) || self.done.contains(&key.halves())
    }

    /// Takes in what is delivered for good. What another one says more of is forgotten.
    fn pass(&mut self, passed: Passed) {
        self.passed
            .retain(|(ms, upto, _)| *ms > passed.ms || *upto > passed.read.upto.0);
        self.passed.push((passed.ms, passed.read.upto.0, passed.read.last.0));
        let all = std::mem::take(&mut self.passed);
        let covered = |halves: &(u64, u64)| {
            all.iter()
                .any(|passed| passed_of(*passed).covers(Key::of_halves(*halves)))
        };
        self.done.retain(|halves| !covered(halves));
        self.passed = all;
    }
}

fn passed_of((ms, upto, last): (u64, u64, u64)) -> Passed {
    let (upto, last) = (QueueOffset(upto), PhysicalOffset(last));
    Passed {
        ms,
        read: Indexed { upto, last },
    }
}

/// The index, for its readers and its writer.
pub struct Index {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    view: Mutex<Arc<View>>,
    /// Who may write, the newest of its owners; held while something is written.
    owner: Mutex<u64>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Index {
    fn open(disk: &Arc<dyn Disk>, root: &Path) -> Result<Self, IndexError> {
        let directory = directory(root);
        disk.create_directory(&directory)?;
        let table: Table = snapshot::read(disk.as_ref(), &path(root), FORMAT)?.unwrap_or_default();
        // What a change has left that was not made, or was not tidied up behind.
        for entry in disk.list(&directory)? {
            let is_known = |(number, _): &(u64, u64)| run_path(&directory, *number) == directory.join(&entry.name);
            if !table.runs.iter().any(is_known) {
                disk.remove_file(&directory.join(&entry.name))?;
            }
        }
        let runs = table
            .runs
            .iter()
            .map(|run| Run::open(disk.as_ref(), &directory, *run).map(Arc::new));
        let runs = runs.collect::<io::Result<_>>()?;
        Ok(Self {
            disk: Arc::clone(disk),
            root: root.to_owned(),
            view: Mutex::new(Arc::new(View { table, runs })),
            owner: Mutex::default(),
        })
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&locked(&self.view))
    }

    /// Has nobody but the caller write from now on. What another one has begun to write is there when this returns.
    #[must_use]
    pub fn take_over(&self) -> u64 {
        let mut owner = locked(&self.owner);
        *owner += 1;
        *owner
    }

    /// Up to where it is whole.
    #[must_use]
    pub fn indexed(&self) -> Indexed {
        let view = self.view();
        Indexed {
            upto: QueueOffset(view.table.upto),
            last: PhysicalOffset(view.table.last),
        }
    }

    /// What waits no longer of what came behind that.
    #[must_use]
    pub fn done(&self) -> BTreeSet<u64> {
        let view = self.view();
        let offsets = view
            .table
            .done
            .iter()
            .map(|halves| Key::of_halves(*halves).queue_offset());
        offsets.filter(|offset| *offset >= view.table.upto).collect()
    }

    /// Calls `each` with what is in it from `from` on and in front of `to`, in order, as long as it says so.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn scan(&self, from: Key, to: Key, mut each: impl FnMut(Entry) -> bool) -> Result<(), IndexError> {
        if from >= to {
            return Ok(());
        }
        let view = self.view();
        let mut merged = Merged::of(&view.runs, from)?;
        while let Some(entry) = merged.next()?.filter(|entry| entry.key < to) {
            if !view.is_done(entry.key) && !each(entry) {
                break;
            }
        }
        Ok(())
    }

    /// Which of these are in it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn contains(&self, keys: &[Key]) -> Result<Vec<bool>, IndexError> {
        let view = self.view();
        let contains = |key: &Key| {
            if view.is_done(*key) {
                return Ok(false);
            }
            for run in &view.runs {
                if run.contains(*key)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        keys.iter().map(contains).collect()
    }

    /// Makes a change that its present owner asks for, durably; whether it was that one.
    ///
    /// # Errors
    /// When a file cannot be written; nothing has changed then, as far as it can be read again.
    pub fn change(&self, owner: u64, change: &Change) -> Result<bool, IndexError> {
        let writing = locked(&self.owner);
        if *writing != owner {
            return Ok(false);
        }
        let mut view = View::clone(&self.view());
        let directory = directory(&self.root);
        if !change.insert.is_empty() {
            let run = write(self.disk.as_ref(), &directory, view.table.next, |writer| {
                change.insert.iter().try_for_each(|entry| writer.add(*entry))
            })?;
            view.table.next += 1;
            view.runs.extend(run.map(Arc::new));
        }
        if let Some(Indexed { upto, last }) = change.indexed {
            (view.table.upto, view.table.last) = (upto.0, last.0);
        }
        view.table.done.extend(change.remove.iter().map(|key| key.halves()));
        if let Some(passed) = change.passed {
            view.table.pass(passed);
        }
        let gone = self.merge(&mut view, &directory)?;
        view.table.runs = view.runs.iter().map(|run| (run.number, run.count)).collect();
        self.disk.sync_directory(&directory)?;
        snapshot::write(self.disk.as_ref(), &path(&self.root), FORMAT, &view.table)?;
        *locked(&self.view) = Arc::new(view);
        for number in gone {
            self.disk.remove_file(&run_path(&directory, number))?;
        }
        if let Some(passed) = change.passed {
            passed.write(self.disk.as_ref(), &self.root)?;
        }
        Ok(true)
    }

    /// Merges runs where there are many, and drops what is done of them; the numbers of those that are gone.
    fn merge(&self, view: &mut View, directory: &Path) -> Result<Vec<u64>, IndexError> {
        let mut gone = Vec::new();
        while let Some(size) = crowded(&view.runs, view.table.done.len()) {
            let is_merged = |run: &Arc<Run>| size.is_none_or(|size| size_of(run) == size);
            let (merged, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut view.runs).into_iter().partition(is_merged);
            let number = view.table.next;
            view.table.next += 1;
            let (table, mut dropped) = (&view.table, Vec::new());
            let run = write(self.disk.as_ref(), directory, number, |writer| {
                let mut entries = Merged::of(&merged, Key::first_at(0))?;
                while let Some(entry) = entries.next()? {
                    if table.is_done(entry.key) {
                        dropped.push(entry.key);
                    } else {
                        writer.add(entry)?;
                    }
                }
                Ok(())
            })?;
            view.runs = kept;
            view.runs.extend(run.map(Arc::new));
            gone.extend(merged.iter().map(|run| run.number));
            if size.is_none() {
                // Nothing is left of what is in no run, but what is to come.
                let upto = view.table.upto;
                view.table
                    .done
                    .retain(|halves| Key::of_halves(*halves).queue_offset() >= upto);
                break;
            }
            for key in dropped {
                view.table.done.remove(&key.halves());
            }
        }
        Ok(gone)
    }
}

/// The size of a run: each is up to eight times the one before.
fn size_of(run: &Arc<Run>) -> u32 {
    run.count.checked_ilog2().unwrap_or(0) / 3
}

/// The size of which there are too many runs; all sizes where too much is done.
#[expect(clippy::option_option, reason = "which, or all of them")]
fn crowded(runs: &[Arc<Run>], done: usize) -> Option<Option<u32>> {
    if done > DONE_MOST {
        return Some(None);
    }
    let crowds = |size: &u32| runs.iter().filter(|run| size_of(run) == *size).count() >= RUNS_OF_A_SIZE;
    runs.iter().map(size_of).find(crowds).map(Some)
}

/// Writes a run and opens it; `None` where it would be empty.
fn write(
    disk: &dyn Disk,
    directory: &Path,
    number: u64,
    fill: impl FnOnce(&mut RunWriter) -> io::Result<()>,
) -> io::Result<Option<Run>> {
    let mut writer = RunWriter::begin(disk, directory, number)?;
    fill(&mut writer)?;
    let written = writer.end(disk)?;
    written.map(|written| Run::open(disk, directory, written)).transpose()
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Where the index lies, and the one that is open. It is opened once at a time: who follows on a failed owner gets the one
/// that the writer may still be at work with.
#[derive(Clone)]
pub struct IndexPlace {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    open: Arc<Mutex<Weak<Index>>>,
}

impl IndexPlace {
    /// The place below a store's directory.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self {
            disk,
            root: root.to_owned(),
            open: Arc::default(),
        }
    }

    /// Opens the index; one that is damaged is made anew, empty.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(&self) -> Result<Arc<Index>, IndexError> {
        let mut open = locked(&self.open);
        if let Some(index) = open.upgrade() {
            return Ok(index);
        }
        let index = match Index::open(&self.disk, &self.root) {
            Err(IndexError::Damaged(reason)) => {
                let path = path(&self.root);
                tracing::error!(reason, path = %path.display(), "the index of messages that wait is made anew");
                self.remove()?;
                Index::open(&self.disk, &self.root)?
            }
            opened => opened?,
        };
        let index = Arc::new(index);
        *open = Arc::downgrade(&index);
        Ok(index)
    }

    /// What is delivered for good.
    #[must_use]
    pub fn passed(&self) -> Passed {
        Passed::read(self.disk.as_ref(), &self.root)
    }

    /// Removes the index, to be made anew. Who has it open reads and writes what is gone.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn discard(&self) -> Result<(), IndexError> {
        *locked(&self.open) = Weak::new();
        self.remove()
    }

    /// The snapshot: without it nobody looks at the runs, and the next one that opens the index removes them.
    fn remove(&self) -> Result<(), IndexError> {
        let failed = |error: io::Error| IndexError::Disk(error.to_string());
        match self.disk.remove_file(&path(&self.root)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        self.disk.sync_directory(&self.root.join("cuemq")).map_err(failed)
    }
}

fn path(root: &Path) -> PathBuf {
    root.join("cuemq").join("timers")
}

fn directory(root: &Path) -> PathBuf {
    root.join("cuemq").join("timer-runs")
}

#[cfg(test)]
mod tests {
    use cuemq_storage::disk::MemoryDisk;
    use cuemq_storage::timer::Due;

    use super::*;

    fn entry(at_ms: u64, queue_offset: u64) -> Entry {
        let due = Due { at_ms, recalls: false };
        Entry {
            key: Key::new(due, QueueOffset(queue_offset)),
            at: PhysicalOffset(queue_offset),
        }
    }

    fn all(index: &Index) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        let scanned = index.scan(Key::first_at(0), Key::LAST, |entry| {
            found.push((entry.key.at_ms(), entry.key.queue_offset()));
            true
        });
        scanned.unwrap();
        found
    }

    fn upto(upto: u64) -> Indexed {
        let (upto, last) = (QueueOffset(upto), PhysicalOffset(0));
        Indexed { upto, last }
    }

    #[test]
    fn many_small_runs_become_few_and_what_is_done_goes_with_them() {
        let disk = MemoryDisk::new(1);
        let place = IndexPlace::new(Arc::new(disk.clone()), Path::new("/store"));
        let index = place.open().unwrap();
        let owner = index.take_over();
        for number in 0..100 {
            let change = Change {
                insert: vec![entry(1_000 - number, number)],
                remove: (number % 2 == 1)
                    .then(|| entry(1_000 - number, number).key)
                    .into_iter()
                    .collect(),
                indexed: Some(upto(number + 1)),
                passed: None,
            };
            assert!(index.change(owner, &change).unwrap());
        }
        let left: Vec<_> = (0..50).rev().map(|half| (1_000 - 2 * half, 2 * half)).collect();
        assert_eq!(all(&index), left);
        let files = disk.list(&directory(Path::new("/store"))).unwrap();
        assert!(files.len() < 3 * RUNS_OF_A_SIZE, "{} runs", files.len());
        assert!(index.view().table.done.len() < 16, "what was merged is forgotten");
        drop(index);
        let index = place.open().unwrap();
        assert_eq!(
            (all(&index), index.indexed(), index.done()),
            (left, upto(100), BTreeSet::new())
        );
        let keys = [entry(1_000, 0), entry(999, 1), entry(998, 2), entry(998, 3)].map(|entry| entry.key);
        assert_eq!(index.contains(&keys).unwrap(), [true, false, true, false]);
    }

    #[test]
    fn what_has_passed_stays_so_when_something_older_comes() {
        let place = IndexPlace::new(Arc::new(MemoryDisk::new(1)), Path::new("/store"));
        let index = place.open().unwrap();
        let owner = index.take_over();
        let passed = |ms, offset| {
            let read = upto(offset);
            Some(Passed { ms, read })
        };
        let first = Change {
            insert: vec![entry(50, 0), entry(100, 1), entry(101, 2)],
            indexed: Some(upto(3)),
            passed: passed(100, 3),
            ..Change::default()
        };
        index.change(owner, &first).unwrap();
        assert_eq!(all(&index), [(101, 2)]);
        let older = Change {
            insert: vec![entry(60, 3)],
            indexed: Some(upto(4)),
            passed: passed(55, 4),
            ..Change::default()
        };
        index.change(owner, &older).unwrap();
        assert_eq!(all(&index), [(60, 3), (101, 2)]);
        let change = Change {
            passed: passed(101, 4),
            ..Change::default()
        };
        index.change(owner, &change).unwrap();
        assert_eq!((all(&index), index.view().table.passed.len()), (Vec::new(), 1));
    }

    #[test]
    fn who_was_followed_by_another_owner_changes_nothing() {
        let place = IndexPlace::new(Arc::new(MemoryDisk::new(1)), Path::new("/store"));
        let index = place.open().unwrap();
        let (before, after) = (index.take_over(), index.take_over());
        let change = Change {
            insert: vec![entry(1, 0)],
            ..Change::default()
        };
        assert!(!index.change(before, &change).unwrap());
        assert_eq!(all(&index), []);
        assert!(index.change(after, &change).unwrap());
        assert_eq!(all(&index), [(1, 0)]);
    }
}
