//! The whole broker with its name server in a deterministic simulation: turmoil's network and time, our own disk in
//! memory, and one seed from which everything follows.
//!
//! [`run`] plays one seed's history: producers and consumers on hosts of their own speak the raw protocol to the broker
//! while faults strike it; then all is healed, every queue is read to its end, and [`check`] holds what was said during
//! the history against what is there at its end.

mod auditor;
mod board;
mod body;
mod broker;
mod check;
mod client;
mod clock;
mod consumer;
mod fault;
mod group;
mod history;
mod member;
mod producer;
mod reader;
mod strike;
mod world;

pub use body::{Content, Message, Queue};
pub use check::{Violation, check};
pub use fault::{End, Failing, Fault, PANICS};
pub use history::{Event, FinalLog, Moment, Stored};
pub use world::{Outcome, run, run_with};
