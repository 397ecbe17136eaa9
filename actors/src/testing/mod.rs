//! What tests of actors are made of, public so that an application's tests can use it too.
//!
//! An actor names its neighbours only as `Recipient`s, so a test hands it [`Probe`]s instead; time and chance come from
//! [`ManualClock`] and [`SeededEntropy`]; [`Faults`] lets any supervised actor panic by name.

mod probe;

pub use cuemq_storage::clock::ManualClock;
pub use cuemq_storage::entropy::SeededEntropy;
pub use probe::{PATIENCE, Probe};

pub use crate::supervise::{Faults, Site};
