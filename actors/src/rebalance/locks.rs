//! Which client holds which queue of a group that consumes in order (codes 41 and 42; Java's `RebalanceLockManager`).
//!
//! A client renews its locks every 20 s. One that was not renewed for the lock time can be taken by another client of the
//! group; until then nobody but its holder renews or releases it, whether the holder's connection is there or not: a client
//! that has lost its connection may still be at work on a message.
//!
//! All lives of the owner share one [`QueueLocks`], so that what was granted before a failure still counts after it, and a
//! grant is answered when it is in a file ([`super::lock_file`]), so that it counts after a restart, too. (In Java it does not.)

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuemq_net::body::{LockBatch, MessageQueue};

use super::lock_file::KeptLock;

/// The most bytes that all locks may take: about 200,000 of them.
pub const MAX_LOCK_BYTES: usize = 64 << 20;
/// What a lock takes beside its names, about.
const OVERHEAD_BYTES: usize = 192;

/// The locks of a broker. Clones are the same.
#[derive(Clone, Debug)]
pub struct QueueLocks(Arc<Mutex<LockTable>>);

impl QueueLocks {
    /// No locks yet; one that is not renewed for `lock_time` can be taken over.
    #[must_use]
    pub fn new(lock_time: Duration) -> Self {
        Self(Arc::new(Mutex::new(LockTable::new(lock_time))))
    }

    /// The locks of an earlier life of the broker, which are taken to have been renewed at `now_ms` of the monotonic clock.
    #[must_use]
    pub fn restored(lock_time: Duration, kept: Vec<KeptLock>, now_ms: u64) -> Self {
        let mut table = LockTable::new(lock_time);
        for KeptLock { group, queue, owner } in kept {
            let _ = table.grant(&group, &queue, &Arc::from(owner), now_ms);
        }
        Self(Arc::new(Mutex::new(table)))
    }

    /// Locks of which nobody knows who holds them: none is granted before the lock time is over, from `now_ms` on.
    #[must_use]
    pub fn unknown(lock_time: Duration, now_ms: u64) -> Self {
        let mut table = LockTable::new(lock_time);
        table.opens_ms = now_ms.saturating_add(table.lock_ms).saturating_add(1);
        Self(Arc::new(Mutex::new(table)))
    }

    /// The table, for its owner.
    pub(super) fn own(&self) -> MutexGuard<'_, LockTable> {
        // Each change is one step, so what a handler that panicked has left is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state machine behind [`QueueLocks`].
#[derive(Debug)]
pub struct LockTable {
    groups: BTreeMap<Arc<str>, BTreeMap<MessageQueue, Lock>>,
    lock_ms: u64,
    /// From when on free locks are granted, by the monotonic clock.
    opens_ms: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Lock {
    owner: Arc<str>,
    /// When it was granted or renewed, in milliseconds of the monotonic clock.
    renewed_ms: u64,
}

/// What became of a client's wish for locks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Locking {
    /// The queues that the client holds now, of those that it asked for.
    pub held: Vec<MessageQueue>,
    /// Whether it got one that it did not have before.
    pub is_news: bool,
    /// How many locks were free and not granted, because all take [`MAX_LOCK_BYTES`] already.
    pub without_room: usize,
}

impl LockTable {
    /// A table without locks.
    #[must_use]
    pub fn new(lock_time: Duration) -> Self {
        Self {
            groups: BTreeMap::new(),
            lock_ms: u64::try_from(lock_time.as_millis()).unwrap_or(u64::MAX),
            opens_ms: 0,
            bytes: 0,
        }
    }

    /// Locks queues for a client at `now_ms` of the monotonic clock: its own locks are renewed, free ones granted, and those
    /// that were not renewed in time taken over.
    pub fn lock(&mut self, asked: LockBatch, now_ms: u64) -> Locking {
        let client: Arc<str> = Arc::from(asked.client_id);
        let mut locking = Locking::default();
        for queue in asked.queues {
            match self.lock_one(&asked.consumer_group, &queue, &client, now_ms) {
                Answer::Renewed => locking.held.push(queue),
                Answer::Granted => {
                    locking.is_news = true;
                    locking.held.push(queue);
                }
                Answer::Refused => {}
                Answer::NoRoom => locking.without_room += 1,
            }
        }
        locking
    }

    /// Releases those of the queues that the client holds; whether there were any.
    pub fn unlock(&mut self, asked: &LockBatch) -> bool {
        let Some(locks) = self.groups.get_mut(asked.consumer_group.as_str()) else {
            return false;
        };
        let before = self.bytes;
        for queue in &asked.queues {
            if locks.get(queue).is_some_and(|lock| *lock.owner == *asked.client_id) {
                locks.remove(queue);
                self.bytes -= bytes(queue, &asked.client_id);
            }
        }
        if locks.is_empty() {
            self.groups.remove(asked.consumer_group.as_str());
        }
        self.bytes < before
    }

    /// All locks, as they are kept.
    #[must_use]
    pub fn to_keep(&self) -> Vec<KeptLock> {
        let mut kept = Vec::new();
        for (group, locks) in &self.groups {
            kept.extend(locks.iter().map(|(queue, lock)| KeptLock {
                group: group.to_string(),
                queue: queue.clone(),
                owner: lock.owner.to_string(),
            }));
        }
        kept
    }

    /// Forgets the locks that anybody could take; whether there were any.
    pub fn expire(&mut self, now_ms: u64) -> bool {
        let before = self.bytes;
        let Self {
            groups,
            lock_ms,
            bytes: all,
            ..
        } = self;
        groups.retain(|_, locks| {
            locks.retain(|queue, lock| {
                let holds = !lock.is_over(now_ms, *lock_ms);
                if !holds {
                    *all -= bytes(queue, &lock.owner);
                }
                holds
            });
            !locks.is_empty()
        });
        self.bytes < before
    }

    fn lock_one(&mut self, group: &str, queue: &MessageQueue, client: &Arc<str>, now_ms: u64) -> Answer {
        let known = self.groups.get_mut(group).and_then(|locks| locks.get_mut(queue));
        let Some(lock) = known else {
            return self.grant(group, queue, client, now_ms);
        };
        if lock.owner != *client && !lock.is_over(now_ms, self.lock_ms) {
            return Answer::Refused;
        }
        let before = std::mem::replace(&mut lock.owner, Arc::clone(client));
        lock.renewed_ms = now_ms;
        self.bytes = self.bytes - before.len() + client.len();
        if before == *client {
            Answer::Renewed
        } else {
            Answer::Granted
        }
    }

    /// Grants a lock that nobody has, if there is room.
    fn grant(&mut self, group: &str, queue: &MessageQueue, client: &Arc<str>, now_ms: u64) -> Answer {
        if now_ms < self.opens_ms {
            return Answer::Refused;
        }
        let needed = bytes(queue, client);
        if self.bytes + needed > MAX_LOCK_BYTES {
            return Answer::NoRoom;
        }
        let lock = Lock {
            owner: Arc::clone(client),
            renewed_ms: now_ms,
        };
        if let Some(locks) = self.groups.get_mut(group) {
            locks.insert(queue.clone(), lock);
        } else {
            let locks = BTreeMap::from([(queue.clone(), lock)]);
            self.groups.insert(Arc::from(group), locks);
        }
        self.bytes += needed;
        Answer::Granted
    }
}

/// What is answered to the wish for one lock.
enum Answer {
    Renewed,
    Granted,
    Refused,
    NoRoom,
}

impl Lock {
    fn is_over(&self, now_ms: u64, lock_ms: u64) -> bool {
        now_ms.saturating_sub(self.renewed_ms) > lock_ms
    }
}

/// About how many bytes a lock takes.
fn bytes(queue: &MessageQueue, owner: &str) -> usize {
    queue.topic.len() + queue.broker_name.len() + owner.len() + OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOCK_MS: u64 = 60_000;

    fn table() -> LockTable {
        LockTable::new(Duration::from_millis(LOCK_MS))
    }

    fn asked(client: &str, queues: impl IntoIterator<Item = i32>) -> LockBatch {
        let queue = |queue_id| MessageQueue {
            topic: "T".to_owned(),
            broker_name: "b".to_owned(),
            queue_id,
        };
        LockBatch {
            client_id: client.to_owned(),
            consumer_group: "g".to_owned(),
            queues: queues.into_iter().map(queue).collect(),
        }
    }

    fn locked(table: &mut LockTable, client: &str, queues: &[i32], now_ms: u64) -> Vec<i32> {
        let locking = table.lock(asked(client, queues.iter().copied()), now_ms);
        locking.held.iter().map(|queue| queue.queue_id).collect()
    }

    #[test]
    fn a_batch_gets_those_that_are_free_or_its_own() {
        let mut table = table();
        assert_eq!(locked(&mut table, "one", &[0, 1], 0), [0, 1]);
        assert_eq!(locked(&mut table, "two", &[1, 2], 1), [2]);
        assert_eq!(locked(&mut table, "one", &[0, 1, 2], 2), [0, 1]);
        let mut of_other_group = asked("two", [0]);
        of_other_group.consumer_group = "h".to_owned();
        assert_eq!(
            table.lock(of_other_group, 3).held.len(),
            1,
            "each group has its own locks"
        );
    }

    #[test]
    fn a_lock_that_is_not_renewed_for_its_time_is_taken_over_and_not_a_moment_sooner() {
        let mut table = table();
        locked(&mut table, "one", &[0, 1], 0);
        locked(&mut table, "one", &[1], 1000);
        assert_eq!(locked(&mut table, "two", &[0, 1], LOCK_MS), [0; 0]);
        assert_eq!(locked(&mut table, "two", &[0, 1], LOCK_MS + 1), [0]);
        assert_eq!(
            locked(&mut table, "one", &[0, 1], LOCK_MS + 2),
            [1],
            "it is the other's now"
        );
    }

    #[test]
    fn only_the_holder_unlocks() {
        let mut table = table();
        locked(&mut table, "one", &[0, 1], 0);
        table.unlock(&asked("two", [0, 1]));
        assert_eq!(locked(&mut table, "two", &[0, 1], 1), [0; 0]);
        table.unlock(&asked("one", [1, 7]));
        assert_eq!(locked(&mut table, "two", &[0, 1], 2), [1]);
    }

    #[test]
    fn what_is_over_or_unlocked_leaves_nothing_behind() {
        let mut table = table();
        locked(&mut table, "one", &[0, 1, 2], 0);
        locked(&mut table, "a longer name", &[3], 0);
        locked(&mut table, "three", &[3, 4], LOCK_MS + 1);
        table.unlock(&asked("three", [4]));
        table.expire(LOCK_MS + 1);
        assert_eq!(locked(&mut table, "four", &[3], LOCK_MS + 2), [0; 0], "this one stays");
        table.expire(2 * LOCK_MS + 2);
        assert!(table.groups.is_empty(), "{table:?}");
        assert_eq!(table.bytes, 0);
    }

    #[test]
    fn locks_have_a_bound_and_those_that_are_held_stay() {
        let mut table = table();
        let mut many = asked("one", [0]);
        many.queues[0].topic = "t".repeat(MAX_LOCK_BYTES / 2);
        assert_eq!(table.lock(many.clone(), 0).held.len(), 1);
        many.queues[0].queue_id = 1;
        let refused = table.lock(many.clone(), 1);
        assert_eq!((refused.held.len(), refused.without_room), (0, 1));
        many.queues[0].queue_id = 0;
        assert_eq!(table.lock(many, 2).held.len(), 1, "a renewal needs no room");
    }

    #[test]
    fn what_was_kept_is_held_by_the_same_clients_from_the_restart_on() {
        let mut before = table();
        locked(&mut before, "one", &[0, 1], 0);
        locked(&mut before, "two", &[2], 7);
        let kept = before.to_keep();
        assert_eq!(kept.len(), 3);
        let restored = QueueLocks::restored(Duration::from_millis(LOCK_MS), kept.clone(), 500);
        let mut after = restored.own();
        assert_eq!((after.to_keep(), after.bytes), (kept, before.bytes));
        assert_eq!(locked(&mut after, "two", &[0, 1, 2, 3], 501), [2, 3]);
        assert_eq!(locked(&mut after, "one", &[0], 502), [0]);
        assert_eq!(locked(&mut after, "two", &[0, 1], 500 + LOCK_MS + 1), [1]);
    }

    #[test]
    fn where_nobody_knows_who_held_what_nothing_is_granted_before_all_of_it_is_over() {
        let unknown = QueueLocks::unknown(Duration::from_millis(LOCK_MS), 500);
        let mut table = unknown.own();
        assert_eq!(locked(&mut table, "one", &[0], 500 + LOCK_MS), [0; 0]);
        assert_eq!(locked(&mut table, "one", &[0], 501 + LOCK_MS), [0]);
    }

    #[test]
    fn only_what_changes_hands_is_news() {
        let mut table = table();
        let is_news = |table: &mut LockTable, client, now_ms| table.lock(asked(client, [0]), now_ms).is_news;
        assert!(is_news(&mut table, "one", 0));
        assert!(!is_news(&mut table, "one", 1));
        assert!(!is_news(&mut table, "two", 2));
        assert!(is_news(&mut table, "two", LOCK_MS + 2));
        assert!(!table.unlock(&asked("one", [0])) && table.unlock(&asked("two", [0])));
        assert!(!table.expire(u64::MAX));
    }

    proptest! {
        /// Held against the rule itself: who was granted a queue has it until the time is over or it lets go.
        #[test]
        fn no_two_clients_ever_hold_one_queue(
            steps in prop::collection::vec((0..3_usize, 0..2_i32, 0..3_u8, 0..LOCK_MS), 1..200),
        ) {
            let (mut table, clients, mut now_ms) = (table(), ["one", "two", "three"], 0);
            // By queue: who holds it, and until when.
            let mut holders: [Option<(usize, u64)>; 2] = [None, None];
            for (client, queue, what, later_ms) in steps {
                now_ms += later_ms / 3;
                let holder = &mut holders[queue as usize];
                match what {
                    0 => {
                        let _ = table.unlock(&asked(clients[client], [queue]));
                        *holder = holder.filter(|(of, _)| *of != client);
                    }
                    1 => drop(table.expire(now_ms)),
                    _ => {
                        let is_free = holder.is_none_or(|(of, until)| of == client || now_ms > until);
                        let held = locked(&mut table, clients[client], &[queue], now_ms);
                        prop_assert_eq!(!held.is_empty(), is_free);
                        if is_free {
                            *holder = Some((client, now_ms + LOCK_MS));
                        }
                    }
                }
            }
        }
    }
}
