//! Messages that are delivered only if a local transaction commits (`TransactionMQProducer`).
//!
//! The message is stored first where nobody reads it (a half message), then the local transaction runs, then the broker is told
//! how it ended. A broker that was not told asks: whoever produces in the group at that time, be it after a restart.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;

use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::properties::name;
use cuemq_net::message::sysflag::TransactionType;
use cuemq_net::request::{CheckTransaction, EndTransaction};

use super::attempt::Retrying;
use super::hook::EndingTransaction;
use super::result::{SendResult, SendStatus};
use super::{Inner, Producer, ProducerBuilder};
use crate::error::{Cause, Error};
use crate::instance::Asked;
use crate::message::Message;
use crate::network::BoxFuture;
use crate::panics::caught;
use crate::received::ReceivedMessage;

/// How a local transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalTransactionState {
    /// The message is delivered.
    Commit,
    /// The message is dropped.
    Rollback,
    /// It is not decided yet: the broker asks later.
    Unknown,
}

impl LocalTransactionState {
    /// Java's name for it, which traces hold.
    pub(crate) fn java_name(self) -> &'static str {
        match self {
            Self::Commit => "COMMIT_MESSAGE",
            Self::Rollback => "ROLLBACK_MESSAGE",
            Self::Unknown => "UNKNOW",
        }
    }

    fn number(self) -> i32 {
        match self {
            Self::Unknown => 0,
            Self::Commit => TransactionType::Commit.bits(),
            Self::Rollback => TransactionType::Rollback.bits(),
        }
    }
}

/// Any error of an application's.
pub type ListenerError = Box<dyn StdError + Send + Sync>;

/// Runs local transactions, and knows how they ended. An error or a panic means [`LocalTransactionState::Unknown`].
pub trait TransactionListener: Send + Sync + 'static {
    /// Runs the local transaction of a message that is stored; remember how it ended under `transaction_id`, which is the
    /// message's id too.
    fn execute(
        &self,
        message: &Message,
        transaction_id: &str,
    ) -> impl Future<Output = Result<LocalTransactionState, ListenerError>> + Send;

    /// Says how a local transaction ended that a broker asks about: [`ReceivedMessage::message_id`] is the transaction's id.
    /// It may have run in a process that is no more.
    fn check(
        &self,
        message: ReceivedMessage,
    ) -> impl Future<Output = Result<LocalTransactionState, ListenerError>> + Send;
}

/// A listener whose type is forgotten.
pub(super) trait AnyListener: Send + Sync {
    fn execute<'a>(&'a self, message: &'a Message, id: &'a str) -> BoxFuture<'a, Decision>;
    fn check(&self, message: ReceivedMessage) -> BoxFuture<'_, Decision>;
}

/// How it ended, and why that is unknown.
pub(super) struct Decision {
    state: LocalTransactionState,
    remark: Option<String>,
}

impl Decision {
    fn of(what: &str, outcome: Option<Result<LocalTransactionState, ListenerError>>) -> Self {
        let remark = match outcome {
            Some(Ok(state)) => return Self { state, remark: None },
            Some(Err(error)) => format!("{what} failed: {error}"),
            None => format!("{what} panicked"),
        };
        tracing::warn!(%remark, "the outcome of a transaction is unknown");
        Self {
            state: LocalTransactionState::Unknown,
            remark: Some(remark),
        }
    }
}

impl<L: TransactionListener> AnyListener for L {
    fn execute<'a>(&'a self, message: &'a Message, id: &'a str) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            let outcome = caught(|| TransactionListener::execute(self, message, id)).await;
            Decision::of("the local transaction", outcome)
        })
    }

    fn check(&self, message: ReceivedMessage) -> BoxFuture<'_, Decision> {
        Box::pin(async move {
            let outcome = caught(|| TransactionListener::check(self, message)).await;
            Decision::of("the check of the local transaction", outcome)
        })
    }
}

/// Where a half message was stored, and how its local transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionSendResult {
    /// Where it was stored.
    pub sent: SendResult,
    /// How the local transaction ended, as the broker was told.
    pub state: LocalTransactionState,
}

/// Sends messages in transactions. A clone is the same producer.
#[derive(Debug, Clone)]
pub struct TransactionProducer {
    producer: Producer,
}

impl ProducerBuilder {
    /// Starts a producer of messages in transactions. From now on it is asked about transactions of its group that brokers
    /// were not told of: name the [topics](Self::topics) so that their brokers know it before it has sent anything.
    ///
    /// # Errors
    /// As for [`ProducerBuilder::start`].
    pub async fn start_transactional(
        mut self,
        listener: impl TransactionListener,
    ) -> Result<TransactionProducer, Error> {
        self.listener = Some(Arc::new(listener));
        let producer = self.start().await?;
        Ok(TransactionProducer { producer })
    }
}

impl TransactionProducer {
    /// Stores a message where nobody reads it, runs the local transaction, and tells the broker how it ended.
    ///
    /// Dropped while it waits: either the message was not stored, or the broker will ask how the transaction ended. The local
    /// transaction is dropped where it was.
    ///
    /// # Errors
    /// When the message was not stored; the local transaction did not run then.
    pub async fn send_in_transaction(&self, message: Message) -> Result<TransactionSendResult, Error> {
        let inner = &self.producer.inner;
        let delays = [
            name::DELAY,
            name::TIMER_DELAY_MS,
            name::TIMER_DELAY_SECONDS,
            name::TIMER_DELIVER_MS,
        ];
        if delays.iter().any(|name| message.get(name).is_some()) {
            let rule = "a message of a transaction cannot be delayed".to_owned();
            return Err(Cause::Invalid(rule).nowhere().topic(message.topic()));
        }
        let half = message
            .with(name::TRANSACTION_PREPARED, "true")
            .with(name::PRODUCER_GROUP, &inner.options.group);
        let half = [half];
        let prepared = inner.prepare(&half, TransactionType::Prepared)?;
        let sent = inner
            .attempts(&prepared, inner.options.send_msg_timeout, Retrying::Sync)
            .await?;
        let [message] = &half;
        let decision = match (&inner.options.listener, sent.status) {
            (Some(listener), SendStatus::SendOk) => listener.execute(message, &sent.msg_id).await,
            // stored, but not safely enough to build on
            _ => Decision {
                state: LocalTransactionState::Rollback,
                remark: None,
            },
        };
        let state = decision.state;
        if let Err(error) = inner.end_transaction(message, &sent, decision).await {
            tracing::warn!(%error, "a broker was not told how a transaction ended; it will ask");
        }
        Ok(TransactionSendResult { sent, state })
    }

    /// The producer, for messages without a transaction.
    #[must_use]
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Ends the producer; see [`Producer::shutdown`]. Brokers ask others of the group from now on.
    pub async fn shutdown(&self) {
        self.producer.shutdown().await;
    }
}

impl Inner {
    async fn end_transaction(&self, message: &Message, sent: &SendResult, decision: Decision) -> Result<(), Error> {
        let place = |error: Error| error.topic(&sent.queue.topic).broker(&sent.queue.broker_name);
        let id: Result<OffsetMessageId, _> = sent.offset_msg_id.parse();
        let id = id.map_err(|error| place(Cause::Answer(format!("{}: {error}", sent.offset_msg_id)).nowhere()))?;
        let header = EndTransaction {
            producer_group: &self.options.group,
            queue_offset: sent.queue_offset,
            physical_offset: id.physical_offset.cast_signed(),
            commit_or_rollback: decision.state.number(),
            from_transaction_check: false,
            msg_id: &sent.msg_id,
            transaction_id: sent.transaction_id.as_deref(),
        };
        let address = self.client.master(&sent.queue.broker_name).map_err(place)?;
        let state = decision.state;
        self.tell_end(&address, &header, decision.remark).await.map_err(place)?;
        self.tell_hooks(&EndingTransaction {
            group: &self.options.group,
            topic: message.topic(),
            msg_id: &sent.msg_id,
            tags: message.get(name::TAGS),
            keys: message.get(name::KEYS),
            address: &address,
            transaction_id: sent.transaction_id.as_deref().unwrap_or(&sent.msg_id),
            state,
            is_from_check: false,
        });
        Ok(())
    }

    fn tell_hooks(&self, ending: &EndingTransaction<'_>) {
        self.hooks().for_each(|hook| hook.transaction_ended(ending));
    }

    async fn tell_end(&self, address: &str, header: &EndTransaction<'_>, remark: Option<String>) -> Result<(), Error> {
        let mut request = Command::request(RequestCode::END_TRANSACTION)
            .with_header(|fields| header.write(fields))
            .oneway();
        request.remark = remark;
        self.client
            .oneway(address, request, self.options.send_msg_timeout)
            .await
    }

    /// Answers a broker that asks how a transaction ended.
    pub(super) async fn check_transaction(&self, asked: &Asked) -> Result<(), Error> {
        let Some(listener) = &self.options.listener else {
            tracing::warn!(
                group = self.options.group,
                "a producer without transactions is asked about one"
            );
            return Ok(());
        };
        let view = asked.request.view();
        let question = CheckTransaction::read(&view).map_err(Cause::from)?;
        let message = ReceivedMessage::read_one(&asked.request.body, "").map_err(Cause::from)?;
        let message = message.in_namespace(&self.options.namespace);
        let msg_id = message.message_id();
        let decision = listener.check(message.clone()).await;
        let state = decision.state;
        let header = EndTransaction {
            producer_group: &self.options.group,
            queue_offset: question.queue_offset,
            physical_offset: question.physical_offset,
            commit_or_rollback: decision.state.number(),
            from_transaction_check: true,
            msg_id: &msg_id,
            transaction_id: question.transaction_id,
        };
        self.tell_end(&asked.from, &header, decision.remark).await?;
        self.tell_hooks(&EndingTransaction {
            group: &self.options.group,
            topic: message.topic(),
            msg_id: &msg_id,
            tags: message.tags(),
            keys: message.property(name::KEYS),
            address: &asked.from,
            transaction_id: question.transaction_id.unwrap_or(&msg_id),
            state,
            is_from_check: true,
        });
        Ok(())
    }
}
