//! Where units go whose records claim other places than the one that comes next in their queue.
//!
//! The log is what counts, and the order of its records. A place that is later than the one that comes next is that of a
//! queue whose older records are not in the log any more, or lie in front of the walk. A place that is earlier is that of a
//! topic which was deleted and made again: RocketMQ numbers its messages from 0, and those of the deleted topic are still in
//! the log. The newer ones count, and the older ones go. Besides, one record may say a wrong place, since no checksum covers
//! it. Its neighbours tell then, and it gets the place between them; so no message of the queue is lost, whatever one
//! record claims.

use crate::position::QueueOffset;

/// What is known about a run of units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// How many units.
    pub(super) count: usize,
    /// The place that the queue's next run claims, and of how many units it is.
    pub(super) behind: Option<(QueueOffset, usize)>,
    /// Whether the walk has given the queue nothing before.
    pub(super) is_first: bool,
    /// Whether the queue has no unit of a record.
    pub(super) is_alone: bool,
    /// Whether the walk began at the log's first record.
    pub(super) from_the_first: bool,
}

/// Where a run goes that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The place that comes next.
    Next,
    /// The one that it claims, and the queue begins there.
    Anew,
    /// A walk from the log's first record will tell.
    Unknown,
}

impl Run {
    /// Where the run lies that claims the places from `claimed` on: the queue's oldest record alone says less than those
    /// behind it together, unless the topic begins again there.
    pub(super) fn place(&self, claimed: QueueOffset) -> QueueOffset {
        match self.behind {
            Some((behind, 2..)) if self.is_alone && self.count == 1 => {
                behind.0.checked_sub(1).map_or(claimed, QueueOffset)
            }
            _ => claimed,
        }
    }

    /// Answers for a run with the place `found` in a queue where `expected` comes next.
    pub(super) fn answer(&self, expected: QueueOffset, found: QueueOffset) -> Place {
        let goes_on = self
            .behind
            .is_some_and(|(behind, _)| behind == expected.advanced(self.count as u64));
        // One record that nothing follows is not believed: at worst it stands behind the messages of a deleted topic.
        let is_one = self.count == 1 && self.behind.is_none();
        if self.is_alone || found > expected && self.is_first {
            if self.from_the_first {
                Place::Anew
            } else {
                Place::Unknown
            }
        } else if found.0 == 0 && !goes_on && !is_one {
            Place::Anew
        } else {
            Place::Next
        }
    }
}
