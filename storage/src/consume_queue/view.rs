//! The read side of a consume queue: shared by all readers, written to by the queue's owner alone.
//!
//! A reader of young units loads `max_offset` (Acquire), finds the file in the published list and takes a slice of its
//! mapping: no lock, no system call but for the first read of a file, which maps it. Old ones are read by pread, where the
//! disk may be waited for and its errors are errors. The owner publishes a file before it raises
//! `max_offset` (Release) past its beginning. Bytes below `max_offset` are never written again while a reader can see
//! them (a cut asks for exclusive access). Files keep their length; a mapping outlives the deletion of its file.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::extension::ExtensionFiles;
use super::queue::QueuePlace;
use super::recency::Recency;
use super::unit::{UNIT_BYTES, UNIT_LENGTH, Unit};
use crate::disk::{Disk, DiskFile, OpenMode, sync_directory};
use crate::error::{Result, StoreError};
use crate::position::{PhysicalOffset, QueueOffset};
use crate::read_view::ReadView;

/// What readers see of a queue.
pub struct QueueView {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    pub(super) units_per_file: u64,
    min_offset: AtomicU64,
    max_offset: AtomicU64,
    /// How often the queue has begun anew: what was found out about it before then says nothing.
    begun: AtomicU64,
    files: ArcSwap<Vec<Arc<QueueFile>>>,
    pub(super) recency: Recency,
    /// Where tags codes are that the units only lead to; `None` where no unit does.
    pub(super) extension: ArcSwapOption<ExtensionFiles>,
}

/// One file of a queue, mapped on its first read.
struct QueueFile {
    /// The queue offset of its first unit.
    start: u64,
    mapping: ArcSwapOption<ReadView>,
}

impl QueueFile {
    fn new(start: u64) -> Arc<Self> {
        Arc::new(Self {
            start,
            mapping: ArcSwapOption::empty(),
        })
    }
}

impl QueueView {
    /// A queue that has no files yet, until its owner shows what it holds.
    ///
    /// # Errors
    /// When the topic is no name of a directory.
    pub fn unopened(disk: Arc<dyn Disk>, place: QueuePlace<'_>, file_bytes: u64) -> Result<Self> {
        Ok(Self::new(disk, place.directory()?, file_bytes / UNIT_BYTES))
    }

    pub(super) fn new(disk: Arc<dyn Disk>, directory: PathBuf, units_per_file: u64) -> Self {
        Self {
            disk,
            directory,
            units_per_file,
            min_offset: AtomicU64::new(0),
            max_offset: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            files: ArcSwap::from_pointee(Vec::new()),
            recency: Recency::new(),
            extension: ArcSwapOption::empty(),
        }
    }

    /// The queue offset of the oldest message that the commit log still has.
    #[must_use]
    pub fn min_offset(&self) -> QueueOffset {
        QueueOffset(self.min_offset.load(Ordering::Acquire))
    }

    /// The queue offset that the next message gets; all below it can be read.
    #[must_use]
    pub fn max_offset(&self) -> QueueOffset {
        QueueOffset(self.max_offset.load(Ordering::Acquire))
    }

    /// Whether the unit at `queue_offset` and all behind it may be taken to be in memory, as far as records from `from`
    /// on are.
    #[must_use]
    pub fn is_young(&self, queue_offset: QueueOffset, from: PhysicalOffset) -> bool {
        self.recency.is_young(queue_offset.0, from)
    }

    /// Up to `max_units` units from `first` on, straight from the mapping: for young ones, since touching others may wait
    /// for the disk and dies of its errors. They end with the file at the latest (ask again behind them); there are none
    /// when nothing is stored at `first`.
    ///
    /// # Errors
    /// When the file cannot be mapped.
    pub fn read(&self, first: QueueOffset, max_units: usize) -> Result<Units> {
        let none = Units {
            mapping: None,
            at: 0,
            end: 0,
            next: first,
        };
        let files = self.files.load();
        let Some((file, bytes)) = self.run(&files, first, max_units) else {
            return Ok(none);
        };
        let Some(mapping) = self.map(file)? else {
            return Ok(none);
        };
        Ok(Units {
            at: bytes.start,
            end: bytes.end,
            mapping: Some(mapping),
            next: first,
        })
    }

    /// As [`QueueView::read`], but by pread and without a mapping: for whoever may wait for the disk.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn copy(&self, first: QueueOffset, max_units: usize) -> Result<Vec<Unit>> {
        let files = self.files.load();
        let Some((file, range)) = self.run(&files, first, max_units) else {
            return Ok(Vec::new());
        };
        let Some(opened) = self.open(file)? else {
            return Ok(Vec::new());
        };
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or_default()];
        let read = opened
            .read_at(&mut bytes, range.start)
            .map_err(|error| StoreError::io("read", &super::file_path(&self.directory, file.start), error))?;
        bytes.truncate(read);
        let (units, _) = bytes.as_chunks();
        Ok(units.iter().map_while(Unit::decode).collect())
    }

    /// The unit at `queue_offset`, if one is stored there, as [`QueueView::copy`] reads it.
    ///
    /// # Errors
    /// As there.
    pub fn unit(&self, queue_offset: QueueOffset) -> Result<Option<Unit>> {
        Ok(self.copy(queue_offset, 1)?.first().copied())
    }

    /// How many of the queue's files are mapped.
    #[must_use]
    pub fn mapped(&self) -> usize {
        self.files
            .load()
            .iter()
            .filter(|file| file.mapping.load().is_some())
            .count()
    }

    /// Lets go of all mappings; a later read maps again. Readers under way keep theirs.
    pub fn unmap(&self) {
        for file in self.files.load().iter() {
            file.mapping.store(None);
        }
    }

    /// The queue offsets of the files' first units, and of what would come behind the last file.
    pub(super) fn extent(&self) -> Range<u64> {
        let files = self.files.load();
        let start = files.first().map_or(0, |file| file.start);
        start..files.last().map_or(0, |file| file.start + self.units_per_file)
    }

    /// Adds the file that begins at `start` behind the others.
    pub(super) fn publish_file(&self, start: u64) {
        let mut files = Vec::clone(&self.files.load());
        files.push(QueueFile::new(start));
        self.files.store(Arc::new(files));
    }

    /// Takes the files that begin outside of `keep` from the list and gives their beginnings, ascending.
    pub(super) fn retain_files(&self, keep: Range<u64>) -> Vec<u64> {
        let (kept, dropped): (Vec<_>, Vec<_>) = self
            .files
            .load()
            .iter()
            .cloned()
            .partition(|file| keep.contains(&file.start));
        if !dropped.is_empty() {
            self.files.store(Arc::new(kept));
        }
        dropped.iter().map(|file| file.start).collect()
    }

    /// How often the queue has begun anew.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// Notes that the queue begins anew.
    pub(super) fn begin_anew(&self) {
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn publish_max(&self, max_offset: u64) {
        self.max_offset.store(max_offset, Ordering::Release);
    }

    pub(super) fn publish_min(&self, min_offset: u64) {
        self.min_offset.store(min_offset, Ordering::Release);
    }

    /// Makes the making and removing of files durable.
    pub(super) fn sync_directory(&self) -> Result<()> {
        sync_directory(self.disk.as_ref(), &self.directory)
    }

    /// Syncs the names of the queue's directory, of its topic's and of the one of all topics.
    pub(super) fn sync_names(&self) -> Result<()> {
        let above = self.directory.ancestors().skip(1).take(3);
        above
            .into_iter()
            .try_for_each(|directory| sync_directory(self.disk.as_ref(), directory))
    }

    /// Where up to `max_units` units from `first` on lie: the file, and their bytes in it.
    fn run<'a>(
        &self,
        files: &'a [Arc<QueueFile>],
        first: QueueOffset,
        max_units: usize,
    ) -> Option<(&'a QueueFile, Range<u64>)> {
        let max_offset = self.max_offset();
        if first >= max_offset {
            return None;
        }
        let file = self.locate(files, first.0)?;
        let until = max_offset
            .0
            .min(file.start + self.units_per_file)
            .min(first.0.saturating_add(max_units as u64));
        let byte = |unit: u64| (unit - file.start) * UNIT_BYTES;
        Some((file, byte(first.0)..byte(until)))
    }

    fn locate<'a>(&self, files: &'a [Arc<QueueFile>], unit: u64) -> Option<&'a Arc<QueueFile>> {
        let index = unit.checked_sub(files.first()?.start)? / self.units_per_file;
        files.get(usize::try_from(index).ok()?)
    }

    /// The mapping of a file; `None` when the file is gone by now.
    fn map(&self, file: &QueueFile) -> Result<Option<ReadView>> {
        if let Some(mapping) = file.mapping.load().as_deref() {
            return Ok(Some(mapping.clone()));
        }
        let Some(opened) = self.open(file)? else {
            return Ok(None);
        };
        let mapping = opened
            .view(self.units_per_file * UNIT_BYTES)
            .map_err(|error| StoreError::io("map", &super::file_path(&self.directory, file.start), error))?;
        file.mapping.store(Some(Arc::new(mapping.clone())));
        Ok(Some(mapping))
    }

    /// Opens a file; `None` when it is gone by now.
    fn open(&self, file: &QueueFile) -> Result<Option<Arc<dyn DiskFile>>> {
        let path = super::file_path(&self.directory, file.start);
        match self.disk.open(&path, OpenMode::Read) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("open", &path, error)),
        }
    }
}

/// A run of units, with the queue offset of each; it keeps the mapping alive.
pub struct Units {
    mapping: Option<ReadView>,
    at: u64,
    end: u64,
    next: QueueOffset,
}

impl Units {
    /// The bytes of the units not yet taken.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.mapping
            .as_ref()
            .and_then(|mapping| mapping.slice(self.at..self.end))
            .unwrap_or_default()
    }
}

impl Iterator for Units {
    type Item = (QueueOffset, Unit);

    fn next(&mut self) -> Option<Self::Item> {
        let unit = Unit::decode(self.bytes().first_chunk::<UNIT_LENGTH>()?)?;
        let queue_offset = self.next;
        self.at += UNIT_BYTES;
        self.next = queue_offset.advanced(1);
        Some((queue_offset, unit))
    }
}
