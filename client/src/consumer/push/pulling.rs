//! Pulls from one queue as long as the consumer owns it (`DefaultMQPushConsumerImpl.pullMessage`): one task for each
//! queue, with one pull at a time.
//!
//! | before the next pull | wait |
//! |---|---|
//! | a limit of messages in hand is exceeded | until a listener is done with some |
//! | the consumer is suspended | until it is resumed |
//! | an orderly queue is not locked | until it is |
//! | the last pull failed | 3 s |
//! | the broker has not heard of the subscription | until it was told, and 50 ms; 3 s if it refuses once more |

use std::sync::Arc;
use std::time::Duration;

use cuemq_net::code::ResponseCode;

use super::state::{Batch, Push};
use crate::clock;
use crate::consumer::owned::OwnedQueue;
use crate::consumer::pull::{self, PullRequest, PullResult, PullStatus};
use crate::error::Error;

/// How long a broker may wait for a message.
const BROKER_SUSPEND_MAX_TIME: Duration = Duration::from_secs(15);

/// How long a pull may take in all.
const CONSUMER_TIMEOUT_WHEN_SUSPEND: Duration = Duration::from_secs(30);

/// How long listeners have at most to end after the broker said that a position does not exist.
const OFFSET_ILLEGAL_DELAY: Duration = Duration::from_secs(10);

/// How long a wait lasts at most before the reason for it is looked at again.
const WAIT: Duration = Duration::from_secs(3);

/// How soon a queue is pulled from again once the brokers were told of its subscription.
const ANNOUNCED_WAIT: Duration = Duration::from_millis(50);

/// Whether a broker refuses a pull because it does not know the subscription.
fn is_unheard(error: &Error) -> bool {
    let codes = [
        ResponseCode::SUBSCRIPTION_NOT_EXIST,
        ResponseCode::SUBSCRIPTION_NOT_LATEST,
    ];
    error.code().is_some_and(|code| codes.contains(&code))
}

impl Push {
    /// Pulls until the queue is dropped.
    pub(crate) async fn pull_from(self: Arc<Self>, owned: Arc<OwnedQueue>, begin: i64) {
        let mut next = begin;
        let mut was_locked = false;
        let mut was_announced = false;
        loop {
            if owned.unless_dropped(self.ready(&owned)).await.is_none() {
                return;
            }
            if self.locks_queues() && !was_locked {
                // somebody else may have come further since the queue was taken over
                match self.start_offset(&owned.queue).await {
                    Ok(start) => (next, was_locked) = (start, true),
                    Err(error) => {
                        self.failed(&owned, &error).await;
                        continue;
                    }
                }
            }
            let begun = clock::now();
            let Some(pulled) = owned.unless_dropped(self.pull_once(&owned, next)).await else {
                return;
            };
            match pulled {
                Ok(result) => {
                    let took = clock::now().saturating_duration_since(begun);
                    was_announced = false;
                    next = result.next_begin_offset;
                    if result.status == PullStatus::OffsetIllegal {
                        return self.start_anew(&owned, next).await;
                    }
                    self.take_in(&owned, result, took);
                }
                Err(error) if !was_announced && is_unheard(&error) => {
                    was_announced = true;
                    let announce = self.announce(&owned, &error);
                    let _ = owned.unless_dropped(announce).await;
                }
                Err(error) => self.failed(&owned, &error).await,
            }
        }
    }

    /// Tells the brokers what is subscribed to, since one of them has not heard of it, or of its newest version: it was started
    /// anew, or the pull was quicker than the heartbeat. Java waits for its next heartbeat.
    async fn announce(&self, owned: &OwnedQueue, error: &Error) {
        tracing::debug!(queue = ?owned.queue, %error, "a broker has not heard of a subscription");
        self.client.heartbeat().await;
        tokio::time::sleep(ANNOUNCED_WAIT).await;
    }

    /// Waits until the queue may be pulled from.
    async fn ready(&self, owned: &OwnedQueue) {
        let mut paused = self.paused.subscribe();
        loop {
            owned.held().last_pull_ms = self.client.now_ms();
            if *paused.borrow_and_update() {
                let _ = tokio::time::timeout(WAIT, paused.changed()).await;
            } else if self.locks_queues() && !owned.held().locked {
                let _ = tokio::time::timeout(WAIT, owned.room.notified()).await;
            } else if let Some(exceeded) = owned.exceeded() {
                tracing::debug!(queue = ?owned.queue, %exceeded, "enough messages are in hand; pulling waits");
                let _ = tokio::time::timeout(WAIT, owned.room.notified()).await;
            } else {
                return;
            }
        }
    }

    async fn failed(&self, owned: &OwnedQueue, error: &Error) {
        tracing::warn!(queue = ?owned.queue, group = self.group(), %error, "a pull failed");
        let wait = tokio::time::sleep(self.options.pull_time_delay_when_exception);
        let _ = owned.unless_dropped(wait).await;
    }

    async fn pull_once(&self, owned: &OwnedQueue, queue_offset: i64) -> Result<PullResult, Error> {
        if !self.options.pull_interval.is_zero() {
            tokio::time::sleep(self.options.pull_interval).await;
        }
        let Some(subscription) = self.subscription(&owned.queue.topic) else {
            // unsubscribed: the next rebalance drops the queue
            return std::future::pending().await;
        };
        let in_memory = self.offsets.in_memory(&owned.queue);
        let request = PullRequest {
            group: self.group(),
            namespace: &self.namespace,
            queue: &owned.queue,
            queue_offset,
            max_messages: self.options.pull_batch_size,
            subscription: &subscription,
            with_expression: self.options.post_subscription_when_pull,
            commit_offset: in_memory.filter(|offset| *offset > 0 && !self.options.is_broadcast()),
            suspend: Some(BROKER_SUSPEND_MAX_TIME),
            timeout: CONSUMER_TIMEOUT_WHEN_SUSPEND,
            broker_id: owned.next_broker(),
        };
        let (result, next_broker) = pull::pull(&self.client, request).await?;
        owned.go_on_at(next_broker);
        Ok(result)
    }

    /// Takes in what a pull brought, and gives it to the listener.
    fn take_in(&self, owned: &Arc<OwnedQueue>, result: PullResult, took: Duration) {
        let now_ms = self.client.now_ms();
        let mut held = owned.held();
        if result.messages.is_empty() {
            if !held.has_messages() && !held.dropped {
                self.offsets.advance(&owned.queue, result.next_begin_offset);
            }
            return;
        }
        held.put(result.messages.iter().cloned());
        drop(held);
        let topic = &owned.queue.topic;
        self.statistics()
            .pulled(topic, result.messages.len(), pull::millis(took), now_ms);
        if self.is_orderly() {
            owned.arrived.notify_one();
            return;
        }
        for messages in result.messages.chunks(self.options.consume_message_batch_max_size) {
            let batch = Batch {
                owned: Arc::clone(owned),
                messages: messages.to_vec(),
            };
            // nobody receives only while the consumer ends
            let _ = self.batches.send(batch);
        }
    }

    /// Gives the queue up, and takes it again where the broker says that it goes on.
    async fn start_anew(self: &Arc<Self>, owned: &Arc<OwnedQueue>, next: i64) {
        tracing::warn!(queue = ?owned.queue, group = self.group(), next, "the position does not exist any more");
        owned.drop_it();
        let _turn = tokio::time::timeout(OFFSET_ILLEGAL_DELAY, owned.turn.write()).await;
        let _rebalancing = self.rebalancing.lock().await;
        self.offsets.set(&owned.queue, next);
        if let Err(error) = self.offsets.hand_over(&self.client, &owned.queue).await {
            tracing::warn!(queue = ?owned.queue, %error, "where a queue goes on is not saved");
        }
        self.disown(&owned.queue);
        self.rebalance_now.notify_one();
    }
}
