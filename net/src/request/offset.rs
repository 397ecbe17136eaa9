//! Where queues begin and end, and how far groups have come (`QueryConsumerOffsetRequestHeader` and its neighbours).

use crate::header::field::fields;

fields! {
    /// Asks how far a group has come in a queue: 14.
    pub struct QueryOffset<'a> {
        /// The consuming group.
        consumer_group: &'a str = b"consumerGroup",
        /// The topic.
        topic: &'a str = b"topic",
        /// The queue.
        queue_id: i32 = b"queueId",
        /// Whether an unknown group gets 0; 5.x clients say no where they look for the answer "none".
        set_zero_if_not_found: Option<bool> = b"setZeroIfNotFound",
    }

    /// Says how far a group has come in a queue: 15, mostly oneway.
    pub struct UpdateOffset<'a> {
        /// The consuming group.
        consumer_group: &'a str = b"consumerGroup",
        /// The topic.
        topic: &'a str = b"topic",
        /// The queue.
        queue_id: i32 = b"queueId",
        /// The next position to consume.
        consumer_offset: i64 = b"commitOffset",
    }

    /// Asks for the message that a time leads to: 29.
    pub struct SearchOffset<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The queue.
        queue_id: i32 = b"queueId",
        /// The time, in ms since 1970.
        timestamp: i64 = b"timestamp",
        /// `LOWER`, the first message at or after the time, or `UPPER`, the last one at or before it. Clients of release 4 say
        /// neither and are told the nearest.
        boundary_type: Option<&'a str> = b"boundaryType",
    }

    /// Asks for the position behind a queue's last message: 30.
    pub struct MaxOffset<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The queue.
        queue_id: i32 = b"queueId",
        /// Whether only what is safe counts; 5.x clients say so.
        committed: Option<bool> = b"committed",
    }

    /// Asks for the first position that a queue still has: 31.
    pub struct MinOffset<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The queue.
        queue_id: i32 = b"queueId",
    }

    /// Asks when the first message that a queue still has was stored: 32.
    pub struct EarliestStoreTime<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The queue.
        queue_id: i32 = b"queueId",
    }
}
