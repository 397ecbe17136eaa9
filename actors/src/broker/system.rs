//! The broker system actor: the parent of all others. It hears how its children are and acts when one of them cannot go on.

use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, Context, Handler, Message};

use crate::supervise::{ChildReport, Health, Nursery};

/// Draw the tree. From tests and tools.
#[derive(Message, Debug)]
#[rtype(result = "String")]
pub struct Draw;

/// Tell how a child is, by its name. From tests and tools.
#[derive(Message, Debug)]
#[rtype(result = "Option<Health>")]
pub struct HealthOf(pub String);

/// Tell how all are. From tests and tools.
#[derive(Message, Debug)]
#[rtype(result = "(Health, u64)")]
pub struct Summary;

/// The list of children, which the commit log's thread adds consume queues to.
pub(super) type SharedNursery = Arc<Mutex<Option<Nursery>>>;

/// Runs something on the list of children.
pub(super) fn with_nursery<R>(nursery: &SharedNursery, run: impl FnOnce(&mut Nursery) -> R) -> Option<R> {
    nursery.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(run)
}

/// The actor.
pub struct BrokerSystem {
    nursery: SharedNursery,
}

impl BrokerSystem {
    /// The parent of these children.
    #[must_use]
    pub fn new(nursery: SharedNursery) -> Self {
        Self { nursery }
    }
}

impl Actor for BrokerSystem {
    type Context = Context<Self>;
}

impl Handler<ChildReport> for BrokerSystem {
    type Result = ();

    fn handle(&mut self, report: ChildReport, _: &mut Self::Context) {
        let escalated = with_nursery(&self.nursery, |nursery| nursery.note(&report)).unwrap_or(false);
        if escalated {
            tracing::error!(?report, "a part of the broker cannot go on; restart the process");
        }
    }
}

impl Handler<Draw> for BrokerSystem {
    type Result = String;

    fn handle(&mut self, _: Draw, _: &mut Self::Context) -> String {
        with_nursery(&self.nursery, |nursery| nursery.tree().draw()).unwrap_or_default()
    }
}

impl Handler<HealthOf> for BrokerSystem {
    type Result = Option<Health>;

    fn handle(&mut self, HealthOf(name): HealthOf, _: &mut Self::Context) -> Option<Health> {
        with_nursery(&self.nursery, |nursery| {
            nursery.tree().child(&name).map(|child| child.health)
        })
        .flatten()
    }
}

impl Handler<Summary> for BrokerSystem {
    type Result = actix::MessageResult<Summary>;

    fn handle(&mut self, _: Summary, _: &mut Self::Context) -> Self::Result {
        let summary = |nursery: &mut Nursery| (nursery.tree().health(), nursery.tree().restarts());
        actix::MessageResult(with_nursery(&self.nursery, summary).unwrap_or((Health::Stopped, 0)))
    }
}
