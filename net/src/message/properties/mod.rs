//! The properties string of a message (Java: `MessageDecoder.string2messageProperties`).
//!
//! | part | bytes |
//! |---|---|
//! | name | UTF-8 |
//! | 0x01 | |
//! | value | UTF-8 |
//! | 0x02 | left out after the last property by 4.9, written by 4.3 and 5.x |
//!
//! A piece between two 0x02 counts only if Java's split on 0x01, which drops empty parts at the end, gives two parts: so an
//! empty value, a missing 0x01 and a value with a 0x01 inside make the property vanish. Of one name the last value
//! counts. What vanishes for readers stays in the bytes: brokers store the sender's string as it came.

mod edit;
pub mod name;

pub use edit::{PropertyError, push, with, without};

/// Ends a name.
pub const NAME_END: u8 = 0x01;
/// Ends a value.
pub const VALUE_END: u8 = 0x02;

/// The properties in a string, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// Takes a properties string; nothing in it is an error, since what has no meaning vanishes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the value of a name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let mut found = None;
        for (candidate, value) in Pairs(self.0) {
            if candidate == name.as_bytes() {
                found = text(value).or(found);
            }
        }
        found
    }

    /// Returns names and values in the order they stand; of a repeated name all but the last are to be ignored.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        Pairs(self.0).filter_map(|(name, value)| text(name).zip(text(value)))
    }

    /// Returns names and values as bytes, in the order they stand.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        Pairs(self.0)
    }

    /// Returns the keys, without empty ones.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        split_keys(self.get(name::KEYS).unwrap_or_default())
    }
}

impl<'a> From<&'a str> for Properties<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

/// Returns the keys in a KEYS property: its non-empty parts between spaces.
pub fn split_keys(keys: &str) -> impl Iterator<Item = &str> {
    keys.split(' ').filter(|key| !key.is_empty())
}

/// The values of the names that a broker looks at on every message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownProperties<'a> {
    /// [`name::TAGS`].
    pub tags: Option<&'a str>,
    /// [`name::KEYS`].
    pub keys: Option<&'a str>,
    /// [`name::UNIQUE_KEY`].
    pub unique_key: Option<&'a str>,
    /// [`name::WAIT`].
    pub wait: Option<&'a str>,
    /// [`name::DELAY`].
    pub delay_level: Option<&'a str>,
    /// [`name::TRANSACTION_PREPARED`].
    pub transaction_prepared: Option<&'a str>,
    /// [`name::PRODUCER_GROUP`].
    pub producer_group: Option<&'a str>,
    /// [`name::REAL_TOPIC`].
    pub real_topic: Option<&'a str>,
    /// [`name::REAL_QUEUE_ID`].
    pub real_queue_id: Option<&'a str>,
    /// [`name::REPLY_TO_CLIENT`].
    pub reply_to_client: Option<&'a str>,
    /// [`name::TIMER_DELAY_SECONDS`].
    pub timer_delay_seconds: Option<&'a str>,
    /// [`name::TIMER_DELAY_MS`].
    pub timer_delay_ms: Option<&'a str>,
    /// [`name::TIMER_DELIVER_MS`].
    pub timer_deliver_ms: Option<&'a str>,
    /// [`name::TIMER_OUT_MS`].
    pub timer_out_ms: Option<&'a str>,
    /// [`name::TIMER_DELETE_UNIQUE_KEY`].
    pub timer_delete_unique_key: Option<&'a str>,
}

/// Finds the values of all known names in one pass.
pub fn known(bytes: &[u8]) -> KnownProperties<'_> {
    let mut known = KnownProperties::default();
    for (candidate, value) in Pairs(bytes) {
        // Names are compared as bytes: most are none of these, and need not be text.
        let field = match candidate {
            wire::TAGS => &mut known.tags,
            wire::KEYS => &mut known.keys,
            wire::UNIQUE_KEY => &mut known.unique_key,
            wire::WAIT => &mut known.wait,
            wire::DELAY => &mut known.delay_level,
            wire::TRANSACTION_PREPARED => &mut known.transaction_prepared,
            wire::PRODUCER_GROUP => &mut known.producer_group,
            wire::REAL_TOPIC => &mut known.real_topic,
            wire::REAL_QUEUE_ID => &mut known.real_queue_id,
            wire::REPLY_TO_CLIENT => &mut known.reply_to_client,
            wire::TIMER_DELAY_SECONDS => &mut known.timer_delay_seconds,
            wire::TIMER_DELAY_MS => &mut known.timer_delay_ms,
            wire::TIMER_DELIVER_MS => &mut known.timer_deliver_ms,
            wire::TIMER_OUT_MS => &mut known.timer_out_ms,
            wire::TIMER_DELETE_UNIQUE_KEY => &mut known.timer_delete_unique_key,
            _ => continue,
        };
        *field = text(value).or(*field);
    }
    known
}

/// The known names as they stand in the string.
mod wire {
    use super::name;

    pub(super) const TAGS: &[u8] = name::TAGS.as_bytes();
    pub(super) const KEYS: &[u8] = name::KEYS.as_bytes();
    pub(super) const UNIQUE_KEY: &[u8] = name::UNIQUE_KEY.as_bytes();
    pub(super) const WAIT: &[u8] = name::WAIT.as_bytes();
    pub(super) const DELAY: &[u8] = name::DELAY.as_bytes();
    pub(super) const TRANSACTION_PREPARED: &[u8] = name::TRANSACTION_PREPARED.as_bytes();
    pub(super) const PRODUCER_GROUP: &[u8] = name::PRODUCER_GROUP.as_bytes();
    pub(super) const REAL_TOPIC: &[u8] = name::REAL_TOPIC.as_bytes();
    pub(super) const REAL_QUEUE_ID: &[u8] = name::REAL_QUEUE_ID.as_bytes();
    pub(super) const REPLY_TO_CLIENT: &[u8] = name::REPLY_TO_CLIENT.as_bytes();
    pub(super) const TIMER_DELAY_SECONDS: &[u8] = name::TIMER_DELAY_SECONDS.as_bytes();
    pub(super) const TIMER_DELAY_MS: &[u8] = name::TIMER_DELAY_MS.as_bytes();
    pub(super) const TIMER_DELIVER_MS: &[u8] = name::TIMER_DELIVER_MS.as_bytes();
    pub(super) const TIMER_OUT_MS: &[u8] = name::TIMER_OUT_MS.as_bytes();
    pub(super) const TIMER_DELETE_UNIQUE_KEY: &[u8] = name::TIMER_DELETE_UNIQUE_KEY.as_bytes();
}

/// Java would put replacement characters in; a property nobody can have written by a client is rather not there.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Names and values as bytes, by Java's rule.
struct Pairs<'a>(&'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let (piece, rest) = cut(self.0, VALUE_END);
            self.0 = rest.unwrap_or_default();
            let (name, value) = cut(piece, NAME_END);
            let Some(value) = value.map(without_empty_parts) else {
                continue;
            };
            if !value.is_empty() && memchr::memchr(NAME_END, value).is_none() {
                return Some((name, value));
            }
        }
        None
    }
}

/// Cuts bytes at the first `separator`, which belongs to neither side; `None` is the right side without one.
fn cut(bytes: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let Some(at) = memchr::memchr(separator, bytes) else {
        return (bytes, None);
    };
    let (left, right) = bytes.split_at(at);
    (left, right.get(1..))
}

/// Drops the empty parts that Java's split drops at the end.
fn without_empty_parts(mut value: &[u8]) -> &[u8] {
    while let [rest @ .., NAME_END] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(&str, &str)> {
        Properties::from(text).iter().collect()
    }

    #[test]
    fn both_endings_read_alike() {
        let expected = [("TAGS", "TagA"), ("KEYS", "a b")];
        assert_eq!(pairs("TAGS\x01TagA\x02KEYS\x01a b\x02"), expected);
        assert_eq!(pairs("TAGS\x01TagA\x02KEYS\x01a b"), expected);
    }

    #[test]
    fn what_java_cannot_split_in_two_vanishes() {
        for vanishing in [
            "a",
            "a\x01",
            "\x01",
            "\x01\x01",
            "a\x01b\x01c",
            "a\x01\x01b",
            "\x02\x02",
            "",
        ] {
            let around = format!("x\x01y\x02{vanishing}\x02z\x01w");
            assert_eq!(pairs(&around), [("x", "y"), ("z", "w")], "{vanishing:?}");
        }
        // empty parts at the end do not count, one at the start does
        assert_eq!(pairs("a\x01b\x01\x01\x02\x01c"), [("a", "b"), ("", "c")]);
    }

    #[test]
    fn the_last_of_a_name_counts_unless_it_vanishes() {
        let properties = Properties::from("k\x01one\x02k\x01two\x02k\x01\x02");
        assert_eq!(properties.get("k"), Some("two"));
        assert_eq!(properties.get("K"), None);
        let twice = b"WAIT\x01true\x02TAGS\x01a\x02WAIT\x01false";
        let expected = KnownProperties {
            wait: Some("false"),
            tags: Some("a"),
            ..KnownProperties::default()
        };
        assert_eq!(known(twice), expected);
    }

    #[test]
    fn all_known_names_are_found() {
        let mut bytes = Vec::new();
        let names = [
            name::TAGS,
            name::KEYS,
            name::UNIQUE_KEY,
            name::WAIT,
            name::DELAY,
            name::TRANSACTION_PREPARED,
            name::PRODUCER_GROUP,
            name::REAL_TOPIC,
            name::REAL_QUEUE_ID,
            name::REPLY_TO_CLIENT,
            name::TIMER_DELAY_SECONDS,
            name::TIMER_DELAY_MS,
            name::TIMER_DELIVER_MS,
            name::TIMER_OUT_MS,
            name::TIMER_DELETE_UNIQUE_KEY,
        ];
        for name in names {
            push(&mut bytes, name, &format!("<{name}>")).unwrap();
        }
        let known = known(&bytes);
        assert_eq!(known.tags, Some("<TAGS>"));
        assert_eq!(known.keys, Some("<KEYS>"));
        assert_eq!(known.unique_key, Some("<UNIQ_KEY>"));
        assert_eq!(known.wait, Some("<WAIT>"));
        assert_eq!(known.delay_level, Some("<DELAY>"));
        assert_eq!(known.transaction_prepared, Some("<TRAN_MSG>"));
        assert_eq!(known.producer_group, Some("<PGROUP>"));
        assert_eq!(known.real_topic, Some("<REAL_TOPIC>"));
        assert_eq!(known.real_queue_id, Some("<REAL_QID>"));
        assert_eq!(known.reply_to_client, Some("<REPLY_TO_CLIENT>"));
        assert_eq!(known.timer_delay_seconds, Some("<TIMER_DELAY_SEC>"));
        assert_eq!(known.timer_delay_ms, Some("<TIMER_DELAY_MS>"));
        assert_eq!(known.timer_deliver_ms, Some("<TIMER_DELIVER_MS>"));
        assert_eq!(known.timer_out_ms, Some("<TIMER_OUT_MS>"));
        assert_eq!(known.timer_delete_unique_key, Some("<TIMER_DEL_UNIQKEY>"));
    }

    #[test]
    fn a_property_that_is_not_utf_8_vanishes_alone() {
        let properties = Properties::new(b"a\x01\xFF\x02b\x01c\x02\xFF\x01d");
        assert_eq!(properties.iter().collect::<Vec<_>>(), [("b", "c")]);
        assert_eq!(properties.get("a"), None);
    }

    #[test]
    fn keys_are_parted_by_spaces() {
        assert_eq!(
            Properties::from("KEYS\x01 a  b ").keys().collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(Properties::from("").keys().count(), 0);
    }
}
