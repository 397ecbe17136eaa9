//! What waits in the log and is not delivered yet: its files stay, however old they are and whatever retention says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cuemq_storage::position::PhysicalOffset;

/// Where one kind of waiting messages begins in the log. Clones are the same.
///
/// It begins with 0, which keeps everything: until its owner has looked, nobody knows what waits. Later it may be behind,
/// which keeps more than has to be.
#[derive(Clone, Debug, Default)]
pub struct PendingMark(Arc<AtomicU64>);

impl PendingMark {
    /// Notes where the oldest message lies that waits, `None` when none does, as its owner saw it when it had looked at
    /// all that lies in front of `looked_to`. What came since may wait.
    pub fn set(&self, lowest: Option<PhysicalOffset>, looked_to: PhysicalOffset) {
        let mark = lowest.unwrap_or(looked_to).min(looked_to);
        self.0.store(mark.0, Ordering::Release);
    }

    /// Whether anything may wait in front of `end`.
    #[must_use]
    pub fn is_before(&self, end: PhysicalOffset) -> bool {
        self.0.load(Ordering::Acquire) < end.0
    }
}

/// The marks of all kinds.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    /// Delayed messages.
    pub delays: PendingMark,
    /// Half messages.
    pub halves: PendingMark,
    /// Messages that wait for a time of their own. They are moved out of a file that is to go.
    pub timers: PendingMark,
}

impl Pending {
    /// Whether anything waits in front of `end` that is not moved.
    #[must_use]
    pub fn is_before(&self, end: PhysicalOffset) -> bool {
        self.delays.is_before(end) || self.halves.is_before(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_all_have_looked_everything_waits() {
        let pending = Pending::default();
        let (end, looked_to) = (PhysicalOffset(100), PhysicalOffset(150));
        pending.delays.set(None, looked_to);
        assert!(pending.is_before(end), "half messages were not looked at");
        pending.halves.set(Some(end), looked_to);
        assert!(!pending.is_before(end), "what begins behind it does not lie in front");
        assert!(pending.is_before(PhysicalOffset(200)), "what came since may wait");
        pending.delays.set(Some(PhysicalOffset(99)), looked_to);
        assert!(pending.is_before(end));
    }
}
