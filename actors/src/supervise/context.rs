//! The context of a supervised actor: actix's own traits, with what supervision needs behind them.
//!
//! It differs from [`actix::Context`] in four ways. Every message passes through [`Letter`], which notes what is being
//! handled and holds the fault sites. A message whose sender went away is still handled: an append is never skipped
//! because a caller lost its patience. [`Context::fail`] lets an actor give up with an error. And the work queued here
//! belongs to one value of the actor: it is dropped with it when a fresh one is built.

use std::any::type_name;
use std::sync::Arc;

use actix::dev::{ContextParts, Envelope, EnvelopeProxy, MessageResponse, OneshotSender, ToEnvelope};
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, ActorState, Addr, AsyncContext, Handler, Message, SpawnHandle};

use super::fault::{FaultPoint, Site};
use super::report::Cause;
use super::value::{Item, Wait};

/// The context of a supervised actor: `type Context = Context<Self>;`.
pub struct Context<A: Actor<Context = Self>> {
    name: Arc<str>,
    faults: FaultPoint,
    /// Used for the address alone; what actix would queue in it is queued below.
    address: ContextParts<A>,
    pub(super) agenda: Agenda<A>,
}

/// What an actor does behind its messages.
pub(super) type Behind<A> = fn(&mut A, &mut <A as Actor>::Context);

/// What one value of an actor has asked for and its life has not yet taken up.
pub(super) struct Agenda<A: Actor> {
    pub(super) items: Vec<Item<A>>,
    pub(super) waits: Vec<Wait<A>>,
    pub(super) cancelled: Vec<SpawnHandle>,
    /// What is to be done when the mailbox is empty, or the turn over.
    pub(super) behind: Option<Behind<A>>,
    pub(super) state: ActorState,
    pub(super) given_up: Option<Cause>,
    /// What it is doing, for the report of a panic.
    pub(super) doing: &'static str,
    last_handle: SpawnHandle,
}

impl<A: Actor> Agenda<A> {
    fn new() -> Self {
        Self {
            items: Vec::new(),
            waits: Vec::new(),
            cancelled: Vec::new(),
            behind: None,
            state: ActorState::Started,
            given_up: None,
            doing: "starting",
            last_handle: SpawnHandle::default(),
        }
    }

    /// Whether there is anything to take up.
    pub(super) fn asks(&self) -> bool {
        !(self.items.is_empty() && self.waits.is_empty() && self.cancelled.is_empty() && self.behind.is_none())
    }

    /// Whether the actor has ended or asked to end, so that nothing more is handed to it.
    pub(super) fn ending(&self) -> bool {
        self.state.stopping() || self.given_up.is_some()
    }
}

impl<A: Actor<Context = Self>> Context<A> {
    pub(super) fn new(name: Arc<str>, faults: FaultPoint, address: ContextParts<A>) -> Self {
        Self {
            name,
            faults,
            address,
            agenda: Agenda::new(),
        }
    }

    /// The actor's name in the tree.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives up: this value is dropped as after a panic, and the policy decides what follows.
    pub fn fail(&mut self, cause: impl Into<Cause>) {
        self.agenda.given_up = Some(cause.into());
    }

    /// Has `work` done once, behind the messages that are in the mailbox now. `notify` would do the same, for a future on
    /// the heap and a look at every other one that the actor has spawned.
    pub fn do_behind(&mut self, work: fn(&mut A, &mut Self)) {
        self.agenda.behind = Some(work);
    }

    pub(super) fn strike(&self, site: Site) {
        self.faults.strike(site);
    }

    /// Forgets all that the last value asked for.
    pub(super) fn reset(&mut self) -> Agenda<A> {
        std::mem::replace(&mut self.agenda, Agenda::new())
    }
}

impl<A: Actor<Context = Self>> ActorContext for Context<A> {
    fn stop(&mut self) {
        if self.agenda.state.alive() {
            self.agenda.state = ActorState::Stopping;
        }
    }

    fn terminate(&mut self) {
        self.agenda.state = ActorState::Stopped;
    }

    fn state(&self) -> ActorState {
        self.agenda.state
    }
}

impl<A: Actor<Context = Self>> AsyncContext<A> for Context<A> {
    fn address(&self) -> Addr<A> {
        self.address.address()
    }

    fn spawn<F>(&mut self, future: F) -> SpawnHandle
    where
        F: ActorFuture<A, Output = ()> + 'static,
    {
        self.agenda.last_handle = self.agenda.last_handle.next();
        self.agenda.items.push((self.agenda.last_handle, Box::pin(future)));
        self.agenda.last_handle
    }

    fn wait<F>(&mut self, future: F)
    where
        F: ActorFuture<A, Output = ()> + 'static,
    {
        self.agenda.waits.push(Box::pin(future));
    }

    fn waiting(&self) -> bool {
        !self.agenda.waits.is_empty() || self.agenda.ending()
    }

    fn cancel_future(&mut self, handle: SpawnHandle) -> bool {
        self.agenda.cancelled.push(handle);
        true
    }
}

impl<A, M> ToEnvelope<A, M> for Context<A>
where
    A: Actor<Context = Self> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn pack(message: M, reply: Option<OneshotSender<M::Result>>) -> Envelope<A> {
        Envelope::with_proxy(Box::new(Letter {
            message: Some(message),
            reply,
        }))
    }
}

/// A message in the mailbox. When its handler panics the reply is dropped, and the sender gets `MailboxError::Closed`.
struct Letter<M: Message> {
    message: Option<M>,
    reply: Option<OneshotSender<M::Result>>,
}

impl<A, M> EnvelopeProxy<A> for Letter<M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn handle(&mut self, actor: &mut A, ctx: &mut Context<A>) {
        let Some(message) = self.message.take() else { return };
        ctx.agenda.doing = type_name::<M>();
        ctx.strike(Site::Message);
        let answer = actor.handle(message, ctx);
        ctx.strike(Site::Handler);
        answer.handle(ctx, self.reply.take());
    }
}
