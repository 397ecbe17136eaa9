//! Where a queue begins after old messages were deleted. Files that lead to nothing any more are removed by `QueueFlusher`,
//! where the disk may be waited for; until they are gone, the queue is not emptied, which would make files of their names.

use actix::{ActorFutureExt, AsyncContext, Handler, Message, WrapFuture};
use cuemq_storage::StoreError;
use cuemq_storage::consume_queue::{OldFiles, Trim};
use tokio::sync::oneshot;

use super::{Clear, ConsumeQueue};
use crate::supervise::Context;

/// Begin where the queue was found to begin. From `CommitLog`, one for each queue and deletion.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TrimQueue(pub Trim);

/// Remove these files. To the queues' flusher, at most one for each queue.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RemoveFiles {
    /// What to remove.
    pub files: OldFiles,
    /// Is told what came of it.
    pub answer: oneshot::Sender<Result<usize, StoreError>>,
}

/// Whether files are being removed, and who waits for that.
#[derive(Default)]
pub(super) enum Removal {
    #[default]
    None,
    /// These wait for its end.
    UnderWay(Vec<Clear>),
}

impl ConsumeQueue {
    /// Keeps a request to be emptied for later while files are being removed.
    pub(super) fn put_off(&mut self, clear: Clear) -> Option<Clear> {
        match &mut self.removal {
            Removal::None => Some(clear),
            Removal::UnderWay(waiting) => {
                waiting.push(clear);
                None
            }
        }
    }

    fn removed(&mut self, removed: Result<usize, StoreError>, ctx: &mut Context<Self>) {
        let (topic, queue_id) = (&self.name.topic, self.name.queue_id);
        match removed {
            Ok(files) if files > 0 => tracing::debug!(%topic, queue_id, files, "old files of a consume queue are gone"),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "an old file of a consume queue stays for now"),
        }
        if let Removal::UnderWay(waiting) = std::mem::take(&mut self.removal) {
            waiting.into_iter().for_each(|clear| self.take_clear(clear, ctx));
        }
    }
}

impl Handler<TrimQueue> for ConsumeQueue {
    type Result = ();

    #[expect(clippy::disallowed_methods, reason = "one removal for each queue at a time")]
    fn handle(&mut self, TrimQueue(trim): TrimQueue, ctx: &mut Self::Context) {
        self.look_later(ctx);
        // Those of a removal that is under way go with the next one.
        let old = self.queue.trim(&trim).filter(|_| matches!(self.removal, Removal::None));
        let Some(files) = old else { return };
        self.removal = Removal::UnderWay(Vec::new());
        let (answer, removed) = oneshot::channel();
        self.neighbours.remover.do_send(RemoveFiles { files, answer });
        let removed = removed.into_actor(self).map(|removed, actor, ctx| {
            actor.removed(removed.unwrap_or(Ok(0)), ctx);
        });
        ctx.spawn(removed);
    }
}
