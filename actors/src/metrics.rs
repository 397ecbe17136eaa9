//! Counters that any thread adds to and anybody reads; gauges are read from the owners' own published state.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::slow::{Seldom, Slow, SlowLimits};

/// How many lines the process's log has lost, from whoever writes it.
pub static LOST_LINES: OnceLock<Box<dyn Fn() -> u64 + Send + Sync>> = OnceLock::new();

/// So many lines about clients that speak wrongly are written at once: an operator who looks for one finds it.
pub(crate) const LINES: u64 = 10;

/// A number that only grows, but for what one thread alone counts up and down.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// Adds to one to which no other thread adds: without the bus that it would take to share it.
    #[inline]
    pub fn add_alone(&self, number: u64) {
        self.0.store(self.get().wrapping_add(number), Ordering::Relaxed);
    }

    /// Takes from one that goes up and down, and that no other thread changes.
    #[inline]
    pub fn take_alone(&self, number: u64) {
        self.0.store(self.get().wrapping_sub(number), Ordering::Relaxed);
    }

    /// Reads it.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The upper ends of the classes of [`Times`], in microseconds.
pub const TIMES: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000,
];

/// How long something took each time, in classes.
#[derive(Debug, Default)]
pub struct Times {
    classes: [Counter; TIMES.len() + 1],
    micros: Counter,
}

impl Times {
    /// Notes how long it took once.
    pub fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = TIMES.partition_point(|most| *most < micros);
        if let Some(class) = self.classes.get(class) {
            class.add(1);
        }
        self.micros.add(micros);
    }

    /// How often it fell into each class, and how long all took together in microseconds.
    #[must_use]
    pub fn read(&self) -> ([u64; TIMES.len() + 1], u64) {
        let mut numbers = [0; TIMES.len() + 1];
        for (number, class) in numbers.iter_mut().zip(&self.classes) {
            *number = class.get();
        }
        (numbers, self.micros.get())
    }
}

/// The broker's counters.
#[derive(Debug)]
pub struct Metrics {
    /// Pulls that had to wait for a message.
    pub pulls_parked: Counter,
    /// Connections that were accepted.
    pub connections_opened: Counter,
    /// Connections that have ended.
    pub connections_closed: Counter,
    /// Connections that were refused because there were too many.
    pub connections_refused: Counter,
    /// Frames that made no sense; each ended its connection.
    pub frames_refused: Counter,
    /// TLS handshakes that came to their end.
    pub tls_handshakes: Counter,
    /// Connections that were closed because of TLS: it failed, or was not to be, or was missing.
    pub tls_refused: Counter,
    /// Messages that were deleted before their time, for each group that had not got them.
    pub deleted_undelivered: Counter,
    /// Flushes of the commit log.
    pub flushes: Counter,
    /// Time spent in them, in microseconds.
    pub flush_micros: Counter,
    /// How long each of them took.
    pub flush_times: Times,
    /// How long batches of sends took, from the first byte read of them to their answers.
    pub send_times: Times,
    /// Batches of sends that took too long.
    pub slow_sends: Slow,
    /// Writes to the commit log that took too long.
    pub slow_writes: Slow,
    /// Flushes that took too long.
    pub slow_flushes: Slow,
    /// Look-ups of old messages that took too long.
    pub slow_reads: Slow,
    /// Lines about connections that are closed at once.
    pub refusals_told: Seldom,
    /// Lines about frames that make no sense.
    pub senseless_told: Seldom,
    /// Lines about connections that are closed at their first byte.
    pub greetings_told: Seldom,
    /// Lines about TLS handshakes that failed.
    pub handshakes_told: Seldom,
    /// Connections that were closed because others needed the memory that they held and did nothing with.
    pub connections_dropped: Counter,
    /// Lines about them.
    pub drops_told: Seldom,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(SlowLimits::default())
    }
}

impl Metrics {
    /// Counters at 0.
    #[must_use]
    pub fn new(slow: SlowLimits) -> Self {
        Self {
            tls_handshakes: Counter::default(),
            tls_refused: Counter::default(),
            pulls_parked: Counter::default(),
            connections_opened: Counter::default(),
            connections_closed: Counter::default(),
            connections_refused: Counter::default(),
            frames_refused: Counter::default(),
            deleted_undelivered: Counter::default(),
            flushes: Counter::default(),
            flush_micros: Counter::default(),
            flush_times: Times::default(),
            send_times: Times::default(),
            slow_sends: Slow::new(slow.send),
            slow_writes: Slow::of_disk(slow.flush),
            slow_flushes: Slow::of_disk(slow.flush),
            slow_reads: Slow::new(slow.read),
            refusals_told: Seldom::default(),
            senseless_told: Seldom::default(),
            greetings_told: Seldom::after(LINES),
            handshakes_told: Seldom::after(LINES),
            connections_dropped: Counter::default(),
            drops_told: Seldom::default(),
        }
    }

    /// Notes how long a flush took.
    pub fn note_flush(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.flushes.add(1);
        self.flush_micros.add(micros);
        self.flush_times.note(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_the_class_whose_end_it_does_not_pass() {
        let times = Times::default();
        for micros in [0, 100, 101, 5_000_000, 5_000_001] {
            times.note(Duration::from_micros(micros));
        }
        let mut expected = [0; TIMES.len() + 1];
        (expected[0], expected[1], expected[11], expected[12]) = (2, 1, 1, 1);
        assert_eq!(times.read(), (expected, 10_000_202));
    }
}
