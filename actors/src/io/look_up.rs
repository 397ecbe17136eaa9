//! Finds the messages for a pull in the consume queue and the commit log, without asking anybody
//! (`DefaultMessageStore.getMessage` in Java).

use cuemq_storage::commit_log::LogView;
use cuemq_storage::consume_queue::Unit;
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::queue_directory::QueueDirectory;

use super::outbox::Slices;
use crate::rebalance::TagFilter;

/// How many bytes of the consume queue are looked at for one pull at least (`maxFilterMessageCount`).
const UNITS_PER_PULL: usize = 800;
/// The newest part of the log, in bytes, which is taken to be in memory.
const HOT_BYTES: u64 = 512 << 20;

/// How a look-up went (`GetMessageStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There are messages.
    Found,
    /// None of those looked at matches the filter.
    NoMatchedMessage,
    /// The messages were deleted meanwhile.
    MessageWasRemoving,
    /// The consume queue cannot be read there.
    OffsetFoundNull,
    /// Beyond the end of the queue by more than one.
    OffsetOverflowBadly,
    /// Just behind the last message.
    OffsetOverflowOne,
    /// Before the first message that is still there.
    OffsetTooSmall,
    /// The queue has never had a message.
    NoMatchedLogicQueue,
    /// The queue is empty.
    NoMessageInQueue,
}

impl Status {
    /// Its name in Java, which is the remark of a pull answer.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::MessageWasRemoving => "MESSAGE_WAS_REMOVING",
            Self::OffsetFoundNull => "OFFSET_FOUND_NULL",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::NoMatchedLogicQueue => "NO_MATCHED_LOGIC_QUEUE",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
        }
    }
}

/// How much one answer holds at most (`maxTransferBytesOnMessageInMemory` and its kin).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of records, but for a first one that is longer.
    pub bytes: usize,
    /// Messages.
    pub messages: u32,
}

impl Limits {
    /// RocketMQ's limits for messages in memory. Its smaller ones for messages on disk protect a page cache that is read
    /// by faults; ours are made present first.
    #[must_use]
    pub fn of_memory() -> Self {
        Self {
            bytes: 256 * 1024,
            messages: 32,
        }
    }
}

/// What a pull asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue_id: u32,
    /// Where to read from. The bits are those of Java's `long`: the upper half is negative, before every message.
    pub queue_offset: u64,
    /// How many messages at most.
    pub max_messages: u32,
    /// Which ones.
    pub filter: &'a TagFilter,
}

/// What a look-up found.
#[derive(Debug)]
pub struct Found {
    /// How it went.
    pub status: Status,
    /// Where to look next.
    pub next_begin: u64,
    /// The first queue offset that is still there.
    pub min_offset: u64,
    /// Behind the last one.
    pub max_offset: u64,
    /// The records.
    pub records: Slices,
    /// Their length in bytes.
    pub bytes: usize,
    /// How many they are.
    pub messages: u32,
    /// Whether some of them may not be in memory.
    pub is_cold: bool,
}

impl Found {
    fn nothing(status: Status, next_begin: u64, min_offset: u64, max_offset: u64) -> Self {
        let (records, bytes, messages) = (Slices::new(), 0, 0);
        Self {
            status,
            next_begin,
            min_offset,
            max_offset,
            records,
            bytes,
            messages,
            is_cold: false,
        }
    }
}

impl Wanted<'_> {
    /// Looks up.
    #[must_use]
    pub fn look_up(&self, log: &LogView, queues: &QueueDirectory, limits: Limits) -> Found {
        let Some(handle) = queues.find(self.topic, self.queue_id) else {
            // Java makes a queue when it looks for it, so one that was never written is empty, not missing.
            return Found::nothing(Status::NoMessageInQueue, 0, 0, 0);
        };
        let queue = handle.view();
        let (min, max) = (queue.min_offset().0, queue.max_offset().0);
        let wanted = self.queue_offset;
        if max == 0 {
            return Found::nothing(Status::NoMessageInQueue, 0, min, max);
        }
        if wanted < min || wanted.cast_signed() < 0 {
            return Found::nothing(Status::OffsetTooSmall, min, min, max);
        }
        if wanted == max {
            return Found::nothing(Status::OffsetOverflowOne, wanted, min, max);
        }
        if wanted > max {
            let next = if min == 0 { min } else { max };
            return Found::nothing(Status::OffsetOverflowBadly, next, min, max);
        }
        let units = UNITS_PER_PULL.max(self.max_messages.min(limits.messages) as usize);
        match queue.read(QueueOffset(wanted), units) {
            Ok(units) => self.collect(
                log,
                units.map(|(_, unit)| unit),
                Found::nothing(Status::NoMatchedMessage, wanted, min, max),
                limits,
            ),
            Err(error) => {
                tracing::warn!(topic = self.topic, queue_id = self.queue_id, %error, "a consume queue cannot be read");
                Found::nothing(Status::OffsetFoundNull, wanted, min, max)
            }
        }
    }

    fn collect(&self, log: &LogView, units: impl Iterator<Item = Unit>, mut found: Found, limits: Limits) -> Found {
        let hot_from = log.visible().0.saturating_sub(HOT_BYTES);
        let most = self.max_messages.min(limits.messages);
        let segments = log.segments().load();
        for unit in units {
            let size = unit.size as usize;
            let full = found.messages >= most || found.bytes + size > limits.bytes;
            if found.messages > 0 && full {
                break;
            }
            found.next_begin += 1;
            if !self.filter.matches(unit.tags_code) {
                continue;
            }
            let PhysicalOffset(position) = unit.physical_offset;
            let record = segments
                .find(position)
                .filter(|segment| segment.map().is_ok())
                .and_then(|segment| {
                    let start = position - segment.start();
                    segment.share(start..start + u64::from(unit.size))
                });
            match record {
                Some(record) => {
                    found.is_cold |= position < hot_from;
                    found.bytes += size;
                    found.messages += 1;
                    found.records.push(record);
                    found.status = Status::Found;
                }
                None if found.messages == 0 => found.status = Status::MessageWasRemoving,
                None => {
                    found.next_begin -= 1;
                    break;
                }
            }
        }
        found
    }
}
