//! Step 9 of a pull: finds its messages in the consume queue and the commit log (`DefaultMessageStore.getMessage` in Java):
//! young ones in memory, on the connection's own thread, and older ones on the disk, where its errors are errors.
//!
//! A message that cannot be read is never passed over: only what lies before the log's beginning was deleted.

use cuemq_storage::commit_log::LogView;
use cuemq_storage::consume_queue::{QueueView, TagsReader, Unit};
use cuemq_storage::error::Result;
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::queue_directory::QueueDirectory;
use cuemq_storage::segment::{LoadedSegments, SegmentBytes};

use super::outbox::Slices;
use crate::filter::MessageFilter;
use crate::hold::ParkedPull;
use crate::rebalance::TagFilter;

/// How many units of the consume queue are looked at for one pull at least (`maxFilterMessageCount`).
const UNITS_PER_PULL: usize = 800;
/// How many bytes of records are looked at for one pull, about, where it takes them to know which are wanted.
const LOOKED_AT_BYTES: usize = 4 << 20;
/// What a pull is told whose messages the disk does not give.
const UNREADABLE: &str =
    "the messages cannot be read from the disk; the broker's log says why, pull again once it is mended";

/// How a look-up went (`GetMessageStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There are messages.
    Found,
    /// None of those looked at matches the filter.
    NoMatchedMessage,
    /// The messages were deleted meanwhile.
    MessageWasRemoving,
    /// The consume queue or the message cannot be read. (Java answers OFFSET_FOUND_NULL or MESSAGE_WAS_REMOVING, and its
    /// clients wait for good or pass over what is there.)
    Unreadable,
    /// Beyond the end of the queue by more than one.
    OffsetOverflowBadly,
    /// Just behind the last message.
    OffsetOverflowOne,
    /// Before the first message that is still there.
    OffsetTooSmall,
    /// The queue is empty.
    NoMessageInQueue,
}

impl Status {
    /// The remark of a pull answer: its name in Java.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::MessageWasRemoving => "MESSAGE_WAS_REMOVING",
            Self::Unreadable => UNREADABLE,
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
        }
    }
}

/// How much one answer holds at most (`maxTransferBytesOnMessageInMemory` and its kin), and what of it is in memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of records, but for a first one that is longer.
    pub bytes: usize,
    /// Messages.
    pub messages: u32,
    /// The newest part of the log, in bytes, which is taken to be in memory.
    pub hot_bytes: u64,
}

impl Limits {
    /// RocketMQ's limits for messages in memory. Its smaller ones for messages on disk protect a page cache that is read
    /// by faults; ours are made present first.
    #[must_use]
    pub fn of_memory(hot_bytes: u64) -> Self {
        Self {
            bytes: 256 * 1024,
            messages: 32,
            hot_bytes,
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
    pub filter: &'a MessageFilter,
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
    /// Where the last message lies that was looked at.
    pub reached: Option<PhysicalOffset>,
    /// The records.
    pub records: Slices,
    /// Their length in bytes.
    pub bytes: usize,
    /// How many they are.
    pub messages: u32,
}

impl Found {
    fn nothing(status: Status, next_begin: u64, min_offset: u64, max_offset: u64) -> Self {
        let (records, bytes, messages) = (Slices::new(), 0, 0);
        Self {
            status,
            next_begin,
            min_offset,
            max_offset,
            reached: None,
            records,
            bytes,
            messages,
        }
    }

    /// Java makes a queue when it looks for it, so one that was never written is empty, not missing.
    fn never_written() -> Self {
        Self::nothing(Status::NoMessageInQueue, 0, 0, 0)
    }

    /// Of a look-up that was lost on its way.
    #[must_use]
    pub fn unreadable(queue_offset: u64) -> Self {
        Self::nothing(Status::Unreadable, queue_offset, 0, 0)
    }
}

impl<'a> Wanted<'a> {
    /// What this pull asks for.
    #[must_use]
    pub fn by(pull: &'a ParkedPull) -> Self {
        Self {
            topic: &pull.topic,
            queue_id: pull.queue_id,
            queue_offset: pull.queue_offset,
            max_messages: pull.max_messages.into(),
            filter: &pull.filter,
        }
    }

    /// Looks up what is young, without waiting for anything; `None` when what is wanted is old: see
    /// [`Wanted::look_up_on_disk`].
    #[must_use]
    pub fn look_up(&self, log: &LogView, queues: &QueueDirectory, limits: Limits) -> Option<Found> {
        let Some(handle) = queues.find(self.topic, self.queue_id) else {
            return Some(Found::never_written());
        };
        let queue = handle.view();
        let found = self.between_ends(&queue);
        if found.status != Status::NoMatchedMessage {
            return Some(found);
        }
        let first = QueueOffset(self.queue_offset);
        let hot_from = PhysicalOffset(log.visible().0.saturating_sub(limits.hot_bytes));
        queue.is_young(first, hot_from).then(|| {
            let units = queue.read(first, self.units(limits));
            let units = units.map(|units| units.map(|(_, unit)| unit));
            self.collect(log, units, queue.tags(), found, limits, |_| Ok(()))
        })
    }

    /// Looks up whatever its age is; waits for the disk. The records that it gives are in memory then.
    #[must_use]
    pub fn look_up_on_disk(&self, log: &LogView, queues: &QueueDirectory, limits: Limits) -> Found {
        let Some(handle) = queues.find(self.topic, self.queue_id) else {
            return Found::never_written();
        };
        let queue = handle.view();
        let found = self.between_ends(&queue);
        if found.status != Status::NoMatchedMessage {
            return found;
        }
        let units = queue.copy(QueueOffset(self.queue_offset), self.units(limits));
        let (units, tags) = (units.map(Vec::into_iter), queue.tags());
        self.collect(log, units, tags, found, limits, SegmentBytes::populate)
    }

    fn units(&self, limits: Limits) -> usize {
        self.filter
            .units(UNITS_PER_PULL.max(self.max_messages.min(limits.messages) as usize))
    }

    /// What the queue's ends tell: `NoMatchedMessage`, so far, when what is wanted lies between them.
    fn between_ends(&self, queue: &QueueView) -> Found {
        let (min, max) = (queue.min_offset().0, queue.max_offset().0);
        let wanted = self.queue_offset;
        let (status, next) = if max == 0 {
            (Status::NoMessageInQueue, 0)
        } else if wanted < min || wanted.cast_signed() < 0 {
            (Status::OffsetTooSmall, min)
        } else if wanted == max {
            (Status::OffsetOverflowOne, wanted)
        } else if wanted > max {
            (Status::OffsetOverflowBadly, if min == 0 { min } else { max })
        } else {
            (Status::NoMatchedMessage, wanted)
        };
        Found::nothing(status, next, min, max)
    }

    /// Whether the message of a unit may be wanted; also where nobody knows its tags any more. Apart from the loop, as what
    /// follows, so that a pull of everything pays nothing for it.
    #[inline(never)]
    fn may_want(&self, unit: Unit, tags: &mut TagsReader<'_>) -> bool {
        match self.filter {
            MessageFilter::Tags(wanted) => tags.code(unit).is_none_or(|code| wanted.matches(code)),
            MessageFilter::OfOrigin { .. } => true,
            MessageFilter::Sql { marks, .. } => marks.as_ref().is_none_or(|marks| {
                let told = tags.marks(unit);
                told.is_none_or(|(stored_ms, bitmap)| marks.may_want(stored_ms, bitmap))
            }),
        }
    }

    /// Whether a record tells that its message is not wanted.
    #[inline(never)]
    fn passes_over(&self, record: &SegmentBytes) -> bool {
        self.filter.reads_records() && !self.filter.wants(record.as_ref())
    }

    /// Takes the records of the units that match; `ready` is asked of each before it is taken.
    fn collect(
        &self,
        log: &LogView,
        units: Result<impl Iterator<Item = Unit>>,
        mut tags: TagsReader<'_>,
        mut found: Found,
        limits: Limits,
        ready: impl Fn(&SegmentBytes) -> Result<()>,
    ) -> Found {
        let units = match units {
            Ok(units) => units,
            Err(error) => return self.unreadable(&error.to_string(), found),
        };
        let most = self.max_messages.min(limits.messages);
        let segments = log.segments().load();
        let takes_all = matches!(self.filter, MessageFilter::Tags(TagFilter::All));
        let mut looked_at = 0;
        for unit in units {
            found.reached = Some(unit.physical_offset);
            let size = unit.size as usize;
            let full = found.messages >= most || found.bytes + size > limits.bytes;
            if found.messages > 0 && full {
                break;
            }
            if takes_all || self.may_want(unit, &mut tags) {
                match record(&segments, unit)
                    .and_then(|record| ready(&record).map(|()| record).map_err(|error| error.to_string()))
                {
                    Ok(record) if !takes_all && self.passes_over(&record) => {
                        looked_at += size;
                        if looked_at > LOOKED_AT_BYTES {
                            found.next_begin += 1;
                            break;
                        }
                    }
                    Ok(record) => {
                        found.bytes += size;
                        found.messages += 1;
                        found.records.push(record);
                        found.status = Status::Found;
                    }
                    Err(_) if unit.physical_offset < log.minimum() && found.messages == 0 => {
                        found.status = Status::MessageWasRemoving;
                    }
                    // What stands before it is answered first; then it is the next to be looked for.
                    Err(_) if found.next_begin > self.queue_offset => break,
                    Err(error) => return self.unreadable(&error, found),
                }
            }
            found.next_begin += 1;
        }
        if found.next_begin == self.queue_offset {
            return self.unreadable("the file of its consume queue is gone", found);
        }
        found
    }

    fn unreadable(&self, error: &str, found: Found) -> Found {
        let (topic, queue_id, queue_offset) = (self.topic, self.queue_id, self.queue_offset);
        tracing::error!(topic, queue_id, queue_offset, error, "a message cannot be read");
        Found {
            status: Status::Unreadable,
            ..found
        }
    }
}

/// The record that a unit points at.
fn record(segments: &LoadedSegments, unit: Unit) -> std::result::Result<SegmentBytes, String> {
    let position = unit.physical_offset.0;
    let nowhere = || format!("its consume queue points at {position}, where no message of its length is");
    let segment = segments.find(position).ok_or_else(nowhere)?;
    segment.map().map_err(|error| error.to_string())?;
    let start = position - segment.start();
    segment.share(start..start + u64::from(unit.size)).ok_or_else(nowhere)
}
