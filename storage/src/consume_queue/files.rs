//! The files of one queue as they are found on the disk, and reading single units of them by pread.
//!
//! A crash can leave a newest file whose length did not become durable: it is shorter than the others, and nothing in
//! it was ever confirmed. It cannot leave a gap, since the writer makes no file before the one in front of it is durable,
//! and every removal is synced by itself.

use std::path::Path;
use std::sync::Arc;

use super::file_path;
use super::queue::Opening;
use super::unit::{UNIT_BYTES, UNIT_LENGTH, Unit};
use super::view::QueueView;
use crate::disk::{self, Disk, DiskFile, OpenMode};
use crate::error::{Result, StoreError};
use crate::position::PLACES_END;

/// What a queue's directory holds.
pub(super) struct Found {
    /// The length of the files, or what was configured when there are none.
    pub(super) file_bytes: u64,
    /// The queue offsets at which the files of full length begin, ascending and without a gap.
    pub(super) starts: Vec<u64>,
    /// Likewise for a newest file that never got its length.
    pub(super) short: Option<u64>,
}

/// Lists a queue's directory. All files have the length of the first one; alone it can have any, but not one that a
/// crash left it with.
pub(super) fn scan(disk: &dyn Disk, directory: &Path, configured: u64, opening: Opening) -> Result<Found> {
    let mut files = list(disk, directory)?;
    let mut file_bytes = files.first().map_or(configured, |&(_, length)| length);
    let shorter = if files.len() == 1 { configured } else { file_bytes };
    let short = files.pop_if(|(_, length)| *length < shorter);
    let short = match short {
        Some((first_byte, length)) if length > 0 && !may_be_short(disk, directory, first_byte, opening)? => {
            files.push((first_byte, length));
            None
        }
        short => short.map(|(first_byte, _)| first_byte / UNIT_BYTES),
    };
    if files.is_empty() {
        file_bytes = configured;
    }
    if file_bytes == 0 || file_bytes % UNIT_BYTES != 0 {
        let reason = format!("its files are {file_bytes} bytes long, which is no multiple of {UNIT_BYTES} above 0");
        return Err(StoreError::Unsupported {
            path: directory.to_owned(),
            reason,
        });
    }
    let mut starts = Vec::with_capacity(files.len());
    let mut next = None;
    for (first_byte, found) in files {
        let path = file_path(directory, first_byte / UNIT_BYTES);
        if first_byte % file_bytes != 0 || found != file_bytes {
            let key = "mappedFileSizeConsumeQueue";
            return Err(StoreError::SizeMismatch {
                path,
                found,
                configured: file_bytes,
                key,
            });
        }
        if next.is_some_and(|next| next != first_byte) {
            let reason = String::from(
                "the file in front of this one is missing; remove the queue's directory to have the queue rebuilt",
            );
            return Err(StoreError::Damaged {
                path,
                position: 0,
                reason,
            });
        }
        next = Some(first_byte + file_bytes);
        starts.push(first_byte / UNIT_BYTES);
    }
    Ok(Found {
        file_bytes,
        starts,
        short,
    })
}

/// The files by the position in their name, with their lengths.
fn list(disk: &dyn Disk, directory: &Path) -> Result<Vec<(u64, u64)>> {
    let mut files = Vec::new();
    for entry in disk::list(disk, directory)? {
        match parse_name(&entry.name).filter(|_| !entry.is_directory) {
            Some(first_byte) => files.push((first_byte, entry.length)),
            None => {
                let name = entry.name;
                tracing::warn!(directory = %directory.display(), name, "no consume queue file, left alone");
            }
        }
    }
    Ok(files)
}

/// Whether a crash can have left a file without its length: then nothing in it was confirmed.
pub(super) fn may_be_short(disk: &dyn Disk, directory: &Path, first_byte: u64, opening: Opening) -> Result<bool> {
    let Some(limit) = opening.crashed_from() else {
        return Ok(false);
    };
    let path = file_path(directory, first_byte / UNIT_BYTES);
    let mut bytes = [0; UNIT_LENGTH];
    let file = disk
        .open(&path, OpenMode::Read)
        .map_err(|error| StoreError::io("open", &path, error))?;
    file.read_at(&mut bytes, 0)
        .map_err(|error| StoreError::io("read", &path, error))?;
    Ok(Unit::decode(&bytes).is_none_or(|unit| unit.physical_offset >= limit))
}

/// The first byte that a file's name of 20 digits says, which is that of a unit; `None` for other names.
pub(crate) fn parse_name(name: &str) -> Option<u64> {
    parse_place(name).filter(|first_byte| first_byte % UNIT_BYTES == 0)
}

/// The place that a file's name of 20 digits says; `None` for other names.
pub(super) fn parse_place(name: &str) -> Option<u64> {
    let is_plain = name.len() == 20 && name.bytes().all(|digit| digit.is_ascii_digit());
    let place = is_plain.then(|| name.parse::<u64>().ok())??;
    // Java's positions are signed, and the file behind this one must have a name, too.
    (place < PLACES_END).then_some(place)
}

/// Reads single units from a queue's files, keeping the file of the last one open.
pub(super) struct Probe<'a> {
    view: &'a QueueView,
    open: Option<(u64, Arc<dyn DiskFile>)>,
}

impl<'a> Probe<'a> {
    pub(super) fn new(view: &'a QueueView) -> Self {
        Self { view, open: None }
    }

    /// The unit at `queue_offset`, which must lie within a file, or in memory and yet not there.
    pub(super) fn unit(&mut self, queue_offset: u64) -> Result<Option<Unit>> {
        if let Some(newest) = self.view.newest.copy(queue_offset, queue_offset.saturating_add(1))
            && let [unit] = newest.as_slice()
        {
            return Ok(Some(*unit));
        }
        let start = queue_offset - queue_offset % self.view.units_per_file;
        let path = file_path(&self.view.directory, start);
        let file = match &self.open {
            Some((opened, file)) if *opened == start => Arc::clone(file),
            _ => {
                let opened = self.view.disk.open(&path, OpenMode::Read);
                let file = opened.map_err(|error| StoreError::io("open", &path, error))?;
                self.open = Some((start, Arc::clone(&file)));
                file
            }
        };
        let mut bytes = [0; UNIT_LENGTH];
        let read = file.read_at(&mut bytes, (queue_offset - start) * UNIT_BYTES);
        read.map_err(|error| StoreError::io("read", &path, error))?;
        Ok(Unit::decode(&bytes))
    }

    /// The first queue offset in `from..to` whose unit does not satisfy `is_before`; those that do come first.
    pub(super) fn partition_point(
        &mut self,
        from: u64,
        to: u64,
        is_before: impl Fn(Option<Unit>) -> bool,
    ) -> Result<u64> {
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(self.unit(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// As [`Probe::partition_point`], where a single unit behind the point may satisfy `is_before` all the same.
    pub(super) fn partition_point_of_pairs(
        &mut self,
        from: u64,
        to: u64,
        is_before: impl Fn(Option<Unit>) -> bool,
    ) -> Result<u64> {
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(self.unit(middle)?) && (middle == from || is_before(self.unit(middle - 1)?)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}
