//! The messages of one queue that a consumer has in hand (`ProcessQueue` in Java): from the pull that brought them until
//! the listener is done with them. Plain data; whoever holds it locks it.
//!
//! | step | concurrent | orderly |
//! |---|---|---|
//! | a pull brought messages | `put` | `put` |
//! | the listener begins | `start` | `take`: from `cached` to `consuming` |
//! | it is done | `remove` | `commit` |
//! | it wants them again | they were sent back: `remove` | `put_back` |
//!
//! The offset to commit is that behind everything that is done: no message before it is still in hand.

use std::collections::BTreeMap;

use cuemq_net::body::ProcessQueueInfo;

use crate::received::ReceivedMessage;

/// How many messages one look for stuck ones finds at most.
const EXPIRED_MAX: usize = 16;

/// A message in hand.
struct Cached {
    message: ReceivedMessage,
    /// When a listener got it, in milliseconds since 1970.
    started_ms: Option<i64>,
}

/// One queue's messages in hand, and what else its consumer remembers of the queue. Times are in milliseconds since 1970.
pub(crate) struct ProcessQueue {
    cached: BTreeMap<i64, Cached>,
    consuming: BTreeMap<i64, ReceivedMessage>,
    cached_bytes: usize,
    /// The highest position that ever was in hand.
    highest: i64,
    pub(crate) last_pull_ms: i64,
    pub(crate) last_consume_ms: i64,
    pub(crate) last_lock_ms: i64,
    pub(crate) locked: bool,
    pub(crate) dropped: bool,
}

impl ProcessQueue {
    pub(crate) fn new(now_ms: i64) -> Self {
        Self {
            cached: BTreeMap::new(),
            consuming: BTreeMap::new(),
            cached_bytes: 0,
            highest: 0,
            last_pull_ms: now_ms,
            last_consume_ms: now_ms,
            last_lock_ms: now_ms,
            locked: false,
            dropped: false,
        }
    }

    /// Takes what a pull brought; what is in hand already stays as it is.
    pub(crate) fn put(&mut self, messages: impl IntoIterator<Item = ReceivedMessage>) {
        for message in messages {
            let queue_offset = message.queue_offset();
            let bytes = message.body_bytes();
            if self.consuming.contains_key(&queue_offset) || self.cached.contains_key(&queue_offset) {
                continue;
            }
            let cached = Cached {
                message,
                started_ms: None,
            };
            self.cached.insert(queue_offset, cached);
            self.cached_bytes += bytes;
            self.highest = self.highest.max(queue_offset);
        }
    }

    /// Notes that a listener gets these messages.
    pub(crate) fn start(&mut self, messages: &[ReceivedMessage], now_ms: i64) {
        for message in messages {
            if let Some(cached) = self.cached.get_mut(&message.queue_offset()) {
                cached.started_ms = Some(now_ms);
            }
        }
    }

    /// Whether the message is still in hand, and was not given up meanwhile.
    pub(crate) fn holds(&self, queue_offset: i64) -> bool {
        self.cached.contains_key(&queue_offset)
    }

    /// Lets go of messages that are done or were sent back, and says how far the group has come; `None` where nothing was
    /// in hand.
    pub(crate) fn remove(&mut self, messages: &[ReceivedMessage], now_ms: i64) -> Option<i64> {
        self.last_consume_ms = now_ms;
        if self.cached.is_empty() {
            return None;
        }
        for message in messages {
            if let Some(gone) = self.cached.remove(&message.queue_offset()) {
                self.cached_bytes -= gone.message.body_bytes();
            }
        }
        let lowest = self.cached.first_key_value().map(|(queue_offset, _)| *queue_offset);
        Some(lowest.unwrap_or(self.highest + 1))
    }

    /// The oldest messages that a listener has had for longer than `limit_ms`, up to the first that it has not.
    pub(crate) fn expired(&self, limit_ms: i64, now_ms: i64) -> Vec<ReceivedMessage> {
        let is_expired = |cached: &&Cached| cached.started_ms.is_some_and(|started| now_ms - started > limit_ms);
        let oldest = self.cached.values().take(EXPIRED_MAX).take_while(is_expired);
        oldest.map(|cached| cached.message.clone()).collect()
    }

    /// Takes the next messages in order for a listener.
    pub(crate) fn take(&mut self, limit: usize, now_ms: i64) -> Vec<ReceivedMessage> {
        self.last_consume_ms = now_ms;
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some((queue_offset, cached)) = self.cached.pop_first() else {
                break;
            };
            self.consuming.insert(queue_offset, cached.message.clone());
            taken.push(cached.message);
        }
        taken
    }

    /// Lets go of all messages that were taken, and says how far the group has come; `None` where none was taken.
    pub(crate) fn commit(&mut self) -> Option<i64> {
        let behind_last = self
            .consuming
            .last_key_value()
            .map(|(queue_offset, _)| queue_offset + 1)?;
        let taken = std::mem::take(&mut self.consuming);
        self.cached_bytes -= taken.values().map(ReceivedMessage::body_bytes).sum::<usize>();
        Some(behind_last)
    }

    /// Puts messages that were taken back in their places; they count as consumed once more.
    pub(crate) fn put_back(&mut self, messages: Vec<ReceivedMessage>) {
        for message in messages {
            let queue_offset = message.queue_offset();
            if self.consuming.remove(&queue_offset).is_some() {
                let cached = Cached {
                    message,
                    started_ms: None,
                };
                self.cached.insert(queue_offset, cached);
            }
        }
    }

    /// Puts all messages back that were taken since the last commit.
    pub(crate) fn roll_back(&mut self) {
        let taken = std::mem::take(&mut self.consuming);
        self.cached.extend(taken.into_iter().map(|(queue_offset, message)| {
            let cached = Cached {
                message,
                started_ms: None,
            };
            (queue_offset, cached)
        }));
    }

    /// Whether messages wait that no orderly listener has taken.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.cached.is_empty()
    }

    /// Lets go of everything.
    pub(crate) fn clear(&mut self) {
        self.cached.clear();
        self.consuming.clear();
        self.cached_bytes = 0;
        self.highest = 0;
    }

    /// Whether messages are in hand.
    pub(crate) fn has_messages(&self) -> bool {
        self.cached_messages() > 0
    }

    /// How many messages are in hand.
    pub(crate) fn cached_messages(&self) -> usize {
        self.cached.len() + self.consuming.len()
    }

    /// The bytes of their bodies.
    pub(crate) fn cached_bytes(&self) -> usize {
        self.cached_bytes
    }

    /// How far apart the first and the last message lie that no orderly listener has taken.
    pub(crate) fn span(&self) -> i64 {
        match (self.cached.first_key_value(), self.cached.last_key_value()) {
            (Some((first, _)), Some((last, _))) => last - first,
            _ => 0,
        }
    }

    /// Whether the broker may have given the lock to somebody else since it was renewed.
    pub(crate) fn is_lock_expired(&self, live_ms: i64, now_ms: i64) -> bool {
        now_ms - self.last_lock_ms > live_ms
    }

    /// Whether nothing was pulled for so long that something must be wrong.
    pub(crate) fn is_pull_expired(&self, idle_ms: i64, now_ms: i64) -> bool {
        now_ms - self.last_pull_ms > idle_ms
    }

    /// What the queue looks like to an operator.
    pub(crate) fn info(&self, commit_offset: i64) -> ProcessQueueInfo {
        let ends = |first: Option<&i64>, last: Option<&i64>| (first.copied().unwrap_or(0), last.copied().unwrap_or(0));
        let (cached_min, cached_max) = ends(self.cached.keys().next(), self.cached.keys().next_back());
        let (taken_min, taken_max) = ends(self.consuming.keys().next(), self.consuming.keys().next_back());
        ProcessQueueInfo {
            cached_msg_count: self.cached.len(),
            cached_msg_min_offset: cached_min,
            cached_msg_max_offset: cached_max,
            cached_msg_size_in_mib: self.cached_bytes >> 20,
            commit_offset,
            dropped: self.dropped,
            last_consume_timestamp: self.last_consume_ms,
            last_lock_timestamp: self.last_lock_ms,
            last_pull_timestamp: self.last_pull_ms,
            locked: self.locked,
            transaction_msg_count: self.consuming.len(),
            transaction_msg_min_offset: taken_min,
            transaction_msg_max_offset: taken_max,
            try_unlock_times: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::received::tests::message;

    fn filled(offsets: impl IntoIterator<Item = u64>) -> ProcessQueue {
        let mut queue = ProcessQueue::new(0);
        queue.put(offsets.into_iter().map(|at| message(at, b"body")));
        queue
    }

    fn offsets(messages: &[ReceivedMessage]) -> Vec<i64> {
        messages.iter().map(ReceivedMessage::queue_offset).collect()
    }

    #[test]
    fn nothing_before_the_committed_offset_is_still_in_hand() {
        let mut queue = filled([4, 5, 7]);
        assert_eq!(queue.remove(&[message(5, b"")], 1), Some(4));
        assert_eq!(queue.remove(&[message(4, b"")], 2), Some(7));
        assert_eq!(queue.remove(&[message(7, b"")], 3), Some(8));
        assert_eq!((queue.cached_messages(), queue.cached_bytes()), (0, 0));
        assert_eq!(queue.remove(&[message(7, b"")], 4), None);
        assert_eq!(queue.last_consume_ms, 4);
    }

    #[test]
    fn a_message_that_comes_twice_is_in_hand_once() {
        let mut queue = filled([1, 1, 2]);
        queue.put([message(2, b"other")]);
        assert_eq!((queue.cached_messages(), queue.cached_bytes()), (2, 8));
    }

    #[test]
    fn the_span_is_from_the_first_to_the_last_in_hand() {
        assert_eq!(filled([]).span(), 0);
        assert_eq!(filled([3]).span(), 0);
        assert_eq!(filled([3, 10, 2003]).span(), 2000);
    }

    #[test]
    fn stuck_messages_are_those_at_the_front_alone() {
        let mut queue = filled(0..20);
        let messages: Vec<_> = (0..20).map(|at| message(at, b"")).collect();
        queue.start(&messages, 100);
        assert!(queue.expired(900, 1000).is_empty());
        assert_eq!(queue.expired(900, 1001).len(), EXPIRED_MAX);
        queue.start(&messages[2..3], 500);
        assert_eq!(offsets(&queue.expired(900, 1001)), [0, 1]);
        // a listener that has not begun with it is not stuck
        assert!(filled([0]).expired(0, 1000).is_empty());
    }

    #[test]
    fn what_is_taken_in_order_is_committed_together() {
        let mut queue = filled([4, 5, 6]);
        assert_eq!(offsets(&queue.take(2, 9)), [4, 5]);
        assert_eq!((queue.cached_messages(), queue.span()), (3, 0));
        assert_eq!(queue.commit(), Some(6));
        assert_eq!((queue.cached_messages(), queue.cached_bytes()), (1, 4));
        assert_eq!(queue.commit(), None);
        assert_eq!(offsets(&queue.take(2, 9)), [6]);
        assert!(queue.take(2, 9).is_empty());
    }

    #[test]
    fn what_is_put_back_comes_again_before_the_rest() {
        let mut queue = filled([4, 5, 6]);
        let taken = queue.take(2, 0);
        queue.put_back(taken);
        assert_eq!(queue.cached_bytes(), 12);
        assert_eq!(offsets(&queue.take(9, 0)), [4, 5, 6]);
        // what is not in hand any more is not put back
        queue.clear();
        queue.put_back(vec![message(4, b"")]);
        assert!(!queue.has_messages());
    }

    #[test]
    fn a_rollback_brings_back_all_since_the_last_commit() {
        let mut queue = filled([4, 5, 6]);
        let _ = queue.take(1, 0);
        let _ = queue.commit();
        let _ = (queue.take(1, 0), queue.take(1, 0));
        assert!(!queue.has_waiting());
        queue.roll_back();
        assert_eq!(offsets(&queue.take(9, 0)), [5, 6]);
        assert_eq!(queue.cached_bytes(), 8);
    }

    #[test]
    fn a_pull_does_not_bring_what_a_listener_has() {
        let mut queue = filled([4, 5]);
        let _ = queue.take(1, 0);
        queue.put([message(4, b"body"), message(5, b"body"), message(6, b"body")]);
        assert_eq!((queue.cached_messages(), queue.cached_bytes()), (3, 12));
        assert_eq!(offsets(&queue.take(9, 0)), [5, 6]);
    }

    #[test]
    fn locks_and_pulls_grow_old() {
        let queue = ProcessQueue::new(1000);
        assert!(!queue.is_lock_expired(30_000, 31_000) && queue.is_lock_expired(30_000, 31_001));
        assert!(!queue.is_pull_expired(120_000, 121_000) && queue.is_pull_expired(120_000, 121_001));
    }

    #[test]
    fn an_operator_sees_what_is_cached_and_what_is_being_consumed_in_order() {
        let mut queue = filled([4, 5, 9]);
        let _ = queue.take(1, 77);
        let info = queue.info(4);
        assert_eq!((info.cached_msg_min_offset, info.cached_msg_max_offset), (5, 9));
        assert_eq!((info.transaction_msg_count, info.transaction_msg_min_offset), (1, 4));
        assert_eq!((info.commit_offset, info.last_consume_timestamp), (4, 77));
    }
}
