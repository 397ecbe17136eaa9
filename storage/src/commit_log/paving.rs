//! When zeros are written ahead of the log's end, and how far: see [`Runway`].
//!
//! They make a sync cheaper whose records are few, and cost a second write of each byte, on another thread. So nothing is
//! paved while the log grows fast: then a sync covers so much that what it costs beside its bytes does not count, and the disk's
//! throughput does. Nor while it hardly grows: zeros that lie for long may be gone from the page cache, and would have to be read.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::segment::Runway;

/// How much is paved at once, and at least ahead, in bytes; less in small files.
const STRETCH: u64 = 1 << 20;
/// So many stretches has a file at least.
const STRETCHES: u64 = 64;
/// The unit in which the system caches files.
const PAGE: u64 = 4096;
/// From so many bytes a second on nothing is paved.
const FAST: u64 = 50_000_000;
/// Nothing is paved when a stretch takes longer.
const SLOW: Duration = Duration::from_secs(10);

/// Zeros to be written, on a thread that may block.
#[derive(Debug)]
pub struct PaveJob {
    pub(super) runway: Arc<Runway>,
    /// In the file.
    pub(super) range: Range<u64>,
}

impl PaveJob {
    /// Writes them.
    ///
    /// # Errors
    /// What the disk says.
    pub fn run(self) -> Result<()> {
        self.runway.pave(self.range)
    }
}

/// What is paved, and how fast the log grows.
#[derive(Debug)]
pub(super) struct Paving {
    stretch: u64,
    /// Up to where in the log zeros are, or will be.
    upto: u64,
    /// From where on it is looked at again.
    look_at: u64,
    /// Where the log ended when it was looked at last, and when.
    looked: Option<(u64, Duration)>,
}

impl Paving {
    pub(super) fn new(segment_bytes: u64) -> Self {
        Self {
            stretch: (segment_bytes / STRETCHES).clamp(1, STRETCH),
            upto: 0,
            look_at: 0,
            looked: None,
        }
    }

    /// What is to be paved of a log that ends at `end` now, whose last file ends at `limit`.
    pub(super) fn due(&mut self, end: u64, limit: u64, now: Duration) -> Option<Range<u64>> {
        if end < self.look_at {
            return None;
        }
        self.look_at = end + self.stretch;
        let (from, since) = self.looked.replace((end, now))?;
        let took = now.saturating_sub(since);
        let is_fast = u128::from(end - from) * 1_000_000_000 >= u128::from(FAST) * took.as_nanos();
        if is_fast || took > SLOW {
            return None;
        }
        let unit = self.stretch.min(PAGE);
        let from = self.upto.max(end).next_multiple_of(unit);
        let upto = (end + 2 * self.stretch).next_multiple_of(unit).min(limit);
        (from < upto).then(|| {
            self.upto = upto;
            from..upto
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: u64 = 1 << 30;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A log that has been looked at once, at its beginning.
    fn looked_at() -> Paving {
        let mut paving = Paving::new(FILE);
        assert_eq!(paving.due(0, FILE, ms(0)), None, "nobody knows yet how fast it grows");
        paving
    }

    #[test]
    fn a_log_that_grows_steadily_has_one_to_two_stretches_ahead() {
        let mut paving = looked_at();
        assert_eq!(paving.due(STRETCH - 1, FILE, ms(500)), None);
        assert_eq!(paving.due(STRETCH, FILE, ms(500)), Some(STRETCH..3 * STRETCH));
        assert_eq!(paving.due(2 * STRETCH - 1, FILE, ms(999)), None);
        assert_eq!(
            paving.due(2 * STRETCH + 10, FILE, ms(1000)),
            Some(3 * STRETCH..4 * STRETCH + PAGE)
        );
    }

    #[test]
    fn a_log_that_grows_fast_or_hardly_at_all_is_left_alone_until_it_does_otherwise() {
        for took in [ms(20), ms(10_001)] {
            let mut paving = looked_at();
            assert_eq!(paving.due(STRETCH, FILE, took), None);
            assert_eq!(
                paving.due(2 * STRETCH, FILE, took + ms(100)),
                Some(2 * STRETCH..4 * STRETCH)
            );
        }
    }

    #[test]
    fn no_more_is_paved_than_the_file_has() {
        let mut paving = looked_at();
        assert_eq!(paving.due(FILE - STRETCH, FILE, ms(60_000)), None);
        assert_eq!(paving.due(FILE - 5, FILE, ms(60_900)), None);
        let mut paving = looked_at();
        assert_eq!(
            paving.due(STRETCH, STRETCH + 10 * PAGE, ms(900)),
            Some(STRETCH..STRETCH + 10 * PAGE)
        );
        let mut small = Paving::new(2048);
        assert_eq!(small.due(0, 2048, ms(0)), None);
        assert_eq!(small.due(100, 2048, ms(900)), Some(128..192));
    }
}
