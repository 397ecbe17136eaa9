//! Where recovery begins to read: as near to the end as what is known about the last run allows.
//!
//! Our own note ([`LogNote`]) says up to where everything was on disk, as long as nobody else has written to the store
//! since. Otherwise RocketMQ's own rules hold (`CommitLog.recoverNormally` and `recoverAbnormally`).

use super::note::LogNote;
use super::scan::{FoundLog, ScanEnd};
use crate::checkpoint::Checkpoint;
use crate::commit_log::head::{HEAD_BYTES, Head};
use crate::consume_queue;
use crate::disk::{Disk, OpenMode};
use crate::error::{Result, StoreError};
use crate::index;
use crate::position::PhysicalOffset;

/// Where to begin, and how much to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// The first record to read for the consume queues.
    pub(super) from: PhysicalOffset,
    /// The first record to read for the index, not behind `from`.
    pub(super) keys_from: PhysicalOffset,
    /// Whether the last run ended in order.
    pub(super) clean: bool,
    /// Everything below is known to have been on disk.
    pub(super) durable: u64,
    /// How many units the consume queues must have together, where our note says so.
    pub(super) queue_units: Option<u64>,
    /// A store time that the log has reached, in milliseconds since 1970; 0 where our note does not say.
    pub(super) stored_ms: i64,
    /// Whether another program may have used the store last.
    pub(super) foreign: bool,
}

impl Start {
    /// Finds the start. `aborted` says that the `abort` file is there.
    ///
    /// # Errors
    /// When a file of the log cannot be read, or files are missing that held what was on disk.
    pub(super) fn find(
        disk: &dyn Disk,
        found: &FoundLog,
        note: Option<LogNote>,
        checkpoint: Checkpoint,
        aborted: bool,
    ) -> Result<Self> {
        if let Some(note) = note
            && note.counts_with(checkpoint)
        {
            if note.durable > found.end() {
                return Err(found.ends_early(note.durable));
            }
            // Who moves the oldest files away gives up what they hold, and no more.
            let from = PhysicalOffset(note.confirmed.max(found.minimum()));
            return Ok(Self {
                from,
                keys_from: from,
                clean: !aborted,
                durable: note.durable,
                queue_units: note.queue_units,
                stored_ms: note.stored_ms,
                foreign: note.foreign,
            });
        }
        let from = if !aborted {
            third_last(found)
        } else {
            Self::stored_before(disk, found, checkpoint.min_ms())?
        };
        Ok(Self {
            from: PhysicalOffset(from),
            keys_from: PhysicalOffset(from),
            clean: !aborted,
            durable: from,
            queue_units: None,
            stored_ms: 0,
            foreign: true,
        })
    }

    /// What is known about the consume queues.
    pub(super) fn opening(&self) -> consume_queue::Opening {
        if self.clean {
            consume_queue::Opening::Clean
        } else {
            consume_queue::Opening::AfterCrash(self.from)
        }
    }

    /// What is known about the index.
    pub(super) fn index_opening(&self) -> index::Opening {
        if self.clean {
            index::Opening::Clean
        } else {
            index::Opening::AfterCrash(self.keys_from)
        }
    }

    /// From where on a crash may have torn what this program wrote.
    pub(super) fn torn_from(&self) -> PhysicalOffset {
        let is_torn = !self.clean && !self.foreign;
        PhysicalOffset(if is_torn { self.durable } else { u64::MAX })
    }

    /// Whether the log has all that it had when the last run ended in order, where our note says how much that is.
    pub(super) fn has_whole_log(&self, end: &ScanEnd) -> bool {
        self.clean && !self.foreign && end.damage.is_none() && end.position.0 == self.durable
    }

    /// The same store, of whose queues and index nothing is believed.
    pub(super) fn at_the_first(self, found: &FoundLog) -> Self {
        let first = PhysicalOffset(found.minimum());
        Self {
            from: first,
            keys_from: first,
            clean: false,
            queue_units: None,
            ..self
        }
    }

    /// The newest file whose first record was stored before the checkpoint's time.
    fn stored_before(disk: &dyn Disk, found: &FoundLog, limit_ms: i64) -> Result<u64> {
        for start in found.starts.iter().rev().copied() {
            if store_time_at(disk, found, start, 0)?.is_some_and(|stored| stored != 0 && stored <= limit_ms) {
                return Ok(start);
            }
        }
        Ok(found.minimum())
    }
}

fn third_last(found: &FoundLog) -> u64 {
    let at = found.starts.len().saturating_sub(3);
    found.starts.get(at).copied().unwrap_or(0)
}

/// The store time of the record that begins in the file `start` at byte `at`; `None` when there is none.
pub(super) fn store_time_at(disk: &dyn Disk, found: &FoundLog, start: u64, at: u64) -> Result<Option<i64>> {
    let path = found.path(start);
    let io = |operation| move |error| StoreError::io(operation, &found.path(start), error);
    let file = disk.open(&path, OpenMode::Read).map_err(io("open"))?;
    let mut bytes = [0; HEAD_BYTES];
    let read = file.read_at(&mut bytes, at).map_err(io("read"))?;
    let head = Head::read(bytes.get(..read).unwrap_or_default());
    let fits = |head: &Head| head.physical_offset.0 == start + at && head.total_size as u64 <= found.segment_bytes;
    Ok(head.filter(fits).map(|head| head.store_timestamp_ms))
}
