//! What looks on while messages are sent (`SendMessageHook`, `EndTransactionHook` in Java): traces, metrics, tests.

use std::time::Duration;

use cuemq_net::body::MessageQueue;

use super::result::SendResult;
use super::transaction::LocalTransactionState;
use crate::error::Error;
use crate::message::Message;

/// One attempt to send.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// The producer's group.
    pub group: &'a str,
    /// The message, or those of a batch.
    pub messages: &'a [Message],
    /// The id that the client gave the message; of a batch all of them, joined by commas.
    pub msg_id: &'a str,
    /// Where it goes to.
    pub queue: &'a MessageQueue,
    /// The address of the queue's broker, `host:port`.
    pub address: &'a str,
    /// Whether it is a half message of a transaction.
    pub is_transactional: bool,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy)]
pub enum Sent<'a> {
    /// It is stored.
    Stored(&'a SendResult),
    /// It left, and no answer is wanted.
    Oneway,
    /// It failed; it may be tried again.
    Failed(&'a Error),
}

/// A transaction whose end a broker is told (`EndTransactionContext` in Java).
#[derive(Debug, Clone, Copy)]
pub struct EndingTransaction<'a> {
    /// The producer's group.
    pub group: &'a str,
    /// The message's topic.
    pub topic: &'a str,
    /// The id that the client gave the message.
    pub msg_id: &'a str,
    /// The message's tag.
    pub tags: Option<&'a str>,
    /// The message's keys, with spaces between.
    pub keys: Option<&'a str>,
    /// The address of the broker that is told, `host:port`.
    pub address: &'a str,
    /// The transaction's id.
    pub transaction_id: &'a str,
    /// How it ended.
    pub state: LocalTransactionState,
    /// Whether the broker had asked.
    pub is_from_check: bool,
}

/// Looks on. It is called in the sender's task and should be quick.
pub trait SendMessageHook: Send + Sync + 'static {
    /// Called before each attempt.
    fn before(&self, sending: &Sending<'_>) {
        let _ = sending;
    }

    /// Called after each attempt, with what it came to and the time that it took.
    fn after(&self, sending: &Sending<'_>, sent: Sent<'_>, took: Duration) {
        let _ = (sending, sent, took);
    }

    /// Called when a broker was told how a transaction ended.
    fn transaction_ended(&self, ending: &EndingTransaction<'_>) {
        let _ = ending;
    }
}
