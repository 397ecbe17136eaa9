//! Syncs the consume queues' files one after the other, so that ten thousand queues are no storm.

use actix::{Actor, Handler};

use crate::consume_queue::SyncQueue;
use crate::supervise::Context;

/// The actor.
#[derive(Debug, Default)]
pub struct QueueFlusher;

impl Actor for QueueFlusher {
    type Context = Context<Self>;
}

impl Handler<SyncQueue> for QueueFlusher {
    type Result = ();

    fn handle(&mut self, sync: SyncQueue, _: &mut Self::Context) {
        // The queue may have been built anew; it asks for its own syncs.
        let _ = sync.answer.send(sync.job.run());
    }
}
