//! Old files of the log go as a whole, the oldest first. The owner takes them from the readers' list; whoever may block
//! removes them from the disk, and lets go of them when nobody reads them any more.
//!
//! A crash in between leaves files that are there again at the next start: each removal is durable before the next, so the
//! log never has a hole.

use std::path::Path;
use std::sync::Arc;

use super::CommitLog;
use crate::disk::{Disk, list, sync_directory};
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;
use crate::segment::{Segment, parse_file_name};

impl<C> CommitLog<C> {
    /// The first record that is still needed, whatever its age: what a consume queue or the index has not confirmed is read
    /// from the log again after a failure. Whatever else comes to read old records later on (a replica that is behind, a
    /// timer, an open transaction, a receipt of pop) adds the first one that it needs to this list.
    #[must_use]
    pub fn low_water(&self) -> PhysicalOffset {
        let needed = [self.state.confirmed(), self.state.durable(), self.state.visible()];
        needed.into_iter().min().unwrap_or_default()
    }

    /// Takes the files that end at or before `position` from what readers see, and gives them. What is still needed stays,
    /// and so does the file that holds the newest record on disk: its name tells where the log goes on after a crash.
    pub fn drop_before(&mut self, position: PhysicalOffset) -> Vec<Arc<Segment>> {
        if self.state.is_failed() {
            // What the next start has to look at stays as it is.
            return Vec::new();
        }
        let safe = self.state.durable().min(self.state.visible());
        let newest = PhysicalOffset(safe.0.saturating_sub(1));
        self.files.drop_before(position.min(self.low_water()).min(newest))
    }
}

/// Removes the files of the log in `directory` that begin before `minimum`, its first position, the oldest first, each
/// durably; also what an earlier attempt has left. Gives their number.
///
/// # Errors
/// When the directory cannot be read, or a file cannot be removed: then it and those behind it stay for the next attempt.
pub fn remove_before(disk: &dyn Disk, directory: &Path, minimum: PhysicalOffset) -> Result<usize> {
    let mut removed = 0;
    for entry in list(disk, directory)?.into_iter().filter(|entry| !entry.is_directory) {
        if parse_file_name(&entry.name).is_some_and(|start| start < minimum.0) {
            let path = directory.join(&entry.name);
            disk.remove_file(&path)
                .map_err(|error| StoreError::io("remove", &path, error))?;
            sync_directory(disk, directory)?;
            removed += 1;
        }
    }
    Ok(removed)
}
