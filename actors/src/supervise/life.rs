//! The life of a supervised actor: one task that owns the mailbox, builds the actor, runs it, and builds it anew.
//!
//! A panic anywhere ends the value and not the mailbox, so that the same address and the messages queued in it go on with
//! a fresh value. The supervisor can ask for the end, which comes when the mailbox is empty.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use actix::dev::ContextParts;
use actix::dev::channel::AddressReceiver;
use actix::{Actor, ActorState, Recipient};
use cuemq_storage::clock::Clock;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::context::Context;
use super::fault::{FaultPoint, Site};
use super::mailbox::MailboxFigures;
use super::panic::guarded;
use super::policy::{RestartBudget, Verdict};
use super::report::{Cause, ChildEvent, ChildReport, Failure};
use super::tree::ChildId;
use super::value::{MESSAGES_PER_TURN, Turn, Value};

/// Builds a fresh value of an actor.
pub(super) type Factory<A> = Box<dyn FnMut(&mut <A as Actor>::Context) -> Result<A, Cause> + Send>;

/// What a life is given to begin.
pub(super) struct Birth<A: Actor> {
    pub(super) child: ChildId,
    pub(super) name: Arc<str>,
    pub(super) faults: FaultPoint,
    pub(super) factory: Factory<A>,
    pub(super) mailbox: AddressReceiver<A>,
    pub(super) figures: Arc<MailboxFigures>,
    pub(super) budget: RestartBudget,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reports: Recipient<ChildReport>,
    pub(super) cord: Cord,
}

/// The child's ends of the channels that tie it to its supervisor.
pub(super) struct Cord {
    /// Answered once: running, or why it never ran. Absent where nobody waits for that: a child that is started on demand
    /// follows its policy from the first build on.
    pub(super) up: Option<oneshot::Sender<Result<(), Failure>>>,
    /// The supervisor asks for the end.
    pub(super) stop: Option<oneshot::Receiver<()>>,
    /// Answered at the very end: over as it should be, or by a failure.
    pub(super) gone: Option<oneshot::Sender<Result<(), Failure>>>,
}

/// The task.
pub(super) struct Life<A: Actor<Context = Context<A>>> {
    child: ChildId,
    factory: Factory<A>,
    mailbox: AddressReceiver<A>,
    figures: Arc<MailboxFigures>,
    context: Context<A>,
    stage: Stage<A>,
    budget: RestartBudget,
    restarts: u32,
    /// The value of now was said to run: what it waited for from the start is done.
    announced: bool,
    /// It was started for what is in its mailbox and is not built yet: it does that, even if the end comes first.
    wanted: bool,
    /// The supervisor asked for the end: nothing is built anew.
    closing: bool,
    clock: Arc<dyn Clock>,
    reports: Recipient<ChildReport>,
    cord: Cord,
}

enum Stage<A: Actor> {
    Building,
    Resting(Pin<Box<Sleep>>),
    Running(Value<A>),
    Ended,
}

impl<A: Actor<Context = Context<A>>> Life<A> {
    pub(super) fn new(birth: Birth<A>) -> Self {
        let address = ContextParts::new(birth.mailbox.sender_producer());
        Self {
            child: birth.child,
            factory: birth.factory,
            mailbox: birth.mailbox,
            figures: birth.figures,
            context: Context::new(birth.name, birth.faults, address),
            stage: Stage::Building,
            budget: birth.budget,
            restarts: 0,
            announced: false,
            wanted: birth.cord.up.is_none(),
            closing: false,
            clock: birth.clock,
            reports: birth.reports,
            cord: birth.cord,
        }
    }

    /// Does what the stage asks for.
    fn turn(&mut self, cx: &mut task::Context<'_>) -> Turn {
        self.hear_supervisor(cx);
        match &mut self.stage {
            Stage::Building if self.closing && !self.wanted => Turn::Ended,
            Stage::Building => self.build(),
            Stage::Resting(_) if self.closing => Turn::Ended,
            Stage::Resting(pause) => match pause.poll_unpin(cx) {
                Poll::Pending => Turn::Idle,
                Poll::Ready(()) => {
                    self.stage = Stage::Building;
                    Turn::Again
                }
            },
            Stage::Running(value) if self.announced => {
                let mut left = MESSAGES_PER_TURN;
                let turn = value.turn(&mut self.mailbox, &mut self.context, self.closing, &mut left, cx);
                if left < MESSAGES_PER_TURN {
                    self.figures.note(MESSAGES_PER_TURN - left, left == 0);
                }
                turn
            }
            Stage::Running(value) => match value.ready(&mut self.context, cx) {
                Poll::Pending => Turn::Idle,
                Poll::Ready(Err(failure)) => Turn::Failed(failure),
                Poll::Ready(Ok(())) => {
                    self.announce();
                    Turn::Again
                }
            },
            Stage::Ended => Turn::Ended,
        }
    }

    fn hear_supervisor(&mut self, cx: &mut task::Context<'_>) {
        let Some(stop) = &mut self.cord.stop else { return };
        if let Poll::Ready(asked) = stop.poll_unpin(cx) {
            self.cord.stop = None;
            // An error means that the supervisor is gone: the child then lives as long as its addresses, as in actix.
            self.closing = asked.is_ok();
        }
    }

    fn build(&mut self) -> Turn {
        self.wanted = false;
        self.context.agenda.doing = "its factory";
        self.context.strike(Site::Factory);
        let mut actor = match (self.factory)(&mut self.context) {
            Ok(actor) => actor,
            Err(cause) => return Turn::Failed(Failure::NotBuilt(cause.into())),
        };
        self.context.agenda.doing = "starting";
        actor.started(&mut self.context);
        if self.context.agenda.state == ActorState::Started {
            self.context.agenda.state = ActorState::Running;
        }
        self.stage = Stage::Running(Value::new(actor));
        self.announced = false;
        Turn::Again
    }

    /// Says that the value runs.
    fn announce(&mut self) {
        self.announced = true;
        if let Some(up) = self.cord.up.take() {
            let _ = up.send(Ok(()));
        }
        self.report(ChildEvent::Running);
    }

    /// Drops the failed value and carries out what the policy says.
    fn fail(&mut self, failure: Failure) -> ControlFlow<()> {
        self.discard();
        let verdict = match self.cord.up.take() {
            // It never ran: that is an error of starting up, not a case for a restart.
            Some(up) => {
                let _ = up.send(Err(failure.clone()));
                Verdict::Escalate
            }
            None => match self.budget.failed(self.clock.monotonic()) {
                Verdict::Restart { .. } if self.closing => Verdict::Escalate,
                verdict => verdict,
            },
        };
        self.log(&failure, verdict);
        self.report(ChildEvent::Failed {
            failure: failure.clone(),
            verdict,
        });
        let Verdict::Restart { after } = verdict else {
            self.say_goodbye(Err(failure));
            return ControlFlow::Break(());
        };
        self.restarts += 1;
        self.stage = if after.is_zero() {
            Stage::Building
        } else {
            Stage::Resting(Box::pin(tokio::time::sleep(after)))
        };
        ControlFlow::Continue(())
    }

    fn say_goodbye(&mut self, outcome: Result<(), Failure>) {
        if let Some(gone) = self.cord.gone.take() {
            let _ = gone.send(outcome);
        }
    }

    /// Drops the value and all that it asked for.
    fn discard(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        let agenda = self.context.reset();
        if let Err(panicked) = guarded(move || drop((stage, agenda))) {
            tracing::error!(actor = self.context.name(), %panicked, "actor panicked while it was dropped");
        }
    }

    fn log(&self, failure: &Failure, verdict: Verdict) {
        let (actor, restarts) = (self.context.name(), self.restarts);
        match verdict {
            Verdict::Restart { after } => {
                tracing::warn!(actor, %failure, restarts = restarts + 1, ?after, "actor failed and is built anew");
            }
            Verdict::Escalate => tracing::error!(actor, %failure, restarts, "actor failed for good"),
            Verdict::Leave => tracing::warn!(actor, %failure, "actor failed and is left"),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "bounded by the restart budget; a report must not be lost"
    )]
    fn report(&self, event: ChildEvent) {
        self.reports.do_send(ChildReport {
            child: self.child,
            event,
        });
    }
}

impl<A: Actor<Context = Context<A>>> Future for Life<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let life = self.get_mut();
        loop {
            let failure = match guarded(|| life.turn(cx)) {
                Ok(Turn::Idle) => return Poll::Pending,
                Ok(Turn::Again) => continue,
                Ok(Turn::Ended) => {
                    life.discard();
                    life.report(ChildEvent::Stopped);
                    life.say_goodbye(Ok(()));
                    return Poll::Ready(());
                }
                Ok(Turn::Failed(failure)) => failure,
                Err(panicked) => Failure::Panicked {
                    doing: life.context.agenda.doing,
                    panicked,
                },
            };
            if life.fail(failure).is_break() {
                return Poll::Ready(());
            }
        }
    }
}
