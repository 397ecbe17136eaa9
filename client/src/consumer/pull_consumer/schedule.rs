//! Calls the application for each queue that is its own, again and again, so that it pulls (`MQPullConsumerScheduleService`
//! in Java). One task for each queue; a queue that goes to another consumer is called for no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::MessageQueue;
use tokio::sync::watch;

use super::{PullConsumer, PullConsumerBuilder};
use crate::error::{Cause, Error};
use crate::instance::Tasks;
use crate::network::BoxFuture;
use crate::panics::caught;

/// What a callback gives as the time to its next call unless it knows better, as in Java.
pub const PULL_NEXT_DELAY: Duration = Duration::from_millis(200);

/// When a callback that panicked is called again.
const DELAY_AFTER_PANIC: Duration = Duration::from_secs(1);

/// How long calls may take to end when the service does.
const PATIENCE: Duration = Duration::from_secs(30);

/// One call: for this queue, by this consumer.
#[derive(Clone)]
pub struct PullTask {
    consumer: Arc<PullConsumer>,
    queue: MessageQueue,
}

impl PullTask {
    /// The consumer to pull with.
    #[must_use]
    pub fn consumer(&self) -> &PullConsumer {
        &self.consumer
    }

    /// The queue to pull from.
    #[must_use]
    pub fn queue(&self) -> &MessageQueue {
        &self.queue
    }
}

type Callback = Arc<dyn Fn(PullTask) -> BoxFuture<'static, Duration> + Send + Sync>;

/// Calls for queues, as long as it is not shut down; dropped, it ends at once.
pub struct PullScheduleService {
    consumer: Arc<PullConsumer>,
    tasks: Arc<Tasks>,
    stopping: watch::Sender<bool>,
}

impl PullConsumerBuilder {
    /// Starts to call `callback` for each queue of a topic that is this consumer's: it pulls as it likes, and gives the time
    /// to the next call for the same queue, [`PULL_NEXT_DELAY`] mostly. Calls for different queues run at a time.
    ///
    /// Dropped before it is done, nothing of it runs.
    ///
    /// # Errors
    /// As for [`PullConsumerBuilder::start`].
    pub async fn schedule<F, R>(self, topic: impl Into<String>, callback: F) -> Result<PullScheduleService, Error>
    where
        F: Fn(PullTask) -> R + Send + Sync + 'static,
        R: Future<Output = Duration> + Send + 'static,
    {
        let topic = topic.into();
        let consumer = Arc::new(self.register_topic(topic.clone()).start().await?);
        let service = PullScheduleService {
            tasks: Arc::new(Tasks::new()),
            stopping: watch::Sender::new(false),
            consumer,
        };
        service.register_pull_task_callback(topic, callback).await?;
        Ok(service)
    }
}

impl PullScheduleService {
    /// Calls for the queues of one more topic. Dropped before it is done, nothing is called for them.
    ///
    /// # Errors
    /// When the service is shut down.
    pub async fn register_pull_task_callback<F, R>(&self, topic: impl Into<String>, callback: F) -> Result<(), Error>
    where
        F: Fn(PullTask) -> R + Send + Sync + 'static,
        R: Future<Output = Duration> + Send + 'static,
    {
        if *self.stopping.borrow() {
            return Err(Cause::ShutDown.nowhere());
        }
        let topic = self.consumer.pull.balance.namespace.wrap(&topic.into()).into_owned();
        if let Err(error) = self.consumer.pull.share(&topic).await {
            tracing::debug!(topic, %error, "a topic to call for has no route yet");
            self.consumer.pull.balance.add(&topic);
        }
        let follow = Follow {
            consumer: Arc::clone(&self.consumer),
            calls: Arc::clone(&self.tasks),
            callback: Arc::new(move |task| Box::pin(callback(task))),
            stopping: self.stopping.subscribe(),
        };
        self.tasks.spawn(follow.queues_of(topic));
        Ok(())
    }

    /// The consumer that pulls.
    #[must_use]
    pub fn consumer(&self) -> &PullConsumer {
        &self.consumer
    }

    /// Ends it: calls that run are awaited for 30 s, positions are saved, the brokers are told.
    ///
    /// Dropped before it is done, calls that run are cut off where they wait, and positions may not be saved; call it again.
    ///
    /// # Errors
    /// When positions could not be saved everywhere.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.stopping.send_replace(true);
        self.tasks.end(PATIENCE).await;
        self.consumer.shutdown().await
    }
}

impl Drop for PullScheduleService {
    fn drop(&mut self) {
        self.tasks.abort();
    }
}

struct Follow {
    consumer: Arc<PullConsumer>,
    calls: Arc<Tasks>,
    callback: Callback,
    stopping: watch::Receiver<bool>,
}

impl Follow {
    /// Begins to call for queues that come, and ends it for those that go.
    async fn queues_of(mut self, topic: String) {
        let mut changes = self.consumer.pull.balance.changes();
        let mut called: BTreeMap<MessageQueue, watch::Sender<bool>> = BTreeMap::new();
        loop {
            let assignment = self.consumer.pull.balance.assignment(&topic).unwrap_or_default();
            called.retain(|queue, is_gone| {
                let stays = assignment.ours.contains(queue);
                is_gone.send_replace(!stays);
                stays
            });
            let known: BTreeSet<MessageQueue> = called.keys().cloned().collect();
            for queue in assignment.ours.difference(&known) {
                let (is_gone, gone) = watch::channel(false);
                called.insert(queue.clone(), is_gone);
                let task = PullTask {
                    consumer: Arc::clone(&self.consumer),
                    queue: queue.clone(),
                };
                let (callback, stopping) = (Arc::clone(&self.callback), self.stopping.clone());
                self.calls.spawn(call(task, callback, gone, stopping));
            }
            tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Calls for one queue; a call that runs is never cut off.
async fn call(
    task: PullTask,
    callback: Callback,
    mut gone: watch::Receiver<bool>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let delay = caught(|| callback(task.clone())).await;
        if delay.is_none() {
            tracing::error!(queue = ?task.queue, "a callback panicked");
        }
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            _ = gone.wait_for(|gone| *gone) => return,
            () = tokio::time::sleep(delay.unwrap_or(DELAY_AFTER_PANIC)) => {}
        }
    }
}
