//! One file of a mapped-file queue (Java's `MappedFile`): what readers see of it, and the one value that writes it.
//!
//! A [`Segment`] is shared: it shows the bytes below its watermark, which never change again, straight from a mapping.
//! A [`SegmentWriter`] is held by the owner alone: it writes above the watermark, and raises the watermark by
//! [`SegmentWriter::publish`]. A [`SegmentSync`] can only fdatasync, and goes to the thread that may block. Readers
//! look positions up in a [`SegmentList`].
//!
//! The name of a file is the position of its first byte in the whole queue, in 20 decimal digits.
//! "In the file" always means counted from the first byte of the file, whose position in the queue is `start`.

mod list;
mod runway;
mod writer;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

pub use list::{LoadedSegments, SegmentList};
pub(crate) use runway::Runway;
pub use writer::{SegmentSync, SegmentWriter};

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Result, StoreError};
use crate::position::PLACES_END;
use crate::read_view::ReadView;

const NAME_DIGITS: usize = 20;
/// How much is read at once where the kernel cannot make the pages of a mapping present.
const PIECE: usize = 1 << 16;

/// The name of the file whose first byte has the position `start` in its queue.
#[must_use]
pub fn file_name(start: u64) -> String {
    format!("{start:0NAME_DIGITS$}")
}

/// The position that a file name stands for; `None` unless it is exactly 20 decimal digits, and a place where a file can be.
#[must_use]
pub fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.len() == NAME_DIGITS && name.bytes().all(|byte| byte.is_ascii_digit());
    let start = digits.then(|| name.parse().ok())??;
    (start < PLACES_END).then_some(start)
}

/// A file of a queue as readers see it.
pub struct Segment {
    start: u64,
    length: u64,
    path: PathBuf,
    source: Source,
    view: OnceLock<ReadView>,
    /// The bytes in the file below this never change again. Shared by all segments of the same file.
    readable: AtomicU64,
}

/// Where the mapping comes from.
enum Source {
    /// The writer's own handle.
    File(Arc<dyn DiskFile>),
    /// The file is opened for the moment of mapping only, so that many idle ones cost no descriptors.
    Disk(Arc<dyn Disk>),
}

impl Segment {
    /// A file that its writer has open.
    fn of_file(start: u64, length: u64, path: PathBuf, file: Arc<dyn DiskFile>) -> Self {
        let (source, readable) = (Source::File(file), AtomicU64::new(0));
        Self {
            start,
            length,
            path,
            source,
            view: OnceLock::new(),
            readable,
        }
    }

    /// A file that nobody writes any more, neither opened nor mapped before the first [`Segment::map`]. Its first
    /// `readable` bytes can be read.
    #[must_use]
    pub fn open_lazy(disk: Arc<dyn Disk>, directory: &Path, start: u64, length: u64, readable: u64) -> Self {
        let path = directory.join(file_name(start));
        let readable = AtomicU64::new(readable.min(length));
        Self {
            start,
            length,
            path,
            source: Source::Disk(disk),
            view: OnceLock::new(),
            readable,
        }
    }

    /// The position in the queue of its first byte.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The position in the queue behind its last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes of the file can be read.
    #[must_use]
    pub fn readable(&self) -> u64 {
        self.readable.load(Ordering::Acquire)
    }

    /// Where a position of the queue lies in the file; `None` when it lies in another one.
    #[must_use]
    pub fn position_in_file(&self, position: u64) -> Option<u64> {
        position
            .checked_sub(self.start)
            .filter(|in_file| *in_file < self.length)
    }

    /// Maps the file unless it is mapped; to be called before [`Segment::read`] of a lazy one.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be opened (it may have been deleted) or mapped.
    pub fn map(&self) -> Result<()> {
        self.view().map(|_| ())
    }

    /// The bytes of `range` in the file, from the mapping; `None` unless it lies below the watermark and the file is
    /// mapped. Touching them may block on the disk: see [`Segment::populate`].
    #[must_use]
    pub fn read(&self, range: Range<u64>) -> Option<&[u8]> {
        if range.end > self.readable() {
            return None;
        }
        self.view.get()?.slice(range)
    }

    /// Makes the pages of `range` in the file present, so that reading them next does not block. Maps when needed.
    ///
    /// # Errors
    /// [`StoreError::Io`] with what the disk says, where touching the mapping would kill the process.
    pub fn populate(&self, range: Range<u64>) -> Result<()> {
        let populated = match self.view()?.populate(range.clone()) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.read_through(range),
            other => other,
        };
        populated.map_err(|source| StoreError::io("read", &self.path, source))
    }

    /// Copies the bytes from `position_in_file` on into `buffer` by pread, without mapping; `false` when they do not all
    /// lie below the watermark.
    ///
    /// # Errors
    /// [`StoreError::Io`] with what the disk says.
    pub fn copy(&self, position_in_file: u64, buffer: &mut [u8]) -> Result<bool> {
        if position_in_file
            .checked_add(buffer.len() as u64)
            .is_none_or(|end| end > self.readable())
        {
            return Ok(false);
        }
        let read = self.file().and_then(|file| file.read_at(buffer, position_in_file));
        match read {
            Ok(read) => Ok(read == buffer.len()),
            Err(source) => Err(StoreError::io("read", &self.path, source)),
        }
    }

    /// A share of the bytes of `range` in the file, which keeps the mapping; `None` as [`Segment::read`].
    #[must_use]
    pub fn share(self: &Arc<Self>, range: Range<u64>) -> Option<SegmentBytes> {
        self.read(range.clone())?;
        Some(SegmentBytes {
            segment: Arc::clone(self),
            range,
        })
    }

    /// Reads the range from the file, which brings it into the page cache, so that the mapping has only to link it.
    fn read_through(&self, range: Range<u64>) -> io::Result<()> {
        let file = self.file()?;
        let mut buffer = vec![0; PIECE];
        let mut position = range.start;
        while position < range.end && file.read_at(&mut buffer, position)? > 0 {
            position += PIECE as u64;
        }
        Ok(())
    }

    fn file(&self) -> io::Result<Arc<dyn DiskFile>> {
        match &self.source {
            Source::File(file) => Ok(Arc::clone(file)),
            Source::Disk(disk) => disk.open(&self.path, OpenMode::Read),
        }
    }

    fn view(&self) -> Result<&ReadView> {
        if let Some(view) = self.view.get() {
            return Ok(view);
        }
        let view = self.file().and_then(|file| file.view(self.length));
        let view = view.map_err(|source| StoreError::io("map", &self.path, source))?;
        // Two readers may map at once; one mapping is kept.
        Ok(self.view.get_or_init(|| view))
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            start, length, path, ..
        } = self;
        write!(
            formatter,
            "Segment {{ {start} + {length}, readable {}, {} }}",
            self.readable(),
            path.display()
        )
    }
}

/// Bytes of a segment that stay readable for as long as this value lives.
#[derive(Clone, Debug)]
pub struct SegmentBytes {
    segment: Arc<Segment>,
    range: Range<u64>,
}

impl SegmentBytes {
    /// The segment.
    #[must_use]
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }
}

impl SegmentBytes {
    /// Makes the bytes present in memory; blocks.
    ///
    /// # Errors
    /// When they cannot be read from the disk.
    pub fn populate(&self) -> Result<()> {
        self.segment.populate(self.range.clone())
    }
}

impl AsRef<[u8]> for SegmentBytes {
    fn as_ref(&self) -> &[u8] {
        // Never empty for a range that was readable once: the watermark does not go back and the mapping stays.
        self.segment.read(self.range.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
