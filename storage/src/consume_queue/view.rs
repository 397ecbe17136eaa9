//! The read side of a consume queue: shared by all readers, written to by the queue's owner alone.
//!
//! A reader of young units loads `max_offset` (Acquire), finds the file in the published list and takes a slice of its
//! mapping: no lock, no system call but for the first read of a file, which maps it. The newest, which the file lacks yet,
//! it copies under a lock that is held for no longer. Old ones are read by pread, where the
//! disk may be waited for and its errors are errors. The owner publishes a file before it raises
//! `max_offset` (Release) past its beginning. Bytes of units that are published are never written again while a reader can see
//! them (a cut asks for exclusive access). Files keep their length; a mapping outlives the deletion of its file.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::extension::ExtensionFiles;
use super::newest::NewestUnits;
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
    pub(super) newest: NewestUnits,
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

    /// Where in it a unit begins.
    fn byte(&self, unit: u64) -> u64 {
        (unit - self.start) * UNIT_BYTES
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
            newest: NewestUnits::default(),
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

    /// Up to `max_units` units from `first` on, straight from the mapping and from memory: for young ones, since touching
    /// others may wait for the disk and dies of its errors. They end with the file at the latest (ask again behind them);
    /// there are none when nothing is stored at `first`.
    ///
    /// # Errors
    /// When the file cannot be mapped.
    pub fn read(&self, first: QueueOffset, max_units: usize) -> Result<Units> {
        let until = self.until(first, max_units);
        let mut units = Units::none(first);
        if let Some(newest) = self.newest.copy(first.0, until) {
            units.newest = newest.into_iter();
            return Ok(units);
        }
        let files = self.files.load();
        if let Some((file, run)) = self.run(&files, first, until)
            && let Some(mapping) = self.map(file)?
        {
            units.mapping = Some(mapping);
            (units.at, units.end) = (file.byte(run.start), file.byte(run.end));
            units.newest = self.newest_behind(file, run.end, until).into_iter();
        }
        Ok(units)
    }

    /// As [`QueueView::read`], but by pread and without a mapping: for whoever may wait for the disk.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn copy(&self, first: QueueOffset, max_units: usize) -> Result<Vec<Unit>> {
        let until = self.until(first, max_units);
        if let Some(newest) = self.newest.copy(first.0, until) {
            return Ok(newest);
        }
        let files = self.files.load();
        let Some((file, run)) = self.run(&files, first, until) else {
            return Ok(Vec::new());
        };
        let Some(opened) = self.open(file)? else {
            return Ok(Vec::new());
        };
        let range = file.byte(run.start)..file.byte(run.end);
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or_default()];
        let read = opened
            .read_at(&mut bytes, range.start)
            .map_err(|error| StoreError::io("read", &super::file_path(&self.directory, file.start), error))?;
        bytes.truncate(read);
        let (encoded, _) = bytes.as_chunks();
        let mut units: Vec<_> = encoded.iter().map_while(Unit::decode).collect();
        if units.len() as u64 == run.end - run.start {
            units.append(&mut self.newest_behind(file, run.end, until));
        }
        Ok(units)
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

    /// Behind the last of `max_units` units from `first` on that is published.
    fn until(&self, first: QueueOffset, max_units: usize) -> u64 {
        self.max_offset().0.min(first.0.saturating_add(max_units as u64))
    }

    /// Which units from `first` on, in front of `until`, lie in one file.
    fn run<'a>(
        &self,
        files: &'a [Arc<QueueFile>],
        first: QueueOffset,
        until: u64,
    ) -> Option<(&'a QueueFile, Range<u64>)> {
        let file = self.locate(files, first.0)?;
        let until = until.min(file.start + self.units_per_file).min(self.newest.from());
        (first.0 < until).then_some((file, first.0..until))
    }

    /// What follows on the units of a file, in it and yet not written.
    fn newest_behind(&self, file: &QueueFile, first: u64, until: u64) -> Vec<Unit> {
        let until = until.min(file.start + self.units_per_file);
        if first < until {
            self.newest.copy(first, until).unwrap_or_default()
        } else {
            Vec::new()
        }
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
#[derive(Clone)]
pub struct Units {
    mapping: Option<ReadView>,
    at: u64,
    end: u64,
    /// Those behind what is mapped.
    newest: std::vec::IntoIter<Unit>,
    next: QueueOffset,
}

impl Units {
    fn none(first: QueueOffset) -> Self {
        Self {
            mapping: None,
            at: 0,
            end: 0,
            newest: Vec::new().into_iter(),
            next: first,
        }
    }

    fn take(&mut self) -> Option<Unit> {
        if self.at == self.end {
            return self.newest.next();
        }
        let bytes = self.mapping.as_ref()?.slice(self.at..self.end)?;
        let unit = Unit::decode(bytes.first_chunk::<UNIT_LENGTH>()?)?;
        self.at += UNIT_BYTES;
        Some(unit)
    }
}

impl Iterator for Units {
    type Item = (QueueOffset, Unit);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let unit = self.take()?;
        let queue_offset = self.next;
        self.next = queue_offset.advanced(1);
        Some((queue_offset, unit))
    }
}
