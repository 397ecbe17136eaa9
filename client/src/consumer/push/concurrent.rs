//! Calls of a concurrent listener, and what becomes of their messages (`ConsumeMessageConcurrentlyService` in Java).
//!
//! | the listener | sharing consumer | broadcasting consumer |
//! |---|---|---|
//! | is done with a message | it counts as consumed | the same |
//! | wants it again | it is sent back to its broker; then it counts as consumed | it is logged, and counts as consumed |
//! | wants it again, and no broker takes it | it stays in hand, and comes again after 5 s | |

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::state::{AnyListener, Batch, Push};
use crate::clock;
use crate::consumer::hook::{ConsumeReturnType, Consuming};
use crate::consumer::listener::{Consumed, Said};
use crate::consumer::owned::OwnedQueue;
use crate::consumer::pull::millis;
use crate::received::ReceivedMessage;

/// How soon messages come again that no broker took back.
const LOCAL_RETRY: Duration = Duration::from_secs(5);

/// The delay level of a message that was with a listener for too long.
const STUCK_DELAY_LEVEL: i32 = 3;

impl Push {
    /// Hands batches to the listener, as many at a time as there are places.
    pub(crate) async fn hand_out(self: Arc<Self>, mut waiting: mpsc::UnboundedReceiver<Batch>) {
        while let Some(batch) = waiting.recv().await {
            let place = self.concurrency.enter().await;
            let push = Arc::clone(&self);
            self.calls.spawn(async move {
                push.consume(batch).await;
                drop(place);
            });
        }
    }

    async fn consume(self: Arc<Self>, batch: Batch) {
        let Batch { owned, messages } = batch;
        let AnyListener::Concurrent(listener) = &self.listener else {
            return;
        };
        let _turn = owned.turn.read().await;
        if owned.is_dropped() {
            return;
        }
        owned.held().start(&messages, self.client.now_ms());
        self.before(&owned, &messages);
        let begun = clock::now();
        let said = listener.call(messages.clone()).await;
        let took = clock::now().saturating_duration_since(begun);
        let (done, delay_level) = match said {
            Said::Status(Consumed::Success) => (messages.len(), 0),
            Said::Status(Consumed::Partly(done)) => (done.min(messages.len()), 0),
            Said::Status(Consumed::LaterAt(level)) => (0, level),
            Said::Status(Consumed::Later) | Said::Panicked => (0, 0),
            Said::NotGiven => return,
        };
        let ended = match said {
            Said::Status(_) if took >= self.options.consume_timeout => ConsumeReturnType::TimeOut,
            Said::Status(_) if done == messages.len() => ConsumeReturnType::Success,
            Said::Status(_) => ConsumeReturnType::Failed,
            Said::Panicked | Said::NotGiven => ConsumeReturnType::Exception,
        };
        self.after(&owned, &messages, ended, took, done);
        self.settle(&owned, messages, done, delay_level).await;
    }

    pub(crate) fn before(&self, owned: &OwnedQueue, messages: &[ReceivedMessage]) {
        for hook in &self.options.hooks {
            hook.before(&self.consuming(owned, messages));
        }
    }

    fn consuming<'a>(&'a self, owned: &'a OwnedQueue, messages: &'a [ReceivedMessage]) -> Consuming<'a> {
        Consuming {
            group: self.group(),
            queue: &owned.queue,
            messages,
        }
    }

    pub(crate) fn after(
        &self,
        owned: &OwnedQueue,
        messages: &[ReceivedMessage],
        ended: ConsumeReturnType,
        took: Duration,
        done: usize,
    ) {
        if ended == ConsumeReturnType::Exception {
            tracing::error!(
                group = self.group(),
                ?messages,
                "a listener panicked; its messages come again"
            );
        }
        for hook in &self.options.hooks {
            hook.after(&self.consuming(owned, messages), ended, took);
        }
        let failed = messages.len() - done;
        let now_ms = self.client.now_ms();
        let topic = messages.first().map_or("", ReceivedMessage::stored_topic);
        self.statistics().consumed(topic, done, failed, millis(took), now_ms);
    }

    /// Sends back what is not done, lets go of the rest, and notes how far the group has come.
    async fn settle(
        self: &Arc<Self>,
        owned: &Arc<OwnedQueue>,
        messages: Vec<ReceivedMessage>,
        done: usize,
        level: i32,
    ) {
        if owned.is_dropped() {
            tracing::debug!(queue = ?owned.queue, "a queue was lost while a listener had messages of it; they may come again");
            return;
        }
        let mut kept = Vec::new();
        for message in messages.iter().skip(done) {
            if self.options.is_broadcast() {
                tracing::warn!(
                    group = self.group(),
                    ?message,
                    "a broadcast message failed, and does not come again"
                );
                continue;
            }
            let is_ours = owned.held().holds(message.queue_offset());
            if is_ours && let Err(error) = self.send_back(message, level).await {
                tracing::warn!(group = self.group(), ?message, %error, "no broker takes a message back; it comes again here");
                kept.push(message.clone());
            }
        }
        let keeps = |message: &ReceivedMessage| kept.iter().any(|kept| kept.queue_offset() == message.queue_offset());
        let gone: Vec<ReceivedMessage> = messages.into_iter().filter(|message| !keeps(message)).collect();
        self.let_go(owned, &gone);
        if !kept.is_empty() {
            self.retry_here(owned, kept);
        }
    }

    fn let_go(&self, owned: &OwnedQueue, messages: &[ReceivedMessage]) {
        let mut held = owned.held();
        let come_to = held.remove(messages, self.client.now_ms());
        // within the lock: once the queue is dropped, nothing is noted any more
        if let Some(come_to) = come_to.filter(|_| !held.dropped) {
            self.offsets.advance(&owned.queue, come_to);
        }
        drop(held);
        owned.room.notify_one();
    }

    fn retry_here(self: &Arc<Self>, owned: &Arc<OwnedQueue>, messages: Vec<ReceivedMessage>) {
        let (push, owned) = (Arc::clone(self), Arc::clone(owned));
        self.tasks.spawn(async move {
            tokio::time::sleep(LOCAL_RETRY).await;
            let messages = messages.into_iter().map(|message| {
                let times = message.reconsume_times() + 1;
                message.with_reconsume_times(times)
            });
            let batch = Batch {
                owned,
                messages: messages.collect(),
            };
            let _ = push.batches.send(batch);
        });
    }

    /// Sends messages back that a listener has had for longer than `consume_timeout`, as often as that time passes.
    pub(crate) async fn free_stuck(self: Arc<Self>) {
        let limit = self.options.consume_timeout;
        loop {
            tokio::time::sleep(limit).await;
            for owned in self.owned() {
                let stuck = owned.held().expired(millis(limit), self.client.now_ms());
                for message in stuck {
                    match self.send_back(&message, STUCK_DELAY_LEVEL).await {
                        Ok(()) => {
                            tracing::warn!(
                                group = self.group(),
                                ?message,
                                "a listener has a message for too long; it was sent back"
                            );
                            self.let_go(&owned, &[message]);
                        }
                        Err(error) => tracing::warn!(?message, %error, "a stuck message is not taken back"),
                    }
                }
            }
        }
    }
}
