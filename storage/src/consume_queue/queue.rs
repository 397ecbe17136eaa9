//! The writer of one consume queue: its place, what it holds, and appending.
//!
//! Units are gathered in memory, where readers see them, and written many at a time: [`NewestUnits`](super::newest). A file
//! is made at its full length on the first append into it; blocks are reserved in steps, before anything is gathered for
//! them, so that it is an append that finds no room. Nothing is durable before [`ConsumeQueue::confirm`].

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::extension::{ExtensionFiles, ExtensionWriter, StoreTimes};
use super::newest;
use super::recover::Cut;
use super::sync::Unsynced;
use super::tail::Tail;
use super::unit::{UNIT_BYTES, Unit};
use super::view::QueueView;
use super::{FOLDER, file_path};
use crate::disk::{Disk, OpenMode};
use crate::error::{Result, StoreError};
use crate::position::{PhysicalOffset, QueueOffset};

/// How many fillers are written at a time.
const FILLER_STEP: usize = 3000;
/// The longest name of a directory that file systems take.
const NAME_BYTES_MAX: usize = 255;

/// Which queue of which store.
#[derive(Clone, Copy, Debug)]
pub struct QueuePlace<'a> {
    /// The store's directory (the one above `consumequeue`).
    pub root: &'a Path,
    /// The topic.
    pub topic: &'a str,
    /// The number of the queue within its topic.
    pub queue_id: u32,
}

/// What is known about the files when a queue is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// They were synced by an owner that stopped in order.
    Clean,
    /// The last owner in this process is gone, readers may be at work, and units of records from this position on were
    /// perhaps not synced. Nothing is cut.
    Again(PhysicalOffset),
    /// The machine or the process has crashed. Every unit of a record that begins below this position was synced; the
    /// others are dropped, and the queue is to be fed again from here.
    AfterCrash(PhysicalOffset),
    /// The same for one of many queues: who opens them has synced their file system, and does so again before anything is
    /// appended to one of them, so that none is synced by itself.
    AfterCrashTogether(PhysicalOffset),
}

impl Opening {
    /// From which position on units are dropped after a crash.
    pub(super) fn crashed_from(self) -> Option<PhysicalOffset> {
        match self {
            Self::AfterCrash(limit) | Self::AfterCrashTogether(limit) => Some(limit),
            Self::Clean | Self::Again(_) => None,
        }
    }
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// How many units were written.
    pub written: usize,
    /// How many were there already.
    pub skipped: usize,
}

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Units are missing in front of these: feed the queue again from an earlier record. When even the log's oldest
    /// record of this queue leaves a gap, begin anew by [`ConsumeQueue::restart`].
    #[error("the consume queue ends at {expected} and cannot go on at {found}")]
    Gap {
        /// The queue offset that comes next.
        expected: QueueOffset,
        /// The queue offset of the first unit that is not there.
        found: QueueOffset,
    },
    /// Units of newer records claim places that older ones have: the queue was begun anew behind them (the topic was deleted
    /// and made again), by [`ConsumeQueue::restart`], or what the record says of its place is wrong.
    #[error("the consume queue ends at {expected}, and a newer record claims {found}")]
    Conflict {
        /// The queue offset that comes next.
        expected: QueueOffset,
        /// The queue offset of the first unit that is not there.
        found: QueueOffset,
    },
    /// The store failed; how much was written is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One consume queue, written by its owner alone.
pub struct ConsumeQueue {
    pub(super) view: Arc<QueueView>,
    /// The queue offset of the next unit.
    pub(super) end: u64,
    /// Behind the record of the last unit.
    pub(super) end_physical: PhysicalOffset,
    pub(super) tail: Option<Tail>,
    pub(super) unsynced: Unsynced,
    /// Takes the tags codes, where they are kept in an extension.
    pub(super) extension: Option<ExtensionWriter>,
}

impl ConsumeQueue {
    /// Opens a queue, and says what had to be cut. `file_bytes` is the length of the store's consume queue files
    /// ([`super::Discovery::file_bytes`], or what is configured when there are none); a queue with files of another length
    /// goes on with that. A queue without files gets its first one on the first append.
    ///
    /// # Errors
    /// When a file cannot be read or cut, when the files differ in length, or when one is missing between others after
    /// a clean stop.
    pub fn open(disk: &Arc<dyn Disk>, place: QueuePlace<'_>, file_bytes: u64, opening: Opening) -> Result<(Self, Cut)> {
        let directory = place.directory()?;
        let found = super::files::scan(disk.as_ref(), &directory, file_bytes, opening)?;
        let extension = ExtensionFiles::find(disk, &directory)?;
        let view = QueueView::new(Arc::clone(disk), directory, found.file_bytes / UNIT_BYTES);
        view.extension.store(extension.map(Arc::new));
        let mut queue = Self {
            view: Arc::new(view),
            end: 0,
            end_physical: PhysicalOffset(0),
            tail: None,
            unsynced: Unsynced::default(),
            extension: None,
        };
        let cut = queue.recover(found, opening)?;
        Ok((queue, cut))
    }

    /// What readers see of it.
    #[must_use]
    pub fn view(&self) -> Arc<QueueView> {
        Arc::clone(&self.view)
    }

    /// The queue offset of the next unit.
    #[must_use]
    pub fn end(&self) -> QueueOffset {
        QueueOffset(self.end)
    }

    /// Behind the record of the last unit; 0 for an empty queue.
    #[must_use]
    pub fn end_physical(&self) -> PhysicalOffset {
        self.end_physical
    }

    /// Appends `units`, of which the first has the queue offset `first`, and shows them to readers. Units that are
    /// there already are skipped, so that records can be fed twice: units come in the order of the log, so those of records
    /// in front of the last one's end are there, wherever. Where the queue has an extension and it is known when the records
    /// were `stored`, their tags codes go there.
    ///
    /// # Errors
    /// When units are missing in front of these, older ones have their places, or a file cannot be made or written.
    pub fn append(
        &mut self,
        first: QueueOffset,
        units: &[Unit],
        stored: Option<&StoreTimes>,
    ) -> std::result::Result<Appended, AppendError> {
        self.check_replay(first.0, units)?;
        let skipped = units.partition_point(|unit| unit.physical_offset < self.end_physical);
        let (expected, found) = (self.end(), first.advanced(skipped as u64));
        let mut rest = units.get(skipped..).unwrap_or_default();
        match found.cmp(&expected) {
            Ordering::Greater if !rest.is_empty() => return Err(AppendError::Gap { expected, found }),
            Ordering::Less if !rest.is_empty() => return Err(AppendError::Conflict { expected, found }),
            _ => {}
        }
        if let Some(next) = rest.first() {
            self.view.recency.note(self.end, next.physical_offset);
        }
        while !rest.is_empty() {
            let room = self.view.units_per_file - self.end % self.view.units_per_file;
            let (run, behind) = rest.split_at(rest.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            match stored {
                Some(stored) => self.write_extended(run, stored)?,
                None => self.write_run(run)?,
            }
            rest = behind;
        }
        Ok(Appended {
            written: units.len() - skipped,
            skipped,
        })
    }

    /// Forgets all units and begins at `first`: the log's oldest record of this queue has that queue offset. What lies
    /// in front of it in its file is filled as Java fills it.
    ///
    /// # Errors
    /// When the old files cannot be removed or the new one cannot be written.
    pub fn restart(
        &mut self,
        first: QueueOffset,
        units: &[Unit],
        stored: Option<&StoreTimes>,
    ) -> std::result::Result<Appended, AppendError> {
        self.begin_anew(first)?;
        let fillers = vec![Unit::FILLER; usize::try_from(first.0 - self.end).unwrap_or_default()];
        for run in fillers.chunks(FILLER_STEP) {
            self.write_run(run)?;
        }
        self.append(first, units, stored)
    }

    /// Forgets all units, and removes the files and their directory: the topic was deleted. The next unit has the queue
    /// offset 0.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn clear(&mut self) -> Result<()> {
        self.view.publish_max(0);
        self.begin_anew(QueueOffset(0))?;
        let queue = self.view.directory.as_path();
        // Those of its other queues may still be there, and an empty directory says nothing.
        for directory in [Some(queue), queue.parent()].into_iter().flatten() {
            if let Err(error) = self.view.disk.remove_directory(directory) {
                tracing::debug!(directory = %directory.display(), %error, "a directory stays");
            }
        }
        Ok(())
    }

    /// Removes the files; the next unit goes where the file of `first` begins.
    fn begin_anew(&mut self, first: QueueOffset) -> Result<()> {
        self.tail = None;
        self.view.newest.restart(self.end);
        self.view.begin_anew();
        self.view.recency.clear();
        let mut old = self.view.retain_files(0..0);
        old.reverse();
        self.remove(old)?;
        self.end = first.0 - first.0 % self.view.units_per_file;
        self.view.newest.restart(self.end);
        self.end_physical = PhysicalOffset(0);
        self.unsynced.restart(self.end, self.end_physical);
        self.reopen_extension()?;
        self.view.publish_min(first.0);
        Ok(())
    }

    /// Lets go of the open file and of the readers' mappings, as an idle queue should.
    ///
    /// # Errors
    /// When what is in memory alone cannot be written.
    pub fn release(&mut self) -> Result<()> {
        self.write_newest()?;
        self.view.newest.release();
        self.tail = None;
        if let Some(extension) = &mut self.extension {
            extension.release();
        }
        self.view.unmap();
        Ok(())
    }

    /// Writes what is in memory alone to its file, without a sync.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_newest(&mut self) -> Result<()> {
        // They lie in the file that is written to, or there are none.
        let Some(tail) = &self.tail else { return Ok(()) };
        let path = || file_path(&self.view.directory, tail.start());
        let write = |bytes: &[u8], first: u64| tail.write(bytes, (first - tail.start()) * UNIT_BYTES, path);
        self.view.newest.write(write)
    }

    /// Writes units that lie in one file; their tags codes go to the extension, if there is one.
    #[cold]
    fn write_extended(&mut self, run: &[Unit], stored: &StoreTimes) -> Result<()> {
        let Some(extension) = &mut self.extension else {
            return self.write_run(run);
        };
        let put = extension.put(run, stored)?;
        self.write_run(&put.entries)?;
        self.write_newest()?;
        if let Some(extension) = &mut self.extension {
            extension.keep(&put);
        }
        Ok(())
    }

    /// Takes units that lie in one file, and shows them to readers.
    fn write_run(&mut self, run: &[Unit]) -> Result<()> {
        let start = self.end - self.end % self.view.units_per_file;
        let at = (self.end - start) * UNIT_BYTES;
        self.ensure_tail(start, at)?;
        let Some(tail) = self.tail.as_mut() else { return Ok(()) };
        let path = || file_path(&self.view.directory, start);
        tail.reserve(at + run.len() as u64 * UNIT_BYTES, path)?;
        self.unsynced.files.note(start, tail.file());
        let newest = self.view.newest.count();
        if newest + run.len() > newest::MOST {
            self.write_newest()?;
        }
        if run.len() < newest::MOST {
            self.view.newest.add(run);
        } else {
            self.write_at_once(run, at)?;
        }
        self.end += run.len() as u64;
        if let Some(last) = run.last().filter(|last| !last.is_filler()) {
            self.end_physical = last.end();
        }
        self.view.publish_max(self.end);
        Ok(())
    }

    /// Writes units that are many, behind all others, into the file that is written to.
    fn write_at_once(&mut self, run: &[Unit], at: u64) -> Result<()> {
        let Some(tail) = &self.tail else { return Ok(()) };
        let encoded: Vec<_> = run.iter().map(Unit::encode).collect();
        tail.write(encoded.as_flattened(), at, || {
            file_path(&self.view.directory, tail.start())
        })?;
        self.view.newest.restart(self.end + run.len() as u64);
        Ok(())
    }

    /// Makes the file that begins at `start` the one that is written to, from byte `at` on.
    fn ensure_tail(&mut self, start: u64, at: u64) -> Result<()> {
        if self.tail.as_ref().is_some_and(|tail| tail.start() == start) {
            return Ok(());
        }
        self.write_newest()?;
        let view = Arc::clone(&self.view);
        let path = file_path(&view.directory, start);
        let is_new = !view.extent().contains(&start);
        if is_new && self.unsynced.files.new_file().is_some() {
            // Or else a crash could keep this file and lose the one in front of it.
            self.sync()?;
        }
        let mode = if is_new { OpenMode::Create } else { OpenMode::Write };
        if is_new && view.extent().is_empty() {
            let made = view.disk.make_directory(&view.directory);
            made.map_err(|error| StoreError::io("make", &view.directory, error))?;
            self.unsynced.files.note_new_directory();
        }
        let file = view
            .disk
            .open(&path, mode)
            .map_err(|error| StoreError::io("open", &path, error))?;
        let file_bytes = view.units_per_file * UNIT_BYTES;
        if is_new {
            file.set_length(file_bytes)
                .map_err(|error| StoreError::io("extend", &path, error))?;
            self.unsynced.files.note_new_file(start);
            view.publish_file(start);
        }
        self.tail = Some(Tail::new(start, file, at, file_bytes));
        Ok(())
    }

    /// Removes files that are published no more, each durably before the next.
    pub(super) fn remove(&self, starts: impl IntoIterator<Item = u64>) -> Result<()> {
        let directory = &self.view.directory;
        for start in starts {
            let path = file_path(directory, start);
            self.view
                .disk
                .remove_file(&path)
                .map_err(|error| StoreError::io("remove", &path, error))?;
            self.view.sync_directory()?;
        }
        Ok(())
    }
}

impl QueuePlace<'_> {
    /// Whether a topic can have queues here: their directory has its name.
    #[must_use]
    pub fn is_possible(topic: &str) -> bool {
        !matches!(topic, "" | "." | "..") && topic.len() <= NAME_BYTES_MAX && !topic.contains(['/', '\0'])
    }

    /// The queue's directory. A topic that is no plain directory name is refused.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        let topics = self.root.join(FOLDER);
        if !Self::is_possible(self.topic) {
            let reason = format!("{:?} is no name of a topic", self.topic);
            return Err(StoreError::Unsupported { path: topics, reason });
        }
        Ok(topics.join(self.topic).join(self.queue_id.to_string()))
    }
}
