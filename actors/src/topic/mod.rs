//! Topics: what a topic is, and the table of them.
//!
//! [`TopicTable`] is the owner's state, with RocketMQ's rules for creating and changing a topic; [`TopicView`] is read by
//! every connection for every message. The rules follow Java's `TopicConfigManager` and `TopicValidator`.

pub mod actor;
mod name;
mod slots;
mod system;
mod table;
#[cfg(test)]
mod table_test;

use std::fmt;

use cuemq_net::body::TopicConfig;
use name::TOPICS_MAX;
pub use name::{Refusal, check_name, check_send, is_system_name};
pub use slots::KnownSlots;
pub use system::SystemTopics;
pub use table::{OnSend, TopicTable};

use crate::config_table::{Config, Named, View};

/// A topic as the connections see it.
pub type Topic = Named<TopicConfig>;
/// The readers' side of the table of topics.
pub type TopicView = View<TopicConfig>;

/// The most queues that a topic may have in either direction.
pub const MAX_QUEUE_NUMS: u32 = 65_535;
/// What the retry topic of a group begins with.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// What the dead-letter topic of a group begins with.
pub const DEAD_LETTER_PREFIX: &str = "%DLQ%";

/// Stands for a topic's name in this process; no two names ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u32);

impl From<u32> for TopicId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

/// The system flag of a topic of a unit.
pub const UNIT: u32 = 1;
/// The system flag of a topic that a unit subscribes to.
pub const UNIT_SUBSCRIPTION: u32 = 2;

impl Config for TopicConfig {
    type Id = TopicId;
    type Found = KnownSlots;
}

/// What may be done with a topic or a broker: a set of bits, printed as `RWX` with dashes for what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission(pub u32);

impl Permission {
    /// Topics may be created by sending, in the likeness of this one.
    pub const INHERIT: u32 = 1;
    /// Messages may be sent.
    pub const WRITE: u32 = 2;
    /// Messages may be pulled.
    pub const READ: u32 = 4;
    /// Messages may be sent and pulled.
    pub const READ_WRITE: Self = Self(Self::READ | Self::WRITE);

    /// Whether messages may be pulled.
    #[must_use]
    pub fn is_readable(self) -> bool {
        self.0 & Self::READ != 0
    }

    /// Whether messages may be sent.
    #[must_use]
    pub fn is_writeable(self) -> bool {
        self.0 & Self::WRITE != 0
    }

    /// Whether topics may be created in its likeness.
    #[must_use]
    pub fn is_inherited(self) -> bool {
        self.0 & Self::INHERIT != 0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_readable() { "R" } else { "-" })?;
        f.write_str(if self.is_writeable() { "W" } else { "-" })?;
        f.write_str(if self.is_inherited() { "X" } else { "-" })
    }
}

/// A topic with as many queues in both directions, readable and writeable.
#[must_use]
pub fn with_queues(queue_nums: u32) -> TopicConfig {
    TopicConfig {
        read_queue_nums: queue_nums,
        write_queue_nums: queue_nums,
        ..TopicConfig::default()
    }
}

impl Topic {
    /// What may be done with it.
    #[must_use]
    pub fn permission(&self) -> Permission {
        Permission(self.config.perm)
    }
}

/// As Java prints it in the refusal of an illegal queue.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        write!(
            f,
            "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={}, topicFilterType={}, \
             topicSysFlag={}, order={}]",
            self.name,
            config.read_queue_nums,
            config.write_queue_nums,
            self.permission(),
            config.topic_filter_type.name(),
            config.topic_sys_flag,
            config.order
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_printed_as_java_prints_it() {
        let topic = Topic::new(TopicId(7), "GoldenError".into(), with_queues(1));
        assert_eq!(
            topic.to_string(),
            "TopicConfig [topicName=GoldenError, readQueueNums=1, writeQueueNums=1, perm=RW-, \
             topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false]"
        );
        assert_eq!(Permission(7).to_string(), "RWX");
        assert_eq!(Permission(0).to_string(), "---");
    }
}
