//! What both benchmarks stand on: a store on a file system in memory, and batches of records as connections make them.
//!
//! The disk is the real one, so that a write is the system call it is in the broker; below `/dev/shm` where there is one,
//! so that no device is measured.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use cuemq_net::message::record::{self, RecordFields};
use cuemq_storage::commit_log::{CommitLog, LogFiles, LogParts, LogView, PendingRecord, QueueTable, RecordBatch};
use cuemq_storage::consume_queue::{ConsumeQueue, DEFAULT_FILE_BYTES, Opening, QueuePlace};
use cuemq_storage::disk::{Disk, RealDisk};
use cuemq_storage::log_state::FlushMode;
use cuemq_storage::position::{FlushEpoch, PhysicalOffset, QueueOffset};
use cuemq_storage::segment::SegmentWriter;
use tempfile::TempDir;

/// The topic of all records.
pub(crate) const TOPIC: &str = "TopicOfOrders";
/// How many queues the records go to, in turn.
pub(crate) const QUEUES: u32 = 8;
const BODY_BYTES: usize = 1024;
const PROPERTIES: &[u8] = b"KEYS\x01order-4711\x02UNIQ_KEY\x01C00002024AAE1DBD16A6695F03560008\x02\
    WAIT\x01true\x02CLUSTER\x01DefaultCluster\x02TAGS\x01TagC\x02";

/// An empty store, removed when it is dropped.
pub(crate) struct Ground {
    directory: TempDir,
    /// Its disk.
    pub(crate) disk: Arc<dyn Disk>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        Self {
            directory: directory.expect("a directory"),
            disk: Arc::new(RealDisk),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// A commit log of one file of so many bytes, which knows the queues under slots equal to their numbers.
    pub(crate) fn log<C>(&self, bytes: u64) -> CommitLog<C> {
        let (directory, begin) = (self.root().join("commitlog"), PhysicalOffset(0));
        self.disk.create_directory(&directory).expect("a directory");
        let writer = SegmentWriter::create(self.disk.as_ref(), &directory, begin.0, bytes).expect("a file");
        let view = Arc::new(LogView::new(vec![Arc::clone(writer.segment())]));
        let files = LogFiles::new(bytes, VecDeque::from([writer]), view, begin, bytes);
        let mut table = QueueTable::default();
        for queue_id in 0..QUEUES {
            table.insert(TOPIC, queue_id, QueueOffset(0));
        }
        CommitLog::new(FlushMode::Async, FlushEpoch(1), LogParts::of(files, table, begin))
    }

    pub(crate) fn place(&self, queue_id: u32) -> QueuePlace<'_> {
        QueuePlace {
            root: self.root(),
            topic: TOPIC,
            queue_id,
        }
    }

    /// An empty consume queue.
    pub(crate) fn queue(&self, queue_id: u32) -> ConsumeQueue {
        let place = self.place(queue_id);
        let opened = ConsumeQueue::open(&self.disk, place, DEFAULT_FILE_BYTES, Opening::Clean);
        opened.expect("an empty queue").0
    }
}

/// Adds records with these numbers to a batch: 1 KiB each, for the queues in turn.
pub(crate) fn encode<C>(batch: &mut RecordBatch<C>, numbers: Range<u32>) {
    let body = [b'b'; BODY_BYTES];
    for number in numbers {
        let queue_id = number % QUEUES;
        let fields = RecordFields {
            body: &body,
            body_crc: record::body_crc(&body),
            topic: TOPIC,
            properties: PROPERTIES,
            queue_id: queue_id as i32,
            flag: 0,
            system_flag: 0,
            born_timestamp_ms: 1_795_260_526_393,
            born_host: SocketAddr::from(([192, 0, 2, 2], 36040)),
            store_host: SocketAddr::from(([192, 0, 2, 2], 10911)),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
        };
        let start = batch.bytes.len() as u32;
        let length = record::encode(&fields, &mut batch.bytes).expect("a short record") as u32;
        batch.records.push(PendingRecord {
            start,
            length,
            queue_slot: queue_id,
            queue_id,
            tags_code: 2_598_919,
            delayed: false,
            joined: false,
            queued: true,
            physical_offset: PhysicalOffset(0),
            queue_offset: QueueOffset(0),
        });
    }
}
