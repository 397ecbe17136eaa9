//! Keys that the index of another program may have lost, of records in front of the start.
//!
//! RocketMQ notes the time of an index file when it is full, and not before: of a broker that was killed, the newest file
//! says nothing, and without a full one nothing of the index does. (Java goes on without these keys.) The records from the
//! last file on that was noted are read again for their keys. Log and consume queues are no worse for it: they are known to
//! be on disk up to the start. So damage in there costs keys and nothing else; each file is read for itself.

use std::sync::Arc;

use super::refeed::Refeed;
use super::scan::{Checks, FoundLog};
use super::start::{Start, store_time_at};
use super::{StoreLayout, open_index};
use crate::checkpoint::Checkpoint;
use crate::disk::Disk;
use crate::error::Result;
use crate::index;
use crate::interrupt::Interrupt;
use crate::position::PhysicalOffset;
use crate::steps::Stage;

/// Where to begin reading for keys.
pub(super) fn begin(
    disk: &Arc<dyn Disk>,
    layout: &StoreLayout,
    found: &FoundLog,
    start: Start,
    checkpoint: Checkpoint,
) -> Result<PhysicalOffset> {
    let Some(sizes) = layout.index.filter(|_| start.foreign && !start.clean) else {
        return Ok(start.from);
    };
    let first = PhysicalOffset(found.minimum());
    let index = open_index(disk, layout, sizes, index::Opening::Clean)?;
    match index.newest_until(checkpoint.index_ms) {
        Some(newest) if newest >= start.from => Ok(start.from),
        Some(newest) if newest >= first && begins_a_record(disk.as_ref(), found, newest)? => Ok(newest),
        _ => Ok(first),
    }
}

fn begins_a_record(disk: &dyn Disk, found: &FoundLog, position: PhysicalOffset) -> Result<bool> {
    let start = found.file_start(position.0);
    Ok(store_time_at(disk, found, start, position.0 - start)?.is_some())
}

/// Feeds the keys of the records in front of the start.
pub(super) fn feed(
    disk: &dyn Disk,
    found: &FoundLog,
    start: Start,
    refeed: &mut Refeed,
    interrupt: &Interrupt,
) -> Result<()> {
    if start.keys_from == start.from {
        return Ok(());
    }
    tracing::info!(from = %start.keys_from, upto = %start.from, "reading the log for keys that the index may have lost");
    let checks = Checks {
        body_crc: false,
        torn_from: PhysicalOffset(u64::MAX),
    };
    let mut at = start.keys_from;
    while at < start.from {
        let end = found.walk_one(disk, at, checks, |record| {
            let done = record.physical_offset().saturating_sub(start.keys_from.0);
            interrupt.reached(Stage::ReadingKeys, done, start.from.0 - start.keys_from.0)?;
            refeed.feed_keys(record)
        })?;
        let next = PhysicalOffset(found.file_start(at.0) + found.segment_bytes);
        if end.position < next {
            let damage = end.damage.as_deref().unwrap_or("zeros");
            tracing::error!(from = %end.position, upto = %next, damage, "the keys of these records cannot be read");
        }
        at = next;
    }
    Ok(())
}
