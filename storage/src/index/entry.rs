//! One entry of an index file: a record that carries a key.
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | hash of topic, `#` and key |
//! | 4–11 | physical offset of the record |
//! | 12–15 | seconds from the file's first record to this one |
//! | 16–19 | number of the entry before this one in its slot's chain, 0 for none |
//!
//! Big-endian.

use crate::position::PhysicalOffset;

/// The length of an entry.
pub(super) const ENTRY_BYTES: u64 = 20;
/// [`ENTRY_BYTES`] as the length of an array.
pub(super) const ENTRY_LENGTH: usize = 20;

/// A record that carries a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hash: i32,
    pub(super) physical_offset: PhysicalOffset,
    /// Seconds; one below 0 ends a chain.
    pub(super) seconds: i32,
    /// 0 for none.
    pub(super) previous: u32,
}

impl Entry {
    #[inline]
    pub(super) fn encode(&self) -> [u8; ENTRY_LENGTH] {
        let mut bytes = [0; ENTRY_LENGTH];
        let physical_offset = self.physical_offset.0.to_be_bytes();
        let parts = [
            &self.hash.to_be_bytes()[..],
            &physical_offset,
            &self.seconds.to_be_bytes(),
            &self.previous.to_be_bytes(),
        ];
        for (target, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *target = *byte;
        }
        bytes
    }

    /// Reads an entry; a previous number or physical offset that cannot be is 0.
    #[inline]
    pub(super) fn decode(bytes: &[u8; ENTRY_LENGTH]) -> Self {
        let mut words = bytes.as_chunks::<4>().0.iter().map(|word| i32::from_be_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        let hash = next();
        let physical_offset = i64::from(next()) << 32 | i64::from(next().cast_unsigned());
        Self {
            hash,
            physical_offset: PhysicalOffset(u64::try_from(physical_offset).unwrap_or_default()),
            seconds: next(),
            previous: u32::try_from(next()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_javas() {
        let entry = Entry {
            hash: 0x0102,
            physical_offset: PhysicalOffset(0x03_0405_0607),
            seconds: 8,
            previous: 9,
        };
        let bytes = [0, 0, 1, 2, 0, 0, 0, 3, 4, 5, 6, 7, 0, 0, 0, 8, 0, 0, 0, 9];
        assert_eq!(entry.encode(), bytes);
        assert_eq!(Entry::decode(&bytes), entry);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(hash: i32, physical in 0..=i64::MAX as u64, seconds: i32, previous in 0..=i32::MAX as u32) {
            let entry = Entry { hash, physical_offset: PhysicalOffset(physical), seconds, previous };
            prop_assert_eq!(Entry::decode(&entry.encode()), entry);
        }
    }
}
