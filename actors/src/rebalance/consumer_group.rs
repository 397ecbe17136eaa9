//! A consumer group as the connections see it: its members and what they subscribe to together.

use std::sync::Arc;

use cuemq_net::body::{ConsumeFromWhere, ConsumeType, ConsumerConnection, MessageModel};

use super::peer_record::{ConsumerRecord, Statement, find};
use super::{Client, Subscription};
use crate::peer::PeerKey;

/// A member of a group: a connection and the client behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The connection.
    pub peer: PeerKey,
    /// The client.
    pub client: Arc<Client>,
}

/// A consumer group at one moment; it never changes, a heartbeat publishes another.
///
/// Type, model, starting point and topics are those of the heartbeat that came last. Of each topic the newest subscription
/// counts that a present member told, of equally new ones that of the member who joined first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroup {
    /// The group.
    pub name: Arc<str>,
    /// How the group gets its messages.
    pub consume_type: ConsumeType,
    /// Who gets the group's messages.
    pub message_model: MessageModel,
    /// Where the group starts on a queue that it has no offset for.
    pub consume_from_where: ConsumeFromWhere,
    subscriptions: Vec<Arc<Subscription>>,
    members: Vec<Member>,
}

impl ConsumerGroup {
    /// Puts the group together from what its members said; `None` where there is no member.
    pub(super) fn new<'a>(
        name: &Arc<str>,
        said: impl Iterator<Item = (PeerKey, &'a Arc<Client>, &'a ConsumerRecord)> + Clone,
    ) -> Option<Self> {
        let (.., last) = said.clone().max_by_key(|(.., record)| record.heard)?;
        let newest = |topic: &Arc<Subscription>| {
            let told = said.clone().filter_map(|(.., record)| {
                let subscription = record.statement.subscription(topic.topic())?;
                Some((subscription.version(), std::cmp::Reverse(record.joined), subscription))
            });
            let best = told.max_by_key(|(version, joined, _)| (*version, *joined));
            best.map_or_else(|| Arc::clone(topic), |(.., subscription)| Arc::clone(subscription))
        };
        Some(Self {
            name: Arc::clone(name),
            consume_type: last.statement.consume_type,
            message_model: last.statement.message_model,
            consume_from_where: last.statement.consume_from_where,
            subscriptions: last.statement.subscriptions.iter().map(newest).collect(),
            members: said
                .clone()
                .map(|(peer, client, _)| Member {
                    peer,
                    client: Arc::clone(client),
                })
                .collect(),
        })
    }

    /// What the group wants of a topic; `None` when it does not subscribe to it.
    #[must_use]
    pub fn subscription(&self, topic: &str) -> Option<&Arc<Subscription>> {
        find(&self.subscriptions, topic)
    }

    /// What the group subscribes to, sorted by topic.
    #[must_use]
    pub fn subscriptions(&self) -> &[Arc<Subscription>] {
        &self.subscriptions
    }

    /// The members, sorted by connection.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The ids of the clients, sorted, each once: queues are shared out among them, and a client that has come back
    /// before its old connection was missed must not get two shares.
    #[must_use]
    pub fn consumer_ids(&self) -> Vec<Arc<str>> {
        let ids = self.members.iter().map(|member| &member.client.client_id);
        let mut ids: Vec<_> = ids.filter(|id| !id.is_empty()).cloned().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The member of that client id.
    #[must_use]
    pub fn find(&self, client_id: &str) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| &*member.client.client_id == client_id)
    }

    /// The group as an administrator sees it (code 203).
    #[must_use]
    pub fn to_body(&self) -> ConsumerConnection {
        let subscriptions = self.subscriptions.iter();
        ConsumerConnection {
            connections: self
                .members
                .iter()
                .map(|member| member.client.to_connection())
                .collect(),
            consume_from_where: self.consume_from_where,
            consume_type: self.consume_type,
            message_model: self.message_model,
            subscription_table: subscriptions
                .map(|said| (said.topic().to_owned(), said.data().clone()))
                .collect(),
        }
    }

    /// Whether the group subscribes to the same topics.
    pub(super) fn has_topics_of(&self, other: &[Arc<Subscription>]) -> bool {
        let topics = self.subscriptions.iter().map(|subscription| subscription.topic());
        topics.eq(other.iter().map(|subscription| subscription.topic()))
    }

    /// Whether the group stays as it is when a member says again what it said before.
    pub(super) fn agrees_with(&self, said: &Statement) -> bool {
        (self.consume_type, self.message_model, self.consume_from_where)
            == (said.consume_type, said.message_model, said.consume_from_where)
            && self.has_topics_of(&said.subscriptions)
    }
}
