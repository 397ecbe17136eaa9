//! The whole broker with its name server in a deterministic simulation: turmoil's network and time, our own disk in
//! memory, and one seed from which everything follows.
//!
//! [`run`] plays one seed's history: producers, consumers and the members of a group, on hosts of their own, speak the raw
//! protocol to the broker, with messages that come at once and with such that come later, while faults strike it; then all is healed, every queue is read to its end, and [`check`] holds
//! what was said during the history against what is there at its end. Every fourth seed's broker flushes later than it
//! acknowledges; every seed has an actor panic, the next of [`PANICS`].

mod apps;
mod auditor;
mod board;
mod body;
mod broker;
mod check;
mod client;
mod clock;
mod consumer;
mod fault;
mod ground;
mod group;
mod history;
mod later;
mod member;
mod producer;
mod reader;
mod seeds;
mod strike;
mod world;

pub use apps::{AppGroup, AppsOutcome, run_apps, run_apps_calmly};
pub use body::{Content, Message, Queue};
pub use check::{Promised, Violation, check};
pub use fault::{End, Failing, Fault, PANICS};
pub use history::{Event, FinalLog, Moment, Stored};
pub use later::{Fate, Waiting};
pub use seeds::{play, seeds};
pub use world::{Outcome, run, run_aging, run_hasty, run_with};
