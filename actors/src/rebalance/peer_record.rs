//! What one connection has said of its groups: the part of the membership that the connection keeps, so that a restarted
//! owner can ask for it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use cuemq_net::body::{Connection, ConsumeFromWhere, ConsumeType, ConsumerData, MessageModel, ProducerInfo};
use cuemq_net::language::Language;

use super::Subscription;

/// The client behind a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The id it goes by, usually `address@instance`.
    pub client_id: Arc<str>,
    /// The address it connects from, `ip:port`.
    pub address: Arc<str>,
    /// The language it is written in.
    pub language: Language,
    /// Its version number.
    pub version: i32,
}

impl Client {
    /// As an administrator sees it.
    #[must_use]
    pub fn to_connection(&self) -> Connection {
        Connection {
            client_addr: self.address.to_string(),
            client_id: self.client_id.to_string(),
            language: self.language.name().to_owned(),
            version: self.version,
        }
    }

    /// As an administrator sees it among all producers; its last heartbeat came at that time, in milliseconds since 1970.
    #[must_use]
    pub fn to_producer_info(&self, last_update_timestamp: i64) -> ProducerInfo {
        ProducerInfo {
            client_id: self.client_id.to_string(),
            language: self.language.name().to_owned(),
            last_update_timestamp,
            remote_ip: format!("/{}", self.address),
            version: self.version,
        }
    }
}

/// What a connection has said of its groups. Made by [`super::Membership`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRecord {
    pub(super) client: Arc<Client>,
    /// The number of its first heartbeat.
    pub(super) joined: u64,
    pub(super) consumers: BTreeMap<Arc<str>, ConsumerRecord>,
    /// When each producer group was last named, in milliseconds of the monotonic clock.
    pub(super) producers: BTreeMap<Arc<str>, u64>,
}

/// What a connection has said of one consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsumerRecord {
    pub(super) statement: Arc<Statement>,
    /// The number of the heartbeat that first named the group.
    pub(super) joined: u64,
    /// The number of the last heartbeat that named it.
    pub(super) heard: u64,
    /// When that came, in milliseconds of the monotonic clock.
    pub(super) heard_ms: u64,
}

/// The words of a heartbeat about one consumer group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) consume_type: ConsumeType,
    pub(super) message_model: MessageModel,
    pub(super) consume_from_where: ConsumeFromWhere,
    /// Sorted by topic, one for each.
    pub(super) subscriptions: Vec<Arc<Subscription>>,
}

impl Statement {
    /// Of two subscriptions to one topic the newer counts, of equally new ones the first.
    pub(super) fn new(data: ConsumerData) -> Self {
        let mut by_topic: BTreeMap<String, Arc<Subscription>> = BTreeMap::new();
        for subscription in data.subscriptions {
            let known = by_topic.get(&subscription.topic);
            if known.is_none_or(|known| known.version() < subscription.sub_version) {
                by_topic.insert(subscription.topic.clone(), Arc::new(Subscription::new(subscription)));
            }
        }
        Self {
            consume_type: data.consume_type,
            message_model: data.message_model,
            consume_from_where: data.consume_from_where,
            subscriptions: by_topic.into_values().collect(),
        }
    }

    pub(super) fn subscription(&self, topic: &str) -> Option<&Arc<Subscription>> {
        find(&self.subscriptions, topic)
    }
}

/// What a name takes beside its text, about.
const OVERHEAD_BYTES: usize = 64;

/// Finds a topic among subscriptions sorted by it.
pub(super) fn find<'a>(subscriptions: &'a [Arc<Subscription>], topic: &str) -> Option<&'a Arc<Subscription>> {
    let place = subscriptions
        .binary_search_by(|subscription| subscription.topic().cmp(topic))
        .ok()?;
    subscriptions.get(place)
}

impl PeerRecord {
    /// The client behind the connection.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// About how many bytes it takes, counted as if nothing of it were shared.
    pub(super) fn bytes(&self) -> usize {
        let of_client = self.client.client_id.len() + self.client.address.len();
        let of_producers = self.producers.keys().map(|group| group.len() + OVERHEAD_BYTES);
        let of_consumers = self.consumers.iter().map(|(group, said)| {
            let subscriptions = said.statement.subscriptions.iter();
            group.len() + OVERHEAD_BYTES + subscriptions.map(|subscription| subscription.bytes()).sum::<usize>()
        });
        of_client + of_producers.chain(of_consumers).sum::<usize>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.consumers.is_empty() && self.producers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use cuemq_net::body::SubscriptionData;

    use super::*;

    #[test]
    fn of_two_subscriptions_to_a_topic_the_newer_counts_and_of_equals_the_first() {
        let said = |topic: &str, sub_string: &str, sub_version| SubscriptionData {
            topic: topic.to_owned(),
            sub_string: sub_string.to_owned(),
            sub_version,
            ..SubscriptionData::default()
        };
        let statement = Statement::new(ConsumerData {
            subscriptions: vec![
                said("U", "a", 1),
                said("T", "b", 5),
                said("T", "c", 6),
                said("T", "d", 6),
            ],
            ..ConsumerData::default()
        });
        assert_eq!(statement.subscriptions.len(), 2);
        assert_eq!(statement.subscription("T").unwrap().expression(), "c");
        assert_eq!(statement.subscription("U").unwrap().expression(), "a");
        assert!(statement.subscription("V").is_none());
    }
}
