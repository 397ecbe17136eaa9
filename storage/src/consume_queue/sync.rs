//! Making a queue durable. The owner decides when; another thread does it.
//!
//! [`ConsumeQueue::dirty`] says what must be synced, [`QueueSync::run`] does it (it blocks) and gives a [`Synced`] that
//! goes back to the owner. A cut in between makes it void by its generation: it never speaks for units written since.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use smallvec::SmallVec;

use super::extension::{ExtensionSync, ExtensionWriter, SyncedExtension};
use super::queue::ConsumeQueue;
use super::view::QueueView;
use super::{FOLDER, file_path};
use crate::disk::{Disk, DiskFile, sync_file_system};
use crate::error::{Result, StoreError};
use crate::interrupt::Interrupt;
use crate::position::{PhysicalOffset, QueueOffset};
use crate::steps::Stage;

/// So many queues are synced with all of their file system, rather than one by one.
const MANY: usize = 64;

/// The files written to since they were last known to be durable. The handles are those that wrote: a handle opened
/// later can miss the error of a failed write-back.
type Handles = SmallVec<[(u64, Arc<dyn DiskFile>); 1]>;

/// Files of which something is not durable.
#[derive(Clone, Default)]
pub(super) struct UnsyncedFiles {
    handles: Handles,
    /// The newest file whose directory entry is not durable.
    new_file: Option<u64>,
    /// Whether the directory itself may be new, and those that it is in.
    new_directory: bool,
}

impl UnsyncedFiles {
    /// Notes that the file that begins at `start` is about to be written to.
    #[inline]
    pub(super) fn note(&mut self, start: u64, file: &Arc<dyn DiskFile>) {
        if self.handles.last().is_none_or(|&(last, _)| last != start) {
            self.handles.push((start, Arc::clone(file)));
        }
    }

    /// Notes that the file that begins at `start` was made.
    pub(super) fn note_new_file(&mut self, start: u64) {
        self.new_file = Some(start);
    }

    /// Notes that the directory may have been made, by this queue or another one of its topic.
    pub(super) fn note_new_directory(&mut self) {
        self.new_directory = true;
    }

    /// The newest file whose directory entry is not durable.
    pub(super) fn new_file(&self) -> Option<u64> {
        self.new_file
    }

    /// Syncs the files' contents.
    pub(super) fn sync(&self, path: impl Fn(u64) -> PathBuf) -> Result<()> {
        for (start, file) in &self.handles {
            file.sync_data()
                .map_err(|error| StoreError::io("sync", &path(*start), error))?;
        }
        Ok(())
    }

    /// Notes that what lay in front of `synced` was synced, and the directory with the file `new_file`; what is written
    /// goes on to `end`.
    pub(super) fn confirm(&mut self, synced: u64, new_file: Option<u64>, end: u64, file_length: u64) {
        self.handles
            .retain(|(start, _)| end > synced && *start + file_length > synced);
        if self.new_file == new_file {
            self.new_file = None;
            self.new_directory = false;
        }
    }
}

/// What of a queue is not durable.
#[derive(Default)]
pub(super) struct Unsynced {
    pub(super) files: UnsyncedFiles,
    generation: u32,
    /// The durable end.
    synced: (u64, PhysicalOffset),
}

impl Unsynced {
    /// Starts over: the queue is durable up to here, and a sync under way speaks for nothing.
    pub(super) fn restart(&mut self, synced: u64, physical: PhysicalOffset) {
        let generation = self.generation.wrapping_add(1);
        *self = Self {
            generation,
            synced: (synced, physical),
            ..Self::default()
        };
    }
}

/// A sync that is to be done, on whatever thread may block.
pub struct QueueSync {
    view: Arc<QueueView>,
    files: UnsyncedFiles,
    extension: Option<ExtensionSync>,
    upto: Synced,
}

/// A sync that was done.
#[derive(Clone, Copy, Debug)]
pub struct Synced {
    generation: u32,
    end: u64,
    end_physical: PhysicalOffset,
    new_file: Option<u64>,
    extension: Option<SyncedExtension>,
}

impl QueueSync {
    /// Syncs the files and, when some are new, the directory; before them the extension's, which units lead to.
    ///
    /// # Errors
    /// When the disk fails; then nothing may be confirmed, now or by a further attempt.
    pub fn run(self) -> Result<Synced> {
        if let Some(extension) = &self.extension {
            extension.run()?;
        }
        self.files.sync(|start| file_path(&self.view.directory, start))?;
        if self.upto.new_file.is_some() {
            self.view.sync_directory()?;
        }
        if self.files.new_directory {
            self.view.sync_names()?;
        }
        Ok(self.upto)
    }
}

/// Syncs queues on this thread: all at once where they are many and the file system can.
pub(crate) fn sync_all(disk: &dyn Disk, root: &Path, queues: &mut [ConsumeQueue], interrupt: &Interrupt) -> Result<()> {
    let mut dirty = 0;
    for queue in queues.iter_mut() {
        queue.write_newest()?;
        dirty += usize::from(queue.is_dirty());
    }
    let together = dirty >= MANY && sync_file_system(disk, &root.join(FOLDER))?;
    let total = queues.len() as u64;
    for (done, queue) in (0..).zip(queues) {
        interrupt.reached(Stage::SyncingQueues, done, total)?;
        if !together {
            queue.sync()?;
        } else if let Some(sync) = queue.dirty()? {
            queue.confirm(sync.upto);
        }
    }
    interrupt.reached(Stage::SyncingQueues, total, total)
}

impl ConsumeQueue {
    /// Whether there is anything that is not durable.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.unsynced.files.handles.is_empty()
    }

    /// Writes what is in memory alone, and gives what must be synced to make all that was appended durable; `None` when it
    /// is.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn dirty(&mut self) -> Result<Option<QueueSync>> {
        if !self.is_dirty() {
            return Ok(None);
        }
        self.write_newest()?;
        let files = &self.unsynced.files;
        let extension = self.extension.as_ref().map(ExtensionWriter::dirty);
        let upto = Synced {
            generation: self.unsynced.generation,
            end: self.end,
            end_physical: self.end_physical,
            new_file: files.new_file,
            extension: extension.as_ref().map(ExtensionSync::upto),
        };
        Ok(Some(QueueSync {
            view: self.view(),
            files: files.clone(),
            extension,
            upto,
        }))
    }

    /// Notes that a sync was done. One from before a cut, or overtaken by a later one, is without effect.
    pub fn confirm(&mut self, synced: Synced) {
        let unsynced = &mut self.unsynced;
        if synced.generation != unsynced.generation || synced.end < unsynced.synced.0 {
            return;
        }
        unsynced.synced = (synced.end, synced.end_physical);
        unsynced
            .files
            .confirm(synced.end, synced.new_file, self.end, self.view.units_per_file);
        if let Some((extension, synced)) = self.extension.as_mut().zip(synced.extension) {
            extension.confirm(synced);
        }
    }

    /// Syncs on this thread.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&mut self) -> Result<()> {
        if let Some(sync) = self.dirty()? {
            let synced = sync.run()?;
            self.confirm(synced);
        }
        Ok(())
    }

    /// Up to where the queue is durable: the queue offset of the next unit, and the end of the last one's record.
    #[must_use]
    pub fn synced(&self) -> (QueueOffset, PhysicalOffset) {
        (QueueOffset(self.unsynced.synced.0), self.unsynced.synced.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consume_queue::rules_test::{read_from, unit};
    use crate::consume_queue::{Opening, QueuePlace};
    use crate::disk::MemoryDisk;
    use crate::disk::memory::{Fault, Operation, Survival};

    const ROOT: &str = "/store";

    /// So many queues on a disk, each as it was left.
    fn queues(disk: &Arc<dyn Disk>, count: usize) -> Vec<ConsumeQueue> {
        let open = |queue_id| {
            let place = QueuePlace {
                root: Path::new(ROOT),
                topic: "topic",
                queue_id,
            };
            ConsumeQueue::open(disk, place, 6000, Opening::Clean).unwrap().0
        };
        (0..).take(count).map(open).collect()
    }

    #[test]
    fn what_queues_hold_in_memory_is_durable_when_all_are_synced_whatever_the_file_system_can() {
        // A disk of an even seed can sync its file system, one of an odd seed cannot.
        for (seed, count) in [(0, MANY), (0, MANY - 1), (1, MANY)] {
            let memory = MemoryDisk::new(seed);
            memory.create_directory(Path::new(ROOT)).unwrap();
            let disk: Arc<dyn Disk> = Arc::new(memory.process());
            let mut held = queues(&disk, count);
            for queue in &mut held {
                queue.append(QueueOffset(0), &[unit(0), unit(1)], None).unwrap();
            }
            sync_all(disk.as_ref(), Path::new(ROOT), &mut held, &Interrupt::default()).unwrap();
            for queue in &held {
                assert!(!queue.is_dirty());
                assert_eq!(queue.synced(), (QueueOffset(2), unit(1).end()));
            }
            drop(held);
            memory.crash(Survival::Nothing);
            let disk: Arc<dyn Disk> = Arc::new(memory.process());
            for queue in queues(&disk, count) {
                assert_eq!(read_from(&queue.view(), 0), [(0, unit(0)), (1, unit(1))], "seed {seed}");
            }
        }
    }

    #[test]
    fn a_sync_of_the_file_system_that_fails_leaves_all_queues_unconfirmed() {
        let memory = MemoryDisk::new(0);
        memory.create_directory(Path::new(ROOT)).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(memory.process());
        let mut held = queues(&disk, MANY);
        for queue in &mut held {
            queue.append(QueueOffset(0), &[unit(0)], None).unwrap();
        }
        memory.inject(Fault::new(Operation::SyncFileSystem));
        sync_all(disk.as_ref(), Path::new(ROOT), &mut held, &Interrupt::default()).unwrap_err();
        assert!(held.iter().all(ConsumeQueue::is_dirty));
    }
}
