//! The consumer that is polled (`DefaultLitePullConsumer` in Java): it pulls ahead from its queues, and the application takes
//! what is there, when it likes.
//!
//! Its queues are those that the group shares out, [`LitePullConsumerBuilder::subscribe`], or those that the application
//! names, [`LitePullConsumer::assign`]; not both.

mod builder;
mod pulling;
mod state;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::MessageQueue;

pub use builder::LitePullConsumerBuilder;

use crate::admin::Admin;
use crate::error::{Cause, Error};
use crate::instance::{Client, Group};
use crate::namespace::Namespace;
use crate::received::ReceivedMessage;
use crate::subscription::MessageSelector;
use state::Lite;

/// A consumer that is polled.
///
/// Dropped without [`LitePullConsumer::shutdown`], it ends at once, and what was not committed comes again.
pub struct LitePullConsumer {
    lite: Arc<Lite>,
    owns_client: bool,
}

impl LitePullConsumer {
    /// Settings of a consumer of a group; they begin as Java's. A client has one consumer of a group at most.
    pub fn builder(group: impl Into<String>) -> LitePullConsumerBuilder {
        LitePullConsumerBuilder::new(group)
    }

    /// The client that it lives in.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.lite.balance.client
    }

    /// Takes messages of one queue, up to `pull_batch_size`; waits for some, for `poll_timeout`, and gives none then.
    ///
    /// Where it commits by itself, what earlier polls gave counts as consumed after `auto_commit_interval`. Dropped while it
    /// waits, no message is taken.
    pub async fn poll(&self) -> Vec<ReceivedMessage> {
        self.poll_for(self.lite.options.poll_timeout).await
    }

    /// The same, with another time to wait.
    pub async fn poll_for(&self, timeout: Duration) -> Vec<ReceivedMessage> {
        self.lite.commit_when_due();
        let polled = tokio::time::timeout(timeout, self.lite.take()).await;
        polled.unwrap_or_default()
    }

    /// Takes messages of one more topic, or others of a topic, from now on; its queues are shared out in the group.
    ///
    /// Dropped before it is done, it may have been subscribed to, with no queue shared out: call it again.
    ///
    /// # Errors
    /// When queues were assigned by hand, or the expression chooses nothing.
    pub async fn subscribe(&self, topic: &str, selector: impl Into<MessageSelector>) -> Result<(), Error> {
        let topic = self.namespace().wrap(topic);
        self.lite.subscribe(&topic, selector.into()).await
    }

    /// Takes no messages of a topic any more. Dropped before it is done, that happens with the next sharing out.
    pub async fn unsubscribe(&self, topic: &str) {
        self.lite.unsubscribe(&self.namespace().wrap(topic)).await;
    }

    /// Takes messages of exactly these queues, all of them, whatever the group's other consumers do.
    ///
    /// Dropped before it is done, some of the queues may be taken and others not: call it again.
    ///
    /// # Errors
    /// When topics were subscribed to, or where a queue is to be begun cannot be asked.
    pub async fn assign(&self, queues: impl IntoIterator<Item = MessageQueue>) -> Result<(), Error> {
        let queues = queues.into_iter();
        let wrapped = queues.map(|queue| self.namespace().wrap_queue(&queue).into_owned());
        self.lite.assign(wrapped.collect()).await
    }

    /// The queues that it takes messages of now.
    #[must_use]
    pub fn assignment(&self) -> BTreeSet<MessageQueue> {
        self.namespace().unwrap_queues(self.lite.assigned_queues())
    }

    /// All queues of a topic.
    ///
    /// # Errors
    /// When no name server knows the topic or can be asked, and when none of its queues may be read.
    pub async fn fetch_message_queues(&self, topic: &str) -> Result<BTreeSet<MessageQueue>, Error> {
        let namespace = self.namespace();
        let queues = self.client().queues_to_read(&namespace.wrap(topic)).await?;
        Ok(namespace.unwrap_queues(queues))
    }

    /// Goes to a position of a queue: the next poll that gives messages of it begins there.
    ///
    /// Dropped before it is done, nothing has changed.
    ///
    /// # Errors
    /// When the queue is not this consumer's, or it has no such position.
    pub async fn seek(&self, queue: &MessageQueue, queue_offset: i64) -> Result<(), Error> {
        let queue = &*self.namespace().wrap_queue(queue);
        let admin = Admin::new(self.client());
        let (min, max) = (admin.min_offset(queue).await?, admin.max_offset(queue).await?);
        if !(min..=max).contains(&queue_offset) {
            let rule = format!("the position is {queue_offset}; the queue has {min} to {max}");
            return Err(self.wrong(queue, rule));
        }
        match self.lite.seek(queue, queue_offset) {
            true => Ok(()),
            false => Err(self.wrong(queue, "the queue is not this consumer's".to_owned())),
        }
    }

    /// Goes to the first position that a queue still has.
    ///
    /// # Errors
    /// When the queue is not this consumer's, or its broker cannot be asked.
    pub async fn seek_to_begin(&self, queue: &MessageQueue) -> Result<(), Error> {
        let queue = &*self.namespace().wrap_queue(queue);
        self.seek(queue, Admin::new(self.client()).min_offset(queue).await?)
            .await
    }

    /// Goes behind a queue's last message.
    ///
    /// # Errors
    /// When the queue is not this consumer's, or its broker cannot be asked.
    pub async fn seek_to_end(&self, queue: &MessageQueue) -> Result<(), Error> {
        let queue = &*self.namespace().wrap_queue(queue);
        self.seek(queue, Admin::new(self.client()).max_offset(queue).await?)
            .await
    }

    fn namespace(&self) -> &Namespace {
        &self.lite.balance.namespace
    }

    fn pause_or_not<'a>(&self, queues: impl IntoIterator<Item = &'a MessageQueue>, paused: bool) {
        let queues = queues.into_iter().map(|queue| self.namespace().wrap_queue(queue));
        let queues: Vec<_> = queues.collect();
        self.lite.pause(queues.iter().map(AsRef::as_ref), paused);
    }

    fn wrong(&self, queue: &MessageQueue, rule: String) -> Error {
        let error = Cause::Invalid(rule).nowhere().topic(&queue.topic);
        error.queue(&queue.broker_name, queue.queue_id)
    }

    /// The position that a time leads to, in milliseconds since 1970.
    ///
    /// # Errors
    /// When the queue's broker is not known or says no.
    pub async fn offset_for_timestamp(&self, queue: &MessageQueue, timestamp_ms: i64) -> Result<i64, Error> {
        let queue = &*self.namespace().wrap_queue(queue);
        Admin::new(self.client()).search_offset(queue, timestamp_ms).await
    }

    /// Pulls no more from these queues, until [`LitePullConsumer::resume`]. What was pulled already is still given.
    pub fn pause<'a>(&self, queues: impl IntoIterator<Item = &'a MessageQueue>) {
        self.pause_or_not(queues, true);
    }

    /// Pulls again from these queues.
    pub fn resume<'a>(&self, queues: impl IntoIterator<Item = &'a MessageQueue>) {
        self.pause_or_not(queues, false);
    }

    /// Counts everything as consumed that polls have given, and waits until the brokers know. (Java's `commitSync` leaves that to
    /// its timer.)
    ///
    /// Dropped before it is done, it counts all the same, and brokers that do not know yet hear of it within
    /// `persist_consumer_offset_interval`.
    ///
    /// # Errors
    /// When a broker cannot be told; then it is told again every `persist_consumer_offset_interval`.
    pub async fn commit(&self) -> Result<(), Error> {
        self.lite.commit().await
    }

    /// How far the group has come in a queue, by the brokers' word.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn committed(&self, queue: &MessageQueue) -> Result<Option<i64>, Error> {
        self.lite.committed(&self.namespace().wrap_queue(queue)).await
    }

    /// Ends it: where it commits by itself, what polls gave counts as consumed; what is committed is saved; the brokers are
    /// told. No task of it runs when this returns.
    ///
    /// Dropped before it is done, not everything may be saved; call it again.
    ///
    /// # Errors
    /// When not everything could be saved: what is not saved comes again.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let saved = self.lite.shutdown().await;
        let group = Group::Consuming(self.lite.balance.group.clone());
        self.client().leave(&group).await;
        if self.owns_client {
            self.client().shutdown().await;
        }
        saved
    }
}

impl Drop for LitePullConsumer {
    fn drop(&mut self) {
        self.lite.tasks.abort();
    }
}
