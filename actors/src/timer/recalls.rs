//! Those that recall others: what they mean is known from when they are due, and they stay until nobody can be meant by them
//! any more.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use cuemq_storage::hash::Hasher;
use cuemq_storage::position::PhysicalOffset;
use cuemq_storage::timer::JAVA_PLACE_MS;

use super::entry::{Entry, Key};

/// The recalls that are due.
#[derive(Debug, Default)]
pub struct Recalls {
    by_key: BTreeMap<Key, (PhysicalOffset, u64)>,
    by_target: BTreeMap<(u64, Key), PhysicalOffset>,
}

/// What TIMER_DEL_UNIQKEY says: a topic and the unique key of a message of it.
#[must_use]
pub fn target_text(topic: &str, unique_key: &str) -> String {
    format!("{topic}+{unique_key}")
}

/// A number for a target; two may have the same.
#[must_use]
pub fn target_of(text: &str) -> u64 {
    Hasher::default().hash_one(text)
}

impl Recalls {
    /// Whether this one is known.
    #[must_use]
    pub fn contains(&self, key: Key) -> bool {
        self.by_key.contains_key(&key)
    }

    /// Takes one that is due.
    pub fn add(&mut self, entry: Entry, target: u64) {
        self.by_key.insert(entry.key, (entry.at, target));
        self.by_target.insert((target, entry.key), entry.at);
    }

    /// Whether none is due.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Where those lie that may mean a message which is due at `at_ms`. Java tells its producers the second alone, and so the
    /// one who recalls a message that Java has taken.
    pub fn of(&self, target: u64, at_ms: u64) -> impl Iterator<Item = PhysicalOffset> {
        let from = Key::first_at(at_ms.saturating_sub(JAVA_PLACE_MS - 1));
        let to = Key::first_at(at_ms.saturating_add(1));
        self.by_target.range((target, from)..(target, to)).map(|(_, at)| *at)
    }

    /// All of them.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.by_key.iter().map(|(key, (at, _))| Entry { key: *key, at: *at })
    }

    /// Forgets those that can mean nobody, when all that is due up to `passed_ms` is done for good.
    pub fn expire(&mut self, passed_ms: u64) -> Vec<Key> {
        let end = Key::first_at(passed_ms.saturating_sub(JAVA_PLACE_MS));
        let left = self.by_key.split_off(&end);
        let gone = std::mem::replace(&mut self.by_key, left);
        for (key, (_, target)) in &gone {
            self.by_target.remove(&(*target, *key));
        }
        gone.into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use cuemq_storage::position::QueueOffset;
    use cuemq_storage::timer::Due;

    use super::*;

    fn recall(at_ms: u64, queue_offset: u64) -> Entry {
        let due = Due { at_ms, recalls: true };
        Entry {
            key: Key::new(due, QueueOffset(queue_offset)),
            at: PhysicalOffset(queue_offset * 100),
        }
    }

    #[test]
    fn a_recall_means_what_is_due_within_its_second() {
        let mut recalls = Recalls::default();
        let target = target_of(&target_text("T", "K"));
        recalls.add(recall(5_000, 7), target);
        let means = |at_ms| recalls.of(target, at_ms).collect::<Vec<_>>();
        assert_eq!(means(4_999), []);
        assert_eq!(means(5_000), [PhysicalOffset(700)]);
        assert_eq!(means(5_999), [PhysicalOffset(700)]);
        assert_eq!(means(6_000), []);
        assert_eq!(recalls.of(target_of("T+other"), 5_000).count(), 0);
    }

    #[test]
    fn it_stays_until_nobody_can_be_meant() {
        let mut recalls = Recalls::default();
        recalls.add(recall(5_000, 7), 1);
        assert_eq!(recalls.expire(6_000), []);
        assert!(recalls.contains(recall(5_000, 7).key));
        assert_eq!(recalls.expire(6_001), [recall(5_000, 7).key]);
        assert!(recalls.is_empty() && recalls.of(1, 5_000).next().is_none());
    }
}
