//! Says now and then that something took too long, and where the time went; in the long run never more than a line in a
//! second of each kind, with how many were left out since the last one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::Counter;

/// How long it is silent after a line.
const SILENCE_MS: u64 = 1000;
/// Lines at once about the disk. A disk that stalls does so several times in a row, and who asks where a client's time went
/// looks for each of them.
const DISK_LINES: u64 = 60;

/// Lets one line in a second pass, and at first, or after a rest, as many as it is made for.
#[derive(Debug, Default)]
pub struct Seldom {
    /// When a line is due where only one may pass.
    next_ms: AtomicU64,
    /// So much earlier it is due where more may.
    early_ms: u64,
    left_out: AtomicU64,
}

impl Seldom {
    /// Lets so many lines pass at once, and then one in a second.
    #[must_use]
    pub fn after(lines: u64) -> Self {
        Self {
            early_ms: lines.saturating_sub(1).saturating_mul(SILENCE_MS),
            ..Self::default()
        }
    }

    /// Whether a line may be written at a monotonic time; then how many were not, since the last.
    pub fn due(&self, now: Duration) -> Option<u64> {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let next = self.next_ms.load(Ordering::Relaxed);
        let later = next.max(now).saturating_add(SILENCE_MS);
        let taken = now.saturating_add(self.early_ms) >= next
            && self
                .next_ms
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if taken {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// What counts as slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowLimits {
    /// From the reading of a send to its answer.
    pub send: Duration,
    /// A flush of the commit log, or a write to it.
    pub flush: Duration,
    /// A look-up of old messages, from the question to the answer.
    pub read: Duration,
}

impl Default for SlowLimits {
    fn default() -> Self {
        let limit = Duration::from_millis(500);
        Self {
            send: limit,
            flush: limit,
            read: limit,
        }
    }
}

/// Operations of one kind.
#[derive(Debug)]
pub struct Slow {
    limit: Duration,
    /// How many were slow.
    pub count: Counter,
    lines: Seldom,
}

impl Slow {
    /// Those that take longer than `limit` are slow.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            count: Counter::default(),
            lines: Seldom::default(),
        }
    }

    /// The same of the commit log's disk, with a line for each stall of a bad minute.
    #[must_use]
    pub fn of_disk(limit: Duration) -> Self {
        Self {
            lines: Seldom::after(DISK_LINES),
            ..Self::new(limit)
        }
    }

    /// Counts one that took too long. When a line is due about it: how many were left out since the last.
    pub fn note(&self, took: Duration, now: Duration) -> Option<u64> {
        if took <= self.limit {
            return None;
        }
        self.count.add(1);
        self.lines.due(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_lines_pass_at_first_and_after_a_rest_and_one_in_a_second_else() {
        let (seldom, ms) = (Seldom::after(3), Duration::from_millis);
        let passed = |at| (0..5).filter(|_| seldom.due(ms(at)).is_some()).count();
        assert_eq!((passed(0), passed(500), passed(1000)), (3, 0, 1));
        assert_eq!((passed(10_000), passed(10_999), passed(11_000)), (3, 0, 1));
    }

    #[test]
    fn one_line_in_a_second_tells_how_many_were_left_out() {
        let (slow, ms) = (Slow::new(Duration::from_millis(500)), Duration::from_millis);
        assert_eq!(slow.note(ms(500), ms(0)), None, "that is not slow");
        assert_eq!(slow.note(ms(501), ms(10)), Some(0));
        assert_eq!(slow.note(ms(501), ms(20)), None);
        assert_eq!(slow.note(ms(501), ms(1009)), None);
        assert_eq!(slow.note(ms(501), ms(1010)), Some(2));
        assert_eq!(slow.count.get(), 4);
    }

    #[test]
    fn each_stall_of_a_disk_has_a_line_though_they_come_one_behind_the_other() {
        let (slow, ms) = (Slow::of_disk(Duration::from_millis(50)), Duration::from_millis);
        assert!((0..12).all(|number| slow.note(ms(60), ms(60 * number)) == Some(0)));
        let told = (0..6000).filter(|number| slow.note(ms(60), ms(1000 + number)).is_some());
        assert!(told.count() <= 60, "but not without end");
    }
}
