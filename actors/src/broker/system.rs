//! The broker system actor: the parent of all others. It hears how its children are and acts when one of them cannot go on.

use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, Context, Handler, Message, Recipient};
use cuemq_storage::StoreError;
use tokio::sync::watch;

use crate::commit_log::{Poison, SendGate};
use crate::supervise::{ChildEvent, ChildReport, Health, Nursery};

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

/// How a system does, as its children's last reports tell it; for whoever wants to wait for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The health of the child that does worst.
    pub health: Health,
    /// How often a child was built anew.
    pub restarts: u64,
    /// Which child failed for good and why, the first of them: the system cannot go on without a restart.
    pub failed: Option<String>,
}

/// Close this store when a child fails for good. From whoever started it, once.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct GuardStore {
    pub(super) gate: Arc<SendGate>,
    pub(super) poison: Recipient<Poison>,
}

/// The list of children, which the commit log's thread adds consume queues to.
pub(super) type SharedNursery = Arc<Mutex<Option<Nursery>>>;

/// Runs something on the list of children.
pub(super) fn with_nursery<R>(nursery: &SharedNursery, run: impl FnOnce(&mut Nursery) -> R) -> Option<R> {
    nursery.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(run)
}

/// The actor.
pub struct BrokerSystem {
    nursery: SharedNursery,
    standing: watch::Sender<Standing>,
    store: Option<GuardStore>,
}

impl BrokerSystem {
    /// The parent of these children.
    #[must_use]
    pub fn new(nursery: SharedNursery) -> Self {
        let (standing, _) = watch::channel(Standing {
            health: Health::Starting,
            restarts: 0,
            failed: None,
        });
        Self {
            nursery,
            standing,
            store: None,
        }
    }

    /// Where the standing can be read and its changes be waited for.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Refuses sends from now on, and lets those that are under way end as unknown: whoever they wait for may be gone.
    #[expect(clippy::disallowed_methods, reason = "once for each child that fails for good")]
    fn close_store(&self, failed: &str) {
        if let Some(GuardStore { gate, poison }) = &self.store {
            gate.fail();
            let part = failed.to_owned();
            poison.do_send(Poison(StoreError::PartFailed { part }));
        }
    }

    /// Notes how all do. A child that comes up while all run changes nothing, so that ten thousand queues that start cost
    /// no look at all the others each.
    fn note_standing(&self, report: &ChildReport, failed: Option<String>) {
        let comes_up = matches!(report.event, ChildEvent::Running);
        self.standing.send_if_modified(|standing| {
            if comes_up && standing.health == Health::Running {
                return false;
            }
            let before = standing.clone();
            let now = |nursery: &mut Nursery| (nursery.tree().health(), nursery.tree().restarts());
            if let Some((health, restarts)) = with_nursery(&self.nursery, now) {
                (standing.health, standing.restarts) = (health, restarts);
            }
            if standing.failed.is_none() {
                standing.failed = failed;
            }
            *standing != before
        });
    }
}

impl Actor for BrokerSystem {
    type Context = Context<Self>;
}

impl Handler<ChildReport> for BrokerSystem {
    type Result = ();

    fn handle(&mut self, report: ChildReport, _: &mut Self::Context) {
        let escalated = with_nursery(&self.nursery, |nursery| {
            nursery.note(&report).then(|| nursery.tree().told(&report))
        });
        let failed = escalated.flatten();
        if let Some(failed) = &failed {
            tracing::error!("{failed}: the broker cannot go on; restart the process");
            self.close_store(failed);
        }
        self.note_standing(&report, failed);
    }
}

impl Handler<GuardStore> for BrokerSystem {
    type Result = ();

    fn handle(&mut self, store: GuardStore, _: &mut Self::Context) {
        self.store = Some(store);
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
