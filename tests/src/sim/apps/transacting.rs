//! An application that sends what is to come later: delayed messages, and transactions.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cuemq_client::producer::ListenerError;
use cuemq_client::{
    LocalTransactionState, Message as Outgoing, Producer, ReceivedMessage, TransactionListener, TransactionProducer,
};
use cuemq_storage::entropy::{Entropy, SeededEntropy};
use tokio::time::{sleep, timeout};

use super::host::{AppHost, GONE};
use crate::sim::body::{Content, Message};
use crate::sim::later::{DELAY_MS, FIRST, Fate, QUEUE, Waiting};

/// How each transaction ends: the database of the application, which outlives its host.
pub(super) type Decisions = Arc<Mutex<BTreeMap<Message, Fate>>>;

/// The application's listener: it knows what is decided, and does not always say so at once.
struct Listener {
    decisions: Decisions,
    entropy: SeededEntropy,
}

impl Listener {
    fn decided(&self, body: &[u8]) -> LocalTransactionState {
        let Content::Whole(message) = Content::of(body) else {
            return LocalTransactionState::Unknown;
        };
        let decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        match decisions.get(&message) {
            Some(Fate::Committed) => LocalTransactionState::Commit,
            Some(Fate::RolledBack) => LocalTransactionState::Rollback,
            _ => LocalTransactionState::Unknown,
        }
    }

    /// Says it, fails, or does not know, as chance has it.
    async fn say(&self, state: LocalTransactionState) -> Result<LocalTransactionState, ListenerError> {
        sleep(Duration::from_millis(self.entropy.below(20))).await;
        match self.entropy.below(6) {
            0 => Err("the database is away".into()),
            1 => Ok(LocalTransactionState::Unknown),
            _ => Ok(state),
        }
    }
}

impl TransactionListener for Listener {
    async fn execute(&self, message: &Outgoing, _id: &str) -> Result<LocalTransactionState, ListenerError> {
        self.say(self.decided(message.body())).await
    }

    async fn check(&self, message: ReceivedMessage) -> Result<LocalTransactionState, ListenerError> {
        self.say(self.decided(message.body())).await
    }
}

/// One life of the host. Its producer stays until all is read, since brokers ask it.
pub(super) async fn live(host: AppHost, numbers: Rc<Cell<u32>>, decisions: Decisions) -> turmoil::Result {
    let life = host.begin();
    let before = AppHost::tasks();
    let listener = Listener {
        decisions: Arc::clone(&decisions),
        entropy: host.entropy(life, 2),
    };
    let producer = Producer::builder("later")
        .client_options(host.options(life, "later"))
        .default_topic_queue_nums(1)
        .topics([QUEUE.topic_name()])
        .start_transactional(listener)
        .await?;
    let sender = Sender {
        host: &host,
        numbers: &numbers,
        decisions: &decisions,
        entropy: host.entropy(life, 3),
        producer: &producer,
    };
    let sends = &host.common.sends_for_later;
    sends.set(true);
    while !host.order().is_over() {
        sender.turn().await;
    }
    sends.set(false);
    host.until_leave().await;
    producer.shutdown().await;
    drop(producer);
    host.expect_tasks(before, GONE).await;
    host.done();
    Ok(())
}

struct Sender<'a> {
    host: &'a AppHost,
    numbers: &'a Cell<u32>,
    decisions: &'a Decisions,
    entropy: SeededEntropy,
    producer: &'a TransactionProducer,
}

impl Sender<'_> {
    /// Sends one message and waits a little.
    async fn turn(&self) {
        let fate = match self.entropy.below(6) {
            0 | 1 => Fate::Delayed,
            2 | 3 => Fate::Committed,
            4 => Fate::RolledBack,
            _ => Fate::Open,
        };
        let message = Message {
            sender: FIRST,
            number: self.numbers.replace(self.numbers.get() + 1),
        };
        let common = &self.host.common;
        common.history.note(format_args!("{message} {fate:?}"));
        let decide = || self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        decide().insert(message, fate);
        let place = common.waitings.borrow().len();
        common.waitings.borrow_mut().push(Waiting {
            message,
            fate,
            sent_ms: common.clock.elapsed_ms(),
            acknowledged: false,
        });
        let patience = match self.entropy.below(8) {
            0 => Duration::from_millis(self.entropy.below(60)),
            _ => Duration::from_secs(30),
        };
        let acknowledged = timeout(patience, self.send(message, fate)).await.unwrap_or(false);
        if let Some(waiting) = common.waitings.borrow_mut().get_mut(place) {
            waiting.acknowledged = acknowledged;
        }
        common.history.note(format_args!("{message} {fate:?}: {acknowledged}"));
        let pause_ms = if acknowledged { 200 } else { 400 };
        sleep(Duration::from_millis(30 + self.entropy.below(pause_ms))).await;
    }

    /// Whether it is stored.
    async fn send(&self, message: Message, fate: Fate) -> bool {
        let outgoing = Outgoing::new(QUEUE.topic_name(), message.body()).keys([message.to_string()]);
        let producer = self.producer.producer();
        match fate {
            Fate::Delayed if message.number.is_multiple_of(2) => {
                producer.send(outgoing.delay_time_level(1)).await.is_ok()
            }
            Fate::Delayed => {
                let delay = Duration::from_millis(DELAY_MS);
                producer.send(outgoing.delay_time(delay)).await.is_ok()
            }
            Fate::Committed | Fate::RolledBack | Fate::Open => {
                self.producer.send_in_transaction(outgoing).await.is_ok()
            }
        }
    }
}
