//! Opening a queue's extension to write to it: where it ends, and cutting what lies behind.
//!
//! It ends behind the unit that the queue's last address leads to; what follows are units whose entries never came or
//! were cut, to be written once more. The last entry has an address as a rule; the whole queue is read only where it has
//! had no extension so far.

use std::sync::Arc;

use super::files::ExtensionFiles;
use super::place_of;
use super::writer::ExtensionWriter;
use crate::consume_queue::{ConsumeQueue, Opening};
use crate::error::{Result, StoreError};
use crate::position::QueueOffset;

/// How many entries are read at first to find an address, and at a time at most.
const FIRST_STEP: u64 = 16;
const LONGEST_STEP: u64 = 8192;

impl ConsumeQueue {
    /// Has the queue keep tags codes in an extension from here on, in files of `file_bytes`, at least
    /// [`LEAST_EXTENSION_FILE_BYTES`](crate::consume_queue::LEAST_EXTENSION_FILE_BYTES). For a queue that was opened as
    /// `opening` says and has not been written to.
    ///
    /// A queue whose last address leads nowhere goes on without one: its addresses would lead to units of others.
    ///
    /// # Errors
    /// When a file cannot be read, cut or synced, or the files that are there have another length.
    pub fn open_extension(&mut self, file_bytes: u64, opening: Opening) -> Result<()> {
        let found = self.view.extension.load_full();
        let sized = |file_bytes| ExtensionFiles::new(&self.view.disk, &self.view.directory, file_bytes);
        let mut files = found.unwrap_or_else(|| Arc::new(sized(file_bytes)));
        let end = match self.last_address()? {
            Some(place) => files.unit(place)?.map(|unit| place + unit.length),
            None => Some(0),
        };
        let Some(end) = end else {
            let queue = self.view.directory.display();
            tracing::error!(%queue, "the consume queue's extension lacks its last unit; the queue goes on without one");
            return Ok(());
        };
        if end > 0 && files.file_bytes != file_bytes {
            return Err(StoreError::SizeMismatch {
                path: files.path(files.start(end)),
                found: files.file_bytes,
                configured: file_bytes,
                key: "mappedFileSizeConsumeQueueExt",
            });
        }
        files.cut(end, opening.crashed_from().is_some())?;
        if end == 0 {
            files = Arc::new(sized(file_bytes));
        }
        self.view.extension.store(Some(Arc::clone(&files)));
        let mut writer = ExtensionWriter::new(files, end);
        if matches!(opening, Opening::Again(_)) {
            writer.distrust()?;
        }
        self.extension = Some(writer);
        Ok(())
    }

    /// The same once more, when the queue was cut: nobody is reading.
    pub(in crate::consume_queue) fn reopen_extension(&mut self) -> Result<()> {
        match self.extension.take() {
            Some(writer) => self.open_extension(writer.files.file_bytes, Opening::AfterCrash(self.end_physical)),
            None => Ok(()),
        }
    }

    /// The place of the unit that the queue's last address leads to; `None` when it holds no address.
    fn last_address(&self) -> Result<Option<u64>> {
        let (extent, units_per_file) = (self.view.extent(), self.view.units_per_file);
        let (mut upto, mut step) = (self.end.min(extent.end), FIRST_STEP);
        while upto > extent.start {
            let start = (upto - 1) - (upto - 1) % units_per_file;
            let first = upto.saturating_sub(step).max(start);
            let count = usize::try_from(upto - first).unwrap_or(0);
            let entries = self.view.copy(QueueOffset(first), count)?;
            if let Some(place) = entries.iter().rev().find_map(|entry| place_of(entry.tags_code)) {
                return Ok(Some(place));
            }
            (upto, step) = (first, (step * 2).min(LONGEST_STEP));
        }
        Ok(None)
    }
}
