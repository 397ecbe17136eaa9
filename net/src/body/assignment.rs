//! Queues that the broker shares out for clients of release 5 (codes 400 and 401). Java's `QueryAssignmentRequestBody`,
//! `QueryAssignmentResponseBody`, `MessageQueueAssignment`, `SetMessageRequestModeRequestBody`.

use super::{Body, MessageModel, MessageQueue};
use serde::{Deserialize, Serialize};

/// Asks which queues a consumer is to take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryAssignment {
    /// The client's id.
    pub client_id: String,
    /// The consumer group.
    pub consumer_group: String,
    /// Whether the group shares the messages or each member gets all.
    pub message_model: MessageModel,
    /// The name of the strategy, `AVG` mostly.
    pub strategy_name: Option<String>,
    /// The topic.
    pub topic: String,
}

/// The queues that it is to take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueAssignments {
    /// The queues; `None` where the broker cannot tell, and the consumer keeps what it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_queue_assignments: Option<Vec<QueueAssignment>>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueAssignment {
    /// The queue.
    pub message_queue: MessageQueue,
    /// How its messages are to be got.
    pub mode: MessageRequestMode,
}

/// How a consumer gets messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MessageRequestMode {
    /// It pulls from queues that are its own.
    #[default]
    Pull,
    /// It takes what is there from queues that it shares with others.
    Pop,
}

/// Says how a group is to get the messages of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SetMessageRequestMode {
    /// The consumer group.
    pub consumer_group: String,
    /// How.
    pub mode: MessageRequestMode,
    /// How many consumers share a queue in pop mode.
    pub pop_share_queue_num: i32,
    /// The topic.
    pub topic: String,
}

impl Body for QueryAssignment {}
impl Body for QueueAssignments {}
impl Body for SetMessageRequestMode {}
