//! The next queue offset of every queue: a record's place in its consume queue is given when it is appended, long before
//! the consume queue sees it (`CommitLog.topicQueueTable` in Java).
//!
//! Queues are named by slots, small numbers that are never used again in a process, so that the hot path neither hashes
//! nor compares topic names.

use std::sync::Arc;

use cuemq_net::message::record::{Record, RecordError};

use super::batch::{PendingRecord, UNRESOLVED};
use crate::hash::Map;
use crate::position::QueueOffset;

/// Not part of the tick that is being gathered.
const NO_GROUP: u32 = u32::MAX;

/// The name of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueName {
    /// The topic.
    pub topic: Arc<str>,
    /// The queue within the topic.
    pub queue_id: u32,
}

#[derive(Debug)]
struct Slot {
    name: QueueName,
    next: QueueOffset,
    group: u32,
}

/// All queues that have ever had a record.
#[derive(Debug, Default)]
pub struct QueueTable {
    slots: Vec<Slot>,
    /// For each topic the slots of its queues, by their numbers. A record may name any number, so none is a place in a table.
    by_name: Map<Arc<str>, Map<u32, u32>>,
    fresh: Vec<u32>,
}

impl QueueTable {
    /// The slot of a queue, made with `next` as its next queue offset when it has none.
    pub fn insert(&mut self, topic: &str, queue_id: u32, next: QueueOffset) -> u32 {
        if let Some(slot) = self.find(topic, queue_id) {
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).unwrap_or(UNRESOLVED - 1);
        let topic = self
            .by_name
            .get_key_value(topic)
            .map_or_else(|| Arc::from(topic), |(name, _)| Arc::clone(name));
        self.by_name
            .entry(Arc::clone(&topic))
            .or_default()
            .insert(queue_id, slot);
        self.slots.push(Slot {
            name: QueueName { topic, queue_id },
            next,
            group: NO_GROUP,
        });
        slot
    }

    /// The slot of a queue that has one.
    #[must_use]
    pub fn find(&self, topic: &str, queue_id: u32) -> Option<u32> {
        self.by_name.get(topic)?.get(&queue_id).copied()
    }

    /// The slots of a topic's queues.
    #[must_use]
    pub fn slots_of(&self, topic: &str) -> Vec<u32> {
        let queues = self.by_name.get(topic);
        let mut slots: Vec<u32> = queues.into_iter().flat_map(Map::values).copied().collect();
        slots.sort_unstable();
        slots
    }

    /// The name of the queue in a slot.
    #[must_use]
    pub fn name(&self, slot: u32) -> Option<&QueueName> {
        self.slots.get(slot as usize).map(|slot| &slot.name)
    }

    /// The queue offset that the next record of a queue gets.
    #[must_use]
    pub fn next(&self, slot: u32) -> Option<QueueOffset> {
        self.slots.get(slot as usize).map(|slot| slot.next)
    }

    /// Sets the queue offset that the next record of a queue gets; only where none of it is on its way to the queue.
    pub fn set_next(&mut self, slot: u32, next: QueueOffset) {
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            slot.next = next;
        }
    }

    /// Lets all queues count as just made; those that are known already are passed over by whoever takes them.
    pub(crate) fn announce_all(&mut self) {
        self.fresh = (0..u32::try_from(self.slots.len()).unwrap_or(0)).collect();
    }

    /// The slots that were made since the last call.
    pub fn take_fresh(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.fresh)
    }

    /// How many queues there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no queue yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The slot of a pending record's queue; the topic is read from the record's own bytes when the sender did not know
    /// the slot.
    pub(super) fn resolve(&mut self, pending: &PendingRecord, bytes: &[u8]) -> Result<u32, RecordError> {
        if (pending.queue_slot as usize) < self.slots.len() {
            return Ok(pending.queue_slot);
        }
        let record = Record::parse(bytes)?;
        let topic = record.topic()?;
        if let Some(slot) = self.find(topic, pending.queue_id) {
            return Ok(slot);
        }
        let slot = self.insert(topic, pending.queue_id, QueueOffset(0));
        self.fresh.push(slot);
        Ok(slot)
    }

    /// Gives the next queue offset; a record without an entry in its queue gets 0 and takes none.
    pub(super) fn take(&mut self, slot: u32, queued: bool) -> QueueOffset {
        match self.slots.get_mut(slot as usize) {
            Some(slot) if queued => {
                let taken = slot.next;
                slot.next = taken.advanced(1);
                taken
            }
            _ => QueueOffset(0),
        }
    }

    /// The group of a queue in the tick that is being gathered; `next_group` becomes its group when it has none.
    pub(super) fn group(&mut self, slot: u32, next_group: usize) -> usize {
        let Some(slot) = self.slots.get_mut(slot as usize) else {
            return next_group;
        };
        if slot.group == NO_GROUP {
            slot.group = u32::try_from(next_group).unwrap_or(NO_GROUP);
        }
        slot.group as usize
    }

    pub(super) fn ungroup(&mut self, slot: u32) {
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            slot.group = NO_GROUP;
        }
    }
}
