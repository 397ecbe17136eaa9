//! The readers' side of the membership: look-ups without a lock, from any thread.

use std::sync::Arc;

use cuemq_storage::hash::Hasher;

use super::{ConsumerGroup, ProducerGroup};
use crate::peer::PeerKey;

type Shared<V> = Arc<papaya::HashMap<Arc<str>, V, Hasher>>;

/// Shows all groups as they are now. Clones show the same.
#[derive(Clone, Debug)]
pub struct MembershipView {
    consumers: Shared<Arc<ConsumerGroup>>,
    producers: Shared<Arc<ProducerGroup>>,
    clients: Shared<PeerKey>,
}

impl Default for MembershipView {
    fn default() -> Self {
        Self::new()
    }
}

impl MembershipView {
    /// A view that shows nothing until a membership publishes into it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            consumers: shared(),
            producers: shared(),
            clients: shared(),
        }
    }

    /// A consumer group; `None` when none of its members is online.
    #[must_use]
    pub fn consumer_group(&self, name: &str) -> Option<Arc<ConsumerGroup>> {
        self.consumers.pin().get(name).cloned()
    }

    /// Reads a consumer group in place, without counting a reference: what each pull does.
    pub fn with_consumer_group<R>(&self, name: &str, read: impl FnOnce(&ConsumerGroup) -> R) -> Option<R> {
        self.consumers.pin().get(name).map(|group| read(group))
    }

    /// All consumer groups with a member online, sorted by name.
    #[must_use]
    pub fn consumer_groups(&self) -> Vec<Arc<ConsumerGroup>> {
        let mut groups: Vec<_> = self.consumers.pin().values().cloned().collect();
        groups.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        groups
    }

    /// A producer group; `None` when none of its members is online.
    #[must_use]
    pub fn producer_group(&self, name: &str) -> Option<Arc<ProducerGroup>> {
        self.producers.pin().get(name).cloned()
    }

    /// All producer groups with a member online, sorted by name.
    #[must_use]
    pub fn producer_groups(&self) -> Vec<Arc<ProducerGroup>> {
        let mut groups: Vec<_> = self.producers.pin().values().cloned().collect();
        groups.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        groups
    }

    /// The connection of a client, whatever its groups; of several with one id the one that came last.
    #[must_use]
    pub fn peer_of(&self, client_id: &str) -> Option<PeerKey> {
        self.clients.pin().get(client_id).copied()
    }

    pub(super) fn show_consumers(&self, name: &Arc<str>, group: Option<Arc<ConsumerGroup>>) {
        show(&self.consumers, name, group, "consumer");
    }

    pub(super) fn show_producers(&self, name: &Arc<str>, group: Option<Arc<ProducerGroup>>) {
        show(&self.producers, name, group, "producer");
    }

    pub(super) fn show_client(&self, client_id: &Arc<str>, peer: Option<PeerKey>) {
        put(&self.clients, client_id, peer);
    }

    /// Hides all that the predicates do not know: the end of a rebuild.
    pub(super) fn retain(
        &self,
        consumers: impl Fn(&str) -> bool,
        producers: impl Fn(&str) -> bool,
        clients: impl Fn(&str) -> bool,
    ) {
        self.consumers.pin().retain(|name, _| consumers(name));
        self.producers.pin().retain(|name, _| producers(name));
        self.clients.pin().retain(|client_id, _| clients(client_id));
    }
}

fn shared<V: Send + Sync>() -> Shared<V> {
    Arc::new(papaya::HashMap::with_hasher(Hasher::default()))
}

/// Shows a group, with a line when its first member has come or the last has left.
fn show<V: Send + Sync>(shown: &Shared<V>, name: &Arc<str>, group: Option<V>, kind: &'static str) {
    let is_there = group.is_some();
    match (put(shown, name, group), is_there) {
        (false, true) => tracing::info!(group = %name, "the first member of a {kind} group has come"),
        (true, false) => tracing::info!(group = %name, "the last member of a {kind} group has left"),
        _ => {}
    }
}

/// Shows or hides a value; whether one was shown before.
fn put<V: Send + Sync>(shown: &Shared<V>, name: &Arc<str>, value: Option<V>) -> bool {
    match value {
        Some(value) => shown.pin().insert(Arc::clone(name), value).is_some(),
        None => shown.pin().remove(name).is_some(),
    }
}
