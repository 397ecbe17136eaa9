//! What the commit log's owner begins with: what recovery has found, or what is left of an owner before it.

use super::{Dispatch, LogFiles, QueueTable};
use crate::position::PhysicalOffset;

/// What a log goes on from.
pub struct LogParts {
    /// Its files.
    pub files: LogFiles,
    /// The queues and their next offsets.
    pub queues: QueueTable,
    /// Its end.
    pub end: PhysicalOffset,
    /// The store time of its last record, in milliseconds since 1970; 0 if there is none.
    pub last_store_timestamp_ms: i64,
    /// What queues and index may lack: it counts as not confirmed, and is handed out by
    /// [`CommitLog::redispatch`](super::CommitLog::redispatch).
    pub again: Vec<Dispatch>,
    /// Whether there is an index. Without one nobody is owed keys.
    pub indexed: bool,
    /// Whether queues have an extension, which is told when the records were stored.
    pub extended: bool,
}

impl LogParts {
    /// Those of a log that owes nobody anything.
    #[must_use]
    pub fn of(files: LogFiles, queues: QueueTable, end: PhysicalOffset) -> Self {
        Self {
            files,
            queues,
            end,
            last_store_timestamp_ms: 0,
            again: Vec::new(),
            indexed: true,
            extended: false,
        }
    }
}
