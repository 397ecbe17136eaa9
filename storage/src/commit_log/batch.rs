//! What a connection hands to the commit log: records encoded one after the other, whose positions are still open.
//!
//! The connection does all the work that needs no order: checks, CRC, encoding, hashing of keys. The log only fills in
//! the places, so that its one thread is never the bottleneck.

use cuemq_net::message::properties::KnownProperties;
use cuemq_net::message::record::{self, RecordError, RecordFields};

use super::derive::{for_each_key, is_queued, pending_tags_code};
use crate::delay_level::DelayLevels;
use crate::position::{PhysicalOffset, QueueOffset};

/// A record's queue is not yet known by its slot; the log looks its topic up once.
pub const UNRESOLVED: u32 = u32::MAX;

/// One encoded record of a batch.
#[derive(Clone, Debug)]
pub struct PendingRecord {
    /// Where it begins in the batch's bytes.
    pub start: u32,
    /// Its length in bytes.
    pub length: u32,
    /// The slot of its queue in the log's queue table, or [`UNRESOLVED`].
    pub queue_slot: u32,
    /// Its queue within the topic.
    pub queue_id: u32,
    /// What the consume queue keeps for the tag filter, or for a delayed message its delay in milliseconds.
    pub tags_code: i64,
    /// Whether `tags_code` is a delay: the queue keeps when it ends, counted from when the log stores the record.
    pub delayed: bool,
    /// Whether it must lie in the same file as the record before it (the messages of a batch message do).
    pub joined: bool,
    /// Whether it gets an entry in its consume queue (prepared and rolled back transactions do not).
    pub queued: bool,
    /// Where it lies in the log; filled in by the log.
    pub physical_offset: PhysicalOffset,
    /// Its place in its queue; filled in by the log.
    pub queue_offset: QueueOffset,
}

/// The hash of one key of a record, for the index.
#[derive(Clone, Copy, Debug)]
pub struct PendingKey {
    /// Which record of the batch has the key.
    pub record: u32,
    /// RocketMQ's index hash of topic and key.
    pub hash: i32,
}

/// Records that are answered together; `C` is what their sender needs for the answer.
///
/// It lives in a box: from its sender to the log and back it passes through a dozen hands.
#[derive(Debug)]
pub struct RecordBatch<C> {
    /// The encoded records, without gaps.
    pub bytes: Vec<u8>,
    /// Where each record lies in `bytes` and what is known of it.
    pub records: Vec<PendingRecord>,
    /// The keys of the records, in their order.
    pub keys: Vec<PendingKey>,
    /// Comes back with the answer.
    pub context: C,
}

impl<C> RecordBatch<C> {
    /// An empty batch.
    pub fn new(context: C) -> Box<Self> {
        Box::new(Self {
            bytes: Vec::new(),
            records: Vec::new(),
            keys: Vec::new(),
            context,
        })
    }

    /// Appends a record, and what its queue and the index need of it. `known` is what its properties hold, `slot` the slot
    /// of its queue where the sender knows it.
    ///
    /// # Errors
    /// When a field is longer than a record can tell; nothing is appended then.
    #[inline]
    pub fn push(
        &mut self,
        fields: &RecordFields<'_>,
        known: &KnownProperties<'_>,
        levels: &DelayLevels,
        slot: Option<u32>,
    ) -> Result<(), RecordError> {
        let start = self.bytes.len();
        let length = record::encode(fields, &mut self.bytes)?;
        let number = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        for_each_key(fields.topic, known, fields.system_flag, |hash| {
            self.keys.push(PendingKey { record: number, hash });
        });
        let (tags_code, delayed) = pending_tags_code(fields.topic, known, levels);
        self.records.push(PendingRecord {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(u32::MAX),
            queue_slot: slot.unwrap_or(UNRESOLVED),
            queue_id: u32::try_from(fields.queue_id).unwrap_or(0),
            tags_code,
            delayed,
            joined: false,
            queued: is_queued(fields.system_flag),
            physical_offset: PhysicalOffset(0),
            queue_offset: QueueOffset(0),
        });
        Ok(())
    }

    /// The length of the group that begins at record `first`: that record and the ones joined to it.
    pub(super) fn group(&self, first: usize) -> (usize, u64) {
        let mut end = first;
        let mut length = 0;
        for record in self.records.iter().skip(first) {
            if end > first && !record.joined {
                break;
            }
            end += 1;
            length += u64::from(record.length);
        }
        (end, length)
    }
}
