//! Which consume queue a record of the log goes to. The broker's own records name a queue that can be; those that another
//! program wrote, or damage made, may name anything: a topic with a slash or a zero byte in it, `..`, a queue number below
//! 0. Such a record stays in the log and can be read there, but it is in no consume queue, so that a name never leads out of
//! `consumequeue/` and never stops the start.

use cuemq_net::message::record::Record;

use crate::commit_log::derive::is_queued;
use crate::consume_queue::{LAST_QUEUE_OFFSET, QueuePlace};
use crate::position::{PhysicalOffset, QueueOffset};

/// Where a record's unit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination<'a> {
    /// Into this queue, at this place.
    Queue {
        topic: &'a str,
        queue_id: u32,
        at: QueueOffset,
    },
    /// It has none: a transaction that is prepared or rolled back.
    Nowhere,
    /// It names a queue or a place in it that cannot be.
    Impossible,
}

/// Tells where a record's unit goes.
pub(super) fn destination_of<'a>(record: &Record<'a>) -> Destination<'a> {
    if !is_queued(record.system_flag()) {
        return Destination::Nowhere;
    }
    let topic = record.topic().ok().filter(|topic| QueuePlace::is_possible(topic));
    match (topic, u32::try_from(record.queue_id())) {
        (Some(topic), Ok(queue_id)) if record.queue_offset() <= LAST_QUEUE_OFFSET => Destination::Queue {
            topic,
            queue_id,
            at: QueueOffset(record.queue_offset()),
        },
        _ => Destination::Impossible,
    }
}

/// Counts the records whose queue cannot be.
#[derive(Debug, Default)]
pub(super) struct Unplaced {
    count: u64,
    first: Option<PhysicalOffset>,
}

impl Unplaced {
    /// Notes one, which begins here.
    pub(super) fn note(&mut self, position: PhysicalOffset) {
        self.count += 1;
        self.first.get_or_insert(position);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Warns once about all of them.
    pub(super) fn tell(&self) {
        if let Some(first) = self.first {
            tracing::warn!(
                records = self.count,
                %first,
                "records whose topic, queue or place in it cannot be: they stay in the log and are in no consume queue"
            );
        }
    }
}
