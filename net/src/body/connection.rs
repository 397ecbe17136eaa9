//! The connections of a group (codes 203 and 204). Java's `ConsumerConnection`, `ProducerConnection`, `Connection`.

use super::{Body, ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One client's connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connection {
    /// Its address, `ip:port`.
    pub client_addr: String,
    /// Its id.
    pub client_id: String,
    /// The name of its language, such as `JAVA`.
    pub language: String,
    /// Its version number.
    pub version: i32,
}

/// The connections and subscriptions of a consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerConnection {
    /// The connections.
    #[serde(rename = "connectionSet")]
    pub connections: Vec<Connection>,
    /// Where the group starts on a queue that it has no offset for.
    pub consume_from_where: ConsumeFromWhere,
    /// How the group gets its messages.
    pub consume_type: ConsumeType,
    /// Who gets the group's messages.
    pub message_model: MessageModel,
    /// The subscriptions by topic.
    pub subscription_table: BTreeMap<String, SubscriptionData>,
}

/// The connections of a producer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProducerConnection {
    /// The connections.
    #[serde(rename = "connectionSet")]
    pub connections: Vec<Connection>,
}

impl Body for ConsumerConnection {}
impl Body for ProducerConnection {}
