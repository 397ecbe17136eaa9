//! Bodies that are one list or one map of strings.

use super::Body;
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

impl Body for ConsumerList {}
impl Body for TopicList {}
impl Body for GroupList {}
impl Body for KvTable {}
