//! What waits for its time, as its owner knows it: the newest in memory, the rest in the index, and what becomes of each.
//!
//! ```text
//! consume queue -> recent -> merging -> the index      an entry goes this way, and is taken from wherever it is when it is due
//!                                 taken                from then on, until the index says that it is done
//! ```
//!
//! The index lies by time and messages come in any order, so that a few of them are a page of it each: they are gathered in
//! `recent`, and a whole generation of them is merged, in the order of their times. The index is whole up to where the last
//! generation ended (`indexed`); a restart reads the rest again from the consume queue.
//!
//! No I/O here but for looks into the index, and no clock.

use std::collections::{BTreeMap, BTreeSet};

use cuemq_storage::position::{PhysicalOffset, QueueOffset};

use super::entry::{Entry, Key};
use super::index::{Change, Index, IndexError, Indexed};
use super::note::Passed;
use super::recalls::Recalls;

/// So many are gathered before they are merged.
const GENERATION: usize = 1 << 17;

/// What becomes of an entry that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is being appended to its topic, or to the end of those that wait.
    UnderWay,
    /// It is done as soon as the log is durable up to there.
    Appended(PhysicalOffset),
    /// It is being removed from the index.
    Removing,
}

/// An entry that was taken.
#[derive(Clone, Copy, Debug)]
struct Taken {
    at: PhysicalOffset,
    fate: Fate,
}

/// What a look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// What is due, in order.
    pub entries: Vec<Entry>,
    /// When the next one is due, in milliseconds since 1970, where nothing is due now.
    pub next_ms: Option<u64>,
}

/// How much is kept in memory, and how much is done at a time.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    generation: usize,
    merged_at_once: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            generation: GENERATION,
            merged_at_once: GENERATION,
        }
    }
}

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    sizes: Sizes,
    recent: BTreeMap<Key, PhysicalOffset>,
    merging: BTreeMap<Key, PhysicalOffset>,
    taken: BTreeMap<Key, Taken>,
    /// Those that recall others, from when they are due on.
    pub recalls: Recalls,
    /// What of the queue was read, and the record in front of it.
    read: Indexed,
    /// The end of that record.
    read_end: PhysicalOffset,
    /// Where `merging` ends; `None` when nothing is merged.
    merging_to: Option<Indexed>,
    /// Up to where the index is whole, or will be when the change under way is made.
    indexed: Indexed,
    /// What the index says is done, of what was not read yet.
    done: BTreeSet<u64>,
    /// All of the index in front of this is taken.
    looked_to: Option<Key>,
    /// Up to this time all was taken.
    passed_ms: u64,
    /// What was delivered before.
    passed: Passed,
}

impl Ledger {
    /// Goes on with what the index holds.
    #[must_use]
    pub fn new(indexed: Indexed, done: BTreeSet<u64>, passed: Passed) -> Self {
        Self {
            passed,
            read: indexed,
            indexed,
            done,
            ..Self::default()
        }
    }

    /// The queue offset of what is to be read next.
    #[must_use]
    pub fn next(&self) -> QueueOffset {
        self.read.upto
    }

    /// Whether more can be taken in now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let most = if self.merging_to.is_none() {
            2 * self.sizes.generation
        } else {
            self.sizes.generation
        };
        self.recent.len() < most
    }

    /// Passes over what the queue has no more.
    pub fn skip_to(&mut self, next: QueueOffset) {
        self.read.upto = self.read.upto.max(next);
    }

    /// Takes in what was read next of the queue; its record ends at `end`.
    pub fn add(&mut self, entry: Entry, end: PhysicalOffset) {
        self.read = Indexed {
            upto: QueueOffset(entry.key.queue_offset()).advanced(1),
            last: entry.at,
        };
        self.read_end = end;
        if self.done.remove(&entry.key.queue_offset()) || self.passed.covers(entry.key) {
            return;
        }
        self.waits_again(entry.key);
        self.recent.insert(entry.key, entry.at);
    }

    fn waits_again(&mut self, key: Key) {
        self.passed_ms = self.passed_ms.min(key.at_ms().saturating_sub(1));
    }

    /// Takes at most `most` that are due at `now_ms`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn take_due(&mut self, index: &Index, now_ms: u64, most: usize) -> Result<Due, IndexError> {
        let end = Key::first_at(now_ms.saturating_add(1));
        let mut found: BTreeMap<Key, PhysicalOffset> = BTreeMap::new();
        index.scan(self.looked_to.unwrap_or(Key::first_at(0)), end, |entry| {
            if !self.is_taken(entry.key) {
                found.insert(entry.key, entry.at);
            }
            found.len() <= most
        })?;
        for of_memory in [&self.merging, &self.recent] {
            let due = of_memory.range(..end).take(most.saturating_add(1));
            found.extend(due.map(|(key, at)| (*key, *at)));
        }
        let more = found.len() > most;
        let entries = found.into_iter().take(most).map(|(key, at)| Entry { key, at });
        let entries: Vec<Entry> = entries.collect();
        let looked_to = match entries.last() {
            Some(last) if more => last.key.next(),
            _ => end,
        };
        self.looked_to = self.looked_to.max(Some(looked_to));
        for entry in &entries {
            self.take(*entry);
        }
        if !more {
            self.passed_ms = self.passed_ms.max(now_ms);
        }
        let next_ms = if entries.is_empty() {
            self.next_ms(index, end)?
        } else {
            None
        };
        Ok(Due { entries, next_ms })
    }

    /// When the first one is due that is not due at `end`.
    fn next_ms(&self, index: &Index, end: Key) -> Result<Option<u64>, IndexError> {
        let mut first = [&self.merging, &self.recent]
            .into_iter()
            .filter_map(|of_memory| of_memory.range(end..).next())
            .map(|(key, _)| *key)
            .min();
        index.scan(end, first.unwrap_or(Key::LAST), |entry| {
            let waits = !self.is_taken(entry.key);
            if waits {
                first = Some(entry.key);
            }
            !waits
        })?;
        Ok(first.map(Key::at_ms))
    }

    fn is_taken(&self, key: Key) -> bool {
        self.taken.contains_key(&key) || self.recalls.contains(key)
    }

    fn take(&mut self, entry: Entry) {
        self.merging.remove(&entry.key);
        self.recent.remove(&entry.key);
        let (at, fate) = (entry.at, Fate::UnderWay);
        self.taken.insert(entry.key, Taken { at, fate });
    }

    /// Takes those of these that wait and are due later than `soon_ms`, to be put elsewhere; and says whether others of them
    /// still wait.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn take_later(
        &mut self,
        index: &Index,
        entries: &[Entry],
        soon_ms: u64,
    ) -> Result<(Vec<Entry>, bool), IndexError> {
        let keys: Vec<Key> = entries.iter().map(|entry| entry.key).collect();
        let indexed = index.contains(&keys)?;
        let waits = |(entry, indexed): &(&Entry, bool)| {
            let in_memory = self.merging.contains_key(&entry.key) || self.recent.contains_key(&entry.key);
            let waits = (in_memory || *indexed) && !self.taken.contains_key(&entry.key);
            waits || self.recalls.contains(entry.key)
        };
        let waiting = entries.iter().zip(indexed).filter(waits).map(|(entry, _)| *entry);
        let (later, soon): (Vec<Entry>, Vec<Entry>) = waiting.partition(|entry| entry.key.at_ms() > soon_ms);
        for entry in &later {
            self.take(*entry);
        }
        Ok((later, !soon.is_empty()))
    }

    /// Whether anything is not safe yet that was taken and lies in front of `end`.
    #[must_use]
    pub fn is_unsafe_before(&self, end: PhysicalOffset, durable: PhysicalOffset) -> bool {
        self.taken.values().any(|taken| {
            taken.at < end
                && match taken.fate {
                    Fate::UnderWay => true,
                    Fate::Appended(end) => end > durable,
                    Fate::Removing => false,
                }
        })
    }

    /// Notes that what was taken was appended, and ends in front of `end`.
    pub fn appended(&mut self, key: Key, end: PhysicalOffset) {
        if let Some(taken) = self.taken.get_mut(&key) {
            taken.fate = Fate::Appended(end);
        }
    }

    /// Notes that what was taken goes nowhere.
    pub fn passed_over(&mut self, key: Key) {
        self.appended(key, PhysicalOffset(0));
    }

    /// Notes that what was taken recalls `target`; it stays until nobody can be meant by it any more.
    pub fn recalled(&mut self, entry: Entry, target: u64) {
        self.taken.remove(&entry.key);
        self.recalls.add(entry, target);
    }

    /// Puts back what was taken and not appended.
    pub fn put_back(&mut self, entry: Entry) {
        self.taken.remove(&entry.key);
        self.waits_again(entry.key);
        if entry.key.queue_offset() < self.indexed.upto.0 {
            // It is in the index, or in the change under way.
            self.look_again_from(entry.key);
        } else if self.merging_to.is_some_and(|end| entry.key.queue_offset() < end.upto.0) {
            self.merging.insert(entry.key, entry.at);
        } else {
            self.recent.insert(entry.key, entry.at);
        }
    }

    fn look_again_from(&mut self, key: Key) {
        self.looked_to = self.looked_to.map(|looked_to| looked_to.min(key));
    }

    /// The next change of the index, one at a time; `None` when nothing is to be changed. The log is durable up to `durable`.
    /// What of it only says what is done waits until it is `time`, or until something is merged.
    pub fn change(&mut self, durable: PhysicalOffset, time: bool) -> Option<Change> {
        let gathered = self.read.upto.0.saturating_sub(self.indexed.upto.0);
        if self.merging_to.is_none() && gathered >= self.sizes.generation as u64 && self.read_end <= durable {
            self.merging = std::mem::take(&mut self.recent);
            self.merging_to = Some(self.read);
        }
        if self.merging_to.is_none() && !time {
            return None;
        }
        let (remove, passed_ms) = self.removable(durable);
        let insert = self.merging.iter().take(self.sizes.merged_at_once);
        let mut insert: Vec<Entry> = insert.map(|(key, at)| Entry { key: *key, at: *at }).collect();
        let mut indexed = None;
        if let Some(end) = self.merging_to.filter(|_| insert.len() == self.merging.len()) {
            // What was taken on its way is in no other place but memory.
            insert.extend(self.taken_between(self.indexed.upto.0, end.upto.0));
            (self.indexed, indexed) = (end, Some(end));
        }
        if insert.is_empty() && remove.is_empty() && indexed.is_none() {
            return None;
        }
        // What is not durable may have another in its place one day.
        let passed = (self.read_end <= durable).then_some(Passed {
            ms: passed_ms,
            read: self.read,
        });
        Some(Change {
            insert,
            passed: passed.filter(|_| !remove.is_empty()),
            remove,
            indexed,
        })
    }

    /// What is done for good, and up to which time everything is.
    fn removable(&mut self, durable: PhysicalOffset) -> (Vec<Key>, u64) {
        let mut remove = Vec::new();
        for (key, taken) in &mut self.taken {
            if matches!(taken.fate, Fate::Appended(end) if end <= durable) {
                taken.fate = Fate::Removing;
                remove.push(*key);
            }
        }
        let mut left = self.taken.iter().filter(|(_, taken)| taken.fate != Fate::Removing);
        let first_ms = left.next().map_or(u64::MAX, |(key, _)| key.at_ms().saturating_sub(1));
        let passed_ms = first_ms.min(self.passed_ms);
        remove.extend(self.recalls.expire(passed_ms));
        (remove, passed_ms)
    }

    fn taken_between(&self, from: u64, to: u64) -> Vec<Entry> {
        let taken = self.taken.iter().filter(|(_, taken)| taken.fate != Fate::Removing);
        let taken = taken.map(|(key, taken)| Entry {
            key: *key,
            at: taken.at,
        });
        let between = |entry: &Entry| (from..to).contains(&entry.key.queue_offset());
        taken.chain(self.recalls.entries()).filter(between).collect()
    }

    /// Notes that a change was made.
    pub fn changed(&mut self, change: &Change) {
        for key in &change.remove {
            self.taken.remove(key);
        }
        for entry in &change.insert {
            self.merging.remove(&entry.key);
            self.look_again_from(entry.key);
        }
        if change.indexed.is_some() {
            self.merging_to = None;
        }
    }
}

#[cfg(test)]
mod histories_test;
