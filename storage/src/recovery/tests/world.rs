//! A store with all its parts driven by hand, and a memory of what its senders were told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::message::record::{self, Record, RecordFields};
use cuemq_net::message::sysflag::TransactionType;
use cuemq_net::message::{properties, tags};

use crate::checkpoint::{Checkpoint, CheckpointFile};
use crate::commit_log::derive::{for_each_key, queue_tags_code};
use crate::commit_log::{CommitLog, Effects, PendingKey, PendingRecord, RecordBatch, UNRESOLVED, remove_before};
use crate::consume_queue::ConsumeQueue;
use crate::delay_level::DelayLevels;
use crate::disk::memory::ending::is_death;
use crate::disk::{Disk, MemoryDisk};
use crate::error::{Result, StoreError};
use crate::hash::Map;
use crate::index::{Index, Layout, Question};
use crate::interrupt::Interrupt;
use crate::log_state::{Acknowledge, FlushMode, Outcome, Target};
use crate::marker;
use crate::position::{FlushEpoch, PhysicalOffset, QueueOffset};
use crate::recovery::{self, Progress, StoreLayout, note_progress};
use crate::segment::SegmentWriter;

/// What is known of one message by the number in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) outcome: Outcome,
    pub(super) queue_id: u32,
    pub(super) queue_offset: u64,
    pub(super) physical_offset: u64,
}

/// An open store.
pub(super) struct Open {
    pub(super) log: CommitLog<Vec<u32>>,
    pub(super) queues: Vec<ConsumeQueue>,
    pub(super) index: Index,
    pub(super) report: recovery::Report,
    checkpoint: CheckpointFile,
    disk: Arc<dyn Disk>,
    upto: PhysicalOffset,
    /// The length of the files of the queues' extensions, if there are any.
    extension_file_bytes: Option<u64>,
}

pub(super) struct World {
    pub(super) disk: MemoryDisk,
    /// Whether the queues keep tags codes in extensions.
    extended: bool,
    pub(super) mode: FlushMode,
    pub(super) told: Map<u32, Told>,
    pub(super) now_ms: u64,
    /// Up to where the log was on disk in its last life.
    pub(super) durable: u64,
    /// Up to where messages may have been deleted.
    pub(super) deleted: u64,
    next: u32,
    lives: u64,
}

pub(super) fn layout() -> StoreLayout {
    let mut layout = StoreLayout::at(&PathBuf::from("/store"));
    layout.segment_bytes = Some(2048);
    layout.queue_file_bytes = 200;
    layout.index = Layout::new(7, 30);
    layout
}

impl World {
    pub(super) fn new(seed: u64, mode: FlushMode) -> Self {
        Self {
            disk: MemoryDisk::new(seed),
            extended: seed % 4 == 2,
            mode,
            told: Map::default(),
            now_ms: 1_700_000_000_000,
            durable: 0,
            deleted: 0,
            next: 0,
            lives: 0,
        }
    }

    pub(super) fn open(&mut self) -> Result<Open> {
        self.open_unless(&Interrupt::default())
    }

    pub(super) fn open_unless(&mut self, interrupt: &Interrupt) -> Result<Open> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.process());
        let extension_file_bytes = self.extended.then_some(110);
        let layout = StoreLayout {
            extension_file_bytes,
            ..layout()
        };
        for directory in [&layout.root, &layout.commit_log] {
            disk.create_directory(directory)
                .map_err(|error| StoreError::io("make", directory, error))?;
        }
        let aborted = marker::was_aborted(disk.as_ref(), &layout.root)?;
        let checkpoint = CheckpointFile::open(disk.as_ref(), &layout.root)?;
        let recovered = recovery::open(&disk, &layout, aborted, checkpoint.read(), interrupt)?;
        marker::mark_in_use(disk.as_ref(), &layout.root)?;
        self.lives += 1;
        let (report, upto) = (recovered.report.clone(), recovered.end);
        let (log, queues, index) = recovered.into_log(self.mode, FlushEpoch(self.lives));
        Ok(Open {
            log,
            queues,
            index: index.unwrap(),
            report,
            checkpoint,
            disk,
            upto,
            extension_file_bytes,
        })
    }

    /// Removes the files of a queue, durably.
    pub(super) fn lose_queue(&self, queue_id: u32) {
        let queue = layout().root.join(format!("consumequeue/T/{queue_id}"));
        for file in self.disk.list(&queue).unwrap() {
            self.disk.remove_file(&queue.join(file.name)).unwrap();
        }
        self.disk.sync_directory(&queue).unwrap();
    }

    /// A batch of `count` messages for a queue; `joined` makes it a batch message.
    pub(super) fn batch(
        &mut self,
        queue_id: u32,
        count: u32,
        body_bytes: usize,
        joined: bool,
    ) -> Box<RecordBatch<Vec<u32>>> {
        let mut batch = RecordBatch::new(Vec::new());
        for at in 0..count {
            let number = self.next;
            self.next += 1;
            let mut body = number.to_be_bytes().to_vec();
            body.resize(body_bytes.max(4), b'x');
            let mut text = Vec::new();
            properties::push(&mut text, "UNIQ_KEY", &format!("key-{number}")).unwrap();
            properties::push(&mut text, "TAGS", &format!("Tag{number}")).unwrap();
            let known = properties::known(&text);
            let host: SocketAddr = "127.0.0.1:10911".parse().unwrap();
            let fields = RecordFields {
                body: &body,
                body_crc: record::body_crc(&body),
                topic: "T",
                properties: &text,
                queue_id: i32::try_from(queue_id).unwrap(),
                flag: 0,
                system_flag: 0,
                born_timestamp_ms: 1,
                born_host: host,
                store_host: host,
                reconsume_times: 0,
                prepared_transaction_offset: 0,
            };
            let start = batch.bytes.len();
            let length = record::encode(&fields, &mut batch.bytes).unwrap();
            for_each_key("T", &known, 0, |hash| batch.keys.push(PendingKey { record: at, hash }));
            batch.records.push(PendingRecord {
                start: u32::try_from(start).unwrap(),
                length: u32::try_from(length).unwrap(),
                queue_slot: UNRESOLVED,
                queue_id,
                tags_code: queue_tags_code("T", &known, 0, &DelayLevels::none()),
                delayed: false,
                joined: joined && at > 0,
                queued: true,
                physical_offset: PhysicalOffset(0),
                queue_offset: QueueOffset(0),
            });
            batch.context.push(number);
        }
        batch
    }

    /// One batch of the records of two.
    pub(super) fn behind_one_another(
        mut first: Box<RecordBatch<Vec<u32>>>,
        second: RecordBatch<Vec<u32>>,
    ) -> Box<RecordBatch<Vec<u32>>> {
        let (bytes, records) = (first.bytes.len(), first.records.len());
        let moved = second.records.into_iter().map(|record| PendingRecord {
            start: record.start + u32::try_from(bytes).unwrap(),
            ..record
        });
        first.records.extend(moved);
        first.bytes.extend(second.bytes);
        let moved = second.keys.into_iter().map(|key| PendingKey {
            record: key.record + u32::try_from(records).unwrap(),
            ..key
        });
        first.keys.extend(moved);
        first.context.extend(second.context);
        first
    }

    /// The first half of a transaction: in the log and in the index, and in no queue.
    pub(super) fn prepared(&mut self, queue_id: u32) -> Box<RecordBatch<Vec<u32>>> {
        let mut batch = self.batch(queue_id, 1, 20, false);
        let flag = record::position::SYSTEM_FLAG;
        batch.bytes[flag..flag + 4].copy_from_slice(&TransactionType::Prepared.bits().to_be_bytes());
        batch.records[0].queued = false;
        batch
    }

    /// Appends one batch and ends the tick; carries everything out, flushes included.
    pub(super) fn send(&mut self, open: &mut Open, batch: Box<RecordBatch<Vec<u32>>>, wait: Acknowledge) -> Result<()> {
        let mut effects = Effects::default();
        self.now_ms += 7;
        open.log.append(batch, wait, self.now_ms, &mut effects);
        open.log.end_of_tick(&mut effects);
        if let Some(job) = open.log.pave(Duration::from_millis(self.now_ms)) {
            match job.run() {
                Err(error) if !error.is_no_room() => open.log.fail(error, &mut effects),
                _ => {}
            }
        }
        self.carry_out(open, effects)
    }

    pub(super) fn flush_due(&mut self, open: &mut Open) -> Result<()> {
        let mut effects = Effects::default();
        open.log.flush_due(&mut effects);
        self.carry_out(open, effects)
    }

    pub(super) fn carry_out(&mut self, open: &mut Open, effects: Effects<Vec<u32>>) -> Result<()> {
        let mut waiting = vec![effects];
        let mut died = None;
        while let Some(effects) = waiting.pop() {
            let mut next = Effects::default();
            for answer in effects.answers {
                self.note(&answer.batch, answer.outcome);
            }
            let applied = effects.dispatches.iter().try_for_each(|dispatch| open.apply(dispatch));
            if let Err(error) = applied {
                // A queue that cannot be written poisons the store, as in the broker.
                let told = StoreError::io("write", &layout().root, std::io::Error::other("a queue failed"));
                open.log.fail(told, &mut next);
                waiting.push(std::mem::take(&mut next));
                died.get_or_insert(error);
            }
            if let Some(error) = effects.failure {
                died.get_or_insert(error);
            }
            for job in effects.flushes {
                let upto = job.upto();
                match job.run() {
                    Ok(()) => open.log.flushed(job.epoch, upto, &mut next),
                    Err(error) => open.log.fail(error, &mut next),
                }
                waiting.push(std::mem::take(&mut next));
            }
            if let Some(start) = effects.allocate {
                let layout = layout();
                let length = layout.segment_bytes.unwrap();
                match SegmentWriter::create_anew(&self.disk.process(), &layout.commit_log, start, length) {
                    Ok(writer) => open.log.supply(writer, self.now_ms, &mut next),
                    Err(error) => {
                        open.log.refuse_waiting(&mut next);
                        if is_death(&error) {
                            died.get_or_insert(error);
                        }
                    }
                }
                waiting.push(next);
            }
        }
        died.map_or(Ok(()), Err)
    }

    fn note(&mut self, batch: &RecordBatch<Vec<u32>>, outcome: Outcome) {
        for (number, record) in batch.context.iter().zip(&batch.records) {
            let told = Told {
                outcome,
                queue_id: record.queue_id,
                queue_offset: record.queue_offset.0,
                physical_offset: record.physical_offset.0,
            };
            assert!(self.told.insert(*number, told).is_none(), "a sender is told once");
        }
    }

    /// All messages that readers see, in the order of the log: number, queue, queue offset, position.
    pub(super) fn visible(open: &Open) -> Vec<(u32, Told)> {
        let mut seen = Vec::new();
        open.log
            .view()
            .walk(open.log.view().minimum(), |record| {
                seen.push(message(record));
                true
            })
            .unwrap();
        seen
    }

    /// Compares the store with what senders were told.
    pub(super) fn check(&self, open: &mut Open) {
        let seen = Self::visible(open);
        check_store_times(open);
        let minimum = open.log.view().minimum().0;
        assert!(minimum <= self.deleted, "nothing goes before its time");
        let mut by_number = Map::default();
        let mut next = self.numbers_at(minimum);
        for (number, found) in &seen {
            assert!(
                by_number.insert(*number, *found).is_none(),
                "message {number} is there twice"
            );
            let next = &mut next[found.queue_id as usize];
            assert_eq!(
                found.queue_offset, *next,
                "queue {} has no gap and no double",
                found.queue_id
            );
            *next += 1;
        }
        for (number, told) in &self.told {
            match told.outcome {
                Outcome::Stored if told.physical_offset < minimum => {}
                Outcome::Stored => assert_eq!(by_number.get(number), Some(told), "message {number} was acknowledged"),
                Outcome::Refused => assert!(!by_number.contains_key(number), "message {number} was refused"),
                Outcome::Unknown => {}
            }
        }
        open.check_queues(&seen, &next);
        open.check_index(&seen);
    }

    /// For each queue the place of the first message from `minimum` on, as those that were deleted tell it.
    fn numbers_at(&self, minimum: u64) -> [u64; 8] {
        let mut next = [0; 8];
        let deleted = |told: &&Told| told.outcome == Outcome::Stored && told.physical_offset < minimum;
        for told in self.told.values().filter(deleted) {
            let next = &mut next[told.queue_id as usize];
            *next = told.queue_offset.saturating_add(1).max(*next);
        }
        next
    }

    /// Forgets what a loss of power may take under async flush: what was not flushed.
    pub(super) fn forget_unsafe(&mut self) {
        if self.mode == FlushMode::Async {
            let durable = self.durable;
            self.told
                .retain(|_, told| told.outcome != Outcome::Stored || told.physical_offset < durable);
        }
    }

    /// Forgets messages that nobody was told about; a crash decides about them.
    pub(super) fn adopt(&mut self, open: &Open) {
        for (number, found) in Self::visible(open) {
            self.told.insert(number, found);
        }
    }
}

pub(super) fn check_store_times(open: &Open) {
    let mut last_ms = 0;
    open.log
        .view()
        .walk(open.log.view().minimum(), |record| {
            assert!(record.store_timestamp_ms() >= last_ms, "store times never decrease");
            last_ms = record.store_timestamp_ms();
            true
        })
        .unwrap();
}

fn message(record: &Record<'_>) -> (u32, Told) {
    let number = u32::from_be_bytes(record.body()[..4].try_into().unwrap());
    let told = Told {
        outcome: Outcome::Stored,
        queue_id: u32::try_from(record.queue_id()).unwrap(),
        queue_offset: record.queue_offset(),
        physical_offset: record.physical_offset(),
    };
    (number, told)
}

impl Open {
    fn apply(&mut self, dispatch: &crate::commit_log::Dispatch) -> Result<()> {
        for slot in self.log.queues().take_fresh() {
            let name = self.log.queues().name(slot).unwrap().clone();
            assert_eq!(slot as usize, self.queues.len());
            let place = crate::consume_queue::QueuePlace {
                root: &PathBuf::from("/store"),
                topic: &name.topic,
                queue_id: name.queue_id,
            };
            let disk = self.log_disk();
            let opening = crate::consume_queue::Opening::Clean;
            let (mut queue, _) = ConsumeQueue::open(&disk, place, 200, opening)?;
            if let Some(file_bytes) = self.extension_file_bytes {
                queue.open_extension(file_bytes, opening)?;
            }
            self.queues.push(queue);
        }
        for group in &dispatch.queues {
            let queue = &mut self.queues[group.slot as usize];
            queue
                .append(group.first, &group.units, group.stored.as_deref())
                .map_err(|error| match error {
                    crate::consume_queue::AppendError::Store(error) => error,
                    misplaced => panic!("{misplaced}"),
                })?;
        }
        self.index.put_batch(&dispatch.keys, dispatch.upto)?;
        self.upto = dispatch.upto;
        Ok(())
    }

    fn log_disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    /// Deletes what lies in front of `position`, as the retention and the owners of the files do.
    pub(super) fn delete_before(&mut self, position: PhysicalOffset) -> Result<()> {
        self.log.drop_before(position);
        let minimum = self.log.view().minimum();
        remove_before(self.disk.as_ref(), &layout().commit_log, minimum)?;
        for queue in &mut self.queues {
            queue.delete_before(minimum)?;
        }
        self.index.delete_before(minimum).map(|_| ())
    }

    /// What the queues' and the index's owners and the retention do now and then.
    pub(super) fn checkpoint(&mut self, now_ms: u64) -> Result<()> {
        self.note(now_ms, None)
    }

    fn note(&mut self, now_ms: u64, queue_units: Option<u64>) -> Result<()> {
        for (slot, queue) in self.queues.iter_mut().enumerate() {
            queue.sync()?;
            self.log
                .confirmed(Target::Queue(u32::try_from(slot).unwrap()), self.upto);
        }
        self.index.flush()?;
        self.log.confirmed(Target::Index, self.upto);
        self.note_at(now_ms, self.log.view().confirmed(), queue_units)
    }

    /// Notes that queues and index have what lies below `confirmed`.
    pub(super) fn note_at(&mut self, now_ms: u64, confirmed: PhysicalOffset, queue_units: Option<u64>) -> Result<()> {
        let ms = i64::try_from(now_ms).unwrap();
        let checkpoint = Checkpoint {
            commit_log_ms: ms,
            consume_queue_ms: ms,
            index_ms: ms,
        };
        let progress = Progress {
            durable: self.log.view().durable(),
            confirmed,
            queue_units,
            stored_ms: self.log.view().last_store_ms(),
        };
        let disk = self.log_disk();
        note_progress(disk.as_ref(), &layout(), &mut self.checkpoint, checkpoint, progress)
    }

    /// Stops in order.
    pub(super) fn close(mut self, now_ms: u64) -> Result<()> {
        let units = self.queues.iter().map(|queue| queue.end().0).sum();
        self.note(now_ms, Some(units))?;
        marker::mark_clean(self.log_disk().as_ref(), &layout().root)
    }

    fn check_queues(&self, seen: &[(u32, Told)], next: &[u64]) {
        let mut codes = Map::default();
        self.log
            .view()
            .walk(self.log.view().minimum(), |record| {
                let known = properties::known(record.properties());
                codes.insert(record.physical_offset(), known.tags.map_or(0, tags::tags_code));
                true
            })
            .unwrap();
        for (slot, queue) in self.queues.iter().enumerate() {
            let name = self.log.queues_ref().name(u32::try_from(slot).unwrap()).unwrap();
            let expected: Vec<_> = seen
                .iter()
                .filter(|(_, told)| told.queue_id == name.queue_id)
                .map(|(_, told)| (told.physical_offset, codes.get(&told.physical_offset).copied()))
                .collect();
            let view = queue.view();
            let end = next[name.queue_id as usize];
            assert_eq!(view.max_offset().0, end, "queue {}, {:?}", name.queue_id, self.report);
            let (mut found, mut tags) = (Vec::new(), view.tags());
            let first = view.min_offset();
            // One read stays within one file.
            while first.advanced(found.len() as u64) < view.max_offset() {
                let units = view.read(first.advanced(found.len() as u64), usize::MAX).unwrap();
                found.extend(units.map(|(_, unit)| (unit.physical_offset.0, tags.code(unit))));
            }
            assert_eq!(found, expected, "consume queue {}", name.queue_id);
        }
    }

    fn check_index(&mut self, seen: &[(u32, Told)]) {
        for (number, told) in seen {
            let found = self.keys_of(*number, told);
            assert_eq!(found, 1, "key of {number}, {:?}", self.report);
        }
    }

    /// How many times the index has the key of a message.
    pub(super) fn keys_of(&mut self, number: u32, told: &Told) -> usize {
        let question = Question {
            hash: tags::index_hash("T", &format!("key-{number}")),
            most: 64,
            begin_ms: 0,
            end_ms: i64::MAX,
        };
        let answer = self.index.query(question).unwrap();
        let at = PhysicalOffset(told.physical_offset);
        answer.physical_offsets.iter().filter(|found| **found == at).count()
    }
}
