//! What a consumer asks for when it pulls (`PullMessageRequestHeader`).

use crate::header::field::fields;

fields! {
    /// The header of a pull: 11, and 361 of lite pull consumers.
    pub struct PullHeader<'a> {
        /// The consuming group.
        consumer_group: &'a str = b"consumerGroup",
        /// The topic.
        topic: &'a str = b"topic",
        /// The queue.
        queue_id: i32 = b"queueId",
        /// Where to read from.
        queue_offset: i64 = b"queueOffset",
        /// How many messages to return at most.
        max_msg_nums: i32 = b"maxMsgNums",
        /// Commit, suspend, subscription, class filter and lite pull bits.
        sys_flag: i32 = b"sysFlag",
        /// The position to commit, if the commit bit is set.
        commit_offset: i64 = b"commitOffset",
        /// How long to wait for a message, in ms.
        suspend_timeout_millis: i64 = b"suspendTimeoutMillis",
        /// The filter expression, if the subscription bit is set.
        subscription: Option<&'a str> = b"subscription",
        /// The version of the subscription, in ms since 1970.
        sub_version: Option<i64> = b"subVersion",
        /// `TAG` or `SQL92`.
        expression_type: Option<&'a str> = b"expressionType",
        /// How many bytes to return at most; 5.x clients say so.
        max_msg_bytes: Option<i32> = b"maxMsgBytes",
    }
}
