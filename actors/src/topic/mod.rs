//! Topics: what a topic is, and the table of them.
//!
//! [`TopicTable`] is the owner's state, with RocketMQ's rules for creating and changing a topic; [`TopicView`] is read by
//! every connection for every message. The rules follow Java's `TopicConfigManager` and `TopicValidator`.

mod name;
mod table;

use std::fmt;

pub use name::{Refusal, check_name, is_system, refuses_sends};
use serde_json::Value;
pub use table::{OnSend, SystemTopics, TopicTable};

use crate::config_table::{BadMember, Config, Members, Named, View, boolean, integer};

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

/// How a topic's messages may be tagged. Nothing depends on it; it is carried along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterType {
    /// One tag for each message.
    SingleTag,
    /// Several.
    MultiTag,
}

impl FilterType {
    /// The name on the wire and in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SingleTag => "SINGLE_TAG",
            Self::MultiTag => "MULTI_TAG",
        }
    }

    /// The type of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "SINGLE_TAG" => Some(Self::SingleTag),
            "MULTI_TAG" => Some(Self::MultiTag),
            _ => None,
        }
    }
}

/// What may be done with a topic or a broker: a set of bits, printed as `RWX` with dashes for what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission(pub i32);

impl Permission {
    /// Topics may be created by sending, in the likeness of this one.
    pub const INHERIT: i32 = 1;
    /// Messages may be sent.
    pub const WRITE: i32 = 2;
    /// Messages may be pulled.
    pub const READ: i32 = 4;
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

/// A topic's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// How many queues are pulled from.
    pub read_queue_nums: u32,
    /// How many queues are sent to.
    pub write_queue_nums: u32,
    /// What may be done with it.
    pub permission: Permission,
    /// How its messages may be tagged.
    pub filter_type: FilterType,
    /// [`TopicConfig::UNIT`] and [`TopicConfig::UNIT_SUBSCRIPTION`].
    pub system_flag: i32,
    /// Whether the name server's order configuration names it.
    pub order: bool,
}

impl TopicConfig {
    /// The system flag of a topic of a unit.
    pub const UNIT: i32 = 1;
    /// The system flag of a topic that a unit subscribes to.
    pub const UNIT_SUBSCRIPTION: i32 = 2;

    /// A topic with as many queues in both directions, readable and writeable.
    #[must_use]
    pub fn with_queues(queue_nums: u32) -> Self {
        Self {
            read_queue_nums: queue_nums,
            write_queue_nums: queue_nums,
            permission: Permission::READ_WRITE,
            filter_type: FilterType::SingleTag,
            system_flag: 0,
            order: false,
        }
    }
}

impl Config for TopicConfig {
    type Id = TopicId;
    const ROWS: &'static str = "topicConfigTable";
    const NAME: &'static str = "topicName";

    fn read(row: &Members) -> Result<Self, BadMember> {
        let queue_nums = |member| {
            let wanted = (0..=i64::from(MAX_QUEUE_NUMS), "a number from 0 to 65535");
            integer(row, member, 16, wanted).map(|number| u32::try_from(number).unwrap_or(MAX_QUEUE_NUMS))
        };
        let bits = |member, default| {
            let wanted = (0..=i64::from(i32::MAX), "a number from 0 on");
            integer(row, member, default, wanted).map(|number| i32::try_from(number).unwrap_or(i32::MAX))
        };
        let filter_type = match row.get("topicFilterType") {
            None | Some(Value::Null) => FilterType::SingleTag,
            Some(value) => value.as_str().and_then(FilterType::parse).ok_or_else(|| BadMember {
                member: "topicFilterType",
                found: value.to_string(),
                wanted: "SINGLE_TAG or MULTI_TAG",
            })?,
        };
        Ok(Self {
            read_queue_nums: queue_nums("readQueueNums")?,
            write_queue_nums: queue_nums("writeQueueNums")?,
            permission: Permission(bits("perm", i64::from(Permission::READ_WRITE.0))?),
            filter_type,
            system_flag: bits("topicSysFlag", 0)?,
            order: boolean(row, "order", false)?,
        })
    }

    fn write(&self, row: &mut Members) {
        row.insert("order".to_owned(), Value::from(self.order));
        row.insert("perm".to_owned(), Value::from(self.permission.0));
        row.insert("readQueueNums".to_owned(), Value::from(self.read_queue_nums));
        row.insert("topicFilterType".to_owned(), Value::from(self.filter_type.as_str()));
        row.insert("topicSysFlag".to_owned(), Value::from(self.system_flag));
        row.insert("writeQueueNums".to_owned(), Value::from(self.write_queue_nums));
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
            config.permission,
            config.filter_type.as_str(),
            config.system_flag,
            config.order
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_printed_as_java_prints_it() {
        let topic = Topic {
            id: TopicId(7),
            name: "GoldenError".into(),
            config: TopicConfig::with_queues(1),
        };
        assert_eq!(
            topic.to_string(),
            "TopicConfig [topicName=GoldenError, readQueueNums=1, writeQueueNums=1, perm=RW-, \
             topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false]"
        );
        assert_eq!(Permission(7).to_string(), "RWX");
        assert_eq!(Permission(0).to_string(), "---");
    }

    #[test]
    fn absent_members_get_the_defaults_of_java() {
        let config = TopicConfig::read(&Members::new()).unwrap();
        assert_eq!(config, TopicConfig::with_queues(16));
    }

    #[test]
    fn a_member_that_cannot_be_is_named() {
        for (member, value) in [
            ("readQueueNums", Value::from(-1)),
            ("writeQueueNums", Value::from(1 << 20)),
            ("perm", Value::from("RW")),
            ("order", Value::from(1)),
            ("topicFilterType", Value::from("NONE")),
        ] {
            let row = Members::from_iter([(member.to_owned(), value)]);
            assert_eq!(TopicConfig::read(&row).unwrap_err().member, member);
        }
    }
}
