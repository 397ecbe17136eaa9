//! Where a message was stored (`SendMessageResponseHeader`).

use crate::header::field::fields;

fields! {
    /// The answer to a send.
    pub struct SendResponse<'a> {
        /// The message's id by its position; of a batch all ids, joined by commas.
        msg_id: &'a str = b"msgId",
        /// The queue.
        queue_id: i32 = b"queueId",
        /// The position in the queue; of a batch the first one.
        queue_offset: i64 = b"queueOffset",
        /// The id of the transaction that a half message began.
        transaction_id: Option<&'a str> = b"transactionId",
        /// The broker's region, for message traces.
        region: Option<&'a str> = b"MSG_REGION",
        /// Whether the broker wants message traces.
        trace_on: Option<bool> = b"TRACE_ON",
    }
}
