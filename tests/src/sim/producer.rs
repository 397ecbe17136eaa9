//! Senders: each sends one request after the other, by 310 or 320, with and without waiting for the flush, and notes
//! what the broker said.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::batch::{self, BatchEntry};
use cuemq_net::message::properties::{self, name};
use cuemq_net::request::SendHeader;
use cuemq_net::response::SendResponse;
use cuemq_net::transport::CallError;
use cuemq_storage::entropy::{Entropy, SeededEntropy};

use super::body::{Message, QUEUES_PER_TOPIC, Queue, TOPICS};
use super::client::{Client, DEFAULT_TOPIC};
use super::history::{Event, History};

/// One sender.
pub(super) struct Sender {
    /// Its number.
    pub(super) number: u16,
    /// The connection, shared with others of its host.
    pub(super) client: Rc<Client>,
    /// Where everything is noted.
    pub(super) history: Arc<History>,
    /// Decides what is sent and when.
    pub(super) entropy: SeededEntropy,
    /// The next message's number.
    pub(super) next: u32,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was acknowledged.
    Yes,
    /// It was refused, could not be sent, or nobody knows.
    No,
}

impl Sender {
    /// Sends some request and waits a little.
    pub(super) async fn turn(&mut self) {
        let queue = Queue {
            topic: self.below(TOPICS),
            queue_id: self.below(QUEUES_PER_TOPIC),
        };
        let count = if self.entropy.below(6) == 0 {
            2 + self.entropy.below(4)
        } else {
            1
        };
        let flushed = self.entropy.below(8) != 0;
        self.send(queue, u32::try_from(count).unwrap_or(1), flushed).await;
        tokio::time::sleep(Duration::from_millis(self.entropy.below(20))).await;
    }

    fn below(&self, bound: u8) -> u8 {
        u8::try_from(self.entropy.below(u64::from(bound))).unwrap_or_default()
    }

    /// Sends the next `count` messages in one request.
    pub(super) async fn send(&mut self, queue: Queue, count: u32, flushed: bool) -> Sent {
        let messages: Vec<Message> = (self.next..self.next + count)
            .map(|number| Message {
                sender: self.number,
                number,
            })
            .collect();
        self.next += count;
        let request = request(queue, &messages, flushed);
        self.history.add(Event::Sending {
            queue,
            messages: messages.clone(),
        });
        let answer = self.client.call(&request).await;
        let (event, sent) = match answer {
            Ok(answer) if answer.code == ResponseCode::SUCCESS.0 => {
                (acknowledged(queue, messages, &answer, flushed), Sent::Yes)
            }
            Ok(answer) if is_refusal(answer.code) => (
                Event::Refused {
                    messages,
                    code: answer.code,
                },
                Sent::No,
            ),
            Ok(answer) => {
                let why = format!("{}: {}", answer.code, answer.remark.unwrap_or_default());
                (Event::Unknown { messages, why }, Sent::No)
            }
            Err(error) => (unanswered(messages, &error), Sent::No),
        };
        self.history.add(event);
        if sent == Sent::No {
            // A broker that is away is not asked without a pause.
            tokio::time::sleep(Duration::from_millis(20 + self.entropy.below(60))).await;
        }
        sent
    }
}

/// Whether a code says that nothing was stored.
fn is_refusal(code: i32) -> bool {
    [
        ResponseCode::SYSTEM_BUSY,
        ResponseCode::SERVICE_NOT_AVAILABLE,
        ResponseCode::MESSAGE_ILLEGAL,
        ResponseCode::TOPIC_NOT_EXIST,
        ResponseCode::NO_PERMISSION,
    ]
    .iter()
    .any(|refusal| refusal.0 == code)
}

fn acknowledged(queue: Queue, messages: Vec<Message>, answer: &Command, flushed: bool) -> Event {
    let view = answer.view();
    match SendResponse::read(&view) {
        Ok(header) if header.queue_id == i32::from(queue.queue_id) => Event::Acknowledged {
            queue,
            messages,
            queue_offset: u64::try_from(header.queue_offset).unwrap_or(u64::MAX),
            flushed,
        },
        other => Event::Unknown {
            messages,
            why: format!("an acknowledgement that says something else: {other:?}"),
        },
    }
}

fn unanswered(messages: Vec<Message>, error: &CallError) -> Event {
    match error {
        CallError::Closed | CallError::TooManyPending { .. } | CallError::TooLarge(_) => {
            Event::Refused { messages, code: -1 }
        }
        CallError::Lost | CallError::Timeout(_) => Event::Unknown {
            messages,
            why: error.to_string(),
        },
    }
}

fn request(queue: Queue, messages: &[Message], flushed: bool) -> Command {
    let mut properties = Vec::new();
    let wait = if flushed { "true" } else { "false" };
    let key = messages.first().map(ToString::to_string).unwrap_or_default();
    for (name, value) in [(name::WAIT, wait), (name::KEYS, &key)] {
        let pushed = properties::push(&mut properties, name, value);
        debug_assert!(pushed.is_ok(), "a short property");
    }
    let text = String::from_utf8_lossy(&properties);
    let topic = queue.topic_name();
    let is_batch = messages.len() > 1;
    let header = SendHeader {
        producer_group: "producers",
        topic: &topic,
        default_topic: DEFAULT_TOPIC,
        default_topic_queue_nums: i32::from(QUEUES_PER_TOPIC),
        queue_id: i32::from(queue.queue_id),
        properties: Some(&text),
        reconsume_times: Some(0),
        batch: is_batch,
        ..SendHeader::default()
    };
    let (code, body) = if is_batch {
        (RequestCode::SEND_BATCH_MESSAGE, batch_body(messages, &properties))
    } else {
        (
            RequestCode::SEND_MESSAGE_V2,
            messages.iter().flat_map(|message| message.body()).collect(),
        )
    };
    Command::request(code)
        .with_header(|fields| header.write(fields))
        .with_body(body)
}

fn batch_body(messages: &[Message], properties: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for message in messages {
        let entry = BatchEntry {
            flag: 0,
            body: &message.body(),
            properties,
        };
        let encoded = batch::encode(&entry, &mut body);
        debug_assert!(encoded.is_ok(), "a short entry");
    }
    body
}
