//! Where a queue begins and ends and where to go on (`PullMessageResponseHeader`).

use crate::header::field::fields;

fields! {
    /// The answer to a pull, with whatever code.
    pub struct PullResponse {
        /// The broker to pull from next: 0 is the master.
        suggest_which_broker_id: i64 = b"suggestWhichBrokerId",
        /// Where to pull next.
        next_begin_offset: i64 = b"nextBeginOffset",
        /// The first position that the queue still has.
        min_offset: i64 = b"minOffset",
        /// The position behind the queue's last message.
        max_offset: i64 = b"maxOffset",
    }
}
