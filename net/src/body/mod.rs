//! The JSON bodies of requests and answers, each a plain struct whose serde names are Java's.
//!
//! All of them decode leniently, as fastjson does: unknown members are ignored, or kept where a config file is rewritten
//! from the struct, missing or null ones take Java's default. They print with their members in alphabetical order.

mod assignment;
mod connection;
mod consume_queue;
mod filter;
mod group;
mod heartbeat;
mod list;
mod lock;
mod offset;
mod queue;
mod register;
mod route;
mod running;
mod stats;
mod topic;
mod version;

pub use assignment::{MessageRequestMode, QueryAssignment, QueueAssignment, QueueAssignments, SetMessageRequestMode};
pub use connection::{Connection, ConsumerConnection, ProducerConnection, ProducerInfo, ProducerTable};
pub use consume_queue::{ConsumeQueueEntry, ConsumeQueueExtension, ConsumeQueuePart};
pub use filter::{BloomFilterData, ConsumerFilter, ConsumerFilterTable, ConsumerFiltersOfTopic};
pub use group::{GroupSubscription, SubscriptionGroupConfig, SubscriptionGroupTable};
pub use heartbeat::{
    CheckClient, ConsumeFromWhere, ConsumeType, ConsumerData, HeartbeatData, MessageModel, ProducerData,
    SubscriptionData,
};
pub use list::{ConsumerList, GroupList, KvTable, SubscriptionGroupConfigs, TopicConfigs, TopicList};
pub use lock::{LockBatch, LockedQueues};
pub use offset::{
    ConsumerOffsetTable, ConsumerStatus, CorrectionOffsets, DelayOffsetTable, OffsetMovedEvent, QueueOffset,
    ResetOffset, ResetOffsetList,
};
pub use queue::MessageQueue;
pub use register::{MAX_INFLATED, RegisterBrokerBody, RegisterError};
pub use route::{BrokerData, ClusterInfo, QueueData, TopicRouteData};
pub use running::{ConsumeDirectlyResult, ConsumeResult, ConsumeStatus, ConsumerRunningInfo, ProcessQueueInfo};
pub use stats::{
    BrokerStatsData, BrokerStatsItem, ConsumeStats, ConsumeStatsList, ConsumeTimeSpan, ConsumeTimeSpans, ConsumedQueue,
    TopicQueueStats, TopicStatsTable,
};
pub use topic::{TopicConfig, TopicConfigTable, TopicFilterType};
pub use version::DataVersion;

use crate::dialect::{self, DialectError, Style, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The members of an object that this release does not know and keeps for whoever does.
pub type ExtraMembers = BTreeMap<String, Value>;

/// What all bodies can do.
pub trait Body: Serialize + DeserializeOwned {
    /// Reads a body in fastjson's dialect or in plain JSON.
    ///
    /// # Errors
    /// If the text is malformed or too large, or a member has the wrong type.
    fn decode(text: &[u8]) -> Result<Self, DialectError> {
        dialect::from_value(dialect::parse(text)?)
    }

    /// Prints the body.
    fn encode(&self, style: Style) -> Vec<u8> {
        let mut out = Vec::new();
        let value = dialect::to_value(self).expect("bodies hold only what the dialect has a form for");
        dialect::write(&value, &mut out, style);
        out
    }
}
