//! One message that waits for its time.

use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::timer::Due;

/// Stands in the place of a message, and not of one that recalls another.
const MESSAGE: u64 = 1 << 63;

/// By what those that wait are ordered: when they are due, those that recall others in front of the others, then as they
/// came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    at_ms: u64,
    place: u64,
}

/// One that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place among all.
    pub key: Key,
    /// Where its record lies.
    pub at: PhysicalOffset,
}

impl Key {
    /// Behind all others.
    pub(super) const LAST: Self = Self {
        at_ms: u64::MAX,
        place: u64::MAX,
    };

    /// The key of the message at a queue offset.
    #[must_use]
    pub fn new(due: Due, queue_offset: QueueOffset) -> Self {
        let kind = if due.recalls { 0 } else { MESSAGE };
        Self {
            at_ms: due.at_ms,
            place: queue_offset.0 & !MESSAGE | kind,
        }
    }

    /// In front of all that is due at a time.
    #[must_use]
    pub fn first_at(at_ms: u64) -> Self {
        Self { at_ms, place: 0 }
    }

    /// When it is due, in milliseconds since 1970.
    #[must_use]
    pub fn at_ms(self) -> u64 {
        self.at_ms
    }

    /// Its queue offset.
    #[must_use]
    pub fn queue_offset(self) -> u64 {
        self.place & !MESSAGE
    }

    /// Whether it recalls another one.
    #[must_use]
    pub fn recalls(self) -> bool {
        self.place & MESSAGE == 0
    }

    /// As a change that is kept has it.
    pub(super) fn halves(self) -> (u64, u64) {
        (self.at_ms, self.place)
    }

    /// As a change that is kept has it.
    pub(super) fn of_halves((at_ms, place): (u64, u64)) -> Self {
        Self { at_ms, place }
    }

    /// The next one.
    #[must_use]
    pub(super) fn next(self) -> Self {
        Self::of_number(self.number().saturating_add(1))
    }

    /// As it stands in the index.
    pub(super) fn number(self) -> u128 {
        u128::from(self.at_ms) << 64 | u128::from(self.place)
    }

    /// As it stands in the index.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the number")]
    pub(super) fn of_number(number: u128) -> Self {
        Self {
            at_ms: (number >> 64) as u64,
            place: number as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_recalls_others_comes_in_front_of_what_is_due_with_it() {
        let key = |at_ms, recalls, queue_offset| Key::new(Due { at_ms, recalls }, QueueOffset(queue_offset));
        let mut keys = [key(6, true, 1), key(5, false, 2), key(5, false, 1), key(5, true, 9)];
        keys.sort_unstable();
        assert_eq!(
            keys,
            [key(5, true, 9), key(5, false, 1), key(5, false, 2), key(6, true, 1)]
        );
        for key in keys {
            assert_eq!(Key::of_number(key.number()), key);
            assert!(Key::first_at(key.at_ms()) <= key && key < Key::first_at(key.at_ms() + 1));
        }
        assert_eq!(
            (keys[0].queue_offset(), keys[0].recalls(), keys[1].recalls()),
            (9, true, false)
        );
    }
}
