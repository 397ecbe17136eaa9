//! A producer group as the connections see it.

use std::sync::Arc;

use cuemq_net::body::ProducerConnection;

use super::Member;

/// A producer group at one moment; it never changes, a heartbeat publishes another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerGroup {
    /// The group.
    pub name: Arc<str>,
    /// Its members, sorted by connection: any of them can be asked about a transaction.
    pub members: Vec<Member>,
}

impl ProducerGroup {
    /// The group as an administrator sees it (code 204).
    #[must_use]
    pub fn to_body(&self) -> ProducerConnection {
        ProducerConnection {
            connections: self
                .members
                .iter()
                .map(|member| member.client.to_connection())
                .collect(),
        }
    }
}
