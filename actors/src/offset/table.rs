//! The table of consumer offsets: topic@group → queue → next queue offset to consume.
//!
//! A commit overwrites what stood there, even backwards, as in RocketMQ. It finds its place by two look-ups without
//! joining the names, and allocates nothing but for a queue's first commit.
//!
//! The file is `consumerOffset.json`: `{"offsetTable":{"T@g":{0:120,1:118}}}`. The files of release 5 also hold
//! `groupTopicMap` (which topics a group has offsets for); where it is there it is carried on.

use std::collections::BTreeMap;
use std::sync::Arc;

use cuemq_net::body::{ConsumerOffsetTable, ExtraMembers};
use cuemq_net::dialect::{Key, Object, Value};
use cuemq_storage::hash::Map;
use smallvec::SmallVec;

use crate::topic::MAX_QUEUE_NUMS;

/// The offsets of one group on one topic, sorted by queue.
pub(super) type Queues = SmallVec<[(i32, i64); 4]>;

/// The most offsets that the table holds, each of one group on one queue: anybody can commit under any name.
const OFFSETS_MAX: usize = 1_000_000;
/// The longest name in bytes: a group's, as Java's clients have it; a topic's is shorter.
const NAME_MAX: usize = 255;

/// The member in which release 5 lists the topics of each group.
const GROUP_TOPIC_MAP: &str = "groupTopicMap";

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The consumer group.
    pub group: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The queue.
    pub queue_id: i32,
    /// The next queue offset to consume.
    pub consumer_offset: i64,
}

/// A commit that says nothing: it is refused and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCommit {
    /// The queue cannot exist.
    #[error("queueId[{0}] is illegal: it must be from 0 to 65534")]
    Queue(i32),
    /// The offset cannot exist.
    #[error("commitOffset[{0}] is illegal: it must not be negative")]
    Offset(i64),
    /// A name is empty, too long or holds the sign that parts topic and group in the file.
    #[error("topic and group must have 1 to {NAME_MAX} bytes and must not contain @")]
    Name,
    /// There is no room for another queue of a group.
    #[error("the broker keeps {OFFSETS_MAX} consumer offsets and takes no new ones: delete groups that nobody needs")]
    Full,
}

/// An offset beyond the end of its queue that was set back to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clamped {
    /// The consumer group.
    pub group: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The queue.
    pub queue_id: i32,
    /// What was committed.
    pub from: i64,
    /// The queue's end.
    pub to: i64,
}

/// The table of consumer offsets.
#[derive(Debug, Default)]
pub struct OffsetTable {
    groups: Map<Arc<str>, Map<Arc<str>, Queues>>,
    /// Rows of the file whose key is not topic@group.
    other_rows: BTreeMap<String, BTreeMap<i32, i64>>,
    /// Members of the file that belong to other releases.
    extra: ExtraMembers,
    /// How many offsets there are.
    count: usize,
    dirty: bool,
}

impl OffsetTable {
    /// Takes over `consumerOffset.json`.
    #[must_use]
    pub fn load(file: ConsumerOffsetTable) -> Self {
        let mut table = Self {
            extra: file.extra,
            ..Self::default()
        };
        for (key, queues) in file.offset_table {
            match key.split_once('@') {
                Some((topic, group)) if is_name(topic) && is_name(group) => {
                    table.count += queues.len();
                    let topics = table.groups.entry(Arc::from(group)).or_default();
                    topics.insert(Arc::from(topic), queues.into_iter().collect());
                }
                _ => drop(table.other_rows.insert(key, queues)),
            }
        }
        table
    }

    /// The table as the file and the answer to code 43 hold it.
    #[must_use]
    pub fn export(&self) -> ConsumerOffsetTable {
        let mut file = ConsumerOffsetTable {
            offset_table: self.other_rows.clone(),
            extra: self.extra.clone(),
        };
        for (group, topics) in &self.groups {
            for (topic, queues) in topics {
                file.offset_table
                    .insert(format!("{topic}@{group}"), queues.iter().copied().collect());
            }
        }
        if let Some(Value::Object(by_group)) = file.extra.get_mut(GROUP_TOPIC_MAP) {
            for group in self.groups.keys() {
                self.carry_on(by_group, group);
            }
        }
        file
    }

    /// Whether anything changed since [`OffsetTable::mark_clean`].
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Notes that the table is in its file as it is now.
    pub fn mark_clean(&mut self) {
        self.dirty = false;
    }

    /// Sets an offset. Answers the offset that stood there when the commit goes backwards, for a warning.
    ///
    /// # Errors
    /// When the commit names what cannot exist.
    pub fn commit(
        &mut self,
        group: &str,
        topic: &str,
        queue_id: i32,
        consumer_offset: i64,
    ) -> Result<Option<i64>, BadCommit> {
        if !u32::try_from(queue_id).is_ok_and(|queue_id| queue_id < MAX_QUEUE_NUMS) {
            return Err(BadCommit::Queue(queue_id));
        }
        if consumer_offset < 0 {
            return Err(BadCommit::Offset(consumer_offset));
        }
        if self.count >= OFFSETS_MAX && self.get(group, topic, queue_id).is_none() {
            return Err(BadCommit::Full);
        }
        let queues = self.queues_mut(group, topic)?;
        let before = match queues.binary_search_by_key(&queue_id, |(queue_id, _)| *queue_id) {
            Ok(place) => Some(std::mem::replace(&mut queues[place].1, consumer_offset)),
            Err(place) => {
                queues.insert(place, (queue_id, consumer_offset));
                self.count += 1;
                None
            }
        };
        self.dirty |= before != Some(consumer_offset);
        Ok(before.filter(|before| *before > consumer_offset))
    }

    /// What a group has committed on a queue.
    #[must_use]
    pub fn get(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        let queues = self.queues(group, topic);
        let place = queues.binary_search_by_key(&queue_id, |(queue_id, _)| *queue_id).ok()?;
        Some(queues[place].1)
    }

    /// What a group has committed on a topic: queue and offset, sorted by queue.
    #[must_use]
    pub fn queues(&self, group: &str, topic: &str) -> &[(i32, i64)] {
        self.groups
            .get(group)
            .and_then(|topics| topics.get(topic))
            .map_or(&[], |queues| queues.as_slice())
    }

    /// The groups that have committed, not in an order.
    pub(super) fn groups(&self) -> Vec<Arc<str>> {
        self.groups.keys().cloned().collect()
    }

    /// What a group has committed, by topic, not in an order.
    pub(super) fn of_group(&self, group: &str) -> Vec<(Arc<str>, Queues)> {
        let topics = self.groups.get(group).into_iter().flatten();
        topics
            .map(|(topic, queues)| (Arc::clone(topic), queues.clone()))
            .collect()
    }

    /// The topics that a group has committed on, sorted.
    #[must_use]
    pub fn topics_of(&self, group: &str) -> Vec<Arc<str>> {
        let mut topics: Vec<_> = self
            .groups
            .get(group)
            .into_iter()
            .flat_map(Map::keys)
            .cloned()
            .collect();
        topics.sort_unstable();
        topics
    }

    /// The groups that have committed on a topic, sorted.
    #[must_use]
    pub fn groups_of(&self, topic: &str) -> Vec<Arc<str>> {
        let has = |topics: &Map<Arc<str>, Queues>| topics.contains_key(topic);
        let mut groups: Vec<_> = self
            .groups
            .iter()
            .filter(|(_, topics)| has(topics))
            .map(|(group, _)| Arc::clone(group))
            .collect();
        groups.sort_unstable();
        groups
    }

    /// Gives a group what another has committed on a topic, in place of its own.
    ///
    /// # Errors
    /// [`BadCommit::Name`] and [`BadCommit::Full`].
    pub fn copy(&mut self, from_group: &str, to_group: &str, topic: &str) -> Result<(), BadCommit> {
        let queues = Queues::from_slice(self.queues(from_group, topic));
        if queues.is_empty() {
            return Ok(());
        }
        let count = self.count + queues.len() - self.queues(to_group, topic).len();
        if count > OFFSETS_MAX {
            return Err(BadCommit::Full);
        }
        *self.queues_mut(to_group, topic)? = queues;
        (self.count, self.dirty) = (count, true);
        Ok(())
    }

    /// Forgets all that a group has committed.
    pub fn remove_group(&mut self, group: &str) {
        if let Some(topics) = self.groups.remove(group) {
            self.count -= topics.values().map(|queues| queues.len()).sum::<usize>();
            self.dirty = true;
        }
    }

    /// Forgets all that was committed on a topic.
    pub fn remove_topic(&mut self, topic: &str) {
        for topics in self.groups.values_mut() {
            if let Some(queues) = topics.remove(topic) {
                self.count -= queues.len();
                self.dirty = true;
            }
        }
        self.groups.retain(|_, topics| !topics.is_empty());
    }

    /// Sets every offset beyond its queue's end back to that end: after a crash without sync flush the file may know of
    /// messages that the log has lost. `queue_end` gives the next queue offset to be written, `None` for a queue that
    /// does not exist (its offsets stay: it may come back).
    pub fn clamp(&mut self, queue_end: impl Fn(&str, i32) -> Option<i64>) -> Vec<Clamped> {
        let mut clamped = Vec::new();
        for (group, topics) in &mut self.groups {
            for (topic, queues) in topics {
                for (queue_id, consumer_offset) in queues.iter_mut() {
                    let Some(to) = queue_end(topic, *queue_id).filter(|end| *end < *consumer_offset) else {
                        continue;
                    };
                    let from = std::mem::replace(consumer_offset, to);
                    let (group, topic, queue_id) = (Arc::clone(group), Arc::clone(topic), *queue_id);
                    clamped.push(Clamped {
                        group,
                        topic,
                        queue_id,
                        from,
                        to,
                    });
                }
            }
        }
        self.dirty |= !clamped.is_empty();
        clamped
    }

    /// Adds the group's topics to release 5's list of them.
    fn carry_on(&self, by_group: &mut Object, group: &Arc<str>) {
        let is_group = |key: &Key| matches!(key, Key::Text(text) if **text == **group);
        let place = by_group.0.iter().position(|(key, _)| is_group(key)).unwrap_or_else(|| {
            by_group
                .0
                .push((Key::Text(group.to_string()), Value::Array(Vec::new())));
            by_group.0.len() - 1
        });
        let Some((_, Value::Array(topics))) = by_group.0.get_mut(place) else {
            return;
        };
        for topic in self.topics_of(group) {
            let value = Value::from(&*topic);
            if !topics.contains(&value) {
                topics.push(value);
            }
        }
    }

    fn queues_mut(&mut self, group: &str, topic: &str) -> Result<&mut Queues, BadCommit> {
        let known = self.groups.get(group).is_some_and(|topics| topics.contains_key(topic));
        if !known {
            if !is_name(group) || !is_name(topic) {
                return Err(BadCommit::Name);
            }
            self.groups
                .entry(Arc::from(group))
                .or_default()
                .insert(Arc::from(topic), Queues::new());
        }
        self.groups
            .get_mut(group)
            .and_then(|topics| topics.get_mut(topic))
            .ok_or(BadCommit::Name)
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && !text.contains('@')
}

#[cfg(test)]
mod tests {
    use cuemq_net::body::Body;
    use cuemq_net::dialect::Style;

    use super::*;

    fn table() -> OffsetTable {
        let mut table = OffsetTable::default();
        for (group, topic, queue_id, consumer_offset) in [("g", "T", 1, 118), ("g", "T", 0, 120), ("h", "T", 0, 3)] {
            table.commit(group, topic, queue_id, consumer_offset).unwrap();
        }
        table.mark_clean();
        table
    }

    #[test]
    fn a_commit_overwrites_even_backwards_and_says_so() {
        let mut table = table();
        assert_eq!(table.commit("g", "T", 0, 130), Ok(None));
        assert_eq!(table.commit("g", "T", 0, 5), Ok(Some(130)));
        assert_eq!(table.get("g", "T", 0), Some(5));
        assert!(table.is_dirty());
    }

    #[test]
    fn a_commit_of_what_is_there_leaves_nothing_to_write() {
        let mut table = table();
        table.commit("g", "T", 0, 120).unwrap();
        assert!(!table.is_dirty());
    }

    #[test]
    fn a_commit_of_what_cannot_exist_changes_nothing() {
        let mut table = table();
        let before = table.export();
        assert_eq!(table.commit("g", "T", -1, 0), Err(BadCommit::Queue(-1)));
        assert_eq!(table.commit("g", "T", 65_535, 0), Err(BadCommit::Queue(65_535)));
        assert_eq!(table.commit("g", "T", 0, -1), Err(BadCommit::Offset(-1)));
        for (group, topic) in [("", "T"), ("g", ""), ("g@x", "T"), ("g", "T@x")] {
            assert_eq!(table.commit(group, topic, 0, 0), Err(BadCommit::Name));
        }
        assert_eq!(table.export(), before);
        assert!(!table.is_dirty());
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        let mut table = table();
        let (longest, longer) = ("n".repeat(NAME_MAX), "n".repeat(NAME_MAX + 1));
        assert_eq!(table.commit(&longer, "T", 0, 1), Err(BadCommit::Name));
        assert_eq!(table.commit("g", &longer, 0, 1), Err(BadCommit::Name));
        assert_eq!(table.commit(&longest, &longest, 0, 1), Ok(None));
    }

    #[test]
    fn a_full_table_takes_no_new_queue_and_goes_on_with_those_it_has() {
        let mut table = table();
        let queues = 0..i32::try_from(MAX_QUEUE_NUMS).unwrap();
        let refusal = (0..)
            .flat_map(|group| queues.clone().map(move |queue_id| (group, queue_id)))
            .find_map(|(group, queue_id)| table.commit(&format!("s{group}"), "T", queue_id, 1).err());
        assert_eq!((refusal, table.count), (Some(BadCommit::Full), OFFSETS_MAX));
        assert_eq!(table.commit("g", "T", 0, 121), Ok(None));
        assert_eq!(table.copy("s0", "g", "T"), Err(BadCommit::Full));
        table.remove_group("s0");
        assert_eq!(table.commit("new", "T", 0, 1), Ok(None));
        table.remove_topic("T");
        assert_eq!(table.count, 0);
    }

    #[test]
    fn the_rows_come_back_from_the_file_also_those_that_are_not_ours_to_read() {
        let mut file = table().export();
        assert_eq!(file.offset_table["T@g"], BTreeMap::from([(0, 120), (1, 118)]));
        for (key, queues) in [("no group", [(0, 1)]), ("a@b@c", [(0, 2)]), ("T@old", [(-1, -5)])] {
            file.offset_table.insert(key.to_owned(), BTreeMap::from(queues));
        }
        let loaded = OffsetTable::load(file.clone());
        assert_eq!(loaded.export(), file);
        assert!(!loaded.is_dirty());
        assert_eq!(loaded.get("g", "T", 1), Some(118));
    }

    #[test]
    fn release_5_s_list_of_topics_is_carried_on_where_it_is() {
        let text = br#"{"groupTopicMap":{"g":["T"],"gone":["X"]},"offsetTable":{"T@g":{0:1}}}"#;
        let mut table = OffsetTable::load(ConsumerOffsetTable::decode(text).unwrap());
        table.commit("g", "U", 0, 1).unwrap();
        table.commit("h", "T", 0, 1).unwrap();
        let printed = String::from_utf8(table.export().encode(Style::Standard)).unwrap();
        assert!(printed.contains(r#""gone":["X"]"#), "{printed}");
        assert!(printed.contains(r#""g":["T","U"]"#), "{printed}");
        assert!(printed.contains(r#""h":["T"]"#), "{printed}");
    }

    #[test]
    fn topics_and_groups_find_each_other() {
        let mut table = table();
        table.commit("g", "%RETRY%g", 0, 1).unwrap();
        assert_eq!(table.topics_of("g"), ["%RETRY%g".into(), "T".into()]);
        assert_eq!(table.groups_of("T"), ["g".into(), "h".into()]);
        table.copy("g", "new", "T").unwrap();
        assert_eq!(table.queues("new", "T"), [(0, 120), (1, 118)]);
        table.remove_group("g");
        table.remove_topic("%RETRY%g");
        assert_eq!(table.groups_of("T"), ["h".into(), "new".into()]);
        table.remove_topic("T");
        assert!(table.export().offset_table.is_empty());
    }

    #[test]
    fn an_offset_beyond_its_queue_s_end_is_set_back_and_others_stay() {
        let mut table = table();
        let clamped = table.clamp(|topic, queue_id| (topic == "T" && queue_id == 0).then_some(100));
        let expected = Clamped {
            group: "g".into(),
            topic: "T".into(),
            queue_id: 0,
            from: 120,
            to: 100,
        };
        assert_eq!(clamped, [expected]);
        assert_eq!(table.queues("g", "T"), [(0, 100), (1, 118)]);
        assert!(table.is_dirty());
    }
}
