//! The segments of a queue as readers find them: an immutable list that the owner replaces as a whole.
//!
//! A reader loads the list without a lock and without touching a reference count ([`SegmentList::load`]); a segment that
//! the owner has dropped from it lives on for those who hold it.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::Segment;

/// The published segments of one queue, ascending and without overlap.
#[derive(Debug, Default)]
pub struct SegmentList {
    segments: ArcSwap<Vec<Arc<Segment>>>,
}

/// A list as it stood at one moment. To be dropped soon: it is not meant to be kept across a wait.
#[derive(Debug)]
pub struct LoadedSegments {
    segments: Guard<Arc<Vec<Arc<Segment>>>>,
}

impl SegmentList {
    /// A list of `segments`.
    ///
    /// # Panics
    /// As [`SegmentList::replace`].
    #[must_use]
    pub fn new(segments: Vec<Arc<Segment>>) -> Self {
        let list = Self::default();
        list.replace(segments);
        list
    }

    /// Publishes another list; for the owner of the files.
    ///
    /// # Panics
    /// When the segments do not ascend or overlap.
    pub fn replace(&self, segments: Vec<Arc<Segment>>) {
        let ascending = segments
            .windows(2)
            .all(|pair| matches!(pair, [one, next] if one.end() <= next.start()));
        assert!(ascending, "segments out of order: {segments:?}");
        self.segments.store(Arc::new(segments));
    }

    /// The list as it stands now.
    #[must_use]
    pub fn load(&self) -> LoadedSegments {
        LoadedSegments {
            segments: self.segments.load(),
        }
    }

    /// The segment in which a position of the queue lies.
    #[must_use]
    pub fn find(&self, position: u64) -> Option<Arc<Segment>> {
        self.load().find(position).cloned()
    }

    /// The position of the first byte that is still there.
    #[must_use]
    pub fn first_start(&self) -> Option<u64> {
        self.load().as_slice().first().map(|segment| segment.start())
    }
}

impl LoadedSegments {
    /// The segments, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// The segment in which a position of the queue lies.
    #[must_use]
    pub fn find(&self, position: u64) -> Option<&Arc<Segment>> {
        let behind = self.segments.partition_point(|segment| segment.start() <= position);
        let segment = self.segments.get(behind.checked_sub(1)?)?;
        (position < segment.end()).then_some(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use std::path::Path;

    fn segment(start: u64, length: u64) -> Arc<Segment> {
        Arc::new(Segment::open_lazy(
            Arc::new(RealDisk),
            Path::new("queue"),
            start,
            length,
            0,
        ))
    }

    #[test]
    fn a_position_is_found_in_its_segment_and_nowhere_else() {
        let list = SegmentList::new(vec![segment(100, 50), segment(150, 50), segment(300, 50)]);
        let found = |position| list.find(position).map(|segment| segment.start());
        for (position, start) in [(100, 100), (149, 100), (150, 150), (199, 150), (300, 300), (349, 300)] {
            assert_eq!(found(position), Some(start), "position {position}");
        }
        for position in [0, 99, 200, 299, 350, u64::MAX] {
            assert_eq!(found(position), None, "position {position}");
        }
        assert_eq!(list.first_start(), Some(100));
    }

    #[test]
    fn a_loaded_list_is_not_changed_by_a_replacement() {
        let list = SegmentList::new(vec![segment(0, 10)]);
        let loaded = list.load();
        list.replace(vec![segment(10, 10)]);
        assert!(loaded.find(5).is_some() && list.find(5).is_none());
        list.replace(Vec::new());
        assert_eq!(list.first_start(), None);
    }

    #[test]
    #[should_panic(expected = "out of order")]
    fn overlapping_segments_are_refused() {
        let _list = SegmentList::new(vec![segment(0, 10), segment(9, 10)]);
    }
}
