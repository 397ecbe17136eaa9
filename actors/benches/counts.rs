//! Instructions of the hot path's parts, counted under callgrind: the same on a busy machine as on an idle one.
//! `tests/counts/check` compares them with the record in `tests/counts/record`.
//!
//! The kernel's instructions are not among them, nor is what `setup` does: each part has run once before it is counted,
//! so that nothing is made for the first time.

#![expect(missing_docs, reason = "the macros of gungraun make public items")]

use std::hint::black_box;
use std::sync::Arc;

use cuemq_actors::filter::MessageFilter;
use cuemq_actors::io::look_up::{Found, Limits, Status, Wanted};
use cuemq_net::filter::SqlFilter;
use cuemq_net::frame::{self, MAX_FRAME_BYTES};
use cuemq_net::header::{self, HeaderScratch};
use cuemq_net::request::SendHeader;
use cuemq_storage::commit_log::{CommitLog, Effects, LogView, RecordBatch};
use cuemq_storage::consume_queue::{ConsumeQueue, Unit};
use cuemq_storage::index::{Index, IndexKey, Layout, Opening};
use cuemq_storage::log_state::Acknowledge;
use cuemq_storage::position::PhysicalOffset;
use cuemq_storage::queue_directory::{QueueDirectory, QueueHandle};
use ground::{Ground, TOPIC};
use gungraun::prelude::*;

mod ground;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sends (310) as Java clients wrote them.
const JSON_SEND: &[u8] = include_bytes!("../../fuzz/corpus/frame/send");
const BINARY_SEND: &[u8] = include_bytes!("../../fuzz/corpus/frame/binary-send");

/// When the records are stored, in milliseconds since 1970.
const NOW_MS: u64 = 1_795_260_528_717;
const RECORDS: u32 = 32;
const KEYS: u64 = 64;
const LOG_BYTES: u64 = 1 << 20;

/// A log with what is to be appended to it.
struct Appending {
    _ground: Ground,
    log: CommitLog<()>,
    batch: Box<RecordBatch<()>>,
    effects: Effects<()>,
}

fn appending() -> Appending {
    let ground = Ground::new();
    let mut log = ground.log(LOG_BYTES);
    let mut effects = Effects::default();
    let [first, batch] = [(), ()].map(|()| {
        let mut batch = RecordBatch::new(());
        ground::encode(&mut batch, 0..RECORDS);
        batch
    });
    log.append(first, Acknowledge::Flushed, NOW_MS, &mut effects);
    log.end_of_tick(&mut effects);
    let effects = Effects::default();
    Appending {
        _ground: ground,
        log,
        batch,
        effects,
    }
}

#[library_benchmark]
#[bench::of_32_records(appending())]
fn append(appending: Appending) -> (Ground, CommitLog<()>, Effects<()>) {
    let Appending {
        _ground: ground,
        mut log,
        batch,
        mut effects,
    } = appending;
    log.append(black_box(batch), Acknowledge::Appended, NOW_MS, &mut effects);
    log.end_of_tick(&mut effects);
    (ground, log, effects)
}

fn units(from: u64) -> Vec<Unit> {
    let unit = |number| Unit {
        physical_offset: PhysicalOffset(number * 1212),
        size: 1212,
        tags_code: 2_598_919,
    };
    (from..from + u64::from(RECORDS)).map(unit).collect()
}

/// So many batches of units a queue gathers before it writes them.
const BATCHES: u64 = 4;

/// A queue that has gathered as many as it does, and the batches that come then.
fn queue() -> (Ground, ConsumeQueue, Vec<Vec<Unit>>) {
    let ground = Ground::new();
    let mut queue = ground.queue(0);
    let mut batches = (0..2 * BATCHES).map(|batch| units(batch * u64::from(RECORDS)));
    for batch in batches.by_ref().take(BATCHES as usize) {
        queue.append(queue.end(), &batch, None).expect("room");
    }
    let rest = batches.collect();
    (ground, queue, rest)
}

#[library_benchmark]
#[bench::of_4_times_32_units(queue())]
fn dispatch_to_a_queue((ground, mut queue, batches): (Ground, ConsumeQueue, Vec<Vec<Unit>>)) -> (Ground, ConsumeQueue) {
    for units in black_box(&batches) {
        let appended = queue.append(queue.end(), units, None);
        assert!(appended.is_ok_and(|appended| appended.written == units.len()));
    }
    (ground, queue)
}

/// Keys of 32 records, two of each; the hashes are the same in every round.
fn keys(round: u64) -> Vec<IndexKey> {
    let key = |number: u64| IndexKey {
        hash: (number as i32 + 1).wrapping_mul(1_640_531_527) & i32::MAX,
        physical_offset: PhysicalOffset((round * KEYS + number) / 2 * 1212),
        store_timestamp_ms: NOW_MS as i64,
    };
    (0..KEYS).map(key).collect()
}

fn index() -> (Ground, Index, Vec<IndexKey>) {
    let ground = Ground::new();
    let layout = Layout::new(1 << 12, 1 << 14).expect("room for keys");
    let (mut index, _) = Index::open(&ground.disk, ground.root(), layout, Opening::Clean).expect("an empty index");
    index.put_batch(&keys(0), PhysicalOffset(LOG_BYTES)).expect("room");
    (ground, index, keys(1))
}

#[library_benchmark]
#[bench::of_64_keys(index())]
fn dispatch_to_the_index((ground, mut index, keys): (Ground, Index, Vec<IndexKey>)) -> (Ground, Index) {
    let put = index.put_batch(black_box(&keys), PhysicalOffset(2 * LOG_BYTES));
    assert!(put.is_ok());
    (ground, index)
}

/// A store with 32 messages in a queue.
struct Stored {
    _ground: Ground,
    _queue: ConsumeQueue,
    log: Arc<LogView>,
    queues: QueueDirectory,
}

impl Stored {
    fn pull(&self, filter: &MessageFilter) -> Found {
        let wanted = Wanted {
            topic: TOPIC,
            queue_id: 0,
            queue_offset: 0,
            max_messages: RECORDS,
            filter,
        };
        let found = black_box(wanted).look_up(&self.log, &self.queues, Limits::of_memory(u64::MAX));
        found.expect("young messages are found in memory")
    }
}

fn stored() -> Stored {
    let ground = Ground::new();
    let mut log = ground.log(LOG_BYTES);
    let mut batch = RecordBatch::new(());
    ground::encode(&mut batch, 0..RECORDS * ground::QUEUES / 2);
    let mut effects = Effects::default();
    for _ in 0..2 {
        let mut again = RecordBatch::new(());
        again.bytes.clone_from(&batch.bytes);
        again.records.clone_from(&batch.records);
        log.append(again, Acknowledge::Appended, NOW_MS, &mut effects);
    }
    log.end_of_tick(&mut effects);
    let mut queue = ground.queue(0);
    for units in effects.dispatches.iter().flat_map(|dispatch| &dispatch.queues) {
        if units.slot == 0 {
            queue.append(units.first, &units.units, None).expect("room");
        }
    }
    let queues = QueueDirectory::default();
    queues.insert(&TOPIC.into(), 0, Arc::new(QueueHandle::new(0, queue.view())));
    let stored = Stored {
        _ground: ground,
        _queue: queue,
        log: Arc::clone(log.view()),
        queues,
    };
    let found = stored.pull(&MessageFilter::all());
    assert!(
        found.status == Status::Found && found.messages == RECORDS,
        "found {found:?}"
    );
    stored
}

#[library_benchmark]
#[bench::of_32_messages(stored())]
fn look_up(stored: Stored) -> (Found, Stored) {
    (stored.pull(&MessageFilter::all()), stored)
}

/// A store, and an expression that is true for none of its messages.
fn filtered() -> (Stored, MessageFilter) {
    let expression = "TAGS IN ('TagA', 'TagB') OR (KEYS = 'order-4711' AND weight BETWEEN 1.5 AND 7)";
    let filter = MessageFilter::Sql {
        filter: Arc::new(SqlFilter::compile(expression).expect("an expression")),
        share: None,
        marks: None,
    };
    let stored = stored();
    let found = stored.pull(&filter);
    assert!(found.status == Status::NoMatchedMessage && found.next_begin == u64::from(RECORDS));
    (stored, filter)
}

#[library_benchmark]
#[bench::none_of_32_messages(filtered())]
fn look_up_by_sql((stored, filter): (Stored, MessageFilter)) -> (Found, Stored, MessageFilter) {
    (stored.pull(&filter), stored, filter)
}

fn read_send(send: &[u8], scratch: &mut HeaderScratch) {
    let parts = frame::check(send, MAX_FRAME_BYTES).expect("a frame");
    let parts = parts.expect("a whole one");
    let view = header::parse(parts.codec, &send[parts.header], scratch).expect("a header");
    black_box(SendHeader::read(&view).expect("a send"));
}

fn reading(send: &'static [u8]) -> (&'static [u8], HeaderScratch) {
    let mut scratch = HeaderScratch::new();
    read_send(send, &mut scratch);
    (send, scratch)
}

#[library_benchmark]
#[bench::json(reading(JSON_SEND))]
#[bench::binary(reading(BINARY_SEND))]
fn read_a_send((send, mut scratch): (&'static [u8], HeaderScratch)) -> HeaderScratch {
    read_send(black_box(send), &mut scratch);
    scratch
}

library_benchmark_group!(
    name = hot_path,
    benchmarks = [
        append,
        dispatch_to_a_queue,
        dispatch_to_the_index,
        look_up,
        look_up_by_sql,
        read_a_send
    ]
);
main!(library_benchmark_groups = hot_path);
