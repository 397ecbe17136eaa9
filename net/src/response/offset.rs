//! Positions and times of a queue, and of the index.

use crate::header::field::fields;

fields! {
    /// The answer to 14, 29, 30 and 31: a position in a queue.
    pub struct OffsetResponse {
        /// The position.
        queue_offset: i64 = b"offset",
    }

    /// The answer to 32.
    pub struct StoreTimeResponse {
        /// When the first message was stored, in ms since 1970; -1: there is none.
        timestamp: i64 = b"timestamp",
    }

    /// The answer to a query by key: 12.
    pub struct QueryMessageResponse {
        /// When the last indexed message was stored, in ms since 1970.
        index_last_update_timestamp: i64 = b"indexLastUpdateTimestamp",
        /// Where the last indexed message lies in the commit log.
        index_last_update_physical_offset: i64 = b"indexLastUpdatePhyoffset",
    }
}
