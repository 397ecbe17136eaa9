//! The lines that RocketMQ's benchmark tools print once in 10 s, word by word, so that what reads those reads ours (Java
//! `benchmark.Producer` and `Consumer`, 4.3.0; later releases put the same figures into other words).
//!
//! Rates and averages are those of the time since the line before, the counts of failures and the longest times those of
//! the whole run. Times are in ms. "B2C" is from birth to consumer, "S2C" from store to consumer.

use super::engine::Passed;
use super::follow::Ages;

const SECOND_NS: u64 = 1_000_000_000;

/// Tells when a line is due, and what has changed since the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<T> {
    every_ns: u64,
    since_ns: Option<u64>,
    before: T,
}

impl<T: Copy + Default> Lines<T> {
    pub(super) fn new(every_seconds: f64) -> Self {
        Self {
            every_ns: (every_seconds * SECOND_NS as f64) as u64,
            since_ns: None,
            before: T::default(),
        }
    }

    /// The counts of the line before and the time since then, if another line is due.
    fn due(&mut self, now_ns: u64, counts: T) -> Option<(T, f64)> {
        let since = *self.since_ns.get_or_insert(now_ns);
        let passed = now_ns.saturating_sub(since);
        if passed == 0 || passed < self.every_ns {
            return None;
        }
        self.since_ns = Some(now_ns);
        let before = std::mem::replace(&mut self.before, counts);
        Some((before, passed as f64 / SECOND_NS as f64))
    }
}

impl Lines<Passed> {
    /// The producer's line, if it is due.
    pub(super) fn producer(&mut self, now_ns: u64, counts: Passed) -> Option<String> {
        let (before, seconds) = self.due(now_ns, counts)?;
        let answers = counts.answers - before.answers;
        let time_ms = (counts.time_us - before.time_us) as f64 / 1000.0;
        Some(format!(
            "Send TPS: {} Max RT: {} Average RT: {:7.3} Send Failed: {} Response Failed: {}",
            (answers as f64 / seconds) as u64,
            counts.longest_us / 1000,
            average(time_ms, answers),
            counts.lost,
            counts.refused,
        ))
    }
}

impl Lines<Ages> {
    /// The consumer's line, if it is due.
    pub(super) fn consumer(&mut self, now_ns: u64, ages: Ages) -> Option<String> {
        let (before, seconds) = self.due(now_ns, ages)?;
        let messages = ages.messages - before.messages;
        Some(format!(
            "Consume TPS: {} Average(B2C) RT: {:7.3} Average(S2C) RT: {:7.3} MAX(B2C) RT: {} MAX(S2C) RT: {}",
            (messages as f64 / seconds) as u64,
            average((ages.born_total - before.born_total) as f64, messages),
            average((ages.stored_total - before.stored_total) as f64, messages),
            ages.born_longest,
            ages.stored_longest,
        ))
    }
}

/// Of nothing it is `NaN`, in Java as well.
fn average(total: f64, count: u64) -> f64 {
    total / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_producers_line_has_rocketmqs_words_and_the_rates_since_the_line_before() {
        let mut lines = Lines::new(10.0);
        let mut passed = Passed::default();
        assert_eq!(lines.producer(5 * SECOND_NS, passed), None, "the time begins");
        passed.answers = 100;
        passed.time_us = 250_000;
        passed.longest_us = 9_999;
        assert_eq!(lines.producer(14 * SECOND_NS, passed), None);
        let first = "Send TPS: 10 Max RT: 9 Average RT:   2.500 Send Failed: 0 Response Failed: 0";
        assert_eq!(lines.producer(15 * SECOND_NS, passed).as_deref(), Some(first));
        (passed.answers, passed.time_us, passed.refused, passed.lost) = (300, 350_000, 4, 3);
        let second = "Send TPS: 20 Max RT: 9 Average RT:   0.500 Send Failed: 3 Response Failed: 4";
        assert_eq!(lines.producer(25 * SECOND_NS, passed).as_deref(), Some(second));
        let idle = "Send TPS: 0 Max RT: 9 Average RT:     NaN Send Failed: 3 Response Failed: 4";
        assert_eq!(lines.producer(35 * SECOND_NS, passed).as_deref(), Some(idle));
    }

    #[test]
    fn the_consumers_line_has_rocketmqs_words() {
        let mut lines = Lines::new(10.0);
        assert_eq!(lines.consumer(SECOND_NS, Ages::default()), None);
        let ages = Ages {
            messages: 1000,
            born_total: 2500,
            born_longest: 12,
            stored_total: 1250,
            stored_longest: 7,
        };
        let expected =
            "Consume TPS: 100 Average(B2C) RT:   2.500 Average(S2C) RT:   1.250 MAX(B2C) RT: 12 MAX(S2C) RT: 7";
        assert_eq!(lines.consumer(11 * SECOND_NS, ages).as_deref(), Some(expected));
    }
}
