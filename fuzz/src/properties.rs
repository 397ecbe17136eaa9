//! Properties strings: they are read as Java's own splitting reads them, the ways of reading agree, and an edit changes
//! one name alone.

use cuemq_net::message::properties::{self, NAME_END, Properties, VALUE_END, name};
use std::collections::BTreeMap;

/// Reads and edits `data` as a properties string.
pub fn run(data: &[u8]) {
    let all = map(data);
    assert_eq!(all, by_javas_splitting(data));
    let read = Properties::new(data);
    for (name, value) in &all {
        assert_eq!(read.get(name), Some(*value));
    }
    known_ones_agree(data, &all);

    let mut edited = all.clone();
    edited.remove(name::DELAY);
    assert_eq!(map(&properties::without(data, name::DELAY)), edited);
    edited.insert(name::DELAY, "3");
    let set = properties::with(data, name::DELAY, "3").expect("name and value are plain");
    assert_eq!(map(&set), edited);
    let mut pushed = data.to_vec();
    properties::push(&mut pushed, name::DELAY, "3").expect("name and value are plain");
    assert_eq!(map(&pushed), edited);
}

fn map(bytes: &[u8]) -> BTreeMap<&str, &str> {
    Properties::new(bytes).iter().collect()
}

/// A second reader: of one name the last property counts.
fn by_javas_splitting(bytes: &[u8]) -> BTreeMap<&str, &str> {
    bytes.split(|byte| *byte == VALUE_END).filter_map(property).collect()
}

/// What `String.split` does, which drops empty parts at the end: two parts are a property, and no other number is.
fn property(piece: &[u8]) -> Option<(&str, &str)> {
    let mut parts: Vec<_> = piece.split(|byte| *byte == NAME_END).collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    let [name, value] = parts[..] else { return None };
    Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?))
}

fn known_ones_agree(data: &[u8], all: &BTreeMap<&str, &str>) {
    let known = properties::known(data);
    for (name, value) in [
        (name::TAGS, known.tags),
        (name::KEYS, known.keys),
        (name::UNIQUE_KEY, known.unique_key),
        (name::WAIT, known.wait),
        (name::DELAY, known.delay_level),
        (name::TRANSACTION_PREPARED, known.transaction_prepared),
        (name::PRODUCER_GROUP, known.producer_group),
        (name::REAL_TOPIC, known.real_topic),
        (name::REAL_QUEUE_ID, known.real_queue_id),
        (name::TIMER_DELAY_SECONDS, known.timer_delay_seconds),
        (name::TIMER_DELAY_MS, known.timer_delay_ms),
        (name::TIMER_DELIVER_MS, known.timer_deliver_ms),
        (name::TIMER_DELETE_UNIQUE_KEY, known.timer_delete_unique_key),
    ] {
        assert_eq!(value, all.get(name).copied(), "{name}");
    }
}
