//! A consumer group's configuration and the table of them: the answer to code 201 and `subscriptionGroup.json`.
//! Java's `SubscriptionGroupConfig` and `SubscriptionGroupWrapper`. Besides, what a group subscribes to.

use super::{Body, DataVersion, ExtraMembers, SubscriptionData};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One group's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionGroupConfig {
    /// The broker that the group reads from; 0 is the master.
    pub broker_id: i64,
    /// Whether the group may consume by broadcasting.
    pub consume_broadcast_enable: bool,
    /// Whether the group may consume at all.
    pub consume_enable: bool,
    /// Whether a new group may start at a queue's beginning.
    pub consume_from_min_enable: bool,
    /// The group.
    pub group_name: String,
    /// Whether members are told when others come and go.
    pub notify_consumer_ids_changed_enable: bool,
    /// How often a message is tried again before it goes to the dead letters.
    pub retry_max_times: i32,
    /// The number of queues of the group's retry topic.
    pub retry_queue_nums: u32,
    /// The broker id that a group is sent to when it has fallen behind.
    pub which_broker_when_consume_slowly: i64,
    /// Members of other releases, kept.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

impl Default for SubscriptionGroupConfig {
    fn default() -> Self {
        SubscriptionGroupConfig {
            broker_id: 0,
            consume_broadcast_enable: true,
            consume_enable: true,
            consume_from_min_enable: true,
            group_name: String::new(),
            notify_consumer_ids_changed_enable: true,
            retry_max_times: 16,
            retry_queue_nums: 1,
            which_broker_when_consume_slowly: 1,
            extra: ExtraMembers::new(),
        }
    }
}

/// A broker's groups and the version of that table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionGroupTable {
    /// The table's version.
    pub data_version: DataVersion,
    /// The configurations by group.
    pub subscription_group_table: BTreeMap<String, SubscriptionGroupConfig>,
    /// Members of other releases, kept.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

/// What a group subscribes to on one topic (code 345). Java's `QuerySubscriptionResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupSubscription {
    /// The group.
    pub group: String,
    /// The subscription, where a member that is online has one.
    pub subscription_data: Option<SubscriptionData>,
    /// The topic.
    pub topic: String,
}

impl Body for GroupSubscription {}
impl Body for SubscriptionGroupConfig {}
impl Body for SubscriptionGroupTable {}
