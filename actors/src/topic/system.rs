//! The topics that are there from the start, before and beside those of `topics.json`. Java's `TopicConfigManager`
//! makes them in its constructor.

use std::collections::BTreeSet;

use cuemq_net::body::TopicConfig;
use cuemq_storage::timer::TIMER_TOPIC;

use super::name::SYSTEM_TOPICS;
use super::{Permission, is_system_name, with_queues};
use crate::config::live::Switch;

/// The default topics in whose likeness a send creates a topic: every release but one says the first, 4.3.0 the second.
pub(super) const DEFAULT_TOPICS: [&str; 2] = ["TBW102", "AUTO_CREATE_TOPIC_KEY"];
/// The queues of `BenchmarkTest`.
const BENCHMARK_QUEUES: u32 = 1024;
/// The queues of the cluster's topic.
const CLUSTER_QUEUES: u32 = 16;

/// What decides which topics are there from the start.
#[derive(Clone, Debug)]
pub struct SystemTopics {
    /// `brokerClusterName`; a topic of that name tells clients where the cluster is.
    pub cluster_name: String,
    /// `brokerName`; likewise.
    pub broker_name: String,
    /// `autoCreateTopicEnable`: whether a send may create a topic.
    pub auto_create: Switch,
    /// `defaultTopicQueueNums`: the queues of the default topics, and so the most that a send's topic gets.
    pub default_queue_nums: u32,
    /// `clusterTopicEnable`: whether the cluster's topic can be sent to and pulled from.
    pub cluster_topic: bool,
    /// `brokerTopicEnable`: whether the broker's topic can.
    pub broker_topic: bool,
    /// `msgTraceTopicName`, where there is a topic for message traces (`traceTopicEnable`).
    pub trace_topic: Option<String>,
    /// How many delay levels there are: the queues of the schedule topic.
    pub delay_levels: u32,
}

impl Default for SystemTopics {
    fn default() -> Self {
        Self {
            cluster_name: "DefaultCluster".to_owned(),
            broker_name: "DefaultBroker".to_owned(),
            auto_create: Switch::new(true),
            default_queue_nums: 8,
            cluster_topic: true,
            broker_topic: true,
            trace_topic: Some("RMQ_SYS_TRACE_TOPIC".to_owned()),
            delay_levels: 18,
        }
    }
}

impl SystemTopics {
    /// The topics and what they are.
    pub(super) fn list(&self) -> Vec<(String, TopicConfig)> {
        let inherit = |queue_nums, open| {
            let perm = if open {
                Permission::READ_WRITE.0 | Permission::INHERIT
            } else {
                Permission::INHERIT
            };
            TopicConfig {
                perm,
                ..with_queues(queue_nums)
            }
        };
        let mut topics = vec![
            ("SELF_TEST_TOPIC".to_owned(), with_queues(1)),
            ("BenchmarkTest".to_owned(), with_queues(BENCHMARK_QUEUES)),
            (self.cluster_name.clone(), inherit(CLUSTER_QUEUES, self.cluster_topic)),
            (self.broker_name.clone(), inherit(1, self.broker_topic)),
            ("OFFSET_MOVED_EVENT".to_owned(), with_queues(1)),
            ("SCHEDULE_TOPIC_XXXX".to_owned(), with_queues(self.delay_levels)),
            (self.reply_topic(), with_queues(1)),
            (TIMER_TOPIC.to_owned(), with_queues(1)),
        ];
        if self.auto_create.is_on() {
            topics.extend(DEFAULT_TOPICS.map(|name| (name.to_owned(), inherit(self.default_queue_nums, true))));
        }
        if let Some(name) = &self.trace_topic {
            topics.push((name.clone(), with_queues(1)));
        }
        topics
    }

    /// The names that belong to the system, of which some have no topic.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let own = [self.cluster_name.clone(), self.broker_name.clone(), self.reply_topic()];
        let fixed = SYSTEM_TOPICS.iter().map(|name| (*name).to_owned());
        fixed.chain(own).chain(self.trace_topic.clone()).collect()
    }

    /// The topic that answers to requests go through.
    fn reply_topic(&self) -> String {
        format!("{}_REPLY_TOPIC", self.cluster_name)
    }

    /// Whether a name belongs to the system: in every broker, or as this broker's cluster, name, trace or reply topic.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        is_system_name(name)
            || name == self.cluster_name
            || name == self.broker_name
            || self.trace_topic.as_deref() == Some(name)
            || name == self.reply_topic()
    }
}
