//! Consumers that pull by themselves: [`PullConsumer`] is asked by the application (`DefaultMQPullConsumer` in Java);
//! [`PullScheduleService`] calls the application for each queue that it owns (`MQPullConsumerScheduleService`).

mod builder;
mod schedule;
mod state;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::MessageQueue;

pub use builder::PullConsumerBuilder;
pub use schedule::{PULL_NEXT_DELAY, PullScheduleService, PullTask};

use crate::admin::Admin;
use crate::consumer::pull::{self, MASTER, PullRequest, PullResult};
use crate::consumer::send_back::Returning;
use crate::error::{Cause, Error};
use crate::instance::{Client, Group};
use crate::received::ReceivedMessage;
use crate::subscription::MessageSelector;
use state::Pull;

/// Is told when a topic's queues, or those of them that are this consumer's, have changed (`MessageQueueListener` in Java).
pub trait MessageQueueListener: Send + Sync + 'static {
    /// All queues of the topic, and this consumer's.
    fn message_queue_changed(&self, topic: &str, all: &BTreeSet<MessageQueue>, ours: &BTreeSet<MessageQueue>);
}

impl<F> MessageQueueListener for F
where
    F: Fn(&str, &BTreeSet<MessageQueue>, &BTreeSet<MessageQueue>) + Send + Sync + 'static,
{
    fn message_queue_changed(&self, topic: &str, all: &BTreeSet<MessageQueue>, ours: &BTreeSet<MessageQueue>) {
        self(topic, all, ours);
    }
}

/// A consumer that pulls when the application says so. Which queue, and from which position, is the application's to know;
/// the consumer can keep positions for it.
///
/// Dropped without [`PullConsumer::shutdown`], it ends at once, and positions since the last save are forgotten.
pub struct PullConsumer {
    pull: Arc<Pull>,
    owns_client: bool,
}

impl PullConsumer {
    /// Settings of a pull consumer of a group; they begin as Java's. A client has one consumer of a group at most.
    pub fn builder(group: impl Into<String>) -> PullConsumerBuilder {
        PullConsumerBuilder::new(group)
    }

    /// The client that it lives in.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.pull.balance.client
    }

    /// All queues of a topic.
    ///
    /// # Errors
    /// When no name server knows the topic or can be asked, and when none of its queues may be read.
    pub async fn fetch_subscribe_message_queues(&self, topic: &str) -> Result<BTreeSet<MessageQueue>, Error> {
        let namespace = &self.pull.balance.namespace;
        let queues = self.client().queues_to_read(&namespace.wrap(topic)).await?;
        Ok(namespace.unwrap_queues(queues))
    }

    /// The queues of a topic that are this consumer's; waits for the first sharing out. From then on the topic is shared out in
    /// the group.
    ///
    /// # Errors
    /// When the queues are not known within `mq_client_api_timeout`.
    pub async fn fetch_message_queues_in_balance(&self, topic: &str) -> Result<BTreeSet<MessageQueue>, Error> {
        let namespace = &self.pull.balance.namespace;
        let topic = &*namespace.wrap(topic);
        self.pull.share(topic).await?;
        let timeout = self.client().options().mq_client_api_timeout;
        let mut changes = self.pull.balance.changes();
        let known = async {
            loop {
                if let Some(assignment) = self.pull.balance.assignment(topic) {
                    return assignment.ours;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(timeout, known).await {
            Ok(ours) => Ok(namespace.unwrap_queues(ours)),
            Err(_) => Err(Cause::NoRoute.nowhere().topic(topic)),
        }
    }

    /// Pulls up to `max_messages` from a queue, from a position on; answers at once where there is none yet.
    ///
    /// Dropped before it is done, nothing is lost: a pull changes nothing, and can be made again.
    ///
    /// # Errors
    /// When the expression chooses nothing, or the broker cannot be asked or says no.
    pub async fn pull(
        &self,
        queue: &MessageQueue,
        selector: impl Into<MessageSelector>,
        queue_offset: i64,
        max_messages: usize,
    ) -> Result<PullResult, Error> {
        let timeout = self.pull.options.consumer_pull_timeout;
        self.pull_with(queue, selector.into(), queue_offset, max_messages, None, timeout)
            .await
    }

    /// The same, but where there is no message yet, it waits for one, for `broker_suspend_max_time` at most.
    ///
    /// # Errors
    /// As for [`PullConsumer::pull`].
    pub async fn pull_block_if_not_found(
        &self,
        queue: &MessageQueue,
        selector: impl Into<MessageSelector>,
        queue_offset: i64,
        max_messages: usize,
    ) -> Result<PullResult, Error> {
        let options = &self.pull.options;
        let (suspend, timeout) = (options.broker_suspend_max_time, options.consumer_timeout_when_suspend);
        self.pull_with(
            queue,
            selector.into(),
            queue_offset,
            max_messages,
            Some(suspend),
            timeout,
        )
        .await
    }

    async fn pull_with(
        &self,
        queue: &MessageQueue,
        selector: MessageSelector,
        queue_offset: i64,
        max_messages: usize,
        suspend: Option<Duration>,
        timeout: Duration,
    ) -> Result<PullResult, Error> {
        if queue_offset < 0 || max_messages == 0 {
            let rule =
                format!("{max_messages} messages from {queue_offset}: neither may be less, 1 and 0 are the lowest");
            return Err(Cause::Invalid(rule).nowhere().topic(&queue.topic));
        }
        let namespace = &self.pull.balance.namespace;
        let queue = &*namespace.wrap_queue(queue);
        self.pull.subscribe(&queue.topic).await?;
        // the version is not a subscription's: the expression comes along
        let subscription = selector.subscription(&queue.topic, 0);
        let subscription =
            subscription.map_err(|error| Cause::Invalid(error.to_string()).nowhere().topic(&queue.topic))?;
        let request = PullRequest {
            group: self.pull.group(),
            namespace,
            queue: &Arc::new(queue.clone()),
            queue_offset,
            max_messages,
            subscription: &subscription,
            with_expression: true,
            commit_offset: None,
            suspend,
            timeout,
            broker_id: self.pull.next_broker(queue),
        };
        if self.client().known_route(&queue.topic).is_none() {
            self.client().route(&queue.topic).await?;
        }
        let (result, next_broker) = pull::pull(self.client(), request).await?;
        self.pull.go_on_at(queue, next_broker);
        Ok(result)
    }

    /// Notes how far the application has come in a queue; it is saved every `persist_consumer_offset_interval`, and at the
    /// shutdown.
    pub fn update_consume_offset(&self, queue: &MessageQueue, queue_offset: i64) {
        self.pull
            .offsets
            .set(&self.pull.balance.namespace.wrap_queue(queue), queue_offset);
    }

    /// How far the application has come in a queue: what it noted, else what is kept; `None` where neither is known.
    ///
    /// # Errors
    /// When what is kept cannot be asked for.
    pub async fn fetch_consume_offset(&self, queue: &MessageQueue) -> Result<Option<i64>, Error> {
        let queue = &*self.pull.balance.namespace.wrap_queue(queue);
        match self.pull.offsets.in_memory(queue) {
            Some(noted) => Ok(Some(noted)),
            None => {
                self.client().route(&queue.topic).await?;
                self.pull.offsets.read(self.client(), queue).await
            }
        }
    }

    /// Has a message come again, after the time of a delay level; level 0 leaves that to the broker, and one below sends it to
    /// the dead letters. It comes by the group's retry topic, which is to be pulled from too.
    ///
    /// Dropped before it is done, it may have been sent back or not.
    ///
    /// # Errors
    /// When no broker takes it. It may have been taken all the same where an answer was lost: then it comes twice.
    pub async fn send_message_back(&self, message: &ReceivedMessage, delay_level: i32) -> Result<(), Error> {
        let returning = Returning {
            client: self.client(),
            group: self.pull.group(),
            unit_mode: self.pull.options.unit_mode,
            max_reconsume_times: self.pull.options.max_reconsume_times,
        };
        returning.send_back(message, delay_level).await
    }

    /// What else can be asked: where queues begin and end, what a time leads to, messages by their ids.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(self.client())
    }

    /// Ends it: positions are saved, and the brokers are told. No task of it runs when this returns.
    ///
    /// Dropped before it is done, positions may not be saved; call it again.
    ///
    /// # Errors
    /// When positions could not be saved everywhere.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let saved = self.pull.shutdown().await;
        let group = Group::Consuming(self.pull.group().to_owned());
        self.client().leave(&group).await;
        if self.owns_client {
            self.client().shutdown().await;
        }
        saved
    }
}

impl Drop for PullConsumer {
    fn drop(&mut self) {
        self.pull.tasks.abort();
    }
}

/// The broker to begin with.
const FIRST_BROKER: i64 = MASTER;
