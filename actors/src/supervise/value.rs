//! One value of a supervised actor, and what it does when its task is polled.
//!
//! This is what actix's `ContextFut` does, in the same order: wait futures first, then the mailbox, then the spawned
//! futures. Two things differ: at most [`MESSAGES_PER_TURN`] messages are handled before the thread's other tasks get
//! their turn, and spawned futures are polled when one of them was woken ([`Rouser`]), not for each message. Nothing here catches a panic; the [`super::life::Life`] around it does.

use std::pin::{Pin, pin};
use std::task::{self, Poll};

use actix::dev::EnvelopeProxy;
use actix::dev::channel::AddressReceiver;
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, ActorState, Running, SpawnHandle};
use futures_util::Stream;

use super::context::Context;
use super::fault::Site;
use super::report::Failure;
use super::rouser::Rouser;

/// How many messages an actor handles before the other tasks of its thread get their turn.
pub(super) const MESSAGES_PER_TURN: u32 = 256;

/// A future spawned on an actor's context.
pub(super) type Item<A> = (SpawnHandle, Wait<A>);
/// A future that an actor waits for, taking no message meanwhile.
pub(super) type Wait<A> = Pin<Box<dyn ActorFuture<A, Output = ()>>>;
/// One value of the actor with the futures that belong to it.
pub(super) struct Value<A: Actor> {
    actor: A,
    waits: Vec<Wait<A>>,
    items: Vec<Item<A>>,
    rouser: Option<Rouser>,
    /// Some of the items have not been polled since they were spawned, or since one was woken.
    unpolled: bool,
    /// It was told that the supervisor asked for the end.
    told: bool,
}

/// How a turn ended.
pub(super) enum Turn {
    Idle,
    Again,
    Ended,
    Failed(Failure),
}

impl<A: Actor<Context = Context<A>>> Value<A> {
    pub(super) fn new(actor: A) -> Self {
        Self {
            actor,
            waits: Vec::new(),
            items: Vec::new(),
            rouser: None,
            unpolled: false,
            told: false,
        }
    }

    /// Polls what the factory and `started` asked to wait for; ready when it is done, before the first message.
    pub(super) fn ready(&mut self, ctx: &mut Context<A>, cx: &mut task::Context<'_>) -> Poll<Result<(), Failure>> {
        self.take_up(ctx);
        let done = self.wait(ctx, cx);
        match ctx.agenda.given_up.take() {
            Some(cause) => Poll::Ready(Err(Failure::GaveUp(cause.into()))),
            None => done.map(Ok),
        }
    }

    /// Wait futures first, then messages, then spawned futures, until nothing is ready. `left` is how many messages may be
    /// handled.
    pub(super) fn turn(
        &mut self,
        mailbox: &mut AddressReceiver<A>,
        ctx: &mut Context<A>,
        closing: bool,
        left: &mut u32,
        cx: &mut task::Context<'_>,
    ) -> Turn {
        loop {
            self.take_up(ctx);
            if self.wait(ctx, cx).is_pending() {
                return Turn::Idle;
            }
            self.handle_messages(mailbox, ctx, left, cx);
            self.do_behind(ctx);
            self.poll_items(ctx, cx);
            if let Some(cause) = ctx.agenda.given_up.take() {
                return Turn::Failed(Failure::GaveUp(cause.into()));
            }
            if self.take_up(ctx) && !ctx.agenda.ending() {
                continue;
            }
            let abandoned = *left > 0 && !mailbox.connected() && self.items.is_empty();
            if *left == 0 {
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
        self.unpolled |= !agenda.items.is_empty();
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

    /// Does what was to be done behind the messages, unless one of them makes the actor wait or end.
    fn do_behind(&mut self, ctx: &mut Context<A>) {
        if !ctx.agenda.waits.is_empty() || ctx.agenda.ending() {
            return;
        }
        if let Some(work) = ctx.agenda.behind.take() {
            ctx.agenda.doing = "what follows its messages";
            ctx.strike(Site::Task);
            work(&mut self.actor, ctx);
        }
    }

    /// Polls each spawned future once, if one was woken, unless one of them makes the actor wait or end.
    fn poll_items(&mut self, ctx: &mut Context<A>, cx: &mut task::Context<'_>) {
        let rouser = Rouser::of(&mut self.rouser, cx.waker());
        if !rouser.was_woken() && !self.unpolled {
            return;
        }
        let mut cx = task::Context::from_waker(rouser.waker());
        let mut place = 0;
        while place < self.items.len() && ctx.agenda.waits.is_empty() && !ctx.agenda.ending() {
            let (handle, future) = &mut self.items[place];
            if ctx.agenda.cancelled.contains(handle) {
                place += 1;
                continue;
            }
            ctx.agenda.doing = "a spawned future";
            ctx.strike(Site::Task);
            if future.as_mut().poll(&mut self.actor, ctx, &mut cx).is_ready() {
                let _ = self.items.swap_remove(place);
            } else {
                place += 1;
            }
        }
        self.unpolled = place < self.items.len();
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
