//! Figures for operators: codes 202, 208, 303, 315 and 317. Java's `TopicStatsTable`, `ConsumeStats`, `QueueTimeSpan`,
//! `BrokerStatsData`, `ConsumeStatsList`.

use super::{Body, MessageQueue};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The queues of a topic (code 202).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicStatsTable {
    /// By queue.
    pub offset_table: BTreeMap<MessageQueue, TopicQueueStats>,
}

/// One queue of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicQueueStats {
    /// When the newest message was stored, in milliseconds since 1970; 0 if there is none.
    pub last_update_timestamp: i64,
    /// The queue offset behind the newest message.
    pub max_offset: i64,
    /// The queue offset of the oldest message.
    pub min_offset: i64,
}

/// How far a group has got (code 208).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStats {
    /// Messages per second.
    pub consume_tps: f64,
    /// By queue.
    pub offset_table: BTreeMap<MessageQueue, ConsumedQueue>,
}

/// How far a group has got on one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumedQueue {
    /// The queue offset behind the newest message.
    pub broker_offset: i64,
    /// The next queue offset to consume.
    pub consumer_offset: i64,
    /// When the last consumed message was stored, in milliseconds since 1970.
    pub last_timestamp: i64,
}

/// How far all groups of a broker have got (code 317).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStatsList {
    /// The broker's address.
    pub broker_addr: String,
    /// One entry for each group: its name and one [`ConsumeStats`] for each topic.
    pub consume_stats_list: Vec<BTreeMap<String, Vec<ConsumeStats>>>,
    /// All messages that are not consumed yet.
    pub total_diff: i64,
}

/// Between which times a group stands (code 303).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeTimeSpans {
    /// One entry for each queue.
    #[serde(rename = "consumeTimeSpanSet")]
    pub spans: Vec<ConsumeTimeSpan>,
}

/// Between which times a group stands on one queue; all times in milliseconds, since 1970 but for the delay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeTimeSpan {
    /// When the last consumed message was stored.
    pub consume_time_stamp: i64,
    /// How long the next message has waited.
    pub delay_time: i64,
    /// When the newest message was stored.
    pub max_time_stamp: i64,
    /// The queue.
    pub message_queue: MessageQueue,
    /// When the oldest message was stored.
    pub min_time_stamp: i64,
}

/// One figure of a broker over three spans (code 315).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerStatsData {
    /// Over a day.
    pub stats_day: BrokerStatsItem,
    /// Over an hour.
    pub stats_hour: BrokerStatsItem,
    /// Over a minute.
    pub stats_minute: BrokerStatsItem,
}

/// One figure over one span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokerStatsItem {
    /// The average of one increment.
    pub avgpt: f64,
    /// The sum of all increments.
    pub sum: i64,
    /// The sum per second.
    pub tps: f64,
}

impl Body for TopicStatsTable {}
impl Body for ConsumeStats {}
impl Body for ConsumeStatsList {}
impl Body for ConsumeTimeSpans {}
impl Body for BrokerStatsData {}
