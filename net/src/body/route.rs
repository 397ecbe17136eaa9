//! Where the queues of a topic are (code 105), and which brokers there are at all (code 106).
//! Java's `TopicRouteData`, `QueueData`, `BrokerData`, `ClusterInfo`.

use super::Body;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The answer to code 105.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicRouteData {
    /// The brokers that have queues of the topic.
    pub broker_datas: Vec<BrokerData>,
    /// Filter servers by broker address; never absent, since clients of 4.3 copy it unseen.
    pub filter_server_table: BTreeMap<String, Vec<String>>,
    /// The order of the topic's brokers and their number of queues, `broker-a:4;broker-b:4`, where it is configured.
    pub order_topic_conf: Option<String>,
    /// The topic's queues on each broker.
    pub queue_datas: Vec<QueueData>,
}

/// The queues of a topic on one broker.
///
/// Releases up to 4.8 read the flag as `topicSynFlag`, later ones as `topicSysFlag`; both are printed, either is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "QueueDataOnTheWire", into = "QueueDataOnTheWire")]
pub struct QueueData {
    /// The broker's name.
    pub broker_name: String,
    /// The permission bits: 4 read, 2 write, 1 inherit.
    pub perm: u32,
    /// The number of queues that consumers see.
    pub read_queue_nums: u32,
    /// Bit 0: the topic belongs to one unit; bit 1: it has subscribers in units.
    pub topic_sys_flag: u32,
    /// The number of queues that producers see.
    pub write_queue_nums: u32,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct QueueDataOnTheWire {
    broker_name: String,
    perm: u32,
    read_queue_nums: u32,
    topic_syn_flag: Option<u32>,
    topic_sys_flag: Option<u32>,
    write_queue_nums: u32,
}

impl From<QueueDataOnTheWire> for QueueData {
    fn from(wire: QueueDataOnTheWire) -> Self {
        QueueData {
            broker_name: wire.broker_name,
            perm: wire.perm,
            read_queue_nums: wire.read_queue_nums,
            topic_sys_flag: wire.topic_sys_flag.or(wire.topic_syn_flag).unwrap_or_default(),
            write_queue_nums: wire.write_queue_nums,
        }
    }
}

impl From<QueueData> for QueueDataOnTheWire {
    fn from(data: QueueData) -> Self {
        QueueDataOnTheWire {
            broker_name: data.broker_name,
            perm: data.perm,
            read_queue_nums: data.read_queue_nums,
            topic_syn_flag: Some(data.topic_sys_flag),
            topic_sys_flag: Some(data.topic_sys_flag),
            write_queue_nums: data.write_queue_nums,
        }
    }
}

/// One broker: a master and its slaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerData {
    /// The addresses by broker id: 0 is the master.
    pub broker_addrs: BTreeMap<i64, String>,
    /// The name that master and slaves share.
    pub broker_name: String,
    /// The cluster.
    pub cluster: String,
    /// Whether a slave may act for a lost master, as release 5 can be told; strict readers want it printed.
    pub enable_acting_master: bool,
}

/// The answer to code 106.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterInfo {
    /// The brokers by name.
    pub broker_addr_table: BTreeMap<String, BrokerData>,
    /// The brokers' names by cluster.
    pub cluster_addr_table: BTreeMap<String, BTreeSet<String>>,
}

impl Body for TopicRouteData {}
impl Body for ClusterInfo {}
