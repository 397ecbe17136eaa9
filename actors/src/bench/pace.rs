//! The timetable of an open loop: when each request is due does not depend on any answer.
//!
//! A request that finds no room on any connection waits, and its latency counts from the moment it was due. So a server
//! that stands still for a second shows in the latencies of all that were due in that second, not of one alone.

/// Nanoseconds of a second.
const SECOND: u128 = 1_000_000_000;

/// When requests are due.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    start_ns: u64,
    /// Requests a second.
    rate: u64,
    issued: u64,
    longest_backlog: u64,
}

impl Pace {
    pub(super) fn new(start_ns: u64, rate: u64) -> Self {
        Self {
            start_ns,
            rate: rate.max(1),
            issued: 0,
            longest_backlog: 0,
        }
    }

    /// When the next request is due.
    pub(super) fn next_due_ns(&self) -> u64 {
        let after = u128::from(self.issued) * SECOND / u128::from(self.rate);
        self.start_ns.saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
    }

    /// The moment at which the next request was due, if it was by now.
    pub(super) fn due(&self, now_ns: u64) -> Option<u64> {
        Some(self.next_due_ns()).filter(|due| *due <= now_ns)
    }

    /// The next request is on its way.
    pub(super) fn issue(&mut self) {
        self.issued += 1;
    }

    /// Notes how many requests are due for which there is no room.
    pub(super) fn note_backlog(&mut self, now_ns: u64) {
        let passed = u128::from(now_ns.saturating_sub(self.start_ns)) * u128::from(self.rate) / SECOND;
        let due = u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(1);
        self.longest_backlog = self.longest_backlog.max(due.saturating_sub(self.issued));
    }

    /// The most requests that ever waited for room.
    pub(super) fn longest_backlog(&self) -> u64 {
        self.longest_backlog
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    #[test]
    fn requests_are_due_evenly_from_the_start_on() {
        let mut pace = Pace::new(5 * MILLISECOND, 1000);
        assert_eq!(pace.due(5 * MILLISECOND - 1), None);
        for number in 0..10 {
            assert_eq!(
                pace.due(5 * MILLISECOND + number * MILLISECOND),
                Some((5 + number) * MILLISECOND)
            );
            pace.issue();
        }
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let mut pace = Pace::new(0, 3);
        for _ in 0..3 * 1000 {
            pace.issue();
        }
        assert_eq!(pace.next_due_ns(), 1_000_000_000_000);
    }

    #[test]
    fn what_waits_stays_due_at_its_own_time() {
        let mut pace = Pace::new(0, 1000);
        pace.issue();
        pace.note_backlog(100 * MILLISECOND);
        assert_eq!(pace.longest_backlog(), 100, "due after 1, 2, … 100 ms");
        assert_eq!(pace.due(100 * MILLISECOND), Some(MILLISECOND));
        for _ in 0..100 {
            pace.issue();
        }
        assert_eq!(pace.due(100 * MILLISECOND), None);
        pace.note_backlog(100 * MILLISECOND);
        assert_eq!(pace.longest_backlog(), 100);
    }
}
