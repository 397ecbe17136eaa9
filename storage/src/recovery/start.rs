//! Where recovery begins to read: as near to the end as what is known about the last run allows.
//!
//! Our own note (`cuemq/log`) says up to where everything was on disk. It counts only while nobody else has written to the
//! store since: RocketMQ's checkpoint must still say what we wrote into it. Otherwise RocketMQ's own rules hold
//! (`CommitLog.recoverNormally` and `recoverAbnormally`).

use cuemq_net::message::record::{Inspection, inspect};
use serde::{Deserialize, Serialize};

use super::scan::FoundLog;
use crate::checkpoint::Checkpoint;
use crate::disk::{Disk, OpenMode};
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;

/// What we note about the log in `cuemq/log`, several times a minute and at a clean stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogNote {
    /// Everything below is on disk.
    pub durable: u64,
    /// The consume queues and the index hold, on disk, everything below.
    pub confirmed: u64,
    /// The units of all consume queues together, at a clean stop: a queue that lost its files meanwhile is noticed.
    pub queue_units: Option<u64>,
    /// The checkpoint that was written with it, to notice that another program has used the store since.
    pub checkpoint: [i64; 3],
}

/// Where to begin, and how much to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The first record to read.
    pub from: PhysicalOffset,
    /// Whether the last run ended in order.
    pub clean: bool,
    /// How many units the consume queues must have together, where our note says so.
    pub queue_units: Option<u64>,
}

/// Enough for a record's fixed part.
const HEAD_BYTES: usize = 128;

impl Start {
    /// Finds the start. `aborted` says that the `abort` file is there.
    ///
    /// # Errors
    /// When a file of the log cannot be read.
    pub fn find(
        disk: &dyn Disk,
        found: &FoundLog,
        note: Option<LogNote>,
        checkpoint: Checkpoint,
        aborted: bool,
    ) -> Result<Self> {
        if let Some(note) = note
            && note.checkpoint == times_of(checkpoint)
            && (found.minimum()..=found.end()).contains(&note.confirmed)
        {
            let queue_units = note.queue_units.filter(|_| !aborted);
            return Ok(Self {
                from: PhysicalOffset(note.confirmed),
                clean: !aborted,
                queue_units,
            });
        }
        let from = if aborted {
            Self::by_checkpoint(disk, found, checkpoint)?
        } else {
            third_last(found)
        };
        Ok(Self {
            from: PhysicalOffset(from),
            clean: !aborted,
            queue_units: None,
        })
    }

    /// The newest file whose first record was stored before the checkpoint.
    fn by_checkpoint(disk: &dyn Disk, found: &FoundLog, checkpoint: Checkpoint) -> Result<u64> {
        let limit = checkpoint.min_ms();
        for start in found.starts.iter().rev().copied() {
            if first_store_time(disk, found, start)?.is_some_and(|stored| stored != 0 && stored <= limit) {
                return Ok(start);
            }
        }
        Ok(found.minimum())
    }
}

/// A checkpoint's times, as [`LogNote`] keeps them.
#[must_use]
pub fn times_of(checkpoint: Checkpoint) -> [i64; 3] {
    [
        checkpoint.commit_log_ms,
        checkpoint.consume_queue_ms,
        checkpoint.index_ms,
    ]
}

fn third_last(found: &FoundLog) -> u64 {
    let at = found.starts.len().saturating_sub(3);
    found.starts.get(at).copied().unwrap_or(0)
}

/// The store time of the first record of a file; `None` when there is no record.
fn first_store_time(disk: &dyn Disk, found: &FoundLog, start: u64) -> Result<Option<i64>> {
    let path = found.path(start);
    let io = |operation| move |error| StoreError::io(operation, &found.path(start), error);
    let file = disk.open(&path, OpenMode::Read).map_err(io("open"))?;
    let mut head = vec![0; HEAD_BYTES];
    let read = file.read_at(&mut head, 0).map_err(io("read"))?;
    head.truncate(read);
    let needed = match inspect(&head) {
        Inspection::Record(record) => return Ok(Some(record.store_timestamp_ms())),
        Inspection::Incomplete { needed } if needed as u64 <= found.segment_bytes => needed,
        _ => return Ok(None),
    };
    head.resize(needed, 0);
    let read = file.read_at(&mut head, 0).map_err(io("read"))?;
    match inspect(head.get(..read).unwrap_or_default()) {
        Inspection::Record(record) => Ok(Some(record.store_timestamp_ms())),
        _ => Ok(None),
    }
}
