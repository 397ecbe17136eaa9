//! Starts children, keeps the list of them, and stops them: what the broker system actor is made of.
//!
//! A child is entered in the [`Tree`] by the same call that starts it, so no child runs that the list does not know.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::channel::channel;
use actix::{Actor, Addr, Recipient};
use cuemq_storage::clock::Clock;
use tokio::sync::oneshot;

use super::context::Context;
use super::fault::Faults;
use super::life::{Birth, Cord, Life};
use super::policy::RestartBudget;
use super::report::{Cause, ChildReport, Failure};
use super::tree::{ChildId, ChildSpec, Tree};
use crate::placement::Placement;

/// Children that did not end in time, or not as they should.
#[derive(Debug)]
pub struct UncleanStop {
    /// The time they were given.
    pub limit: Duration,
    /// Those that failed while they were stopped, and why.
    pub failed: Vec<(String, Failure)>,
    /// Those that are still running, in the order in which they would have been stopped.
    pub still_running: Vec<String>,
}

impl Error for UncleanStop {}

impl fmt::Display for UncleanStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self
            .failed
            .iter()
            .map(|(name, failure)| format!("{name} failed: {failure}"));
        let running = self.still_running.iter().map(|name| format!("{name} still runs"));
        let all: Vec<_> = failed.chain(running).collect();
        write!(
            f,
            "no clean stop within {} ms: {}",
            self.limit.as_millis(),
            all.join("; ")
        )
    }
}

/// A child that never came up.
#[derive(Debug, thiserror::Error)]
#[error("{name} did not start: {failure}")]
pub struct NotStarted {
    /// Its name.
    pub name: String,
    /// Why.
    #[source]
    pub failure: Failure,
}

/// Starts children and holds the ends of what ties them to their supervisor.
pub struct Nursery {
    tree: Tree,
    placement: Placement,
    clock: Arc<dyn Clock>,
    faults: Faults,
    reports: Recipient<ChildReport>,
    ties: Vec<Tie>,
}

/// The supervisor's ends of a [`Cord`].
struct Tie {
    child: ChildId,
    name: Arc<str>,
    up: Option<oneshot::Receiver<Result<(), Failure>>>,
    stop: oneshot::Sender<()>,
    gone: oneshot::Receiver<Result<(), Failure>>,
}

impl Nursery {
    /// An empty nursery under the name `root`, whose children report to `reports`.
    #[must_use]
    pub fn new(
        root: &str,
        placement: Placement,
        clock: Arc<dyn Clock>,
        faults: Faults,
        reports: Recipient<ChildReport>,
    ) -> Self {
        Self {
            tree: Tree::new(root),
            placement,
            clock,
            faults,
            reports,
            ties: Vec::new(),
        }
    }

    /// Starts a child: `factory` builds its value on its thread, now and after each failure that its policy forgives.
    ///
    /// The address is good at once, and for all values of the child to come. Wait for [`Nursery::all_up`] to know that
    /// it runs.
    pub fn start<A: Actor<Context = Context<A>>>(
        &mut self,
        spec: ChildSpec,
        factory: impl FnMut(&mut Context<A>) -> Result<A, Cause> + Send + 'static,
    ) -> Addr<A> {
        let name = spec.name.clone();
        let (sender, mailbox) = channel(spec.capacity);
        let (up_sender, up) = oneshot::channel();
        let (stop, stop_receiver) = oneshot::channel();
        let (gone_sender, gone) = oneshot::channel();
        // Nobody waits for those that come and go.
        let (up, up_sender) = (!spec.on_demand).then_some((up, up_sender)).unzip();
        let (thread, budget) = (spec.thread, RestartBudget::new(spec.policy));
        let figures = Arc::clone(&spec.mailbox);
        let child = self.tree.adopt(spec);
        self.ties.push(Tie {
            child,
            name: name.clone(),
            up,
            stop,
            gone,
        });
        let birth = Birth {
            child,
            faults: self.faults.point(&name),
            name,
            factory: Box::new(factory),
            mailbox,
            figures,
            budget,
            clock: self.clock.clone(),
            reports: self.reports.clone(),
            cord: Cord {
                up: up_sender,
                stop: Some(stop_receiver),
                gone: Some(gone_sender),
            },
        };
        self.placement
            .run(thread, birth.name.to_string(), move || Life::new(birth));
        Addr::new(sender)
    }

    /// Notes what a child reported; true when its failure must be acted on by the whole system.
    pub fn note(&mut self, report: &ChildReport) -> bool {
        let escalated = self.tree.note(report);
        if report.event.is_end()
            && let Ok(place) = self.ties.binary_search_by_key(&report.child, |tie| tie.child)
            // One that nobody has waited for yet is kept: it must not be taken for one that came up.
            && self.ties[place].up.is_none()
        {
            self.ties.remove(place);
        }
        escalated
    }

    /// The list of children.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Waits until every child started so far runs: it was built, and what it waits for from the start is done.
    ///
    /// # Errors
    /// The first child that was not.
    pub fn all_up(&mut self) -> impl Future<Output = Result<(), NotStarted>> + use<> {
        let pending: Vec<_> = self
            .ties
            .iter_mut()
            .filter_map(|tie| Some((tie.name.clone(), tie.up.take()?)))
            .collect();
        async move {
            for (name, up) in pending {
                let failure = match up.await {
                    Ok(Ok(())) => continue,
                    Ok(Err(failure)) => failure,
                    Err(gone) => Failure::NotBuilt(Arc::new(gone)),
                };
                return Err(NotStarted {
                    name: name.to_string(),
                    failure,
                });
            }
            Ok(())
        }
    }

    /// Stops all children, the last started first; each is gone before the next one is asked.
    ///
    /// A child handles what is in its mailbox, then its `stopping` and `stopped` run. The future borrows nothing, so the
    /// reports that come meanwhile can be noted. A child that fails while it stops is not built anew.
    ///
    /// # Errors
    /// When children failed, or are still running after `limit`; those that come after them were not asked then.
    pub fn stop_all(&mut self, limit: Duration) -> impl Future<Output = Result<(), UncleanStop>> + use<> {
        let mut ties = std::mem::take(&mut self.ties);
        async move {
            let (mut asked, mut failed) = (None, Vec::new());
            let all = async {
                while let Some(Tie { name, stop, gone, .. }) = ties.pop() {
                    asked = Some(name.to_string());
                    let _ = stop.send(());
                    // One that says nothing went with its thread, before.
                    if let Ok(Err(failure)) = gone.await {
                        failed.push((name.to_string(), failure));
                    }
                    asked = None;
                }
            };
            let in_time = tokio::time::timeout(limit, all).await.is_ok();
            if in_time && failed.is_empty() {
                return Ok(());
            }
            let still_running = asked
                .into_iter()
                .chain(ties.iter().rev().map(|tie| tie.name.to_string()))
                .collect();
            Err(UncleanStop {
                limit,
                failed,
                still_running,
            })
        }
    }
}
