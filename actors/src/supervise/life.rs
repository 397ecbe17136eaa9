//! The life of a supervised actor: one task that owns the mailbox, builds the actor, runs it, and builds it anew.
//!
//! This is what actix's `ContextFut` does (wait futures first, then the mailbox, then the spawned futures), with three
//! changes: a panic anywhere ends the value and not the mailbox, so that the same address and the messages queued in it
//! go on with a fresh value; at most [`MESSAGES_PER_TURN`] messages are handled before the thread's other tasks get their
//! turn; and the supervisor can ask for the end, which comes when the mailbox is empty.

use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};

use actix::dev::channel::AddressReceiver;
use actix::dev::{ContextParts, EnvelopeProxy};
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, ActorState, Recipient, Running, SpawnHandle};
use cuemq_storage::clock::Clock;
use futures_util::{FutureExt, Stream};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::context::Context;
use super::fault::{FaultPoint, Site};
use super::panic::guarded;
use super::policy::{RestartBudget, Verdict};
use super::report::{Cause, ChildEvent, ChildReport, Failure};
use super::tree::ChildId;

/// How many messages an actor handles before the other tasks of its thread get their turn.
const MESSAGES_PER_TURN: u32 = 256;

/// A future spawned on an actor's context.
pub(super) type Item<A> = (SpawnHandle, Wait<A>);
/// A future that an actor waits for, taking no message meanwhile.
pub(super) type Wait<A> = Pin<Box<dyn ActorFuture<A, Output = ()>>>;
/// Builds a fresh value of an actor.
pub(super) type Factory<A> = Box<dyn FnMut(&mut <A as Actor>::Context) -> Result<A, Cause> + Send>;

/// What a life is given to begin.
pub(super) struct Birth<A: Actor> {
    pub(super) child: ChildId,
    pub(super) name: Arc<str>,
    pub(super) faults: FaultPoint,
    pub(super) factory: Factory<A>,
    pub(super) mailbox: AddressReceiver<A>,
    pub(super) budget: RestartBudget,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reports: Recipient<ChildReport>,
    pub(super) cord: Cord,
}

/// The child's ends of the channels that tie it to its supervisor.
pub(super) struct Cord {
    /// Answered once: running, or why it never ran.
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
    context: Context<A>,
    stage: Stage<A>,
    budget: RestartBudget,
    restarts: u32,
    /// The supervisor asked for the end: nothing is built any more.
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

/// One value of the actor with the futures that belong to it.
struct Value<A: Actor> {
    actor: A,
    waits: Vec<Wait<A>>,
    items: Vec<Item<A>>,
    /// It was told that the supervisor asked for the end.
    told: bool,
}

/// How a turn ended.
enum Turn {
    Idle,
    Again,
    Ended,
    Failed(Failure),
}

impl<A: Actor<Context = Context<A>>> Life<A> {
    pub(super) fn new(birth: Birth<A>) -> Self {
        let address = ContextParts::new(birth.mailbox.sender_producer());
        Self {
            child: birth.child,
            factory: birth.factory,
            mailbox: birth.mailbox,
            context: Context::new(birth.name, birth.faults, address),
            stage: Stage::Building,
            budget: birth.budget,
            restarts: 0,
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
            Stage::Building if self.closing => Turn::Ended,
            Stage::Building => self.build(),
            Stage::Resting(_) if self.closing => Turn::Ended,
            Stage::Resting(pause) => match pause.poll_unpin(cx) {
                Poll::Pending => Turn::Idle,
                Poll::Ready(()) => {
                    self.stage = Stage::Building;
                    Turn::Again
                }
            },
            Stage::Running(value) => value.turn(&mut self.mailbox, &mut self.context, self.closing, cx),
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
        self.stage = Stage::Running(Value {
            actor,
            waits: Vec::new(),
            items: Vec::new(),
            told: false,
        });
        if self.context.agenda.given_up.is_none() {
            if let Some(up) = self.cord.up.take() {
                let _ = up.send(Ok(()));
            }
            self.report(ChildEvent::Running);
        }
        Turn::Again
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

impl<A: Actor<Context = Context<A>>> Value<A> {
    /// Wait futures first, then messages, then spawned futures, until nothing is ready.
    fn turn(
        &mut self,
        mailbox: &mut AddressReceiver<A>,
        ctx: &mut Context<A>,
        closing: bool,
        cx: &mut task::Context<'_>,
    ) -> Turn {
        let mut left = MESSAGES_PER_TURN;
        loop {
            self.take_up(ctx);
            if self.wait(ctx, cx).is_pending() {
                return Turn::Idle;
            }
            self.handle_messages(mailbox, ctx, &mut left, cx);
            self.poll_items(ctx, cx);
            if let Some(cause) = ctx.agenda.given_up.take() {
                return Turn::Failed(Failure::GaveUp(cause.into()));
            }
            if self.take_up(ctx) && !ctx.agenda.ending() {
                continue;
            }
            let abandoned = left > 0 && !mailbox.connected() && self.items.is_empty();
            if left == 0 {
                // Unlike waking itself, this lets the thread look at its sockets and timers first.
                let _ = pin!(tokio::task::yield_now()).poll(cx);
            } else if abandoned || (closing && !self.told) {
                self.told |= closing;
                ctx.stop();
            }
            if !ctx.agenda.ending() {
                return Turn::Idle;
            }
            if self.ends(ctx) {
                return Turn::Ended;
            }
            if abandoned && !ctx.agenda.asks() {
                return Turn::Idle;
            }
        }
    }

    /// Moves what the actor asked for since the last look into its lists; true when there was anything.
    fn take_up(&mut self, ctx: &mut Context<A>) -> bool {
        let agenda = &mut ctx.agenda;
        let found = agenda.asks();
        self.waits.append(&mut agenda.waits);
        self.items.append(&mut agenda.items);
        if !agenda.cancelled.is_empty() {
            self.items.retain(|(handle, _)| !agenda.cancelled.contains(handle));
            agenda.cancelled.clear();
        }
        found
    }

    /// Polls the futures waited for, the newest first; ready when none is left or the actor ends.
    fn wait(&mut self, ctx: &mut Context<A>, cx: &mut task::Context<'_>) -> Poll<()> {
        while let Some(newest) = self.waits.last_mut() {
            if ctx.agenda.ending() {
                break;
            }
            ctx.agenda.doing = "a future it waits for";
            ctx.strike(Site::Task);
            if newest.as_mut().poll(&mut self.actor, ctx, cx).is_pending() && !ctx.agenda.ending() {
                return Poll::Pending;
            }
            self.waits.pop();
            self.take_up(ctx);
        }
        Poll::Ready(())
    }

    fn handle_messages(
        &mut self,
        mailbox: &mut AddressReceiver<A>,
        ctx: &mut Context<A>,
        left: &mut u32,
        cx: &mut task::Context<'_>,
    ) {
        while *left > 0 && ctx.agenda.waits.is_empty() && !ctx.agenda.ending() {
            let Poll::Ready(Some(mut envelope)) = Pin::new(&mut *mailbox).poll_next(cx) else {
                break;
            };
            envelope.handle(&mut self.actor, ctx);
            *left -= 1;
        }
    }

    /// Polls each spawned future once, unless one of them makes the actor wait or end.
    fn poll_items(&mut self, ctx: &mut Context<A>, cx: &mut task::Context<'_>) {
        let mut place = 0;
        while place < self.items.len() && ctx.agenda.waits.is_empty() && !ctx.agenda.ending() {
            let (handle, future) = &mut self.items[place];
            if ctx.agenda.cancelled.contains(handle) {
                place += 1;
                continue;
            }
            ctx.agenda.doing = "a spawned future";
            ctx.strike(Site::Task);
            if future.as_mut().poll(&mut self.actor, ctx, cx).is_ready() {
                let _ = self.items.swap_remove(place);
            } else {
                place += 1;
            }
        }
    }

    /// Ends the value, unless it says in `stopping` that it will end itself later.
    fn ends(&mut self, ctx: &mut Context<A>) -> bool {
        ctx.agenda.doing = "stopping";
        if ctx.agenda.state != ActorState::Stopped && self.actor.stopping(ctx) == Running::Continue {
            ctx.agenda.state = ActorState::Running;
            return false;
        }
        ctx.agenda.state = ActorState::Stopped;
        self.actor.stopped(ctx);
        true
    }
}
