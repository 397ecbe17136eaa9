//! What a unit of an extension holds and an entry does not: when the records of a tick were stored, and which filters want
//! them.

use smallvec::SmallVec;

use crate::position::PhysicalOffset;

/// The store times of a run of the log. They change seldom, so only the changes are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreTimes {
    /// From which position on which time holds, in milliseconds since 1970; ascending.
    changes: SmallVec<[(PhysicalOffset, i64); 2]>,
    /// The bitmaps of records that have one, by their positions; ascending.
    bitmaps: Vec<(PhysicalOffset, Box<[u8]>)>,
}

impl StoreTimes {
    /// Notes that the record at `position`, behind all that were noted, was stored at this time.
    pub fn note(&mut self, position: PhysicalOffset, stored_ms: i64) {
        if self.changes.last().is_none_or(|(_, last)| *last != stored_ms) {
            self.changes.push((position, stored_ms));
        }
    }

    /// Gives the record at `position`, behind all that have one, the bitmap of the filters that want it.
    pub fn mark(&mut self, position: PhysicalOffset, bitmap: Box<[u8]>) {
        self.bitmaps.push((position, bitmap));
    }

    /// The bitmap of the record at `position`; empty for one that has none.
    #[must_use]
    pub fn bitmap(&self, position: PhysicalOffset) -> &[u8] {
        let found = self.bitmaps.binary_search_by_key(&position, |(at, _)| *at);
        let found = found.ok().and_then(|place| self.bitmaps.get(place));
        found.map_or(&[], |(_, bitmap)| bitmap)
    }

    /// When the record at `position` was stored, in milliseconds since 1970; 0 for one in front of those noted.
    #[must_use]
    pub fn at(&self, position: PhysicalOffset) -> i64 {
        let behind = self.changes.partition_point(|(from, _)| *from <= position);
        let change = behind.checked_sub(1).and_then(|last| self.changes.get(last));
        change.map_or(0, |(_, stored_ms)| *stored_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_holds_from_its_record_to_the_next_change() {
        let mut times = StoreTimes::default();
        for (position, stored_ms) in [(100, 5), (200, 5), (300, 7), (400, 8), (500, 8)] {
            times.note(PhysicalOffset(position), stored_ms);
        }
        let at = |position| times.at(PhysicalOffset(position));
        assert_eq!([99, 100, 299, 300, 399, 400, 900].map(at), [0, 5, 5, 7, 7, 8, 8]);
        assert_eq!(times.changes.len(), 3);
    }

    #[test]
    fn a_bitmap_is_that_of_its_record_alone() {
        let mut times = StoreTimes::default();
        times.mark(PhysicalOffset(100), [1, 2].into());
        times.mark(PhysicalOffset(300), [3].into());
        let at = |position| times.bitmap(PhysicalOffset(position)).to_vec();
        assert_eq!([100, 200, 300].map(at), [vec![1, 2], vec![], vec![3]]);
    }
}
