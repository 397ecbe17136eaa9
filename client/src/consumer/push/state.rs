//! What the tasks of a push consumer share (`DefaultMQPushConsumerImpl` in Java).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cuemq_net::body::{ConsumeType, ConsumerData, MessageModel, MessageQueue, SubscriptionData};
use tokio::sync::{Notify, mpsc, watch};

use super::concurrency::Concurrency;
use super::options::PushConsumerOptions;
use crate::consumer::listener::{Consumed, ConsumedInOrder, Listener};
use crate::consumer::offsets::OffsetStore;
use crate::consumer::owned::OwnedQueue;
use crate::consumer::send_back::Returning;
use crate::consumer::start_offset::StartAt;
use crate::consumer::statistics::Statistics;
use crate::error::Error;
use crate::instance::{Client, Tasks};
use crate::namespace::Namespace;
use crate::received::{RETRY_TOPIC_PREFIX, ReceivedMessage};

/// The application's listener.
pub(crate) enum AnyListener {
    Concurrent(Box<dyn Listener<Consumed>>),
    Orderly(Box<dyn Listener<ConsumedInOrder>>),
}

/// Messages that wait for a call of a concurrent listener.
pub(crate) struct Batch {
    pub(crate) owned: Arc<OwnedQueue>,
    pub(crate) messages: Vec<ReceivedMessage>,
}

/// One push consumer.
pub(crate) struct Push {
    pub(crate) client: Client,
    pub(crate) namespace: Namespace,
    pub(crate) options: PushConsumerOptions,
    pub(crate) listener: AnyListener,
    pub(crate) offsets: OffsetStore,
    pub(crate) concurrency: Concurrency,
    /// Batches on their way to the listener; the flow control of each queue bounds them.
    pub(crate) batches: mpsc::UnboundedSender<Batch>,
    pub(crate) paused: watch::Sender<bool>,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) rebalance_now: Notify,
    /// Held while the table of owned queues is changed.
    pub(crate) rebalancing: tokio::sync::Mutex<()>,
    pub(crate) started_ms: i64,
    /// Pulls, rebalances, locks: whatever can end at any await.
    pub(crate) tasks: Tasks,
    /// Calls of the listener, which end when the listener does.
    pub(crate) calls: Tasks,
    subscriptions: Mutex<BTreeMap<String, Arc<SubscriptionData>>>,
    queues: Mutex<BTreeMap<MessageQueue, Arc<OwnedQueue>>>,
    statistics: Mutex<Statistics>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // each change is one step, so a panic elsewhere leaves nothing half done
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Push {
    pub(crate) fn new(
        client: Client,
        namespace: Namespace,
        options: PushConsumerOptions,
        listener: AnyListener,
        offsets: OffsetStore,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Batch>) {
        let (batches, waiting) = mpsc::unbounded_channel();
        let push = Self {
            concurrency: Concurrency::new(options.consume_concurrency),
            started_ms: client.now_ms(),
            client,
            namespace,
            options,
            listener,
            offsets,
            batches,
            paused: watch::Sender::new(false),
            stopping: watch::Sender::new(false),
            rebalance_now: Notify::new(),
            rebalancing: tokio::sync::Mutex::default(),
            tasks: Tasks::new(),
            calls: Tasks::new(),
            subscriptions: Mutex::default(),
            queues: Mutex::default(),
            statistics: Mutex::default(),
        };
        (Arc::new(push), waiting)
    }

    pub(crate) fn is_orderly(&self) -> bool {
        matches!(self.listener, AnyListener::Orderly(_))
    }

    /// Whether brokers lock our queues for us.
    pub(crate) fn locks_queues(&self) -> bool {
        self.is_orderly() && self.options.message_model == MessageModel::Clustering
    }

    pub(crate) fn group(&self) -> &str {
        &self.options.group
    }

    /// Sends messages back that may come so often.
    pub(crate) fn returning(&self, max_reconsume_times: i32) -> Returning<'_> {
        Returning {
            client: &self.client,
            group: self.group(),
            unit_mode: self.options.unit_mode,
            max_reconsume_times,
        }
    }

    /// Sends back what a concurrent listener wants again.
    pub(crate) async fn send_back(&self, message: &ReceivedMessage, delay_level: i32) -> Result<(), Error> {
        let returning = self.returning(self.options.concurrent_reconsume_times());
        returning.send_back(message, delay_level).await
    }

    /// The position to begin a queue at.
    ///
    /// # Errors
    /// When nobody says.
    pub(crate) async fn start_offset(&self, queue: &MessageQueue) -> Result<i64, Error> {
        let start_at = StartAt {
            consume_from_where: self.options.consume_from_where,
            timestamp_ms: self.options.consume_timestamp_ms,
            started_ms: self.started_ms,
        };
        start_at.of(&self.client, &self.offsets, queue).await
    }

    pub(crate) fn retry_topic(&self) -> String {
        format!("{RETRY_TOPIC_PREFIX}{}", self.options.group)
    }

    /// What is subscribed to of a topic.
    pub(crate) fn subscription(&self, topic: &str) -> Option<Arc<SubscriptionData>> {
        locked(&self.subscriptions).get(topic).cloned()
    }

    pub(crate) fn subscriptions(&self) -> Vec<Arc<SubscriptionData>> {
        locked(&self.subscriptions).values().cloned().collect()
    }

    pub(crate) fn subscribed_topics(&self) -> Vec<String> {
        locked(&self.subscriptions).keys().cloned().collect()
    }

    pub(crate) fn subscribe(&self, subscription: SubscriptionData) {
        locked(&self.subscriptions).insert(subscription.topic.clone(), Arc::new(subscription));
    }

    pub(crate) fn unsubscribe(&self, topic: &str) {
        locked(&self.subscriptions).remove(topic);
    }

    /// Notes that the queues of a topic changed, so that brokers and other members take this for the newest word.
    pub(crate) fn renew(&self, topic: &str) {
        if let Some(subscription) = locked(&self.subscriptions).get_mut(topic) {
            Arc::make_mut(subscription).sub_version = self.client.now_ms();
        }
    }

    pub(crate) fn owned(&self) -> Vec<Arc<OwnedQueue>> {
        locked(&self.queues).values().cloned().collect()
    }

    pub(crate) fn owned_of(&self, topic: &str) -> Vec<Arc<OwnedQueue>> {
        let queues = locked(&self.queues);
        let of_topic = queues.values().filter(|owned| owned.queue.topic == topic);
        of_topic.cloned().collect()
    }

    pub(crate) fn owns(&self, queue: &MessageQueue) -> bool {
        locked(&self.queues).contains_key(queue)
    }

    pub(crate) fn own(&self, owned: &Arc<OwnedQueue>) {
        locked(&self.queues).insert((*owned.queue).clone(), Arc::clone(owned));
    }

    pub(crate) fn disown(&self, queue: &MessageQueue) {
        locked(&self.queues).remove(queue);
    }

    pub(crate) fn statistics(&self) -> MutexGuard<'_, Statistics> {
        locked(&self.statistics)
    }

    /// Saves how far the group has come, without waiting for brokers to confirm it.
    pub(crate) async fn persist(&self) {
        let queues: BTreeSet<MessageQueue> = self.owned().iter().map(|owned| (*owned.queue).clone()).collect();
        self.offsets.persist(&self.client, &queues).await;
    }

    /// What brokers are told of the consumer.
    pub(crate) fn data(&self) -> ConsumerData {
        ConsumerData {
            consume_from_where: self.options.consume_from_where,
            consume_type: ConsumeType::Passively,
            group_name: self.options.group.clone(),
            message_model: self.options.message_model,
            subscriptions: self.subscriptions().iter().map(|data| (**data).clone()).collect(),
            unit_mode: self.options.unit_mode,
        }
    }

    /// Ends everything but the calls of the listener, waits for those as long as the consumer is patient, and saves what
    /// they did.
    pub(crate) async fn shutdown(&self) -> Result<(), Error> {
        self.stopping.send_replace(true);
        self.tasks.end(std::time::Duration::ZERO).await;
        self.calls.end(self.options.await_termination_when_shutdown).await;
        let mut saved = Ok(());
        for owned in self.owned() {
            let told = self.offsets.hand_over(&self.client, &owned.queue).await;
            saved = saved.and(told);
            owned.drop_it();
        }
        self.offsets.end();
        if self.locks_queues() {
            self.unlock_all().await;
        }
        saved
    }

    /// Ends everything at once, as when the consumer is dropped.
    pub(crate) fn abort(&self) {
        self.stopping.send_replace(true);
        self.tasks.abort();
        self.calls.abort();
    }
}
