//! The end of the log: gives each record its place.
//!
//! A record never crosses a file. Where it does not fit with 8 bytes to spare, the rest of the file becomes a blank
//! record and the record begins the next file (`CommitLog.DefaultAppendMessageCallback` in Java). The records of a batch
//! message stay together in one file.

use std::ops::Range;

use cuemq_net::message::record;

use super::batch::{PendingRecord, RecordBatch};
use super::dispatch::DispatchBuilder;
use super::queue_table::QueueTable;
use crate::position::PhysicalOffset;

/// What a blank record takes at least: its length and its magic number.
pub const BLANK_BYTES: u64 = 8;

/// A piece of the log to be written in one go, within one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes of the tick's batch with this number.
    Records {
        position: PhysicalOffset,
        batch: usize,
        range: Range<usize>,
    },
    /// A blank record that ends a file.
    Blank { position: PhysicalOffset, length: u64 },
}

/// Why a batch cannot be placed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A record, or the records of a batch message together, are longer than a file of the log can hold.
    #[error("{length} bytes do not fit into a commit log file of {segment_bytes}")]
    TooLong {
        /// The length in bytes.
        length: u64,
        /// The length of a file in bytes.
        segment_bytes: u64,
    },
    /// The bytes are no record.
    #[error("the batch holds bytes that are no record: {0}")]
    NoRecord(#[from] record::RecordError),
}

/// The end of the log.
#[derive(Debug)]
pub(super) struct LogTail {
    position: PhysicalOffset,
    segment_bytes: u64,
    last_store_timestamp_ms: i64,
}

impl LogTail {
    pub(super) fn new(position: PhysicalOffset, segment_bytes: u64, last_store_timestamp_ms: i64) -> Self {
        Self {
            position,
            segment_bytes,
            last_store_timestamp_ms,
        }
    }

    pub(super) fn position(&self) -> PhysicalOffset {
        self.position
    }

    pub(super) fn last_store_timestamp_ms(&self) -> i64 {
        self.last_store_timestamp_ms
    }

    /// The store time of the next record: the clock's, but never less than the one before.
    pub(super) fn store_timestamp(&mut self, now_ms: u64) -> i64 {
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        self.last_store_timestamp_ms = self.last_store_timestamp_ms.max(now);
        self.last_store_timestamp_ms
    }

    /// Where the batch would end, without placing it.
    pub(super) fn end_of<C>(&self, batch: &RecordBatch<C>) -> Result<PhysicalOffset, PlaceError> {
        let mut position = self.position;
        let mut first = 0;
        while first < batch.records.len() {
            let (end, length) = batch.group(first);
            if length + BLANK_BYTES > self.segment_bytes {
                return Err(PlaceError::TooLong {
                    length,
                    segment_bytes: self.segment_bytes,
                });
            }
            if length + BLANK_BYTES > self.left_at(position) {
                position = position.advanced(self.left_at(position));
            }
            position = position.advanced(length);
            first = end;
        }
        Ok(position)
    }

    fn left_at(&self, position: PhysicalOffset) -> u64 {
        self.segment_bytes - position.0 % self.segment_bytes
    }

    /// Places a batch whose end was found by [`LogTail::end_of`]: fills in its records and notes what to write and to
    /// dispatch.
    pub(super) fn place<C>(
        &mut self,
        batch_number: usize,
        batch: &mut RecordBatch<C>,
        store_timestamp_ms: i64,
        queues: &mut QueueTable,
        pieces: &mut Vec<Piece>,
        dispatch: &mut DispatchBuilder,
    ) -> Result<(), PlaceError> {
        dispatch.stored_at(self.position, store_timestamp_ms);
        let mut first = 0;
        while first < batch.records.len() {
            let (end, length) = batch.group(first);
            let left = self.left_at(self.position);
            if length + BLANK_BYTES > left {
                pieces.push(Piece::Blank {
                    position: self.position,
                    length: left,
                });
                self.position = self.position.advanced(left);
            }
            let Some(group) = batch.records.get_mut(first..end) else {
                break;
            };
            for pending in group {
                self.place_one(pending, &mut batch.bytes, store_timestamp_ms, queues, dispatch)?;
                let start = pending.start as usize;
                extend(
                    pieces,
                    pending.physical_offset,
                    batch_number,
                    start..start + pending.length as usize,
                );
            }
            first = end;
        }
        for key in &batch.keys {
            if let Some(record) = batch.records.get(key.record as usize) {
                dispatch.key(key.hash, record.physical_offset, store_timestamp_ms);
            }
        }
        Ok(())
    }

    fn place_one(
        &mut self,
        pending: &mut PendingRecord,
        bytes: &mut [u8],
        store_timestamp_ms: i64,
        queues: &mut QueueTable,
        dispatch: &mut DispatchBuilder,
    ) -> Result<(), PlaceError> {
        let start = pending.start as usize;
        let bytes = bytes
            .get_mut(start..start + pending.length as usize)
            .unwrap_or_default();
        let slot = queues.resolve(pending, bytes)?;
        let queue_offset = queues.take(slot, pending.queued);
        record::place(bytes, queue_offset.0, self.position.0, store_timestamp_ms)?;
        pending.queue_slot = slot;
        pending.queue_offset = queue_offset;
        pending.physical_offset = self.position;
        if pending.queued {
            let stored_ms = if pending.delayed { store_timestamp_ms } else { 0 };
            dispatch.unit(
                queues,
                slot,
                queue_offset,
                self.position,
                pending.length,
                pending.tags_code.saturating_add(stored_ms),
            );
        }
        self.position = self.position.advanced(u64::from(pending.length));
        Ok(())
    }
}

/// Adds bytes to the last piece when they follow it in the batch and in the log, and begins a new piece otherwise.
fn extend(pieces: &mut Vec<Piece>, position: PhysicalOffset, batch: usize, range: Range<usize>) {
    if let Some(Piece::Records {
        batch: last,
        range: written,
        ..
    }) = pieces.last_mut()
        && *last == batch
        && written.end == range.start
    {
        written.end = range.end;
        return;
    }
    pieces.push(Piece::Records { position, batch, range });
}
