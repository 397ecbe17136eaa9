//! Finding the end of a queue when it is opened, and cutting it.
//!
//! Both are a binary search: what is to be kept is a prefix. After a clean stop that is every written unit. After a
//! crash, units of records from the log's confirmed position on may be there, be zeros, or be there behind zeros; but
//! every unit below it was synced, so that "written and below" holds for a prefix all the same. (One torn between two
//! sectors can have lost the high bytes of its physical offset and seem to lie below. Two neighbours cannot, so the
//! search asks for both; what it still gets wrong, by one, is noticed when the unit is fed again.) The rest goes, and is
//! fed again: so the pages become dirty once more, which they would not if a failed sync had marked them clean.
//!
//! A cut removes later files first, the newest first, then zeroes the rest of its own: after a crash in the midst the
//! next open finds the same end. The oldest file stays even when nothing in it does, since its name carries the queue
//! offset that comes next.

use std::sync::Arc;

use super::file_path;
use super::files::{Found, Probe};
use super::queue::{ConsumeQueue, Opening};
use super::unit::{UNIT_BYTES, UNIT_LENGTH, Unit};
use crate::disk::{Blocks, OpenMode};
use crate::error::{Result, StoreError};
use crate::position::{PhysicalOffset, QueueOffset};

/// Disks write so many bytes as one, or a multiple of them.
const SECTOR_BYTES: u64 = 512;
/// Where in a unit its tags code is.
const TAGS_CODE_AT: usize = 12;
/// How many units are read at a time to count what is cut.
const COUNT_STEP: usize = 3000;

/// What was cut from a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// About how many units were zeroed in the file that is now the last.
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
        self.check_exclusive()?;
        let from = self.view.extent().start;
        let end = Probe::new(&self.view).partition_point(from, self.end, begins_below(limit))?;
        if end == self.end {
            Ok(Cut::default())
        } else {
            self.cut(end, true)
        }
    }

    /// Takes over the files found and sets the end.
    pub(super) fn recover(&mut self, found: Found, opening: Opening) -> Result<Cut> {
        for start in found.starts {
            self.view.publish_file(start);
        }
        self.remove(found.short)?;
        let mut cut = Cut {
            units: 0,
            files: usize::from(found.short.is_some()),
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
            Opening::AfterCrash(limit) | Opening::AfterCrashTogether(limit) => {
                let alone = matches!(opening, Opening::AfterCrash(_));
                if alone {
                    // A process that was killed can have made a file whose name only the page cache has.
                    self.view.sync_directory()?;
                }
                let end = probe.partition_point_of_pairs(extent.start, extent.end, begins_below(limit))?;
                let below = self.cut(end, alone)?;
                cut = Cut {
                    units: below.units,
                    files: cut.files + below.files,
                };
            }
        }
        Ok(cut)
    }

    /// Ends the queue at `end`: removes later files, zeroes what is written behind, and if `synced`, syncs that.
    fn cut(&mut self, end: u64, synced: bool) -> Result<Cut> {
        self.write_newest()?;
        let extent = self.view.extent();
        let last = end.saturating_sub(1).max(extent.start);
        let last = last - last % self.view.units_per_file;
        let mut later = self.view.retain_files(extent.start..last + 1);
        later.reverse();
        let files = later.len();
        self.remove(later)?;
        let units = self.zero(last, end, synced)?;
        self.tail = None;
        self.set_end(end)?;
        self.unsynced.restart(end, self.end_physical);
        self.reopen_extension()?;
        Ok(Cut { units, files })
    }

    fn set_end(&mut self, end: u64) -> Result<()> {
        self.end = end;
        self.view.newest.restart(end);
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
            let unsynced = &mut self.unsynced.files;
            unsynced.note(start, &file.map_err(|error| StoreError::io("open", &path, error))?);
            unsynced.note_new_file(start);
            unsynced.note_new_directory();
            start += units_per_file;
        }
        Ok(())
    }

    /// Zeroes the units from `end` on in the file that begins at `start`, and gives about how many were written: those in
    /// front of the first [`COUNT_STEP`] that are not.
    fn zero(&self, start: u64, end: u64, synced: bool) -> Result<u64> {
        let path = file_path(&self.view.directory, start);
        let file = self
            .view
            .disk
            .open(&path, OpenMode::Write)
            .map_err(|error| StoreError::io("open", &path, error))?;
        let (from, file_bytes) = ((end - start) * UNIT_BYTES, self.view.units_per_file * UNIT_BYTES);
        let mut units = 0;
        let mut bytes = vec![0; COUNT_STEP * UNIT_LENGTH];
        for at in (from..file_bytes).step_by(bytes.len()) {
            let read = file
                .read_at(&mut bytes, at)
                .map_err(|error| StoreError::io("read", &path, error))?;
            let (step, _) = bytes.get(..read).unwrap_or_default().as_chunks();
            let written = step.iter().filter(|unit| Unit::decode(unit).is_some()).count();
            if written == 0 {
                break;
            }
            units += written as u64;
        }
        if from < file_bytes {
            let zeroed = file.zero(from, file_bytes - from, Blocks::Released);
            zeroed.map_err(|error| StoreError::io("zero", &path, error))?;
            if synced {
                file.sync_data().map_err(|error| StoreError::io("sync", &path, error))?;
            }
        }
        Ok(units)
    }

    /// Makes sure that the last of some units which are there already is the same that is fed again, or else cuts it. After
    /// a crash the last one kept can be torn in its physical offset, so that it seemed to begin below the limit; damaged, it
    /// can seem to lie behind all that is fed. That of an older record, whole, is none of both: a newer one claims its place.
    pub(super) fn check_replay(&mut self, first: u64, units: &[Unit]) -> Result<()> {
        let Some(last) = self.end.checked_sub(1).filter(|&last| last >= first) else {
            return Ok(());
        };
        let fed = usize::try_from(last - first).ok().and_then(|index| units.get(index));
        let Some(fed) = fed else { return Ok(()) };
        if last < self.view.extent().start {
            return Ok(());
        }
        if let Some(kept) = self.view.unit(QueueOffset(last))?
            && self.fits(last, &kept, fed)?
        {
            return Ok(());
        }
        self.check_exclusive()?;
        self.cut(last, true).map(|_| ())
    }

    /// Whether a unit that is there at `queue_offset` can be the one that is fed, or that of an older record.
    fn fits(&self, queue_offset: u64, kept: &Unit, fed: &Unit) -> Result<bool> {
        // The tags code may differ: that of a queue with an extension leads there, that of a delayed message follows from
        // the levels of its time.
        let is_same = (kept.physical_offset, kept.size) == (fed.physical_offset, fed.size);
        // Whole, it lies behind the unit before it.
        let is_older =
            kept.physical_offset < fed.physical_offset && kept.physical_offset >= self.physical_end_at(queue_offset)?;
        let at = queue_offset % self.view.units_per_file * UNIT_BYTES;
        let lost = usize::try_from(SECTOR_BYTES - at % SECTOR_BYTES).unwrap_or(UNIT_LENGTH);
        Ok(is_same || is_older && !is_rest_of(kept, fed, lost))
    }

    /// Fails when somebody may be reading what is to be cut.
    fn check_exclusive(&self) -> Result<()> {
        if Arc::strong_count(&self.view) == 1 {
            return Ok(());
        }
        let reason = String::from("the consume queue must be cut and is being read; stop its readers first");
        Err(StoreError::Unsupported {
            path: self.view.directory.clone(),
            reason,
        })
    }
}

/// Whether a unit is what is left of another one whose first `lost` bytes did not reach the disk, if not all.
fn is_rest_of(kept: &Unit, whole: &Unit, lost: usize) -> bool {
    let (kept, mut whole) = (kept.encode(), whole.encode());
    let Some(head) = whole.get_mut(..lost) else {
        return false;
    };
    head.fill(0);
    kept.get(..TAGS_CODE_AT) == whole.get(..TAGS_CODE_AT)
}

/// Whether a unit is written and its record begins below `limit`.
fn begins_below(limit: PhysicalOffset) -> impl Fn(Option<Unit>) -> bool {
    move |unit| unit.is_some_and(|unit| unit.physical_offset < limit)
}
