//! Walks the commit log's files record by record, up to the first byte that is no valid record.
//!
//! A record is valid only if its stored physical offset is its position: a whole record left behind a cut by an earlier
//! life, or moved by a lying disk, is not mistaken for a new one. The CRC covers the body alone; what a crash tore of topic
//! and properties reads as zeros, which neither ever holds when we wrote it (sends with one are refused; Java's are not).

use std::path::PathBuf;
use std::sync::Arc;

use cuemq_net::message::record::{self, Inspection, Record};

use crate::commit_log::head::{HEAD_BYTES, Head};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;

/// How much is read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// The commit log's files as they were found.
#[derive(Clone, Debug)]
pub(super) struct FoundLog {
    /// The directory.
    pub(super) directory: PathBuf,
    /// The length of each file in bytes.
    pub(super) segment_bytes: u64,
    /// Where each file begins, in order, without gaps.
    pub(super) starts: Vec<u64>,
}

/// Where a walk ended and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScanEnd {
    /// Behind the last valid record.
    pub(super) position: PhysicalOffset,
    /// How many records were valid.
    pub(super) records: u64,
    /// The store time of the last one, 0 if there was none.
    pub(super) last_store_timestamp_ms: i64,
    /// What stood at the end, unless it was the untouched rest of a file.
    pub(super) damage: Option<String>,
}

impl ScanEnd {
    /// That of a walk which has read nothing yet.
    fn at(from: PhysicalOffset) -> Self {
        Self {
            position: from,
            records: 0,
            last_store_timestamp_ms: 0,
            damage: None,
        }
    }
}

/// What is asked of a record besides its lengths and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checks {
    /// The body has the CRC that was stored with it.
    pub(super) body_crc: bool,
    /// From here on lies what this program wrote and a crash may have torn: topic and properties must be text without a
    /// zero byte. What another program wrote may hold anything.
    pub(super) torn_from: PhysicalOffset,
}

/// One file being read in chunks.
struct Reader {
    file: Arc<dyn DiskFile>,
    start: u64,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    at: u64,
}

impl FoundLog {
    /// The first position.
    #[must_use]
    pub(super) fn minimum(&self) -> u64 {
        self.starts.first().copied().unwrap_or(0)
    }

    /// Behind the last file.
    #[must_use]
    pub(super) fn end(&self) -> u64 {
        self.starts.last().map_or(0, |start| start + self.segment_bytes)
    }

    /// The error of a log that lacks files although it was on disk up to `durable`.
    pub(super) fn ends_early(&self, durable: u64) -> StoreError {
        StoreError::Damaged {
            path: self.directory.clone(),
            position: self.end(),
            reason: format!(
                "its files end here, but it was on disk up to {durable}; restore those that are missing, or remove cuemq/log \
                 to go on without them"
            ),
        }
    }

    /// The error of a log that is damaged at the end of a walk; `rest` says what that means and what to do.
    pub(super) fn damaged(&self, end: &ScanEnd, rest: &str) -> StoreError {
        let start = self.file_start(end.position.0);
        StoreError::Damaged {
            path: self.path(start),
            position: end.position.0 - start,
            reason: format!("{}; {rest}", end.damage.as_deref().unwrap_or("zeros")),
        }
    }

    /// The path of the file that begins at `start`.
    #[must_use]
    pub(super) fn path(&self, start: u64) -> PathBuf {
        self.directory.join(crate::segment::file_name(start))
    }

    /// Where the file begins that holds `position`.
    pub(super) fn file_start(&self, position: u64) -> u64 {
        position - position % self.segment_bytes
    }

    /// Calls `each` for every valid record from `from` on, which must be the beginning of a record.
    ///
    /// # Errors
    /// When a file cannot be read, or `each` fails.
    pub(super) fn walk<E: From<StoreError>>(
        &self,
        disk: &dyn Disk,
        from: PhysicalOffset,
        checks: Checks,
        mut each: impl FnMut(&Record<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<ScanEnd, E> {
        let mut end = ScanEnd::at(from);
        let first = self
            .starts
            .partition_point(|start| start + self.segment_bytes <= from.0);
        for start in self.starts.iter().skip(first).copied() {
            let mut reader = Reader::open(disk, self.path(start), start)?;
            if !self.walk_file(&mut reader, checks, &mut end, &mut each)? {
                break;
            }
        }
        Ok(end)
    }

    /// As [`FoundLog::walk`], through the file alone that holds `from`.
    ///
    /// # Errors
    /// As there.
    pub(super) fn walk_one<E: From<StoreError>>(
        &self,
        disk: &dyn Disk,
        from: PhysicalOffset,
        checks: Checks,
        mut each: impl FnMut(&Record<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<ScanEnd, E> {
        let mut end = ScanEnd::at(from);
        let start = self.file_start(from.0);
        let mut reader = Reader::open(disk, self.path(start), start)?;
        self.walk_file(&mut reader, checks, &mut end, &mut each)?;
        Ok(end)
    }

    /// Walks one file; whether the walk goes on in the next.
    fn walk_file<E: From<StoreError>>(
        &self,
        reader: &mut Reader,
        checks: Checks,
        end: &mut ScanEnd,
        each: &mut impl FnMut(&Record<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<bool, E> {
        let file_end = reader.start + self.segment_bytes;
        let mut wanted = CHUNK_BYTES;
        while end.position.0 < file_end {
            let left = file_end - end.position.0;
            let bytes = reader.bytes(end.position.0, wanted, left)?;
            match record::inspect(bytes) {
                Inspection::Record(found) => {
                    if let Err(reason) = check(&found, end.position, checks) {
                        end.damage = Some(reason);
                        return Ok(false);
                    }
                    each(&found)?;
                    end.position = end.position.advanced(found.total_size() as u64);
                    end.records += 1;
                    end.last_store_timestamp_ms = found.store_timestamp_ms();
                    wanted = HEAD_BYTES;
                }
                Inspection::Blank { length } if length as u64 == left => {
                    end.position = PhysicalOffset(file_end);
                }
                Inspection::Incomplete { needed } if needed as u64 <= left && needed > wanted => {
                    // Before so much is allocated and read.
                    let head = Head::read(bytes);
                    if head.is_none_or(|head| head.physical_offset != end.position) {
                        end.damage = Some(format!("what claims to be a record of {needed} bytes and is not"));
                        return Ok(false);
                    }
                    wanted = needed;
                }
                Inspection::End => return Ok(false),
                Inspection::Damaged(error) => {
                    end.damage = Some(error.to_string());
                    return Ok(false);
                }
                Inspection::Blank { length: bytes } | Inspection::Incomplete { needed: bytes } => {
                    end.damage = Some(format!("a record of {bytes} bytes where the file has {left}"));
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

fn check(found: &Record<'_>, position: PhysicalOffset, checks: Checks) -> std::result::Result<(), String> {
    if found.physical_offset() != position.0 {
        return Err(format!("a record that says it lies at {}", found.physical_offset()));
    }
    if checks.body_crc {
        found.verify_crc().map_err(|error| error.to_string())?;
    }
    if position < checks.torn_from {
        return Ok(());
    }
    let topic = found.topic().map_err(|error| error.to_string())?;
    if topic.as_bytes().contains(&0) || found.properties().contains(&0) {
        return Err(String::from("a record whose topic or properties are torn"));
    }
    Ok(())
}

impl Reader {
    fn open(disk: &dyn Disk, path: PathBuf, start: u64) -> Result<Self> {
        let file = disk
            .open(&path, OpenMode::Read)
            .map_err(|error| StoreError::io("open", &path, error))?;
        Ok(Self {
            file,
            start,
            path,
            buffer: Vec::new(),
            at: 0,
        })
    }

    /// The bytes from `position` on: at least `wanted` of them, unless the file ends before.
    fn bytes(&mut self, position: u64, wanted: usize, left: u64) -> Result<&[u8]> {
        let at = position - self.start;
        let wanted = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffered = (self.at + self.buffer.len() as u64).saturating_sub(at);
        if at < self.at || buffered < wanted as u64 {
            let length = wanted.max(CHUNK_BYTES).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.buffer.resize(length, 0);
            let read = self.file.read_at(&mut self.buffer, at);
            let read = read.map_err(|error| StoreError::io("read", &self.path, error))?;
            self.buffer.truncate(read);
            self.at = at;
        }
        let skip = usize::try_from(at - self.at).unwrap_or(usize::MAX);
        Ok(self.buffer.get(skip..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::path::Path;

    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn promise_5_no_more_than_a_chunk_is_allocated_for_what_only_claims_to_be_long() {
        let (size, segment_bytes) = (8i32 << 20, 16u64 << 20);
        // The lengths agree in the first, which says that it lies elsewhere; in the second they do not.
        for (physical_offset, body_length) in [(4096u64, size - 100), (0, 5)] {
            let mut head = [0; 88];
            head[..4].copy_from_slice(&size.to_be_bytes());
            head[4..8].copy_from_slice(&record::MAGIC.to_be_bytes());
            head[28..36].copy_from_slice(&physical_offset.to_be_bytes());
            head[84..].copy_from_slice(&body_length.to_be_bytes());
            let disk = MemoryDisk::new(1);
            let path = Path::new("/file");
            let file = disk.open(path, OpenMode::CreateNew).unwrap();
            file.set_length(segment_bytes).unwrap();
            file.write_at(&[IoSlice::new(&head)], 0).unwrap();
            let log = FoundLog {
                directory: PathBuf::from("/"),
                segment_bytes,
                starts: vec![0],
            };
            let mut end = ScanEnd::at(PhysicalOffset(0));
            let checks = Checks {
                body_crc: true,
                torn_from: PhysicalOffset(0),
            };
            let mut reader = Reader::open(&disk, path.to_owned(), 0).unwrap();
            let mut each = |_: &Record<'_>| Ok::<_, StoreError>(());
            let goes_on = log.walk_file(&mut reader, checks, &mut end, &mut each).unwrap();
            assert!(!goes_on && end.damage.is_some(), "{end:?}");
            assert!(
                reader.buffer.capacity() <= CHUNK_BYTES,
                "{} bytes",
                reader.buffer.capacity()
            );
        }
    }
}
