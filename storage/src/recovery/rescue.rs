//! What is damaged where nothing should be.
//!
//! Below the position that our note calls durable no crash can tear a record, so what is damaged there is no tail, and the
//! log is never cut at it: the store does not open, and says where the damage is and what can be done ([`refuse_hole`]).
//! Nothing is skipped either, since nobody could tell which messages of which queues the hole has swallowed.
//!
//! Where no note of ours tells what was on disk, RocketMQ's rule holds: the log ends at the first record that is not valid.
//! Then, and behind the end of a store that was stopped in order, what is cut is an error in the log, with counts, and a
//! copy of the bytes stays in `cuemq/cut-<position>-<checksum>`, from which a person can get messages back. Copies are
//! bounded in length and number; one that is there already is not made again.

use std::path::PathBuf;

use cuemq_net::message::record::{self, Inspection, inspect};
use serde::{Serialize, Serializer};

use super::StoreLayout;
use super::scan::{FoundLog, ScanEnd};
use super::start::Start;
use crate::consume_queue::ConsumeQueue;
use crate::disk::{Disk, OpenMode, list};
use crate::error::{Result, StoreError};
use crate::snapshot::{self, Format};

/// How much behind the cut is copied and counted at most.
const COPY_BYTES: u64 = 64 << 20;
/// How many copies are kept.
const COPIES: usize = 8;
const COPY: Format = Format {
    kind: *b"CUT ",
    version: 1,
};

/// What is about to be cut.
#[derive(Debug, Default)]
pub(super) struct Rescued {
    /// Whole records among it.
    pub(super) records: u64,
    /// Where its bytes were copied to.
    pub(super) copy: Option<PathBuf>,
}

#[derive(Serialize)]
struct Remains<'a> {
    position: u64,
    bytes: Bytes<'a>,
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Notes as damage what a walk takes for the untouched rest of a file: zeros although a later file has records, or
/// although a consume queue knows of records there.
pub(super) fn look_behind(disk: &dyn Disk, found: &FoundLog, queues: &[ConsumeQueue], end: &mut ScanEnd) -> Result<()> {
    if end.damage.is_some() {
        return Ok(());
    }
    let known = queues.iter().map(|queue| queue.end_physical().0).max().unwrap_or(0);
    if known > end.position.0 {
        end.damage = Some(format!("zeros, although consume queues know of records up to {known}"));
    }
    for start in found.starts.iter().copied().filter(|start| *start >= end.position.0) {
        let mut head = [0; record::BLANK_BYTES];
        read(disk, found, start, 0, &mut head)?;
        if head != [0; record::BLANK_BYTES] {
            end.damage = Some(format!("zeros, although the file that begins at {start} has records"));
        }
    }
    Ok(())
}

/// Refuses a log whose walk ended below what was on disk. Nothing of the log has changed by then.
///
/// # Errors
/// [`StoreError::Damaged`], which ends with what can be done.
pub(super) fn refuse_hole(found: &FoundLog, start: Start, end: &ScanEnd) -> Result<()> {
    let durable = start.durable;
    if end.position.0 >= durable {
        return Ok(());
    }
    // RocketMQ's own rules, which hold without a note, have led to this start.
    let newer = if start.foreign {
        ""
    } else {
        ", or what is newer by removing cuemq/log"
    };
    let rest = format!(
        "the log was on disk up to {durable}, so nothing of it is cut: restore this file from a replica or a \
         backup, or give up what is older by moving it and all files before it away{newer} (checkCRCOnRecover=false serves \
         a body as it is)"
    );
    Err(found.damaged(end, &rest))
}

/// Copies and counts what follows the end of the walk.
pub(super) fn keep(disk: &dyn Disk, layout: &StoreLayout, found: &FoundLog, end: &ScanEnd) -> Result<Rescued> {
    let position = end.position.0;
    let bytes = behind(disk, found, position)?;
    let records = count_records(&bytes, position);
    let copy = copy(disk, layout, position, &bytes)?;
    tracing::error!(
        position,
        damage = end.damage,
        records,
        bytes = bytes.len(),
        copy = ?copy,
        "the commit log is damaged; what follows is cut, restore it from a replica or a backup"
    );
    Ok(Rescued { records, copy })
}

/// The bytes from `position` on up to the last one that is not zero, as far as they are copied.
fn behind(disk: &dyn Disk, found: &FoundLog, position: u64) -> Result<Vec<u8>> {
    let upto = found.end().min(position.saturating_add(COPY_BYTES));
    let mut bytes = Vec::new();
    let mut at = position;
    while at < upto {
        let start = found.file_start(at);
        let length = (upto - at).min(start + found.segment_bytes - at);
        let had = bytes.len();
        bytes.resize(had + usize::try_from(length).unwrap_or(0), 0);
        read(disk, found, start, at - start, bytes.get_mut(had..).unwrap_or_default())?;
        at += length;
    }
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(used);
    Ok(bytes)
}

fn count_records(bytes: &[u8], position: u64) -> u64 {
    let magics = bytes.windows(4).enumerate();
    let starts = magics.filter_map(|(at, magic)| {
        (magic == record::MAGIC.to_be_bytes()).then(|| at.checked_sub(record::position::MAGIC))?
    });
    let mut next = 0;
    let mut records = 0;
    for start in starts {
        if start >= next
            && let Inspection::Record(found) = inspect(bytes.get(start..).unwrap_or_default())
            && found.physical_offset() == position + start as u64
        {
            next = start + found.total_size();
            records += 1;
        }
    }
    records
}

fn copy(disk: &dyn Disk, layout: &StoreLayout, position: u64, bytes: &[u8]) -> Result<Option<PathBuf>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let directory = layout.root.join("cuemq");
    let name = format!("cut-{position:020}-{:08x}", record::body_crc(bytes));
    let names = list(disk, &directory)?;
    let copies = names.iter().filter(|entry| entry.name.starts_with("cut-"));
    let path = directory.join(&name);
    if names.iter().any(|entry| entry.name == name) {
        return Ok(Some(path));
    }
    if copies.count() >= COPIES {
        tracing::error!(directory = %directory.display(), "too many copies of cut bytes are there; no further one is kept");
        return Ok(None);
    }
    let bytes = Bytes(bytes);
    snapshot::write(disk, &path, COPY, &Remains { position, bytes })?;
    Ok(Some(path))
}

fn read(disk: &dyn Disk, found: &FoundLog, start: u64, at: u64, into: &mut [u8]) -> Result<()> {
    let path = found.path(start);
    let file = disk.open(&path, OpenMode::Read).and_then(|file| file.read_at(into, at));
    file.map(|_| ()).map_err(|error| StoreError::io("read", &path, error))
}
