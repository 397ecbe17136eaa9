//! Makes the commit log's next file ready before it is needed, and writes zeros ahead of where it is written to: both block, so
//! it has a background thread (`AllocateMappedFileService` in Java).

use std::path::PathBuf;
use std::sync::Arc;

use actix::{Actor, Handler, Message, Recipient};
use cuemq_storage::StoreError;
use cuemq_storage::commit_log::PaveJob;
use cuemq_storage::disk::Disk;
use cuemq_storage::segment::SegmentWriter;
use tokio::sync::oneshot;

use crate::commit_log::Poison;
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

/// Write these zeros ahead. From `CommitLog`, at most one under way for each file that is written to.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Pave {
    /// What to write.
    pub job: PaveJob,
    /// Hears of a failure.
    pub poison: Recipient<Poison>,
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

impl Handler<Pave> for Allocator {
    type Result = ();

    #[expect(
        clippy::disallowed_methods,
        reason = "at most one for each file: the store is poisoned after it"
    )]
    fn handle(&mut self, Pave { job, poison }: Pave, _: &mut Self::Context) {
        match job.run() {
            Ok(()) => {}
            Err(error) if error.is_no_room() => {
                tracing::debug!(%error, "no zeros are written ahead, which would have needed room for the file system's own tables");
            }
            // What the log wrote may have suffered as well.
            Err(error) => poison.do_send(Poison(error)),
        }
    }
}

impl Handler<Allocate> for Allocator {
    type Result = ();

    fn handle(&mut self, allocate: Allocate, _: &mut Self::Context) {
        // Nobody may want it any more; it is made anew when it is asked for again.
        let _ = allocate.answer.send(self.allocate(allocate.start));
    }
}
