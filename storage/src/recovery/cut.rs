//! Makes what recovery serves true on disk, and what it cut gone for good.

use std::io::IoSlice;

use super::scan::FoundLog;
use crate::disk::{Blocks, Disk, DiskFile, OpenMode, sync_directory};
use crate::error::{Result, StoreError};
use crate::interrupt::Interrupt;
use crate::position::PhysicalOffset;
use crate::steps::Stage;

/// How much is written again at a time.
const CHUNK_BYTES: u64 = 1 << 20;
/// How far behind the cut the lost bytes are counted, for the report.
const COUNTED_BYTES: u64 = 64 << 20;

/// Writes `from..end` again with the bytes it has, zeroes everything behind `end` in its file, removes later files, and
/// syncs all of it. Gives the number of bytes other than zero that are gone.
///
/// A page whose sync failed is marked clean by the kernel: it reads as written and yet is not on disk. Only writing it
/// again makes it so.
pub(super) fn settle(
    disk: &dyn Disk,
    found: &FoundLog,
    from: PhysicalOffset,
    end: PhysicalOffset,
    interrupt: &Interrupt,
) -> Result<u64> {
    let mut gone = 0;
    let first = found.file_start(from.0.min(end.0));
    for start in found.starts.iter().rev().copied() {
        let done = found.end() - (start + found.segment_bytes);
        interrupt.reached(Stage::WritingLog, done, found.end() - first)?;
        let path = found.path(start);
        let io = |operation| move |error| StoreError::io(operation, &found.path(start), error);
        let file_end = start + found.segment_bytes;
        if file_end <= from.0 && file_end <= end.0 {
            break;
        }
        let file = disk.open(&path, OpenMode::Write).map_err(io("open"))?;
        if start >= end.0 {
            gone += count(file.as_ref(), 0, found.segment_bytes).map_err(io("read"))?;
            drop(file);
            remove(disk, found, start)?;
            continue;
        }
        let again = from.0.max(start) - start;
        let valid = end.0.min(file_end) - start;
        write_again(file.as_ref(), again, valid).map_err(io("write"))?;
        gone += count(file.as_ref(), valid, found.segment_bytes).map_err(io("read"))?;
        // Also what reads as zeros already: after a failed sync the cache may show zeros that the disk does not hold.
        file.zero(valid, found.segment_bytes - valid, Blocks::Kept)
            .map_err(io("zero"))?;
        file.sync_data().map_err(io("sync"))?;
    }
    sync_directory(disk, &found.directory)?;
    Ok(gone)
}

/// Removes a file of the log, durably, if it is still there.
pub(super) fn remove(disk: &dyn Disk, found: &FoundLog, start: u64) -> Result<()> {
    let path = found.path(start);
    match disk.remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(StoreError::io("remove", &path, error));
        }
        _ => {}
    }
    sync_directory(disk, &found.directory)
}

fn write_again(file: &dyn DiskFile, from: u64, to: u64) -> std::io::Result<()> {
    for_each_chunk(file, from, to, |at, bytes| file.write_at(&[IoSlice::new(bytes)], at))
}

/// How many bytes other than zero there are, as far as they are counted.
fn count(file: &dyn DiskFile, from: u64, to: u64) -> std::io::Result<u64> {
    let mut gone = 0;
    for_each_chunk(file, from, to.min(from + COUNTED_BYTES), |_, bytes| {
        gone += bytes.iter().filter(|byte| **byte != 0).count() as u64;
        Ok(())
    })?;
    Ok(gone)
}

fn for_each_chunk(
    file: &dyn DiskFile,
    from: u64,
    to: u64,
    mut each: impl FnMut(u64, &[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; usize::try_from(CHUNK_BYTES.min(to.saturating_sub(from))).unwrap_or(0)];
    let mut at = from;
    while at < to {
        let length = usize::try_from(CHUNK_BYTES.min(to - at)).unwrap_or(0);
        let read = file.read_at(buffer.get_mut(..length).unwrap_or_default(), at)?;
        if read == 0 {
            break;
        }
        each(at, buffer.get(..read).unwrap_or_default())?;
        at += read as u64;
    }
    Ok(())
}
