//! What a client says about itself every 30 seconds (code 34), and the check of one subscription (code 46).
//! Java's `HeartbeatData`, `ConsumerData`, `ProducerData`, `SubscriptionData`, `CheckClientRequestBody`.

use super::Body;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// All groups of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeartbeatData {
    /// The client's id, usually `address@instance`.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Its consumer groups.
    #[serde(rename = "consumerDataSet")]
    pub consumers: Vec<ConsumerData>,
    /// Its producer groups.
    #[serde(rename = "producerDataSet")]
    pub producers: Vec<ProducerData>,
}

/// One consumer group of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerData {
    /// Where the group starts on a queue that it has no offset for.
    pub consume_from_where: ConsumeFromWhere,
    /// Whether the client pulls by itself or has messages pushed.
    pub consume_type: ConsumeType,
    /// The group.
    pub group_name: String,
    /// Whether the group shares the messages or each member gets all.
    pub message_model: MessageModel,
    /// The group's subscriptions.
    #[serde(rename = "subscriptionDataSet")]
    pub subscriptions: Vec<SubscriptionData>,
    /// Whether the client belongs to one unit of a multi-unit deployment.
    pub unit_mode: bool,
}

/// One producer group of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerData {
    /// The group.
    pub group_name: String,
}

/// One topic that a group subscribes to, and which of its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionData {
    /// Whether a filter class on a filter server chooses; obsolete.
    pub class_filter_mode: bool,
    /// The Java hashes of the tags.
    pub code_set: BTreeSet<i32>,
    /// `TAG` or `SQL92`; what else a filter might be is for the filter to refuse.
    pub expression_type: String,
    /// The expression: `*`, `TagA || TagB`, or SQL.
    pub sub_string: String,
    /// The time of the subscription, in milliseconds since 1970; the latest of a group's wins.
    pub sub_version: i64,
    /// The tags.
    pub tags_set: BTreeSet<String>,
    /// The topic.
    pub topic: String,
}

impl Default for SubscriptionData {
    fn default() -> Self {
        SubscriptionData {
            class_filter_mode: false,
            code_set: BTreeSet::new(),
            expression_type: "TAG".to_owned(),
            sub_string: String::new(),
            sub_version: 0,
            tags_set: BTreeSet::new(),
            topic: String::new(),
        }
    }
}

/// How a consumer gets its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsumeType {
    /// A pull consumer: the application asks.
    #[serde(rename = "CONSUME_ACTIVELY")]
    Actively,
    /// A push consumer: the client library asks.
    #[default]
    #[serde(rename = "CONSUME_PASSIVELY")]
    Passively,
    /// A pop consumer of release 5.
    #[serde(rename = "CONSUME_POP")]
    Pop,
}

/// Who gets a group's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageModel {
    /// Each member gets all.
    #[serde(rename = "BROADCASTING")]
    Broadcasting,
    /// Each message goes to one member.
    #[default]
    #[serde(rename = "CLUSTERING")]
    Clustering,
}

/// Where a group starts on a queue that it has no offset for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsumeFromWhere {
    /// At the queue's end.
    #[default]
    #[serde(rename = "CONSUME_FROM_LAST_OFFSET")]
    LastOffset,
    /// Obsolete; as [`ConsumeFromWhere::LastOffset`].
    #[serde(rename = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST")]
    LastOffsetAndFromMinWhenBootFirst,
    /// Obsolete; as [`ConsumeFromWhere::LastOffset`].
    #[serde(rename = "CONSUME_FROM_MIN_OFFSET")]
    MinOffset,
    /// Obsolete; as [`ConsumeFromWhere::LastOffset`].
    #[serde(rename = "CONSUME_FROM_MAX_OFFSET")]
    MaxOffset,
    /// At the queue's beginning.
    #[serde(rename = "CONSUME_FROM_FIRST_OFFSET")]
    FirstOffset,
    /// At a time that the client was given.
    #[serde(rename = "CONSUME_FROM_TIMESTAMP")]
    Timestamp,
}

/// The request of code 46: whether the broker understands one subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckClient {
    /// The client's id.
    pub client_id: String,
    /// The consumer group.
    pub group: String,
    /// The subscription.
    pub subscription_data: SubscriptionData,
}

impl Body for HeartbeatData {}
impl Body for CheckClient {}
