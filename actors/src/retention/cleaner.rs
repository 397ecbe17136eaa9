//! Deletes what is old, in the order in which nothing is ever missing: first the log's owner lets go of a file and it is
//! removed, then the consume queues begin behind it, then the index's files go. Who reads a file that was let go of reads
//! on: its mapping, and its blocks on the disk, go with the last reader, here and not on a thread that must not block.
//! (RocketMQ takes a file from its readers after 120 s; here a reader that takes nothing for 30 s loses its connection.)

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use cuemq_storage::StoreError;
use cuemq_storage::clock::Clock;
use cuemq_storage::commit_log::{LogView, remove_before};
use cuemq_storage::disk::Disk;
use cuemq_storage::position::PhysicalOffset;
use cuemq_storage::queue_directory::{QueueDirectory, QueueHandle};
use cuemq_storage::recovery::StoreLayout;
use cuemq_storage::retention::{Hours, Reason, Rules, Sight};
use cuemq_storage::segment::Segment;
use tokio::sync::oneshot;

use super::undelivered::undelivered;
use crate::commit_log::{DropBefore, TrimQueues};
use crate::config::RetentionConfig;
use crate::config::live::LiveSettings;
use crate::index::DropKeys;
use crate::local_time;
use crate::metrics::Metrics;
use crate::offset::actor::ExportOffsets;
use crate::pending::Pending;
use crate::timer::MakeWay;

/// How many files one round deletes at most, as in RocketMQ.
const FILES_PER_ROUND: usize = 10;
/// What waits for its time is written again at most this often, however soon messages are old.
const MOVED_AFTER_MS: u64 = 3_600_000;
/// How many consume queues are looked at before others of the thread have their turn.
const QUEUES_AT_ONCE: usize = 64;

/// What a cleaner works with.
#[derive(Clone)]
pub struct CleanerParts {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the store lies.
    pub layout: StoreLayout,
    /// The rules as they were set at the start.
    pub config: RetentionConfig,
    /// What of them has changed since.
    pub live: LiveSettings,
    /// The log.
    pub log: Arc<LogView>,
    /// The consume queues.
    pub queues: Arc<QueueDirectory>,
    /// Lets go of the log's files.
    pub drop: Recipient<DropBefore>,
    /// Has consume queues begin later.
    pub trim: Recipient<TrimQueues>,
    /// Removes the index's files, unless it is switched off.
    pub keys: Option<Recipient<DropKeys>>,
    /// Tells what groups have committed.
    pub offsets: Recipient<ExportOffsets>,
    /// Counts what groups lose.
    pub metrics: Arc<Metrics>,
    /// What waits to be delivered, and is kept until it is.
    pub pending: Pending,
    /// Moves what waits for a time of its own.
    pub make_way: Recipient<MakeWay>,
}

/// Deletes, one round at a time.
pub struct Cleaner {
    parts: CleanerParts,
    /// Files that are removed and perhaps still read.
    retired: Vec<Arc<Segment>>,
    /// Where the log began when the queues and the index were told last.
    followed: PhysicalOffset,
    /// The messages that groups have lost since then.
    undelivered: u64,
}

/// The oldest file of the log.
struct Oldest {
    end: PhysicalOffset,
    stored_ms: u64,
    log_bytes: u64,
}

impl Cleaner {
    /// A cleaner of a store whose queues know where the log begins.
    #[must_use]
    pub fn new(parts: CleanerParts) -> Self {
        let (retired, followed) = (Vec::new(), parts.log.minimum());
        Self {
            parts,
            retired,
            followed,
            undelivered: 0,
        }
    }

    /// How often a round is due.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.parts.config.interval
    }

    /// Deletes what has to go now. `asked` says that somebody has asked for what is old enough, whatever the hour.
    pub async fn round(&mut self, asked: bool) {
        for _ in 0..FILES_PER_ROUND {
            if !self.delete_oldest(asked).await {
                break;
            }
            self.rest().await;
        }
        if self.parts.log.minimum() != self.followed {
            self.follow().await;
        }
    }

    /// Has the consume queues and the index begin where the log begins. Gives the topics of which it has no message any more.
    pub async fn follow(&mut self) -> Vec<Arc<str>> {
        self.undelivered = 0;
        let log_min = self.parts.log.minimum();
        if let Some(keys) = &self.parts.keys {
            // One that is starting anew has the next deletion remove more.
            let _ = keys.send(DropKeys(log_min)).await;
        }
        let mut queues = Vec::new();
        let all = &self.parts.queues;
        all.for_each(|topic, _, queue| queues.push((Arc::clone(topic), Arc::clone(queue))));
        let mut has_messages: BTreeMap<Arc<str>, bool> = BTreeMap::new();
        for some in queues.chunks(QUEUES_AT_ONCE) {
            if self.trim(some, log_min, &mut has_messages).await {
                self.rest().await;
            } else {
                tokio::task::yield_now().await;
            }
        }
        self.followed = log_min;
        has_messages.retain(|_, has_messages| !*has_messages);
        has_messages.into_keys().collect()
    }

    /// Lets go of removed files that nobody reads any more.
    pub fn let_go(&mut self) {
        self.retired.retain(|segment| Arc::strong_count(segment) > 1);
    }

    /// The room that is used on the fuller one of the store's disks, from 0 to 1.
    fn used(&self) -> Result<f64, StoreError> {
        let mut used: f64 = 0.0;
        for directory in [&self.parts.layout.commit_log, &self.parts.layout.root] {
            let space = self.parts.disk.space(directory);
            let space = space.map_err(|error| StoreError::io("ask for the room of", directory, error))?;
            used = used.max(space.used_ratio());
        }
        Ok(used)
    }

    fn rules(&self) -> Rules {
        let live = &self.parts.live;
        let bits = u32::try_from(live.retention_hours.get()).unwrap_or(0);
        Rules {
            age_ms: live.retention_age_ms.get(),
            hours: Hours::of_bits(bits),
            ..self.parts.config.rules()
        }
    }

    /// The oldest file, unless it is the only one with messages. Its last record was stored before the first one of the next
    /// file.
    fn oldest(&self) -> Result<Option<Oldest>, StoreError> {
        let segments = self.parts.log.segments().load();
        let ([oldest, next, ..], Some(last)) = (segments.as_slice(), segments.as_slice().last()) else {
            return Ok(None);
        };
        let stored_ms = self.parts.log.store_time(PhysicalOffset(next.start()))?;
        Ok(stored_ms.map(|stored_ms| Oldest {
            end: PhysicalOffset(oldest.end()),
            stored_ms: u64::try_from(stored_ms).unwrap_or(0),
            log_bytes: last.end() - oldest.start(),
        }))
    }

    /// Deletes the oldest file if it has to go; whether it did.
    async fn delete_oldest(&mut self, asked: bool) -> bool {
        self.let_go();
        match self.judge(asked) {
            Ok(Some((oldest, reason))) if self.make_way(&oldest, reason).await => self.delete(&oldest, reason).await,
            Ok(Some(_)) => false,
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(%error, "it cannot be told whether old messages are to be deleted; tried again soon");
                false
            }
        }
    }

    fn judge(&self, asked: bool) -> Result<Option<(Oldest, Reason)>, StoreError> {
        let Some(oldest) = self.oldest()? else { return Ok(None) };
        let now_ms = self.parts.clock.now_ms();
        let sight = Sight {
            now_ms,
            hour: local_time::hour(now_ms),
            asked,
            log_bytes: oldest.log_bytes,
            used: self.used()?,
            oldest_ms: oldest.stored_ms,
        };
        let reason = self.rules().verdict(&sight);
        // The disk has the room of a removed file only when its last reader has gone.
        let reason = reason.filter(|reason| *reason != Reason::Forced || self.retired.is_empty());
        let reason = reason.filter(|reason| {
            let waits = self.parts.pending.is_before(oldest.end);
            if waits && reason.is_before_its_time() {
                tracing::warn!(
                    "the oldest file of messages stays although room is wanted: messages in it wait to be delivered"
                );
            }
            !waits
        });
        Ok(reason.map(|reason| (oldest, reason)))
    }

    /// Has what waits in the file for a time of its own written again behind it; whether nothing does by now.
    async fn make_way(&self, oldest: &Oldest, reason: Reason) -> bool {
        let timers = &self.parts.pending.timers;
        if !timers.is_before(oldest.end) {
            return true;
        }
        let rest_ms = if reason.is_before_its_time() { 0 } else { MOVED_AFTER_MS };
        let (done, moved) = oneshot::channel();
        let asked = self.parts.make_way.send(MakeWay {
            before: oldest.end,
            stored_before_ms: self.parts.clock.now_ms().saturating_sub(rest_ms),
            done,
        });
        let moved = asked.await.is_ok() && moved.await.is_ok();
        if !moved && reason.is_before_its_time() {
            tracing::warn!(
                "the oldest file of messages stays although room is wanted: messages in it wait to be delivered, and cannot \
                 be moved"
            );
        }
        moved && !timers.is_before(oldest.end)
    }

    async fn delete(&mut self, oldest: &Oldest, reason: Reason) -> bool {
        let dropped = self.parts.drop.send(DropBefore(oldest.end)).await.unwrap_or_default();
        let Some(last) = dropped.last() else { return false };
        let file = last.path().display().to_string();
        self.retired.extend(dropped);
        let log_min = self.parts.log.minimum();
        if reason.is_before_its_time() {
            let offsets = self.parts.offsets.send(ExportOffsets).await.unwrap_or_default();
            let all = undelivered(&offsets, &self.parts.queues, log_min);
            let undelivered = all.saturating_sub(self.undelivered);
            self.undelivered = all;
            self.parts.metrics.deleted_undelivered.add(undelivered);
            tracing::warn!(file, ?reason, undelivered, "a file of messages goes before its time");
        } else {
            tracing::info!(file, ?reason, "a file of old messages goes");
        }
        match remove_before(self.parts.disk.as_ref(), &self.parts.layout.commit_log, log_min) {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(%error, "a file of old messages cannot be removed; tried again with the next one");
                false
            }
        }
    }

    /// Has these queues begin where the log does; whether any of them had to. Notes of their topics whether any message is
    /// left.
    async fn trim(
        &self,
        queues: &[(Arc<str>, Arc<QueueHandle>)],
        log_min: PhysicalOffset,
        has_messages: &mut BTreeMap<Arc<str>, bool>,
    ) -> bool {
        let mut trims = Vec::new();
        for (topic, queue) in queues {
            let view = queue.view();
            let end = view.max_offset();
            let begin = match view.trim_to(log_min) {
                Ok(Some(trim)) => {
                    let begin = trim.min_offset();
                    trims.push((queue.slot(), trim));
                    Some(begin)
                }
                Ok(None) => Some(view.min_offset()),
                Err(error) => {
                    tracing::warn!(%error, "it cannot be told where a consume queue begins");
                    None
                }
            };
            *has_messages.entry(Arc::clone(topic)).or_default() |= begin.is_none_or(|begin| begin < end);
        }
        let some = !trims.is_empty();
        if some {
            let _ = self.parts.trim.send(TrimQueues(trims)).await;
        }
        some
    }

    async fn rest(&self) {
        let pause = self.parts.config.pause;
        tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
    }
}
