//! Makes old records present in memory before a connection sends them, so that no I/O thread ever waits for the disk in a
//! page fault; and syncs the consume queues' files one after the other.

use actix::{Actor, Handler, Message, Recipient};

use crate::consume_queue::SyncQueue;
use crate::io::egress::DeliverRecords;
use crate::io::outbox::Slices;
use crate::peer::PeerKey;
use crate::supervise::Context;

/// Make these records present and deliver them. From connections, bounded by the requests that each may have under way.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Warm {
    /// The connection.
    pub peer: PeerKey,
    /// The answer up to its body.
    pub head: Vec<u8>,
    /// The body.
    pub records: Slices,
}

/// The actor that reads.
pub struct ColdReads {
    /// One for each I/O thread.
    egress: Vec<Recipient<DeliverRecords>>,
}

impl ColdReads {
    /// Delivers to these.
    #[must_use]
    pub fn new(egress: Vec<Recipient<DeliverRecords>>) -> Self {
        Self { egress }
    }
}

impl Actor for ColdReads {
    type Context = Context<Self>;
}

impl Handler<Warm> for ColdReads {
    type Result = ();

    #[expect(clippy::disallowed_methods, reason = "one for each request")]
    fn handle(&mut self, warm: Warm, _: &mut Self::Context) {
        for record in &warm.records {
            if let Err(error) = record.populate() {
                // The client times out and pulls again; sending would fault on the I/O thread.
                tracing::error!(%error, "old records cannot be read");
                return;
            }
        }
        if let Some(egress) = self.egress.get(usize::from(warm.peer.thread)) {
            let Warm { peer, head, records } = warm;
            egress.do_send(DeliverRecords { peer, head, records });
        }
    }
}

/// The actor that syncs the consume queues' files: one at a time, so that ten thousand queues are no storm.
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
