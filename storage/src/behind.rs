//! How far a consume queue or the index is behind what it was handed (RocketMQ's `dispatchBehindBytes`).
//!
//! The commit log notes what it hands over, the target what it has taken; anybody may ask. This is about a running process:
//! what is taken is there for readers, but perhaps not on disk (`log_state::confirmation` keeps that).

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::position::PhysicalOffset;
use crate::span::Span;

/// What one target was handed and has not taken yet.
#[derive(Debug, Default)]
pub struct Behind {
    open: Mutex<Option<Span>>,
}

impl Behind {
    /// Notes that the target was handed what it needs of `from..upto`.
    pub fn handed(&self, from: PhysicalOffset, upto: PhysicalOffset) {
        self.open().get_or_insert(Span::new(from, upto)).hand(upto);
    }

    /// Notes that the target has taken everything up to here.
    pub fn taken(&self, upto: PhysicalOffset) {
        let mut open = self.open();
        *open = open.and_then(|open| open.without(upto));
    }

    /// From where on the target lacks something; `None` when it lacks nothing.
    #[must_use]
    pub fn from(&self) -> Option<PhysicalOffset> {
        self.open().map(|open| open.from)
    }

    fn open(&self) -> MutexGuard<'_, Option<Span>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_behind_from_the_oldest_that_it_has_not_taken() {
        let behind = Behind::default();
        assert_eq!(behind.from(), None);
        behind.handed(PhysicalOffset(100), PhysicalOffset(200));
        behind.handed(PhysicalOffset(300), PhysicalOffset(400));
        assert_eq!(behind.from(), Some(PhysicalOffset(100)));
        behind.taken(PhysicalOffset(200));
        assert_eq!(behind.from(), Some(PhysicalOffset(200)));
        behind.taken(PhysicalOffset(50));
        assert_eq!(
            behind.from(),
            Some(PhysicalOffset(200)),
            "a late word takes nothing back"
        );
        behind.taken(PhysicalOffset(400));
        assert_eq!(behind.from(), None);
    }
}
