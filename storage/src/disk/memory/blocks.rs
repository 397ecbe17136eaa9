//! Which blocks of a simulated file take room on the simulated disk, and how much room there is.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The unit in which a file takes room.
pub(super) const BLOCK: u64 = 4096;

/// The room on a disk, shared by all its files.
#[derive(Debug)]
pub(super) struct Room {
    capacity: AtomicU64,
    used: AtomicU64,
}

/// The blocks of one file; they go back when it is dropped.
#[derive(Debug)]
pub(super) struct BlockSet {
    room: Arc<Room>,
    taken: Vec<u64>,
    count: u64,
}

impl Room {
    pub(super) fn new(capacity: u64) -> Arc<Self> {
        Arc::new(Self {
            capacity: AtomicU64::new(capacity),
            used: AtomicU64::new(0),
        })
    }

    pub(super) fn set_capacity(&self, capacity: u64) {
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity.load(Ordering::Relaxed)
    }

    /// What is left, in bytes.
    pub(super) fn available(&self) -> u64 {
        self.capacity().saturating_sub(self.used.load(Ordering::Relaxed))
    }
}

impl BlockSet {
    pub(super) fn new(room: Arc<Room>) -> Self {
        Self {
            room,
            taken: Vec::new(),
            count: 0,
        }
    }

    /// Takes the blocks of a range one after the other; the number of bytes of the range that have room now, fewer than
    /// its length when the disk is full.
    pub(super) fn take(&mut self, range: Range<u64>) -> u64 {
        for block in range.start / BLOCK..range.end.div_ceil(BLOCK) {
            if !self.holds(block) {
                if self.room.available() < BLOCK {
                    return (block * BLOCK).saturating_sub(range.start);
                }
                self.set(block, true);
            }
        }
        range.end.saturating_sub(range.start)
    }

    /// Takes blocks that the disk is known to hold, full or not: those that a crash brings back.
    pub(super) fn restore(&mut self, range: Range<u64>) {
        for block in range.start / BLOCK..range.end.div_ceil(BLOCK) {
            self.set(block, true);
        }
    }

    /// Gives back the blocks that lie wholly within a range.
    pub(super) fn release(&mut self, range: Range<u64>) {
        let end = (range.end / BLOCK).min(self.taken.len() as u64 * 64);
        for block in range.start.div_ceil(BLOCK)..end {
            self.set(block, false);
        }
    }

    /// The taken blocks, to be given to [`BlockSet::assign`].
    pub(super) fn snapshot(&self) -> Vec<u64> {
        self.taken.clone()
    }

    /// Becomes what it was when `snapshot` was taken.
    pub(super) fn assign(&mut self, snapshot: Vec<u64>) {
        self.taken = snapshot;
        let count = self.taken.iter().map(|word| u64::from(word.count_ones())).sum();
        self.count_is(count);
    }

    fn holds(&self, block: u64) -> bool {
        let word = usize::try_from(block / 64).ok().and_then(|index| self.taken.get(index));
        word.is_some_and(|word| word >> (block % 64) & 1 == 1)
    }

    fn set(&mut self, block: u64, taken: bool) {
        let Ok(index) = usize::try_from(block / 64) else { return };
        if index >= self.taken.len() {
            self.taken.resize(index + 1, 0);
        }
        if self.holds(block) != taken
            && let Some(word) = self.taken.get_mut(index)
        {
            *word ^= 1 << (block % 64);
            self.count_is(if taken { self.count + 1 } else { self.count - 1 });
        }
    }

    fn count_is(&mut self, count: u64) {
        self.room.used.fetch_sub(self.count * BLOCK, Ordering::Relaxed);
        self.room.used.fetch_add(count * BLOCK, Ordering::Relaxed);
        self.count = count;
    }
}

impl Drop for BlockSet {
    fn drop(&mut self) {
        self.count_is(0);
    }
}
