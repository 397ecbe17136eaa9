//! The state of the registry: heartbeats and departures go in, what readers see and what the file holds comes out.
//!
//! A newer subscription replaces an older one, and one whose expression does not compile takes the older away, so that the
//! group's pulls are told. A topic that a heartbeat does not name any more, and a group that has left, leave dead filters
//! behind: they live on when the same subscription comes back, since their bits are in bitmaps of messages that were stored
//! meanwhile, and go after a day.
//!
//! Java keeps any number; here what all take is bounded, and the dead go first.

use std::collections::BTreeMap;
use std::sync::Arc;

use cuemq_net::body::{BloomFilterData, ConsumerFilter, ConsumerFilterTable, ConsumerFiltersOfTopic, ExtraMembers};
use cuemq_net::filter::Bloom;

use super::{FilterView, RegisteredFilter, SQL92};

/// How long before the start a group is taken to have left that was there when the file was written.
const LEFT_BEFORE_MS: i64 = 30_000;

/// What can be set.
#[derive(Clone, Copy, Debug)]
pub struct RegistrySettings {
    /// The bitmaps.
    pub bloom: Bloom,
    /// How long a dead filter is kept, in milliseconds.
    pub keep_dead_ms: i64,
    /// The most bytes that all filters take, with what they are compiled to.
    pub bytes_max: usize,
}

impl Default for RegistrySettings {
    /// RocketMQ's bitmaps and a day, and 64 MiB.
    fn default() -> Self {
        Self {
            bloom: Bloom::default(),
            keep_dead_ms: 24 * 3_600_000,
            bytes_max: 64 << 20,
        }
    }
}

/// What a heartbeat says of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The topic.
    pub topic: Arc<str>,
    /// The expression and its type, where it is not by tag.
    pub filter: Option<(String, String)>,
    /// When the consumer subscribed, by its own clock.
    pub version: i64,
}

/// The registered filters of all groups.
#[derive(Debug)]
pub struct Registry {
    settings: RegistrySettings,
    filters: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<RegisteredFilter>>>,
    counts: BTreeMap<Arc<str>, usize>,
    bytes: usize,
    is_dirty: bool,
    view: FilterView,
    /// Members of the file that belong to other releases, of the whole and of each topic.
    extra: ExtraMembers,
    extra_of_topics: BTreeMap<String, ExtraMembers>,
}

impl Registry {
    /// Takes over the file. What `view` shows already, from a life before, counts over it.
    #[must_use]
    pub fn load(file: ConsumerFilterTable, settings: RegistrySettings, view: FilterView, now_ms: i64) -> Self {
        let shown = view.all();
        let mut registry = Self {
            settings,
            filters: BTreeMap::new(),
            counts: BTreeMap::new(),
            bytes: 0,
            is_dirty: false,
            view,
            extra: file.extra,
            extra_of_topics: BTreeMap::new(),
        };
        let has_other_bits = |filter: &ConsumerFilter| !fits(settings.bloom, filter.bloom_filter_data.as_ref());
        let mut all = file
            .filter_data_by_topic
            .values()
            .flat_map(|of_topic| of_topic.group_filter_data.values());
        if all.any(has_other_bits) {
            tracing::warn!("the registered filters are from other settings of their bitmaps, and start anew");
            registry.is_dirty = true;
        } else {
            for (topic, of_topic) in file.filter_data_by_topic {
                registry.load_topic(&topic, of_topic, now_ms);
            }
        }
        for filter in shown {
            registry.put(filter);
        }
        registry
    }

    fn load_topic(&mut self, topic: &str, of_topic: ConsumerFiltersOfTopic, now_ms: i64) {
        if !of_topic.extra.is_empty() {
            self.extra_of_topics.insert(topic.to_owned(), of_topic.extra);
        }
        for (group, mut filter) in of_topic.group_filter_data {
            // Whoever was there when it was written has left: it was written by a broker that has ended.
            if filter.dead_time == 0 {
                filter.dead_time = (now_ms - LEFT_BEFORE_MS).max(filter.born_time);
            }
            match RegisteredFilter::load(topic, &group, filter, self.settings.bloom) {
                Ok(filter) => self.put(Arc::new(filter)),
                Err(error) => {
                    tracing::warn!(topic, group, %error, "a registered filter does not compile and is left out")
                }
            }
        }
    }

    /// Takes in what a heartbeat says of a group; whether there is another filter now than before, or none any more. A new one
    /// is born at `born_ms`.
    pub fn register(&mut self, group: &Arc<str>, wanted: &[Wanted], (now_ms, born_ms): (i64, i64)) -> bool {
        let mut is_other = false;
        for wanted in wanted {
            is_other |= self.register_one(group, wanted, born_ms);
        }
        let is_left = |filter: &&Arc<RegisteredFilter>| !wanted.iter().any(|wanted| wanted.topic == filter.topic);
        let left: Vec<_> = self.of_group(group).filter(is_left).cloned().collect();
        self.bury(left, now_ms);
        is_other
    }

    /// The last members of these groups have left.
    pub fn leave(&mut self, groups: &[Arc<str>], now_ms: i64) {
        for group in groups {
            let left: Vec<_> = self.of_group(group).cloned().collect();
            self.bury(left, now_ms);
        }
    }

    fn register_one(&mut self, group: &Arc<str>, wanted: &Wanted, born_ms: i64) -> bool {
        let (topic, version) = (&wanted.topic, wanted.version);
        let Some((expression, expression_type)) = wanted.filter.as_ref().filter(|(text, _)| !text.is_empty()) else {
            return false;
        };
        let known = self.filters.get(topic).and_then(|of_topic| of_topic.get(group));
        if let Some(known) = known {
            if version < known.version || (version == known.version && !known.is_dead()) {
                return false;
            }
            let is_same = &*known.expression == expression && expression_type == SQL92;
            if is_same || version == known.version {
                let renewed = known.renewed(version);
                self.put(Arc::new(renewed));
                return false;
            }
        }
        let born = (self.settings.bloom, born_ms);
        match compile((topic, group), (expression, expression_type), version, born) {
            Ok(filter) if self.has_room_for(&filter) => {
                tracing::info!(%topic, %group, expression, "a filter is registered");
                self.put(Arc::new(filter));
                return true;
            }
            Ok(_) => {
                tracing::error!(%topic, %group, "all filters take {} bytes already: one is not registered", self.bytes);
            }
            Err(reason) => tracing::warn!(%topic, %group, expression, reason, "a filter is not registered"),
        }
        // Its group's pulls are told that there is none.
        self.remove(topic, group)
    }

    /// Whether a filter fits in, once those are gone that have been dead for longest.
    fn has_room_for(&mut self, filter: &RegisteredFilter) -> bool {
        let needed = filter.bytes();
        if self.bytes + needed <= self.settings.bytes_max {
            return true;
        }
        let mut dead: Vec<_> = self.all().filter(|filter| filter.is_dead()).cloned().collect();
        dead.sort_by_key(|filter| filter.dead_ms);
        for filter in dead {
            if self.bytes + needed <= self.settings.bytes_max {
                break;
            }
            self.remove(&filter.topic, &filter.group);
        }
        self.bytes + needed <= self.settings.bytes_max
    }

    fn bury(&mut self, filters: Vec<Arc<RegisteredFilter>>, now_ms: i64) {
        for filter in filters.into_iter().filter(|filter| !filter.is_dead()) {
            self.put(Arc::new(filter.with_death(now_ms.max(filter.born_ms))));
        }
    }

    /// Removes what has been dead for too long; then the table as the file holds it, if it is another than before.
    pub fn export(&mut self, now_ms: i64) -> Option<ConsumerFilterTable> {
        let is_old = |filter: &&Arc<RegisteredFilter>| {
            filter.is_dead() && now_ms.saturating_sub(filter.dead_ms) >= self.settings.keep_dead_ms
        };
        let old: Vec<_> = self.all().filter(is_old).cloned().collect();
        for filter in old {
            tracing::info!(topic = %filter.topic, group = %filter.group, "a filter is removed whose group has left long ago");
            self.remove(&filter.topic, &filter.group);
        }
        self.is_dirty.then(|| self.table())
    }

    fn table(&self) -> ConsumerFilterTable {
        let of_topic = |(topic, filters): (&Arc<str>, &BTreeMap<Arc<str>, Arc<RegisteredFilter>>)| {
            let export = |filter: &Arc<RegisteredFilter>| (filter.group.to_string(), filter.export());
            let of_topic = ConsumerFiltersOfTopic {
                group_filter_data: filters.values().map(export).collect(),
                topic: topic.to_string(),
                extra: self.extra_of_topics.get(&**topic).cloned().unwrap_or_default(),
            };
            (topic.to_string(), of_topic)
        };
        ConsumerFilterTable {
            filter_data_by_topic: self.filters.iter().map(of_topic).collect(),
            extra: self.extra.clone(),
        }
    }

    /// What was exported is in the file.
    pub fn mark_clean(&mut self) {
        self.is_dirty = false;
    }

    fn all(&self) -> impl Iterator<Item = &Arc<RegisteredFilter>> {
        self.filters.values().flat_map(|of_topic| of_topic.values())
    }

    fn of_group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Arc<RegisteredFilter>> {
        // Most groups have none.
        let topics = self.counts.contains_key(group).then(|| self.filters.values());
        topics
            .into_iter()
            .flatten()
            .filter_map(move |of_topic| of_topic.get(group))
    }

    fn put(&mut self, filter: Arc<RegisteredFilter>) {
        let (topic, group) = (Arc::clone(&filter.topic), Arc::clone(&filter.group));
        self.bytes += filter.bytes();
        let of_topic = self.filters.entry(Arc::clone(&topic)).or_default();
        match of_topic.insert(Arc::clone(&group), filter) {
            Some(before) => self.bytes -= before.bytes(),
            None => *self.counts.entry(Arc::clone(&group)).or_default() += 1,
        }
        self.changed(&topic, &group);
    }

    /// Removes a filter; whether there was one.
    fn remove(&mut self, topic: &Arc<str>, group: &Arc<str>) -> bool {
        let Some(of_topic) = self.filters.get_mut(topic) else {
            return false;
        };
        let Some(removed) = of_topic.remove(group) else {
            return false;
        };
        if of_topic.is_empty() {
            self.filters.remove(topic);
        }
        self.bytes -= removed.bytes();
        if let Some(count) = self.counts.get_mut(group) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(group);
            }
        }
        self.changed(topic, group);
        true
    }

    fn changed(&mut self, topic: &Arc<str>, group: &Arc<str>) {
        self.is_dirty = true;
        self.view
            .show(topic, self.filters.get(topic).cloned().unwrap_or_default());
        self.view
            .show_count(group, self.counts.get(group).copied().unwrap_or(0));
    }
}

fn compile(
    names: (&Arc<str>, &Arc<str>),
    (expression, expression_type): (&str, &str),
    version: i64,
    born: (Bloom, i64),
) -> Result<RegisteredFilter, String> {
    if expression_type != SQL92 {
        return Err(format!("{expression_type} is a type that nobody knows"));
    }
    RegisteredFilter::new(names, expression, version, born).map_err(|error| error.to_string())
}

/// Whether the bits of a filter are of these bitmaps.
fn fits(bloom: Bloom, bits: Option<&BloomFilterData>) -> bool {
    bits.is_some_and(|bits| bits.bit_num == i64::from(bloom.bits()) && bits.bit_pos.len() == bloom.hashes() as usize)
}

#[cfg(test)]
mod tests {
    use cuemq_net::body::Body;
    use cuemq_net::dialect::Style;

    use super::*;

    const DAY_MS: i64 = 24 * 3_600_000;
    const BORN: i64 = 1_700_000_000_000;

    fn settings() -> RegistrySettings {
        RegistrySettings::default()
    }

    fn load(file: ConsumerFilterTable, now_ms: i64) -> Registry {
        Registry::load(file, settings(), FilterView::default(), now_ms)
    }

    fn said(topic: &str, expression: &str, version: i64) -> Wanted {
        Wanted {
            topic: topic.into(),
            filter: Some((expression.to_owned(), SQL92.to_owned())),
            version,
        }
    }

    fn group() -> Arc<str> {
        "g".into()
    }

    /// A registry with one filter.
    fn registry() -> Registry {
        let mut registry = load(ConsumerFilterTable::default(), BORN);
        registry.register(&group(), &[said("T", "a > 5", 100)], (BORN, BORN));
        registry
    }

    fn shown(registry: &Registry) -> Option<(String, i64, i64, i64)> {
        let filter = registry.view.get("T", "g")?;
        Some((
            filter.expression.to_string(),
            filter.version,
            filter.born_ms,
            filter.dead_ms,
        ))
    }

    #[test]
    fn a_newer_subscription_replaces_an_older_one_and_one_that_says_the_same_renews_it() {
        let mut registry = registry();
        assert_eq!(shown(&registry), Some(("a > 5".into(), 100, BORN, 0)));
        registry.register(&group(), &[said("T", "a > 6", 99)], (BORN + 1, BORN + 1));
        registry.register(&group(), &[said("T", "a > 6", 100)], (BORN + 1, BORN + 1));
        assert_eq!(shown(&registry), Some(("a > 5".into(), 100, BORN, 0)));
        registry.register(&group(), &[said("T", "a > 5", 101)], (BORN + 2, BORN + 2));
        assert_eq!(shown(&registry), Some(("a > 5".into(), 101, BORN, 0)));
        registry.register(&group(), &[said("T", "a > 6", 102)], (BORN + 3, BORN + 3));
        assert_eq!(shown(&registry), Some(("a > 6".into(), 102, BORN + 3, 0)));
    }

    #[test]
    fn an_expression_that_does_not_compile_leaves_no_filter_and_takes_the_old_one_away() {
        let mut registry = registry();
        for bad in [
            said("T", "a >", 101),
            Wanted {
                filter: Some(("x".to_owned(), "GROOVY".to_owned())),
                ..said("T", "", 101)
            },
        ] {
            registry.register(&group(), &[said("T", "a > 5", 100)], (BORN, BORN));
            registry.register(&group(), &[bad], (BORN, BORN));
            assert_eq!(shown(&registry), None);
            assert!(!registry.view.knows("g"));
        }
        registry.register(&group(), &[said("T", "", 102)], (BORN, BORN));
        assert_eq!(shown(&registry), None);
    }

    #[test]
    fn a_topic_that_is_not_named_any_more_and_a_group_that_left_are_dead_until_they_come_back() {
        let mut registry = registry();
        let by_tag = Wanted {
            topic: "U".into(),
            filter: None,
            version: 5,
        };
        registry.register(&group(), std::slice::from_ref(&by_tag), (BORN + 7, BORN + 7));
        assert_eq!(shown(&registry), Some(("a > 5".into(), 100, BORN, BORN + 7)));
        assert!(registry.view.live_groups().is_empty());
        registry.register(&group(), &[by_tag], (BORN + 8, BORN + 8));
        assert_eq!(shown(&registry).unwrap().3, BORN + 7, "it dies once");
        registry.register(&group(), &[said("T", "a > 5", 100)], (BORN + 9, BORN + 9));
        assert_eq!(
            shown(&registry),
            Some(("a > 5".into(), 100, BORN, 0)),
            "its bits are still in the bitmaps"
        );
        registry.leave(&[group(), "nobody".into()], BORN + 10);
        assert_eq!(shown(&registry).unwrap().3, BORN + 10);
    }

    #[test]
    fn a_dead_filter_goes_after_its_time_and_not_before() {
        let mut registry = registry();
        registry.leave(&[group()], BORN + 10);
        assert!(registry.export(BORN + 10 + DAY_MS - 1).is_some());
        registry.mark_clean();
        assert!(registry.export(BORN + 10 + DAY_MS - 1).is_none(), "nothing has changed");
        let table = registry.export(BORN + 10 + DAY_MS).unwrap();
        assert!(table.filter_data_by_topic.is_empty());
        assert_eq!((registry.bytes, registry.view.knows("g")), (0, false));
    }

    #[test]
    fn the_file_is_javas() {
        let text = |table: &ConsumerFilterTable| String::from_utf8(table.encode(Style::Fastjson)).unwrap();
        let mut registry = load(ConsumerFilterTable::default(), BORN);
        let group: Arc<str> = "GID_store_sql".into();
        registry.register(&group, &[said("StoreOrders", "a > 5", 100)], (BORN, BORN));
        let table = registry.export(BORN).unwrap();
        assert_eq!(
            text(&table),
            "{\"filterDataByTopic\":{\"StoreOrders\":{\"groupFilterData\":{\"GID_store_sql\":{\"bloomFilterData\":{\"bitNum\":112,\
             \"bitPos\":[36,53,41]},\"bornTime\":1700000000000,\"clientVersion\":100,\"consumerGroup\":\"GID_store_sql\",\
             \"dead\":false,\"deadTime\":0,\"expression\":\"a > 5\",\"expressionType\":\"SQL92\",\"topic\":\"StoreOrders\"}},\
             \"topic\":\"StoreOrders\"}}}"
        );
    }

    #[test]
    fn after_a_start_everybody_has_left_and_what_other_releases_wrote_is_kept() {
        let mut table = registry().export(BORN).unwrap();
        let extra = || ExtraMembers::from([("later".to_owned(), cuemq_net::dialect::Value::Null)]);
        table.extra = extra();
        let of_topic = table.filter_data_by_topic.get_mut("T").unwrap();
        of_topic.extra = extra();
        of_topic.group_filter_data.get_mut("g").unwrap().extra = extra();
        for (now_ms, dead_ms) in [(BORN + 100_000, BORN + 70_000), (BORN + 5, BORN)] {
            let mut registry = load(table.clone(), now_ms);
            assert_eq!(shown(&registry), Some(("a > 5".into(), 100, BORN, dead_ms)));
            let again = registry.export(now_ms).unwrap();
            assert_eq!(again.extra, extra());
            assert_eq!(again.filter_data_by_topic["T"].extra, extra());
            assert_eq!(again.filter_data_by_topic["T"].group_filter_data["g"].extra, extra());
        }
    }

    #[test]
    fn filters_of_other_bitmaps_or_that_do_not_compile_are_not_taken_over() {
        let mut table = registry().export(BORN).unwrap();
        let filter = |table: &mut ConsumerFilterTable, change: fn(&mut ConsumerFilter)| {
            let of_topic = table.filter_data_by_topic.get_mut("T").unwrap();
            change(of_topic.group_filter_data.get_mut("g").unwrap());
        };
        let mut other = table.clone();
        filter(&mut other, |filter| {
            filter.bloom_filter_data.as_mut().unwrap().bit_num = 224
        });
        assert_eq!(shown(&load(other, BORN)), None);
        filter(&mut table, |filter| filter.expression = "a >".to_owned());
        assert_eq!(shown(&load(table, BORN)), None);
    }

    #[test]
    fn what_a_life_before_has_shown_counts_over_the_file() {
        let mut before = registry();
        let table = before.export(BORN).unwrap();
        before.register(&group(), &[said("T", "a > 6", 101)], (BORN + 1, BORN + 1));
        let view = before.view.clone();
        drop(before);
        let after = Registry::load(table, settings(), view, BORN + 2);
        assert_eq!(shown(&after), Some(("a > 6".into(), 101, BORN + 1, 0)));
    }

    #[test]
    fn the_dead_make_room_the_longest_dead_first() {
        let settings = RegistrySettings {
            bytes_max: 100_000,
            ..settings()
        };
        let mut registry = Registry::load(ConsumerFilterTable::default(), settings, FilterView::default(), BORN);
        let filter = said("T", &format!("a = '{}'", "x".repeat(8000)), 1);
        let groups: Vec<Arc<str>> = (0..9).map(|number| format!("g{number}").into()).collect();
        for group in &groups {
            registry.register(group, std::slice::from_ref(&filter), (BORN, BORN));
        }
        let there = |registry: &Registry| {
            let there = groups.iter().filter(|group| registry.view.get("T", group).is_some());
            there.map(|group| group.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(there(&registry), "g0 g1 g2 g3 g4", "there is room for no more");
        registry.leave(&groups[3..4], BORN + 1);
        registry.leave(&groups[1..2], BORN + 2);
        registry.register(&groups[8], &[filter], (BORN + 3, BORN + 3));
        assert_eq!(there(&registry), "g0 g1 g2 g4 g8");
        assert!(registry.bytes <= 100_000);
    }
}
