//! From where on a queue's units are young: written in this life of the process, for records in the newest part of the
//! log. Readers take those, and their records, to be in memory; for older ones they ask somebody who may wait for the disk.
//!
//! The owner leaves a mark now and then: "the record of this unit begins here, and those behind it later". Two are kept, so
//! that at least the newer half of the newest part is known to be young while messages come.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::position::PhysicalOffset;

/// How far the log goes on from one mark to the next, in bytes: half of what readers take to be in memory.
const STEP: u64 = 256 << 20;
/// No unit has this queue offset.
const NONE: u64 = u64::MAX;

/// A unit and where its record begins.
#[derive(Debug)]
struct Mark {
    queue_offset: AtomicU64,
    position: AtomicU64,
}

impl Mark {
    const fn none() -> Self {
        Self {
            queue_offset: AtomicU64::new(NONE),
            position: AtomicU64::new(0),
        }
    }

    fn set(&self, queue_offset: u64, position: u64) {
        self.queue_offset.store(queue_offset, Ordering::Release);
        self.position.store(position, Ordering::Release);
    }

    /// Whether the record of this unit begins at `from` or behind it. The numbers only grow and are read in the reverse
    /// order of their writing: between two marks this sees the later unit with the earlier position, which errs to "no".
    fn vouches(&self, queue_offset: u64, from: u64) -> bool {
        let position = self.position.load(Ordering::Acquire);
        position >= from && self.queue_offset.load(Ordering::Acquire) <= queue_offset
    }
}

/// The marks of one queue.
#[derive(Debug)]
pub(super) struct Recency {
    older: Mark,
    newer: Mark,
}

impl Recency {
    /// Of a queue whose units are all from earlier.
    pub(super) const fn new() -> Self {
        Self {
            older: Mark::none(),
            newer: Mark::none(),
        }
    }

    /// Notes that the unit at `queue_offset` is about to be written. For the owner.
    pub(super) fn note(&self, queue_offset: u64, position: PhysicalOffset) {
        let newer = (
            self.newer.queue_offset.load(Ordering::Relaxed),
            self.newer.position.load(Ordering::Relaxed),
        );
        if newer.0 == NONE {
            self.newer.set(queue_offset, position.0);
        } else if position.0.saturating_sub(newer.1) >= STEP {
            self.older.set(newer.0, newer.1);
            self.newer.set(queue_offset, position.0);
        }
    }

    /// Forgets all. For the owner, before it begins the queue anew.
    pub(super) fn clear(&self) {
        self.older.set(NONE, 0);
        self.newer.set(NONE, 0);
    }

    /// Whether the unit at `queue_offset` and all behind it were written in this life, for records from `from` on.
    pub(super) fn is_young(&self, queue_offset: u64, from: PhysicalOffset) -> bool {
        self.older.vouches(queue_offset, from.0) || self.newer.vouches(queue_offset, from.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::consume_queue::{ConsumeQueue, Opening, QueuePlace, Unit};
    use crate::disk::{Disk, MemoryDisk};
    use crate::position::QueueOffset;

    /// Where half a GiB back from `end` MiB is.
    fn half_a_gib_before(end: u64) -> PhysicalOffset {
        PhysicalOffset(end.saturating_sub(512) << 20)
    }

    /// The first young one of 2000 units whose records are a MiB apart, in a log of `end` MiB.
    fn first_young_of(recency: &Recency, end: u64) -> Option<u64> {
        (0..2000).find(|queue_offset| recency.is_young(*queue_offset, half_a_gib_before(end)))
    }

    #[test]
    fn what_an_earlier_life_wrote_is_old() {
        let recency = Recency::new();
        assert_eq!(first_young_of(&recency, 1), None);
        recency.note(7, PhysicalOffset(7 << 20));
        assert_eq!(first_young_of(&recency, 8), Some(7));
    }

    #[test]
    fn the_newest_quarter_gib_at_least_is_young_and_nothing_beyond_half_a_gib() {
        let recency = Recency::new();
        for queue_offset in 0..2000 {
            recency.note(queue_offset, PhysicalOffset(queue_offset << 20));
            let young = first_young_of(&recency, queue_offset + 1);
            let back = queue_offset + 1 - young.expect("what is written now is young");
            assert!(back <= 512, "{back} MiB back at {queue_offset}");
            assert!(back > 256 || young == Some(0), "only {back} MiB at {queue_offset}");
        }
    }

    #[test]
    fn units_grow_old_while_other_queues_go_on() {
        let recency = Recency::new();
        recency.note(0, PhysicalOffset(0));
        recency.note(1, PhysicalOffset(1 << 20));
        assert!(recency.is_young(1, half_a_gib_before(512)));
        assert!(!recency.is_young(1, half_a_gib_before(600)));
        recency.note(2, PhysicalOffset(600 << 20));
        assert_eq!(first_young_of(&recency, 601), Some(2));
    }

    #[test]
    fn a_queue_that_begins_anew_has_nothing_young() {
        let recency = Recency::new();
        recency.note(900, PhysicalOffset(0));
        recency.clear();
        assert_eq!(first_young_of(&recency, 1), None);
        recency.note(3, PhysicalOffset(5));
        assert_eq!(first_young_of(&recency, 1), Some(3));
    }

    #[test]
    fn a_queue_knows_which_of_its_units_this_life_wrote() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(1));
        let place = QueuePlace {
            root: Path::new("/store"),
            topic: "topic",
            queue_id: 3,
        };
        let open = || ConsumeQueue::open(&disk, place, 6000, Opening::Clean).unwrap().0;
        let unit = |queue_offset: u64| Unit {
            physical_offset: PhysicalOffset(queue_offset * 100),
            size: 100,
            tags_code: 0,
        };
        let units: Vec<Unit> = (0..7).map(unit).collect();
        let mut earlier = open();
        earlier.append(QueueOffset(0), &units[..5], None).unwrap();
        earlier.write_newest().unwrap();
        let mut queue = open();
        let is_young = |queue: &ConsumeQueue, queue_offset| {
            let view = queue.view();
            view.is_young(QueueOffset(queue_offset), PhysicalOffset(0))
        };
        assert!(!is_young(&queue, 4));
        queue.append(QueueOffset(3), &units[3..], None).unwrap();
        assert_eq!([4, 5, 6].map(|at| is_young(&queue, at)), [false, true, true]);
        queue.restart(QueueOffset(2), &units[2..3], None).unwrap();
        assert_eq!([1, 2].map(|at| is_young(&queue, at)), [false, true]);
    }
}
