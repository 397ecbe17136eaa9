//! What a producer is to be like: Java's names (`DefaultMQProducer`) in Rust's case, and Java's defaults.

use std::sync::Arc;
use std::time::Duration;

use cuemq_net::code::ResponseCode;

use super::Producer;
use super::gather::Gathering;
use super::hook::SendMessageHook;
use super::rules::check_group;
use super::transaction::AnyListener;
use crate::error::Error;
use crate::instance::{CREATE_TOPIC_KEY, Client, ClientOptions};
use crate::namespace::Namespace;

/// The settings of a [`Producer`]; made by [`Producer::builder`].
#[derive(Clone)]
pub struct ProducerBuilder {
    pub(super) group: String,
    pub(super) namespace: Namespace,
    pub(super) client: Option<Client>,
    pub(super) client_options: ClientOptions,
    pub(super) create_topic_key: String,
    pub(super) default_topic_queue_nums: u32,
    pub(super) send_msg_timeout: Duration,
    pub(super) compress_msg_body_over_howmuch: usize,
    pub(super) compress_level: u32,
    pub(super) retry_times_when_send_failed: u32,
    pub(super) retry_times_when_send_async_failed: u32,
    pub(super) retry_another_broker_when_not_store_ok: bool,
    pub(super) retry_response_codes: Vec<ResponseCode>,
    pub(super) max_message_size: usize,
    pub(super) send_latency_fault_enable: bool,
    pub(super) send_window: usize,
    pub(super) gathering: Option<Gathering>,
    pub(super) topics: Vec<String>,
    pub(super) hooks: Vec<Arc<dyn SendMessageHook>>,
    pub(super) enable_msg_trace: bool,
    pub(super) customized_trace_topic: Option<String>,
    pub(super) listener: Option<Arc<dyn AnyListener>>,
}

impl ProducerBuilder {
    pub(super) fn new(group: String) -> Self {
        Self {
            group,
            namespace: Namespace::default(),
            client: None,
            client_options: ClientOptions::new(),
            create_topic_key: CREATE_TOPIC_KEY.to_owned(),
            default_topic_queue_nums: 4,
            send_msg_timeout: Duration::from_secs(3),
            compress_msg_body_over_howmuch: 4096,
            compress_level: 5,
            retry_times_when_send_failed: 2,
            retry_times_when_send_async_failed: 2,
            retry_another_broker_when_not_store_ok: false,
            retry_response_codes: vec![
                ResponseCode::TOPIC_NOT_EXIST,
                ResponseCode::SERVICE_NOT_AVAILABLE,
                ResponseCode::SYSTEM_ERROR,
                ResponseCode::NO_PERMISSION,
                ResponseCode::NO_BUYER_ID,
                ResponseCode::NOT_IN_CURRENT_UNIT,
            ],
            max_message_size: 4 << 20,
            send_latency_fault_enable: false,
            send_window: 1024,
            gathering: None,
            topics: Vec::new(),
            hooks: Vec::new(),
            enable_msg_trace: false,
            customized_trace_topic: None,
            listener: None,
        }
    }

    /// The name servers, `host:port` with `;` between, for a client of this producer's own.
    #[must_use]
    pub fn namesrv_addr(mut self, addresses: impl Into<String>) -> Self {
        self.client_options = self.client_options.namesrv_addr(addresses);
        self
    }

    /// The settings of a client of this producer's own.
    #[must_use]
    pub fn client_options(mut self, options: ClientOptions) -> Self {
        self.client_options = options;
        self
    }

    /// The namespace of its topics and its group: brokers know them as `namespace%name` (`setNamespace` in Java). None by
    /// default. Errors and hooks tell names as brokers know them; wherever a topic or a queue is given, either form will do.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Namespace::new(namespace);
        self
    }

    /// Shares connections and timers with all that are made with this client; the producer's shutdown leaves it running.
    #[must_use]
    pub fn client(mut self, client: &Client) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// The topic whose settings a topic inherits that is made by sending to it: `TBW102`.
    #[must_use]
    pub fn create_topic_key(mut self, topic: impl Into<String>) -> Self {
        self.create_topic_key = topic.into();
        self
    }

    /// How many queues such a topic gets on each broker: 4.
    #[must_use]
    pub fn default_topic_queue_nums(mut self, queues: u32) -> Self {
        self.default_topic_queue_nums = queues;
        self
    }

    /// How long a send may take with all its attempts: 3 s.
    #[must_use]
    pub fn send_msg_timeout(mut self, timeout: Duration) -> Self {
        self.send_msg_timeout = timeout;
        self
    }

    /// From how many bytes on a body is compressed: 4096.
    #[must_use]
    pub fn compress_msg_body_over_howmuch(mut self, bytes: usize) -> Self {
        self.compress_msg_body_over_howmuch = bytes;
        self
    }

    /// How hard bodies are compressed, 0 to 9: 5.
    #[must_use]
    pub fn compress_level(mut self, level: u32) -> Self {
        self.compress_level = level.min(9);
        self
    }

    /// How often [`Producer::send`] tries again: 2 times.
    #[must_use]
    pub fn retry_times_when_send_failed(mut self, times: u32) -> Self {
        self.retry_times_when_send_failed = times;
        self
    }

    /// How often [`Producer::send_async`] tries again: 2 times.
    #[must_use]
    pub fn retry_times_when_send_async_failed(mut self, times: u32) -> Self {
        self.retry_times_when_send_async_failed = times;
        self
    }

    /// Whether a message that is stored less safely than asked for is sent to another broker too, where it is stored a second
    /// time: not by default.
    #[must_use]
    pub fn retry_another_broker_when_not_store_ok(mut self, retry: bool) -> Self {
        self.retry_another_broker_when_not_store_ok = retry;
        self
    }

    /// With which answers [`Producer::send`] tries another broker: 17, 14, 1, 16, 204 and 205.
    #[must_use]
    pub fn retry_response_codes(mut self, codes: impl IntoIterator<Item = ResponseCode>) -> Self {
        self.retry_response_codes = codes.into_iter().collect();
        self
    }

    /// The longest body, in bytes: 4 MiB.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Whether brokers that were slow or failed are avoided for a while: not by default.
    #[must_use]
    pub fn send_latency_fault_enable(mut self, enable: bool) -> Self {
        self.send_latency_fault_enable = enable;
        self
    }

    /// Gathers messages of one topic that [`Producer::send`] is given within `linger` into batches of at most `max_bytes`:
    /// many senders at a time get more through, and each waits up to `linger` longer. Not by default; release 5's client
    /// takes 10 ms and 32 KiB. Delayed messages are sent by themselves. `send_window` bounds how many wait.
    #[must_use]
    pub fn auto_batch(mut self, linger: Duration, max_bytes: usize) -> Self {
        self.gathering = Some(Gathering { linger, max_bytes });
        self
    }

    /// How many messages of [`Producer::send_async`] may be on their way at a time: 1024.
    #[must_use]
    pub fn send_window(mut self, messages: usize) -> Self {
        self.send_window = messages.max(1);
        self
    }

    /// Topics whose routes are asked for at the start, so that the first send need not wait for them, and brokers know the
    /// producer before it has sent anything.
    #[must_use]
    pub fn topics<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.topics.extend(topics.into_iter().map(Into::into));
        self
    }

    /// Whether what happens to messages is told to a topic, where tools find it by a message's id: not by default. Brokers can
    /// forbid it (`TRACE_ON`).
    #[must_use]
    pub fn enable_msg_trace(mut self, enable: bool) -> Self {
        self.enable_msg_trace = enable;
        self
    }

    /// The topic that traces go to, instead of `RMQ_SYS_TRACE_TOPIC`.
    #[must_use]
    pub fn customized_trace_topic(mut self, topic: impl Into<String>) -> Self {
        self.customized_trace_topic = Some(topic.into());
        self
    }

    /// Has a hook look on; hooks are called in the order in which they were given.
    #[must_use]
    pub fn send_message_hook(mut self, hook: Arc<dyn SendMessageHook>) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Starts the producer; it must run in a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// When the group is no name of a group, or in the client already, or no name server is named.
    pub async fn start(mut self) -> Result<Producer, Error> {
        self.group = self.namespace.wrap(&self.group).into_owned();
        let topics = std::mem::take(&mut self.topics).into_iter();
        self.topics = topics.map(|topic| self.namespace.wrap(&topic).into_owned()).collect();
        check_group(&self.group)?;
        Producer::start(self).await
    }
}
