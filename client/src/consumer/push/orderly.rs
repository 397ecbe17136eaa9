//! Calls of an orderly listener: one task for each queue, which has one batch with the listener at a time
//! (`ConsumeMessageOrderlyService` in Java).
//!
//! A sharing consumer works on a queue only while it holds the broker's lock. Messages that the listener wants again are put
//! back, and the queue waits; those that came as often as they may go to the dead letters, so that the queue goes on.

use std::sync::Arc;
use std::time::Duration;

use super::locks::LOCK_MAX_LIVE;
use super::state::{AnyListener, Push};
use crate::clock;
use crate::consumer::hook::ConsumeReturnType;
use crate::consumer::listener::{ConsumedInOrder, Said};
use crate::consumer::owned::OwnedQueue;
use crate::consumer::pull::millis;
use crate::received::ReceivedMessage;

/// The shortest and the longest time that a queue waits for a listener.
const SUSPEND: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30));

/// How soon a missing lock is looked for again, if nobody says that it is there.
const LOCK_WAIT: Duration = Duration::from_secs(3);

impl Push {
    /// Works on the queue until it is dropped or the consumer stops; a call that runs is awaited.
    pub(crate) async fn consume_in_order(self: Arc<Self>, owned: Arc<OwnedQueue>) {
        let mut stopping = self.stopping.subscribe();
        loop {
            let batch = async {
                self.may_work(&owned).await;
                self.concurrency.enter().await
            };
            let place = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => return,
                place = owned.unless_dropped(batch) => place,
            };
            let Some(place) = place else { return };
            let wait = {
                let _turn = owned.turn.write().await;
                self.one_batch(&owned).await
            };
            drop(place);
            if let Some(wait) = wait {
                let _ = owned.unless_dropped(tokio::time::sleep(wait)).await;
            }
        }
    }

    /// Waits until there are messages, and the lock.
    async fn may_work(&self, owned: &OwnedQueue) {
        loop {
            let (has_messages, has_lock) = {
                let held = owned.held();
                let is_fresh = !held.is_lock_expired(millis(LOCK_MAX_LIVE), self.client.now_ms());
                (held.has_waiting(), held.locked && is_fresh)
            };
            if has_messages && (has_lock || !self.locks_queues()) {
                return;
            }
            if has_messages {
                let _ = tokio::time::timeout(LOCK_WAIT, owned.arrived.notified()).await;
            } else {
                owned.arrived.notified().await;
            }
        }
    }

    /// Has the listener consume a batch, and says how long the queue is to wait then.
    async fn one_batch(&self, owned: &OwnedQueue) -> Option<Duration> {
        let AnyListener::Orderly(listener) = &self.listener else {
            return None;
        };
        let messages = {
            let mut held = owned.held();
            if held.dropped {
                return None;
            }
            held.take(self.options.consume_message_batch_max_size, self.client.now_ms())
        };
        if messages.is_empty() {
            return None;
        }
        self.before(owned, &messages);
        let begun = clock::now();
        let said = listener.call(messages.clone()).await;
        let took = clock::now().saturating_duration_since(begun);
        let said = match said {
            Said::Status(status) => Some(status),
            Said::Panicked => None,
            Said::NotGiven => return None,
        };
        let is_done = matches!(said, Some(ConsumedInOrder::Success | ConsumedInOrder::Commit));
        let ended = match said {
            None => ConsumeReturnType::Exception,
            Some(_) if took >= self.options.consume_timeout => ConsumeReturnType::TimeOut,
            Some(_) if is_done => ConsumeReturnType::Success,
            Some(_) => ConsumeReturnType::Failed,
        };
        let done = if is_done { messages.len() } else { 0 };
        self.after(owned, &messages, ended, took, done);
        self.settle_in_order(owned, messages, said).await
    }

    async fn settle_in_order(
        &self,
        owned: &OwnedQueue,
        messages: Vec<ReceivedMessage>,
        said: Option<ConsumedInOrder>,
    ) -> Option<Duration> {
        let standard = self.options.suspend_current_queue_time;
        let auto_commit = self.options.auto_commit;
        match said {
            Some(ConsumedInOrder::Success) if !auto_commit => None,
            Some(ConsumedInOrder::Success | ConsumedInOrder::Commit) => self.commit(owned),
            Some(ConsumedInOrder::Rollback) if !auto_commit => {
                owned.held().roll_back();
                Some(standard)
            }
            Some(ConsumedInOrder::Rollback) | None => self.put_back(owned, messages, standard).await,
            Some(ConsumedInOrder::Suspend(wait)) => self.put_back(owned, messages, wait.unwrap_or(standard)).await,
        }
    }

    fn commit(&self, owned: &OwnedQueue) -> Option<Duration> {
        let mut held = owned.held();
        // within the lock: once the queue is dropped, nothing is noted any more
        if let Some(come_to) = held.commit().filter(|_| !held.dropped) {
            self.offsets.advance(&owned.queue, come_to);
        }
        drop(held);
        owned.room.notify_one();
        None
    }

    /// Puts messages back that may come again, unless all of them became dead letters.
    async fn put_back(&self, owned: &OwnedQueue, messages: Vec<ReceivedMessage>, wait: Duration) -> Option<Duration> {
        let max_times = self.options.max_reconsume_times.unwrap_or(i32::MAX);
        let mut comes_again = false;
        let mut counted = Vec::new();
        for message in messages {
            let times = message.reconsume_times();
            let is_dead = times >= max_times && self.bury(&message, times, max_times).await;
            comes_again |= !is_dead;
            counted.push(message.with_reconsume_times(times.saturating_add(1)));
        }
        if !comes_again {
            return self.commit(owned);
        }
        owned.held().put_back(counted);
        owned.arrived.notify_one();
        Some(wait.clamp(SUSPEND.0, SUSPEND.1))
    }

    /// Sends a message where the broker makes a dead letter of it; whether that worked.
    async fn bury(&self, message: &ReceivedMessage, times: i32, max_times: i32) -> bool {
        let sent = self.returning(max_times).send_to_retry_topic(message, times).await;
        if let Err(error) = &sent {
            tracing::warn!(group = self.group(), ?message, %error, "no broker takes a dead letter; the queue waits");
        }
        sent.is_ok()
    }
}
