//! Tables of offsets: a broker's own (codes 43 and 45, `consumerOffset.json`, `delayOffset.json`) and those of resets
//! and status questions (codes 220 to 223, 308). Java's `ConsumerOffsetSerializeWrapper`,
//! `DelayOffsetSerializeWrapper`, `ResetOffsetBody`, `ResetOffsetBodyForC`, `GetConsumerStatusBody`,
//! `QueryCorrectionOffsetBody`, and the note of a moved one, `OffsetMovedEvent`.

use super::{Body, ExtraMembers, MessageQueue};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The offsets that groups have committed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerOffsetTable {
    /// By `topic@group`, then by queue id: the next queue offset to consume.
    pub offset_table: BTreeMap<String, BTreeMap<i32, i64>>,
    /// Members of other releases, kept.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

/// How far the delay levels have been delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DelayOffsetTable {
    /// By level, which is the queue id plus one: the next queue offset to deliver.
    pub offset_table: BTreeMap<i32, i64>,
    /// Members of other releases, kept.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

/// New offsets for a group's queues: codes 220 and 222.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetOffset {
    /// The queue offsets by queue.
    pub offset_table: BTreeMap<MessageQueue, i64>,
}

/// The same for clients of the C++ library, which read no object keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetOffsetList {
    /// The queues with their offsets.
    pub offset_table: Vec<QueueOffset>,
}

/// A queue and an offset in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueOffset {
    /// The broker's name.
    pub broker_name: String,
    /// The queue offset.
    #[serde(rename = "offset")]
    pub queue_offset: i64,
    /// The queue's number.
    pub queue_id: i32,
    /// The topic.
    pub topic: String,
}

impl From<ResetOffset> for ResetOffsetList {
    fn from(reset: ResetOffset) -> Self {
        let queues = reset.offset_table.into_iter().map(|(queue, queue_offset)| QueueOffset {
            broker_name: queue.broker_name,
            queue_offset,
            queue_id: queue.queue_id,
            topic: queue.topic,
        });
        ResetOffsetList {
            offset_table: queues.collect(),
        }
    }
}

/// How far consumers have got: one client's answer to code 221, or the answer to code 223 by client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerStatus {
    /// By client id, then by queue.
    pub consumer_table: BTreeMap<String, BTreeMap<MessageQueue, i64>>,
    /// By queue.
    pub message_queue_table: BTreeMap<MessageQueue, i64>,
}

/// The answer to code 308.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CorrectionOffsets {
    /// By queue id.
    pub correction_offsets: BTreeMap<i32, i64>,
}

/// What a message in the topic `OFFSET_MOVED_EVENT` tells: a consumer asked for what is not there, and was sent elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OffsetMovedEvent {
    /// The consumer's group.
    pub consumer_group: String,
    /// The queue.
    pub message_queue: MessageQueue,
    /// The queue offset at which it is to go on.
    #[serde(rename = "offsetNew")]
    pub next_queue_offset: i64,
    /// The queue offset that it asked for.
    #[serde(rename = "offsetRequest")]
    pub asked_queue_offset: i64,
}

impl Body for ConsumerOffsetTable {}
impl Body for DelayOffsetTable {}
impl Body for ResetOffset {}
impl Body for ResetOffsetList {}
impl Body for ConsumerStatus {}
impl Body for CorrectionOffsets {}
impl Body for OffsetMovedEvent {}
