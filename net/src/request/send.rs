//! What a producer says beside the message itself (`SendMessageRequestHeader`, `SendMessageRequestHeaderV2`).
//!
//! Codes 310, 320 and 325 carry one-letter names, 10 and 324 long ones; both are read, the short ones are written.

use crate::header::field::fields;

fields! {
    /// The header of a send: 10, 310, 320, and of a reply message: 324, 325.
    pub struct SendHeader<'a> {
        /// The producing group.
        producer_group: &'a str = b"a" | b"producerGroup",
        /// The topic.
        topic: &'a str = b"b" | b"topic",
        /// The topic whose settings a new topic inherits.
        default_topic: &'a str = b"c" | b"defaultTopic",
        /// How many queues a new topic gets.
        default_topic_queue_nums: i32 = b"d" | b"defaultTopicQueueNums",
        /// The queue.
        queue_id: i32 = b"e" | b"queueId",
        /// Compression, transaction state and the like.
        sys_flag: i32 = b"f" | b"sysFlag",
        /// When the message was made, in ms since 1970.
        born_timestamp: i64 = b"g" | b"bornTimestamp",
        /// The application's own flag.
        flag: i32 = b"h" | b"flag",
        /// The properties as they will be stored.
        properties: Option<&'a str> = b"i" | b"properties",
        /// How often the message was redelivered.
        reconsume_times: Option<i32> = b"j" | b"reconsumeTimes",
        /// Whether the client is in unit mode.
        unit_mode: bool = b"k" | b"unitMode" or false,
        /// How often it may be redelivered.
        max_reconsume_times: Option<i32> = b"l" | b"maxReconsumeTimes",
        /// Whether the body is a batch; this decides, not the code.
        batch: bool = b"m" | b"batch" or false,
    }

    /// The header of a message that a consumer sends back: 36.
    pub struct SendBack<'a> {
        /// Where the message lies in the commit log.
        physical_offset: i64 = b"offset",
        /// The consuming group.
        group: &'a str = b"group",
        /// When to deliver it again; negative: never, 0: the longer the more often it was.
        delay_level: i32 = b"delayLevel",
        /// The message's id.
        origin_msg_id: Option<&'a str> = b"originMsgId",
        /// The topic it first had.
        origin_topic: Option<&'a str> = b"originTopic",
        /// Whether the client is in unit mode.
        unit_mode: bool = b"unitMode" or false,
        /// How often it may be redelivered.
        max_reconsume_times: Option<i32> = b"maxReconsumeTimes",
    }

    /// The header by which a producer recalls a message that waits for its time: 370.
    pub struct RecallMessage<'a> {
        /// The producing group.
        producer_group: Option<&'a str> = b"producerGroup",
        /// The message's topic.
        topic: &'a str = b"topic",
        /// What the answer to its send said.
        handle: &'a str = b"recallHandle",
    }

    /// The header by which a broker hands a reply to the client that waits for it: 326.
    pub struct PushReply<'a> {
        /// The replying group.
        producer_group: &'a str = b"producerGroup",
        /// The topic.
        topic: &'a str = b"topic",
        /// The topic whose settings a new topic inherits.
        default_topic: &'a str = b"defaultTopic",
        /// How many queues a new topic gets.
        default_topic_queue_nums: i32 = b"defaultTopicQueueNums",
        /// The queue.
        queue_id: i32 = b"queueId",
        /// Compression and the like.
        sys_flag: i32 = b"sysFlag",
        /// When the reply was made, in ms since 1970.
        born_timestamp: i64 = b"bornTimestamp",
        /// The application's own flag.
        flag: i32 = b"flag",
        /// The properties.
        properties: Option<&'a str> = b"properties",
        /// How often it was redelivered.
        reconsume_times: Option<i32> = b"reconsumeTimes",
        /// Whether the client is in unit mode.
        unit_mode: bool = b"unitMode" or false,
        /// The replying client's address.
        born_host: &'a str = b"bornHost",
        /// The broker's address.
        store_host: &'a str = b"storeHost",
        /// When the broker got it, in ms since 1970.
        store_timestamp: i64 = b"storeTimestamp",
    }
}
