//! The files of one consume queue, unit by unit, as they are found.

use std::path::PathBuf;

use super::Store;
use crate::consume_queue::{QueuePlace, UNIT_BYTES, Unit, parse_name};
use crate::disk::{Disk, OpenMode, list};
use crate::error::{Result, StoreError};
use crate::segment::file_name;

/// How many units are kept of each queue.
const KEPT: u64 = 128;

/// One queue's files, and a few units of them.
pub(super) struct QueueFiles {
    pub(super) directory: PathBuf,
    /// Where each begins, in bytes, and its length.
    pub(super) files: Vec<(u64, u64)>,
    kept: Vec<u8>,
    kept_at: u64,
}

impl QueueFiles {
    /// Lists a queue's files; none where it has no directory.
    pub(super) fn open(store: &Store, topic: &str, queue_id: u32) -> Result<Self> {
        let place = QueuePlace {
            root: &store.layout.root,
            topic,
            queue_id,
        };
        let directory = place.directory()?;
        let files = list(store.disk.as_ref(), &directory)?;
        let file = |entry: crate::disk::Entry| Some((parse_name(&entry.name)?, entry.length));
        Ok(Self {
            files: files
                .into_iter()
                .filter(|entry| !entry.is_directory)
                .filter_map(file)
                .collect(),
            directory,
            kept: Vec::new(),
            kept_at: 0,
        })
    }

    /// The path of the file that begins at byte `start`.
    pub(super) fn path(&self, start: u64) -> PathBuf {
        self.directory.join(file_name(start))
    }

    /// The file in which a unit lies, or would, and its byte there.
    pub(super) fn locate(&self, at: u64) -> (PathBuf, u64) {
        let byte = at.saturating_mul(UNIT_BYTES);
        match self.file_of(byte) {
            Some((start, _)) => (self.path(start), byte - start),
            None => (self.directory.clone(), byte),
        }
    }

    /// The first unit that has a file.
    pub(super) fn first(&self) -> u64 {
        self.files.first().map_or(0, |(start, _)| start / UNIT_BYTES)
    }

    /// The file behind which the next one is missing, by where that would begin.
    pub(super) fn gap(&self) -> Option<u64> {
        let pairs = self.files.windows(2);
        let mut gaps = pairs.filter_map(|pair| match pair {
            [(start, length), (next, _)] if start.checked_add(*length) != Some(*next) => {
                Some(start.saturating_add(*length))
            }
            _ => None,
        });
        gaps.next()
    }

    /// The unit at a place, if one is written there.
    pub(super) fn unit(&mut self, disk: &dyn Disk, at: u64) -> Result<Option<Unit>> {
        let byte = at.saturating_mul(UNIT_BYTES);
        let kept = (self.kept.len() as u64) / UNIT_BYTES;
        if at < self.kept_at || at - self.kept_at >= kept {
            self.fill(disk, byte)?;
            self.kept_at = at;
        }
        let skip = usize::try_from((at - self.kept_at) * UNIT_BYTES).unwrap_or(usize::MAX);
        let bytes = self.kept.get(skip..).and_then(<[u8]>::first_chunk);
        Ok(bytes.and_then(Unit::decode))
    }

    /// Forgets what was read: its owner may have written since.
    pub(super) fn forget(&mut self) {
        self.kept = Vec::new();
    }

    fn fill(&mut self, disk: &dyn Disk, byte: u64) -> Result<()> {
        self.kept.clear();
        let Some((start, length)) = self.file_of(byte) else {
            return Ok(());
        };
        let path = self.path(start);
        let wanted = (KEPT * UNIT_BYTES).min(length - (byte - start));
        let file = match disk.open(&path, OpenMode::Read) {
            // Retention has removed it since.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(|error| StoreError::io("open", &path, error))?,
        };
        self.kept.resize(usize::try_from(wanted).unwrap_or(0), 0);
        let read = file.read_at(&mut self.kept, byte - start);
        let read = read.map_err(|error| StoreError::io("read", &path, error))?;
        self.kept.truncate(read);
        Ok(())
    }

    fn file_of(&self, byte: u64) -> Option<(u64, u64)> {
        let behind = self.files.partition_point(|(start, _)| *start <= byte);
        let (start, length) = self.files.get(behind.checked_sub(1)?).copied()?;
        (byte - start < length).then_some((start, length))
    }
}
