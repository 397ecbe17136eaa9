//! Our own supervision, since actix catches no panic and its `Supervisor` never builds a fresh value.
//!
//! An actor is written as for actix; only the context is ours. Its factory builds the whole value, from files or from
//! nothing, and is called again after a failure. Because the supervisor polls the actor, every panic is caught wherever it
//! happens: in a handler, a timer, a spawned future, `started`, a factory or a `drop`. Then
//!
//! - the message being handled is gone, and its sender gets `MailboxError::Closed` (a deferred reply: `RecvError`);
//!   whether its work was done is unknown;
//! - the value and all that it spawned are dropped, *before* the factory builds the next one;
//! - the address stays good, and the messages queued behind wait, in order, for the fresh value, also during a pause
//!   (what does not fit into the mailbox meanwhile is refused by `try_send`);
//! - the failure is logged once, counted, and reported to the broker system as a [`ChildReport`]; when the policy
//!   forgives no more, the mailbox closes and the report says [`Verdict::Escalate`].
//!
//! A child that fails before its first value runs is not restarted: that is an error of starting up. A value runs when
//! its `started` has returned and all that it asked to wait for (`ctx.wait`) is done: a listener that binds there is up
//! when it is bound.
//! [`Context::fail`] is the same for an error that is not a panic; `ctx.stop()` is an orderly end.
//!
//! ```
//! use actix::{Actor, AsyncContext, Handler, Message};
//! use cuemq_actors::supervise::Context;
//!
//! /// Adds to the sum. From a connection to the counter, bounded by the connection's budget.
//! #[derive(Message)]
//! #[rtype(result = "u64")]
//! pub struct Add(pub u64);
//!
//! /// Owns a sum.
//! #[derive(Default)]
//! pub struct Counter {
//!     sum: u64,
//! }
//!
//! impl Actor for Counter {
//!     type Context = Context<Self>;
//!
//!     fn started(&mut self, ctx: &mut Context<Self>) {
//!         ctx.run_interval(std::time::Duration::from_secs(1), |counter, _| counter.sum += 1);
//!     }
//! }
//!
//! impl Handler<Add> for Counter {
//!     type Result = u64;
//!
//!     fn handle(&mut self, Add(number): Add, _: &mut Context<Self>) -> u64 {
//!         self.sum += number;
//!         self.sum
//!     }
//! }
//!
//! # use std::sync::Arc;
//! # use cuemq_actors::placement::{Placement, Thread};
//! # use cuemq_actors::supervise::{ChildReport, ChildSpec, Faults, Nursery};
//! # use cuemq_storage::clock::RealClock;
//! # struct BrokerSystem;
//! # impl Actor for BrokerSystem { type Context = actix::Context<Self>; }
//! # impl Handler<ChildReport> for BrokerSystem {
//! #     type Result = ();
//! #     fn handle(&mut self, _: ChildReport, _: &mut actix::Context<Self>) {}
//! # }
//! # actix::System::new().block_on(async {
//! # let reports = BrokerSystem.start().recipient();
//! // in the broker system, whose handler of `ChildReport` calls `nursery.note(&report)`:
//! let mut nursery = Nursery::new("broker", Placement::local(), Arc::new(RealClock::new()), Faults::default(), reports);
//! let counter = nursery.start(ChildSpec::new("counter", Thread::Files), |_ctx| Ok(Counter::default()));
//! nursery.all_up().await.unwrap();
//! assert_eq!(counter.send(Add(2)).await.unwrap(), 2);
//! # });
//! ```
//!
//! Unlike in actix, a message whose sender dropped the `send` future is still handled, and an actor yields its thread
//! after 256 messages. Tests let any actor fail by name: see [`Faults`].

mod context;
mod fault;
mod life;
mod mailbox;
mod nursery;
mod panic;
mod policy;
mod report;
mod rouser;
#[cfg(test)]
mod tests;
mod tree;
mod value;

pub use context::Context;
pub use fault::{FaultPoint, Faults, Site};
pub use mailbox::MailboxFigures;
pub use nursery::{NotStarted, Nursery, UncleanStop};
pub use panic::{Guarded, Panicked, guarded, install_panic_hook};
pub use policy::{Backoff, Policy, RestartBudget, Verdict};
pub use report::{Cause, ChildEvent, ChildReport, Failure};
pub use tree::{Child, ChildId, ChildSpec, Health, Tree};
