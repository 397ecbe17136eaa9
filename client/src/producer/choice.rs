//! Which queue a message goes to: in turn from a random start (`TopicPublishInfo`), past brokers that are slow or fail where
//! that is asked for; or the application chooses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cuemq_net::body::MessageQueue;
use cuemq_net::message::tags::java_hash;
use tokio::time::Instant;

use super::fault::Faults;
use crate::clock::Chance;
use crate::instance::TopicRoute;

/// Where each topic's turn is.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<String, usize>>);

impl Turns {
    fn next(&self, topic: &str, chance: &Chance) -> usize {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get_mut(topic) {
            *turn = turn.wrapping_add(1);
            return *turn;
        }
        let first = chance.below(1 << 30);
        turns.insert(topic.to_owned(), first);
        first
    }

    /// The next queue, of another broker than the one that was just tried, if there is another.
    pub(super) fn choose(
        &self,
        route: &TopicRoute,
        topic: &str,
        tried: Option<&str>,
        chance: &Chance,
    ) -> Option<Arc<MessageQueue>> {
        let queues = &route.publish;
        let turn = self.next(topic, chance);
        for step in 0..queues.len() {
            let at = turn.wrapping_add(step) % queues.len();
            if tried != Some(queues.get(at)?.broker_name.as_str()) {
                if step > 0 {
                    self.skip(topic, step);
                }
                return route.queue(at);
            }
        }
        route.queue(turn.checked_rem(queues.len())?)
    }

    fn skip(&self, topic: &str, steps: usize) {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get_mut(topic) {
            *turn = turn.wrapping_add(steps);
        }
    }

    /// The next queue of a broker that is available; where none is, a queue of one of the better ones.
    pub(super) fn choose_available(
        &self,
        route: &TopicRoute,
        topic: &str,
        faults: &Faults,
        now: Instant,
        chance: &Chance,
    ) -> Option<Arc<MessageQueue>> {
        let queues = &route.publish;
        let turn = self.next(topic, chance);
        for step in 0..queues.len() {
            let at = turn.wrapping_add(step) % queues.len();
            if faults.is_available(&queues.get(at)?.broker_name, now) {
                return route.queue(at);
            }
        }
        if let Some(broker_name) = faults.at_least_one(now, chance) {
            let of_it: Vec<_> = (0..queues.len())
                .filter(|at| queues[*at].broker_name == broker_name)
                .collect();
            if let Some(at) = turn.checked_rem(of_it.len()) {
                return route.queue(of_it[at]);
            }
            faults.forget(&broker_name);
        }
        route.queue(turn.checked_rem(queues.len())?)
    }
}

/// The queue that a key always leads to, as long as there are as many (`SelectMessageQueueByHash`).
#[must_use]
pub fn by_hash<'a>(queues: &'a [MessageQueue], key: &str) -> Option<&'a MessageQueue> {
    // Java takes the absolute value, and 0 where there is none
    let hash = java_hash(key).checked_abs().unwrap_or_default();
    queues.get(usize::try_from(hash).unwrap_or_default().checked_rem(queues.len())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::testing::route;
    use std::time::Duration;

    fn two_brokers() -> TopicRoute {
        TopicRoute::of("T", route(&["a".to_owned(), "b".to_owned()], 2))
    }

    fn name(queue: &MessageQueue) -> String {
        format!("{}{}", queue.broker_name, queue.queue_id)
    }

    #[test]
    fn queues_come_in_turn_from_a_start_that_differs() {
        let route = two_brokers();
        let firsts: std::collections::BTreeSet<_> = (0..40)
            .map(|seed| {
                let (turns, chance) = (Turns::default(), Chance::new(seed));
                let taken: Vec<_> = (0..5)
                    .filter_map(|_| turns.choose(&route, "T", None, &chance))
                    .map(|queue| name(&queue))
                    .collect();
                let in_turn = ["a0", "a1", "b0", "b1"];
                let first = in_turn.iter().position(|queue| *queue == taken[0]).unwrap();
                for (step, queue) in taken.iter().enumerate() {
                    assert_eq!(queue, in_turn[(first + step) % 4]);
                }
                taken[0].clone()
            })
            .collect();
        assert_eq!(firsts.len(), 4);
    }

    #[test]
    fn another_attempt_goes_to_another_broker_if_there_is_one() {
        let (turns, chance, route) = (Turns::default(), Chance::new(1), two_brokers());
        for _ in 0..8 {
            assert_eq!(turns.choose(&route, "T", Some("a"), &chance).unwrap().broker_name, "b");
        }
        let alone = TopicRoute::of("T", crate::testing::route(&["a".to_owned()], 2));
        assert!(turns.choose(&alone, "T", Some("a"), &chance).is_some());
        let none = TopicRoute::of("T", crate::testing::route(&[], 2));
        assert!(turns.choose(&none, "T", None, &chance).is_none());
    }

    #[tokio::test]
    async fn a_broker_that_failed_gets_nothing_until_its_time_is_over() {
        let (turns, chance, route) = (Turns::default(), Chance::new(1), two_brokers());
        let (faults, now) = (Faults::default(), clock::now());
        faults.note("a", Duration::ZERO, true, now);
        let brokers = |at| {
            let choose = || {
                turns
                    .choose_available(&route, "T", &faults, at, &chance)
                    .unwrap()
                    .broker_name
                    .clone()
            };
            (0..8)
                .map(|_| choose())
                .collect::<std::collections::BTreeSet<_>>()
                .len()
        };
        assert_eq!(brokers(now), 1);
        assert_eq!(brokers(now + Duration::from_secs(600)), 2);
        faults.note("b", Duration::from_secs(1), true, now);
        assert_eq!(brokers(now), 1, "the better half of two is one");
        let gone = TopicRoute::of("T", crate::testing::route(&["c".to_owned()], 2));
        faults.note("c", Duration::from_secs(9), true, now);
        assert!(turns.choose_available(&gone, "T", &faults, now, &chance).is_some());
    }

    #[test]
    fn a_key_leads_to_javas_queue() {
        let route = two_brokers();
        // "order-17".hashCode() is 1234563247 in Java
        let expected = usize::try_from(java_hash("order-17").abs()).unwrap() % 4;
        assert_eq!(by_hash(&route.publish, "order-17"), route.publish.get(expected));
        // "polygenelubricants".hashCode() is the smallest int
        assert_eq!(by_hash(&route.publish, "polygenelubricants"), route.publish.first());
        assert_eq!(by_hash(&[], "k"), None);
    }
}
