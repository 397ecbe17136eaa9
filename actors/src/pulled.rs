//! How far consumer groups have pulled, by queue, as gauges tell it (`pullOffsetTable` of `ConsumerOffsetManager` in Java). It
//! is of this life of the broker alone and is nothing that a consumer goes by.
//!
//! A queue of a group is pulled on one connection, but that can change its thread, so all threads write to the same place.
//! A note costs a look at two pointers and a store: no lock, and no memory but for the first of a run of queues.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::traffic::Pair;

/// Runs of queues, each eight times as long as all before it: queues 0 to 7, 8 to 63, … 4096 to 32767. Further ones are not noted.
const RUNS: usize = 5;
/// How many queues of all groups are noted: 8 MiB.
const QUEUES_MAX: usize = 1 << 20;
/// Stands where nothing was pulled.
const NEVER: i64 = -1;
/// From how many pairs on those are looked for that are gone.
const PRUNE_FROM: usize = 1024;

/// How far one group has pulled one topic.
#[derive(Debug)]
pub struct Pulled {
    runs: [OnceLock<Box<[AtomicI64]>>; RUNS],
    /// Queues that may still be noted, of all groups.
    room: Arc<AtomicUsize>,
}

/// Where a queue's place is: which run, and where that begins.
#[inline]
fn place(queue_id: u32) -> (usize, u32) {
    let run = (queue_id | 1).ilog2() / 3;
    (run as usize, first_of(run))
}

#[inline]
fn first_of(run: u32) -> u32 {
    if run == 0 { 0 } else { 1 << (3 * run) }
}

impl Pulled {
    fn new(room: Arc<AtomicUsize>) -> Self {
        Self {
            runs: Default::default(),
            room,
        }
    }

    /// Notes where the group reads next in a queue.
    #[inline]
    pub fn note(&self, queue_id: u32, next: u64) {
        let (run, first) = place(queue_id);
        let Some(places) = self.runs.get(run) else { return };
        let places = places.get_or_init(|| self.make(run));
        if let Some(place) = places.get((queue_id - first) as usize) {
            place.store(next.cast_signed(), Ordering::Relaxed);
        }
    }

    /// Makes the places of a run; none where too many queues are noted already.
    #[cold]
    fn make(&self, run: usize) -> Box<[AtomicI64]> {
        let run = u32::try_from(run).unwrap_or(0);
        let length = (first_of(run + 1) - first_of(run)) as usize;
        let take = |room: usize| room.checked_sub(length);
        let taken = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        let length = taken.map_or(0, |_| length);
        (0..length).map(|_| AtomicI64::new(NEVER)).collect()
    }

    /// The queues that were pulled, with where the group reads next.
    pub fn queues(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        (0..).zip(&self.runs).flat_map(|(run, places)| {
            let places = places.get().map_or(&[][..], Box::as_ref);
            let next = |place: &AtomicI64| u64::try_from(place.load(Ordering::Relaxed)).ok();
            (first_of(run)..)
                .zip(places)
                .filter_map(move |(queue_id, place)| Some((queue_id, next(place)?)))
        })
    }
}

impl Drop for Pulled {
    fn drop(&mut self) {
        let noted = self.runs.iter().filter_map(OnceLock::get).map(|places| places.len());
        self.room.fetch_add(noted.sum(), Ordering::Relaxed);
    }
}

/// How far all groups have pulled. Clones are the same table. What no thread holds any more is forgotten.
#[derive(Clone, Debug)]
pub struct PulledTable {
    pairs: Arc<Mutex<Pairs>>,
    room: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Pairs {
    pairs: BTreeMap<Pair, Weak<Pulled>>,
    /// At how many pairs those are looked for that are gone.
    prune_at: usize,
}

impl Default for PulledTable {
    fn default() -> Self {
        let pairs = Pairs {
            pairs: BTreeMap::new(),
            prune_at: PRUNE_FROM,
        };
        Self {
            pairs: Arc::new(Mutex::new(pairs)),
            room: Arc::new(AtomicUsize::new(QUEUES_MAX)),
        }
    }
}

impl PulledTable {
    /// The notes of a group on a topic. For the first pull of each on a thread: it locks the table.
    #[must_use]
    pub fn of(&self, pair: &Pair) -> Arc<Pulled> {
        let mut table = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = table.pairs.get(pair).and_then(Weak::upgrade) {
            return known;
        }
        if table.pairs.len() >= table.prune_at {
            table.pairs.retain(|_, pulled| pulled.strong_count() > 0);
            table.prune_at = (2 * table.pairs.len()).max(PRUNE_FROM);
        }
        let pulled = Arc::new(Pulled::new(Arc::clone(&self.room)));
        table.pairs.insert(pair.clone(), Arc::downgrade(&pulled));
        pulled
    }

    /// All that is noted.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Pair, Arc<Pulled>> {
        let table = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let there = table.pairs.iter();
        there
            .filter_map(|(pair, pulled)| Some((pair.clone(), pulled.upgrade()?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(topic: &str) -> Pair {
        Pair {
            topic: topic.into(),
            group: "g".into(),
        }
    }

    #[test]
    fn every_queue_has_a_place_of_its_own() {
        let pulled = PulledTable::default().of(&pair("T"));
        let ids = [0, 1, 7, 8, 63, 64, 511, 512, 4095, 4096, 32_767];
        for queue_id in ids.into_iter().chain([32_768, u32::MAX]) {
            pulled.note(queue_id, u64::from(queue_id) + 1);
        }
        let told: Vec<_> = pulled.queues().collect();
        assert_eq!(told, ids.map(|queue_id| (queue_id, u64::from(queue_id) + 1)));
        pulled.note(7, 0);
        assert!(pulled.queues().any(|queue| queue == (7, 0)), "a group may go back");
    }

    #[test]
    fn threads_note_in_one_place_and_what_nobody_holds_is_forgotten() {
        let table = PulledTable::default();
        let (one, other) = (table.of(&pair("T")), table.of(&pair("T")));
        one.note(3, 5);
        other.note(3, 9);
        assert_eq!(table.all()[&pair("T")].queues().collect::<Vec<_>>(), [(3, 9)]);
        drop((one, other));
        assert!(table.all().is_empty());
        for number in 0..10 * PRUNE_FROM {
            drop(table.of(&pair(&number.to_string())));
        }
        let kept = table.pairs.lock().unwrap().pairs.len();
        assert!(kept <= PRUNE_FROM, "{kept}");
    }

    #[test]
    fn there_is_an_end_and_room_comes_back() {
        let table = PulledTable::default();
        let topics: Vec<_> = (0..40).map(|number| table.of(&pair(&number.to_string()))).collect();
        for pulled in &topics {
            pulled.note(4096, 1);
        }
        let noted = |topics: &[Arc<Pulled>]| topics.iter().flat_map(|pulled| pulled.queues()).count();
        assert_eq!(noted(&topics), QUEUES_MAX / (32_768 - 4096));
        drop(topics);
        let again = table.of(&pair("again"));
        again.note(4096, 1);
        assert_eq!(again.queues().count(), 1);
    }
}
