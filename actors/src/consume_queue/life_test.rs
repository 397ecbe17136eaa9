//! How a queue's actor starts, is built anew and is let go, over a log of real records.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cuemq_net::message::record::{self, RecordFields};
use cuemq_storage::commit_log::{
    CommitLog as Log, Effects, LogFiles, LogParts, PendingRecord, QueueTable, RecordBatch, UNRESOLVED,
};
use cuemq_storage::disk::MemoryDisk;
use cuemq_storage::disk::memory::Operation;
use cuemq_storage::log_state::{Acknowledge, FlushMode};
use cuemq_storage::position::{FlushEpoch, QueueOffset};
use cuemq_storage::queue_directory::QueueDirectory;
use cuemq_storage::segment::SegmentWriter;

use super::*;
use crate::placement::Thread;
use crate::queue_flusher::QueueFlusher;
use crate::supervise::{ChildEvent, ChildReport, ChildSpec, Faults, Nursery};
use crate::testing::{Probe, Site, Stage};
use crate::timer::actor::WakeTimers;

const NAME: &str = "consume queue T/0";
const SEGMENT_BYTES: u64 = 1 << 16;
const FILE_BYTES: u64 = 2000;

/// A log, one queue of it, and what its actors do.
struct Ground {
    disk: MemoryDisk,
    log: Log<()>,
    queues: QueueActors,
    handle: Arc<QueueHandle>,
    open_files: Arc<OpenFiles>,
    faults: Faults,
    reports: Probe<ChildReport>,
    idle: Probe<QueueIdle>,
    confirmed: Probe<Confirmed>,
    poison: Probe<Poison>,
}

impl Ground {
    fn new() -> Self {
        Self::with_descriptors(u64::MAX)
    }

    /// Of a process that may have so many files open.
    fn with_descriptors(limit: u64) -> Self {
        Self::with(limit, None)
    }

    /// The same, with somebody else to sync its files.
    fn with(limit: u64, syncer: Option<Recipient<SyncQueue>>) -> Self {
        let disk = MemoryDisk::new(1);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let log = log(&disk);
        let Stage {
            mut nursery,
            reports,
            faults,
            ..
        } = Stage::new();
        let (idle, confirmed, poison) = (Probe::new(), Probe::new(), Probe::new());
        let open_files = OpenFiles::new(limit, Vec::new());
        let flusher = nursery.start(ChildSpec::new("queue flusher", Thread::Io(0)), |_| Ok(QueueFlusher));
        let neighbours = Arc::new(QueueNeighbours {
            disk: Arc::clone(&shared),
            root: Path::new("/store").to_owned(),
            file_bytes: FILE_BYTES,
            extension_file_bytes: None,
            bitmaps: None,
            levels: DelayLevels::none(),
            log: Arc::clone(log.view()),
            syncer: syncer.unwrap_or_else(|| flusher.clone().recipient()),
            remover: flusher.recipient(),
            holds: Vec::new(),
            confirmed: confirmed.recipient(),
            poison: poison.recipient(),
            gate: Arc::new(SendGate::new(Arc::clone(log.view()), 0)),
            timers: WakeTimers::new(Probe::new().recipient(), Arc::default()),
            idle: idle.recipient(),
            sync_interval: Duration::from_millis(10),
            open_files: Arc::clone(&open_files),
        });
        let name = QueueName {
            topic: "T".into(),
            queue_id: 0,
        };
        let files = super::open_files(&name, &neighbours).unwrap();
        let handle = Arc::new(QueueHandle::new(0, files.view()));
        let queues = QueueActors::new(
            Heritage::default(),
            vec![(name, Arc::clone(&handle), Some(files))],
            Arc::new(QueueDirectory::default()),
            start(nursery, neighbours),
            Box::new(|_, name| panic!("{name:?} is not the queue")),
        );
        Self {
            disk,
            log,
            queues,
            handle,
            open_files,
            faults,
            reports,
            idle,
            confirmed,
            poison,
        }
    }

    /// Stores a message; gives what the queue is to be handed.
    fn store(&mut self) -> (QueueUnits, PhysicalOffset) {
        let mut effects = Effects::default();
        self.log.append(batch(), Acknowledge::Appended, 1, &mut effects);
        self.log.end_of_tick(&mut effects);
        let mut dispatch = effects.dispatches.remove(0);
        (dispatch.queues.remove(0), dispatch.upto)
    }

    fn send(&mut self) {
        let (units, upto) = self.store();
        self.queues.feed(units, upto);
    }

    fn end(&self) -> QueueOffset {
        self.handle.view().max_offset()
    }

    async fn until(&mut self, fits: impl Fn(&ChildEvent) -> bool) {
        while !fits(&self.reports.next().await.event) {}
    }

    async fn until_end(&mut self, end: u64) {
        let reached = async {
            while self.end() != QueueOffset(end) {
                tokio::task::yield_now().await;
            }
        };
        let reached = tokio::time::timeout(crate::testing::PATIENCE, reached).await;
        assert!(reached.is_ok(), "the queue ends at {}", self.end());
    }

    /// Lets time pass until the queue says that it is idle.
    async fn until_idle(&mut self) -> QueueIdle {
        for _ in 0..5 {
            tokio::time::advance(IDLE).await;
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            if let Some(idle) = self.idle.drain().await.pop() {
                return idle;
            }
        }
        panic!("the queue is never idle");
    }
}

fn log(disk: &MemoryDisk) -> Log<()> {
    let (directory, begin) = (Path::new("/store/commitlog"), PhysicalOffset(0));
    disk.create_directory(directory).unwrap();
    let writer = SegmentWriter::create(disk, directory, 0, SEGMENT_BYTES).unwrap();
    let view = Arc::new(LogView::new(vec![Arc::clone(writer.segment())]));
    let files = LogFiles::new(SEGMENT_BYTES, VecDeque::from([writer]), view, begin, SEGMENT_BYTES);
    let mut table = QueueTable::default();
    table.insert("T", 0, QueueOffset(0));
    Log::new(FlushMode::Async, FlushEpoch(0), LogParts::of(files, table, begin))
}

fn batch() -> Box<RecordBatch<()>> {
    let host = SocketAddr::from(([127, 0, 0, 1], 10911));
    let fields = RecordFields {
        body: b"body",
        body_crc: record::body_crc(b"body"),
        topic: "T",
        properties: b"",
        queue_id: 0,
        flag: 0,
        system_flag: 0,
        born_timestamp_ms: 1,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
    };
    let mut batch = RecordBatch::new(());
    let length = record::encode(&fields, &mut batch.bytes).unwrap();
    batch.records.push(PendingRecord {
        start: 0,
        length: u32::try_from(length).unwrap(),
        queue_slot: UNRESOLVED,
        queue_id: 0,
        tags_code: 0,
        delayed: false,
        joined: false,
        queued: true,
        physical_offset: PhysicalOffset(0),
        queue_offset: QueueOffset(0),
    });
    batch
}

/// Starts the queue's actors as the broker does.
fn start(nursery: Nursery, neighbours: Arc<QueueNeighbours>) -> QueueStart {
    let nursery = Mutex::new(nursery);
    Box::new(move |name, handle, files| {
        let neighbours = Arc::clone(&neighbours);
        let build = super::build(name, handle, files, neighbours);
        let spec = ChildSpec::new(NAME, Thread::Io(0)).on_demand();
        let mut nursery = nursery.lock().unwrap_or_else(PoisonError::into_inner);
        nursery.start(spec, build)
    })
}

#[actix::test]
async fn a_first_start_takes_the_files_of_recovery_and_reads_no_directory() {
    let mut ground = Ground::new();
    let opened = ground.disk.trace().len();
    ground.send();
    ground.until_end(1).await;
    let listed = ground.disk.trace();
    let mut listed = listed.iter().skip(opened);
    assert!(listed.all(|step| step.operation != Operation::List));
}

/// A first start reads nothing of the log, so what it was not handed is missing; a start after a failure reads it.
#[actix::test]
async fn a_queue_that_was_handed_too_little_takes_the_rest_from_the_log() {
    let mut ground = Ground::new();
    let _never_handed_over = ground.store();
    ground.send();
    ground.until(|event| matches!(event, ChildEvent::Failed { .. })).await;
    ground.until(|event| matches!(event, ChildEvent::Running)).await;
    assert_eq!(ground.end(), QueueOffset(2));
}

#[actix::test]
async fn a_sync_under_whose_feet_the_topic_is_deleted_does_not_fail_the_store() {
    let mut syncs = Probe::<SyncQueue>::new();
    let mut ground = Ground::with(u64::MAX, Some(syncs.recipient()));
    let (units, upto) = ground.store();
    ground.queues.feed(units, upto);
    let sync = syncs.next().await;
    ground.queues.clear(0, upto).unwrap().await.unwrap();
    let outcome = sync.job.run();
    assert!(outcome.is_err(), "its directory is gone");
    sync.answer.send(outcome).unwrap();
    // Answered by the same actor, after it has heard of the sync.
    ground.queues.clear(0, upto).unwrap().await.unwrap();
    tokio::task::yield_now().await;
    ground.queues.clear(0, upto).unwrap().await.unwrap();
    assert!(ground.poison.drain().await.is_empty());
}

/// How often the queue's file was opened to be written, and how often it was synced.
fn opened_and_synced(disk: &MemoryDisk) -> (usize, usize) {
    let steps = disk.trace();
    let of_the_queue = |operation| {
        let mut steps: Vec<_> = steps.iter().filter(|step| step.operation == operation).collect();
        steps.retain(|step| step.path.starts_with("/store/consumequeue/T/0"));
        steps.len()
    };
    let opened = of_the_queue(Operation::Create) + of_the_queue(Operation::Open);
    (opened, of_the_queue(Operation::SyncData))
}

#[actix::test]
async fn a_queue_without_a_descriptor_to_spare_is_synced_with_each_tick_and_keeps_no_file_open() {
    for (descriptors, kept_open) in [(0, false), (u64::MAX, true)] {
        let mut ground = Ground::with_descriptors(descriptors);
        for number in 1..=3 {
            ground.send();
            ground.confirmed.next().await;
            assert_eq!(ground.end(), QueueOffset(number));
        }
        let expected = if kept_open { (1, 3) } else { (3, 3) };
        assert_eq!(opened_and_synced(&ground.disk), expected, "{descriptors}");
    }
}

#[actix::test]
async fn a_deleted_queue_gives_its_descriptor_back_and_is_let_go_at_once() {
    let mut ground = Ground::with_descriptors(8);
    let to_spare = |files: &Arc<OpenFiles>| std::iter::from_fn(|| files.take()).collect::<Vec<_>>().len();
    ground.send();
    ground.confirmed.next().await;
    assert_eq!(to_spare(&ground.open_files), 7);
    let upto = ground.log.state().appended();
    ground.queues.clear(0, upto).unwrap().await.unwrap();
    assert_eq!(to_spare(&ground.open_files), 8);
    let idle = ground.idle.next().await;
    ground.queues.let_go(idle.slot, idle.upto);
    ground.until(|event| matches!(event, ChildEvent::Stopped)).await;
}

#[actix::test]
async fn an_idle_queue_that_has_failed_once_is_let_go_and_started_again_on_demand() {
    let mut ground = Ground::new();
    ground.send();
    ground.until_end(1).await;
    ground.faults.arm(NAME, Site::Handler, 1);
    ground.send();
    ground.until(|event| matches!(event, ChildEvent::Failed { .. })).await;
    ground.until_end(2).await;
    tokio::time::pause();
    let idle = ground.until_idle().await;
    ground.queues.let_go(idle.slot, idle.upto);
    ground.until(|event| matches!(event, ChildEvent::Stopped)).await;
    ground.send();
    ground.until_end(3).await;
}
