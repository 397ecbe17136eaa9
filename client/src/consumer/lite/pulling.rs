//! Pulls ahead from one queue as long as the consumer has it, and gives polls what is there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::state::{Assigned, Lite};
use crate::consumer::owned::OwnedQueue;
use crate::consumer::pull::{self, PullRequest, PullResult, PullStatus};
use crate::error::Error;
use crate::received::ReceivedMessage;

/// How long a broker may wait for a message, and a pull may take in all.
const SUSPEND: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(30));

/// How long a wait lasts at most before the reason for it is looked at again.
const WAIT: Duration = Duration::from_secs(1);

impl Lite {
    /// Pulls until the queue is dropped.
    pub(super) async fn pull_from(self: Arc<Self>, assigned: Arc<Assigned>, begin: i64) {
        let owned = Arc::clone(&assigned.owned);
        let mut next = begin;
        loop {
            let pull = async {
                self.ready_for(&assigned).await;
                self.pull_once(&owned, next).await
            };
            let Some(pulled) = owned.unless_dropped(pull).await else {
                return;
            };
            match pulled {
                Ok(result) => {
                    next = result.next_begin_offset;
                    self.take_in(&assigned, result);
                }
                Err(error) => {
                    tracing::warn!(queue = ?owned.queue, group = self.balance.group, %error, "a pull failed");
                    let wait = tokio::time::sleep(self.options.pull_time_delay_when_exception);
                    let _ = owned.unless_dropped(wait).await;
                }
            }
        }
    }

    async fn ready_for(&self, assigned: &Assigned) {
        let mut paused = assigned.paused.subscribe();
        loop {
            let in_hand: usize = self
                .assigned()
                .iter()
                .map(|other| other.owned.held().cached_messages())
                .sum();
            if *paused.borrow_and_update() {
                let _ = tokio::time::timeout(WAIT, paused.changed()).await;
            } else if in_hand > self.options.pull_threshold_for_all || assigned.owned.exceeded().is_some() {
                let _ = tokio::time::timeout(WAIT, assigned.owned.room.notified()).await;
            } else {
                return;
            }
        }
    }

    async fn pull_once(&self, owned: &OwnedQueue, queue_offset: i64) -> Result<PullResult, Error> {
        let Some(subscription) = self.subscription(&owned.queue.topic) else {
            // unsubscribed: the queue is given up
            return std::future::pending().await;
        };
        let request = PullRequest {
            group: &self.balance.group,
            namespace: &self.balance.namespace,
            queue: &owned.queue,
            queue_offset,
            max_messages: self.options.pull_batch_size,
            subscription: &subscription,
            with_expression: true,
            commit_offset: None,
            suspend: Some(SUSPEND.0),
            timeout: SUSPEND.1,
            broker_id: owned.next_broker(),
        };
        let (result, next_broker) = pull::pull(&self.balance.client, request).await?;
        owned.go_on_at(next_broker);
        Ok(result)
    }

    fn take_in(&self, assigned: &Arc<Assigned>, result: PullResult) {
        if result.status == PullStatus::OffsetIllegal {
            let next = result.next_begin_offset;
            tracing::warn!(queue = ?assigned.owned.queue, next, "the position does not exist any more");
        }
        let mut held = assigned.owned.held();
        if result.messages.is_empty() {
            // what the subscription does not choose counts as given
            if !held.has_messages() {
                assigned.given.store(result.next_begin_offset, Ordering::Release);
            }
            return;
        }
        held.put(result.messages.iter().cloned());
        drop(held);
        // nobody receives only while the consumer ends
        let _ = self.ready.send((Arc::clone(assigned), result.messages));
    }

    /// Waits for messages, and gives them.
    pub(super) async fn take(&self) -> Vec<ReceivedMessage> {
        let mut polled = self.polled.lock().await;
        loop {
            let Some((assigned, messages)) = polled.recv().await else {
                return Vec::new();
            };
            let mut held = assigned.owned.held();
            // the queue went to somebody else, or to another position
            if held.dropped {
                continue;
            }
            if let Some(behind) = held.remove(&messages, self.balance.client.now_ms()) {
                assigned.given.store(behind, Ordering::Release);
            }
            drop(held);
            assigned.owned.room.notify_one();
            return messages;
        }
    }
}
