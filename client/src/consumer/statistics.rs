//! A consumer's figures by topic, which tools ask for by code 307 (`ConsumerStatsManager` in Java).
//!
//! Java takes samples by a timer, every 10 s for a minute and every 10 minutes for an hour; here whoever counts something
//! takes the sample when one is due, so there is no timer.

use std::collections::{BTreeMap, VecDeque};

use cuemq_net::body::ConsumeStatus;

/// The time between two samples and the number that is kept, which make a minute.
const MINUTE: Window = Window {
    every_ms: 10_000,
    samples: 7,
};

/// The same for an hour.
const HOUR: Window = Window {
    every_ms: 600_000,
    samples: 7,
};

#[derive(Clone, Copy)]
struct Window {
    every_ms: i64,
    samples: usize,
}

#[derive(Clone, Copy, Default)]
struct Sample {
    at_ms: i64,
    sum: i64,
    times: i64,
}

/// A sum, and how often something was added, over a while.
struct Figure {
    window: Window,
    now: Sample,
    samples: VecDeque<Sample>,
}

impl Figure {
    fn new(window: Window, now_ms: i64) -> Self {
        let now = Sample {
            at_ms: now_ms,
            ..Sample::default()
        };
        Self {
            window,
            now,
            samples: VecDeque::from([now]),
        }
    }

    fn add(&mut self, value: i64, now_ms: i64) {
        self.sample(now_ms);
        self.now.sum += value;
        self.now.times += 1;
    }

    fn sample(&mut self, now_ms: i64) {
        self.now.at_ms = now_ms;
        let last_ms = self.samples.back().map_or(i64::MIN, |last| last.at_ms);
        if now_ms.saturating_sub(last_ms) >= self.window.every_ms {
            self.samples.push_back(self.now);
        }
        let oldest_ms = now_ms - self.window.every_ms * (self.window.samples as i64 - 1);
        while self.samples.len() > 1 && self.samples.front().is_some_and(|first| first.at_ms < oldest_ms) {
            self.samples.pop_front();
        }
    }

    /// What was added since the oldest sample: the sum, how often, and within how many seconds.
    fn lately(&mut self, now_ms: i64) -> (i64, i64, f64) {
        self.sample(now_ms);
        let first = self.samples.front().copied().unwrap_or(self.now);
        let seconds = (now_ms - first.at_ms) as f64 / 1000.0;
        (self.now.sum - first.sum, self.now.times - first.times, seconds)
    }

    fn per_second(&mut self, now_ms: i64) -> f64 {
        let (sum, _, seconds) = self.lately(now_ms);
        if seconds > 0.0 { sum as f64 / seconds } else { 0.0 }
    }

    fn average(&mut self, now_ms: i64) -> f64 {
        let (sum, times, _) = self.lately(now_ms);
        if times > 0 { sum as f64 / times as f64 } else { 0.0 }
    }
}

struct Topic {
    pull_ms: Figure,
    pulled: Figure,
    consume_ms: Figure,
    consumed: Figure,
    failed: Figure,
    failed_in_hour: Figure,
}

impl Topic {
    fn new(now_ms: i64) -> Self {
        let minute = || Figure::new(MINUTE, now_ms);
        Self {
            pull_ms: minute(),
            pulled: minute(),
            consume_ms: minute(),
            consumed: minute(),
            failed: minute(),
            failed_in_hour: Figure::new(HOUR, now_ms),
        }
    }
}

/// The figures of one consumer. Times are in milliseconds.
#[derive(Default)]
pub(crate) struct Statistics {
    topics: BTreeMap<String, Topic>,
}

impl Statistics {
    fn topic(&mut self, topic: &str, now_ms: i64) -> &mut Topic {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), Topic::new(now_ms));
        }
        self.topics.get_mut(topic).expect("it was just put there")
    }

    /// Counts a pull that brought messages.
    pub(crate) fn pulled(&mut self, topic: &str, messages: usize, took_ms: i64, now_ms: i64) {
        let figures = self.topic(topic, now_ms);
        figures.pull_ms.add(took_ms, now_ms);
        figures.pulled.add(messages as i64, now_ms);
    }

    /// Counts a call of a listener.
    pub(crate) fn consumed(&mut self, topic: &str, done: usize, failed: usize, took_ms: i64, now_ms: i64) {
        let figures = self.topic(topic, now_ms);
        figures.consume_ms.add(took_ms, now_ms);
        figures.consumed.add(done as i64, now_ms);
        figures.failed.add(failed as i64, now_ms);
        figures.failed_in_hour.add(failed as i64, now_ms);
    }

    /// The figures of a topic.
    pub(crate) fn status(&mut self, topic: &str, now_ms: i64) -> ConsumeStatus {
        let figures = self.topic(topic, now_ms);
        ConsumeStatus {
            consume_failed_msgs: figures.failed_in_hour.lately(now_ms).0,
            consume_failed_tps: figures.failed.per_second(now_ms),
            consume_ok_tps: figures.consumed.per_second(now_ms),
            consume_rt: figures.consume_ms.average(now_ms),
            pull_rt: figures.pull_ms.average(now_ms),
            pull_tps: figures.pulled.per_second(now_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_last_minute_and_failures_those_of_the_hour() {
        let mut statistics = Statistics::default();
        for second in 0..=60 {
            statistics.pulled("T", 32, 4, second * 1000);
            statistics.consumed("T", 9, 1, 20, second * 1000);
        }
        let status = statistics.status("T", 60_000);
        assert!((status.pull_tps - 32.0).abs() < 1.0, "{status:?}");
        assert!((status.consume_ok_tps - 9.0).abs() < 0.5, "{status:?}");
        assert!((status.pull_rt - 4.0).abs() < 1e-9 && (status.consume_rt - 20.0).abs() < 1e-9);
        let later = statistics.status("T", 200_000);
        assert_eq!((later.pull_tps, later.consume_failed_msgs), (0.0, 61));
        // after more than an hour of silence nothing is left
        let _ = statistics.status("T", 4_000_000);
        assert_eq!(statistics.status("T", 8_000_000).consume_failed_msgs, 0);
    }

    #[test]
    fn a_topic_without_messages_has_no_figures() {
        assert_eq!(Statistics::default().status("T", 5), ConsumeStatus::default());
    }

    #[test]
    fn few_samples_are_kept() {
        let mut figure = Figure::new(MINUTE, 0);
        for second in 0..10_000 {
            figure.add(1, second * 1000);
        }
        assert!(figure.samples.len() <= MINUTE.samples, "{}", figure.samples.len());
    }
}
