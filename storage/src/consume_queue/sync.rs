//! Making a queue durable. The owner decides when; another thread does it.
//!
//! [`ConsumeQueue::dirty`] says what must be synced, [`QueueSync::run`] does it (it blocks) and gives a [`Synced`] that
//! goes back to the owner. A cut in between makes it void by its generation: it never speaks for units written since.

use std::path::PathBuf;
use std::sync::Arc;

use smallvec::SmallVec;

use super::extension::{ExtensionSync, ExtensionWriter, SyncedExtension};
use super::file_path;
use super::queue::ConsumeQueue;
use super::view::QueueView;
use crate::disk::DiskFile;
use crate::error::{Result, StoreError};
use crate::position::{PhysicalOffset, QueueOffset};

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

impl ConsumeQueue {
    /// What must be synced to make all that was appended durable; `None` when it is.
    #[must_use]
    pub fn dirty(&self) -> Option<QueueSync> {
        let files = &self.unsynced.files;
        if files.handles.is_empty() {
            return None;
        }
        let extension = self.extension.as_ref().map(ExtensionWriter::dirty);
        let upto = Synced {
            generation: self.unsynced.generation,
            end: self.end,
            end_physical: self.end_physical,
            new_file: files.new_file,
            extension: extension.as_ref().map(ExtensionSync::upto),
        };
        Some(QueueSync {
            view: self.view(),
            files: files.clone(),
            extension,
            upto,
        })
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
        if let Some(sync) = self.dirty() {
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
