//! The push consumer: a listener gets messages as they come (`DefaultMQPushConsumer` in Java). It stands on pulls.
//!
//! | file | what |
//! |---|---|
//! | `options`, `builder` | the settings, and the start |
//! | `state` | what its tasks share |
//! | `rebalancing` | takes queues over and gives them up |
//! | `locks` | the brokers' locks on the queues of an orderly listener |
//! | `pulling` | pulls from one queue |
//! | `concurrent`, `orderly` | calls the listener, and settles what it said |
//! | `concurrency` | how many calls run at a time |
//! | `stream` | messages as a stream, instead of a listener |
//! | `served` | what brokers ask |

mod builder;
mod concurrency;
mod concurrent;
mod locks;
mod options;
mod orderly;
mod pulling;
mod rebalancing;
#[cfg(test)]
mod rules_test;
mod served;
mod state;
mod stream;

use std::collections::BTreeSet;
use std::sync::Arc;

use cuemq_net::body::{ConsumerRunningInfo, MessageQueue};

pub use builder::PushConsumerBuilder;
pub(crate) use options::check_group;
pub use stream::{Delivery, MessageStream};

use crate::error::{Cause, Error};
use crate::instance::{Client, Group};
use crate::subscription::MessageSelector;
use state::Push;

/// A push consumer that runs.
///
/// Dropped without [`PushConsumer::shutdown`], it ends at once: calls of the listener are cut off where they wait, their
/// messages come again, and how far the group came since the last save, at most 5 s before, is forgotten.
pub struct PushConsumer {
    push: Arc<Push>,
    owns_client: bool,
}

impl PushConsumer {
    /// Settings of a push consumer of a group; they begin as Java's. A client has one consumer of a group at most.
    pub fn builder(group: impl Into<String>) -> PushConsumerBuilder {
        PushConsumerBuilder::new(group)
    }

    /// The client that it lives in.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.push.client
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.push.namespace.unwrap_group(self.push.group())
    }

    /// Consumes messages of one more topic, or others of a topic, from now on.
    ///
    /// Dropped before it is done, it has either not happened, or the brokers hear of it by the next heartbeat.
    ///
    /// # Errors
    /// When the expression chooses nothing, or a broker does not understand it.
    pub async fn subscribe(&self, topic: &str, selector: impl Into<MessageSelector>) -> Result<(), Error> {
        let topic = &*self.push.namespace.wrap(topic);
        let made = selector.into().subscription(topic, self.push.client.now_ms());
        let subscription = made.map_err(|error| Cause::Invalid(error.to_string()).nowhere().topic(topic))?;
        if let Err(error) = self.push.client.refresh_route(topic).await {
            tracing::debug!(topic, %error, "a subscribed topic has no route yet");
        }
        self.check(&subscription).await?;
        self.push.subscribe(subscription);
        self.push.client.heartbeat().await;
        self.push.rebalance_now.notify_one();
        Ok(())
    }

    /// Consumes no messages of a topic any more; those in hand come to other consumers of the group.
    ///
    /// Dropped before it is done, the brokers hear of it by the next heartbeat.
    pub async fn unsubscribe(&self, topic: &str) {
        self.push.unsubscribe(&self.push.namespace.wrap(topic));
        self.push.client.heartbeat().await;
        self.push.rebalance_now.notify_one();
    }

    /// Pulls no more, until [`PushConsumer::resume`]. Messages in hand are still consumed.
    pub fn suspend(&self) {
        self.push.paused.send_replace(true);
    }

    /// Pulls again.
    pub fn resume(&self) {
        self.push.paused.send_replace(false);
        self.push.rebalance_now.notify_one();
    }

    /// Has so many calls of the listener run at a time from now on, 1 to 1000 (`updateCorePoolSize` in Java).
    ///
    /// # Errors
    /// When the number is out of range.
    pub fn update_consume_concurrency(&self, calls: usize) -> Result<(), Error> {
        if !(1..=1000).contains(&calls) {
            return Err(Cause::Invalid(format!("the concurrency is {calls}; it may be 1 to 1000")).nowhere());
        }
        self.push.concurrency.change(calls);
        Ok(())
    }

    /// The queues that it owns now.
    #[must_use]
    pub fn owned_queues(&self) -> BTreeSet<MessageQueue> {
        let owned = self.push.owned();
        let queues = owned.iter().map(|owned| (*owned.queue).clone());
        self.push.namespace.unwrap_queues(queues)
    }

    /// What operators are told of it (code 307).
    #[must_use]
    pub fn running_info(&self) -> ConsumerRunningInfo {
        self.push.running_info()
    }

    /// Ends it: nothing is pulled any more, calls of the listener that run are awaited for
    /// `await_termination_when_shutdown`, what they did is saved, locks are given back, and the brokers are told. No task of it
    /// runs when this returns.
    ///
    /// Dropped before it is done, it ends as if the consumer were dropped.
    ///
    /// # Errors
    /// When the group's progress could not be saved everywhere: what is not saved comes again.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let saved = self.push.shutdown().await;
        self.push
            .client
            .leave(&Group::Consuming(self.push.options.group.clone()))
            .await;
        if self.owns_client {
            self.push.client.shutdown().await;
        }
        saved
    }
}

impl Drop for PushConsumer {
    fn drop(&mut self) {
        self.push.abort();
    }
}
