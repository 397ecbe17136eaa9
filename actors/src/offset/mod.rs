//! Consumer offsets: how far each group has consumed each queue, and what is answered to a group that asks.
//!
//! [`OffsetTable`] is the owner's state. The rules follow Java's `ConsumerOffsetManager` and
//! `ConsumerManageProcessor.queryConsumerOffset`.

pub mod actor;
mod table;
mod view;

pub use table::{BadCommit, Clamped, Commit, OffsetTable};
pub use view::OffsetView;

/// The answer to a group that asks where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartingPoint {
    /// At this queue offset (code 0).
    Found(i64),
    /// Nobody knows: the client applies its own setting (code 22).
    NotFound,
}

impl StartingPoint {
    /// The remark of the answer that there is no offset.
    pub const NOT_FOUND: &'static str = "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first";

    /// The remark of that answer to a client that wants no 0 in an offset's place (`setZeroIfNotFound=false`, from 5.0 on).
    pub const NOT_FOUND_NOR_ZERO: &'static str = "Not found, do not set to zero, maybe this group boot first";

    /// Decides where a group starts that has committed `stored` on a queue.
    ///
    /// A group without an offset starts at 0 on a queue that still begins there and whose first message is in memory,
    /// whatever its own setting says. `queue_min_offset` is −1 for a queue that does not exist; `zero_in_disk` tells
    /// whether the message at queue offset 0 exists and lies too far back to be in memory.
    #[must_use]
    pub fn decide(stored: Option<i64>, queue_min_offset: i64, zero_in_disk: bool) -> Self {
        match stored {
            Some(consumer_offset) if consumer_offset >= 0 => Self::Found(consumer_offset),
            _ if queue_min_offset <= 0 && !zero_in_disk => Self::Found(0),
            _ => Self::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_offset_is_the_answer() {
        assert_eq!(StartingPoint::decide(Some(7), 100, true), StartingPoint::Found(7));
        assert_eq!(StartingPoint::decide(Some(0), 100, true), StartingPoint::Found(0));
    }

    #[test]
    fn a_new_group_starts_at_zero_on_a_young_queue_and_on_none() {
        for stored in [None, Some(-1)] {
            assert_eq!(StartingPoint::decide(stored, 0, false), StartingPoint::Found(0));
            assert_eq!(StartingPoint::decide(stored, -1, false), StartingPoint::Found(0));
            assert_eq!(StartingPoint::decide(stored, 0, true), StartingPoint::NotFound);
            assert_eq!(StartingPoint::decide(stored, 1, false), StartingPoint::NotFound);
        }
    }
}
