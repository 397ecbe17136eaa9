//! What the broker itself appends: messages that come back from consumers, that were set aside and go to their topic now,
//! and what is kept of transactions. It goes the way of a send, and whoever has it appended waits until it is as safe as an
//! acknowledged message: only then the source of it counts as done, whatever the message says of waiting.

use std::net::SocketAddr;
use std::sync::Arc;

use actix::Recipient;
use cuemq_net::message::id::UniqueIds;
use cuemq_net::message::properties;
use cuemq_net::message::record::{Record, RecordError, RecordFields};
use cuemq_storage::clock::Clock;
use cuemq_storage::commit_log::RecordBatch;
use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::log_state::Outcome;
use cuemq_storage::queue_directory::QueueDirectory;
use tokio::sync::oneshot;

use crate::commit_log::{Reappend, SendGate};
use crate::io::send_context::{SendBatch, SendContext};
use crate::topic::TopicView;
use crate::traffic::ThreadTraffic;

/// Why something was not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAppended {
    /// Nothing was written.
    #[error("service not available now, nothing was written: {0}")]
    Refused(String),
    /// The store failed, or the log starts anew: it may be there or not.
    #[error("outcome unknown: the store failed while the message was being written; it may be there after a restart")]
    Unknown,
}

/// The way to the log for the broker's own records.
#[derive(Clone)]
pub struct Reappender {
    /// The log.
    pub log: Recipient<Reappend>,
    /// Whether there is room.
    pub gate: Arc<SendGate>,
    /// Where queues have their slots.
    pub queues: Arc<QueueDirectory>,
    /// The delays of messages that are set aside.
    pub levels: DelayLevels,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The broker's address in records.
    pub store_host: SocketAddr,
    /// Names the messages of the broker's own.
    pub ids: Arc<UniqueIds>,
    /// The topics.
    pub topics: TopicView,
    /// Counts what is appended.
    pub traffic: Arc<ThreadTraffic>,
}

/// A batch without records.
#[must_use]
pub fn empty_batch() -> SendBatch {
    RecordBatch::new(SendContext::of_broker())
}

/// What a record holds, to be written again in another place.
///
/// # Errors
/// When its topic is no text.
pub fn fields_of<'a>(record: &Record<'a>) -> Result<RecordFields<'a>, RecordError> {
    Ok(RecordFields {
        body: record.body(),
        body_crc: record.body_crc(),
        topic: record.topic()?,
        properties: record.properties(),
        queue_id: record.queue_id(),
        flag: record.flag(),
        system_flag: record.system_flag(),
        born_timestamp_ms: record.born_timestamp_ms(),
        born_host: record.born_host(),
        store_host: record.store_host(),
        reconsume_times: record.reconsume_times(),
        prepared_transaction_offset: record.prepared_transaction_offset(),
    })
}

#[cfg(test)]
impl Reappender {
    /// A way that ends at `log`, whose gate is open.
    pub(crate) fn for_test(log: Recipient<Reappend>) -> Self {
        use cuemq_storage::commit_log::LogView;

        let store_host = SocketAddr::from(([127, 0, 0, 1], 10_911));
        Self {
            log,
            gate: Arc::new(SendGate::new(Arc::new(LogView::new(Vec::new())), 0)),
            queues: Arc::default(),
            levels: DelayLevels::default(),
            clock: Arc::new(crate::testing::ManualClock::new(0)),
            store_host,
            ids: Arc::new(UniqueIds::new(store_host.ip(), 0, 0)),
            topics: TopicView::new(),
            traffic: Arc::default(),
        }
    }
}

impl Reappender {
    /// Adds a record to a batch.
    ///
    /// # Errors
    /// When a field is longer than a record can tell; nothing is added then.
    pub fn push(&self, batch: &mut SendBatch, fields: &RecordFields<'_>) -> Result<(), RecordError> {
        let known = properties::known(fields.properties);
        let queue_id = u32::try_from(fields.queue_id).unwrap_or(0);
        let slot = self.queues.slot(fields.topic, queue_id);
        let start = batch.bytes.len();
        batch.push(fields, &known, &self.levels, slot)?;
        let brought = (1, batch.bytes.len() - start);
        let topic = self.topics.get(fields.topic).map(|topic| Arc::clone(&topic.name));
        let topic = topic.unwrap_or_else(|| Arc::from(fields.topic));
        let is_known = |topic: &str| self.topics.contains(topic);
        batch.context.brings.note(&self.traffic, &topic, brought, is_known);
        Ok(())
    }

    /// Has a batch appended, and gives it back when it is safe, with the places of its records.
    ///
    /// # Errors
    /// When it is not, or not surely.
    #[expect(clippy::disallowed_methods, reason = "each who waits here has one batch under way")]
    pub async fn append(&self, batch: SendBatch) -> Result<SendBatch, NotAppended> {
        if let Some((_, remark)) = self.gate.refusal_of_own() {
            return Err(NotAppended::Refused(remark.into_owned()));
        }
        let (done, answer) = oneshot::channel();
        self.log.do_send(Reappend { batch, done });
        match answer.await {
            Ok(answer) => match answer.outcome {
                Outcome::Stored => {
                    answer.batch.context.brings.count(&self.traffic);
                    Ok(answer.batch)
                }
                Outcome::Refused => Err(NotAppended::Refused("see the broker's log".to_owned())),
                Outcome::Unknown => Err(NotAppended::Unknown),
            },
            Err(_) => Err(NotAppended::Unknown),
        }
    }
}
