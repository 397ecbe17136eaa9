//! The settings of a pull consumer, and its start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::MessageModel;

use super::state::Pull;
use super::{MessageQueueListener, PullConsumer};
use crate::allocation::{AllocateMessageQueueStrategy, Averagely};
use crate::consumer::balance::Balance;
use crate::consumer::home::Home;
use crate::consumer::offsets::OffsetStore;
use crate::consumer::push::check_group;
use crate::error::{Cause, Error};
use crate::instance::{Client, ClientOptions, Member};
use crate::namespace::Namespace;

/// What a pull consumer is to be like.
#[derive(Clone)]
pub(crate) struct PullOptions {
    pub(crate) broker_suspend_max_time: Duration,
    pub(crate) consumer_timeout_when_suspend: Duration,
    pub(crate) consumer_pull_timeout: Duration,
    pub(crate) max_reconsume_times: i32,
    pub(crate) unit_mode: bool,
    pub(crate) listeners: Vec<Arc<dyn MessageQueueListener>>,
}

/// A pull consumer that is not started yet: Java's settings (`DefaultMQPullConsumer`) with Java's defaults.
#[must_use = "it can pull nothing until it is started"]
#[derive(Clone)]
pub struct PullConsumerBuilder {
    home: Home,
    group: String,
    message_model: MessageModel,
    strategy: Arc<dyn AllocateMessageQueueStrategy>,
    rebalance_interval: Duration,
    local_offset_store_dir: Option<PathBuf>,
    topics: Vec<String>,
    options: PullOptions,
}

impl PullConsumerBuilder {
    pub(crate) fn new(group: impl Into<String>) -> Self {
        Self {
            home: Home::default(),
            group: group.into(),
            message_model: MessageModel::Clustering,
            strategy: Arc::new(Averagely),
            rebalance_interval: Duration::from_secs(20),
            local_offset_store_dir: None,
            topics: Vec::new(),
            options: PullOptions {
                broker_suspend_max_time: Duration::from_secs(20),
                consumer_timeout_when_suspend: Duration::from_secs(30),
                consumer_pull_timeout: Duration::from_secs(10),
                max_reconsume_times: 16,
                unit_mode: false,
                listeners: Vec::new(),
            },
        }
    }

    /// The name servers, `host:port` with `;` between, for a client of this consumer's own.
    pub fn namesrv_addr(mut self, addresses: impl Into<String>) -> Self {
        self.home.namesrv_addr(addresses.into());
        self
    }

    /// The settings of a client of this consumer's own.
    pub fn client_options(mut self, options: ClientOptions) -> Self {
        self.home.own(options);
        self
    }

    /// The namespace of its topics and its group: brokers know them as `namespace%name` (`setNamespace` in Java). None by
    /// default. Queues and errors tell names as brokers know them unless they say otherwise; wherever a topic or a queue is
    /// given, either form will do.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.home.namespace = Namespace::new(namespace);
        self
    }

    /// Shares connections and timers with all that are made with this client; the consumer's shutdown leaves it running.
    pub fn client(mut self, client: &Client) -> Self {
        self.home.share(client);
        self
    }

    /// Shares out the queues of a topic in the group from the start on.
    pub fn register_topic(mut self, topic: impl Into<String>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// Tells a listener when queues come and go.
    pub fn message_queue_listener(mut self, listener: impl MessageQueueListener) -> Self {
        self.options.listeners.push(Arc::new(listener));
        self
    }

    /// Whether the group's consumers share the queues, or each has all: they share.
    pub fn message_model(mut self, message_model: MessageModel) -> Self {
        self.message_model = message_model;
        self
    }

    /// How queues are shared out in the group: evenly, in ranges.
    pub fn allocate_message_queue_strategy(mut self, strategy: impl AllocateMessageQueueStrategy) -> Self {
        self.strategy = Arc::new(strategy);
        self
    }

    /// How often queues are shared out anew if nothing changes: 20 s.
    pub fn rebalance_interval(mut self, interval: Duration) -> Self {
        self.rebalance_interval = interval;
        self
    }

    /// The directory for the positions of a broadcasting consumer: `.rocketmq_offsets` at home.
    pub fn local_offset_store_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.local_offset_store_dir = Some(directory.into());
        self
    }

    /// How long a broker waits for a message in [`PullConsumer::pull_block_if_not_found`]: 20 s.
    pub fn broker_suspend_max_time(mut self, time: Duration) -> Self {
        self.options.broker_suspend_max_time = time;
        self
    }

    /// How long such a pull may take in all: 30 s.
    pub fn consumer_timeout_when_suspend(mut self, timeout: Duration) -> Self {
        self.options.consumer_timeout_when_suspend = timeout;
        self
    }

    /// How long any other pull may take: 10 s.
    pub fn consumer_pull_timeout(mut self, timeout: Duration) -> Self {
        self.options.consumer_pull_timeout = timeout;
        self
    }

    /// How often a message may come again before it goes to the dead letters: 16 times.
    pub fn max_reconsume_times(mut self, times: i32) -> Self {
        self.options.max_reconsume_times = times;
        self
    }

    /// Whether it belongs to one unit of a deployment in several: no.
    pub fn unit_mode(mut self, unit_mode: bool) -> Self {
        self.options.unit_mode = unit_mode;
        self
    }

    /// Starts it. Dropped before it is done, nothing of it runs.
    ///
    /// # Errors
    /// When the group may not be called so, or is in the client already, or no name server is named.
    pub async fn start(mut self) -> Result<PullConsumer, Error> {
        let namespace = self.home.namespace.clone();
        self.group = namespace.wrap(&self.group).into_owned();
        check_group(&self.group).map_err(|what| Cause::Invalid(what).nowhere())?;
        let (client, owns_client) = self.home.open().await?;
        let directory = self.local_offset_store_dir.as_deref();
        let offsets = OffsetStore::of(&client, &self.group, self.message_model, directory)?;
        let balance = Balance::new(
            client,
            namespace.clone(),
            self.group,
            self.message_model,
            self.strategy,
            self.rebalance_interval,
        );
        let pull = Pull::new(self.options, balance, offsets);
        let member: Arc<dyn Member> = Arc::clone(&pull) as _;
        pull.balance.client.join(&member).await?;
        let consumer = PullConsumer { pull, owns_client };
        for topic in &self.topics {
            let topic = &*namespace.wrap(topic);
            if let Err(error) = consumer.pull.share(topic).await {
                tracing::debug!(topic, %error, "a topic to share out has no route yet");
                consumer.pull.balance.add(topic);
            }
        }
        let pull = &consumer.pull;
        pull.tasks.spawn(Arc::clone(pull).keep_balance());
        Ok(consumer)
    }
}
