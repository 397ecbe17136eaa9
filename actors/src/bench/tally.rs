//! What one generator thread counted. Tallies of several threads add up.
//!
//! Latencies are those of requests, of which a pull may bring many messages. Answers other than success are kept by
//! their codes, each with what the first of them said.

use std::collections::BTreeMap;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::stalls::Stalls;

/// The longest latency that is told apart from longer ones: an hour.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Latencies are exact to three digits.
const DIGITS: u8 = 3;

/// The answers with one code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Answers {
    /// How many there were.
    pub(super) count: u64,
    /// What the first of them said.
    pub(super) example: Option<String>,
}

/// Counts of what belongs to the measured time.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Latencies of all requests, in ns.
    pub(super) latencies: Histogram<u64>,
    /// Messages that were sent or pulled with success.
    pub(super) messages: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Requests that were answered, with whatever code.
    pub(super) answers: u64,
    /// Answers other than success, by code.
    pub(super) others: BTreeMap<i32, Answers>,
    /// Answers and records that cannot be right.
    pub(super) broken: Answers,
    /// Connections that were lost, at any time.
    pub(super) lost_connections: Answers,
    /// Requests that got no answer, at any time.
    pub(super) unanswered: u64,
    /// Requests that were due and found no room until the end.
    pub(super) never_sent: u64,
    /// The most requests that ever waited for room.
    pub(super) longest_backlog: u64,
    /// How long threads had something to do within the measured time, all together.
    pub(super) busy_ns: u64,
    pub(super) stalls: Stalls,
}

impl Tally {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            latencies: Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)?,
            messages: 0,
            bytes: 0,
            answers: 0,
            others: BTreeMap::new(),
            broken: Answers::default(),
            lost_connections: Answers::default(),
            unanswered: 0,
            never_sent: 0,
            longest_backlog: 0,
            busy_ns: 0,
            stalls: Stalls::default(),
        })
    }

    /// Counts messages that an answer brought or acknowledged.
    pub(super) fn count(&mut self, messages: u64, bytes: u64) {
        self.messages += messages;
        self.bytes += bytes;
    }

    /// Adds what another thread counted.
    pub(super) fn add(&mut self, other: Self) -> Result<()> {
        self.latencies.add(&other.latencies)?;
        self.count(other.messages, other.bytes);
        self.answers += other.answers;
        for (code, answers) in other.others {
            self.others.entry(code).or_default().add(answers);
        }
        self.broken.add(other.broken);
        self.lost_connections.add(other.lost_connections);
        self.unanswered += other.unanswered;
        self.never_sent += other.never_sent;
        self.longest_backlog += other.longest_backlog;
        self.busy_ns += other.busy_ns;
        self.stalls.add(other.stalls);
        Ok(())
    }
}

impl Answers {
    /// Counts one more; the first brings the example.
    pub(super) fn note(&mut self, example: impl FnOnce() -> Option<String>) {
        self.count += 1;
        if self.count == 1 {
            self.example = example();
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.example = self.example.take().or(other.example);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_of_two_threads_add_up() {
        let mut first = Tally::new().unwrap();
        let mut second = Tally::new().unwrap();
        first.count(2, 20);
        second.count(3, 30);
        first.latencies.saturating_record(1000);
        second.latencies.saturating_record(3000);
        second.others.entry(2).or_default().note(|| Some("busy".to_owned()));
        second
            .others
            .entry(2)
            .or_default()
            .note(|| unreachable!("one example is enough"));
        first.add(second).unwrap();
        assert_eq!((first.messages, first.bytes, first.latencies.len()), (5, 50, 2));
        let expected = Answers {
            count: 2,
            example: Some("busy".to_owned()),
        };
        assert_eq!(first.others, BTreeMap::from([(2, expected)]));
    }
}
