//! What is no record: where it lies, how far it goes, and what can still be told about it.

use std::path::PathBuf;

use cuemq_net::message::record::{MAGIC, MAGIC_LONG_TOPIC, Record, position};

use super::Place;
use crate::commit_log::head::{HEAD_BYTES, Head};
use crate::disk::{Disk, OpenMode};
use crate::error::{Result, StoreError};
use crate::recovery::scan::FoundLog;

/// How much is read at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// A record is not read in one piece where it claims to be longer.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// A stretch of the log without a record.
#[derive(Clone, Debug)]
pub(super) struct Hole {
    pub(super) position: u64,
    pub(super) path: PathBuf,
    pub(super) byte: u64,
    pub(super) record: Option<Place>,
    reason: String,
    /// The next record in the same file.
    upto: Option<u64>,
    /// Whether there is anything but zeros.
    pub(super) is_used: bool,
    /// Whether a whole record follows somewhere.
    pub(super) is_followed: bool,
}

/// What lies behind a position in its file.
pub(super) struct Behind {
    /// The first place behind it where a record says that it lies there.
    pub(super) record: Option<u64>,
    /// Whether anything but zeros lies between.
    pub(super) used: bool,
}

impl Hole {
    /// The untouched rest of a file.
    pub(super) fn untouched(file: &FoundLog, at: u64) -> Self {
        let start = file.file_start(at);
        Self {
            position: at,
            path: file.path(start),
            byte: at - start,
            record: None,
            reason: String::from("zeros, although records follow"),
            upto: None,
            is_used: false,
            is_followed: false,
        }
    }

    /// One that begins at `at`, for the reason that the walk gave.
    pub(super) fn read(
        disk: &dyn Disk,
        file: &FoundLog,
        at: u64,
        reason: Option<String>,
        behind: &Behind,
    ) -> Result<Self> {
        let bytes = bytes_at(disk, file, at)?;
        let record = Record::parse(&bytes).ok();
        Ok(Self {
            record: record.as_ref().map(Place::of),
            reason: reason.unwrap_or_else(|| String::from("zeros, and bytes that are no record behind them")),
            upto: behind.record,
            is_used: true,
            ..Self::untouched(file, at)
        })
    }

    /// What is wrong, for people.
    pub(super) fn tell(&self) -> String {
        match self.upto {
            Some(upto) => format!(
                "no whole record at {}: {}; the next one begins at {upto}, {} bytes on",
                self.position,
                self.reason,
                upto - self.position
            ),
            None => format!("no whole record at {}: {}", self.position, self.reason),
        }
    }
}

/// The bytes of what claims to be a record at a position; none where it claims what cannot be.
pub(super) fn bytes_at(disk: &dyn Disk, file: &FoundLog, at: u64) -> Result<Vec<u8>> {
    let start = file.file_start(at);
    let path = file.path(start);
    let io = |operation| move |error| StoreError::io(operation, &file.path(start), error);
    let opened = disk.open(&path, OpenMode::Read).map_err(io("open"))?;
    let mut bytes = vec![0; HEAD_BYTES];
    let read = opened.read_at(&mut bytes, at - start).map_err(io("read"))?;
    bytes.truncate(read);
    let left = start.saturating_add(file.segment_bytes) - at;
    let size = Head::read(&bytes).map(|head| head.total_size);
    let Some(size) = size.filter(|size| *size as u64 <= left && *size <= RECORD_BYTES_MAX) else {
        return Ok(Vec::new());
    };
    bytes.resize(size, 0);
    let read = opened.read_at(&mut bytes, at - start).map_err(io("read"))?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Looks for the next record behind `at` in its file.
pub(super) fn look_behind(disk: &dyn Disk, file: &FoundLog, at: u64) -> Result<Behind> {
    let start = file.file_start(at);
    let path = file.path(start);
    let opened = disk.open(&path, OpenMode::Read);
    let opened = opened.map_err(|error| StoreError::io("open", &path, error))?;
    let file_end = start.saturating_add(file.segment_bytes);
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut from, mut used) = (at, false);
    while from < file_end {
        let read = opened.read_at(&mut buffer, from - start);
        let read = read.map_err(|error| StoreError::io("read", &path, error))?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.iter().any(|byte| *byte != 0) {
            used = true;
            let found = next_in(bytes, from, file_end).filter(|found| *found > at);
            if found.is_some() {
                return Ok(Behind { record: found, used });
            }
        }
        if read < buffer.len() {
            break;
        }
        // A head may begin in one chunk and end in the next.
        from += (CHUNK_BYTES - HEAD_BYTES) as u64;
    }
    Ok(Behind { record: None, used })
}

/// The first place in `bytes`, which lie at `from`, where a record says that it lies there; not `from` itself.
fn next_in(bytes: &[u8], from: u64, file_end: u64) -> Option<u64> {
    let is_magic = |window: &[u8]| {
        let magic = window.first_chunk().map(|magic| u32::from_be_bytes(*magic));
        magic.is_some_and(|magic| magic == MAGIC || magic == MAGIC_LONG_TOPIC)
    };
    let magics = bytes
        .windows(4)
        .enumerate()
        .skip(1)
        .filter(|(_, window)| is_magic(window));
    magics.map(|(index, _)| index).find_map(|index| {
        let begin = index.checked_sub(position::MAGIC)?;
        let place = from + begin as u64;
        let head = Head::read(bytes.get(begin..)?)?;
        let fits = head.physical_offset.0 == place && place.saturating_add(head.total_size as u64) <= file_end;
        (fits && begin > 0).then_some(place)
    })
}
