//! What each consume queue and the index still owe: the dispatches that they have not yet made durable.
//!
//! A crash loses what a target has not synced. Recovery therefore dispatches again from the lowest position that some
//! target has not confirmed, and a restarted target is fed again from its own.

use std::collections::BTreeSet;

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
    /// The same by where each begins: with ten thousand queues, the lowest is asked for ten thousand times in a round of syncs.
    by_position: BTreeSet<(PhysicalOffset, Target)>,
}

impl Confirmations {
    /// Notes that `target` was handed something in `from..upto`.
    pub(super) fn note(&mut self, target: Target, from: PhysicalOffset, upto: PhysicalOffset) {
        let by_position = &mut self.by_position;
        let owed = self.outstanding.entry(target).or_insert_with(|| {
            by_position.insert((from, target));
            Span::new(from, upto)
        });
        owed.hand(upto);
    }

    /// Notes that `target` holds everything up to `upto` on disk.
    pub(super) fn confirm(&mut self, target: Target, upto: PhysicalOffset) {
        let Some(outstanding) = self.outstanding.get_mut(&target) else {
            return;
        };
        self.by_position.remove(&(outstanding.from, target));
        match outstanding.without(upto) {
            Some(left) => {
                self.by_position.insert((left.from, target));
                *outstanding = left;
            }
            None => drop(self.outstanding.remove(&target)),
        }
    }

    /// The lowest position that some target owes; `None` when nobody owes anything.
    #[must_use]
    pub(super) fn lowest(&self) -> Option<PhysicalOffset> {
        self.by_position.first().map(|&(from, _)| from)
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
