//! Messages with a delivery time of their own: they wait in queue 0 of `rmq_sys_wheel_timer`, however long, and go to their own
//! topics when their time has come, to the millisecond (`TimerMessageStore` in Java).
//!
//! [`rules`](delivery_time) says which messages wait. [`actor`] finds what is due by an [`index`] on disk in front of which the
//! newest stand in memory ([`ledger`]), so that ten million that wait cost no more memory than a thousand. A message that
//! [`recalls`] another one waits as long as that one. Before a file of the log goes, what waits in it is written again
//! ([`MakeWay`]).

pub mod actor;
pub mod delivery;
pub mod entry;
mod handle;
pub mod index;
pub mod ledger;
mod merge;
mod note;
pub mod recalls;
mod relay;
mod rules;
mod run;
mod writer;

pub use handle::{Handle, NoHandle};
pub use relay::MakeWay;
pub use rules::{NoTime, TimerRules, delivery_time, taken_time, until_time};
pub use writer::{TimerWriter, WriteIndex};
