//! Supervised actors on the current thread, with everything a test wants to hold of them.

use std::sync::Arc;

use actix::{Actor, Addr};
use cuemq_storage::clock::ManualClock;

use super::{PATIENCE, Probe};
use crate::placement::{Placement, Thread};
use crate::supervise::{
    Cause, ChildEvent, ChildReport, ChildSpec, Context, Failure, Faults, NotStarted, Nursery, Verdict,
};

/// A nursery without a broker system: the test reads the reports.
pub struct Stage {
    /// The children.
    pub nursery: Nursery,
    /// What the children report and [`Stage::until`] has not yet taken.
    pub reports: Probe<ChildReport>,
    /// Lets a child panic by name.
    pub faults: Faults,
    /// The clock of the restart budgets, to be shared with the actors under test. It stands at 0.
    pub clock: Arc<ManualClock>,
}

impl Stage {
    /// An empty stage on the current `LocalSet`.
    #[must_use]
    pub fn new() -> Self {
        let reports = Probe::new();
        let (faults, clock) = (Faults::default(), Arc::new(ManualClock::new(0)));
        let nursery = Nursery::new(
            "stage",
            Placement::local(),
            clock.clone(),
            faults.clone(),
            reports.recipient(),
        );
        Self {
            nursery,
            reports,
            faults,
            clock,
        }
    }

    /// Starts a supervised actor with the usual policy; [`Nursery::start`] takes any other.
    pub fn start<A: Actor<Context = Context<A>>>(
        &mut self,
        name: &str,
        factory: impl FnMut(&mut Context<A>) -> Result<A, Cause> + Send + 'static,
    ) -> Addr<A> {
        self.nursery.start(ChildSpec::new(name, Thread::Io(0)), factory)
    }

    /// [`Nursery::all_up`] with a deadline.
    ///
    /// # Errors
    /// The first child that did not start.
    ///
    /// # Panics
    /// When it takes longer than [`PATIENCE`].
    pub async fn all_up(&mut self) -> Result<(), NotStarted> {
        match tokio::time::timeout(PATIENCE, self.nursery.all_up()).await {
            Ok(up) => up,
            Err(_) => panic!(
                "not all are up after {} s:\n{}",
                PATIENCE.as_secs(),
                self.nursery.tree().draw()
            ),
        }
    }

    /// Notes reports until one fits, and gives that one.
    ///
    /// # Panics
    /// When none comes within [`PATIENCE`].
    pub async fn until(&mut self, fits: impl Fn(&ChildEvent) -> bool) -> ChildEvent {
        loop {
            let report = self.reports.next().await;
            self.nursery.note(&report);
            if fits(&report.event) {
                return report.event;
            }
        }
    }

    /// Notes reports until a child failed, and tells why and what follows.
    ///
    /// # Panics
    /// When none fails within [`PATIENCE`].
    pub async fn failure(&mut self) -> (Failure, Verdict) {
        loop {
            if let ChildEvent::Failed { failure, verdict } = self.until(|_| true).await {
                return (failure, verdict);
            }
        }
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}
