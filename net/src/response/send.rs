//! Where a message was stored (`SendMessageResponseHeader`).

use crate::header::field::fields;

fields! {
    /// The answer to a send.
    pub struct SendResponse<'a> {
        /// The message's id by its position; of a batch all ids, joined by commas.
        msg_id: &'a str = "msgId",
        /// The queue.
        queue_id: i32 = "queueId",
        /// The position in the queue; of a batch the first one.
        queue_offset: i64 = "queueOffset",
        /// The id of the transaction that a half message began.
        transaction_id: Option<&'a str> = "transactionId",
        /// The broker's region, for message traces.
        region: Option<&'a str> = "MSG_REGION",
        /// Whether the broker wants message traces.
        trace_on: Option<bool> = "TRACE_ON",
    }
}
