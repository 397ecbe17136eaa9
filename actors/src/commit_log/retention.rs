//! What `Retention` has decided to delete, on the side of the log's owner: it lets go of files and tells its consume queues
//! where they begin. Nothing is read or removed here; that is done where the disk may be waited for.

use std::sync::Arc;

use actix::{Handler, Message, MessageResult};
use cuemq_storage::consume_queue::Trim;
use cuemq_storage::position::PhysicalOffset;
use cuemq_storage::segment::Segment;

use super::CommitLog;

/// Show readers no file any more that ends at or before this position, as far as none is needed, and give those files, to be
/// removed. From `Retention`, one under way.
#[derive(Message, Debug)]
#[rtype(result = "Vec<Arc<Segment>>")]
pub struct DropBefore(pub PhysicalOffset);

/// Let these queues, by their slots, begin where they were found to. From `Retention`, one under way.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TrimQueues(pub Vec<(u32, Trim)>);

impl Handler<DropBefore> for CommitLog {
    type Result = MessageResult<DropBefore>;

    fn handle(&mut self, DropBefore(position): DropBefore, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.log.drop_before(position))
    }
}

impl Handler<TrimQueues> for CommitLog {
    type Result = ();

    fn handle(&mut self, TrimQueues(trims): TrimQueues, _: &mut Self::Context) {
        for (slot, trim) in trims {
            self.neighbours.queues.trim(slot, trim);
        }
    }
}
