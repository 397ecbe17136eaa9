//! Applications in a deterministic simulation: real clients of `cuemq_client` on hosts of their own, in turmoil's network and
//! time, with the broker and a name server of its own host, while faults strike the links, the servers and the applications.
//!
//! [`run_apps`] plays one seed's history. In it are
//!
//! | who | what |
//! |---|---|
//! | `producing` | sends that are not tried again, to queues that are named; sends that are, in a window and gathered |
//! | `transacting` | delayed messages; transactions that are committed, rolled back, decided by a check or never |
//! | `consuming` | a concurrent and an orderly group, each on three hosts, of which one comes and goes |
//! | `names` | the name server |
//! | `plan` | the faults |
//!
//! In the end all is healed, every queue is read to its end by raw frames, the groups consume the rest, all is shut down,
//! and `check` holds what the applications were told against what is there, beside the checks of the broker's own history.

mod check;
mod consuming;
mod host;
mod ledger;
mod names;
mod net;
mod plan;
mod producing;
mod transacting;
mod world;

pub use ledger::AppGroup;
pub use world::{AppsOutcome, run_apps, run_apps_calmly};
