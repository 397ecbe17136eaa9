//! The connections of groups (codes 203, 204 and 328). Java's `ConsumerConnection`, `ProducerConnection`, `Connection`,
//! `ProducerTableInfo`, `ProducerInfo`.

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

/// The connections of all producer groups (code 328).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProducerTable {
    /// By group.
    pub data: BTreeMap<String, Vec<ProducerInfo>>,
}

/// One producer's connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerInfo {
    /// Its id.
    pub client_id: String,
    /// The name of its language, such as `JAVA`.
    pub language: String,
    /// When its last heartbeat came, in milliseconds since 1970.
    pub last_update_timestamp: i64,
    /// Its address, as Java prints it: a slash in front of `ip:port`.
    #[serde(rename = "remoteIP")]
    pub remote_ip: String,
    /// Its version number.
    pub version: i32,
}

impl Body for ProducerTable {}
impl Body for ConsumerConnection {}
impl Body for ProducerConnection {}
