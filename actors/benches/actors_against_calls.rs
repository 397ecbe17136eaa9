//! What it costs that the log, the queues and the way back to the senders are actors: the same batches of 1 KiB records,
//! once by plain calls of `cuemq_storage`, once through the mailboxes of the broker's own actors on one thread.
//!
//! Both sides encode a round's batches as connections do, have them written by one tick, add the units to the consume
//! queues and take the batches back. The ratios at the end come from pairs of runs that follow each other at once, so that
//! a busy machine disturbs both alike; at most 1.25 is the goal.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Handler, Recipient};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use cuemq_actors::allocator::{Allocate, Pave};
use cuemq_actors::commit_log::{
    AppendBatch, CommitLog, Confirmed, DeletionNote, Neighbours, Poison, QueueIdle, SendGate,
};
use cuemq_actors::consume_queue::open_files::OpenFiles;
use cuemq_actors::consume_queue::{
    ConsumeQueue, FoundQueue, Heritage, QueueActors, QueueNeighbours, RemoveFiles, SyncQueue,
};
use cuemq_actors::flusher::Flush;
use cuemq_actors::io::egress::{Completed, Lost};
use cuemq_actors::io::send_context::{SendBatch, SendContext};
use cuemq_actors::peer::PeerKey;
use cuemq_actors::supervise::Context;
use cuemq_actors::testing::{Probe, Stage};
use cuemq_actors::timer::actor::{Look, WakeTimers};
use cuemq_storage::clock::{Clock, RealClock};
use cuemq_storage::commit_log::{Effects, QueueName, RecordBatch};
use cuemq_storage::consume_queue::DEFAULT_FILE_BYTES;
use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::disk::RealDisk;
use cuemq_storage::log_state::{Acknowledge, Outcome};
use cuemq_storage::queue_directory::{QueueDirectory, QueueHandle};
use ground::{Ground, QUEUES, TOPIC};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

mod ground;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NEVER: Duration = Duration::from_secs(86_400);
/// Rounds in front of the measured ones, in which files are made and buffers grow.
const WARM_UP: u64 = 16;
/// More than a record of [`ground::encode`] takes, in bytes.
const RECORD_BYTES: u64 = 1280;
const PAIRS: usize = 41;
const GOAL: f64 = 1.25;

/// One round: each connection has one batch of so many records, and a tick writes them all.
#[derive(Clone, Copy)]
struct Load {
    connections: u32,
    records: u32,
}

const LOADS: [Load; 5] = [load(1, 1), load(1, 32), load(1, 256), load(16, 1), load(16, 32)];

const fn load(connections: u32, records: u32) -> Load {
    Load { connections, records }
}

impl Load {
    fn all_records(self) -> u64 {
        u64::from(self.connections * self.records)
    }

    fn log_bytes(self, rounds: u64) -> u64 {
        (rounds + WARM_UP + 1) * self.all_records() * RECORD_BYTES
    }

    /// How many rounds take some milliseconds.
    fn rounds_of_a_pair(self) -> u64 {
        (16_384 / self.all_records()).clamp(50, 2000)
    }

    /// Encodes the batch of a connection, which goes to other queues in each round.
    fn fill<C>(self, batch: &mut RecordBatch<C>, round: u64, connection: usize) {
        batch.bytes.clear();
        batch.records.clear();
        let first = (round % u64::from(QUEUES)) as u32 + connection as u32 * self.records;
        ground::encode(batch, first..first + self.records);
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.connections, self.records)
    }
}

/// The time that so many rounds take by plain calls.
fn by_calls(load: Load, rounds: u64) -> Duration {
    let ground = Ground::new();
    let clock = RealClock::new();
    let mut log = ground.log(load.log_bytes(rounds));
    let mut queues: Vec<_> = (0..QUEUES).map(|queue_id| ground.queue(queue_id)).collect();
    let mut batches: Vec<_> = (0..load.connections).map(|_| RecordBatch::new(())).collect();
    let mut effects = Effects::default();
    let mut began = clock.monotonic();
    for round in 0..WARM_UP + rounds {
        if round == WARM_UP {
            began = clock.monotonic();
        }
        for (connection, mut batch) in batches.drain(..).enumerate() {
            load.fill(&mut batch, round, connection);
            log.append(batch, Acknowledge::Appended, clock.now_ms(), &mut effects);
        }
        log.end_of_tick(&mut effects);
        for units in effects.dispatches.drain(..).flat_map(|dispatch| dispatch.queues) {
            let appended = queues[units.slot as usize].append(units.first, &units.units, units.stored.as_deref());
            appended.expect("an append to a queue");
        }
        batches.extend(effects.answers.drain(..).map(|answer| {
            assert_eq!(answer.outcome, Outcome::Stored);
            answer.batch
        }));
    }
    clock.monotonic() - began
}

/// In the place of the egress: hands the batches of a tick back to who sent them.
struct Outlet {
    batches: UnboundedSender<Vec<SendBatch>>,
}

impl Actor for Outlet {
    type Context = Context<Self>;
}

impl Handler<Completed> for Outlet {
    type Result = ();

    fn handle(&mut self, completed: Completed, _: &mut Self::Context) {
        let settled = completed.answers.into_iter().map(|mut answer| {
            assert_eq!(answer.outcome, Outcome::Stored);
            answer.batch.context.settle();
            answer.batch
        });
        // The last round's come when nobody waits any more only if the benchmark has failed.
        let _ = self.batches.send(settled.collect());
    }
}

/// The broker's commit log and consume queues on this thread.
struct Actors {
    log: Recipient<AppendBatch>,
    lost: Probe<Lost>,
    poison: Probe<Poison>,
    answered: UnboundedReceiver<Vec<SendBatch>>,
    clock: Arc<RealClock>,
    _stage: Stage,
}

impl Actors {
    async fn start(ground: &Ground, log_bytes: u64) -> Self {
        let mut stage = Stage::new();
        let (sender, answered) = unbounded_channel();
        let (lost, poison) = (Probe::new(), Probe::new());
        let outlet = stage.start("outlet", move |_| {
            Ok(Outlet {
                batches: sender.clone(),
            })
        });
        let clock = Arc::new(RealClock::new());
        let log = start_log(&mut stage, ground, log_bytes, outlet, &poison, Arc::clone(&clock));
        stage.all_up().await.expect("actors that start");
        Self {
            log: log.recipient(),
            lost,
            poison,
            answered,
            clock,
            _stage: stage,
        }
    }

    async fn run(&mut self, load: Load, rounds: u64) -> Duration {
        let peer = PeerKey {
            thread: 0,
            slot: 0,
            generation: 0,
        };
        let lost = self.lost.recipient();
        let new_batch = |_| RecordBatch::new(SendContext::new(peer, lost.clone()));
        let mut batches: Vec<_> = (0..load.connections).map(new_batch).collect();
        let mut began = self.clock.monotonic();
        for round in 0..WARM_UP + rounds {
            if round == WARM_UP {
                began = self.clock.monotonic();
            }
            for (connection, mut batch) in batches.drain(..).enumerate() {
                batch.context.reopen(peer, lost.clone());
                load.fill(&mut batch, round, connection);
                let acknowledge = Acknowledge::Appended;
                self.log
                    .try_send(AppendBatch { batch, acknowledge })
                    .expect("room in the mailbox");
            }
            while batches.len() < load.connections as usize {
                batches.append(&mut self.answered.recv().await.expect("an outlet that lives"));
            }
        }
        let took = self.clock.monotonic() - began;
        batches.iter_mut().for_each(|batch| batch.context.settle());
        self.poison.expect_none().await;
        self.lost.expect_none().await;
        took
    }
}

fn start_log(
    stage: &mut Stage,
    ground: &Ground,
    log_bytes: u64,
    outlet: Addr<Outlet>,
    poison: &Probe<Poison>,
    clock: Arc<RealClock>,
) -> Addr<CommitLog> {
    let log = ground.log(log_bytes);
    let neighbours = Arc::new(QueueNeighbours {
        disk: Arc::clone(&ground.disk),
        root: ground.root().to_owned(),
        file_bytes: DEFAULT_FILE_BYTES,
        extension_file_bytes: None,
        bitmaps: None,
        levels: DelayLevels::none(),
        log: Arc::clone(log.view()),
        syncer: Probe::<SyncQueue>::new().recipient(),
        remover: Probe::<RemoveFiles>::new().recipient(),
        holds: Vec::new(),
        confirmed: Probe::<Confirmed>::new().recipient(),
        poison: poison.recipient(),
        gate: Arc::new(SendGate::new(Arc::clone(log.view()), 0)),
        timers: WakeTimers::new(Probe::<Look>::new().recipient(), Arc::default()),
        idle: Probe::<QueueIdle>::new().recipient(),
        sync_interval: NEVER,
        open_files: OpenFiles::new(u64::MAX, Vec::new()),
    });
    let (found, queues): (Vec<_>, Vec<_>) = (0..QUEUES)
        .map(|queue_id| start_queue(stage, ground, queue_id, &neighbours))
        .unzip();
    let directory = Arc::new(QueueDirectory::default());
    let running =
        Box::new(move |_: QueueName, handle: Arc<QueueHandle>, _: Option<_>| queues[handle.slot() as usize].clone());
    let none_is_new = Box::new(|_: u32, name: &QueueName| panic!("{name:?} is not among the queues"));
    let neighbours = Neighbours {
        flusher: Probe::<Flush>::new().recipient(),
        allocator: Probe::<Allocate>::new().recipient(),
        paver: Probe::<Pave>::new().recipient(),
        egress: vec![outlet.recipient()],
        queues: QueueActors::new(Heritage::default(), found, directory, running, none_is_new),
        index: None,
        deletions: DeletionNote {
            disk: Arc::new(RealDisk),
            root: ground.root().to_owned(),
        },
        metrics: Arc::default(),
    };
    let mut first = Some((log, neighbours));
    stage.start("commit log", move |_| {
        let (log, neighbours) = first.take().ok_or("the commit log has failed")?;
        Ok(CommitLog::new(log, neighbours, clock.clone(), None))
    })
}

/// A queue as the commit log knows it, and its actor.
type Queue = (FoundQueue, Addr<ConsumeQueue>);

fn start_queue(stage: &mut Stage, ground: &Ground, queue_id: u32, neighbours: &Arc<QueueNeighbours>) -> Queue {
    let queue = ground.queue(queue_id);
    let handle = Arc::new(QueueHandle::new(queue_id, queue.view()));
    let name = QueueName {
        topic: TOPIC.into(),
        queue_id,
    };
    let known = (name.clone(), Arc::clone(&handle), None);
    let neighbours = Arc::clone(neighbours);
    let mut first = Some(queue);
    let actor = stage.start(&format!("consume queue {queue_id}"), move |_| {
        let queue = first.take().ok_or("the consume queue has failed")?;
        let (name, handle, neighbours) = (name.clone(), Arc::clone(&handle), Arc::clone(&neighbours));
        Ok(ConsumeQueue::new(queue, name, handle, neighbours))
    });
    (known, actor)
}

/// The time that so many rounds take through actors.
fn by_actors(load: Load, rounds: u64) -> Duration {
    let ground = Ground::new();
    let runtime = actix_rt::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut actors = Actors::start(&ground, load.log_bytes(rounds)).await;
        actors.run(load, rounds).await
    })
}

fn rounds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connections x records");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    group
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    for load in LOADS {
        group.throughput(Throughput::Elements(load.all_records()));
        group.bench_function(BenchmarkId::new("calls", load), |bencher| {
            bencher.iter_custom(|rounds| by_calls(load, rounds));
        });
        group.bench_function(BenchmarkId::new("actors", load), |bencher| {
            bencher.iter_custom(|rounds| by_actors(load, rounds));
        });
    }
    group.finish();
}

/// Nanoseconds of a record by calls and by actors, and the ratio: medians over the pairs.
fn compare(load: Load) -> [f64; 3] {
    let rounds = load.rounds_of_a_pair();
    let per_record = |took: Duration| took.as_nanos() as f64 / (rounds * load.all_records()) as f64;
    let mut columns: [Vec<f64>; 3] = Default::default();
    for _ in 0..PAIRS {
        let (calls, actors) = (per_record(by_calls(load, rounds)), per_record(by_actors(load, rounds)));
        for (column, value) in columns.iter_mut().zip([calls, actors, actors / calls]) {
            column.push(value);
        }
    }
    columns.map(|mut column| {
        column.sort_by(f64::total_cmp);
        column[PAIRS / 2]
    })
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    rounds(&mut criterion);
    criterion.final_summary();
    println!("connections x records   calls ns/record   actors ns/record   ratio (goal {GOAL})");
    for load in LOADS {
        let [calls, actors, ratio] = compare(load);
        println!("{:>21}   {calls:>15.0}   {actors:>16.0}   {ratio:.2}", load.to_string());
    }
}
