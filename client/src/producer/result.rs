//! Where a message was stored, and how safely (`SendResult`).

use std::sync::Arc;

use cuemq_net::body::MessageQueue;
use cuemq_net::code::ResponseCode;
use cuemq_net::response::SendResponse;

use crate::error::Cause;
use crate::instance::Answered;
use crate::text::ShortText;

/// How safely a message is stored; it is stored with each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendStatus {
    /// As safely as the broker makes it.
    SendOk,
    /// It was not on the master's disk in the time that the broker waits.
    FlushDiskTimeout,
    /// It was not at a slave in the time that the broker waits.
    FlushSlaveTimeout,
    /// No slave is there to take it.
    SlaveNotAvailable,
}

/// Where a message was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendResult {
    /// How safely.
    pub status: SendStatus,
    /// The id that the client gave the message; of a batch all of them, joined by commas.
    pub msg_id: ShortText,
    /// The id made of the message's position; of a batch all of them, joined by commas.
    pub offset_msg_id: ShortText,
    /// The queue.
    pub queue: Arc<MessageQueue>,
    /// The position in the queue; of a batch that of the first.
    pub queue_offset: i64,
    /// The transaction's id, of a half message.
    pub transaction_id: Option<String>,
    /// The broker's region, for message traces.
    pub region_id: Option<ShortText>,
    /// Whether the broker wants message traces.
    pub is_trace_on: bool,
    /// By what a message can be recalled that waits for its time at a broker with timers.
    pub recall_handle: Option<String>,
}

impl SendResult {
    /// Reads the answer to a send; what means "stored" is a result.
    pub(super) fn of(answer: Answered, queue: &Arc<MessageQueue>, msg_id: &ShortText) -> Result<Self, Cause> {
        let status = match answer.code() {
            ResponseCode::SUCCESS => SendStatus::SendOk,
            ResponseCode::FLUSH_DISK_TIMEOUT => SendStatus::FlushDiskTimeout,
            ResponseCode::FLUSH_SLAVE_TIMEOUT => SendStatus::FlushSlaveTimeout,
            ResponseCode::SLAVE_NOT_AVAILABLE => SendStatus::SlaveNotAvailable,
            _ => return Err(answer.refusal()),
        };
        let view = answer.view();
        let told = SendResponse::read(&view)?;
        let queue = if told.queue_id == queue.queue_id {
            Arc::clone(queue)
        } else {
            Arc::new(MessageQueue {
                queue_id: told.queue_id,
                ..MessageQueue::clone(queue)
            })
        };
        Ok(Self {
            status,
            msg_id: msg_id.clone(),
            offset_msg_id: told.msg_id.into(),
            queue,
            queue_offset: told.queue_offset,
            transaction_id: told.transaction_id.map(str::to_owned),
            region_id: told.region.map(ShortText::from),
            is_trace_on: told.trace_on.unwrap_or(true),
            recall_handle: view.fields.get("recallHandle").map(str::to_owned),
        })
    }
}
