//! What consumer groups that are online have in hand: how far they have pulled, against what they have committed and the ends of
//! the queues (`ConsumerLagCalculator` in Java).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lag::{Reads, ends};
use super::sources::BrokerSources;
use crate::pulled::Pulled;
use crate::traffic::{Pair, Traffic};

/// Where a group goes on, by queue.
type Committed = BTreeMap<i32, i64>;

/// How a group does on a topic, over the queues that it has pulled in this life of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InHand {
    pub(super) pair: Pair,
    /// Messages that it has pulled and not committed. Where it has committed nothing, nothing is in its hands, as in Java.
    pub(super) pulled: u64,
    /// Messages that it has not pulled yet.
    pub(super) ready: u64,
    /// How old the oldest of them is, in milliseconds; `None` where that was not read.
    pub(super) latency_ms: Option<u64>,
}

/// Measures all groups that are online, on the topics that there are.
pub(super) fn measure(broker: &BrokerSources, traffic: &Traffic, reads: &mut Reads) -> Vec<InHand> {
    let mut pulled = traffic.pulled();
    pulled.retain(|pair, _| {
        let is_online = || broker.membership.with_consumer_group(&pair.group, |_| ()).is_some();
        broker.topics.contains(&pair.topic) && is_online()
    });
    let mut committed: BTreeMap<Pair, Committed> = BTreeMap::new();
    broker.offsets.for_each(|group, topic, queues| {
        let (topic, group) = (topic.clone(), group.clone());
        let pair = Pair { topic, group };
        if pulled.contains_key(&pair) {
            // Looked up for each queue: a topic may have tens of thousands.
            committed.insert(pair, queues.iter().copied().collect());
        }
    });
    let of_pair = |(pair, pulled): (Pair, _)| {
        let committed = committed.remove(&pair).unwrap_or_default();
        measure_one(broker, pair, (pulled, &committed), reads)
    };
    pulled.into_iter().map(of_pair).collect()
}

fn measure_one(
    broker: &BrokerSources,
    pair: Pair,
    (pulled, committed): (Arc<Pulled>, &Committed),
    reads: &mut Reads,
) -> InHand {
    let mut in_hand = InHand {
        pair,
        pulled: 0,
        ready: 0,
        latency_ms: Some(0),
    };
    for (queue_id, next) in pulled.queues() {
        let of_queue = i32::try_from(queue_id).ok().and_then(|id| committed.get(&id));
        let committed = of_queue.and_then(|offset| u64::try_from(*offset).ok());
        in_hand.pulled += committed.map_or(0, |committed| next.saturating_sub(committed));
        let Some(queue) = broker.queues.find(&in_hand.pair.topic, queue_id) else {
            continue;
        };
        let (first, end) = ends(&queue);
        let next = next.max(first);
        if next < end {
            in_hand.ready += end - next;
            let age = reads.age(broker, &queue, next);
            in_hand.latency_ms = in_hand.latency_ms.zip(age).map(|(oldest, age)| oldest.max(age));
        }
    }
    in_hand
}
