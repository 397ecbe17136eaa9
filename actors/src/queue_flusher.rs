//! Syncs the consume queues' files one after the other, so that ten thousand queues are no storm, and lets the others of its
//! thread have their turn between two of them. It removes those that lead to nothing any more, likewise.

use actix::{Actor, AsyncContext, Handler, WrapFuture};

use crate::commit_log::Poison;
use crate::consume_queue::{RemoveFiles, SyncQueue};
use crate::supervise::Context;

/// The actor.
#[derive(Debug, Default)]
pub struct QueueFlusher;

impl Actor for QueueFlusher {
    type Context = Context<Self>;
}

impl Handler<SyncQueue> for QueueFlusher {
    type Result = ();

    #[expect(clippy::disallowed_methods, reason = "at most one for each sync")]
    fn handle(&mut self, sync: SyncQueue, ctx: &mut Self::Context) {
        // The queue may have been built anew; it asks for its own syncs, of which this failure must not be hidden.
        if let Err(Err(unheard)) = sync.answer.send(sync.job.run()) {
            sync.poison.do_send(Poison(unheard));
        }
        ctx.wait(tokio::task::yield_now().into_actor(self));
    }
}

impl Handler<RemoveFiles> for QueueFlusher {
    type Result = ();

    fn handle(&mut self, RemoveFiles { files, answer }: RemoveFiles, ctx: &mut Self::Context) {
        // A queue that has been built anew meanwhile has found what was there.
        let _ = answer.send(files.remove());
        ctx.wait(tokio::task::yield_now().into_actor(self));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use cuemq_storage::consume_queue::{ConsumeQueue, Opening, QueuePlace, Unit};
    use cuemq_storage::disk::memory::{Fault, Operation};
    use cuemq_storage::disk::{Disk, MemoryDisk};
    use cuemq_storage::position::{PhysicalOffset, QueueOffset};
    use tokio::sync::oneshot;

    use super::*;
    use crate::testing::{Probe, Stage};

    /// A queue with one unit that is not synced.
    fn queue(disk: &Arc<dyn Disk>, queue_id: u32) -> ConsumeQueue {
        let place = QueuePlace {
            root: Path::new("/store"),
            topic: "topic",
            queue_id,
        };
        let (mut queue, _) = ConsumeQueue::open(disk, place, 6000, Opening::Clean).unwrap();
        let unit = Unit {
            physical_offset: PhysicalOffset(0),
            size: 100,
            tags_code: 0,
        };
        queue.append(QueueOffset(0), &[unit], None).unwrap();
        queue
    }

    #[actix::test]
    async fn others_of_the_thread_have_their_turn_between_two_syncs() {
        let mut stage = Stage::new();
        let flusher = stage.start("queue flusher", |_| Ok(QueueFlusher));
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(1));
        let mut answers = Vec::new();
        for queue_id in 0..3 {
            let (answer, answered) = oneshot::channel();
            let job = queue(&disk, queue_id).dirty().unwrap().unwrap();
            let poison = Probe::<Poison>::new().recipient();
            flusher.try_send(SyncQueue { job, answer, poison }).unwrap();
            answers.push(answered);
        }
        while let Some(mut answered) = (!answers.is_empty()).then(|| answers.remove(0)) {
            (&mut answered).await.unwrap().unwrap();
            for later in &mut answers {
                assert!(later.try_recv().is_err(), "this task has its turn before the next sync");
            }
        }
    }

    #[actix::test]
    async fn a_failed_sync_that_its_queue_does_not_hear_of_ends_the_store() {
        let (mut stage, mut poison) = (Stage::new(), Probe::<Poison>::new());
        let flusher = stage.start("queue flusher", |_| Ok(QueueFlusher));
        let memory = MemoryDisk::new(1);
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let job = queue(&disk, 0).dirty().unwrap().unwrap();
        memory.inject(Fault::new(Operation::SyncData));
        let (answer, asked_by_a_value_that_is_gone) = oneshot::channel();
        drop(asked_by_a_value_that_is_gone);
        let poisons = poison.recipient();
        let sync = SyncQueue {
            job,
            answer,
            poison: poisons,
        };
        flusher.send(sync).await.unwrap();
        poison.next().await;
    }
}
