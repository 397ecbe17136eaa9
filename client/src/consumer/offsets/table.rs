//! How far a group has come on each queue, in memory (the table inside both of Java's offset stores).

use std::collections::{BTreeMap, BTreeSet};

use cuemq_net::body::MessageQueue;

/// The next position to consume, by queue.
#[derive(Debug, Default)]
pub(crate) struct OffsetTable {
    offsets: BTreeMap<MessageQueue, i64>,
}

impl OffsetTable {
    pub(crate) fn get(&self, queue: &MessageQueue) -> Option<i64> {
        self.offsets.get(queue).copied()
    }

    /// Sets an offset, also to a lower one.
    pub(crate) fn set(&mut self, queue: &MessageQueue, queue_offset: i64) {
        match self.offsets.get_mut(queue) {
            Some(known) => *known = queue_offset,
            None => {
                self.offsets.insert(queue.clone(), queue_offset);
            }
        }
    }

    /// Sets an offset unless it is known to be higher.
    pub(crate) fn advance(&mut self, queue: &MessageQueue, queue_offset: i64) {
        let known = self.get(queue).unwrap_or(i64::MIN);
        self.set(queue, known.max(queue_offset));
    }

    pub(crate) fn forget(&mut self, queue: &MessageQueue) {
        self.offsets.remove(queue);
    }

    /// Forgets all queues but these.
    pub(crate) fn keep(&mut self, queues: &BTreeSet<MessageQueue>) {
        self.offsets.retain(|queue, _| queues.contains(queue));
    }

    /// The offsets of a topic, or of all topics.
    pub(crate) fn of_topic(&self, topic: Option<&str>) -> BTreeMap<MessageQueue, i64> {
        let of_topic = |queue: &MessageQueue| topic.is_none_or(|topic| queue.topic == topic);
        let found = self.offsets.iter().filter(|(queue, _)| of_topic(queue));
        found
            .map(|(queue, queue_offset)| (queue.clone(), *queue_offset))
            .collect()
    }

    /// Takes offsets over that were kept elsewhere.
    pub(crate) fn load(&mut self, kept: BTreeMap<MessageQueue, i64>) {
        self.offsets.extend(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(topic: &str, queue_id: i32) -> MessageQueue {
        MessageQueue {
            topic: topic.to_owned(),
            broker_name: "b".to_owned(),
            queue_id,
        }
    }

    #[test]
    fn progress_never_goes_back_unless_it_is_set_back() {
        let mut table = OffsetTable::default();
        table.advance(&queue("T", 0), 5);
        table.advance(&queue("T", 0), 3);
        assert_eq!(table.get(&queue("T", 0)), Some(5));
        table.set(&queue("T", 0), 3);
        assert_eq!(table.get(&queue("T", 0)), Some(3));
        table.forget(&queue("T", 0));
        assert_eq!(table.get(&queue("T", 0)), None);
    }

    #[test]
    fn queues_that_are_not_owned_are_forgotten() {
        let mut table = OffsetTable::default();
        table.load(BTreeMap::from([
            (queue("T", 0), 1),
            (queue("T", 1), 2),
            (queue("U", 0), 3),
        ]));
        assert_eq!(table.of_topic(Some("T")).len(), 2);
        table.keep(&BTreeSet::from([queue("U", 0)]));
        assert_eq!(table.of_topic(None), BTreeMap::from([(queue("U", 0), 3)]));
    }
}
