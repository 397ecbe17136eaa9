//! Stores that Java brokers of three releases wrote, stopped in order or killed, opened by recovery as a whole: every
//! record byte for byte, every queue, every answer of the index and of the search by time; and they go on: what is
//! appended to them is there when they are opened again.

use std::io::IoSlice;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cuemq_net::message::record::{self, Record, RecordFields};
use cuemq_net::message::{properties, tags};
use cuemq_storage::checkpoint::CheckpointFile;
use cuemq_storage::commit_log::derive::{for_each_key, queue_tags_code};
use cuemq_storage::commit_log::{CommitLog, Effects, LogView, PendingKey, PendingRecord, RecordBatch, UNRESOLVED};
use cuemq_storage::consume_queue::ConsumeQueue;
use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::disk::{Disk, OpenMode, RealDisk};
use cuemq_storage::index::{Index, Layout, Question};
use cuemq_storage::interrupt::Interrupt;
use cuemq_storage::log_state::{Acknowledge, FlushMode, Outcome};
use cuemq_storage::marker;
use cuemq_storage::position::{FlushEpoch, PhysicalOffset, QueueOffset};
use cuemq_storage::recovery::{self, Report, StoreLayout};
use cuemq_storage::segment::SegmentWriter;
use cuemq_tests::golden::{self, GoldenStore, Manifest, Message, Queue};
use sha2::{Digest, Sha256};

/// Stored later than anything in the stores.
const NOW_MS: u64 = 4_000_000_000_000;
const QUEUE_KINDS: [(&str, u32); 3] = [("StoreOne", 0), ("StoreOrders", 2), ("Ours", 7)];

struct Opened {
    log: CommitLog<()>,
    queues: Vec<ConsumeQueue>,
    index: Index,
    report: Report,
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn is_extended(store: &GoldenStore) -> bool {
    store.manifest.kind == "ext"
}

fn layout(store: &GoldenStore) -> Result<StoreLayout> {
    let mut layout = StoreLayout::at(&store.root());
    let slots = u32::try_from(store.manifest.number("maxHashSlotNum")?)?;
    layout.index = Layout::new(slots, u32::try_from(store.manifest.number("maxIndexNum")?)?);
    layout.queue_file_bytes = store.manifest.number("mappedFileSizeConsumeQueue")?;
    if is_extended(store) {
        layout.extension_file_bytes = Some(store.manifest.number("mappedFileSizeConsumeQueueExt")?);
    }
    Ok(layout)
}

/// Opens a store as a broker does; `killed` pretends that its last run did not end in order.
fn open(store: &GoldenStore, killed: bool) -> Result<Opened> {
    let disk = disk();
    let layout = layout(store)?;
    let aborted = marker::was_aborted(disk.as_ref(), &layout.root)? || killed;
    let checkpoint = CheckpointFile::open(disk.as_ref(), &layout.root)?.read();
    let recovered = recovery::open(&disk, &layout, aborted, checkpoint, &Interrupt::default())?;
    marker::mark_in_use(disk.as_ref(), &layout.root)?;
    let report = recovered.report.clone();
    let (log, queues, index) = recovered.into_log(FlushMode::Sync, FlushEpoch(0));
    let index = index.context("no index")?;
    Ok(Opened {
        log,
        queues,
        index,
        report,
    })
}

fn for_each_store(check: impl Fn(&GoldenStore, bool) -> Result<()>) {
    for name in golden::names() {
        for killed in [false, true] {
            let checked = golden::unpack(name).and_then(|store| check(&store, killed));
            checked.unwrap_or_else(|error| panic!("{name}, killed: {killed}: {error:#}"));
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Opened {
    fn queue(&mut self, topic: &str, queue_id: i32) -> Result<Option<&mut ConsumeQueue>> {
        let slot = self.log.queues_ref().find(topic, u32::try_from(queue_id)?);
        Ok(slot.and_then(|slot| self.queues.get_mut(slot as usize)))
    }

    fn check_all(&mut self, manifest: &Manifest) -> Result<()> {
        let view = Arc::clone(self.log.view());
        ensure!(
            view.minimum() == PhysicalOffset(manifest.min_physical_offset),
            "{view:?}"
        );
        ensure!(
            view.visible() == PhysicalOffset(manifest.max_physical_offset),
            "ends at {}",
            view.visible()
        );
        for queue in &manifest.queues {
            let what = || format!("{} {}", queue.topic, queue.queue_id);
            match self.queue(&queue.topic, queue.queue_id).with_context(what)? {
                Some(opened) => check_queue(&view, opened, queue, manifest).with_context(what)?,
                None => ensure!(queue.max_queue_offset == 0, "{} is not there", what()),
            }
        }
        self.check_queries(manifest)
    }

    fn check_queries(&mut self, manifest: &Manifest) -> Result<()> {
        ensure!(!manifest.queries.is_empty(), "no queries");
        for query in &manifest.queries {
            let found = self.query(&query.topic, &query.key, query.messages_max)?;
            ensure!(
                found == query.physical_offsets,
                "{} {}: {found:?} and not {:?}",
                query.topic,
                query.key,
                query.physical_offsets
            );
        }
        Ok(())
    }

    fn query(&mut self, topic: &str, key: &str, most: usize) -> Result<Vec<u64>> {
        let question = Question {
            hash: tags::index_hash(topic, key),
            most,
            begin_ms: 0,
            end_ms: i64::MAX,
        };
        let answer = self.index.query(question)?;
        Ok(answer.physical_offsets.into_iter().map(|found| found.0).collect())
    }
}

fn check_queue(log: &LogView, opened: &mut ConsumeQueue, queue: &Queue, manifest: &Manifest) -> Result<()> {
    let view = opened.view();
    golden::check_units(&view, queue)?;
    for message in &queue.messages {
        let (at, length) = (PhysicalOffset(message.physical_offset), message.store_size.try_into()?);
        let read = log.read(at, length, |bytes| check_record(bytes, message));
        read.context("a record that cannot be read")??;
    }
    golden::check_times(&view, queue, manifest, |at| log.store_time(at))
}

fn check_record(bytes: &[u8], message: &Message) -> Result<()> {
    ensure!(sha256(bytes) == message.record_sha256, "other bytes for {message:?}");
    let record = Record::parse(bytes)?;
    ensure!(record.queue_offset() == message.queue_offset, "{message:?}");
    record.verify_crc()?;
    Ok(())
}

/// A message of ours with its key.
fn batch(topic: &str, queue_id: u32, number: usize) -> Result<Box<RecordBatch<()>>> {
    let mut text = Vec::new();
    properties::push(&mut text, "UNIQ_KEY", &format!("unique-{number}"))?;
    properties::push(&mut text, "TAGS", "TagB")?;
    properties::push(&mut text, "KEYS", &format!("ours-{number} all-of-ours"))?;
    let known = properties::known(&text);
    let body = vec![b'o'; 40_000 + number];
    let host = "127.0.0.1:10911".parse()?;
    let fields = RecordFields {
        body: &body,
        body_crc: record::body_crc(&body),
        topic,
        properties: &text,
        queue_id: i32::try_from(queue_id)?,
        flag: 0,
        system_flag: 0,
        born_timestamp_ms: 1,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
    };
    let mut batch = RecordBatch::new(());
    let length = record::encode(&fields, &mut batch.bytes)?;
    for_each_key(topic, &known, 0, |hash| batch.keys.push(PendingKey { record: 0, hash }));
    batch.records.push(PendingRecord {
        start: 0,
        length: u32::try_from(length)?,
        queue_slot: UNRESOLVED,
        queue_id,
        tags_code: queue_tags_code(topic, &known, 0, &DelayLevels::none()),
        delayed: false,
        joined: false,
        queued: true,
        physical_offset: PhysicalOffset(0),
        queue_offset: QueueOffset(0),
    });
    Ok(batch)
}

impl Opened {
    /// Appends one message, flushes it, and gives where it lies.
    fn append(&mut self, store: &GoldenStore, batch: Box<RecordBatch<()>>) -> Result<(u64, u64)> {
        let mut effects = Effects::default();
        self.log.append(batch, Acknowledge::Flushed, NOW_MS, &mut effects);
        self.log.end_of_tick(&mut effects);
        let mut placed = None;
        let mut waiting = vec![effects];
        while let Some(effects) = waiting.pop() {
            let mut next = Effects::default();
            if let Some(error) = effects.failure {
                return Err(error.into());
            }
            if let Some(start) = effects.allocate {
                let layout = layout(store)?;
                let length = store.manifest.number("mappedFileSizeCommitLog")?;
                let writer = SegmentWriter::create_anew(&RealDisk, &layout.commit_log, start, length)?;
                self.log.supply(writer, NOW_MS, &mut next);
            }
            for job in effects.flushes {
                let upto = job.upto();
                job.run()?;
                self.log.flushed(job.epoch, upto, &mut next);
            }
            for answer in effects.answers {
                ensure!(answer.outcome == Outcome::Stored, "{:?}", answer.outcome);
                let record = &answer.batch.records[0];
                placed = Some((record.physical_offset.0, record.queue_offset.0));
            }
            if !next.flushes.is_empty() || next.allocate.is_some() || !next.answers.is_empty() {
                waiting.push(next);
            }
        }
        placed.context("the append was never answered")
    }
}

#[test]
fn every_store_of_java_opens_and_serves_each_message_offset_and_key_query() {
    for_each_store(|store, killed| {
        let mut opened = open(store, killed)?;
        ensure!(opened.report.damage.is_none(), "{:?}", opened.report);
        opened.check_all(&store.manifest)
    });
}

#[test]
fn opening_a_clean_store_of_java_changes_no_byte_of_its_log_and_queues() {
    for name in golden::names().filter(|name| !name.ends_with("abort")) {
        let store = golden::unpack(name).unwrap();
        drop(open(&store, false).unwrap());
        for file in &store.manifest.files {
            let is_data = ["commitlog/", "consumequeue/", "consumequeue_ext/", "index/"]
                .iter()
                .any(|folder| file.path.starts_with(folder));
            if is_data {
                let bytes = RealDisk.read_whole(&store.root().join(&file.path), 1 << 24).unwrap();
                assert_eq!(sha256(&bytes), file.sha256, "{name}: {}", file.path);
            }
        }
    }
}

#[test]
fn promise_6_a_store_of_release_5_opens_with_an_unused_timer_wheel_and_is_refused_with_a_used_one() {
    for (used, name) in [(false, "5.3.3-clean"), (true, "5.3.3-clean"), (false, "5.3.3-abort")] {
        let store = golden::unpack(name).unwrap();
        let wheel = RealDisk
            .open(&store.root().join("timerwheel"), OpenMode::CreateNew)
            .unwrap();
        wheel.set_length(38_707_200).unwrap();
        if used {
            wheel
                .write_at(&[IoSlice::new(&1_795_260_900_000_i64.to_be_bytes())], 32 * 900_000)
                .unwrap();
        }
        match open(&store, false) {
            Ok(_) => assert!(!used, "{name}"),
            Err(error) => assert!(
                used && error.to_string().contains("timerwheel cannot be used here"),
                "{error:#}"
            ),
        }
    }
}

#[test]
fn every_store_of_java_goes_on_and_opens_again_with_what_was_appended() {
    for_each_store(|store, killed| {
        let mut opened = open(store, killed)?;
        let mut sent = Vec::new();
        // More than a file of the log, so that it rolls.
        for number in 0..30 {
            let (topic, queue_id) = QUEUE_KINDS[number % QUEUE_KINDS.len()];
            let (physical, queue_offset) = opened.append(store, batch(topic, queue_id, number)?)?;
            sent.push((topic, queue_id, queue_offset, physical));
        }
        // The process ends here as if killed; its queues and its index have seen nothing.
        drop(opened);
        let mut again = open(store, false)?;
        ensure!(
            !again.report.clean && again.report.damage.is_none(),
            "{:?}",
            again.report
        );
        for (number, (topic, queue_id, queue_offset, physical)) in sent.iter().enumerate() {
            let queue = again.queue(topic, i32::try_from(*queue_id)?)?.context("no queue")?;
            let unit = queue.view().unit(QueueOffset(*queue_offset))?.context("no unit")?;
            ensure!(unit.physical_offset.0 == *physical, "{unit:?} of {number}");
            let told = queue.view().tags().code(unit);
            ensure!(
                told == Some(tags::tags_code("TagB")),
                "{unit:?} of {number} tells {told:?}"
            );
            let is_address = unit.tags_code < i64::from(i32::MIN);
            ensure!(is_address == is_extended(store), "{unit:?} of {number}");
            let found = again.query(topic, &format!("ours-{number}"), 64)?;
            ensure!(found == [*physical], "key of {number}: {found:?}");
        }
        for queue in &store.manifest.queues {
            for message in &queue.messages {
                let length = u32::try_from(message.store_size)?;
                let read = again
                    .log
                    .view()
                    .read(PhysicalOffset(message.physical_offset), length, |bytes| {
                        check_record(bytes, message)
                    });
                read.context("a record that cannot be read")??;
            }
        }
        Ok(())
    });
}
