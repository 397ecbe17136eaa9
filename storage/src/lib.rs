//! RocketMQ's store: commit log, consume queues, index, checkpoint and recovery, without a runtime.
//!
//! Plain logic and blocking files behind the [`disk::Disk`] seam; the actors that own these values live in
//! `cuemq-actors`.

pub mod behind;
pub mod checkpoint;
pub mod clock;
pub mod commit_log;
pub mod consume_queue;
pub mod delay_level;
pub mod deletions;
pub mod disk;
pub mod entropy;
pub mod error;
pub mod hash;
pub mod index;
pub mod interrupt;
pub mod log_state;
pub mod marker;
pub mod position;
pub mod queue_directory;
pub mod read_view;
pub mod recovery;
pub mod retention;
pub mod segment;
pub mod snapshot;
mod span;
pub mod steps;
pub mod table;
pub mod timer;

pub use error::{Result, StoreError};
