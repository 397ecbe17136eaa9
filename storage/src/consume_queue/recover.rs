//! Finding the end of a queue when it is opened, and cutting it.
//!
//! Both are a binary search: what is to be kept is a prefix. After a clean stop that is every written unit. After a
//! crash, units of records from the log's confirmed position on may be there, be zeros, or be there behind zeros; but
//! every unit below it was synced, so that "written and below" holds for a prefix all the same. The rest goes, and is
//! fed again: so the pages become dirty once more, which they would not if a failed sync had marked them clean.
//!
//! A cut removes later files first, the newest first, then zeroes the rest of its own: after a crash in the midst the
//! next open finds the same end. The oldest file stays even when nothing in it does, since its name carries the queue
//! offset that comes next.

use std::io::IoSlice;
use std::sync::Arc;

use super::file_path;
use super::files::{Found, Probe};
use super::queue::{ConsumeQueue, Opening};
use super::unit::{UNIT_BYTES, UNIT_LENGTH, Unit};
use crate::disk::OpenMode;
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;

/// How much is read and, where it is not zero, zeroed at a time; a multiple of 20.
const ZERO_STEP: usize = 60 * 1024;

/// What was cut from a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Units that were zeroed in the file that is now the last.
    pub units: u64,
    /// Files that were removed.
    pub files: usize,
}

impl ConsumeQueue {
    /// Drops the units of all records that begin at or behind `limit`, on disk as well. Nobody may be reading: ask
    /// before [`ConsumeQueue::view`] is handed out, or when all that was handed out has been dropped.
    ///
    /// # Errors
    /// When somebody still holds a view of the queue, or a file cannot be read, zeroed, removed or synced.
    pub fn truncate_to(&mut self, limit: PhysicalOffset) -> Result<Cut> {
        if Arc::strong_count(&self.view) > 1 {
            let reason = String::from("the consume queue is being read; stop its readers before it is cut");
            return Err(StoreError::Unsupported {
                path: self.view.directory.clone(),
                reason,
            });
        }
        let from = self.view.extent().start;
        let end = Probe::new(&self.view).partition_point(from, self.end, begins_below(limit))?;
        if end == self.end {
            Ok(Cut::default())
        } else {
            self.cut(end)
        }
    }

    /// Takes over the files found and sets the end.
    pub(super) fn recover(&mut self, found: Found, opening: Opening) -> Result<Cut> {
        for start in found.starts {
            self.view.publish_file(start);
        }
        self.remove(found.empty)?;
        let mut cut = Cut {
            units: 0,
            files: usize::from(found.empty.is_some()),
        };
        let extent = self.view.extent();
        self.view.publish_min(extent.start);
        if extent.is_empty() {
            return Ok(cut);
        }
        let mut probe = Probe::new(&self.view);
        match opening {
            Opening::Clean => {
                let end = probe.partition_point(extent.start, extent.end, |unit| unit.is_some())?;
                self.set_end(end)?;
                self.unsynced.restart(end, self.end_physical);
            }
            Opening::Again(unconfirmed) => {
                let end = probe.partition_point(extent.start, extent.end, |unit| unit.is_some())?;
                let synced = probe.partition_point(extent.start, end, begins_below(unconfirmed))?;
                self.set_end(end)?;
                let synced_physical = self.physical_end_at(synced)?;
                self.unsynced.restart(synced, synced_physical);
                self.note_unsynced_files(synced)?;
            }
            Opening::AfterCrash(limit) => {
                let end = probe.partition_point(extent.start, extent.end, begins_below(limit))?;
                let below = self.cut(end)?;
                cut = Cut {
                    units: below.units,
                    files: cut.files + below.files,
                };
            }
        }
        Ok(cut)
    }

    /// Ends the queue at `end`: removes later files, zeroes what is written behind, and syncs where anything changed.
    fn cut(&mut self, end: u64) -> Result<Cut> {
        let extent = self.view.extent();
        let last = end.saturating_sub(1).max(extent.start);
        let last = last - last % self.view.units_per_file;
        let mut later = self.view.retain_files(extent.start..last + 1);
        later.reverse();
        let files = later.len();
        self.remove(later)?;
        let units = self.zero(last, end)?;
        self.tail = None;
        self.set_end(end)?;
        self.unsynced.restart(end, self.end_physical);
        Ok(Cut { units, files })
    }

    fn set_end(&mut self, end: u64) -> Result<()> {
        self.end = end;
        self.end_physical = self.physical_end_at(end)?;
        self.view.publish_max(end);
        Ok(())
    }

    /// Behind the record of the last unit in front of `queue_offset`.
    fn physical_end_at(&self, queue_offset: u64) -> Result<PhysicalOffset> {
        if queue_offset <= self.view.extent().start {
            return Ok(PhysicalOffset(0));
        }
        let unit = Probe::new(&self.view).unit(queue_offset - 1)?;
        Ok(unit
            .filter(|unit| !unit.is_filler())
            .map_or(PhysicalOffset(0), |unit| unit.end()))
    }

    /// Has the files that hold units from `synced` on synced once more.
    fn note_unsynced_files(&mut self, synced: u64) -> Result<()> {
        let units_per_file = self.view.units_per_file;
        let mut start = synced - synced % units_per_file;
        while start < self.end {
            let path = file_path(&self.view.directory, start);
            let file = self.view.disk.open(&path, OpenMode::Write);
            self.unsynced
                .note(start, &file.map_err(|error| StoreError::io("open", &path, error))?);
            self.unsynced.note_new_file(start);
            start += units_per_file;
        }
        Ok(())
    }

    /// Zeroes the units from `end` on in the file that begins at `start`, where they are not zeros yet, and counts those
    /// that were written.
    fn zero(&self, start: u64, end: u64) -> Result<u64> {
        let path = file_path(&self.view.directory, start);
        let file = self
            .view
            .disk
            .open(&path, OpenMode::Write)
            .map_err(|error| StoreError::io("open", &path, error))?;
        let (mut at, end) = ((end - start) * UNIT_BYTES, self.view.units_per_file * UNIT_BYTES);
        let (mut units, mut changed) = (0, false);
        let mut bytes = vec![0; ZERO_STEP];
        while at < end {
            let wanted = bytes.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            let chunk = bytes.get_mut(..wanted).unwrap_or_default();
            let read = file
                .read_at(chunk, at)
                .map_err(|error| StoreError::io("read", &path, error))?;
            let chunk = chunk.get_mut(..read).unwrap_or_default();
            if chunk.iter().any(|&byte| byte != 0) {
                let (found, _) = chunk.as_chunks::<UNIT_LENGTH>();
                units += found.iter().filter(|unit| Unit::decode(unit).is_some()).count() as u64;
                chunk.fill(0);
                let written = file.write_at(&[IoSlice::new(chunk)], at);
                written.map_err(|error| StoreError::io("zero", &path, error))?;
                changed = true;
            }
            at += wanted as u64;
        }
        if changed {
            file.sync_data().map_err(|error| StoreError::io("sync", &path, error))?;
        }
        Ok(units)
    }
}

/// Whether a unit is written and its record begins below `limit`.
fn begins_below(limit: PhysicalOffset) -> impl Fn(Option<Unit>) -> bool {
    move |unit| unit.is_some_and(|unit| unit.physical_offset < limit)
}
