//! Looking messages up by position and by key (`ViewMessageRequestHeader`, `QueryMessageRequestHeader`).

use crate::header::field::fields;

fields! {
    /// Asks for the message at a position of the commit log: 33.
    pub struct ViewMessage {
        /// Where the message begins.
        physical_offset: i64 = b"offset",
    }

    /// Asks for messages by key: 12.
    pub struct QueryMessage<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The key, or the unique id.
        key: &'a str = b"key",
        /// How many to return at most.
        max_num: i32 = b"maxNum",
        /// The earliest store time, in ms since 1970.
        begin_timestamp: i64 = b"beginTimestamp",
        /// The latest store time, in ms since 1970.
        end_timestamp: i64 = b"endTimestamp",
        /// Whether the key is the id that the producer gave the message.
        unique_key_query: bool = b"_UNIQUE_KEY_QUERY" or false,
    }
}
