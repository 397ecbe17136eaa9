//! The table of topics with RocketMQ's rules: which topics are there from the start, how a send creates one, what an
//! administrator may change. Mirrors Java's `TopicConfigManager`.
//!
//! Every change is staged (see [`crate::config_table`]): the owner writes the file, then publishes.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::{
    DEAD_LETTER_PREFIX, MAX_QUEUE_NUMS, Permission, RETRY_PREFIX, Refusal, Topic, TopicConfig, TopicView, check_name,
    is_system,
};
use crate::config_table::{ConfigTable, DataVersion, LoadError};

/// The default topics in whose likeness a send creates a topic: every release but one says the first, 4.3.0 the second.
const DEFAULT_TOPICS: [&str; 2] = ["TBW102", "AUTO_CREATE_TOPIC_KEY"];
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
    pub auto_create: bool,
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
            auto_create: true,
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
    fn list(&self) -> Vec<(&str, TopicConfig)> {
        let plain = TopicConfig::with_queues;
        let with_bits = |queue_nums, bits| TopicConfig {
            permission: Permission(bits),
            ..plain(queue_nums)
        };
        let inherit = |open: bool| {
            if open {
                Permission::INHERIT | Permission::READ_WRITE.0
            } else {
                Permission::INHERIT
            }
        };
        let mut topics = vec![
            ("SELF_TEST_TOPIC", plain(1)),
            ("BenchmarkTest", plain(BENCHMARK_QUEUES)),
            (
                self.cluster_name.as_str(),
                with_bits(CLUSTER_QUEUES, inherit(self.cluster_topic)),
            ),
            (self.broker_name.as_str(), with_bits(1, inherit(self.broker_topic))),
            ("OFFSET_MOVED_EVENT", plain(1)),
            ("SCHEDULE_TOPIC_XXXX", plain(self.delay_levels)),
        ];
        if self.auto_create {
            topics.extend(DEFAULT_TOPICS.map(|name| (name, with_bits(self.default_queue_nums, inherit(true)))));
        }
        if let Some(name) = &self.trace_topic {
            topics.push((name, plain(1)));
        }
        topics
    }
}

/// What a send to an unknown topic says about the topic it wants.
#[derive(Clone, Copy, Debug)]
pub struct OnSend<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The topic in whose likeness it is to be made.
    pub default_topic: &'a str,
    /// How many queues the client wants at most.
    pub queue_nums: i32,
    /// Whether the sender belongs to a unit.
    pub unit: bool,
}

/// The table of topics.
#[derive(Debug)]
pub struct TopicTable {
    table: ConfigTable<TopicConfig>,
    system: SystemTopics,
}

impl TopicTable {
    /// Reads the table from `topics.json` (`None` where there is none), adds the system topics it lacks, and shows all
    /// in `view`.
    ///
    /// # Errors
    /// When the file is not such a table.
    pub fn load(file: Option<Value>, system: SystemTopics, view: TopicView, now_ms: u64) -> Result<Self, LoadError> {
        let mut table = ConfigTable::load(file, view, now_ms)?;
        for (name, config) in system.list() {
            table.preset(name, config);
        }
        let reply_topic = format!("{}_REPLY_TOPIC", system.cluster_name);
        table.preset(&reply_topic, TopicConfig::with_queues(1));
        table.publish_all();
        Ok(Self { table, system })
    }

    /// Finds the topic that a send names, or stages it in the likeness of the default topic that the send names. A
    /// retry topic needs no likeness.
    ///
    /// # Errors
    /// [`Refusal::NotExist`] when it may not be created, and the refusals of its name.
    pub fn create_on_send(&mut self, wanted: OnSend<'_>, now_ms: u64) -> Result<Arc<Topic>, Refusal> {
        if let Some(topic) = self.table.get(wanted.topic) {
            return Ok(Arc::clone(topic));
        }
        check_name(wanted.topic)?;
        match (self.likeness(wanted), wanted.topic.strip_prefix(RETRY_PREFIX)) {
            (Some(config), _) => Ok(self.table.put(wanted.topic, config, now_ms)),
            (None, Some(group)) => self.create_retry(group, 1, wanted.unit, now_ms),
            (None, None) => Err(Refusal::NotExist {
                topic: wanted.topic.to_owned(),
            }),
        }
    }

    /// Finds or stages the retry topic of a group.
    ///
    /// # Errors
    /// When the group's name makes no topic name.
    pub fn create_retry(
        &mut self,
        group: &str,
        queue_nums: u32,
        unit: bool,
        now_ms: u64,
    ) -> Result<Arc<Topic>, Refusal> {
        let system_flag = if unit { TopicConfig::UNIT_SUBSCRIPTION } else { 0 };
        let config = TopicConfig {
            system_flag,
            ..TopicConfig::with_queues(queue_nums)
        };
        self.create_own(&format!("{RETRY_PREFIX}{group}"), config, now_ms)
    }

    /// Finds or stages the dead-letter topic of a group: one queue, and readable, as it is since 4.9.
    ///
    /// # Errors
    /// When the group's name makes no topic name.
    pub fn create_dead_letter(&mut self, group: &str, now_ms: u64) -> Result<Arc<Topic>, Refusal> {
        self.create_own(
            &format!("{DEAD_LETTER_PREFIX}{group}"),
            TopicConfig::with_queues(1),
            now_ms,
        )
    }

    /// Finds or stages a topic that the broker itself needs (half messages, retries).
    ///
    /// # Errors
    /// When the name or the number of queues cannot be.
    pub fn create_own(&mut self, name: &str, config: TopicConfig, now_ms: u64) -> Result<Arc<Topic>, Refusal> {
        if let Some(topic) = self.table.get(name) {
            return Ok(Arc::clone(topic));
        }
        check_name(name)?;
        check_queues(&config)?;
        Ok(self.table.put(name, config, now_ms))
    }

    /// Stages a topic as an administrator wants it, new or changed. Whether it is an order topic stays as it was: the
    /// name server says that.
    ///
    /// # Errors
    /// The refusals of its name, also for the system's topics, and [`Refusal::TooManyQueues`].
    pub fn update(&mut self, name: &str, config: TopicConfig, now_ms: u64) -> Result<Arc<Topic>, Refusal> {
        self.check_change(name)?;
        check_queues(&config)?;
        let order = self.table.get(name).is_some_and(|topic| topic.config.order);
        Ok(self.table.put(name, TopicConfig { order, ..config }, now_ms))
    }

    /// Stages the removal of a topic; gives what it was, `None` where there was none.
    ///
    /// # Errors
    /// The refusals of its name, also for the system's topics.
    pub fn delete(&mut self, name: &str, now_ms: u64) -> Result<Option<Arc<Topic>>, Refusal> {
        self.check_change(name)?;
        Ok(self.table.remove(name, now_ms))
    }

    /// Stages which topics are order topics: those that the name server's order configuration names, and no others.
    /// Answers whether anything changed.
    pub fn mark_order(&mut self, order_topics: &BTreeSet<String>, now_ms: u64) -> bool {
        let changed: Vec<_> = self
            .table
            .iter()
            .filter(|topic| topic.config.order != order_topics.contains(&*topic.name))
            .map(Arc::clone)
            .collect();
        for topic in &changed {
            self.table.put(
                &topic.name,
                TopicConfig {
                    order: !topic.config.order,
                    ..topic.config
                },
                now_ms,
            );
        }
        !changed.is_empty()
    }

    /// A topic, staged changes included.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Topic>> {
        self.table.get(name)
    }

    /// All topics in the order of their names, staged changes included.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.table.iter()
    }

    /// The table's version, which the name server compares.
    #[must_use]
    pub fn version(&self) -> DataVersion {
        self.table.version()
    }

    /// Whether a name belongs to the system: in every broker, or as this broker's cluster, name or reply topic.
    #[must_use]
    pub fn is_system(&self, name: &str) -> bool {
        is_system(name)
            || name == self.system.cluster_name
            || name == self.system.broker_name
            || self.system.trace_topic.as_deref() == Some(name)
            || name.strip_suffix("_REPLY_TOPIC") == Some(self.system.cluster_name.as_str())
    }

    /// Whether changes wait to be published.
    #[must_use]
    pub fn is_staged(&self) -> bool {
        self.table.is_staged()
    }

    /// Shows the staged changes to the readers.
    pub fn publish(&mut self) {
        self.table.publish();
    }

    /// Forgets the staged changes.
    pub fn revert(&mut self) {
        self.table.revert();
    }

    /// The table as `topics.json` holds it, staged changes included.
    #[must_use]
    pub fn export(&self) -> Value {
        self.table.export()
    }

    /// The readers' side.
    #[must_use]
    pub fn view(&self) -> TopicView {
        self.table.view()
    }

    fn likeness(&self, wanted: OnSend<'_>) -> Option<TopicConfig> {
        let default = self.table.get(wanted.default_topic)?.config;
        if !default.permission.is_inherited()
            || (DEFAULT_TOPICS.contains(&wanted.default_topic) && !self.system.auto_create)
        {
            return None;
        }
        let queue_nums = u32::try_from(wanted.queue_nums)
            .unwrap_or(0)
            .min(default.write_queue_nums);
        let unit_flag = if wanted.topic.starts_with(RETRY_PREFIX) {
            TopicConfig::UNIT_SUBSCRIPTION
        } else {
            TopicConfig::UNIT
        };
        Some(TopicConfig {
            permission: Permission(default.permission.0 & !Permission::INHERIT),
            filter_type: default.filter_type,
            system_flag: if wanted.unit { unit_flag } else { 0 },
            ..TopicConfig::with_queues(queue_nums)
        })
    }

    fn check_change(&self, name: &str) -> Result<(), Refusal> {
        check_name(name)?;
        if self.is_system(name) {
            Err(Refusal::System { topic: name.to_owned() })
        } else {
            Ok(())
        }
    }
}

fn check_queues(config: &TopicConfig) -> Result<(), Refusal> {
    let within = |queue_nums| queue_nums <= MAX_QUEUE_NUMS;
    if within(config.read_queue_nums) && within(config.write_queue_nums) {
        Ok(())
    } else {
        Err(Refusal::TooManyQueues)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(system: SystemTopics) -> TopicTable {
        TopicTable::load(None, system, TopicView::new(), 1_000).unwrap()
    }

    fn on_send<'a>(topic: &'a str, default_topic: &'a str) -> OnSend<'a> {
        OnSend {
            topic,
            default_topic,
            queue_nums: 4,
            unit: false,
        }
    }

    #[test]
    fn the_system_topics_are_there_from_the_start() {
        let table = table(SystemTopics {
            broker_name: "broker-a".to_owned(),
            ..SystemTopics::default()
        });
        let view = table.view();
        for (name, queue_nums, bits) in [
            ("SELF_TEST_TOPIC", 1, 6),
            ("TBW102", 8, 7),
            ("AUTO_CREATE_TOPIC_KEY", 8, 7),
            ("BenchmarkTest", 1024, 6),
            ("DefaultCluster", 16, 7),
            ("broker-a", 1, 7),
            ("OFFSET_MOVED_EVENT", 1, 6),
            ("SCHEDULE_TOPIC_XXXX", 18, 6),
            ("RMQ_SYS_TRACE_TOPIC", 1, 6),
            ("DefaultCluster_REPLY_TOPIC", 1, 6),
        ] {
            let config = view.get(name).unwrap_or_else(|| panic!("{name} is missing")).config;
            assert_eq!(
                (config.read_queue_nums, config.write_queue_nums),
                (queue_nums, queue_nums),
                "{name}"
            );
            assert_eq!(config.permission, Permission(bits), "{name}");
            assert!(table.is_system(name), "{name}");
        }
        assert_eq!(view.all().len(), 10);
        assert_eq!(table.version().counter, 0);
    }

    #[test]
    fn a_send_creates_a_topic_in_the_likeness_of_either_default_topic() {
        let mut table = table(SystemTopics::default());
        for (name, default) in [("New", "TBW102"), ("Old", "AUTO_CREATE_TOPIC_KEY")] {
            let topic = table.create_on_send(on_send(name, default), 1_001).unwrap();
            assert_eq!(topic.config, TopicConfig::with_queues(4));
        }
        let many = table
            .create_on_send(
                OnSend {
                    queue_nums: 64,
                    ..on_send("Many", "TBW102")
                },
                1_001,
            )
            .unwrap();
        assert_eq!(many.config.write_queue_nums, 8);
        let none = table
            .create_on_send(
                OnSend {
                    queue_nums: -1,
                    ..on_send("None", "TBW102")
                },
                1_001,
            )
            .unwrap();
        assert_eq!(none.config.read_queue_nums, 0);
        let unit = table
            .create_on_send(
                OnSend {
                    unit: true,
                    ..on_send("Unit", "TBW102")
                },
                1_001,
            )
            .unwrap();
        assert_eq!(unit.config.system_flag, TopicConfig::UNIT);
        assert_eq!(table.version().counter, 5);
    }

    #[test]
    fn a_send_to_a_known_topic_changes_nothing() {
        let mut table = table(SystemTopics::default());
        let first = table.create_on_send(on_send("T", "TBW102"), 1_001).unwrap();
        let second = table
            .create_on_send(
                OnSend {
                    queue_nums: 2,
                    ..on_send("T", "NoSuchTopic")
                },
                1_002,
            )
            .unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(
            table.version(),
            DataVersion {
                counter: 1,
                timestamp_ms: 1_001
            }
        );
    }

    #[test]
    fn a_topic_without_a_likeness_is_refused_as_java_refuses_it() {
        let mut open = table(SystemTopics::default());
        for default in ["NoSuchTopic", "SELF_TEST_TOPIC", ""] {
            let refusal = open
                .create_on_send(on_send("NoSuchTopic1", default), 1_001)
                .unwrap_err();
            assert_eq!(
                refusal.to_string(),
                "topic[NoSuchTopic1] not exist, apply first please!\n\
                 See http://rocketmq.apache.org/docs/faq/ for further details."
            );
        }
        let file = open.export();
        let closed = SystemTopics {
            auto_create: false,
            ..SystemTopics::default()
        };
        let mut from_file = TopicTable::load(Some(file), closed.clone(), TopicView::new(), 1_000).unwrap();
        assert!(from_file.view().contains("TBW102"));
        assert!(from_file.create_on_send(on_send("T", "TBW102"), 1_001).is_err());
        assert!(!table(closed).view().contains("TBW102"));
    }

    #[test]
    fn a_retry_topic_is_created_even_where_topics_are_not() {
        let mut table = table(SystemTopics {
            auto_create: false,
            ..SystemTopics::default()
        });
        let sent = OnSend {
            unit: true,
            ..on_send("%RETRY%g", "TBW102")
        };
        let topic = table.create_on_send(sent, 1_001).unwrap();
        let expected = TopicConfig {
            system_flag: TopicConfig::UNIT_SUBSCRIPTION,
            ..TopicConfig::with_queues(1)
        };
        assert_eq!(topic.config, expected);
        assert_eq!(
            table.create_retry("h", 3, false, 1_002).unwrap().config,
            TopicConfig::with_queues(3)
        );
        assert_eq!(&*table.create_dead_letter("h", 1_003).unwrap().name, "%DLQ%h");
        assert_eq!(
            table.create_retry(&"g".repeat(121), 1, false, 1_004).unwrap_err(),
            Refusal::TooLong
        );
    }

    #[test]
    fn an_update_is_refused_for_the_system_s_topics_and_keeps_the_order_mark() {
        let mut table = table(SystemTopics::default());
        for name in ["DefaultCluster", "TBW102", "DefaultCluster_REPLY_TOPIC", "rmq_sys_x"] {
            let refusal = table.update(name, TopicConfig::with_queues(1), 1_001).unwrap_err();
            assert_eq!(
                refusal.to_string(),
                format!("The topic[{name}] is conflict with system topic.")
            );
            assert!(table.delete(name, 1_001).is_err());
        }
        table.update("T", TopicConfig::with_queues(4), 1_001).unwrap();
        assert!(table.mark_order(&BTreeSet::from(["T".to_owned()]), 1_002));
        assert!(!table.mark_order(&BTreeSet::from(["T".to_owned(), "Unknown".to_owned()]), 1_003));
        assert!(
            table
                .update("T", TopicConfig::with_queues(8), 1_004)
                .unwrap()
                .config
                .order
        );
        assert!(table.mark_order(&BTreeSet::new(), 1_005));
        assert!(!table.get("T").unwrap().config.order);
        assert_eq!(
            table
                .update("Huge", TopicConfig::with_queues(MAX_QUEUE_NUMS + 1), 1_006)
                .unwrap_err(),
            Refusal::TooManyQueues
        );
    }

    #[test]
    fn the_file_overrides_what_the_system_says() {
        let mut first = table(SystemTopics::default());
        first.update("T", TopicConfig::with_queues(3), 1_001).unwrap();
        first.delete("T", 1_002).unwrap();
        assert!(first.delete("T", 1_003).unwrap().is_none());
        let mut file = first.export();
        file["topicConfigTable"]["BenchmarkTest"]["readQueueNums"] = Value::from(5);
        let second = TopicTable::load(Some(file), SystemTopics::default(), TopicView::new(), 2_000).unwrap();
        assert_eq!(second.get("BenchmarkTest").unwrap().config.read_queue_nums, 5);
        assert_eq!(
            second.version(),
            DataVersion {
                counter: 2,
                timestamp_ms: 1_002
            }
        );
        assert!(second.get("T").is_none());
    }
}
