//! What each consume queue and the index still owe: the dispatches that they have not yet made durable.
//!
//! A crash loses what a target has not synced. Recovery therefore dispatches again from the lowest position that some
//! target has not confirmed, and a restarted target is fed again from its own.

use crate::hash::Map;
use crate::position::PhysicalOffset;
use crate::span::Span;

/// Who is dispatched to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A consume queue, by its slot in the log's queue table.
    Queue(u32),
    /// The index.
    Index,
}

/// The unconfirmed dispatches of all targets.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    outstanding: Map<Target, Span>,
}

impl Confirmations {
    /// Notes that `target` was handed something in `from..upto`.
    pub(super) fn note(&mut self, target: Target, from: PhysicalOffset, upto: PhysicalOffset) {
        self.outstanding
            .entry(target)
            .or_insert(Span::new(from, upto))
            .hand(upto);
    }

    /// Notes that `target` holds everything up to `upto` on disk.
    pub(super) fn confirm(&mut self, target: Target, upto: PhysicalOffset) {
        let Some(outstanding) = self.outstanding.get_mut(&target) else {
            return;
        };
        match outstanding.without(upto) {
            Some(left) => *outstanding = left,
            None => drop(self.outstanding.remove(&target)),
        }
    }

    /// The lowest position that some target owes; `None` when nobody owes anything.
    #[must_use]
    pub(super) fn lowest(&self) -> Option<PhysicalOffset> {
        self.outstanding.values().map(|outstanding| outstanding.from).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Target = Target::Queue(3);

    #[test]
    fn a_late_confirmation_leaves_what_came_after_it_outstanding() {
        let mut confirmations = Confirmations::default();
        confirmations.note(QUEUE, PhysicalOffset(100), PhysicalOffset(200));
        confirmations.note(QUEUE, PhysicalOffset(300), PhysicalOffset(400));
        confirmations.confirm(QUEUE, PhysicalOffset(200));
        assert_eq!(confirmations.lowest(), Some(PhysicalOffset(200)));
        confirmations.confirm(QUEUE, PhysicalOffset(400));
        assert_eq!(confirmations.lowest(), None);
    }

    #[test]
    fn the_slowest_target_holds_the_position_back() {
        let mut confirmations = Confirmations::default();
        confirmations.note(Target::Index, PhysicalOffset(50), PhysicalOffset(60));
        confirmations.note(QUEUE, PhysicalOffset(10), PhysicalOffset(20));
        confirmations.confirm(QUEUE, PhysicalOffset(20));
        assert_eq!(confirmations.lowest(), Some(PhysicalOffset(50)));
        confirmations.confirm(Target::Index, PhysicalOffset(60));
        assert_eq!(confirmations.lowest(), None);
    }
}
