//! Counters that any thread adds to and anybody reads; gauges are read from the owners' own published state.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// Reads it.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The broker's counters.
#[derive(Debug, Default)]
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
    /// Flushes of the commit log.
    pub flushes: Counter,
    /// Time spent in them, in microseconds.
    pub flush_micros: Counter,
}

impl Metrics {
    /// Notes how long a flush took.
    pub fn note_flush(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.flushes.add(1);
        self.flush_micros.add(micros);
    }
}
