//! What a producer or a consumer is to its client: a group to tell brokers about, topics whose routes it needs, and somebody
//! to give the brokers' requests to (`MQProducerInner`, `MQConsumerInner`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cuemq_net::body::{ConsumerData, HeartbeatData, ProducerData};
use cuemq_net::command::Command;

use super::connections::Asked;
use crate::error::Cause;
use crate::network::BoxFuture;

/// A group, by what it does: a client has one producer and one consumer of a name at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Producing(String),
    Consuming(String),
}

/// A producer or a consumer of a client.
pub(crate) trait Member: Send + Sync + 'static {
    /// Its group.
    fn group(&self) -> Group;

    /// The topics whose routes it needs.
    fn topics(&self) -> Vec<String>;

    /// What brokers are told of it, if it consumes.
    fn consumer(&self) -> Option<ConsumerData> {
        None
    }

    /// A topic's route has changed.
    fn route_changed(&self, topic: &str) {
        let _ = topic;
    }

    /// It is time to save how far it has come.
    fn persist(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    /// A server asks; what it gives is the answer, where one is wanted. Runs as a task of the client.
    fn serve(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Option<Command>>;
}

/// Who is in the client. They are held by those who made them: one that is dropped is gone.
#[derive(Default)]
pub(crate) struct Members(Mutex<BTreeMap<Group, Weak<dyn Member>>>);

impl Members {
    fn table(&self) -> MutexGuard<'_, BTreeMap<Group, Weak<dyn Member>>> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one in.
    ///
    /// # Errors
    /// When one of its kind has the same group.
    pub(crate) fn join(&self, member: &Arc<dyn Member>) -> Result<(), Cause> {
        let mut table = self.table();
        let group = member.group();
        if table.get(&group).is_some_and(|member| member.strong_count() > 0) {
            return Err(Cause::GroupTaken);
        }
        table.insert(group, Arc::downgrade(member));
        Ok(())
    }

    pub(crate) fn leave(&self, group: &Group) {
        self.table().remove(group);
    }

    pub(crate) fn find(&self, group: &Group) -> Option<Arc<dyn Member>> {
        self.table().get(group)?.upgrade()
    }

    /// All that are there; those that were dropped leave.
    pub(crate) fn all(&self) -> Vec<Arc<dyn Member>> {
        let mut table = self.table();
        table.retain(|_, member| member.strong_count() > 0);
        table.values().filter_map(Weak::upgrade).collect()
    }

    /// What brokers are told.
    pub(crate) fn heartbeat(&self, client_id: &str) -> HeartbeatData {
        let mut data = HeartbeatData {
            client_id: client_id.to_owned(),
            ..HeartbeatData::default()
        };
        for member in self.all() {
            match member.group() {
                Group::Producing(group_name) => data.producers.push(ProducerData { group_name }),
                Group::Consuming(_) => data.consumers.extend(member.consumer()),
            }
        }
        data
    }
}
