//! The only writer of `index/`. Dispatch, step 7 of a send: indexes the keys of new messages, answers queries by key.
//!
//! It may fall behind the log, since it never holds back a send: what does not fit its mailbox's bound it reads from the log
//! later by itself. So it does with what it is handed while the disk has no room, and sends are refused, until there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, Recipient};
use cuemq_storage::StoreError;
use cuemq_storage::behind::Behind;
use cuemq_storage::commit_log::LogView;
use cuemq_storage::commit_log::derive::keys_of;
use cuemq_storage::index::{Answer, Index as Files, IndexKey, Question};
use cuemq_storage::log_state::Target;
use cuemq_storage::position::PhysicalOffset;

use crate::commit_log::{Confirmed, Poison};
use crate::send_gate::{RETRY, SendGate, Starving};
use crate::supervise::Context;

/// Keys that may wait in the mailbox; beyond that they are read from the log when their turn comes.
const WAITING_KEYS_MAX: usize = 1 << 20;
/// How many keys are gathered from the log before they are written.
const KEYS_PER_WRITE: usize = 8192;
/// How many keys are handed over at once.
const KEYS_PER_MESSAGE: usize = 4096;

/// Index these keys. From `CommitLog`, one for the ticks of some milliseconds, bounded by a count of waiting keys.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AddKeys {
    /// Where their ticks began in the log.
    pub from: PhysicalOffset,
    /// Where they ended.
    pub upto: PhysicalOffset,
    /// The keys; `None` when they are to be read from the log.
    pub keys: Option<Vec<IndexKey>>,
}

/// Find messages by a key. From connections, one of each at a time.
#[derive(Message, Debug)]
#[rtype(result = "Result<Answer, StoreError>")]
pub struct Query(pub Question);

/// Remove the files whose newest record lies in front of this position, where the log begins now. From `Retention`, one for
/// each deletion.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "()")]
pub struct DropKeys(pub PhysicalOffset);

/// What the index was handed and has not taken yet; known to both sides, and to whoever asks how far it is behind.
#[derive(Debug, Default)]
pub struct Backlog {
    /// How many keys wait in the mailbox.
    keys: AtomicUsize,
    /// From where on it lacks something.
    pub behind: Behind,
}

/// The commit log's side of the index.
pub struct IndexFeed {
    index: Recipient<AddKeys>,
    backlog: Arc<Backlog>,
    /// Keys that are not handed over yet, so that the index's thread is not woken for every tick.
    gathered: Option<Gathered>,
    /// From where to where keys were left to be read from the log.
    left: Option<(PhysicalOffset, PhysicalOffset)>,
}

/// The keys of some ticks.
struct Gathered {
    from: PhysicalOffset,
    upto: PhysicalOffset,
    keys: Vec<IndexKey>,
}

impl IndexFeed {
    /// Feeds this index; the backlog is shared with it.
    #[must_use]
    pub fn new(index: Recipient<AddKeys>, backlog: Arc<Backlog>) -> Self {
        Self {
            index,
            backlog,
            gathered: None,
            left: None,
        }
    }

    /// Gathers a tick's keys, or leaves them for later.
    pub fn feed(&mut self, from: PhysicalOffset, upto: PhysicalOffset, keys: Vec<IndexKey>) {
        if !keys.is_empty() {
            self.backlog.behind.handed(from, upto);
        }
        if self.is_behind() {
            self.hand_over();
            let (left_from, _) = self.left.unwrap_or((from, upto));
            self.left = Some((left_from, upto));
        } else if let Some((left_from, _)) = self.left.take() {
            self.leave(left_from, upto);
        } else if !keys.is_empty() {
            self.gather(from, upto, keys);
        }
    }

    fn gather(&mut self, from: PhysicalOffset, upto: PhysicalOffset, keys: Vec<IndexKey>) {
        match &mut self.gathered {
            Some(gathered) => {
                gathered.upto = upto;
                gathered.keys.extend(keys);
            }
            none => *none = Some(Gathered { from, upto, keys }),
        }
        if self
            .gathered
            .as_ref()
            .is_some_and(|gathered| gathered.keys.len() >= KEYS_PER_MESSAGE)
        {
            self.hand_over();
        }
    }

    /// Whether keys are gathered that nobody has yet.
    #[must_use]
    pub fn has_gathered(&self) -> bool {
        self.gathered.is_some()
    }

    /// Hands over what is gathered.
    #[expect(clippy::disallowed_methods, reason = "bounded by the count of waiting keys")]
    pub fn hand_over(&mut self) {
        if let Some(Gathered { from, upto, keys }) = self.gathered.take() {
            self.backlog.keys.fetch_add(keys.len(), Ordering::Relaxed);
            let keys = Some(keys);
            self.index.do_send(AddKeys { from, upto, keys });
        }
    }

    /// Lets the index read what was left once it has caught up. Without it that would wait for the next message.
    pub fn catch_up(&mut self) {
        if self.left.is_some() && !self.is_behind() {
            self.finish();
        }
    }

    /// Hands over what is gathered and lets the index read what was left, however much waits: nothing follows.
    pub fn finish(&mut self) {
        self.hand_over();
        if let Some((from, upto)) = self.left.take() {
            self.leave(from, upto);
        }
    }

    fn is_behind(&self) -> bool {
        self.backlog.keys.load(Ordering::Relaxed) > WAITING_KEYS_MAX
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "one for each time that the index has caught up"
    )]
    fn leave(&self, from: PhysicalOffset, upto: PhysicalOffset) {
        self.index.do_send(AddKeys { from, upto, keys: None });
    }
}

/// What an index works with.
pub struct IndexParts {
    /// Its files.
    pub files: Files,
    /// The log, to be read where keys were left out.
    pub log: Arc<LogView>,
    /// What it was handed and has not taken yet.
    pub backlog: Arc<Backlog>,
    /// Hears what is durable.
    pub confirmed: Recipient<Confirmed>,
    /// Hears of failures.
    pub poison: Recipient<Poison>,
    /// Kept closed while there is no room.
    pub gate: Arc<SendGate>,
    /// How often to flush.
    pub flush_interval: Duration,
}

/// The actor.
pub struct Index {
    parts: IndexParts,
    /// Up to where keys were added since the last flush.
    added: Option<PhysicalOffset>,
    /// Since when the disk has no room for what it lacks.
    starved: Option<Starving>,
}

impl Index {
    /// Owns an index that holds, or will be given once more, everything from the log's confirmed position on.
    #[must_use]
    pub fn new(parts: IndexParts) -> Self {
        let (added, starved) = (None, None);
        Self { parts, added, starved }
    }

    /// Adds what the log has from `from` to `upto`.
    fn read_log(&mut self, from: PhysicalOffset, upto: PhysicalOffset) -> cuemq_storage::Result<()> {
        let mut at = from;
        while at < upto {
            let mut keys = Vec::new();
            let reached = self.parts.log.walk(at, |record| {
                let goes_on = record.physical_offset() < upto.0 && keys.len() < KEYS_PER_WRITE;
                if goes_on {
                    keys_of(record, &mut keys);
                }
                goes_on
            })?;
            if reached <= at {
                break;
            }
            self.parts.files.put_batch(&keys, reached)?;
            at = reached;
        }
        self.took(at);
        Ok(())
    }

    fn add(&mut self, add: AddKeys) -> cuemq_storage::Result<()> {
        match add.keys {
            None => self.read_log(add.from, add.upto),
            Some(keys) => {
                self.parts.files.put_batch(&keys, add.upto)?;
                self.took(add.upto);
                Ok(())
            }
        }
    }

    fn took(&mut self, upto: PhysicalOffset) {
        self.added = self.added.max(Some(upto));
        self.parts.backlog.behind.taken(upto);
    }

    #[expect(clippy::disallowed_methods, reason = "one for each flush")]
    fn flush(&mut self) -> cuemq_storage::Result<()> {
        if let Some(upto) = self.added {
            self.parts.files.flush()?;
            self.added = None;
            self.parts.confirmed.do_send(Confirmed {
                target: Target::Index,
                upto,
            });
        }
        Ok(())
    }

    /// Tries to add and to flush what there was no room for.
    fn feed(&mut self, ctx: &mut Context<Self>) {
        if let Some(from) = self.starved.as_ref().map(Starving::from) {
            let fed = self
                .read_log(from, self.parts.log.visible())
                .and_then(|()| self.flush());
            if fed.is_ok() {
                self.starved = None;
            }
            self.settle(from, fed, ctx);
        }
    }

    /// Starves, if there was no room for what the log has from `from` on. Other failures poison the store.
    #[expect(clippy::disallowed_methods, reason = "at most once: the store is poisoned after it")]
    fn settle(&mut self, from: PhysicalOffset, done: Result<(), StoreError>, ctx: &mut Context<Self>) {
        match done {
            Ok(()) => {}
            Err(error) if error.is_no_room() => {
                let gate = &self.parts.gate;
                self.starved.get_or_insert_with(|| gate.starve(from, &error));
                ctx.run_later(RETRY, Self::feed);
            }
            Err(error) => self.parts.poison.do_send(Poison(error)),
        }
    }

    fn flush_due(&mut self, ctx: &mut Context<Self>) {
        if let (Some(added), None) = (self.added, &self.starved) {
            let flushed = self.flush();
            self.settle(added, flushed, ctx);
        }
    }
}

impl Actor for Index {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // What the value before this one had taken and not made durable is in the log, behind what everybody confirmed.
        let from = self.parts.log.confirmed();
        let read = self.read_log(from, self.parts.log.visible());
        self.settle(from, read, ctx);
        ctx.run_interval(self.parts.flush_interval, Self::flush_due);
    }

    fn stopped(&mut self, ctx: &mut Self::Context) {
        self.feed(ctx);
        self.flush_due(ctx);
    }
}

impl Handler<AddKeys> for Index {
    type Result = ();

    fn handle(&mut self, add: AddKeys, ctx: &mut Self::Context) {
        let keys = add.keys.as_ref().map_or(0, Vec::len);
        self.parts.backlog.keys.fetch_sub(keys, Ordering::Relaxed);
        if self.starved.is_none() {
            let from = add.from;
            let added = self.add(add);
            self.settle(from, added, ctx);
        }
    }
}

impl Handler<Query> for Index {
    type Result = Result<Answer, StoreError>;

    fn handle(&mut self, Query(question): Query, _: &mut Self::Context) -> Self::Result {
        self.parts.files.query(question)
    }
}

impl Handler<DropKeys> for Index {
    type Result = ();

    fn handle(&mut self, DropKeys(log_min): DropKeys, _: &mut Self::Context) {
        match self.parts.files.delete_before(log_min) {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, %log_min, "old files of the index are gone"),
            Err(error) => tracing::warn!(%error, "an old file of the index stays until the next start"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::path::Path;

    use actix::Addr;
    use cuemq_storage::commit_log::{CommitLog as Log, LogFiles, LogParts, QueueTable};
    use cuemq_storage::disk::memory::{Fault, Operation};
    use cuemq_storage::disk::{Disk, MemoryDisk};
    use cuemq_storage::index::{Layout, Opening};
    use cuemq_storage::log_state::FlushMode;
    use cuemq_storage::position::FlushEpoch;
    use tokio::sync::oneshot;

    use super::*;
    use crate::commit_log::{CommitLog, DeletionNote, Neighbours, Settle};
    use crate::consume_queue::{Heritage, QueueActors};
    use crate::testing::{Probe, Stage, unreadable_log};

    /// A commit log that has left keys out because too many wait.
    fn overloaded(stage: &mut Stage, index: &Probe<AddKeys>, backlog: &Arc<Backlog>) -> Addr<CommitLog> {
        backlog.keys.store(WAITING_KEYS_MAX + 1, Ordering::Relaxed);
        let mut feed = IndexFeed::new(index.recipient(), Arc::clone(backlog));
        feed.feed(PhysicalOffset(100), PhysicalOffset(200), Vec::new());
        feed.feed(PhysicalOffset(200), PhysicalOffset(300), Vec::new());
        let end = PhysicalOffset(0);
        let files = LogFiles::new(4096, VecDeque::new(), Arc::new(LogView::new(Vec::new())), end, 0);
        let parts = LogParts::of(files, QueueTable::default(), end);
        let log = Log::new(FlushMode::Sync, FlushEpoch(0), parts);
        let queues = QueueActors::new(
            Heritage::default(),
            Vec::new(),
            Arc::default(),
            Box::new(|name, _, _| panic!("{name:?} gets no message")),
            Box::new(|_, name| panic!("{name:?} gets no message")),
        );
        let neighbours = Neighbours {
            flusher: Probe::new().recipient(),
            allocator: Probe::new().recipient(),
            paver: Probe::new().recipient(),
            egress: Vec::new(),
            queues,
            index: Some(feed),
            deletions: DeletionNote {
                disk: Arc::new(MemoryDisk::new(1)),
                root: "/store".into(),
            },
            metrics: Arc::default(),
        };
        let (clock, mut first) = (stage.clock.clone(), Some((log, neighbours)));
        stage.start("commit log", move |_| {
            let (log, neighbours) = first.take().ok_or("the commit log has failed")?;
            Ok(CommitLog::new(log, neighbours, clock.clone(), None))
        })
    }

    #[actix::test]
    async fn keys_that_cannot_be_read_from_the_log_are_not_taken_for_added() {
        let log = unreadable_log();
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(1));
        let sizes = Layout::new(7, 30).unwrap();
        let mut index = Index::new(IndexParts {
            files: Files::open(&disk, Path::new("/store"), sizes, Opening::Clean)
                .unwrap()
                .0,
            log: Arc::clone(&log),
            backlog: Arc::default(),
            confirmed: Probe::new().recipient(),
            poison: Probe::new().recipient(),
            gate: Arc::new(SendGate::new(Arc::clone(&log), 0)),
            flush_interval: Duration::from_millis(10),
        });
        let read = index.read_log(PhysicalOffset(0), log.visible());
        assert!(matches!(read, Err(StoreError::Damaged { position: 0, .. })), "{read:?}");
        assert_eq!(index.added, None, "a flush confirms nothing of it");
    }

    #[actix::test]
    async fn the_keys_of_some_ticks_are_handed_over_as_one() {
        let mut index = Probe::new();
        let backlog = Arc::<Backlog>::default();
        let mut feed = IndexFeed::new(index.recipient(), Arc::clone(&backlog));
        let keys = |range: std::ops::Range<u64>| {
            range
                .map(|position| IndexKey {
                    hash: 7,
                    physical_offset: PhysicalOffset(position),
                    store_timestamp_ms: 1,
                })
                .collect::<Vec<_>>()
        };
        feed.feed(PhysicalOffset(0), PhysicalOffset(10), keys(0..3));
        feed.feed(PhysicalOffset(10), PhysicalOffset(20), Vec::new());
        feed.feed(PhysicalOffset(20), PhysicalOffset(30), keys(20..22));
        index.expect_none().await;
        assert!(feed.has_gathered());
        feed.hand_over();
        let add = index.next().await;
        assert_eq!((add.from, add.upto), (PhysicalOffset(0), PhysicalOffset(30)));
        assert_eq!(add.keys.map(|keys| keys.len()), Some(5));
        assert_eq!(backlog.keys.load(Ordering::Relaxed), 5);
        feed.feed(
            PhysicalOffset(30),
            PhysicalOffset(99_999),
            keys(30..30 + KEYS_PER_MESSAGE as u64),
        );
        assert!(!feed.has_gathered(), "so many do not wait");
        assert_eq!(index.next().await.upto, PhysicalOffset(99_999));
    }

    #[actix::test]
    async fn a_fault_of_the_disk_is_not_told_as_a_message_that_was_never_stored() {
        let memory = MemoryDisk::new(1);
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let sizes = Layout::new(10, 100).unwrap();
        let (mut files, _) = Files::open(&disk, Path::new("/store"), sizes, Opening::Clean).unwrap();
        let key = IndexKey {
            hash: 7,
            physical_offset: PhysicalOffset(100),
            store_timestamp_ms: 1_700_000_000_000,
        };
        files.put_batch(&[key], PhysicalOffset(200)).unwrap();
        let log = Arc::new(LogView::new(Vec::new()));
        let mut parts = Some(IndexParts {
            files,
            backlog: Arc::default(),
            confirmed: Probe::new().recipient(),
            poison: Probe::new().recipient(),
            gate: Arc::new(SendGate::new(Arc::clone(&log), 0)),
            log,
            flush_interval: Duration::from_secs(60),
        });
        let mut stage = Stage::new();
        let index = stage.start("index", move |_| Ok(Index::new(parts.take().ok_or("it has failed")?)));
        let question = Question {
            hash: 7,
            most: 64,
            begin_ms: 0,
            end_ms: i64::MAX,
        };
        let found = index.send(Query(question)).await.unwrap().unwrap();
        assert_eq!(found.physical_offsets, [PhysicalOffset(100)]);
        memory.inject(Fault::new(Operation::Read).on("index"));
        assert!(index.send(Query(question)).await.unwrap().is_err());
    }

    fn is_all_that_was_left(add: &AddKeys) -> bool {
        (add.from, add.upto, &add.keys) == (PhysicalOffset(100), PhysicalOffset(300), &None)
    }

    #[actix::test]
    async fn keys_left_out_under_load_are_read_when_the_index_has_caught_up_though_nothing_follows() {
        let (mut stage, mut index) = (Stage::new(), Probe::new());
        let backlog = Arc::<Backlog>::default();
        let log = overloaded(&mut stage, &index, &backlog);
        let (target, upto) = (Target::Index, PhysicalOffset(50));
        log.send(Confirmed { target, upto }).await.unwrap();
        index.expect_none().await;
        backlog.keys.store(0, Ordering::Relaxed);
        log.send(Confirmed { target, upto }).await.unwrap();
        assert!(is_all_that_was_left(&index.next().await));
        log.send(Confirmed { target, upto }).await.unwrap();
        index.expect_none().await;
    }

    #[actix::test]
    async fn keys_left_out_under_load_are_read_before_a_stop() {
        let (mut stage, mut index) = (Stage::new(), Probe::new());
        let backlog = Arc::<Backlog>::default();
        let log = overloaded(&mut stage, &index, &backlog);
        let (done, settled) = oneshot::channel();
        log.send(Settle { done }).await.unwrap();
        settled.await.unwrap();
        assert!(is_all_that_was_left(&index.next().await));
        index.expect_none().await;
    }
}
