//! The `Clock` seam on turmoil's virtual time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cuemq_storage::clock::Clock;

/// When the simulation begins, in milliseconds since 1970.
pub(super) const EPOCH_MS: u64 = 1_700_000_000_000;

/// The time of the simulation; outside of a host, the time at which it was last asked for inside of one.
#[derive(Debug, Default)]
pub(super) struct SimClock {
    last_ms: AtomicU64,
    stands: AtomicBool,
}

impl SimClock {
    /// Milliseconds since the simulation began.
    #[must_use]
    pub(super) fn elapsed_ms(&self) -> u64 {
        if self.stands.load(Ordering::Relaxed) {
            return self.last_ms.load(Ordering::Relaxed);
        }
        let now = turmoil::sim_elapsed().map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        self.last_ms.fetch_max(now, Ordering::Relaxed).max(now)
    }
}

impl SimClock {
    /// Stands still meanwhile: what is dropped with a host would be told the machine's own time.
    pub(super) fn stand_during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.stands.store(true, Ordering::Relaxed);
        let done = work();
        self.stands.store(false, Ordering::Relaxed);
        done
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> u64 {
        EPOCH_MS + self.elapsed_ms()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms())
    }
}
