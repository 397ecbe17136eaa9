//! A consume queue: the list of one queue's messages in the order of their queue offsets, as units of 20 bytes that say
//! where in the commit log each lies (RocketMQ's `ConsumeQueue`).
//!
//! Files are `consumequeue/<topic>/<queueId>/<20 digits>`; the digits are the first byte's place in the whole queue,
//! and a file has Java's full length from the start while its blocks are reserved in steps. [`ConsumeQueue`] is the one
//! writer. Readers hold its [`QueueView`].
//!
//! A queue is derived from the commit log. After a crash it is cut back to what was surely on disk
//! ([`Opening::AfterCrash`]) and fed again from there; what it already holds is skipped, and a gap is an error that asks
//! for an earlier start.

#![deny(clippy::indexing_slicing)]

mod by_boundary;
mod by_time;
mod discover;
mod extension;
mod files;
mod newest;
mod queue;
mod recency;
mod recover;
mod retention;
mod sync;
mod tail;
mod unit;
mod view;

#[cfg(test)]
mod crash_test;
#[cfg(test)]
mod replay_test;
#[cfg(test)]
mod rules_test;
#[cfg(test)]
mod times_test;

use std::path::{Path, PathBuf};

pub use by_boundary::{Boundary, offset_by_boundary};
pub use by_time::offset_by_time;
pub use discover::{Discovery, FoundQueue, discover};
pub use extension::{DEFAULT_EXTENSION_FILE_BYTES, Extension, LEAST_EXTENSION_FILE_BYTES, StoreTimes, TagsReader};
pub(crate) use extension::{FOLDER as EXTENSION_FOLDER, code_of};
pub(crate) use files::parse_name;
pub use queue::{AppendError, Appended, ConsumeQueue, Opening, QueuePlace};
pub use recover::Cut;
pub use retention::{OldFiles, Trim};
pub(crate) use sync::sync_all;
pub use sync::{QueueSync, Synced};
pub use unit::{LAST_QUEUE_OFFSET, UNIT_BYTES, Unit};
pub use view::{QueueView, Units};

/// The length of a consume queue file unless the files found say otherwise: 300,000 units.
pub const DEFAULT_FILE_BYTES: u64 = 300_000 * UNIT_BYTES;

/// The folder of all consume queues in a store.
pub(crate) const FOLDER: &str = "consumequeue";

/// The path of the file whose first unit has the queue offset `start`.
fn file_path(directory: &Path, start: u64) -> PathBuf {
    directory.join(format!("{:020}", start * UNIT_BYTES))
}
