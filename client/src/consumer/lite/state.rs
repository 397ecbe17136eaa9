//! What a consumer that is polled remembers (`DefaultLitePullConsumerImpl` in Java): the queues that it takes messages of, each
//! with a task that pulls ahead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuemq_net::body::{ConsumeType, ConsumerData, MessageQueue, SubscriptionData};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::builder::LiteOptions;
use crate::clock;
use crate::consumer::balance::{Balance, Pace};
use crate::consumer::offsets::OffsetStore;
use crate::consumer::owned::OwnedQueue;
use crate::consumer::start_offset::StartAt;
use crate::error::{Cause, Error};
use crate::instance::{Asked, Group, Member, Tasks};
use crate::network::BoxFuture;
use crate::received::ReceivedMessage;
use crate::subscription::MessageSelector;

/// What stands for no position.
const NOWHERE: i64 = -1;

/// A queue that messages are taken of.
pub(super) struct Assigned {
    pub(super) owned: Arc<OwnedQueue>,
    /// Behind what polls have given; [`NOWHERE`] before the first.
    pub(super) given: AtomicI64,
    pub(super) paused: watch::Sender<bool>,
}

/// Messages of one queue that a poll can give.
pub(super) type Ready = (Arc<Assigned>, Vec<ReceivedMessage>);

/// One consumer.
pub(super) struct Lite {
    pub(super) options: LiteOptions,
    pub(super) balance: Balance,
    pub(super) tasks: Tasks,
    offsets: OffsetStore,
    started_ms: i64,
    subscriptions: Mutex<BTreeMap<String, Arc<SubscriptionData>>>,
    queues: Mutex<BTreeMap<MessageQueue, Arc<Assigned>>>,
    /// Whether the application names the queues.
    is_assigned: Mutex<bool>,
    next_commit: Mutex<Instant>,
    /// The flow control of the queues bounds it.
    pub(super) ready: mpsc::UnboundedSender<Ready>,
    pub(super) polled: tokio::sync::Mutex<mpsc::UnboundedReceiver<Ready>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // each change is one step, so a panic elsewhere leaves nothing half done
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn invalid(rule: &str) -> Error {
    Cause::Invalid(rule.to_owned()).nowhere()
}

impl Lite {
    pub(super) fn new(options: LiteOptions, balance: Balance, offsets: OffsetStore) -> Arc<Self> {
        let (ready, polled) = mpsc::unbounded_channel();
        Arc::new(Self {
            started_ms: balance.client.now_ms(),
            next_commit: Mutex::new(clock::now() + options.auto_commit_interval),
            options,
            balance,
            offsets,
            tasks: Tasks::new(),
            subscriptions: Mutex::default(),
            queues: Mutex::default(),
            is_assigned: Mutex::default(),
            ready,
            polled: tokio::sync::Mutex::new(polled),
        })
    }

    fn note(&self, topic: &str, selector: &MessageSelector) -> Result<(), Error> {
        let made = selector.subscription(topic, self.balance.client.now_ms());
        let made = made.map_err(|error| invalid(&error.to_string()).topic(topic))?;
        locked(&self.subscriptions).insert(topic.to_owned(), Arc::new(made));
        Ok(())
    }

    pub(super) async fn subscribe(&self, topic: &str, selector: MessageSelector) -> Result<(), Error> {
        if *locked(&self.is_assigned) {
            return Err(invalid("queues were assigned by hand; one consumer does either").topic(topic));
        }
        self.note(topic, &selector)?;
        if let Err(error) = self.balance.client.refresh_route(topic).await {
            tracing::debug!(topic, %error, "a subscribed topic has no route yet");
        }
        self.balance.client.heartbeat().await;
        self.balance.add(topic);
        Ok(())
    }

    pub(super) async fn unsubscribe(&self, topic: &str) {
        locked(&self.subscriptions).remove(topic);
        self.balance.remove(topic);
        self.balance.hurry();
        self.balance.client.heartbeat().await;
        let gone = self.assigned_queues().into_iter().filter(|queue| queue.topic == topic);
        self.give_up(gone.collect()).await;
    }

    pub(super) async fn assign(self: &Arc<Self>, queues: BTreeSet<MessageQueue>) -> Result<(), Error> {
        let is_assigned = *locked(&self.is_assigned);
        if !is_assigned && !locked(&self.subscriptions).is_empty() {
            return Err(invalid("topics were subscribed to; one consumer does either"));
        }
        *locked(&self.is_assigned) = true;
        for queue in &queues {
            self.note(&queue.topic, &MessageSelector::all())?;
            self.balance.client.route(&queue.topic).await?;
        }
        self.balance.client.heartbeat().await;
        let before = self.assigned_queues();
        self.give_up(before.difference(&queues).cloned().collect()).await;
        for queue in queues.difference(&before) {
            self.take_over(queue).await?;
        }
        Ok(())
    }

    pub(super) fn assigned_queues(&self) -> BTreeSet<MessageQueue> {
        locked(&self.queues).keys().cloned().collect()
    }

    pub(super) fn assigned(&self) -> Vec<Arc<Assigned>> {
        locked(&self.queues).values().cloned().collect()
    }

    /// Keeps to what the group shares out.
    pub(super) async fn keep_balance(self: Arc<Self>) {
        let mut pace = Pace::default();
        loop {
            for changed in self.balance.round(&mut pace).await {
                let gone = changed.before.ours.difference(&changed.now.ours);
                self.give_up(gone.cloned().collect()).await;
            }
            if *locked(&self.is_assigned) {
                continue;
            }
            let topics = self.topics();
            let left = self.assigned_queues().into_iter();
            self.give_up(left.filter(|queue| !topics.contains(&queue.topic)).collect())
                .await;
            for topic in topics {
                let ours = self.balance.assignment(&topic).unwrap_or_default().ours;
                for queue in ours.difference(&self.assigned_queues()) {
                    if let Err(error) = self.take_over(queue).await {
                        tracing::warn!(?queue, %error, "where a queue is to be begun is not known yet");
                        pace.hurry();
                    }
                }
            }
        }
    }

    async fn take_over(self: &Arc<Self>, queue: &MessageQueue) -> Result<(), Error> {
        let start_at = StartAt {
            consume_from_where: self.options.consume_from_where,
            timestamp_ms: self.options.consume_timestamp_ms,
            started_ms: self.started_ms,
        };
        self.offsets.forget(queue);
        let begin = start_at.of(&self.balance.client, &self.offsets, queue).await?;
        self.begin(queue, begin, false);
        Ok(())
    }

    fn begin(self: &Arc<Self>, queue: &MessageQueue, begin: i64, is_paused: bool) {
        let assigned = Arc::new(Assigned {
            owned: OwnedQueue::new(queue.clone(), self.options.limits, self.balance.client.now_ms()),
            given: AtomicI64::new(NOWHERE),
            paused: watch::Sender::new(is_paused),
        });
        if let Some(before) = locked(&self.queues).insert(queue.clone(), Arc::clone(&assigned)) {
            before.owned.drop_it();
        }
        self.tasks.spawn(Arc::clone(self).pull_from(assigned, begin));
    }

    async fn give_up(&self, queues: Vec<MessageQueue>) {
        for queue in queues {
            let Some(gone) = locked(&self.queues).remove(&queue) else {
                continue;
            };
            gone.owned.drop_it();
            if self.options.auto_commit {
                self.commit_given(&gone);
            }
            if let Err(error) = self.offsets.hand_over(&self.balance.client, &queue).await {
                tracing::warn!(?queue, %error, "how far a queue came is not saved; messages will come again");
            }
        }
    }

    /// Begins a queue anew at a position; whether it is ours.
    pub(super) fn seek(self: &Arc<Self>, queue: &MessageQueue, queue_offset: i64) -> bool {
        let Some(before) = locked(&self.queues).get(queue).cloned() else {
            return false;
        };
        let is_paused = *before.paused.borrow();
        self.begin(queue, queue_offset, is_paused);
        true
    }

    pub(super) fn pause<'a>(&self, queues: impl IntoIterator<Item = &'a MessageQueue>, is_paused: bool) {
        let table = locked(&self.queues);
        for queue in queues {
            if let Some(assigned) = table.get(queue) {
                assigned.paused.send_replace(is_paused);
            }
        }
    }

    /// What is subscribed to of a topic.
    pub(super) fn subscription(&self, topic: &str) -> Option<Arc<SubscriptionData>> {
        locked(&self.subscriptions).get(topic).cloned()
    }

    fn commit_given(&self, assigned: &Assigned) {
        let given = assigned.given.load(Ordering::Acquire);
        if given != NOWHERE {
            self.offsets.set(&assigned.owned.queue, given);
        }
    }

    /// Counts what earlier polls gave as consumed, if that is due.
    pub(super) fn commit_when_due(&self) {
        let now = clock::now();
        let mut next = locked(&self.next_commit);
        if self.options.auto_commit && now >= *next {
            *next = now + self.options.auto_commit_interval;
            self.assigned().iter().for_each(|assigned| self.commit_given(assigned));
        }
    }

    pub(super) async fn commit(&self) -> Result<(), Error> {
        let mut saved = Ok(());
        let all = self.assigned();
        all.iter().for_each(|assigned| self.commit_given(assigned));
        for assigned in all {
            let told = self.offsets.save(&self.balance.client, &assigned.owned.queue).await;
            saved = saved.and(told);
        }
        saved
    }

    pub(super) async fn committed(&self, queue: &MessageQueue) -> Result<Option<i64>, Error> {
        self.balance.client.route(&queue.topic).await?;
        self.offsets.kept(&self.balance.client, queue).await
    }

    pub(super) async fn shutdown(&self) -> Result<(), Error> {
        self.tasks.end(Duration::ZERO).await;
        if self.options.auto_commit {
            self.assigned().iter().for_each(|assigned| self.commit_given(assigned));
        }
        let mut saved = Ok(());
        for assigned in self.assigned() {
            let told = self
                .offsets
                .hand_over(&self.balance.client, &assigned.owned.queue)
                .await;
            saved = saved.and(told);
            assigned.owned.drop_it();
        }
        self.offsets.end();
        saved
    }
}

impl Member for Lite {
    fn group(&self) -> Group {
        Group::Consuming(self.balance.group.clone())
    }

    fn topics(&self) -> Vec<String> {
        locked(&self.subscriptions).keys().cloned().collect()
    }

    fn consumer(&self) -> Option<ConsumerData> {
        Some(ConsumerData {
            consume_from_where: self.options.consume_from_where,
            consume_type: ConsumeType::Actively,
            group_name: self.balance.group.clone(),
            message_model: self.balance.message_model,
            subscriptions: locked(&self.subscriptions)
                .values()
                .map(|data| (**data).clone())
                .collect(),
            unit_mode: false,
        })
    }

    fn route_changed(&self, topic: &str) {
        if self.balance.has(topic) {
            self.balance.hurry();
        }
    }

    fn persist(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let queues = self.assigned_queues();
            self.offsets.persist(&self.balance.client, &queues).await;
        })
    }

    fn serve(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Option<Command>> {
        Box::pin(async move {
            if RequestCode(asked.request.code) == RequestCode::NOTIFY_CONSUMER_IDS_CHANGED {
                self.balance.hurry();
            }
            None
        })
    }
}
