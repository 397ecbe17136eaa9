//! One unit of a consume queue: where a message lies in the commit log.
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | physical offset |
//! | 8–11 | size of the record |
//! | 12–19 | tags code |
//!
//! Big-endian. The tags code is the Java hash of the tags, in `SCHEDULE_TOPIC_XXXX` the delivery time, in
//! `rmq_sys_wheel_timer` what [`crate::timer`] says, and at or below −2147483649 the address of an ext unit; it passes
//! through here unharmed. Bytes never written are zeros, hence a unit counts as written when its size is above 0 (Java's
//! recovery tests the same). A queue that begins in the middle of a file has [`Unit::FILLER`] in front of its first message.

use crate::position::{PLACES_END, PhysicalOffset};

/// The length of a unit.
pub const UNIT_BYTES: u64 = 20;
/// [`UNIT_BYTES`] as the length of an array.
pub(super) const UNIT_LENGTH: usize = 20;
/// The last queue offset whose unit has a place.
pub const LAST_QUEUE_OFFSET: u64 = PLACES_END / UNIT_BYTES - 1;

/// Where a message lies in the commit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where its record begins.
    pub physical_offset: PhysicalOffset,
    /// The length of the record in bytes, above 0 and at most `i32::MAX`.
    pub size: u32,
    /// The hash of its tags, a delivery time or an ext address.
    pub tags_code: i64,
}

impl Unit {
    /// What stands in a queue's first file in front of the queue's first message.
    pub const FILLER: Self = Self {
        physical_offset: PhysicalOffset(0),
        size: i32::MAX as u32,
        tags_code: 0,
    };

    /// Whether this is a [`Unit::FILLER`].
    #[must_use]
    pub fn is_filler(&self) -> bool {
        *self == Self::FILLER
    }

    /// Where the next record can begin at the earliest.
    #[must_use]
    pub fn end(&self) -> PhysicalOffset {
        PhysicalOffset(self.physical_offset.0.saturating_add(u64::from(self.size)))
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; UNIT_LENGTH] {
        let mut bytes = [0; UNIT_LENGTH];
        let (physical_offset, rest) = bytes.split_at_mut(8);
        let (size, tags_code) = rest.split_at_mut(4);
        physical_offset.copy_from_slice(&self.physical_offset.0.to_be_bytes());
        size.copy_from_slice(&self.size.to_be_bytes());
        tags_code.copy_from_slice(&self.tags_code.to_be_bytes());
        bytes
    }

    /// Reads a unit; `None` when nothing was written there, or nothing that can be a unit.
    #[must_use]
    pub fn decode(bytes: &[u8; UNIT_LENGTH]) -> Option<Self> {
        let (physical_offset, rest) = bytes.split_first_chunk::<8>()?;
        let (size, tags_code) = rest.split_first_chunk::<4>()?;
        let physical_offset = i64::from_be_bytes(*physical_offset);
        let size = i32::from_be_bytes(*size);
        let unit = Self {
            physical_offset: PhysicalOffset(u64::try_from(physical_offset).ok()?),
            size: u32::try_from(size).ok()?,
            tags_code: i64::from_be_bytes(tags_code.try_into().ok()?),
        };
        (size > 0).then_some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zeros_are_no_unit() {
        assert_eq!(Unit::decode(&[0; 20]), None);
    }

    #[test]
    fn a_negative_position_or_size_is_no_unit() {
        let mut bytes = Unit {
            physical_offset: PhysicalOffset(5),
            size: 9,
            tags_code: -1,
        }
        .encode();
        bytes[0] = 0x80;
        assert_eq!(Unit::decode(&bytes), None);
        bytes[0] = 0;
        bytes[8] = 0x80;
        assert_eq!(Unit::decode(&bytes), None);
    }

    #[test]
    fn the_bytes_are_javas() {
        let unit = Unit {
            physical_offset: PhysicalOffset(0x0102_0304_0506),
            size: 0x0A0B,
            tags_code: i64::MIN + 20,
        };
        let bytes = [0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0x0A, 0x0B, 0x80, 0, 0, 0, 0, 0, 0, 20];
        assert_eq!(unit.encode(), bytes);
        assert_eq!(Unit::decode(&bytes), Some(unit));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(physical in 0..=i64::MAX as u64, size in 1..=i32::MAX as u32, tags_code: i64) {
            let unit = Unit { physical_offset: PhysicalOffset(physical), size, tags_code };
            prop_assert_eq!(Unit::decode(&unit.encode()), Some(unit));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: [u8; 20]) {
            if let Some(unit) = Unit::decode(&bytes) {
                prop_assert_eq!(unit.encode(), bytes);
                prop_assert!(unit.end() > unit.physical_offset);
            }
        }
    }
}
