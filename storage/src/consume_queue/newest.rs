//! The newest units of a queue: in memory alone until they are enough for one write, or are to be synced.
//!
//! A write of 20 bytes costs the kernel as much as one of 2,560, and many queues have one unit in each tick of the log. What
//! a killed process takes with it is fed again from the log, as what it had written and not synced would be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::unit::{UNIT_LENGTH, Unit};
use crate::error::Result;

/// So many are written at the latest. Ten thousand queues with as many each have 31 MB of them.
pub(super) const MOST: usize = 128;

/// What the files lack, shown to readers all the same. Written to by the queue's owner alone.
#[derive(Default)]
pub(super) struct NewestUnits {
    /// The queue offset of the first one: what is in front of it is in the files.
    from: AtomicU64,
    units: Mutex<Vec<Unit>>,
}

impl NewestUnits {
    /// The queue offset of the first one; the files have all in front of it.
    pub(super) fn from(&self) -> u64 {
        self.from.load(Ordering::Acquire)
    }

    /// Adds units behind the others, which are published afterwards.
    pub(super) fn add(&self, units: &[Unit]) {
        self.lock().extend_from_slice(units);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Those from `first` on, in front of `until`; `None` when the files have `first`.
    pub(super) fn copy(&self, first: u64, until: u64) -> Option<Vec<Unit>> {
        if first < self.from() {
            return None;
        }
        let units = self.lock();
        // They may have been written since.
        let skipped = first.checked_sub(self.from())?;
        let count = usize::try_from(until.saturating_sub(first)).unwrap_or(usize::MAX);
        let rest = units.get(usize::try_from(skipped).ok()?..).unwrap_or_default();
        Some(rest.get(..count).unwrap_or(rest).to_vec())
    }

    /// Writes them where the first one goes. Readers wait for none of it, and see them meanwhile.
    pub(super) fn write(&self, write: impl FnOnce(&[u8], u64) -> Result<()>) -> Result<()> {
        let encoded: SmallVec<[[u8; UNIT_LENGTH]; MOST]> = self.lock().iter().map(Unit::encode).collect();
        if encoded.is_empty() {
            return Ok(());
        }
        let from = self.from();
        write(encoded.as_flattened(), from)?;
        self.restart(from + encoded.len() as u64);
        Ok(())
    }

    /// Forgets them: the files have what is in front of `from`, and nothing else is there.
    pub(super) fn restart(&self, from: u64) {
        let mut units = self.lock();
        units.clear();
        self.from.store(from, Ordering::Release);
    }

    /// Lets go of the room for them, of which there are none.
    pub(super) fn release(&self) {
        self.lock().shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Unit>> {
        // Nothing that is done under it can leave them half changed.
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consume_queue::rules_test::{Store, expected, read_from, unit, units};
    use crate::consume_queue::{ConsumeQueue, DEFAULT_FILE_BYTES, Opening, QueuePlace};
    use crate::position::QueueOffset;

    fn newest() -> NewestUnits {
        let newest = NewestUnits::default();
        newest.restart(5);
        newest.add(&units(5..9));
        newest
    }

    #[test]
    fn what_the_files_have_is_not_given() {
        let newest = newest();
        assert_eq!(newest.copy(4, 9), None);
        assert_eq!(newest.copy(6, 8), Some(units(6..8)));
        assert_eq!(newest.copy(8, 100), Some(vec![unit(8)]));
        assert_eq!(newest.copy(9, 100), Some(Vec::new()));
        assert_eq!(newest.copy(u64::MAX, u64::MAX), Some(Vec::new()));
    }

    #[test]
    fn they_are_shown_until_they_are_written_and_after_a_write_that_failed() {
        let newest = newest();
        let failed = newest.write(|_, _| Err(crate::StoreError::Interrupted));
        assert!(failed.is_err());
        let write = |bytes: &[u8], from: u64| {
            assert_eq!((bytes.len(), from), (80, 5));
            assert_eq!(newest.copy(5, 9), Some(units(5..9)));
            Ok(())
        };
        newest.write(write).unwrap();
        assert_eq!((newest.copy(8, 9), newest.from(), newest.count()), (None, 9, 0));
        newest.write(|_, _| unreachable!("there is nothing to write")).unwrap();
    }

    #[test]
    fn units_are_read_wherever_what_is_written_ends() {
        for written in 0..25 {
            let store = Store::new();
            let mut queue = store.filled(written);
            queue.append(QueueOffset(written), &units(written..25), None).unwrap();
            let view = queue.view();
            // Each file is written before the next one is begun.
            assert_eq!(view.newest.from(), written.max(20));
            assert_eq!(read_from(&view, 0), expected(0..25));
            for first in 0..25 {
                assert_eq!(view.copy(QueueOffset(first), 1).unwrap(), units(first..first + 1));
                let end = (first / 10 * 10 + 10).min(25).min(first + 4);
                assert_eq!(view.copy(QueueOffset(first), 4).unwrap(), units(first..end));
                let read = view.read(QueueOffset(first), 4).unwrap();
                assert_eq!(read.map(|(_, unit)| unit).collect::<Vec<_>>(), units(first..end));
            }
        }
    }

    #[test]
    fn units_that_come_one_by_one_are_written_many_at_a_time_and_all_before_a_sync() {
        let store = Store::new();
        let place = QueuePlace {
            root: store.root(),
            topic: "topic",
            queue_id: 3,
        };
        let (mut queue, _) = ConsumeQueue::open(&store.disk, place, DEFAULT_FILE_BYTES, Opening::Clean).unwrap();
        let in_file = || {
            let bytes = store.disk.read_whole(&store.file(0), DEFAULT_FILE_BYTES).unwrap();
            let (written, _) = bytes.as_chunks();
            written.iter().map_while(Unit::decode).count()
        };
        let mut lengths = std::collections::BTreeSet::new();
        for next in 0..300 {
            queue.append(QueueOffset(next), &units(next..next + 1), None).unwrap();
            lengths.insert(in_file());
        }
        assert_eq!(lengths, [0, 128, 256].into());
        let sync = queue.dirty().unwrap().unwrap();
        assert_eq!(in_file(), 300);
        queue.confirm(sync.run().unwrap());
        assert!(!queue.is_dirty());
        queue.append(QueueOffset(300), &units(300..301), None).unwrap();
        assert!(queue.is_dirty(), "a unit in memory is one that is not durable");
    }
}
