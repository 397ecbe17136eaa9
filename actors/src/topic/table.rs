//! The table of topics with RocketMQ's rules: which topics are there from the start, how a send creates one, what an
//! administrator may change. Mirrors Java's `TopicConfigManager`.
//!
//! Every change is staged (see [`crate::config_table`]): the owner writes the file, then publishes.

use std::collections::BTreeSet;
use std::sync::Arc;

use cuemq_net::body::{DataVersion, ExtraMembers, TopicConfig, TopicConfigTable};

use super::system::{DEFAULT_TOPICS, SystemTopics};
use super::{
    DEAD_LETTER_PREFIX, MAX_QUEUE_NUMS, Permission, RETRY_PREFIX, Refusal, TOPICS_MAX, Topic, TopicView, UNIT,
    UNIT_SUBSCRIPTION, check_name, with_queues,
};
use crate::config_table::ConfigTable;

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
    /// Members of the file that belong to other releases.
    extra: ExtraMembers,
    system: SystemTopics,
}

impl TopicTable {
    /// Takes over `topics.json` (`None` where there is none), adds the system topics it lacks, and shows all in `view`.
    ///
    /// # Errors
    /// [`Refusal::TooManyQueues`] when a topic of the file has more than this broker carries.
    pub fn load(
        file: Option<TopicConfigTable>,
        system: SystemTopics,
        view: TopicView,
        now_ms: u64,
    ) -> Result<Self, Refusal> {
        let mut file = file.unwrap_or_else(|| {
            let timestamp = i64::try_from(now_ms).unwrap_or(i64::MAX);
            TopicConfigTable {
                data_version: DataVersion {
                    timestamp,
                    ..DataVersion::default()
                },
                ..Default::default()
            }
        });
        for (name, config) in &mut file.topic_config_table {
            check_queues(name, config)?;
            config.topic_name.clone_from(name);
        }
        let mut table = ConfigTable::new(file.topic_config_table, file.data_version, view);
        for (name, config) in system.list() {
            table.preset(
                &name,
                TopicConfig {
                    topic_name: name.clone(),
                    ..config
                },
            );
        }
        table.publish_all();
        Ok(Self {
            table,
            extra: file.extra,
            system,
        })
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
        self.check_count()?;
        match (self.likeness(wanted), wanted.topic.strip_prefix(RETRY_PREFIX)) {
            (Some(config), _) => Ok(self.put(wanted.topic, config, now_ms)),
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
        let topic_sys_flag = if unit { UNIT_SUBSCRIPTION } else { 0 };
        let config = TopicConfig {
            topic_sys_flag,
            ..with_queues(queue_nums)
        };
        self.create_own(&format!("{RETRY_PREFIX}{group}"), config, now_ms)
    }

    /// Finds or stages the dead-letter topic of a group: one queue, and readable, as it is since 4.9.
    ///
    /// # Errors
    /// When the group's name makes no topic name.
    pub fn create_dead_letter(&mut self, group: &str, now_ms: u64) -> Result<Arc<Topic>, Refusal> {
        self.create_own(&format!("{DEAD_LETTER_PREFIX}{group}"), with_queues(1), now_ms)
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
        check_queues(name, &config)?;
        self.check_count()?;
        Ok(self.put(name, config, now_ms))
    }

    /// Stages a topic as an administrator wants it, new or changed. Whether it is an order topic stays as it was: the
    /// name server says that.
    ///
    /// # Errors
    /// The refusals of its name, also for the system's topics, and [`Refusal::TooManyQueues`].
    pub fn update(&mut self, name: &str, config: TopicConfig, now_ms: u64) -> Result<Arc<Topic>, Refusal> {
        self.check_update(name, &config)?;
        let (order, mut extra) = match self.table.get(name) {
            Some(topic) => (topic.config.order, topic.config.extra.clone()),
            None => (false, ExtraMembers::new()),
        };
        extra.extend(config.extra);
        Ok(self.put(name, TopicConfig { order, extra, ..config }, now_ms))
    }

    /// Stages several topics as an administrator wants them, all or none.
    ///
    /// # Errors
    /// That of [`Self::update`] for the first that may not be.
    pub fn update_all(&mut self, configs: Vec<TopicConfig>, now_ms: u64) -> Result<(), Refusal> {
        for config in &configs {
            self.check_update(&config.topic_name, config)?;
        }
        for config in configs {
            let name = config.topic_name.clone();
            self.update(&name, config, now_ms)?;
        }
        Ok(())
    }

    /// Stages the removal of a topic; gives what it was, `None` where there was none.
    ///
    /// # Errors
    /// The refusals of its name, also for the system's topics.
    pub fn delete(&mut self, name: &str, now_ms: u64) -> Result<Option<Arc<Topic>>, Refusal> {
        self.check_change(name)?;
        Ok(self.table.remove(name, now_ms))
    }

    /// Stages a new version of the topics as they are.
    pub fn touch(&mut self, now_ms: u64) {
        self.table.touch(now_ms);
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
            let order = !topic.config.order;
            self.put(
                &topic.name,
                TopicConfig {
                    order,
                    ..topic.config.clone()
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

    /// The system's topics, as far as their names say.
    #[must_use]
    pub fn system(&self) -> &SystemTopics {
        &self.system
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

    /// The table as `topics.json` and the answer to code 21 hold it, staged changes included.
    #[must_use]
    pub fn export(&self) -> TopicConfigTable {
        TopicConfigTable {
            data_version: self.table.version(),
            topic_config_table: self.table.export(),
            extra: self.extra.clone(),
        }
    }

    /// The readers' side.
    #[must_use]
    pub fn view(&self) -> TopicView {
        self.table.view()
    }

    fn likeness(&self, wanted: OnSend<'_>) -> Option<TopicConfig> {
        let default = self.table.get(wanted.default_topic)?;
        let closed = !self.system.auto_create.is_on() && DEFAULT_TOPICS.contains(&wanted.default_topic);
        if closed || !default.permission().is_inherited() {
            return None;
        }
        let most = default.config.write_queue_nums;
        let unit_flag = if wanted.topic.starts_with(RETRY_PREFIX) {
            UNIT_SUBSCRIPTION
        } else {
            UNIT
        };
        Some(TopicConfig {
            perm: default.config.perm & !Permission::INHERIT,
            topic_filter_type: default.config.topic_filter_type,
            topic_sys_flag: if wanted.unit { unit_flag } else { 0 },
            ..with_queues(u32::try_from(wanted.queue_nums).unwrap_or(0).min(most))
        })
    }

    /// Stages a row that knows its own name.
    fn put(&mut self, name: &str, config: TopicConfig, now_ms: u64) -> Arc<Topic> {
        let topic_name = name.to_owned();
        self.table.put(name, TopicConfig { topic_name, ..config }, now_ms)
    }

    fn check_count(&self) -> Result<(), Refusal> {
        if self.table.len() < TOPICS_MAX {
            Ok(())
        } else {
            Err(Refusal::TooManyTopics)
        }
    }

    fn check_update(&self, name: &str, config: &TopicConfig) -> Result<(), Refusal> {
        self.check_change(name)?;
        check_queues(name, config)
    }

    fn check_change(&self, name: &str) -> Result<(), Refusal> {
        check_name(name)?;
        if self.system.contains(name) {
            Err(Refusal::System { topic: name.to_owned() })
        } else {
            Ok(())
        }
    }
}

fn check_queues(topic: &str, config: &TopicConfig) -> Result<(), Refusal> {
    if config.read_queue_nums.max(config.write_queue_nums) <= MAX_QUEUE_NUMS {
        Ok(())
    } else {
        Err(Refusal::TooManyQueues {
            topic: topic.to_owned(),
        })
    }
}
