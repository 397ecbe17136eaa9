//! The composition root: settings in, a running system out.
//!
//! [`start`] opens the store, starts every actor through one [`Nursery`](crate::supervise::Nursery) (the list that start, health, stop and the drawn
//! tree read), waits until all are up and the ports are bound, registers with the name servers, and hands out
//! [`Running`]. Nothing here is on the path of a message.

mod children;
mod doors;
mod running;
mod store;
mod system;
mod wiring;

use std::sync::Arc;

use cuemq_storage::StoreError;
use cuemq_storage::clock::Clock;
use cuemq_storage::disk::Disk;
use cuemq_storage::entropy::Entropy;
use cuemq_storage::interrupt::Interrupt;

use crate::listener::BindError;
use crate::net::Net;
use crate::placement::Placement;
use crate::supervise::{Faults, NotStarted, UncleanStop};
use crate::tls::TlsError;

pub use running::{Running, start};
pub use system::{BrokerSystem, Draw, HealthOf, Standing, Summary};

/// The world that a broker runs in: the machine, or a simulation of one.
#[derive(Clone)]
pub struct Seams {
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Sockets.
    pub net: Arc<dyn Net>,
    /// Threads.
    pub placement: Placement,
    /// Failures that a test injects.
    pub faults: Faults,
    /// Ends a start that nobody wants any more.
    pub interrupt: Interrupt,
}

/// Which services run in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Services {
    /// A broker.
    pub broker: bool,
    /// A name server.
    pub name_server: bool,
}

/// Why a system does not start, or not stop in order. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// TLS cannot be had with the files that are given.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An actor did not come up.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// Actors did not end in time.
    #[error(transparent)]
    UncleanStop(#[from] UncleanStop),
    /// The settings contradict each other.
    #[error("{0}")]
    Settings(String),
    /// The store was left as after a crash; it recovers at the next start.
    #[error("the store could not be closed in order ({0}); the next start recovers it")]
    NotClosed(String),
    /// The store is closed, but what groups have consumed last is not in their table.
    #[error(
        "the consumer offsets could not be saved ({0}): mend the disk; after the next start groups get the messages of the \
         last seconds once more"
    )]
    OffsetsNotSaved(String),
}
