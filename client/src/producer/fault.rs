//! Brokers that were slow or failed are not sent to for a while (`MQFaultStrategy`, `LatencyFaultToleranceImpl`): the slower
//! the longer.
//!
//! | a send took at least, ms | 50 | 100 | 550 | 1000 | 2000 | 3000 | 15000 |
//! |---|---|---|---|---|---|---|---|
//! | its broker is avoided for, s | 0 | 0 | 30 | 60 | 120 | 180 | 600 |

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Chance;

/// What a send took at least, and for how long its broker is avoided.
const TABLE: [(Duration, Duration); 7] = [
    (Duration::from_millis(50), Duration::ZERO),
    (Duration::from_millis(100), Duration::ZERO),
    (Duration::from_millis(550), Duration::from_secs(30)),
    (Duration::from_millis(1000), Duration::from_secs(60)),
    (Duration::from_millis(2000), Duration::from_secs(120)),
    (Duration::from_millis(3000), Duration::from_secs(180)),
    (Duration::from_millis(15_000), Duration::from_secs(600)),
];

/// What a failed send counts as.
const FAILED: Duration = Duration::from_secs(30);

/// For how long a broker is avoided after a send that took so long.
fn avoided_for(latency: Duration) -> Duration {
    let reached = TABLE.iter().rev().find(|(least, _)| latency >= *least);
    reached.map_or(Duration::ZERO, |(_, avoided)| *avoided)
}

/// How the brokers did, by name.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<BTreeMap<String, Item>>);

#[derive(Debug, Clone, Copy)]
struct Item {
    latency: Duration,
    available_from: Instant,
}

impl Faults {
    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Item>> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how long a send to a broker took, or that it failed.
    pub(super) fn note(&self, broker_name: &str, took: Duration, has_failed: bool, now: Instant) {
        let avoided = avoided_for(if has_failed { FAILED } else { took });
        let item = Item {
            latency: took,
            available_from: now + avoided,
        };
        self.table().insert(broker_name.to_owned(), item);
    }

    /// Whether a broker may be sent to; one that nothing is known of may.
    pub(super) fn is_available(&self, broker_name: &str, now: Instant) -> bool {
        self.table()
            .get(broker_name)
            .is_none_or(|item| now >= item.available_from)
    }

    /// One of the better half of all brokers, for when none is available.
    pub(super) fn at_least_one(&self, now: Instant, chance: &Chance) -> Option<String> {
        let table = self.table();
        let mut items: Vec<_> = table.iter().map(|(name, item)| (chance.next(), name, *item)).collect();
        items.sort_by_key(|(random, _, item)| (now < item.available_from, item.latency, item.available_from, *random));
        let better = chance.below(items.len() / 2);
        items.get(better).map(|(_, name, _)| (*name).clone())
    }

    /// Forgets a broker that has no queues any more.
    pub(super) fn forget(&self, broker_name: &str) {
        self.table().remove(broker_name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn the_slower_a_broker_was_the_longer_it_is_avoided() {
        let seconds = |ms| avoided_for(Duration::from_millis(ms)).as_secs();
        let measured = [0, 49, 50, 549, 550, 999, 1000, 2000, 3000, 14_999, 15_000, 30_000];
        assert_eq!(measured.map(seconds), [0, 0, 0, 0, 30, 30, 60, 120, 180, 180, 600, 600]);
    }

    #[tokio::test]
    async fn a_broker_that_failed_is_avoided_for_ten_minutes_and_one_unknown_is_not() {
        let (faults, now) = (Faults::default(), clock::now());
        faults.note("a", Duration::from_millis(3), true, now);
        faults.note("b", Duration::from_millis(3), false, now);
        assert!(!faults.is_available("a", now + Duration::from_secs(599)));
        assert!(faults.is_available("a", now + Duration::from_secs(600)));
        assert!(faults.is_available("b", now) && faults.is_available("c", now));
    }

    #[tokio::test]
    async fn one_of_the_better_half_is_taken_when_none_is_available() {
        let (faults, now) = (Faults::default(), clock::now());
        assert_eq!(faults.at_least_one(now, &Chance::new(1)), None);
        for (name, ms) in [("slowest", 9000), ("fast", 600), ("slow", 3000), ("faster", 560)] {
            faults.note(name, Duration::from_millis(ms), false, now);
        }
        let taken: std::collections::BTreeSet<_> = (0..50)
            .filter_map(|seed| faults.at_least_one(now, &Chance::new(seed)))
            .collect();
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), ["fast", "faster"]);
    }
}
