//! How far consumer groups are behind: what lies between their committed offsets and the ends of the queues.

use std::sync::Arc;

use super::sources::BrokerSources;
use cuemq_storage::position::QueueOffset;
use cuemq_storage::queue_directory::QueueHandle;

/// How many times of messages one scrape reads from the disk at most; groups beyond that have no latency in it.
const READS_MAX: usize = 10_000;

/// How a group does on a topic. A queue on which it has committed nothing counts nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lag {
    pub(super) group: Arc<str>,
    pub(super) topic: Arc<str>,
    /// The sum of its committed offsets.
    pub(super) committed: u64,
    /// Messages that it has not committed.
    pub(super) messages: u64,
    /// How old the oldest of them is, in milliseconds; `None` where that was not read.
    pub(super) latency_ms: Option<u64>,
}

/// The times of messages that one scrape reads.
pub(super) struct Reads {
    /// How many it may still read.
    left: usize,
    now_ms: u64,
}

impl Reads {
    /// Those of a scrape at this time.
    pub(super) fn new(now_ms: u64) -> Self {
        let left = READS_MAX;
        Self { left, now_ms }
    }

    /// How long ago a message was stored; `None` when the disk does not say, or was asked too often.
    pub(super) fn age(&mut self, broker: &BrokerSources, queue: &QueueHandle, queue_offset: u64) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let unit = queue.view().copy(QueueOffset(queue_offset), 1).ok()?.first().copied()?;
        let stored = broker.log.store_time(unit.physical_offset).ok()??;
        Some(self.now_ms.saturating_sub(u64::try_from(stored).ok()?))
    }
}

/// Measures all groups on all topics that there are.
pub(super) fn measure(broker: &BrokerSources, reads: &mut Reads) -> Vec<Lag> {
    let mut lags = Vec::new();
    broker.offsets.for_each(|group, topic, queues| {
        if !broker.topics.contains(topic) {
            return;
        }
        let mut lag = Lag {
            group: Arc::clone(group),
            topic: Arc::clone(topic),
            committed: 0,
            messages: 0,
            latency_ms: Some(0),
        };
        for &(queue_id, committed) in queues {
            lag.committed += committed.unsigned_abs();
            let Some(queue) = u32::try_from(queue_id)
                .ok()
                .and_then(|id| broker.queues.find(topic, id))
            else {
                continue;
            };
            let (first, end) = ends(&queue);
            let next = committed.unsigned_abs().max(first);
            if next < end {
                lag.messages += end - next;
                let age = reads.age(broker, &queue, next);
                lag.latency_ms = lag.latency_ms.zip(age).map(|(oldest, age)| oldest.max(age));
            }
        }
        lags.push(lag);
    });
    lags.sort_unstable_by(|left, right| (&left.group, &left.topic).cmp(&(&right.group, &right.topic)));
    lags
}

/// The first queue offset that is still there, and the one behind the last.
pub(super) fn ends(queue: &QueueHandle) -> (u64, u64) {
    let view = queue.view();
    (view.min_offset().0, view.max_offset().0)
}
