//! One queue of one topic on one broker, which also keys maps. Java's `MessageQueue`.

use super::Body;
use serde::{Deserialize, Serialize};

/// A queue's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MessageQueue {
    /// The topic.
    pub topic: String,
    /// The broker's name, which master and slaves share.
    pub broker_name: String,
    /// The queue's number, from 0.
    pub queue_id: i32,
}

impl Body for MessageQueue {}
