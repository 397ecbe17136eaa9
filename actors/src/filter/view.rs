//! The readers' side of the registry: look-ups without a lock, from any thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cuemq_storage::hash::Hasher;

use super::RegisteredFilter;

/// The filters of one topic by group; they never change, another set is shown.
pub(crate) type OfTopic = Arc<BTreeMap<Arc<str>, Arc<RegisteredFilter>>>;

/// Shows all registered filters as they are now. Clones show the same.
#[derive(Clone, Debug)]
pub struct FilterView {
    topics: Arc<papaya::HashMap<Arc<str>, OfTopic, Hasher>>,
    /// How many filters each group has.
    groups: Arc<papaya::HashMap<Arc<str>, usize, Hasher>>,
}

impl Default for FilterView {
    fn default() -> Self {
        Self {
            topics: Arc::new(papaya::HashMap::with_hasher(Hasher::default())),
            groups: Arc::new(papaya::HashMap::with_hasher(Hasher::default())),
        }
    }
}

impl FilterView {
    /// What a group wants of a topic; `None` where no filter is registered.
    #[must_use]
    pub fn get(&self, topic: &str, group: &str) -> Option<Arc<RegisteredFilter>> {
        self.topics.pin().get(topic)?.get(group).cloned()
    }

    /// All filters of a topic.
    #[must_use]
    pub fn of_topic(&self, topic: &str) -> Option<OfTopic> {
        self.topics.pin().get(topic).cloned()
    }

    /// Whether a group has any filter.
    #[must_use]
    pub fn knows(&self, group: &str) -> bool {
        self.groups.pin().contains_key(group)
    }

    /// The groups with a filter that is not dead.
    #[must_use]
    pub fn live_groups(&self) -> BTreeSet<Arc<str>> {
        let topics = self.topics.pin();
        let filters = topics.values().flat_map(|of_topic| of_topic.values());
        let alive = filters.filter(|filter| !filter.is_dead());
        alive.map(|filter| Arc::clone(&filter.group)).collect()
    }

    /// All filters, in no order.
    pub(super) fn all(&self) -> Vec<Arc<RegisteredFilter>> {
        let topics = self.topics.pin();
        topics
            .values()
            .flat_map(|of_topic| of_topic.values())
            .cloned()
            .collect()
    }

    /// Shows the filters of a topic; none hide it.
    pub(super) fn show(&self, topic: &Arc<str>, filters: BTreeMap<Arc<str>, Arc<RegisteredFilter>>) {
        let topics = self.topics.pin();
        if filters.is_empty() {
            topics.remove(topic);
        } else {
            topics.insert(Arc::clone(topic), Arc::new(filters));
        }
    }

    /// Shows how many filters a group has.
    pub(super) fn show_count(&self, group: &Arc<str>, count: usize) {
        let groups = self.groups.pin();
        if count == 0 {
            groups.remove(group);
        } else {
            groups.insert(Arc::clone(group), count);
        }
    }
}
