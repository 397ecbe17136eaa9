//! Producers (`DefaultMQProducer`).
//!
//! | file | what |
//! |---|---|
//! | `options` | the settings |
//! | `rules` | what is refused before anything is sent |
//! | `prepared` | a message as it leaves: ids, properties, compressed; batches |
//! | `choice`, `fault` | which queue it goes to |
//! | `attempt` | one send, and the next after a failure |
//! | `gather` | messages that come one by one, sent in batches |
//! | `transaction` | half messages, local transactions, checks |
//! | `recall` | delayed messages taken back |
//! | `replies` | requests that wait for a reply |
//! | `pending` | sends in the background, so many at a time |
//! | `hook`, `result` | who looks on, what came of it |

mod attempt;
mod choice;
mod fault;
mod gather;
mod hook;
mod options;
mod pending;
mod prepared;
mod recall;
mod replies;
mod result;
mod rules;
mod transaction;

#[cfg(test)]
mod rules_test;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cuemq_net::body::MessageQueue;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::id::UniqueIds;
use cuemq_net::message::sysflag::TransactionType;
use tokio::sync::Semaphore;

use crate::error::{Cause, Error};
use crate::instance::{Asked, Client, Group, Member};
use crate::message::Message;
use crate::network::BoxFuture;
use crate::trace::TraceDispatcher;
use attempt::Retrying;
use choice::Turns;
use fault::Faults;
use gather::Gathered;
use prepared::{Prepared, Preparing};
use replies::Waiting;

pub use choice::by_hash;
pub use hook::{EndingTransaction, SendMessageHook, Sending, Sent};
pub use options::ProducerBuilder;
pub use pending::PendingSend;
pub use result::{SendResult, SendStatus};
pub(crate) use rules::check_topic;
pub use transaction::{
    ListenerError, LocalTransactionState, TransactionListener, TransactionProducer, TransactionSendResult,
};

/// Sends messages. A clone is the same producer.
///
/// Whatever the method: a message that breaks a rule is [`Error::Fix`], and nothing was sent. With any other error,
/// [`Trouble::outcome`](crate::Trouble::outcome) says whether the message may be stored all the same. A message that is sent
/// again within one call keeps its id, so that consumers can tell that they had it.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    owns_client: bool,
    options: ProducerBuilder,
    ids: UniqueIds,
    turns: Turns,
    faults: Faults,
    published: Mutex<BTreeSet<String>>,
    window: Arc<Semaphore>,
    gathered: Gathered,
    waiting: Waiting,
    /// Set once it has started, since it is a producer itself.
    trace: OnceLock<Arc<TraceDispatcher>>,
    /// Whether the brokers are of release 4.3.0, which alone calls the topic otherwise whose settings new ones inherit.
    has_old_key: AtomicBool,
    is_shut: AtomicBool,
}

impl Producer {
    /// Settings of a producer of a group; they begin as Java's.
    #[must_use]
    pub fn builder(group: impl Into<String>) -> ProducerBuilder {
        ProducerBuilder::new(group.into())
    }

    async fn start(options: ProducerBuilder) -> Result<Self, Error> {
        let (client, owns_client) = match &options.client {
            Some(client) => (client.clone(), false),
            None => (options.client_options.clone().start().await?, true),
        };
        let number = u32::try_from(client.chance().next() >> 32).unwrap_or_default();
        let topics = options.topics.iter().chain([&options.create_topic_key]);
        let inner = Arc::new(Inner {
            ids: UniqueIds::new(client.own_ip(), client.options().process_id, number),
            turns: Turns::default(),
            faults: Faults::default(),
            published: Mutex::new(topics.cloned().collect()),
            window: Arc::new(Semaphore::new(options.send_window)),
            gathered: Gathered::default(),
            waiting: Waiting::default(),
            trace: OnceLock::new(),
            has_old_key: AtomicBool::new(false),
            is_shut: AtomicBool::new(false),
            client,
            owns_client,
            options,
        });
        for topic in inner.topics() {
            // not there yet, or no name server yet: the first send asks again
            if let Err(error) = inner.client.route(&topic).await {
                tracing::debug!(topic, %error, "a producer starts without a route");
            }
        }
        let member: Arc<dyn Member> = Arc::clone(&inner) as Arc<dyn Member>;
        let started = async {
            inner.client.join(&member).await?;
            inner.start_trace().await
        };
        let started = started.await;
        if let (Err(_), true) = (&started, owns_client) {
            inner.client.shutdown().await;
        }
        started.map(|()| Self { inner })
    }

    /// The client whose connections it uses.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Its group.
    #[must_use]
    pub fn group(&self) -> &str {
        let options = &self.inner.options;
        options.namespace.unwrap_group(&options.group)
    }

    /// Sends a message and waits until it is stored as safely as the broker makes it; a queue is chosen, and another broker's
    /// after a failure.
    ///
    /// Dropped while it waits, the message may have been sent, and is not sent again.
    ///
    /// # Errors
    /// When it was not stored within `send_msg_timeout` and `retry_times_when_send_failed`.
    pub async fn send(&self, message: Message) -> Result<SendResult, Error> {
        if let Some(gathering) = self
            .inner
            .options
            .gathering
            .filter(|_| gather::gathers(&self.inner, &message))
        {
            return gather::send(&self.inner, gathering, message).await;
        }
        let messages = [message];
        let prepared = self.inner.prepare(&messages, TransactionType::None)?;
        self.inner
            .attempts(&prepared, self.inner.options.send_msg_timeout, Retrying::Sync)
            .await
    }

    /// Sends a message to a queue, once.
    ///
    /// Dropped while it waits, the message may have been sent.
    ///
    /// # Errors
    /// When it was not stored within `send_msg_timeout`, or the queue is another topic's.
    pub async fn send_to(&self, message: Message, queue: &MessageQueue) -> Result<SendResult, Error> {
        let messages = [message];
        let prepared = self.inner.prepare(&messages, TransactionType::None)?;
        let queue = &*self.inner.options.namespace.wrap_queue(queue);
        of_topic(queue, &prepared.topic)?;
        self.inner
            .attempt(&prepared, &Arc::new(queue.clone()), self.inner.options.send_msg_timeout)
            .await
    }

    /// Sends a message, once, to the queue that `select` takes of those of the topic; [`by_hash`] always takes the same for
    /// a key, so that messages of one key stay in order.
    ///
    /// Dropped while it waits, the message may have been sent.
    ///
    /// # Errors
    /// When it was not stored within `send_msg_timeout`, or `select` takes none.
    pub async fn send_by<F>(&self, message: Message, select: F) -> Result<SendResult, Error>
    where
        F: FnOnce(&[MessageQueue]) -> Option<&MessageQueue>,
    {
        let messages = [message];
        let prepared = self.inner.prepare(&messages, TransactionType::None)?;
        let queue = self.inner.selected(&prepared.topic, select).await?;
        self.inner
            .attempt(&prepared, &queue, self.inner.options.send_msg_timeout)
            .await
    }

    /// Sends messages of one topic, to be stored together, in one queue, one behind the other; another broker's after a failure.
    /// [`Producer::split`] makes batches that are not too long.
    ///
    /// Dropped while it waits, the messages may have been sent: all of them, or none.
    ///
    /// # Errors
    /// As for [`Producer::send`]; besides when they differ in topic or WAIT, are delayed, or are too long together.
    pub async fn send_batch(&self, messages: &[Message]) -> Result<SendResult, Error> {
        let prepared = self.inner.prepare_batch(messages)?;
        self.inner
            .attempts(&prepared, self.inner.options.send_msg_timeout, Retrying::Sync)
            .await
    }

    /// The same to a queue, once.
    ///
    /// # Errors
    /// As for [`Producer::send_to`] and [`Producer::send_batch`].
    pub async fn send_batch_to(&self, messages: &[Message], queue: &MessageQueue) -> Result<SendResult, Error> {
        let prepared = self.inner.prepare_batch(messages)?;
        let queue = &*self.inner.options.namespace.wrap_queue(queue);
        of_topic(queue, &prepared.topic)?;
        self.inner
            .attempt(&prepared, &Arc::new(queue.clone()), self.inner.options.send_msg_timeout)
            .await
    }

    /// Cuts messages into batches that are not too long: each fits `max_message_size`, unless a single message does not.
    #[must_use]
    pub fn split(&self, messages: Vec<Message>) -> Vec<Vec<Message>> {
        prepared::split(messages, self.inner.options.max_message_size)
    }

    /// Sends a message and waits for no answer: done when it is on its way. Whether it is stored, nobody tells.
    ///
    /// Dropped while it waits, the message may have been sent.
    ///
    /// # Errors
    /// When no broker can be reached; nothing was sent then.
    pub async fn send_oneway(&self, message: Message) -> Result<(), Error> {
        let messages = [message];
        let prepared = self.inner.prepare(&messages, TransactionType::None)?;
        let queue = self.inner.next_queue(&prepared.topic).await?;
        self.inner.attempt_oneway(&prepared, &queue).await
    }

    /// The same to a queue.
    ///
    /// # Errors
    /// As for [`Producer::send_oneway`].
    pub async fn send_oneway_to(&self, message: Message, queue: &MessageQueue) -> Result<(), Error> {
        let messages = [message];
        let prepared = self.inner.prepare(&messages, TransactionType::None)?;
        let queue = &*self.inner.options.namespace.wrap_queue(queue);
        of_topic(queue, &prepared.topic)?;
        self.inner.attempt_oneway(&prepared, queue).await
    }

    /// Waits until fewer than `send_window` messages are on their way, and sends one in the background: the application goes
    /// on, and asks for the outcome when it wants to. It is tried again after failures of the network alone.
    ///
    /// Dropped while it waits, nothing was sent. Once it has returned, the message is sent whatever happens to the
    /// [`PendingSend`]; the outcome of one that was dropped is told to hooks alone.
    ///
    /// # Errors
    /// When the message breaks a rule, or the producer is shut down.
    pub async fn send_async(&self, message: Message) -> Result<PendingSend, Error> {
        pending::send(&self.inner, message).await
    }

    /// The queues of a topic that can be sent to.
    ///
    /// # Errors
    /// When there is no such topic and none can be made by sending to it.
    pub async fn fetch_publish_message_queues(&self, topic: &str) -> Result<Vec<MessageQueue>, Error> {
        let namespace = &self.inner.options.namespace;
        let topic = namespace.wrap(topic);
        check_topic(&topic)?;
        let route = self.inner.publish_route(&topic).await?;
        Ok(namespace.unwrap_queues(route.publish.iter().cloned()))
    }

    /// Ends the producer: sends in the background are waited for, brokers are told that it leaves, and with a client of its
    /// own every task is over when this returns.
    pub async fn shutdown(&self) {
        self.inner.is_shut.store(true, Ordering::Release);
        gather::leave_all(&self.inner);
        let all = u32::try_from(self.inner.options.send_window).unwrap_or(u32::MAX);
        drop(self.inner.window.acquire_many(all).await);
        self.inner.window.close();
        if let Some(trace) = self.inner.trace.get() {
            trace.flush().await;
        }
        self.inner.client.leave(&self.inner.group()).await;
        if self.inner.owns_client {
            self.inner.client.shutdown().await;
        }
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Producer")
            .field("group", &self.group())
            .finish_non_exhaustive()
    }
}

fn of_topic(queue: &MessageQueue, topic: &str) -> Result<(), Error> {
    if queue.topic == topic {
        return Ok(());
    }
    let rule = format!("the queue is of topic {}", queue.topic);
    Err(Cause::Invalid(rule)
        .nowhere()
        .topic(topic)
        .queue(&queue.broker_name, queue.queue_id))
}

impl Inner {
    fn preparing(&self) -> Preparing<'_> {
        Preparing {
            ids: &self.ids,
            namespace: &self.options.namespace,
            now_ms: self.client.now_ms(),
            compress_over: self.options.compress_msg_body_over_howmuch,
            compress_level: self.options.compress_level,
        }
    }

    /// Everybody who looks on.
    fn hooks(&self) -> impl Iterator<Item = &dyn SendMessageHook> {
        let trace = self.trace.get().map(|trace| trace.as_ref() as &dyn SendMessageHook);
        self.options.hooks.iter().map(AsRef::as_ref).chain(trace)
    }

    async fn start_trace(&self) -> Result<(), Error> {
        if !self.options.enable_msg_trace {
            return Ok(());
        }
        let topic = self.options.customized_trace_topic.as_deref();
        let trace = TraceDispatcher::start(&self.client, &self.options.group, "PRODUCE", topic).await?;
        // it starts once
        let _ = self.trace.set(trace);
        Ok(())
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_shut.load(Ordering::Acquire) {
            return Err(Cause::ShutDown.nowhere());
        }
        Ok(())
    }

    fn prepare<'a>(&self, messages: &'a [Message; 1], transaction: TransactionType) -> Result<Prepared<'a>, Error> {
        self.check_open()?;
        for message in messages {
            rules::check_message(message, self.options.max_message_size)?;
        }
        let prepared = Prepared::one(messages, &self.preparing(), transaction);
        check_topic(&prepared.topic)?;
        Ok(prepared)
    }

    fn prepare_batch<'a>(&self, messages: &'a [Message]) -> Result<Prepared<'a>, Error> {
        self.check_open()?;
        let max = self.options.max_message_size;
        for message in messages {
            rules::check_message(message, max)?;
        }
        let prepared = Prepared::batch(messages, &self.preparing())?;
        if prepared.body.len() > max {
            let rule = format!(
                "the batch has {} bytes, more than max_message_size {max}: split it",
                prepared.body.len()
            );
            return Err(Cause::Invalid(rule).nowhere().topic(&prepared.topic));
        }
        Ok(prepared)
    }

    async fn selected<F>(&self, topic: &str, select: F) -> Result<Arc<MessageQueue>, Error>
    where
        F: FnOnce(&[MessageQueue]) -> Option<&MessageQueue>,
    {
        let route = self.publish_route(topic).await?;
        let none = || {
            Cause::Invalid("the selector takes no queue".to_owned())
                .nowhere()
                .topic(topic)
        };
        let namespace = &self.options.namespace;
        if namespace.name().is_none() {
            return select(&route.publish).cloned().map(Arc::new).ok_or_else(none);
        }
        let seen: Vec<MessageQueue> = namespace.unwrap_queues(route.publish.iter().cloned());
        let selected = select(&seen).map(|queue| namespace.wrap_queue(queue).into_owned());
        selected.map(Arc::new).ok_or_else(none)
    }

    /// Remembers that a topic is sent to, so that its route is asked for again from time to time.
    fn publishes(&self, topic: &str) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        if !published.contains(topic) {
            published.insert(topic.to_owned());
        }
    }
}

impl Member for Inner {
    fn group(&self) -> Group {
        Group::Producing(self.options.group.clone())
    }

    fn topics(&self) -> Vec<String> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.iter().cloned().collect()
    }

    fn serve(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Option<Command>> {
        Box::pin(async move {
            match RequestCode(asked.request.code) {
                RequestCode::CHECK_TRANSACTION_STATE => {
                    if let Err(error) = self.check_transaction(&asked).await {
                        tracing::warn!(from = %asked.from, %error, "a broker is not told how a transaction ended");
                    }
                    None
                }
                RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT => {
                    let is_mine = self.waiting.take(&asked.request, &self.options.namespace);
                    is_mine.then(|| Command::response_to(&asked.request, ResponseCode::SUCCESS))
                }
                _ => None,
            }
        })
    }
}
