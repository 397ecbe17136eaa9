//! The capabilities over a segment's file that readers do not have: to write it, and to sync it.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::runway::Runway;
use super::{Segment, file_name};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Result, StoreError};

/// The only value that can write a segment; it cannot be cloned.
///
/// It refuses to touch what it has published, which is what makes [`Segment::read`] sound. Whoever opens a file anew
/// while readers still hold segments of it must likewise write only behind what those could read.
pub struct SegmentWriter {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    /// Known to whoever writes zeros ahead, if anybody does.
    runway: Arc<Runway>,
}

/// The capability to make a segment's bytes durable, for the thread that may block.
#[derive(Clone)]
pub struct SegmentSync {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
}

impl SegmentWriter {
    /// Makes the file with all its blocks and maps it; file and directory are durable when this returns. After a crash
    /// before that, a file of any length that holds only zeros may be found.
    ///
    /// # Errors
    /// [`StoreError::Io`]: it exists already, the disk is full, or what else the file system says.
    pub fn create(disk: &dyn Disk, directory: &Path, start: u64, length: u64) -> Result<Self> {
        let path = directory.join(file_name(start));
        let failed = |operation| move |source, path: &Path| StoreError::io(operation, path, source);
        let file = disk
            .open(&path, OpenMode::CreateNew)
            .map_err(|source| failed("create")(source, &path))?;
        file.allocate(0, length)
            .map_err(|source| failed("allocate")(source, &path))?;
        file.sync_data().map_err(|source| failed("sync")(source, &path))?;
        disk.sync_directory(directory)
            .map_err(|source| failed("sync")(source, directory))?;
        Self::mapped(start, length, path, file)
    }

    /// As [`SegmentWriter::create`], in the place of a file that an earlier attempt left, or an earlier life of the log that
    /// never wrote to it: the log ends in front of it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn create_anew(disk: &dyn Disk, directory: &Path, start: u64, length: u64) -> Result<Self> {
        let path = directory.join(file_name(start));
        match disk.remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", &path, error)),
            _ => Self::create(disk, directory, start, length),
        }
    }

    /// Opens a fully allocated file and maps it; nothing of it is published yet. Its length is the one found.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open_existing(disk: &dyn Disk, directory: &Path, start: u64) -> Result<Self> {
        let path = directory.join(file_name(start));
        let opened = disk
            .open(&path, OpenMode::Write)
            .and_then(|file| Ok((file.length()?, file)));
        let (length, file) = opened.map_err(|source| StoreError::io("open", &path, source))?;
        Self::mapped(start, length, path, file)
    }

    fn mapped(start: u64, length: u64, path: PathBuf, file: Arc<dyn DiskFile>) -> Result<Self> {
        let runway = Arc::new(Runway::new(Arc::clone(&file), path.clone(), length));
        let segment = Arc::new(Segment::of_file(start, length, path, Arc::clone(&file)));
        segment.map()?;
        Ok(Self { segment, file, runway })
    }

    /// The segment, to be put into the list that readers see.
    #[must_use]
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The capability to sync the file.
    #[must_use]
    pub fn sync_handle(&self) -> SegmentSync {
        SegmentSync {
            file: Arc::clone(&self.file),
            path: self.segment.path.clone(),
        }
    }

    /// Where zeros can be written ahead of it from its next write on.
    pub(crate) fn runway(&self) -> &Arc<Runway> {
        &self.runway
    }

    /// Writes all of `buffers`, one after the other, from `position_in_file` on; where zeros are written ahead, never in front
    /// of what it has written.
    ///
    /// # Errors
    /// [`StoreError::Io`]: `InvalidInput` for published bytes or past the end, otherwise what the disk says; how much
    /// was written is then unknown.
    pub fn write_at(&mut self, buffers: &[IoSlice<'_>], position_in_file: u64) -> Result<()> {
        let length = buffers.iter().map(|buffer| buffer.len() as u64).sum();
        self.check(position_in_file, length)
            .inspect(|()| self.runway.claim(position_in_file + length))
            .and_then(|()| self.file.write_at(buffers, position_in_file))
            .map_err(|source| self.failed("write", source))
    }

    /// Lets readers see the bytes below `upto` in the file, which never change again.
    ///
    /// # Panics
    /// When `upto` lies past the end or goes back.
    pub fn publish(&mut self, upto: u64) {
        let published = self.segment.readable();
        assert!(
            published <= upto && upto <= self.segment.length,
            "published {upto} after {published}: {:?}",
            self.segment
        );
        self.segment.readable.store(upto, Ordering::Release);
    }

    fn check(&self, position_in_file: u64, length: u64) -> io::Result<()> {
        let published = self.segment.readable();
        let inside = position_in_file
            .checked_add(length)
            .is_some_and(|end| end <= self.segment.length);
        if inside && position_in_file >= published {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{length} bytes at {position_in_file} do not lie between {published} and {}",
                self.segment.length
            ),
        ))
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> StoreError {
        StoreError::io(operation, &self.segment.path, source)
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.runway.close();
    }
}

impl fmt::Debug for SegmentWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SegmentWriter").field(&self.segment).finish()
    }
}

impl SegmentSync {
    /// fdatasync: makes what was written so far durable. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Io`]: what was written since the last success is then lost or not, whatever a later sync says.
    pub fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(|source| StoreError::io("sync", &self.path, source))
    }
}

impl fmt::Debug for SegmentSync {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SegmentSync").field(&self.path).finish()
    }
}

#[cfg(test)]
mod crash_tests;
