//! Properties strings: the ways of reading agree, and an edit changes one name alone.

use cuemq_net::message::properties::{self, Properties, name};
use std::collections::BTreeMap;

/// Reads and edits `data` as a properties string.
pub fn run(data: &[u8]) {
    let all = map(data);
    let read = Properties::new(data);
    for (name, value) in &all {
        assert_eq!(read.get(name), Some(*value));
    }
    let known = properties::known(data);
    assert_eq!(known.tags, all.get(name::TAGS).copied());
    assert_eq!(known.keys, all.get(name::KEYS).copied());
    assert_eq!(known.unique_key, all.get(name::UNIQUE_KEY).copied());
    assert_eq!(known.wait, all.get(name::WAIT).copied());
    assert_eq!(known.delay_level, all.get(name::DELAY).copied());

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
