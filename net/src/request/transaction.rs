//! How a transaction ended, and the question how it did (`EndTransactionRequestHeader`,
//! `CheckTransactionStateRequestHeader`).

use crate::header::field::fields;

fields! {
    /// Commits, rolls back or leaves open: 37, mostly oneway.
    pub struct EndTransaction<'a> {
        /// The producing group.
        producer_group: &'a str = b"producerGroup",
        /// Where the half message stands in its queue.
        queue_offset: i64 = b"tranStateTableOffset",
        /// Where the half message lies in the commit log.
        physical_offset: i64 = b"commitLogOffset",
        /// 0: undecided, 8: commit, 12: roll back.
        commit_or_rollback: i32 = b"commitOrRollback",
        /// Whether this answers a check.
        from_transaction_check: bool = b"fromTransactionCheck" or false,
        /// The id that the producer gave the message.
        msg_id: &'a str = b"msgId",
        /// The transaction's id.
        transaction_id: Option<&'a str> = b"transactionId",
    }

    /// Asks a producer how a transaction ended: 39, oneway, with the half message as body.
    pub struct CheckTransaction<'a> {
        /// Where the half message stands in its queue.
        queue_offset: i64 = b"tranStateTableOffset",
        /// Where the half message lies in the commit log.
        physical_offset: i64 = b"commitLogOffset",
        /// The id that the producer gave the message.
        msg_id: Option<&'a str> = b"msgId",
        /// The transaction's id.
        transaction_id: Option<&'a str> = b"transactionId",
        /// The message's id by its position.
        offset_msg_id: Option<&'a str> = b"offsetMsgId",
    }
}
