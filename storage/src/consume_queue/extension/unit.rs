//! One unit of an extension.
//!
//! | bytes | what |
//! |---|---|
//! | 0–1 | length of the unit: 20 and that of the bitmap |
//! | 2–9 | tags code |
//! | 10–17 | store time of the record, in milliseconds since 1970 |
//! | 18–19 | length of the bitmap |
//! | 20– | the filters that want the message, as bits |
//!
//! Big-endian, lengths signed. A unit has no bitmap where no filter was calculated.

/// The length of a unit without its bitmap.
pub(super) const HEAD_LENGTH: usize = 20;

/// What a unit says without its bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExtensionUnit {
    /// The length of the whole unit in bytes.
    pub(super) length: u64,
    /// The hash of the message's tags, or a delivery time.
    pub(super) tags_code: i64,
    /// When the record was stored, in milliseconds since 1970.
    pub(super) stored_ms: i64,
}

impl ExtensionUnit {
    /// A unit without bitmap.
    pub(super) fn new(tags_code: i64, stored_ms: i64) -> Self {
        Self {
            length: HEAD_LENGTH as u64,
            tags_code,
            stored_ms,
        }
    }

    /// The same with a bitmap behind it; without where that is longer than a unit may be.
    pub(super) fn with_bitmap(self, bitmap: &[u8]) -> Self {
        let length = HEAD_LENGTH + bitmap.len();
        let is_short = length <= i16::MAX as usize;
        Self {
            length: if is_short { length as u64 } else { self.length },
            ..self
        }
    }

    /// The length of its bitmap.
    pub(super) fn bitmap_length(&self) -> usize {
        usize::try_from(self.length).unwrap_or(HEAD_LENGTH) - HEAD_LENGTH
    }

    /// The bytes in front of its bitmap.
    pub(super) fn encode(&self) -> [u8; HEAD_LENGTH] {
        let mut bytes = [0; HEAD_LENGTH];
        let (length, rest) = bytes.split_at_mut(2);
        let (tags_code, rest) = rest.split_at_mut(8);
        let (stored_ms, bitmap) = rest.split_at_mut(8);
        length.copy_from_slice(&(self.length as u16).to_be_bytes());
        bitmap.copy_from_slice(&(self.bitmap_length() as u16).to_be_bytes());
        tags_code.copy_from_slice(&self.tags_code.to_be_bytes());
        stored_ms.copy_from_slice(&self.stored_ms.to_be_bytes());
        bytes
    }

    /// Reads the head of a unit; `None` when nothing was written there, or nothing that can be a unit.
    pub(super) fn decode(bytes: &[u8; HEAD_LENGTH]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (tags_code, rest) = rest.split_first_chunk::<8>()?;
        let (stored_ms, rest) = rest.split_first_chunk::<8>()?;
        let bitmap = rest.first_chunk::<2>()?;
        let (length, bitmap) = (i16::from_be_bytes(*length), i16::from_be_bytes(*bitmap));
        let is_whole = bitmap >= 0 && length.checked_sub(bitmap) == Some(HEAD_LENGTH as i16);
        is_whole.then_some(Self {
            length: length.unsigned_abs().into(),
            tags_code: i64::from_be_bytes(*tags_code),
            stored_ms: i64::from_be_bytes(*stored_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_javas() {
        let mut bytes = [
            0, 20, 0, 0, 0, 0, 0, 0x27, 0xA8, 7, 0, 0, 1, 0xA1, 0xFD, 0xE6, 0x71, 0x47, 0, 0,
        ];
        let unit = ExtensionUnit::new(0x27_A807, 0x01A1_FDE6_7147);
        assert_eq!(unit.encode(), bytes);
        assert_eq!(ExtensionUnit::decode(&bytes), Some(unit));
        (bytes[1], bytes[19]) = (34, 14);
        let marked = unit.with_bitmap(&[0; 14]);
        assert_eq!((marked.length, marked.encode()), (34, bytes));
        assert_eq!(ExtensionUnit::decode(&bytes), Some(marked));
        assert_eq!(unit.with_bitmap(&[0; 32_748]), unit, "a unit has at most 32767 bytes");
    }

    #[test]
    fn zeros_an_end_mark_and_lengths_that_disagree_are_no_unit() {
        assert_eq!(ExtensionUnit::decode(&[0; 20]), None);
        assert_eq!(ExtensionUnit::decode(&[0xFF; 20]), None);
        for (length, bitmap) in [(20u16, 1u16), (19, 0), (34, 13), (19, 0xFFFF), (0x8014, 0x8000)] {
            let mut bytes = ExtensionUnit::new(1, 2).encode();
            bytes[..2].copy_from_slice(&length.to_be_bytes());
            bytes[18..].copy_from_slice(&bitmap.to_be_bytes());
            assert_eq!(ExtensionUnit::decode(&bytes), None, "{length} {bitmap}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: [u8; 20]) {
            if let Some(unit) = ExtensionUnit::decode(&bytes) {
                prop_assert!((20..=32_767).contains(&unit.length));
            }
        }
    }
}
