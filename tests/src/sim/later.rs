//! Senders of what is not to be read at once: delayed messages, and transactions that are committed, rolled back or left
//! open. They have a queue of their own, in which a message may stand twice, since the broker promises those at least once.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::properties::{self, name};
use cuemq_net::request::{EndTransaction, SendHeader};
use cuemq_net::response::SendResponse;
use cuemq_storage::entropy::{Entropy, SeededEntropy};

use super::body::{Message, Queue};
use super::client::{Client, DEFAULT_TOPIC};
use super::clock::SimClock;
use super::history::History;

/// The queue that all of them go to in the end.
pub(super) const QUEUE: Queue = Queue { topic: 9, queue_id: 0 };
/// The number of the first of the senders.
pub(super) const FIRST: u16 = 500;
/// The delay of level 1, in milliseconds, which is asked for as a time as well.
pub(super) const DELAY_MS: u64 = 1_000;

const GROUP: &str = "transactors";
const COMMIT: i32 = 8;
const ROLLBACK: i32 = 12;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It comes when its delay is over.
    Delayed,
    /// Its transaction is committed.
    Committed,
    /// Its transaction is rolled back.
    RolledBack,
    /// Nobody says how its transaction ended.
    Open,
}

/// A message that is to come later, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The message.
    pub message: Message,
    /// What its sender wants.
    pub fate: Fate,
    /// When it was sent, in milliseconds since the simulation began.
    pub sent_ms: u64,
    /// Whether the broker has acknowledged all that its sender said.
    pub acknowledged: bool,
}

/// All of them, shared by their senders.
pub(super) type Waitings = Rc<RefCell<Vec<Waiting>>>;

/// One sender.
pub(super) struct LaterSender {
    pub(super) number: u16,
    pub(super) client: Rc<Client>,
    pub(super) history: Arc<History>,
    pub(super) clock: Arc<SimClock>,
    pub(super) entropy: SeededEntropy,
    pub(super) waitings: Waitings,
    /// How long the broker keeps messages, where that has an end.
    pub(super) ages: Rc<Cell<Option<Duration>>>,
    pub(super) next: u32,
}

impl LaterSender {
    /// Sends one message, ends its transaction if it has one, asks at times how far the delays have come, and waits a little.
    pub(super) async fn turn(&mut self) {
        let fate = match self.entropy.below(6) {
            // An open transaction keeps its file of the log, whose age is what such a history is about.
            _ if self.ages.get().is_some() => Fate::Delayed,
            0..=2 => Fate::Delayed,
            3 => Fate::Committed,
            4 => Fate::RolledBack,
            _ => Fate::Open,
        };
        let message = Message {
            sender: self.number,
            number: self.next,
        };
        self.next += 1;
        let waiting = Waiting {
            message,
            fate,
            sent_ms: self.clock.elapsed_ms(),
            acknowledged: false,
        };
        let place = self.waitings.borrow().len();
        self.waitings.borrow_mut().push(waiting);
        let acknowledged = self.send(message, fate).await;
        if let Some(waiting) = self.waitings.borrow_mut().get_mut(place) {
            waiting.acknowledged = acknowledged;
        }
        self.history.note(format_args!("{message} {fate:?}: {acknowledged}"));
        if self.entropy.below(8) == 0 {
            // Also its owner's messages are there to be struck.
            self.asked(&Command::request(RequestCode::GET_ALL_DELAY_OFFSET)).await;
        }
        let pause_ms = if acknowledged { 40 } else { 100 };
        tokio::time::sleep(Duration::from_millis(10 + self.entropy.below(pause_ms))).await;
    }

    /// Whether the broker has acknowledged all that was said.
    async fn send(&self, message: Message, fate: Fate) -> bool {
        let Some(answer) = self.asked(&request(message, fate)).await else {
            return false;
        };
        let how = match fate {
            Fate::Delayed | Fate::Open => return true,
            Fate::Committed => COMMIT,
            Fate::RolledBack => ROLLBACK,
        };
        let Some(end) = end(&answer, how) else { return false };
        self.asked(&end).await.is_some()
    }

    async fn asked(&self, request: &Command) -> Option<Command> {
        let answer = self.client.call(request).await.ok()?;
        (answer.code == ResponseCode::SUCCESS.0).then_some(answer)
    }
}

fn request(message: Message, fate: Fate) -> Command {
    let key = message.to_string();
    let own: &[(&str, &str)] = match fate {
        // By a level, or by a time of its own.
        Fate::Delayed if message.number.is_multiple_of(2) => &[(name::DELAY, "1")],
        Fate::Delayed => &[(name::TIMER_DELAY_MS, "1000")],
        Fate::Committed | Fate::RolledBack | Fate::Open => {
            &[(name::TRANSACTION_PREPARED, "true"), (name::PRODUCER_GROUP, GROUP)]
        }
    };
    let mut properties = Vec::new();
    for (name, value) in own.iter().copied().chain([(name::KEYS, key.as_str())]) {
        let pushed = properties::push(&mut properties, name, value);
        debug_assert!(pushed.is_ok(), "a short property");
    }
    let text = String::from_utf8_lossy(&properties);
    let topic = QUEUE.topic_name();
    let header = SendHeader {
        producer_group: GROUP,
        topic: &topic,
        default_topic: DEFAULT_TOPIC,
        default_topic_queue_nums: 1,
        queue_id: i32::from(QUEUE.queue_id),
        properties: Some(&text),
        reconsume_times: Some(0),
        ..SendHeader::default()
    };
    Command::request(RequestCode::SEND_MESSAGE_V2)
        .with_header(|fields| header.write(fields))
        .with_body(message.body())
}

/// The end of the transaction whose half message was acknowledged so.
fn end(answer: &Command, commit_or_rollback: i32) -> Option<Command> {
    let view = answer.view();
    let header = SendResponse::read(&view).ok()?;
    let id: OffsetMessageId = header.msg_id.parse().ok()?;
    let end = EndTransaction {
        producer_group: GROUP,
        queue_offset: header.queue_offset,
        physical_offset: i64::try_from(id.physical_offset).ok()?,
        commit_or_rollback,
        from_transaction_check: false,
        msg_id: "",
        transaction_id: None,
    };
    Some(Command::request(RequestCode::END_TRANSACTION).with_header(|fields| end.write(fields)))
}
