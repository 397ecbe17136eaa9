//! Makes old records present in memory before a connection sends them, so that no I/O thread ever waits for the disk in a
//! page fault; and syncs the consume queues' files one after the other.

use actix::{Actor, Handler, Message, Recipient};

use crate::consume_queue::SyncQueue;
use crate::io::egress::DeliverRecords;
use crate::io::outbox::Slices;
use crate::peer::PeerKey;
use crate::supervise::Context;

/// Make these records present and deliver them. From connections, bounded by the requests that each may have under way.
///
/// It answers its pull in any case: dropped before it is delivered, as by a panic on its way, it tells the client that the
/// records cannot be read.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Warm {
    peer: PeerKey,
    head: Vec<u8>,
    records: Slices,
    unread: Vec<u8>,
    /// Takes the one answer.
    egress: Option<Recipient<DeliverRecords>>,
}

impl Warm {
    /// Records for a connection, with the answer up to its body, and the whole answer for the case that they cannot be read.
    #[must_use]
    pub fn new(
        peer: PeerKey,
        head: Vec<u8>,
        records: Slices,
        unread: Vec<u8>,
        egress: Recipient<DeliverRecords>,
    ) -> Self {
        Self {
            peer,
            head,
            records,
            unread,
            egress: Some(egress),
        }
    }

    fn deliver(mut self) {
        let (head, records) = (std::mem::take(&mut self.head), std::mem::take(&mut self.records));
        self.answer(head, records);
    }

    #[expect(clippy::disallowed_methods, reason = "one for each request")]
    fn answer(&mut self, head: Vec<u8>, records: Slices) {
        if let Some(egress) = self.egress.take() {
            let peer = self.peer;
            egress.do_send(DeliverRecords { peer, head, records });
        }
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        let unread = std::mem::take(&mut self.unread);
        self.answer(unread, Slices::new());
    }
}

/// The actor that reads.
#[derive(Debug, Default)]
pub struct ColdReads;

impl Actor for ColdReads {
    type Context = Context<Self>;
}

impl Handler<Warm> for ColdReads {
    type Result = ();

    fn handle(&mut self, warm: Warm, _: &mut Self::Context) {
        match warm.records.iter().try_for_each(|record| record.populate()) {
            Ok(()) => warm.deliver(),
            // Its drop answers: sending the records would fault on the I/O thread.
            Err(error) => tracing::error!(%error, "old records cannot be read"),
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use cuemq_storage::disk::memory::{Fault, MemoryDisk, Operation};
    use cuemq_storage::disk::{Disk, OpenMode};
    use cuemq_storage::segment::Segment;

    use super::*;
    use crate::testing::{Probe, Stage};

    const LENGTH: u64 = 4096;

    /// A pull of ten old bytes on a disk.
    fn pull(disk: &MemoryDisk, egress: &Probe<DeliverRecords>) -> Warm {
        let directory = Path::new("/store/commitlog");
        disk.create_directory(directory).unwrap();
        let segment = Segment::open_lazy(Arc::new(disk.clone()), directory, 0, LENGTH, LENGTH);
        let file = disk.open(segment.path(), OpenMode::CreateNew).unwrap();
        file.set_length(LENGTH).unwrap();
        segment.map().unwrap();
        let records = Slices::from_iter([Arc::new(segment).share(0..10).unwrap()]);
        let peer = PeerKey {
            thread: 0,
            slot: 3,
            generation: 1,
        };
        Warm::new(peer, b"found".to_vec(), records, b"unread".to_vec(), egress.recipient())
    }

    #[actix::test]
    async fn a_pull_of_old_records_is_answered_with_them() {
        let (mut stage, mut egress) = (Stage::new(), Probe::new());
        let reads = stage.start("cold reads", |_| Ok(ColdReads));
        reads.send(pull(&MemoryDisk::new(1), &egress)).await.unwrap();
        let answer = egress.next().await;
        assert_eq!((answer.head.as_slice(), answer.records.len()), (b"found".as_slice(), 1));
        egress.expect_none().await;
    }

    #[actix::test]
    async fn a_pull_whose_old_records_cannot_be_read_is_answered() {
        let (mut stage, mut egress) = (Stage::new(), Probe::new());
        let reads = stage.start("cold reads", |_| Ok(ColdReads));
        let disk = MemoryDisk::new(1);
        let pull = pull(&disk, &egress);
        disk.inject(Fault::new(Operation::Read));
        reads.send(pull).await.unwrap();
        let answer = egress.next().await;
        assert_eq!(
            (answer.head.as_slice(), answer.records.len()),
            (b"unread".as_slice(), 0)
        );
        egress.expect_none().await;
    }

    #[actix::test]
    async fn a_pull_that_is_lost_on_its_way_to_the_disk_is_answered() {
        let mut egress = Probe::new();
        drop(pull(&MemoryDisk::new(1), &egress));
        assert_eq!(egress.next().await.head, b"unread");
    }
}
