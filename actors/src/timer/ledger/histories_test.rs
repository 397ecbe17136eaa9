//! Random histories: whatever comes, is delivered, fails and crashes, all of it is delivered, and nothing early.

use std::path::Path;
use std::sync::Arc;

use cuemq_storage::disk::MemoryDisk;
use cuemq_storage::entropy::Entropy;
use cuemq_storage::timer::Due as Time;

use super::*;
use crate::testing::SeededEntropy;
use crate::timer::index::IndexPlace;

const SIZES: Sizes = Sizes {
    generation: 24,
    merged_at_once: 7,
};

fn place(disk: &MemoryDisk) -> IndexPlace {
    IndexPlace::new(Arc::new(disk.clone()), Path::new("/store"))
}

/// A queue, the ledger over it, and what was delivered of it. The log holds both, and a crash takes its end.
struct World {
    random: SeededEntropy,
    place: IndexPlace,
    index: Arc<Index>,
    owner: u64,
    ledger: Ledger,
    /// When each is due, and where it ends in the log.
    queue: Vec<(u64, u64)>,
    /// Which one was delivered, and where that ends in the log.
    delivered: Vec<(u64, u64)>,
    log: u64,
    durable: u64,
    now_ms: u64,
    change: Option<Change>,
}

impl World {
    fn new(seed: u64) -> Self {
        let place = place(&MemoryDisk::new(seed));
        let index = place.open().unwrap();
        let owner = index.take_over();
        let mut world = Self {
            random: SeededEntropy::new(seed),
            place,
            index,
            owner,
            ledger: Ledger::default(),
            queue: Vec::new(),
            delivered: Vec::new(),
            log: 0,
            durable: 0,
            now_ms: 1_000,
            change: None,
        };
        world.ledger.sizes = SIZES;
        world
    }

    fn send(&mut self) {
        for _ in 0..=self.random.below(6) {
            self.log += 1;
            // Some are due already when they are read.
            self.queue.push((self.now_ms + self.random.below(200), self.log));
        }
    }

    fn read(&mut self) {
        while self.ledger.has_room()
            && let Some((at_ms, end)) = self.queue.get(usize::try_from(self.ledger.next().0).unwrap())
        {
            let (at_ms, recalls) = (*at_ms, false);
            let entry = Entry {
                key: Key::new(Time { at_ms, recalls }, self.ledger.next()),
                at: PhysicalOffset(end - 1),
            };
            self.ledger.add(entry, PhysicalOffset(*end));
        }
    }

    fn deliver(&mut self) {
        let most = 1 + usize::try_from(self.random.below(8)).unwrap();
        let due = self.ledger.take_due(&self.index, self.now_ms, most).unwrap();
        assert!(due.entries.is_empty() || due.next_ms.is_none());
        assert!(due.next_ms.is_none_or(|next_ms| next_ms > self.now_ms));
        let fails = self.random.below(5) == 0;
        for entry in due.entries {
            assert!(entry.key.at_ms() <= self.now_ms, "nothing is early");
            if fails || self.random.below(9) == 0 {
                self.ledger.put_back(entry);
                continue;
            }
            self.log += 1;
            self.ledger.appended(entry.key, PhysicalOffset(self.log));
            self.delivered.push((entry.key.queue_offset(), self.log));
        }
    }

    fn change(&mut self) {
        self.durable += self.random.below(self.log - self.durable + 1);
        match self.change.take() {
            Some(change) => {
                assert!(self.index.change(self.owner, &change).unwrap());
                self.ledger.changed(&change);
            }
            None => {
                let time = self.random.below(2) == 0;
                self.change = self.ledger.change(PhysicalOffset(self.durable), time);
            }
        }
    }

    /// The change under way may have been made, and the index may be lost.
    fn crash(&mut self) {
        if let Some(change) = self.change.take()
            && self.random.below(2) == 0
        {
            self.index.change(self.owner, &change).unwrap();
        }
        self.queue.retain(|(_, end)| *end <= self.durable);
        self.delivered.retain(|(_, end)| *end <= self.durable);
        self.log = self.durable;
        if self.random.below(3) == 0 {
            self.place.discard().unwrap();
        }
        self.index = self.place.open().unwrap();
        self.owner = self.index.take_over();
        let (indexed, done) = (self.index.indexed(), self.index.done());
        assert!(
            indexed.upto.0 <= self.queue.len() as u64,
            "it knows nothing that was lost"
        );
        self.ledger = Ledger::new(indexed, done, self.place.passed());
        self.ledger.sizes = SIZES;
    }

    /// How often each was delivered.
    fn times(&self) -> Vec<usize> {
        let of = |queue_offset| self.delivered.iter().filter(|(of, _)| *of == queue_offset).count();
        (0..self.queue.len() as u64).map(of).collect()
    }
}

fn history(seed: u64, crashes: bool) -> World {
    let mut world = World::new(seed);
    for _ in 0..300 {
        match world.random.below(if crashes { 42 } else { 40 }) {
            0..=9 => world.send(),
            10..=19 => world.read(),
            20..=25 => world.deliver(),
            26..=33 => world.change(),
            34..=39 => world.now_ms += world.random.below(30),
            _ => world.crash(),
        }
    }
    world.now_ms += 1_000;
    while world.times().contains(&0) || !world.ledger.taken.is_empty() {
        world.read();
        world.deliver();
        world.change();
        assert!(world.delivered.len() < 100_000, "seed {seed} comes to no end");
    }
    world
}

#[test]
fn all_that_waits_is_delivered_once_and_not_early() {
    for seed in 0..8 {
        let world = history(seed, false);
        assert!(world.queue.len() > 5 * SIZES.generation, "the index is in use");
        assert!(world.times().iter().all(|times| *times == 1), "seed {seed}");
        let none = |entry| panic!("seed {seed}: {entry:?} is in the index");
        world.index.scan(Key::first_at(0), Key::LAST, none).unwrap();
    }
}

#[test]
fn through_crashes_that_take_the_end_of_the_log_or_the_index_nothing_is_lost() {
    for seed in 0..24 {
        // That it comes to an end says that everything was delivered.
        let world = history(seed, true);
        let twice = world.times().iter().filter(|times| **times > 1).count();
        assert!(
            twice < world.queue.len(),
            "seed {seed}: {twice} of {} came twice",
            world.queue.len()
        );
    }
}
