//! What a client refuses before it sends anything (`Validators`).

use crate::error::{Cause, Error};
use crate::message::Message;

/// The longest name of a topic that brokers store, and of a group.
const TOPIC_MAX: usize = 127;
const GROUP_MAX: usize = 255;

/// Topics of the system that no application sends to.
const SYSTEM_TOPICS: &[&str] = &[
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "TBW102",
];

fn broken(rule: String) -> Error {
    Cause::Invalid(rule).nowhere()
}

fn has_other_characters(name: &str) -> bool {
    !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-%|".contains(c))
}

/// Refuses what is no group of a producer or consumer.
pub(crate) fn check_group(group: &str) -> Result<(), Error> {
    if group.trim().is_empty() || group.len() > GROUP_MAX || has_other_characters(group) {
        return Err(broken(format!(
            "the group {group:?} has to have 1 to {GROUP_MAX} of the characters a-z, A-Z, 0-9, _, -, %, |"
        )));
    }
    if ["DEFAULT_PRODUCER", "DEFAULT_CONSUMER"].contains(&group) {
        return Err(broken(format!(
            "the group {group} is taken by the system, choose another name"
        )));
    }
    Ok(())
}

/// Refuses what is no topic.
pub(crate) fn check_topic(topic: &str) -> Result<(), Error> {
    if topic.trim().is_empty() || topic.len() > TOPIC_MAX || has_other_characters(topic) {
        return Err(broken(format!(
            "the topic {topic:?} has to have 1 to {TOPIC_MAX} of the characters a-z, A-Z, 0-9, _, -, %, |"
        )));
    }
    Ok(())
}

/// Refuses what brokers would, or should.
pub(super) fn check_message(message: &Message, max_message_size: usize) -> Result<(), Error> {
    let topic = message.topic();
    check_topic(topic)?;
    let refuse = |rule: String| Err(broken(rule).topic(topic));
    if SYSTEM_TOPICS.contains(&topic) {
        return refuse("the topic is the system's own".to_owned());
    }
    if let Some(rule) = message.broken() {
        return refuse(rule.to_owned());
    }
    if message.body().is_empty() {
        return refuse("the message has no body".to_owned());
    }
    if message.body().len() > max_message_size {
        let length = message.body().len();
        return refuse(format!(
            "the body has {length} bytes, more than max_message_size {max_message_size}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_javas_characters_and_lengths() {
        for good in ["T", "%RETRY%g", "a-b_c|9", &"t".repeat(127)] {
            check_topic(good).unwrap();
            check_group(good).unwrap();
        }
        for bad in ["", " ", "a b", "a.b", "ä", &"t".repeat(128)] {
            assert!(matches!(check_topic(bad), Err(Error::Fix(_))), "{bad}");
        }
        assert!(check_group("DEFAULT_PRODUCER").is_err());
        assert!(check_group(&"g".repeat(256)).is_err());
    }

    #[test]
    fn a_message_needs_a_body_that_is_not_too_long_and_a_topic_of_its_own() {
        let check = |message: Message| check_message(&message, 10).map_err(|error| error.to_string());
        check(Message::new("T", "0123456789")).unwrap();
        assert!(check(Message::new("T", "")).unwrap_err().contains("no body"));
        assert!(
            check(Message::new("T", "0123456789a"))
                .unwrap_err()
                .contains("11 bytes")
        );
        assert!(check(Message::new("TBW102", "b")).unwrap_err().contains("system"));
        assert!(
            check(Message::new("T", "b").property("KEYS", "k"))
                .unwrap_err()
                .contains("KEYS")
        );
    }
}
