//! Makes the commit log's next file ready before it is needed: fallocate blocks, so it has a background thread
//! (`AllocateMappedFileService` in Java).

use std::path::PathBuf;
use std::sync::Arc;

use actix::{Actor, Handler, Message};
use cuemq_storage::StoreError;
use cuemq_storage::disk::Disk;
use cuemq_storage::segment::SegmentWriter;
use tokio::sync::oneshot;

use crate::supervise::Context;

/// Make the file that begins here. From `CommitLog`, at most one under way.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Allocate {
    /// The first position of the file.
    pub start: u64,
    /// Gets it, or why it cannot be had. A commit log that has been built anew since hears nothing of what the one before
    /// it asked for: that file may have been removed.
    pub answer: oneshot::Sender<Result<SegmentWriter, StoreError>>,
}

/// The actor.
pub struct Allocator {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    segment_bytes: u64,
}

impl Allocator {
    /// Makes files of `segment_bytes` in `directory`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, directory: PathBuf, segment_bytes: u64) -> Self {
        Self {
            disk,
            directory,
            segment_bytes,
        }
    }

    fn allocate(&self, start: u64) -> Result<SegmentWriter, StoreError> {
        SegmentWriter::create_anew(self.disk.as_ref(), &self.directory, start, self.segment_bytes)
    }
}

impl Actor for Allocator {
    type Context = Context<Self>;
}

impl Handler<Allocate> for Allocator {
    type Result = ();

    fn handle(&mut self, allocate: Allocate, _: &mut Self::Context) {
        // Nobody may want it any more; it is made anew when it is asked for again.
        let _ = allocate.answer.send(self.allocate(allocate.start));
    }
}
