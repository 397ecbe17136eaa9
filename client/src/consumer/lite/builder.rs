//! The settings of a consumer that is polled, and its start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::{ConsumeFromWhere, MessageModel};

use super::LitePullConsumer;
use super::state::Lite;
use crate::allocation::{AllocateMessageQueueStrategy, Averagely};
use crate::consumer::balance::Balance;
use crate::consumer::flow_control::FlowControl;
use crate::consumer::home::Home;
use crate::consumer::offsets::OffsetStore;
use crate::consumer::push::check_group;
use crate::error::{Cause, Error};
use crate::instance::{Client, ClientOptions, Member};
use crate::namespace::Namespace;
use crate::subscription::MessageSelector;

/// What a consumer that is polled is to be like.
#[derive(Clone)]
pub(crate) struct LiteOptions {
    pub(crate) consume_from_where: ConsumeFromWhere,
    pub(crate) consume_timestamp_ms: Option<i64>,
    pub(crate) pull_batch_size: usize,
    pub(crate) pull_threshold_for_all: usize,
    pub(crate) limits: FlowControl,
    pub(crate) auto_commit: bool,
    pub(crate) auto_commit_interval: Duration,
    pub(crate) poll_timeout: Duration,
    pub(crate) pull_time_delay_when_exception: Duration,
}

/// A consumer to be polled that is not started yet: Java's settings (`DefaultLitePullConsumer`) with Java's defaults.
#[must_use = "it gives no messages until it is started"]
#[derive(Clone)]
pub struct LitePullConsumerBuilder {
    home: Home,
    group: String,
    message_model: MessageModel,
    strategy: Arc<dyn AllocateMessageQueueStrategy>,
    rebalance_interval: Duration,
    local_offset_store_dir: Option<PathBuf>,
    subscriptions: Vec<(String, MessageSelector)>,
    options: LiteOptions,
}

impl LitePullConsumerBuilder {
    pub(crate) fn new(group: impl Into<String>) -> Self {
        Self {
            home: Home::default(),
            group: group.into(),
            message_model: MessageModel::Clustering,
            strategy: Arc::new(Averagely),
            rebalance_interval: Duration::from_secs(20),
            local_offset_store_dir: None,
            subscriptions: Vec::new(),
            options: LiteOptions {
                consume_from_where: ConsumeFromWhere::LastOffset,
                consume_timestamp_ms: None,
                pull_batch_size: 10,
                pull_threshold_for_all: 10_000,
                limits: FlowControl {
                    messages: 1000,
                    size_mib: 100,
                    span: Some(2000),
                },
                auto_commit: true,
                auto_commit_interval: Duration::from_secs(5),
                poll_timeout: Duration::from_secs(5),
                pull_time_delay_when_exception: Duration::from_secs(1),
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

    /// Takes messages of a topic, whose queues are shared out in the group: tags, `*`, or a [`MessageSelector`].
    pub fn subscribe(mut self, topic: impl Into<String>, selector: impl Into<MessageSelector>) -> Self {
        self.subscriptions.push((topic.into(), selector.into()));
        self
    }

    /// Whether the group's consumers share the queues, or each has all: they share.
    pub fn message_model(mut self, message_model: MessageModel) -> Self {
        self.message_model = message_model;
        self
    }

    /// Where the group begins in a queue where it has no offset: at the end.
    pub fn consume_from_where(mut self, consume_from_where: ConsumeFromWhere) -> Self {
        self.options.consume_from_where = consume_from_where;
        self
    }

    /// Where [`ConsumeFromWhere::Timestamp`] begins, in milliseconds since 1970: half an hour before the start.
    pub fn consume_timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.options.consume_timestamp_ms = Some(timestamp_ms);
        self
    }

    /// How many messages a pull asks for, and a poll gives at most: 10.
    pub fn pull_batch_size(mut self, messages: usize) -> Self {
        self.options.pull_batch_size = messages;
        self
    }

    /// How many messages may be in hand before pulling waits: 10000.
    pub fn pull_threshold_for_all(mut self, messages: usize) -> Self {
        self.options.pull_threshold_for_all = messages;
        self
    }

    /// How many messages of a queue may be in hand before pulling waits: 1000.
    pub fn pull_threshold_for_queue(mut self, messages: usize) -> Self {
        self.options.limits.messages = messages;
        self
    }

    /// How many MiB of a queue may be in hand before pulling waits: 100.
    pub fn pull_threshold_size_for_queue(mut self, mib: usize) -> Self {
        self.options.limits.size_mib = mib;
        self
    }

    /// How far the messages in hand of a queue may lie apart, in positions: 2000.
    pub fn consume_max_span(mut self, positions: i64) -> Self {
        self.options.limits.span = Some(positions);
        self
    }

    /// Whether what polls gave counts as consumed by itself, without [`LitePullConsumer::commit`]: yes.
    pub fn auto_commit(mut self, auto_commit: bool) -> Self {
        self.options.auto_commit = auto_commit;
        self
    }

    /// How long that takes at least: 5 s.
    pub fn auto_commit_interval(mut self, interval: Duration) -> Self {
        self.options.auto_commit_interval = interval;
        self
    }

    /// How long a poll waits for messages: 5 s.
    pub fn poll_timeout(mut self, timeout: Duration) -> Self {
        self.options.poll_timeout = timeout;
        self
    }

    /// How long a queue waits after a pull that failed: 1 s.
    pub fn pull_time_delay_when_exception(mut self, delay: Duration) -> Self {
        self.options.pull_time_delay_when_exception = delay;
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

    /// The directory for the offsets of a broadcasting consumer: `.rocketmq_offsets` at home. Its file there is named by
    /// [`ClientOptions::instance_name`](crate::ClientOptions::instance_name), `DEFAULT` without one, and by the group; one
    /// consumer of the process can have it at a time.
    pub fn local_offset_store_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.local_offset_store_dir = Some(directory.into());
        self
    }

    fn check(&self) -> Result<(), String> {
        check_group(&self.group)?;
        let size = self.options.pull_batch_size;
        if !(1..=1024).contains(&size) {
            return Err(format!("pull_batch_size is {size}; it may be 1 to 1024"));
        }
        Ok(())
    }

    /// Starts it. Dropped before it is done, nothing of it runs.
    ///
    /// # Errors
    /// When a setting is out of its range, a subscription chooses nothing, or the group is in the client already.
    pub async fn start(mut self) -> Result<LitePullConsumer, Error> {
        let namespace = self.home.namespace.clone();
        self.group = namespace.wrap(&self.group).into_owned();
        self.check().map_err(|what| Cause::Invalid(what).nowhere())?;
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
        let lite = Lite::new(self.options, balance, offsets);
        let member: Arc<dyn Member> = Arc::clone(&lite) as _;
        lite.balance.client.join(&member).await?;
        let consumer = LitePullConsumer { lite, owns_client };
        for (topic, selector) in self.subscriptions {
            if let Err(error) = consumer.lite.subscribe(&namespace.wrap(&topic), selector).await {
                consumer.shutdown().await.ok();
                return Err(error);
            }
        }
        let lite = &consumer.lite;
        lite.tasks.spawn(Arc::clone(lite).keep_balance());
        Ok(consumer)
    }
}
