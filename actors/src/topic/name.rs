//! What a topic may be called, what may be sent to, and the refusals of the topic table.
//!
//! As Java's `TopicValidator` since 4.9: the older brokers checked the length alone.

use cuemq_net::code::ResponseCode;
use cuemq_storage::timer::TIMER_TOPIC;

/// The longest name in bytes: the stored record counts it in one signed byte.
const MAX_NAME_LENGTH: usize = 127;
/// With so many topics none is made for a client any more: anybody can send to any name.
pub(super) const TOPICS_MAX: usize = 65_536;
/// What the names of newer brokers' own topics begin with.
const SYSTEM_PREFIX: &str = "rmq_sys_";

/// The names that belong to the system in every broker; the cluster's and the broker's own come in by the settings.
pub(super) const SYSTEM_TOPICS: [&str; 10] = [
    "TBW102",
    "AUTO_CREATE_TOPIC_KEY",
    "SCHEDULE_TOPIC_XXXX",
    "BenchmarkTest",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "RMQ_SYS_TRACE_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];

/// The names that only the broker itself writes to.
const CLOSED_TOPICS: [&str; 7] = [
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    TIMER_TOPIC,
];

/// Why the topic table refuses. The text is the remark that Java's broker answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name is empty or blank.
    #[error("The specified topic is blank.")]
    Blank,
    /// The name is longer than 127 bytes.
    #[error("The specified topic is longer than topic max length.")]
    TooLong,
    /// The name has a character that is not allowed.
    #[error("The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$")]
    IllegalCharacters,
    /// The name belongs to the system.
    #[error("The topic[{topic}] is conflict with system topic.")]
    System {
        /// The name.
        topic: String,
    },
    /// Only the broker itself writes to that topic.
    #[error("Sending message to topic[{topic}] is forbidden.")]
    Closed {
        /// The name.
        topic: String,
    },
    /// There is no such topic, and none may be created by sending.
    #[error(
        "topic[{topic}] not exist, apply first please!\nSee http://rocketmq.apache.org/docs/faq/ for further details."
    )]
    NotExist {
        /// The name.
        topic: String,
    },
    /// There are so many topics that clients make no more.
    #[error("the broker has {TOPICS_MAX} topics, and clients make no more: delete those that nobody needs")]
    TooManyTopics,
    /// The number of queues is beyond what a topic may have.
    #[error("the topic[{topic}] may have at most 65535 queues in each direction: give it fewer")]
    TooManyQueues {
        /// The name.
        topic: String,
    },
}

impl Refusal {
    /// The code that Java's broker answers.
    #[must_use]
    pub fn code(&self) -> ResponseCode {
        match self {
            Self::Closed { .. } => ResponseCode::NO_PERMISSION,
            Self::NotExist { .. } => ResponseCode::TOPIC_NOT_EXIST,
            _ => ResponseCode::SYSTEM_ERROR,
        }
    }
}

/// Checks a topic's name.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_name(topic: &str) -> Result<(), Refusal> {
    if topic.trim().is_empty() {
        return Err(Refusal::Blank);
    }
    if !topic
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"%|_-".contains(&byte))
    {
        return Err(Refusal::IllegalCharacters);
    }
    if topic.len() > MAX_NAME_LENGTH {
        return Err(Refusal::TooLong);
    }
    Ok(())
}

/// Whether the name belongs to the system in every broker.
#[must_use]
pub fn is_system_name(topic: &str) -> bool {
    SYSTEM_TOPICS.contains(&topic) || topic.starts_with(SYSTEM_PREFIX)
}

/// Checks that clients may send to a topic: its name, and that not only the broker itself writes to it.
///
/// # Errors
/// Says what is wrong with it, or [`Refusal::Closed`].
pub fn check_send(topic: &str) -> Result<(), Refusal> {
    check_name(topic)?;
    if CLOSED_TOPICS.contains(&topic) {
        Err(Refusal::Closed {
            topic: topic.to_owned(),
        })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_four_signs_up_to_127_bytes() {
        assert_eq!(check_name("%RETRY%GID_a|b-c_9"), Ok(()));
        assert_eq!(check_name(&"t".repeat(127)), Ok(()));
        assert_eq!(check_name(&"t".repeat(128)), Err(Refusal::TooLong));
        assert_eq!(check_name(""), Err(Refusal::Blank));
        assert_eq!(check_name(" \t"), Err(Refusal::Blank));
        for name in ["a b", "a@b", "a.b", "a/b", "thé", "a\u{1}"] {
            assert_eq!(check_name(name), Err(Refusal::IllegalCharacters), "{name:?}");
        }
    }

    #[test]
    fn the_default_topics_take_sends_and_the_half_topics_do_not() {
        assert_eq!(check_send("TBW102"), Ok(()));
        assert_eq!(check_send("AUTO_CREATE_TOPIC_KEY"), Ok(()));
        let refusal = check_send("RMQ_SYS_TRANS_HALF_TOPIC").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "Sending message to topic[RMQ_SYS_TRANS_HALF_TOPIC] is forbidden."
        );
        assert_eq!(refusal.code(), ResponseCode::NO_PERMISSION);
        assert!(is_system_name("rmq_sys_REVIVE_LOG_DefaultCluster"));
        assert!(!is_system_name("Orders"));
    }
}
