//! Makes push consumers: the settings of [`PushConsumerBuilder`], and the start in RocketMQ's order of steps
//! (`DefaultMQPushConsumerImpl.start`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::{Body, CheckClient, ConsumeFromWhere, MessageModel, SubscriptionData};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use tokio::sync::mpsc;

use super::PushConsumer;
use super::options::PushConsumerOptions;
use super::state::{AnyListener, Batch, Push};
use super::stream::{MessageStream, ToStream};
use crate::allocation::AllocateMessageQueueStrategy;
use crate::consumer::home::Home;
use crate::consumer::hook::ConsumeMessageHook;
use crate::consumer::listener::{Concurrently, MessageListenerConcurrently, MessageListenerOrderly, Orderly};
use crate::consumer::offsets::OffsetStore;
use crate::consumer::pull::MASTER;
use crate::error::{Cause, Error};
use crate::instance::{Client, ClientOptions, Member};
use crate::namespace::Namespace;
use crate::subscription::MessageSelector;

/// How long a broker may take to look at a subscription.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// A push consumer that is not started yet: Java's settings (`DefaultMQPushConsumer`) with Java's defaults.
#[must_use = "it consumes nothing until it is started"]
#[derive(Clone)]
pub struct PushConsumerBuilder {
    home: Home,
    options: PushConsumerOptions,
}

/// Writes setters that only set.
macro_rules! settings {
    ($($(#[$text:meta])* $name:ident: $type:ty,)*) => {
        $(
            $(#[$text])*
            pub fn $name(mut self, $name: $type) -> Self {
                self.options.$name = $name;
                self
            }
        )*
    };
}

impl PushConsumerBuilder {
    pub(crate) fn new(group: impl Into<String>) -> Self {
        Self {
            home: Home::default(),
            options: PushConsumerOptions::new(group),
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

    /// Consumes messages of a topic: tags, `*`, or a [`MessageSelector`]. Again for the same topic, the last counts.
    pub fn subscribe(mut self, topic: impl Into<String>, selector: impl Into<MessageSelector>) -> Self {
        self.options.subscriptions.insert(topic.into(), selector.into());
        self
    }

    settings! {
        /// Whether the group's consumers share the messages, or each gets all: they share.
        message_model: MessageModel,
        /// Where the group begins in a queue where it has no offset: at the end.
        consume_from_where: ConsumeFromWhere,
        /// How many calls of the listener run at a time, 1 to 1000: 20 (`consumeThreadMax` in Java).
        consume_concurrency: usize,
        /// How far the messages in hand of a queue may lie apart, 1 to 65535 positions: 2000. Not for orderly listeners.
        consume_concurrently_max_span: usize,
        /// How many messages of a queue may be in hand before pulling waits, 1 to 65535: 1000.
        pull_threshold_for_queue: usize,
        /// How many MiB of a queue may be in hand before pulling waits, 1 to 1024: 100.
        pull_threshold_size_for_queue: usize,
        /// The same limit of messages for all queues of a topic together, 1 to 6553500: none. Where it is set, it counts in
        /// place of that for a queue.
        pull_threshold_for_topic: Option<usize>,
        /// The same limit of MiB for all queues of a topic together, 1 to 102400: none.
        pull_threshold_size_for_topic: Option<usize>,
        /// The time between two pulls from a queue, 0 to 65535 ms: none.
        pull_interval: Duration,
        /// How long a queue waits after a pull that failed: 3 s.
        pull_time_delay_when_exception: Duration,
        /// How many messages a listener gets at a time, 1 to 1024: 1.
        consume_message_batch_max_size: usize,
        /// How many messages a pull asks for, 1 to 1024: 32.
        pull_batch_size: usize,
        /// Whether every pull carries the subscription's expression: no, since heartbeats carry it.
        post_subscription_when_pull: bool,
        /// Whether it belongs to one unit of a deployment in several: no.
        unit_mode: bool,
        /// How often a message may come again before it goes to the dead letters: 16 times for a concurrent listener,
        /// without end for an orderly one.
        max_reconsume_times: Option<i32>,
        /// How long a queue waits that an orderly listener suspends, 10 ms to 30 s: 1 s.
        suspend_current_queue_time: Duration,
        /// Whether what an orderly listener is done with is committed at once, without its `Commit`: yes.
        auto_commit: bool,
        /// How long a listener may take; after that its messages are sent back to come again: 15 min.
        consume_timeout: Duration,
        /// How often queues are shared out anew if nothing changes: 20 s.
        rebalance_interval: Duration,
        /// How long [`PushConsumer::shutdown`] waits for calls of the listener: 30 s.
        await_termination_when_shutdown: Duration,
    }

    /// Where [`ConsumeFromWhere::Timestamp`] begins, in milliseconds since 1970: half an hour before the start.
    pub fn consume_timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.options.consume_timestamp_ms = Some(timestamp_ms);
        self
    }

    /// The directory for the offsets of a broadcasting consumer: `.rocketmq_offsets` at home. Its file there is named by
    /// [`ClientOptions::instance_name`](crate::ClientOptions::instance_name), `DEFAULT` without one, and by the group; one
    /// consumer of the process can have it at a time.
    pub fn local_offset_store_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.options.local_offset_store_dir = Some(directory.into());
        self
    }

    /// How queues are shared out in the group: evenly, in ranges. All consumers of the group need the same.
    pub fn allocate_message_queue_strategy(mut self, strategy: impl AllocateMessageQueueStrategy) -> Self {
        self.options.strategy = Arc::new(strategy);
        self
    }

    /// Shows every call of the listener to a hook.
    pub fn consume_message_hook(mut self, hook: Arc<dyn ConsumeMessageHook>) -> Self {
        self.options.hooks.push(hook);
        self
    }

    /// Starts to consume, in any order and many batches at a time.
    ///
    /// Dropped before it is done, nothing of the consumer runs; messages that its listener had already come again.
    ///
    /// # Errors
    /// When a setting is out of its range, a subscription chooses nothing, or the group is in the client already.
    pub async fn start(self, listener: impl MessageListenerConcurrently) -> Result<PushConsumer, Error> {
        self.start_with(AnyListener::Concurrent(Box::new(Concurrently(listener))))
            .await
    }

    /// Starts to consume each queue in its order.
    ///
    /// Dropped before it is done, as [`PushConsumerBuilder::start`].
    ///
    /// # Errors
    /// As for [`PushConsumerBuilder::start`].
    pub async fn start_orderly(self, listener: impl MessageListenerOrderly) -> Result<PushConsumer, Error> {
        self.start_with(AnyListener::Orderly(Box::new(Orderly(listener)))).await
    }

    /// Starts to consume, and gives the messages as a stream, each to be acknowledged, up to `consume_concurrency` at a time.
    /// There is no `consume_timeout` for them: whoever has a message has it until it says what became of it.
    ///
    /// Dropped before it is done, as [`PushConsumerBuilder::start`].
    ///
    /// # Errors
    /// As for [`PushConsumerBuilder::start`].
    pub async fn start_stream(mut self) -> Result<MessageStream, Error> {
        self.options.consume_message_batch_max_size = 1;
        self.options.consume_timeout = Duration::MAX;
        let (sender, waiting) = mpsc::channel(1);
        let listener = AnyListener::Concurrent(Box::new(ToStream(sender)));
        Ok(MessageStream::new(self.start_with(listener).await?, waiting))
    }

    async fn start_with(self, listener: AnyListener) -> Result<PushConsumer, Error> {
        let Self { home, mut options } = self;
        let namespace = home.namespace.clone();
        options.enter(&namespace);
        options.check().map_err(|what| Cause::Invalid(what).nowhere())?;
        let (client, owns_client) = home.open().await?;
        let directory = options.local_offset_store_dir.as_deref();
        let offsets = OffsetStore::of(&client, &options.group, options.message_model, directory)?;
        let subscriptions = subscriptions(&client, &options)?;
        let (push, waiting) = Push::new(client, namespace, options, listener, offsets);
        subscriptions
            .into_iter()
            .for_each(|subscription| push.subscribe(subscription));
        let consumer = PushConsumer { push, owns_client };
        match consumer.begin(waiting).await {
            Ok(()) => Ok(consumer),
            Err(error) => {
                consumer.shutdown().await.ok();
                Err(error)
            }
        }
    }
}

fn subscriptions(client: &Client, options: &PushConsumerOptions) -> Result<Vec<SubscriptionData>, Error> {
    let now_ms = client.now_ms();
    let made = options.subscriptions.iter().map(|(topic, selector)| {
        let made = selector.subscription(topic, now_ms);
        made.map_err(|error| Cause::Invalid(error.to_string()).nowhere().topic(topic))
    });
    made.collect()
}

impl PushConsumer {
    /// The steps of the start that need servers.
    async fn begin(&self, waiting: mpsc::UnboundedReceiver<Batch>) -> Result<(), Error> {
        let push = &self.push;
        let all = MessageSelector::all();
        if !push.options.is_broadcast() {
            let retry = all.subscription(&push.retry_topic(), push.client.now_ms());
            push.subscribe(retry.map_err(|error| Cause::Invalid(error.to_string()).nowhere())?);
        }
        if push.is_orderly() {
            if push.locks_queues() {
                push.tasks.spawn(Arc::clone(push).keep_locks());
            }
        } else {
            push.tasks.spawn(Arc::clone(push).hand_out(waiting));
            push.tasks.spawn(Arc::clone(push).free_stuck());
        }
        let member: Arc<dyn Member> = Arc::clone(push) as _;
        push.client.join(&member).await?;
        for topic in push.subscribed_topics() {
            if let Err(error) = push.client.refresh_route(&topic).await {
                tracing::debug!(topic, %error, "a subscribed topic has no route yet");
            }
        }
        for subscription in push.subscriptions() {
            self.check(&subscription).await?;
        }
        push.client.heartbeat().await;
        push.tasks.spawn(Arc::clone(push).keep_balance());
        Ok(())
    }

    /// Asks a broker of the topic whether it understands an expression (code 46); tags need no asking.
    pub(super) async fn check(&self, subscription: &SubscriptionData) -> Result<(), Error> {
        let client = &self.push.client;
        if subscription.expression_type == "TAG" {
            return Ok(());
        }
        let Some(route) = client.known_route(&subscription.topic) else {
            return Ok(());
        };
        let brokers = &route.data.broker_datas;
        let Some(broker) = brokers.get(client.chance().below(brokers.len())) else {
            return Ok(());
        };
        let (_, address) = client.reader(&broker.broker_name, MASTER)?;
        let body = CheckClient {
            client_id: client.client_id().to_owned(),
            group: self.push.group().to_owned(),
            subscription_data: subscription.clone(),
        };
        let request = Command::request(RequestCode::CHECK_CLIENT_CONFIG).with_body(body.encode(Style::Standard));
        let checked = client.ask(&address, &request, CHECK_TIMEOUT).await;
        checked.map_err(|error| error.topic(&subscription.topic))?;
        Ok(())
    }
}
