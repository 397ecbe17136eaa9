//! Messages and bytes in a second, as the exporter's dashboards want them: over the last 30 to 60 seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::traffic::{Pair, Passed, Traffic};

/// How often a sample is taken.
pub(super) const SAMPLE: Duration = Duration::from_secs(30);

/// What had passed at a time.
#[derive(Clone, Debug, Default)]
struct Sample {
    at: Duration,
    topics: BTreeMap<Arc<str>, Passed>,
    pairs: BTreeMap<Pair, Passed>,
}

/// The last two samples; before the first, nothing had passed at the process's beginning.
#[derive(Debug, Default)]
pub(super) struct Rates {
    before: Sample,
    last: Sample,
}

/// How much passes in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) messages: f64,
    pub(super) bytes: f64,
}

impl Rates {
    /// Takes a sample, at a monotonic time.
    pub(super) fn sample(&mut self, traffic: &Traffic, at: Duration) {
        let (topics, pairs) = (traffic.by_topic(), traffic.by_pair());
        self.before = std::mem::replace(&mut self.last, Sample { at, topics, pairs });
    }

    /// The rate of a topic of which so much has passed now.
    pub(super) fn of_topic(&self, topic: &Arc<str>, passed: Passed, now: Duration) -> Rate {
        self.rate(self.before.topics.get(topic), passed, now)
    }

    /// The rate of a pair of which so much has passed now.
    pub(super) fn of_pair(&self, pair: &Pair, passed: Passed, now: Duration) -> Rate {
        self.rate(self.before.pairs.get(pair), passed, now)
    }

    fn rate(&self, before: Option<&Passed>, passed: Passed, now: Duration) -> Rate {
        let before = before.copied().unwrap_or_default();
        let seconds = now.saturating_sub(self.before.at).as_secs_f64().max(1.0);
        Rate {
            messages: passed.messages.saturating_sub(before.messages) as f64 / seconds,
            bytes: passed.bytes.saturating_sub(before.bytes) as f64 / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_time_since_the_sample_before_the_last() {
        let (traffic, topic): (_, Arc<str>) = (Traffic::new(1), Arc::from("T"));
        let flow = traffic.of_thread(0).into_topic(&topic, |_| true).unwrap();
        let mut rates = Rates::default();
        let passed = || traffic.by_topic()[&topic];
        let rate = |messages, bytes| Rate { messages, bytes };
        flow.add(Passed {
            messages: 100,
            bytes: 1000,
            times: 1,
        });
        assert_eq!(
            rates.of_topic(&topic, passed(), Duration::from_secs(10)),
            rate(10.0, 100.0)
        );
        rates.sample(&traffic, Duration::from_secs(30));
        rates.sample(&traffic, Duration::from_secs(60));
        assert_eq!(
            rates.of_topic(&topic, passed(), Duration::from_secs(70)),
            rate(0.0, 0.0)
        );
        flow.add(Passed {
            messages: 80,
            bytes: 400,
            times: 1,
        });
        assert_eq!(
            rates.of_topic(&topic, passed(), Duration::from_secs(70)),
            rate(2.0, 10.0)
        );
    }
}
