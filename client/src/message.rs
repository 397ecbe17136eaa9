//! A message to be sent (`Message` in Java).

use std::time::Duration;

use bytes::Bytes;
use cuemq_net::message::properties::name::{self, is_reserved};
use cuemq_net::message::properties::{NAME_END, Properties, VALUE_END};

/// A message to be sent: a topic, a body, and properties.
///
/// What breaks a rule of RocketMQ's (a reserved property, a blank value) is told when it is sent, as
/// [`Error::Fix`](crate::Error::Fix).
///
/// ```
/// use cuemq_client::Message;
///
/// let message = Message::new("Orders", "one book").tags("new").keys(["order-17"]).property("shop", "12");
/// assert_eq!(message.get("shop"), Some("12"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    topic: String,
    body: Bytes,
    flag: i32,
    /// As they travel: name, 0x01, value, 0x02.
    properties: String,
    /// The first rule that was broken.
    broken: Option<String>,
}

impl Message {
    /// Makes a message.
    #[must_use]
    pub fn new(topic: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            body: body.into(),
            flag: 0,
            properties: String::new(),
            broken: None,
        }
    }

    /// Sets the tag by which consumers can choose.
    #[must_use]
    pub fn tags(self, tag: &str) -> Self {
        self.with(name::TAGS, tag)
    }

    /// Sets the keys by which the message can be queried.
    #[must_use]
    pub fn keys<K: AsRef<str>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        let mut all = String::new();
        for key in keys {
            if !all.is_empty() {
                all.push(' ');
            }
            all.push_str(key.as_ref());
        }
        self.with(name::KEYS, &all)
    }

    /// Sets a property of the application's own.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        if is_reserved(name) {
            self.broken
                .get_or_insert_with(|| format!("the property {name} is used by the system, choose another name"));
            return self;
        }
        self.with(name, value)
    }

    /// Sets the application's own flag, which travels with the message and means nothing to brokers.
    #[must_use]
    pub fn flag(mut self, flag: i32) -> Self {
        self.flag = flag;
        self
    }

    /// Whether the send is answered only when the message is as safe as the broker makes it; so it is by default.
    #[must_use]
    pub fn wait_store_msg_ok(self, wait: bool) -> Self {
        self.with(name::WAIT, if wait { "true" } else { "false" })
    }

    /// Has the message delivered after one of the broker's delay levels, from 1: by default 1 s, 5 s, 10 s, 30 s, 1 to 10 min in
    /// steps of one, 20 min, 30 min, 1 h, 2 h.
    #[must_use]
    pub fn delay_time_level(self, level: u32) -> Self {
        self.with(name::DELAY, &level.to_string())
    }

    /// Has the message delivered after any delay, by a broker that has timers (CueMQ, RocketMQ 5).
    #[must_use]
    pub fn delay_time(self, delay: Duration) -> Self {
        self.with(name::TIMER_DELAY_MS, &delay.as_millis().to_string())
    }

    /// Has the message delivered at a time in ms since 1970, by a broker that has timers (CueMQ, RocketMQ 5).
    #[must_use]
    pub fn deliver_time_ms(self, time: i64) -> Self {
        self.with(name::TIMER_DELIVER_MS, &time.to_string())
    }

    /// For how long a transaction is not checked, in whole seconds.
    #[must_use]
    pub fn check_immunity_time(self, time: Duration) -> Self {
        self.with(name::CHECK_IMMUNITY_SECONDS, &time.as_secs().to_string())
    }

    /// Sets any property, the system's too, in the place of an earlier one of its name.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let has_separators = [name, value]
            .iter()
            .any(|text| text.contains([NAME_END as char, VALUE_END as char]));
        if name.trim().is_empty() || value.trim().is_empty() || has_separators {
            self.broken.get_or_insert_with(|| {
                format!(
                    "the property {name:?} has to have a name and a value, neither with the characters 1 and 2 in it"
                )
            });
            return self;
        }
        if self.get(name).is_some() {
            self.properties = without(&self.properties, name);
        }
        push(&mut self.properties, name, value);
        self
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The application's own flag.
    #[must_use]
    pub fn flag_value(&self) -> i32 {
        self.flag
    }

    /// A property's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        Properties::from(self.properties.as_str()).get(name)
    }

    /// All properties, as they travel.
    pub(crate) fn encoded_properties(&self) -> &str {
        &self.properties
    }

    /// The first rule that was broken when it was made.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }
}

/// Appends a property as it travels.
pub(crate) fn push(properties: &mut String, name: &str, value: &str) {
    properties.push_str(name);
    properties.push(NAME_END as char);
    properties.push_str(value);
    properties.push(VALUE_END as char);
}

fn without(properties: &str, name: &str) -> String {
    let mut rest = String::with_capacity(properties.len());
    for (other, value) in Properties::from(properties).iter().filter(|(other, _)| *other != name) {
        push(&mut rest, other, value);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_travel_in_the_order_in_which_they_were_set_each_once() {
        let message = Message::new("T", "b")
            .tags("A")
            .keys(["k", "l"])
            .property("a", "1")
            .tags("B");
        assert_eq!(message.encoded_properties(), "KEYS\x01k l\x02a\x011\x02TAGS\x01B\x02");
        assert_eq!(message.broken(), None);
    }

    #[test]
    fn a_property_of_the_systems_or_one_that_would_vanish_breaks_the_message() {
        for (name, value) in [("TAGS", "x"), ("", "x"), ("a", " "), ("a", "x\u{1}y"), ("a\u{2}", "x")] {
            let message = Message::new("T", "b").property(name, value);
            assert!(message.broken().is_some(), "{name:?} {value:?}");
            assert_eq!(message.encoded_properties(), "");
        }
        assert!(Message::new("T", "b").tags("").broken().is_some());
    }

    #[test]
    fn delays_are_told_by_the_properties_that_brokers_look_at() {
        let message = Message::new("T", "b")
            .delay_time_level(3)
            .delay_time(Duration::from_millis(2500))
            .deliver_time_ms(17);
        assert_eq!(message.get("DELAY"), Some("3"));
        assert_eq!(message.get("TIMER_DELAY_MS"), Some("2500"));
        assert_eq!(message.get("TIMER_DELIVER_MS"), Some("17"));
        let waits_not = Message::new("T", "b").wait_store_msg_ok(false);
        assert_eq!(waits_not.get("WAIT"), Some("false"));
    }
}
