//! A part of a consume queue (code 321). Java's `QueryConsumeQueueResponseBody` and `ConsumeQueueData`.

use super::{Body, SubscriptionData};
use serde::{Deserialize, Serialize};

/// Entries of a consume queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeQueuePart {
    /// What is known of the group's filter, for people.
    pub filter_data: Option<String>,
    /// The queue offset behind the newest entry.
    pub max_queue_index: i64,
    /// The queue offset of the oldest entry.
    pub min_queue_index: i64,
    /// The entries.
    pub queue_data: Option<Vec<ConsumeQueueEntry>>,
    /// What the group that was named subscribes to.
    pub subscription_data: Option<SubscriptionData>,
}

/// One entry of a consume queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeQueueEntry {
    /// The filter bits of its extension, as a text of zeros and ones.
    pub bit_map: Option<String>,
    /// Whether the group's filter takes it.
    pub eval: bool,
    /// Its extension.
    pub extend_data_json: Option<String>,
    /// What is wrong with it, for people.
    pub msg: Option<String>,
    /// Where the message begins in the commit log.
    pub physic_offset: i64,
    /// The length of the message's record in bytes.
    pub physic_size: i32,
    /// The hash of the message's tags.
    pub tags_code: i64,
}

impl Body for ConsumeQueuePart {}
