//! Locking and unlocking queues for orderly consumption (codes 41 and 42).
//! Java's `LockBatchRequestBody`, `UnlockBatchRequestBody`, `LockBatchResponseBody`.

use super::{Body, MessageQueue};
use serde::{Deserialize, Serialize};

/// The queues that a client asks to lock or unlock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LockBatch {
    /// The client's id.
    pub client_id: String,
    /// The consumer group.
    pub consumer_group: String,
    /// The queues.
    #[serde(rename = "mqSet")]
    pub queues: Vec<MessageQueue>,
}

/// The queues that the client now holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockedQueues {
    /// The queues.
    #[serde(rename = "lockOKMQSet")]
    pub queues: Vec<MessageQueue>,
}

impl Body for LockBatch {}
impl Body for LockedQueues {}
