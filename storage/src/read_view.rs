//! Read-only mappings, and the one file with unsafe code.
//!
//! A [`ReadView`] is memory that somebody else writes: the kernel's page cache, changed by `pwrite` on the same file, or
//! a `Region` of the in-memory disk. A `&[u8]` into it is sound only while its bytes stand still, and that is a rule
//! of the store, not of this type:
//!
//! 1. Bytes below the owner's published watermark are never written again.
//! 2. A file is never shortened while it is mapped. (A removed file stays readable; another process that shortens one of
//!    our files breaks this and is answered with SIGBUS by the kernel, as with every program that maps files.)
//!
//! So bytes are handed out inside this crate only, and [`crate::segment::Segment`], which checks the watermark, is the
//! way for everybody else. The memory is reached through raw pointers alone: no reference to all of it ever exists, so
//! that a write above the watermark meets no reference.

#![expect(unsafe_code, reason = "the one place where mapped memory becomes slices")]

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use memmap2::{Advice, MmapOptions, MmapRaw};

/// Asked before a simulated view says that its pages are present, so that a simulated disk can fail there.
pub(crate) type Gate = Arc<dyn Fn(Range<u64>) -> io::Result<()> + Send + Sync>;

/// The size of a page of memory, in bytes.
#[must_use]
pub fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// A read-only mapping of the beginning of a file; clones share it, and the last one unmaps it.
#[derive(Clone)]
pub struct ReadView {
    memory: Arc<MmapRaw>,
    length: usize,
    gate: Option<Gate>,
}

impl ReadView {
    /// Maps the first `length` bytes of a file.
    ///
    /// # Errors
    /// `InvalidInput` when the file is shorter (touching such a page would kill the process), or what mmap says.
    pub(crate) fn of_file(file: &File, length: u64) -> io::Result<Self> {
        let found = file.metadata()?.len();
        if length > found {
            return Err(past_the_end(length, found));
        }
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let memory = MmapOptions::new().len(length).map_raw_read_only(file)?;
        Ok(Self {
            memory: Arc::new(memory),
            length,
            gate: None,
        })
    }

    /// How many bytes it shows.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length as u64
    }

    /// The bytes of `range`; `None` when it does not lie within the view.
    ///
    /// The caller vouches that they lie below the watermark, or that nobody writes them while the slice lives.
    pub(crate) fn slice(&self, range: Range<u64>) -> Option<&[u8]> {
        let (start, length) = within(&range, self.length)?;
        // SAFETY: `start + length <= self.length`, which is at most the length of the mapping, so all of it is one
        // mapped, readable, initialised (zeros or file bytes) allocation that lives as long as `self.memory`. No `&mut`
        // to it exists anywhere: writers use pwrite or `Region::write`, and by rule 1 not on these bytes; by rule 2 the
        // pages stay backed.
        Some(unsafe { std::slice::from_raw_parts(self.memory.as_ptr().add(start), length) })
    }

    /// Makes the pages of `range` present, so that reading them next neither blocks nor dies of a disk error.
    ///
    /// # Errors
    /// `InvalidInput` outside the view; `Unsupported` where the kernel (before 5.14) cannot do it: read the range from
    /// the file instead; otherwise what the disk says.
    pub fn populate(&self, range: Range<u64>) -> io::Result<()> {
        let (start, length) = within(&range, self.length).ok_or_else(|| past_the_end(range.end, self.length()))?;
        if let Some(gate) = &self.gate {
            return gate(range);
        }
        if length == 0 {
            return Ok(());
        }
        self.memory
            .advise_range(Advice::PopulateRead, start, length)
            .map_err(|error| {
                // The arguments were checked, so EINVAL means that this kernel does not know the advice.
                if error.kind() == io::ErrorKind::InvalidInput {
                    io::ErrorKind::Unsupported.into()
                } else {
                    error
                }
            })
    }
}

impl fmt::Debug for ReadView {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReadView")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Anonymous memory that the in-memory disk writes while views read it; it takes room only where it was written.
#[derive(Debug)]
pub(crate) struct Region {
    memory: Arc<MmapRaw>,
}

impl Region {
    /// Reserves `capacity` bytes (at least one page) that read as zeros.
    pub(crate) fn reserve(capacity: u64) -> io::Result<Self> {
        let capacity = usize::try_from(capacity.max(page_size())).map_err(io::Error::other)?;
        let memory = MmapOptions::new().len(capacity).no_reserve_swap().map_anon()?;
        Ok(Self {
            memory: Arc::new(memory.into()),
        })
    }

    /// How many bytes it can hold.
    pub(crate) fn capacity(&self) -> u64 {
        self.memory.len() as u64
    }

    /// Whether a view of it is alive.
    pub(crate) fn is_viewed(&self) -> bool {
        Arc::strong_count(&self.memory) > 1
    }

    /// A view of the first `length` bytes, which `gate` is asked about by [`ReadView::populate`].
    pub(crate) fn view(&self, length: u64, gate: Gate) -> io::Result<ReadView> {
        let (_, length) =
            within(&(0..length), self.memory.len()).ok_or_else(|| past_the_end(length, self.capacity()))?;
        Ok(ReadView {
            memory: Arc::clone(&self.memory),
            length,
            gate: Some(gate),
        })
    }

    /// Writes `bytes` from `position` on.
    ///
    /// # Panics
    /// When they do not fit: the in-memory disk grows the region first.
    pub(crate) fn write(&mut self, position: u64, bytes: &[u8]) {
        let start = self.start_of(position, bytes.len());
        // SAFETY: the target lies within the mapping, which is writable, and `bytes` cannot overlap it: nobody outside
        // this file holds a slice of the region but through views, whose bytes (rule 1) are not written. `&mut self`
        // keeps other writers out.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.memory.as_mut_ptr().add(start), bytes.len()) }
    }

    /// Writes zeros to `range`.
    ///
    /// # Panics
    /// As [`Region::write`].
    pub(crate) fn zero(&mut self, range: Range<u64>) {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let start = self.start_of(range.start, length);
        // SAFETY: as in `write`.
        unsafe { std::ptr::write_bytes(self.memory.as_mut_ptr().add(start), 0, length) }
    }

    /// Copies what stands from `position` on.
    ///
    /// # Panics
    /// When `buffer` reaches past the capacity.
    pub(crate) fn read(&self, position: u64, buffer: &mut [u8]) {
        let start = self.start_of(position, buffer.len());
        // SAFETY: the source lies within the mapping, which is readable and initialised; `buffer` is a `&mut` and so
        // cannot be a part of it; `&self` keeps `write` and `zero` out meanwhile.
        unsafe { std::ptr::copy_nonoverlapping(self.memory.as_ptr().add(start), buffer.as_mut_ptr(), buffer.len()) }
    }

    fn start_of(&self, position: u64, length: usize) -> usize {
        let range = position..position.saturating_add(length as u64);
        let checked = within(&range, self.memory.len());
        assert!(
            checked.is_some(),
            "{range:?} lies outside a region of {} bytes",
            self.memory.len()
        );
        checked.map_or(0, |(start, _)| start)
    }
}

/// The start and length of `range`, when it lies within `length` bytes.
fn within(range: &Range<u64>, length: usize) -> Option<(usize, usize)> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    (end <= length).then_some(())?;
    Some((start, end.checked_sub(start)?))
}

fn past_the_end(wanted: u64, length: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("byte {wanted} lies past the end at {length}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn open_gate() -> Gate {
        Arc::new(|_| Ok(()))
    }

    #[test]
    fn a_view_of_a_file_shows_later_writes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10_000).unwrap();
        let view = ReadView::of_file(&file, 10_000).unwrap();
        assert_eq!(view.slice(9_990..10_000), Some([0; 10].as_slice()));
        file.write_all_at(b"written", 9_990).unwrap();
        assert_eq!(view.slice(9_990..9_997), Some(b"written".as_slice()));
    }

    #[test]
    fn nothing_outside_the_view_is_handed_out() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(100).unwrap();
        assert_eq!(
            ReadView::of_file(&file, 101).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        let view = ReadView::of_file(&file, 100).unwrap();
        assert_eq!(view.length(), 100);
        assert_eq!(view.slice(100..100), Some([].as_slice()));
        for outside in [0..101, 101..101, u64::MAX..u64::MAX] {
            assert_eq!(view.slice(outside), None);
        }
        let (from, to) = (5, 4);
        assert_eq!(view.slice(from..to), None, "a range that runs backwards");
    }

    #[test]
    fn populating_past_the_end_of_a_shortened_file_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 * page_size()).unwrap();
        let view = ReadView::of_file(&file, 4 * page_size()).unwrap();
        view.populate(1..3 * page_size()).unwrap();
        view.populate(7..7).unwrap();
        assert_eq!(
            view.populate(0..5 * page_size()).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        file.set_len(page_size()).unwrap();
        assert!(view.populate(2 * page_size()..3 * page_size()).is_err());
    }

    #[test]
    fn a_region_is_shared_with_its_views_and_outlives_its_owner() {
        let mut region = Region::reserve(10).unwrap();
        assert_eq!(region.capacity(), page_size());
        let view = region.view(8, open_gate()).unwrap();
        assert!(region.is_viewed());
        region.write(2, b"abcd");
        region.zero(3..4);
        assert_eq!(view.slice(0..8), Some(b"\0\0a\0cd\0\0".as_slice()));
        let mut copy = [0; 3];
        region.read(4, &mut copy);
        assert_eq!(&copy, b"cd\0");
        drop(region);
        assert_eq!(view.slice(2..3), Some(b"a".as_slice()));
    }

    #[test]
    #[should_panic(expected = "outside a region")]
    fn a_region_is_never_written_outside() {
        Region::reserve(1).unwrap().write(page_size() - 1, b"ab");
    }

    #[test]
    fn a_closed_gate_fails_the_populate() {
        let region = Region::reserve(100).unwrap();
        let view = region
            .view(100, Arc::new(|_| Err(io::ErrorKind::TimedOut.into())))
            .unwrap();
        assert_eq!(view.populate(0..1).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
