//! Where the client takes the time and chance from, so that it also runs in a simulation: the wall clock, which a test may
//! replace; tokio's clock, which a runtime may pause; and numbers to choose by, which a seed makes repeatable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The time of day.
pub trait Clock: Send + Sync + 'static {
    /// The time in ms since 1970.
    fn now_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this file is the seam")]
    fn now_ms(&self) -> i64 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The time by which delays are measured.
#[expect(clippy::disallowed_methods, reason = "this file is the seam")]
pub(crate) fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Numbers to choose by: from one seed always the same (splitmix64).
#[derive(Debug)]
pub(crate) struct Chance(AtomicU64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A seed that two clients hardly share, be they of one process or of two.
    #[expect(clippy::disallowed_methods, reason = "this file is the seam")]
    pub(crate) fn seed() -> u64 {
        static CLIENTS: AtomicU64 = AtomicU64::new(0);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let low = u64::from(since_1970.subsec_nanos()) ^ since_1970.as_secs().rotate_left(30);
        low ^ u64::from(std::process::id()).rotate_left(48) ^ CLIENTS.fetch_add(1 << 20, Ordering::Relaxed)
    }

    pub(crate) fn next(&self) -> u64 {
        let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A place among so many; 0 of none.
    pub(crate) fn below(&self, many: usize) -> usize {
        usize::try_from(self.next() % (many.max(1) as u64)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_numbers_and_another_has_others() {
        let numbers = |seed| {
            let chance = Chance::new(seed);
            (0..8).map(|_| chance.next()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        assert!((0..100).all(|seed| Chance::new(seed).below(3) < 3));
        assert_eq!(Chance::new(7).below(0), 0);
    }
}
