//! The first 40 bytes of an index file.
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | store time of the first record, in milliseconds since 1970 |
//! | 8–15 | store time of the last record |
//! | 16–23 | physical offset of the first record |
//! | 24–31 | physical offset of the last record |
//! | 32–35 | slots in use (4.3.0 counts every entry instead; nothing depends on it) |
//! | 36–39 | number of the next entry; the first is 1 |
//!
//! Big-endian. A file that was never flushed has zeros here, which means empty.

use crate::position::PhysicalOffset;

/// The length of a header.
pub(super) const HEADER_BYTES: u64 = 40;

/// What an index file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) begin_ms: i64,
    pub(super) end_ms: i64,
    pub(super) begin_physical: PhysicalOffset,
    pub(super) end_physical: PhysicalOffset,
    pub(super) used_slots: i32,
    /// The number of the next entry, at least 1.
    pub(super) next: u32,
}

impl Header {
    /// The header of a file that follows one which ends with `end`.
    pub(super) fn after(end: Option<&Self>) -> Self {
        let (end_ms, end_physical) = end.map_or((0, PhysicalOffset(0)), |end| (end.end_ms, end.end_physical));
        Self {
            begin_ms: end_ms,
            end_ms,
            begin_physical: end_physical,
            end_physical,
            used_slots: 0,
            next: 1,
        }
    }

    pub(super) fn encode(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let longs = [
            self.begin_ms,
            self.end_ms,
            i64::try_from(self.begin_physical.0).unwrap_or(i64::MAX),
            i64::try_from(self.end_physical.0).unwrap_or(i64::MAX),
            i64::from(self.used_slots) << 32 | i64::from(self.next),
        ];
        for (target, long) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(longs) {
            *target = long.to_be_bytes();
        }
        bytes
    }

    /// Reads a header; what cannot be is taken as Java takes it (a next entry below 1 is 1) or as 0.
    pub(super) fn decode(bytes: &[u8; 40]) -> Self {
        let mut longs = bytes.as_chunks::<8>().0.iter().map(|long| i64::from_be_bytes(*long));
        let mut next = || longs.next().unwrap_or_default();
        let (begin_ms, end_ms) = (next(), next());
        let mut physical = || PhysicalOffset(u64::try_from(next()).unwrap_or_default());
        let (begin_physical, end_physical) = (physical(), physical());
        let counts = next();
        let (used_slots, next) = ((counts >> 32) as i32, counts as i32);
        let next = u32::try_from(next).unwrap_or_default().max(1);
        Self {
            begin_ms,
            end_ms,
            begin_physical,
            end_physical,
            used_slots,
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_javas() {
        let header = Header {
            begin_ms: 1,
            end_ms: 2,
            begin_physical: PhysicalOffset(3),
            end_physical: PhysicalOffset(0x0405),
            used_slots: 6,
            next: 7,
        };
        let mut bytes = [0; 40];
        for (at, byte) in [(7, 1), (15, 2), (23, 3), (30, 4), (31, 5), (35, 6), (39, 7)] {
            *bytes.get_mut(at).unwrap() = byte;
        }
        assert_eq!(header.encode(), bytes);
        assert_eq!(Header::decode(&bytes), header);
    }

    #[test]
    fn zeros_and_nonsense_are_an_empty_file() {
        assert_eq!(Header::decode(&[0; 40]), Header::after(None));
        let nonsense = Header::decode(&[0xFF; 40]);
        assert_eq!((nonsense.next, nonsense.end_physical), (1, PhysicalOffset(0)));
    }
}
