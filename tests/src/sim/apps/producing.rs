//! Applications that send. Strict ones name the queue and try once, so that the history knows all that they did; loose ones
//! leave the queue, the tries and the batches to the client.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_client::producer::SendResult;
use cuemq_client::{Error, Message as Outgoing, Outcome, Producer, SendStatus};
use cuemq_storage::entropy::{Entropy, SeededEntropy};
use tokio::time::{sleep, timeout};

use super::host::{AppHost, GONE};
use super::ledger::{CountTries, Ledger, Told};
use crate::sim::body::{Message, QUEUES_PER_TOPIC, Queue, TOPICS};
use crate::sim::history::{Event, History};

/// The topic of messages whose sends may be tried again.
pub(super) const LOOSE_TOPIC: u8 = 2;
/// The number of the first strict sender, and of the first loose one.
const STRICT: u16 = 10;
const LOOSE: u16 = 200;
/// Senders of each kind on a host.
const SENDERS: u16 = 2;
/// How long a send may take.
const SEND: Duration = Duration::from_millis(1500);

/// The next number of each sender, kept over the lives of its host.
pub(super) type Numbers = Rc<[Cell<u32>; 4]>;

/// One life of a host that sends.
pub(super) async fn live(host: AppHost, numbers: Numbers) -> turmoil::Result {
    let life = host.begin();
    let before = AppHost::tasks();
    let strict = Producer::builder("strict")
        .client_options(host.options(life, "strict"))
        .retry_times_when_send_failed(0)
        .send_msg_timeout(SEND)
        .start()
        .await?;
    let gathers = host.number.is_multiple_of(2);
    let mut loose = Producer::builder("loose")
        .client_options(host.options(life, "loose"))
        .send_message_hook(Arc::new(CountTries(Arc::clone(&host.common.ledger))))
        .default_topic_queue_nums(u32::from(QUEUES_PER_TOPIC))
        .send_window(8);
    if gathers {
        loose = loose.auto_batch(Duration::from_millis(8), 4096);
    }
    let loose = loose.start().await?;
    let senders = (0..SENDERS).map(|place| {
        let sender = Sender {
            number: STRICT + host.number * SENDERS + place,
            next: &numbers[usize::from(place)],
            producer: &strict,
            history: &host.common.history,
            entropy: host.entropy(life, u64::from(place)),
        };
        let host = &host;
        async move {
            while !host.order().is_over() {
                sender.turn().await;
            }
        }
    });
    let loosely = (0..SENDERS).map(|place| {
        let sender = LooseSender {
            number: LOOSE + host.number * SENDERS + place,
            next: &numbers[usize::from(SENDERS + place)],
            producer: loose.clone(),
            ledger: &host.common.ledger,
            entropy: host.entropy(life, 16 + u64::from(place)),
        };
        let host = &host;
        async move {
            while !host.order().is_over() {
                sender.turn(gathers).await;
            }
        }
    });
    let all = futures_util::future::join(
        futures_util::future::join_all(senders),
        futures_util::future::join_all(loosely),
    );
    all.await;
    strict.shutdown().await;
    loose.shutdown().await;
    drop((strict, loose));
    host.expect_tasks(before, GONE).await;
    host.done();
    Ok(())
}

struct Sender<'a> {
    number: u16,
    next: &'a Cell<u32>,
    producer: &'a Producer,
    history: &'a History,
    entropy: SeededEntropy,
}

fn next(sender: u16, numbers: &Cell<u32>) -> Message {
    let number = numbers.get();
    numbers.set(number + 1);
    Message { sender, number }
}

impl Sender<'_> {
    fn below(&self, bound: u8) -> u8 {
        u8::try_from(self.entropy.below(u64::from(bound))).unwrap_or_default()
    }

    /// Sends one message or a batch, and waits a little.
    async fn turn(&self) {
        let queue = Queue {
            topic: self.below(TOPICS),
            queue_id: self.below(QUEUES_PER_TOPIC),
        };
        if !self.send(queue).await {
            sleep(Duration::from_millis(50 + self.entropy.below(200))).await;
        }
        sleep(Duration::from_millis(40 + self.entropy.below(260))).await;
    }

    /// Whether it was acknowledged.
    async fn send(&self, queue: Queue) -> bool {
        let queues = self.producer.fetch_publish_message_queues(&queue.topic_name()).await;
        let queues = queues.unwrap_or_default();
        let Some(named) = queues.iter().find(|named| named.queue_id == i32::from(queue.queue_id)) else {
            return false;
        };
        let count = if self.entropy.below(5) == 0 { 3 } else { 1 };
        let flushed = self.entropy.below(8) != 0;
        let messages: Vec<Message> = (0..count).map(|_| next(self.number, self.next)).collect();
        let outgoing: Vec<Outgoing> = messages
            .iter()
            .map(|message| {
                Outgoing::new(queue.topic_name(), message.body())
                    .keys([message.to_string()])
                    .wait_store_msg_ok(flushed)
            })
            .collect();
        self.history.add(Event::Sending {
            queue,
            messages: messages.clone(),
        });
        // now and then the application loses its patience and drops the send
        let patience = match self.entropy.below(10) {
            0 => Duration::from_millis(self.entropy.below(30)),
            _ => 2 * SEND,
        };
        let sent = timeout(patience, async {
            match &outgoing[..] {
                [message] => self.producer.send_to(message.clone(), named).await,
                all => self.producer.send_batch_to(all, named).await,
            }
        });
        let event = match sent.await {
            Ok(sent) => event(queue, messages, flushed, sent),
            Err(_) => Event::Unknown {
                messages,
                why: "dropped".to_owned(),
            },
        };
        let is_acknowledged = matches!(event, Event::Acknowledged { .. });
        self.history.add(event);
        is_acknowledged
    }
}

fn event(queue: Queue, messages: Vec<Message>, flushed: bool, sent: Result<SendResult, Error>) -> Event {
    match sent {
        Ok(sent) if sent.status == SendStatus::SendOk => Event::Acknowledged {
            queue,
            messages,
            queue_offset: sent.queue_offset.cast_unsigned(),
            flushed,
        },
        Ok(sent) => Event::Unknown {
            messages,
            why: format!("{:?}", sent.status),
        },
        Err(error) => match error.trouble().outcome() {
            Outcome::NotDone => Event::Refused {
                messages,
                code: error.code().map_or(-1, |code| code.0),
            },
            Outcome::Unknown => Event::Unknown {
                messages,
                why: error.to_string(),
            },
        },
    }
}

struct LooseSender<'a> {
    number: u16,
    next: &'a Cell<u32>,
    producer: Producer,
    ledger: &'a Arc<Ledger>,
    entropy: SeededEntropy,
}

impl LooseSender<'_> {
    /// Sends a few messages at a time, and waits a little.
    async fn turn(&self, gathers: bool) {
        let topic = Queue {
            topic: LOOSE_TOPIC,
            queue_id: 0,
        };
        let count = 1 + self.entropy.below(6);
        let sends = (0..count).map(|_| {
            let message = next(self.number, self.next);
            self.ledger.told(message, Told::Unknown);
            let outgoing = Outgoing::new(topic.topic_name(), message.body()).keys([message.to_string()]);
            async move {
                let sent = if gathers {
                    self.producer.send(outgoing).await
                } else {
                    match self.producer.send_async(outgoing).await {
                        Ok(pending) => pending.await,
                        Err(error) => Err(error),
                    }
                };
                self.ledger.told(message, told(&sent));
                sent.is_ok()
            }
        });
        let sent = futures_util::future::join_all(sends).await;
        let pause_ms = if sent.iter().all(|is_ok| *is_ok) { 500 } else { 800 };
        sleep(Duration::from_millis(100 + self.entropy.below(pause_ms))).await;
    }
}

fn told(sent: &Result<SendResult, Error>) -> Told {
    match sent {
        Ok(sent) if sent.status == SendStatus::SendOk => Told::Stored {
            queue_id: sent.queue.queue_id,
            queue_offset: sent.queue_offset,
        },
        Err(error) if error.trouble().outcome() == Outcome::NotDone => Told::NotStored,
        _ => Told::Unknown,
    }
}
