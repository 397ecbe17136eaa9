//! Message traces (`AsyncTraceDispatcher`): what happens to messages is told to a topic, where tools find it by a message's
//! id. Telling is bounded and never delays what is told of: when more happens than can be told, it is dropped and counted.

mod consuming;
mod record;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cuemq_net::message::properties::name;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::error::Error;
use crate::instance::Client;
use crate::message::Message;
use crate::producer::{EndingTransaction, Producer, SendMessageHook, SendStatus, Sending, Sent};
use record::{DELAY, NORMAL, TRANSACTION_COMMIT, TRANSACTION_HALF};
pub(crate) use record::{TraceRecord, or_null};

/// Where traces go unless another topic is named.
pub(crate) const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";

/// How many records wait to be told.
const WAITING: usize = 2048;
/// How many are told at a time.
const AT_A_TIME: usize = 100;
/// The longest message of them, in bytes.
const MESSAGE_BYTES: usize = 128_000;
/// How long a send of them may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end waits for what is left to be told.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Tells traces. A producer makes its own where `enable_msg_trace` says so; for a consumer, start one and give it as a
/// [`ConsumeMessageHook`](crate::consumer::ConsumeMessageHook).
pub struct TraceDispatcher {
    topic: String,
    clock: Arc<dyn Clock>,
    waiting: mpsc::Sender<Told>,
    dropped: Arc<AtomicU64>,
}

enum Told {
    Record(TraceRecord),
    /// All before it is told.
    UpToHere(oneshot::Sender<()>),
}

impl TraceDispatcher {
    /// Tells of a group's consumers over a client's connections, to `RMQ_SYS_TRACE_TOPIC` or the topic that is named. It
    /// ends once nobody holds it.
    ///
    /// # Errors
    /// When its own producer cannot start.
    pub async fn of_consumers(client: &Client, group: &str, topic: Option<&str>) -> Result<Arc<Self>, Error> {
        Self::start(client, group, "CONSUME", topic).await
    }

    /// The same for either kind, `PRODUCE` or `CONSUME`.
    pub(crate) async fn start(
        client: &Client,
        group: &str,
        kind: &str,
        topic: Option<&str>,
    ) -> Result<Arc<Self>, Error> {
        let topic = topic.unwrap_or(TRACE_TOPIC).to_owned();
        let number = client.chance().below(1 << 20);
        // groups are at most 255 long
        let shortened: String = group.chars().take(180).collect();
        let producer = Producer::builder(format!("_INNER_TRACE_PRODUCER-{shortened}-{kind}-{number}"));
        let producer = producer
            .client(client)
            .send_msg_timeout(TIMEOUT)
            .max_message_size(MESSAGE_BYTES + 4096);
        let producer = Box::pin(producer.start()).await?;
        let (waiting, records) = mpsc::channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let dispatcher = Self {
            topic: topic.clone(),
            clock: Arc::clone(&client.options().clock),
            waiting,
            dropped: Arc::clone(&dropped),
        };
        client.spawn(tell(producer, topic, records, dropped));
        Ok(Arc::new(dispatcher))
    }

    /// Tells a record soon, or drops it.
    pub(crate) fn tell(&self, record: TraceRecord) {
        if self.waiting.try_send(Told::Record(record)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was told so far has left, for at most 3 s.
    pub async fn flush(&self) {
        let (done, told) = oneshot::channel();
        let all = async {
            if self.waiting.send(Told::UpToHere(done)).await.is_ok() {
                // its end without a word means that nobody tells any more
                let _ = told.await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::warn!("the last message traces were not told in time");
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Whether a message is one of traces themselves.
    pub(crate) fn is_own(&self, topic: &str) -> bool {
        topic == self.topic
    }
}

async fn tell(producer: Producer, topic: String, mut records: mpsc::Receiver<Told>, dropped: Arc<AtomicU64>) {
    let mut some = Vec::new();
    while records.recv_many(&mut some, AT_A_TIME).await > 0 {
        let (mut body, mut keys) = (String::new(), BTreeSet::new());
        let mut waits = Vec::new();
        for told in some.drain(..) {
            match told {
                Told::Record(record) => {
                    if body.len() + record.line.len() > MESSAGE_BYTES {
                        send(&producer, &topic, &mut body, &mut keys).await;
                    }
                    body.push_str(&record.line);
                    keys.extend(record.keys);
                }
                Told::UpToHere(done) => waits.push(done),
            }
        }
        send(&producer, &topic, &mut body, &mut keys).await;
        for done in waits {
            // who waited may have lost patience
            let _ = done.send(());
        }
        match dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            dropped => tracing::warn!(dropped, "message traces were dropped: more happens than can be told"),
        }
    }
}

async fn send(producer: &Producer, topic: &str, body: &mut String, keys: &mut BTreeSet<String>) {
    if body.is_empty() {
        return;
    }
    let message = Message::new(topic, std::mem::take(body)).keys(std::mem::take(keys));
    if let Err(error) = producer.send(message).await {
        tracing::warn!(%error, "message traces are lost");
    }
}

impl SendMessageHook for TraceDispatcher {
    fn after(&self, sending: &Sending<'_>, sent: Sent<'_>, took: Duration) {
        let Sent::Stored(result) = sent else { return };
        let Some(message) = sending.messages.first().filter(|message| !self.is_own(message.topic())) else {
            return;
        };
        if !result.is_trace_on {
            return;
        }
        let length: usize = sending.messages.iter().map(|message| message.body().len()).sum();
        let keys = or_null(message.get(name::KEYS));
        let kind = match (sending.is_transactional, message.get(name::DELAY)) {
            (true, _) => TRANSACTION_HALF,
            (false, Some(_)) => DELAY,
            (false, None) => NORMAL,
        };
        let took_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        self.tell(TraceRecord::new(
            &[
                &"Pub",
                &(self.now_ms() - took_ms),
                &or_null(result.region_id.as_deref()),
                &sending.group,
                &message.topic(),
                &result.msg_id,
                &or_null(message.get(name::TAGS)),
                &keys,
                &sending.address,
                &length,
                &took_ms,
                &kind,
                &result.offset_msg_id,
                &(result.status == SendStatus::SendOk),
            ],
            &result.msg_id,
            keys,
        ));
    }

    fn transaction_ended(&self, ending: &EndingTransaction<'_>) {
        let keys = or_null(ending.keys);
        self.tell(TraceRecord::new(
            &[
                &"EndTransaction",
                &self.now_ms(),
                &"null",
                &ending.group,
                &ending.topic,
                &ending.msg_id,
                &or_null(ending.tags),
                &keys,
                &ending.address,
                &TRANSACTION_COMMIT,
                &ending.transaction_id,
                &ending.state.java_name(),
                &ending.is_from_check,
            ],
            ending.msg_id,
            keys,
        ));
    }
}

impl std::fmt::Debug for TraceDispatcher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TraceDispatcher")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
