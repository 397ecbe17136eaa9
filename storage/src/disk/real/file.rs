//! An open file of the machine, and the parts of POSIX that a caller must finish itself.

use std::fs::File;
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use rustix::io::Errno;

use super::milliseconds;
use crate::disk::{Blocks, DiskFile};
use crate::read_view::ReadView;

/// The most buffers that Linux takes in one pwritev (IOV_MAX).
const BUFFERS_PER_CALL: usize = 1024;
/// What is written at once where a file system cannot reserve or zero by itself.
const PIECE: usize = 1 << 20;

/// An open file.
#[derive(Debug)]
pub(super) struct RealFile {
    file: File,
}

impl RealFile {
    pub(super) fn new(file: File) -> Self {
        Self { file }
    }

    /// fallocate, carried on after signals. `false` where the file system or the kernel does not know `flags`.
    fn fallocate(&self, flags: FallocateFlags, offset: u64, length: u64) -> io::Result<bool> {
        loop {
            match fallocate(&self.file, flags, offset, length) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes what stands in the range, or zeros behind the end of the file, so that every block of it exists.
    fn rewrite(&self, offset: u64, length: u64) -> io::Result<()> {
        in_pieces(offset, length, |position, piece| {
            let read = self.read_at(piece, position)?;
            piece.get_mut(read..).unwrap_or_default().fill(0);
            self.file.write_all_at(piece, position)
        })
    }

    fn write_zeros(&self, offset: u64, length: u64) -> io::Result<()> {
        in_pieces(offset, length, |position, zeros| {
            self.file.write_all_at(zeros, position)
        })
    }
}

impl DiskFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 || self.fallocate(FallocateFlags::empty(), offset, length)? {
            return Ok(());
        }
        self.rewrite(offset, length)
    }

    fn reserve(&self, offset: u64, length: u64) -> io::Result<()> {
        if length > 0 {
            self.fallocate(FallocateFlags::KEEP_SIZE, offset, length)?;
        }
        Ok(())
    }

    fn zero(&self, offset: u64, length: u64, blocks: Blocks) -> io::Result<()> {
        let flags = match blocks {
            Blocks::Kept => FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
            Blocks::Released => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        };
        if length == 0 || self.fallocate(flags, offset, length)? {
            return Ok(());
        }
        self.write_zeros(offset, length)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        write_all(buffers, offset, |buffers, position| {
            Ok(rustix::io::pwritev(&self.file, buffers, position)?)
        })
    }

    fn write_back(&self, range: Range<u64>) -> io::Result<()> {
        let Some(length) = NonZeroU64::new(range.end.saturating_sub(range.start)) else {
            return Ok(());
        };
        // Its promise is to let go of pages that are not needed. Those that are dirty it has written, without waiting for it,
        // and keeps. What sync_file_range would do as well, but for one thing: that tells a failure that is the next sync's.
        match fadvise(&self.file, range.start, Some(length), Advice::DontNeed) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn view(&self, length: u64) -> io::Result<ReadView> {
        ReadView::of_file(&self.file, length)
    }

    fn modified_ms(&self) -> io::Result<u64> {
        Ok(milliseconds(self.file.metadata()?.modified()?))
    }
}

/// Calls `each` with a position and a buffer (of zeros, unless `each` fills it) for every piece of the range.
fn in_pieces(offset: u64, length: u64, mut each: impl FnMut(u64, &mut [u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; usize::try_from(length).map_or(PIECE, |length| length.min(PIECE))];
    let mut done = 0;
    while done < length {
        let size = usize::try_from(length - done).map_or(PIECE, |left| left.min(PIECE));
        each(offset + done, buffer.get_mut(..size).unwrap_or_default())?;
        done += size as u64;
    }
    Ok(())
}

/// Hands all of `buffers` to `write`, which may take less than it is given; nothing is allocated or copied.
fn write_all(
    mut buffers: &[IoSlice<'_>],
    mut offset: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    // How much of the first buffer is written already.
    let mut skip = 0;
    while let Some((first, rest)) = buffers.split_first() {
        if skip == first.len() {
            (buffers, skip) = (rest, 0);
            continue;
        }
        let result = match first.get(skip..) {
            Some(remainder) if skip > 0 => write(&[IoSlice::new(remainder)], offset),
            _ => write(buffers.get(..BUFFERS_PER_CALL).unwrap_or(buffers), offset),
        };
        let mut written = match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        offset += written as u64;
        while let Some((first, rest)) = buffers.split_first() {
            let left = first.len() - skip;
            if written < left {
                skip += written;
                break;
            }
            written -= left;
            (buffers, skip) = (rest, 0);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file_with(bytes: &[u8]) -> RealFile {
        let file = RealFile::new(tempfile::tempfile().unwrap());
        file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
        file
    }

    fn content(file: &RealFile) -> Vec<u8> {
        let mut bytes = vec![0xEE; usize::try_from(file.length().unwrap()).unwrap() + 10];
        let read = file.read_at(&mut bytes, 0).unwrap();
        bytes.truncate(read);
        bytes
    }

    proptest! {
        #[test]
        fn everything_is_written_however_short_the_writes_are(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..40),
            limits in proptest::collection::vec(0usize..30, 1..20),
        ) {
            let buffers: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let (mut sink, mut calls) = (Vec::new(), limits.iter().cycle());
            write_all(&buffers, 100, |given, position| {
                assert_eq!(position, 100 + sink.len() as u64);
                let all: Vec<u8> = given.iter().flat_map(|buffer| buffer.to_vec()).collect();
                assert!(!all.is_empty());
                match *calls.next().unwrap() {
                    0 if limits.iter().any(|limit| *limit > 0) => Err(io::ErrorKind::Interrupted.into()),
                    limit => {
                        let taken = all.len().min(limit.max(1));
                        sink.extend_from_slice(&all[..taken]);
                        Ok(taken)
                    }
                }
            }).unwrap();
            prop_assert_eq!(sink, pieces.concat());
        }
    }

    #[test]
    fn a_write_that_takes_nothing_is_an_error() {
        let error = write_all(&[IoSlice::new(b"x")], 0, |_, _| Ok(0)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn more_buffers_than_the_kernel_takes_at_once_are_written() {
        let bytes: Vec<u8> = (0..3 * BUFFERS_PER_CALL + 7)
            .map(|number| (number % 251) as u8)
            .collect();
        let buffers: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
        let file = file_with(b"");
        file.write_at(&buffers, 5).unwrap();
        assert_eq!(content(&file), [&[0; 5], bytes.as_slice()].concat());
    }

    #[test]
    fn reading_stops_at_the_end() {
        let file = file_with(b"abc");
        let mut buffer = [9; 5];
        assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 2);
        assert_eq!(&buffer, b"bc\x09\x09\x09");
        assert_eq!(file.read_at(&mut buffer, 50).unwrap(), 0);
    }

    #[test]
    fn allocation_extends_with_zeros_and_keeps_what_stands() {
        let by_writing: fn(&RealFile, u64, u64) -> io::Result<()> = RealFile::rewrite;
        for allocate in [RealFile::allocate, by_writing] {
            let file = file_with(b"kept");
            allocate(&file, 2, 3 << 20).unwrap();
            let bytes = content(&file);
            assert_eq!(bytes.len(), (3 << 20) + 2);
            assert!(bytes.starts_with(b"kept\0") && bytes[4..].iter().all(|byte| *byte == 0));
            allocate(&file, 0, 0).unwrap();
        }
    }

    #[test]
    fn a_reservation_does_not_change_the_length() {
        let file = file_with(b"short");
        file.reserve(0, 65_536).unwrap();
        assert_eq!(content(&file), b"short");
    }

    #[test]
    fn a_zeroed_range_reads_as_zeros_and_the_rest_stays() {
        const LENGTH: usize = 3 << 20;
        let keep: fn(&RealFile, u64, u64) -> io::Result<()> = |file, at, length| file.zero(at, length, Blocks::Kept);
        let release: fn(&RealFile, u64, u64) -> io::Result<()> =
            |file, at, length| file.zero(at, length, Blocks::Released);
        for zero in [keep, release, RealFile::write_zeros] {
            let file = file_with(&[7; LENGTH]);
            zero(&file, 4_001, 2_500_000).unwrap();
            zero(&file, 0, 0).unwrap();
            let bytes = content(&file);
            assert_eq!(bytes.len(), LENGTH);
            assert!(bytes[4_001..2_504_001].iter().all(|byte| *byte == 0));
            assert!(bytes[..4_001].iter().chain(&bytes[2_504_001..]).all(|byte| *byte == 7));
        }
    }

    #[test]
    fn a_view_shows_what_is_written_and_synced() {
        let file = file_with(&[0; 100]);
        let view = file.view(100).unwrap();
        file.write_at(&[IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")], 10)
            .unwrap();
        file.sync_data().unwrap();
        assert_eq!(view.slice(10..17), Some(b"one two".as_slice()));
        file.set_length(200).unwrap();
        assert!(file.view(201).is_err());
        assert!(file.modified_ms().unwrap() > 1_600_000_000_000);
    }
}
