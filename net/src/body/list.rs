//! Bodies that are one list, or one map of strings.

use super::{Body, SubscriptionGroupConfig, TopicConfig};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The answer to code 38: the client ids of a group. Java's `GetConsumerListByGroupResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerList {
    /// The ids of the group's consumers.
    pub consumer_id_list: Vec<String>,
}

/// Names of topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicList {
    /// The address of one broker that has them, where the question was for system topics.
    pub broker_addr: Option<String>,
    /// The names.
    pub topic_list: BTreeSet<String>,
}

/// Names of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupList {
    /// The names.
    pub group_list: BTreeSet<String>,
}

/// A table of strings: one namespace of the name server's config, or a broker's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KvTable {
    /// The values by their keys.
    pub table: BTreeMap<String, String>,
}

/// Topics to be made or changed together (code 18). Java's `CreateTopicListRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfigs {
    /// What they are to be, their names included.
    pub topic_config_list: Vec<TopicConfig>,
}

/// Groups to be made or changed together (code 225). Java's `SubscriptionGroupList`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionGroupConfigs {
    /// What they are to be, their names included.
    pub group_config_list: Vec<SubscriptionGroupConfig>,
}

impl Body for TopicConfigs {}
impl Body for SubscriptionGroupConfigs {}
impl Body for ConsumerList {}
impl Body for TopicList {}
impl Body for GroupList {}
impl Body for KvTable {}
