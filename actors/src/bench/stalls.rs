//! Times in which a server acknowledged nothing although something was asked of it: how long, and at what time of day, so
//! that each can be looked up in the server's log.
//!
//! A stall begins with the last success, or with the request behind which something is open again, and ends with the next
//! success. While nothing is asked, nothing stalls. What lies before the measured time is left out.

use serde::Serialize;

/// What is told one by one, in ns; shorter ones only count for the longest.
const TOLD_NS: u64 = 50_000_000;
/// How many are told at most.
const MOST: usize = 1000;

/// One stall.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Stall {
    /// When it began, in ms since 1970.
    pub(super) began_unix_ms: u64,
    pub(super) ms: f64,
}

/// The stalls of one generator thread, or of several.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Stalls {
    /// The longest time without a success, in ms.
    pub(super) longest_ms: f64,
    /// Those of 50 ms or more, in the order in which they ended.
    pub(super) told: Vec<Stall>,
    /// How many more there were.
    pub(super) left_out: u64,
}

/// Watches for stalls.
#[derive(Debug)]
pub(super) struct StallWatch {
    open: usize,
    since_ns: u64,
    stalls: Stalls,
}

impl StallWatch {
    /// Watches from the beginning of the measured time on.
    pub(super) fn new(from_ns: u64) -> Self {
        Self {
            open: 0,
            since_ns: from_ns,
            stalls: Stalls::default(),
        }
    }

    /// A request goes out.
    pub(super) fn asked(&mut self, at_ns: u64) {
        if self.open == 0 {
            self.since_ns = self.since_ns.max(at_ns);
        }
        self.open += 1;
    }

    /// A request was answered; only a success ends a stall.
    pub(super) fn answered(&mut self, is_success: bool, now_ns: u64, wall_ms: u64) {
        self.open = self.open.saturating_sub(1);
        if is_success {
            self.end(now_ns, wall_ms);
        }
    }

    /// Requests went with their connection.
    pub(super) fn lost(&mut self, requests: usize) {
        self.open = self.open.saturating_sub(requests);
    }

    /// What was found, with the stall that is under way.
    pub(super) fn finish(mut self, now_ns: u64, wall_ms: u64) -> Stalls {
        if self.open > 0 {
            self.end(now_ns, wall_ms);
        }
        self.stalls
    }

    fn end(&mut self, now_ns: u64, wall_ms: u64) {
        let length = now_ns.saturating_sub(self.since_ns);
        self.since_ns = self.since_ns.max(now_ns);
        let ms = length as f64 / 1e6;
        self.stalls.longest_ms = self.stalls.longest_ms.max(ms);
        if length < TOLD_NS {
            return;
        }
        if self.stalls.told.len() == MOST {
            self.stalls.left_out += 1;
            return;
        }
        self.stalls.told.push(Stall {
            began_unix_ms: wall_ms.saturating_sub(length / 1_000_000),
            ms,
        });
    }
}

impl Stalls {
    /// Adds what another thread saw.
    pub(super) fn add(&mut self, other: Self) {
        self.longest_ms = self.longest_ms.max(other.longest_ms);
        self.told.extend(other.told);
        self.left_out += other.left_out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn only_a_success_ends_a_stall_and_silence_without_a_request_is_none() {
        let mut watch = StallWatch::new(0);
        watch.asked(10 * MS);
        watch.answered(true, 20 * MS, 1_020);
        // nothing is open until 500 ms, then one is refused and one succeeds
        watch.asked(500 * MS);
        watch.asked(510 * MS);
        watch.answered(false, 540 * MS, 1_540);
        watch.answered(true, 600 * MS, 1_600);
        let expected = Stall {
            began_unix_ms: 1_500,
            ms: 100.0,
        };
        assert_eq!(watch.finish(9_000 * MS, 10_000).told, [expected]);
    }

    #[test]
    fn what_was_never_answered_stalls_until_the_end_and_counts_from_the_measured_time_on() {
        let mut watch = StallWatch::new(100 * MS);
        watch.asked(0);
        let stalls = watch.finish(300 * MS, 5_000);
        assert_eq!((stalls.longest_ms, stalls.told[0].began_unix_ms), (200.0, 4_800));
        let mut lost = StallWatch::new(0);
        lost.asked(0);
        lost.lost(1);
        assert_eq!(lost.finish(300 * MS, 5_000), Stalls::default());
    }
}
