//! A part of a consume queue (code 321). Java's `QueryConsumeQueueResponseBody` and `ConsumeQueueData`, and the text that these
//! hold of a `ConsumeQueueExt.CqExtUnit`.

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
    /// The bitmap of its extension, as a text of zeros and ones: the last byte first, and each byte's highest bit; behind every
    /// eighth byte a line ends.
    pub bit_map: Option<String>,
    /// Whether the group may want it, by its extension; `false` where it has none or no group was named.
    pub eval: bool,
    /// Its extension, as the text of a [`ConsumeQueueExtension`].
    pub extend_data_json: Option<String>,
    /// What is wrong with it, for people.
    pub msg: Option<String>,
    /// Where the message begins in the commit log.
    pub physic_offset: i64,
    /// The length of the message's record in bytes.
    pub physic_size: i32,
    /// The hash of the message's tags, or the address of its extension.
    pub tags_code: i64,
}

/// What the extension of a consume queue holds of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeQueueExtension {
    /// The bitmap in base64, where it has one.
    pub filter_bit_map: Option<String>,
    /// When the message was stored, in milliseconds since 1970.
    pub msg_store_time: i64,
    /// Its length in bytes.
    pub size: i64,
    /// The hash of the message's tags.
    pub tags_code: i64,
}

impl Body for ConsumeQueuePart {}
impl Body for ConsumeQueueExtension {}
