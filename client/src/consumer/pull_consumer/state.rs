//! What a pull consumer remembers (`DefaultMQPullConsumerImpl` in Java).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuemq_net::body::{
    Body, ConsumeFromWhere, ConsumeType, ConsumerData, ConsumerRunningInfo, ConsumerStatus, MessageQueue,
    SubscriptionData,
};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::request::ClientStatus;

use super::FIRST_BROKER;
use super::builder::PullOptions;
use crate::consumer::balance::{Balance, Changed, Pace};
use crate::consumer::offsets::OffsetStore;
use crate::error::{Cause, Error};
use crate::instance::{Asked, Group, Member, Tasks};
use crate::network::BoxFuture;
use crate::subscription::MessageSelector;

/// One pull consumer.
pub(crate) struct Pull {
    pub(crate) options: PullOptions,
    pub(crate) balance: Balance,
    pub(crate) offsets: OffsetStore,
    pub(crate) tasks: Tasks,
    subscriptions: Mutex<BTreeMap<String, SubscriptionData>>,
    next_brokers: Mutex<BTreeMap<MessageQueue, i64>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // each change is one step, so a panic elsewhere leaves nothing half done
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pull {
    pub(super) fn new(options: PullOptions, balance: Balance, offsets: OffsetStore) -> Arc<Self> {
        Arc::new(Self {
            options,
            balance,
            offsets,
            tasks: Tasks::new(),
            subscriptions: Mutex::default(),
            next_brokers: Mutex::default(),
        })
    }

    pub(crate) fn group(&self) -> &str {
        &self.balance.group
    }

    /// Tells brokers that messages of a topic are pulled, unless they know. All of the topic's: what is chosen of them comes along
    /// with each pull.
    pub(super) async fn subscribe(&self, topic: &str) -> Result<(), Error> {
        if locked(&self.subscriptions).contains_key(topic) {
            return Ok(());
        }
        let now_ms = self.balance.client.now_ms();
        let all = MessageSelector::all().subscription(topic, now_ms);
        let all = all.map_err(|error| Cause::Invalid(error.to_string()).nowhere().topic(topic))?;
        self.balance.client.route(topic).await?;
        locked(&self.subscriptions).insert(topic.to_owned(), all);
        self.balance.client.heartbeat().await;
        Ok(())
    }

    /// Shares a topic's queues out in the group from now on.
    pub(super) async fn share(&self, topic: &str) -> Result<(), Error> {
        self.subscribe(topic).await?;
        if !self.balance.has(topic) {
            self.balance.add(topic);
        }
        Ok(())
    }

    /// Keeps the assignments up to date.
    pub(super) async fn keep_balance(self: Arc<Self>) {
        let mut pace = Pace::default();
        loop {
            for changed in self.balance.round(&mut pace).await {
                self.changed(&changed).await;
            }
        }
    }

    async fn changed(&self, changed: &Changed) {
        for gone in changed.before.ours.difference(&changed.now.ours) {
            if let Err(error) = self.offsets.hand_over(&self.balance.client, gone).await {
                tracing::warn!(queue = ?gone, %error, "how far a queue came is not saved");
            }
        }
        let namespace = &self.balance.namespace;
        let topic = namespace.unwrap(&changed.topic);
        let all = namespace.unwrap_queues(changed.now.all.iter().cloned());
        let ours = namespace.unwrap_queues(changed.now.ours.iter().cloned());
        for listener in &self.options.listeners {
            listener.message_queue_changed(&topic, &all, &ours);
        }
    }

    pub(super) fn next_broker(&self, queue: &MessageQueue) -> i64 {
        locked(&self.next_brokers).get(queue).copied().unwrap_or(FIRST_BROKER)
    }

    pub(super) fn go_on_at(&self, queue: &MessageQueue, broker_id: i64) {
        locked(&self.next_brokers).insert(queue.clone(), broker_id);
    }

    /// The queues whose positions are noted.
    fn noted(&self) -> BTreeSet<MessageQueue> {
        self.offsets.all().into_keys().collect()
    }

    pub(super) async fn shutdown(&self) -> Result<(), Error> {
        self.tasks.end(Duration::ZERO).await;
        let mut saved = Ok(());
        for queue in self.noted() {
            let told = self.offsets.hand_over(&self.balance.client, &queue).await;
            saved = saved.and(told);
        }
        self.offsets.end();
        saved
    }
}

impl Member for Pull {
    fn group(&self) -> Group {
        Group::Consuming(self.balance.group.clone())
    }

    fn topics(&self) -> Vec<String> {
        locked(&self.subscriptions).keys().cloned().collect()
    }

    fn consumer(&self) -> Option<ConsumerData> {
        Some(ConsumerData {
            // nobody begins anywhere but where the application says
            consume_from_where: ConsumeFromWhere::LastOffset,
            consume_type: ConsumeType::Actively,
            group_name: self.balance.group.clone(),
            message_model: self.balance.message_model,
            subscriptions: locked(&self.subscriptions).values().cloned().collect(),
            unit_mode: self.options.unit_mode,
        })
    }

    fn route_changed(&self, topic: &str) {
        if self.balance.has(topic) {
            self.balance.hurry();
        }
    }

    fn persist(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.offsets.persist(&self.balance.client, &self.noted()).await })
    }

    fn serve(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Option<Command>> {
        Box::pin(async move {
            let request = &asked.request;
            let good = || Command::response_to(request, ResponseCode::SUCCESS);
            match RequestCode(request.code) {
                RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => {
                    self.balance.hurry();
                    None
                }
                RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT => {
                    let view = request.view();
                    let header = ClientStatus::read(&view).ok()?;
                    let status = ConsumerStatus {
                        message_queue_table: self.offsets.of_topic(header.topic),
                        ..ConsumerStatus::default()
                    };
                    Some(good().with_body(status.encode(Style::Fastjson)))
                }
                RequestCode::GET_CONSUMER_RUNNING_INFO => {
                    let info = ConsumerRunningInfo {
                        properties: BTreeMap::from([("PROP_CONSUME_TYPE".to_owned(), "CONSUME_ACTIVELY".to_owned())]),
                        subscriptions: locked(&self.subscriptions).values().cloned().collect(),
                        ..ConsumerRunningInfo::default()
                    };
                    Some(good().with_body(info.encode(Style::Fastjson)))
                }
                _ => None,
            }
        })
    }
}
