//! A topic's configuration and the table of them: the answer to code 21, a part of registration, and `topics.json`.
//! Java's `TopicConfig` and `TopicConfigSerializeWrapper`.

use super::{Body, DataVersion, ExtraMembers};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One topic's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfig {
    /// Whether messages with one key stay on one queue even when the number of brokers changes.
    pub order: bool,
    /// The permission bits: 8 priority (unused), 4 read, 2 write, 1 inherit.
    pub perm: u32,
    /// The number of queues that consumers see.
    pub read_queue_nums: u32,
    /// How many tags a message may have; nobody reads it.
    pub topic_filter_type: TopicFilterType,
    /// The topic.
    pub topic_name: String,
    /// Bit 0: the topic belongs to one unit; bit 1: it has subscribers in units.
    pub topic_sys_flag: u32,
    /// The number of queues that producers see.
    pub write_queue_nums: u32,
    /// Members of other releases, kept.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

impl Default for TopicConfig {
    fn default() -> Self {
        TopicConfig {
            order: false,
            perm: 6,
            read_queue_nums: 16,
            topic_filter_type: TopicFilterType::SingleTag,
            topic_name: String::new(),
            topic_sys_flag: 0,
            write_queue_nums: 16,
            extra: ExtraMembers::new(),
        }
    }
}

/// How many tags a message may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TopicFilterType {
    /// One.
    #[default]
    SingleTag,
    /// Several.
    MultiTag,
}

impl TopicFilterType {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            TopicFilterType::SingleTag => "SINGLE_TAG",
            TopicFilterType::MultiTag => "MULTI_TAG",
        }
    }

    /// Finds the type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [TopicFilterType::SingleTag, TopicFilterType::MultiTag]
            .into_iter()
            .find(|known| known.name() == name)
    }
}

/// A broker's topics and the version of that table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfigTable {
    /// The table's version.
    pub data_version: DataVersion,
    /// The configurations by topic.
    pub topic_config_table: BTreeMap<String, TopicConfig>,
    /// Members of other releases, kept.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

impl Body for TopicConfig {}
impl Body for TopicConfigTable {}
