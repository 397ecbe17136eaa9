//! Delayed messages: those with one of the delay levels wait in the queues of `SCHEDULE_TOPIC_XXXX`, one for each level, and
//! go to their own topics when they are due (`ScheduleMessageService` in Java).
//!
//! A queue keeps beside each message when it is due, so that what waits is not read before its time. All messages of a queue
//! wait equally long: the first one that is not due yet ends the look at its queue.

pub mod actor;
mod delivery;
mod due;
mod progress;

pub use delivery::{Undeliverable, delivery};
pub use due::{Due, Level, Levels};
pub use progress::Progress;
