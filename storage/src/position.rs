//! Positions in the log, as newtypes, with the inequalities that hold between them.
//!
//! Under sync flush `dispatched <= visible <= durable <= appended`; under async flush `visible = appended`.
//! `replicated <= visible` always: a slave never holds a byte that its master could lose in a crash.

use std::fmt;

/// A byte position in the commit log, counted from the beginning of its first file ever written (RocketMQ's
/// `commitLogOffset`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysicalOffset(pub u64);

/// The index of a message in its consume queue (RocketMQ's `queueOffset`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueOffset(pub u64);

/// The number of a flush generation: a flush that was asked for before the log was cut never acknowledges what was
/// written after the cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlushEpoch(pub u64);

/// The first byte that no file of the log or of a consume queue may begin at: places are below 2^63, as in Java, with room
/// for sums.
pub(crate) const PLACES_END: u64 = i64::MAX as u64 / 2;

impl PhysicalOffset {
    /// The position `bytes` further on.
    #[must_use]
    pub fn advanced(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }

    /// As Java's `long`.
    #[must_use]
    pub fn signed(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl QueueOffset {
    /// The queue offset `records` further on.
    #[must_use]
    pub fn advanced(self, records: u64) -> Self {
        Self(self.0 + records)
    }

    /// As Java's `long`.
    #[must_use]
    pub fn signed(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for PhysicalOffset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for QueueOffset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
