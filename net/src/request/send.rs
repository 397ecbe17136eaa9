//! What a producer says beside the message itself (`SendMessageRequestHeader`, `SendMessageRequestHeaderV2`).
//!
//! Codes 310, 320 and 325 carry one-letter names, 10 and 324 long ones; both are read, the short ones are written.

use crate::header::field::fields;

fields! {
    /// The header of a send: 10, 310, 320, and of a reply message: 324, 325.
    pub struct SendHeader<'a> {
        /// The producing group.
        producer_group: &'a str = "a" | "producerGroup",
        /// The topic.
        topic: &'a str = "b" | "topic",
        /// The topic whose settings a new topic inherits.
        default_topic: &'a str = "c" | "defaultTopic",
        /// How many queues a new topic gets.
        default_topic_queue_nums: i32 = "d" | "defaultTopicQueueNums",
        /// The queue.
        queue_id: i32 = "e" | "queueId",
        /// Compression, transaction state and the like.
        sys_flag: i32 = "f" | "sysFlag",
        /// When the message was made, in ms since 1970.
        born_timestamp: i64 = "g" | "bornTimestamp",
        /// The application's own flag.
        flag: i32 = "h" | "flag",
        /// The properties as they will be stored.
        properties: Option<&'a str> = "i" | "properties",
        /// How often the message was redelivered.
        reconsume_times: Option<i32> = "j" | "reconsumeTimes",
        /// Whether the client is in unit mode.
        unit_mode: bool = "k" | "unitMode" or false,
        /// How often it may be redelivered.
        max_reconsume_times: Option<i32> = "l" | "maxReconsumeTimes",
        /// Whether the body is a batch; this decides, not the code.
        batch: bool = "m" | "batch" or false,
    }

    /// The header of a message that a consumer sends back: 36.
    pub struct SendBack<'a> {
        /// Where the message lies in the commit log.
        physical_offset: i64 = "offset",
        /// The consuming group.
        group: &'a str = "group",
        /// When to deliver it again; negative: never, 0: the longer the more often it was.
        delay_level: i32 = "delayLevel",
        /// The message's id.
        origin_msg_id: Option<&'a str> = "originMsgId",
        /// The topic it first had.
        origin_topic: Option<&'a str> = "originTopic",
        /// Whether the client is in unit mode.
        unit_mode: bool = "unitMode" or false,
        /// How often it may be redelivered.
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
    }

    /// The header by which a broker hands a reply to the client that waits for it: 326.
    pub struct PushReply<'a> {
        /// The replying group.
        producer_group: &'a str = "producerGroup",
        /// The topic.
        topic: &'a str = "topic",
        /// The topic whose settings a new topic inherits.
        default_topic: &'a str = "defaultTopic",
        /// How many queues a new topic gets.
        default_topic_queue_nums: i32 = "defaultTopicQueueNums",
        /// The queue.
        queue_id: i32 = "queueId",
        /// Compression and the like.
        sys_flag: i32 = "sysFlag",
        /// When the reply was made, in ms since 1970.
        born_timestamp: i64 = "bornTimestamp",
        /// The application's own flag.
        flag: i32 = "flag",
        /// The properties.
        properties: Option<&'a str> = "properties",
        /// How often it was redelivered.
        reconsume_times: Option<i32> = "reconsumeTimes",
        /// Whether the client is in unit mode.
        unit_mode: bool = "unitMode" or false,
        /// The replying client's address.
        born_host: &'a str = "bornHost",
        /// The broker's address.
        store_host: &'a str = "storeHost",
        /// When the broker got it, in ms since 1970.
        store_timestamp: i64 = "storeTimestamp",
    }
}
