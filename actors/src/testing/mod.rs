//! What tests of actors are made of, public so that an application's tests can use it too.
//!
//! An actor names its neighbours only as `Recipient`s, so a test hands it [`Probe`]s instead. Time, chance and files come
//! from [`ManualClock`], [`SeededEntropy`] and [`MemoryDisk`]. A [`Stage`] supervises actors on the test's own thread, and
//! its [`Faults`] let any of them panic by name. The example `test_one_actor` shows all of it. A [`TestBroker`] is a whole
//! broker with a name server, for tests of what talks to one; [`TestBroker::client_options`] has the client library talk to it. On a [`MemoryNet`] and a `MemoryDisk`, all its actors run
//! without any socket or file, as the example `test_whole_broker` shows.

mod broker;
mod broker_thread;
mod clients;
mod memory_net;
mod probe;
#[cfg(test)]
pub(crate) mod records;
mod stage;
#[cfg(test)]
mod unreadable;

pub use broker::{TestBroker, TestBrokerBuilder};
pub use cuemq_storage::clock::ManualClock;
pub use cuemq_storage::disk::MemoryDisk;
pub use cuemq_storage::entropy::SeededEntropy;
pub use memory_net::{MemoryNet, MemoryStream};
pub use probe::{PATIENCE, Probe};
pub use stage::Stage;
#[cfg(test)]
pub(crate) use unreadable::unreadable_log;

pub use crate::supervise::{Faults, Site};
