//! Deletes what is old (`CleanCommitLogService` and its kin in Java), keeps the checkpoint and watches the disk.
//!
//! Deletion is a [`Cleaner`]'s: this actor says when. By default nothing goes before its time; on a disk that is nearly full
//! sends are refused.
//!
//! The checkpoint moves on only over what the consume queues and the index have synced: RocketMQ's file by the store time of
//! the first record that is not confirmed, our own note by its position.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, Recipient, ResponseFuture, WrapFuture};
use cuemq_storage::StoreError;
use cuemq_storage::checkpoint::{Checkpoint, CheckpointFile};
use cuemq_storage::commit_log::LogView;
use cuemq_storage::disk::Disk;
use cuemq_storage::position::PhysicalOffset;
use cuemq_storage::queue_directory::QueueDirectory;
use cuemq_storage::recovery::{Progress, StoreLayout, note_progress};
use tokio::sync::Mutex;

use crate::commit_log::{Poison, SendGate};
use crate::supervise::Context;

mod cleaner;
mod undelivered;

pub use cleaner::{Cleaner, CleanerParts};

/// For how many rounds old files go at any hour after somebody has asked, as in RocketMQ.
const ROUNDS_WHEN_ASKED: u32 = 20;

/// Delete the files that are old enough, whatever the hour (code 329): now and in the rounds that follow. From connections,
/// one of each at a time.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "()")]
pub struct DeleteExpired;

/// Have the consume queues and the index begin where the log begins, and tell of which topics the log has no message any
/// more (code 306). From connections, one of each at a time.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "Vec<Arc<str>>")]
pub struct FollowLog;

/// What the actor works with.
pub struct RetentionParts {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// Where the store lies.
    pub layout: StoreLayout,
    /// The log.
    pub log: Arc<LogView>,
    /// The consume queues.
    pub queues: Arc<QueueDirectory>,
    /// Closed while the disk is full.
    pub gate: Arc<SendGate>,
    /// Hears of failures.
    pub poison: Recipient<Poison>,
    /// How many bytes have to stay free.
    pub free_bytes: u64,
    /// How often the checkpoint is written and the disk looked at.
    pub interval: Duration,
}

/// The actor.
pub struct Retention {
    parts: RetentionParts,
    /// Held by whoever has it delete just now.
    cleaner: Arc<Mutex<Cleaner>>,
    /// How often it is looked whether a file goes.
    clean_interval: Duration,
    /// For how many rounds yet old files go at any hour.
    asked_rounds: u32,
    file: CheckpointFile,
    noted: PhysicalOffset,
    /// The store time of the last record below the position that was noted last.
    noted_ms: i64,
}

impl Retention {
    /// Opens the checkpoint.
    ///
    /// # Errors
    /// When its file cannot be opened.
    pub fn open(parts: RetentionParts, cleaner: Cleaner) -> Result<Self, StoreError> {
        let file = CheckpointFile::open(parts.disk.as_ref(), &parts.layout.root)?;
        let noted_ms = file.read().commit_log_ms;
        Ok(Self {
            parts,
            clean_interval: cleaner.interval(),
            cleaner: Arc::new(Mutex::new(cleaner)),
            asked_rounds: 0,
            file,
            noted: PhysicalOffset(0),
            noted_ms,
        })
    }

    /// `last` writes the note of an orderly end, which knows how many units the queues have.
    fn write(&mut self, last: bool) -> Result<(), StoreError> {
        // Read first: what is written meanwhile is stored at this time or later.
        let last_store_ms = self.parts.log.last_store_ms();
        let confirmed = self.parts.log.confirmed();
        if confirmed == self.noted && self.noted != PhysicalOffset(0) && !last {
            return Ok(());
        }
        let mut first = None;
        let read = self.parts.log.walk(confirmed, |record| {
            first = Some(record.store_timestamp_ms());
            false
        });
        if let Err(error) = read {
            // One that is too old does no harm.
            tracing::error!(%error, "the checkpoint stays as it is");
            return Ok(());
        }
        let time_ms = self.noted_ms.max(first.unwrap_or(last_store_ms));
        let checkpoint = Checkpoint {
            commit_log_ms: time_ms,
            consume_queue_ms: time_ms,
            index_ms: time_ms,
        };
        let progress = Progress {
            durable: self.parts.log.durable(),
            confirmed,
            queue_units: last.then(|| self.units()),
            stored_ms: last_store_ms,
        };
        let (disk, layout) = (self.parts.disk.as_ref(), &self.parts.layout);
        note_progress(disk, layout, &mut self.file, checkpoint, progress)?;
        self.noted = confirmed;
        self.noted_ms = time_ms;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "at most once: the store is poisoned after it")]
    fn turn(&mut self) {
        self.look_at_disk();
        if let Ok(mut cleaner) = self.cleaner.try_lock() {
            cleaner.let_go();
        }
        match self.write(false) {
            Ok(()) => {}
            // The old checkpoint stays, from which a restart has more to read again: no harm to what is stored.
            Err(error) if error.is_no_room() => tracing::warn!(%error, "no room for the checkpoint; tried again soon"),
            Err(error) => self.parts.poison.do_send(Poison(error)),
        }
    }

    /// Has a round of deletion begin, unless one is under way.
    fn clean(&mut self, ctx: &mut Context<Self>) {
        let asked = self.asked_rounds > 0;
        let cleaner = Arc::clone(&self.cleaner);
        if let Ok(mut cleaner) = cleaner.try_lock_owned() {
            self.asked_rounds = self.asked_rounds.saturating_sub(1);
            ctx.spawn(async move { cleaner.round(asked).await }.into_actor(self));
        }
    }

    fn units(&self) -> u64 {
        let mut units = 0;
        self.parts
            .queues
            .for_each(|_, _, queue| units += queue.view().max_offset().0);
        units
    }

    fn look_at_disk(&self) {
        let directory = &self.parts.layout.commit_log;
        let space = match self.parts.disk.space(directory) {
            Ok(space) => space,
            Err(error) => {
                tracing::warn!(%error, path = %directory.display(), "the room on the disk cannot be told");
                return;
            }
        };
        self.parts.gate.note_used(space.used_ratio(), space.total);
        if self.parts.gate.note_space(space.available, self.parts.free_bytes) {
            let full = self.parts.gate.is_full();
            let (available, needed) = (space.available, self.parts.free_bytes);
            tracing::warn!(
                full,
                available,
                needed,
                "room on the disk: sends are refused while it is full"
            );
        }
    }
}

impl Actor for Retention {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look_at_disk();
        ctx.run_interval(self.parts.interval, |actor, _| actor.turn());
        ctx.run_interval(self.clean_interval, Self::clean);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        // The commit log and all queues have stopped before, so nothing is added to what is confirmed.
        if let Err(error) = self.write(true) {
            tracing::error!(%error, "the last checkpoint cannot be written");
        }
    }
}

impl Handler<DeleteExpired> for Retention {
    type Result = ();

    fn handle(&mut self, _: DeleteExpired, ctx: &mut Self::Context) {
        self.asked_rounds = ROUNDS_WHEN_ASKED;
        self.clean(ctx);
    }
}

impl Handler<FollowLog> for Retention {
    type Result = ResponseFuture<Vec<Arc<str>>>;

    fn handle(&mut self, _: FollowLog, _: &mut Self::Context) -> Self::Result {
        let cleaner = Arc::clone(&self.cleaner);
        Box::pin(async move { cleaner.lock().await.follow().await })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cuemq_storage::disk::MemoryDisk;

    use super::*;
    use crate::config::RetentionConfig;
    use crate::config::live::LiveSettings;
    use crate::pending::Pending;
    use crate::testing::{ManualClock, Probe, unreadable_log};

    #[actix::test]
    async fn a_checkpoint_claims_nothing_while_the_record_that_is_not_confirmed_cannot_be_read() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(1));
        disk.create_directory(Path::new("/store")).unwrap();
        let log = unreadable_log();
        let parts = RetentionParts {
            disk: Arc::clone(&disk),
            layout: StoreLayout::at(Path::new("/store")),
            log: Arc::clone(&log),
            queues: Arc::default(),
            gate: Arc::new(SendGate::new(Arc::clone(&log), 0)),
            poison: Probe::new().recipient(),
            free_bytes: 0,
            interval: Duration::from_secs(1),
        };
        let cleaner = Cleaner::new(CleanerParts {
            disk: Arc::clone(&disk),
            clock: Arc::new(ManualClock::new(0)),
            layout: StoreLayout::at(Path::new("/store")),
            config: RetentionConfig::default(),
            live: LiveSettings::default(),
            log: Arc::clone(&log),
            queues: Arc::default(),
            drop: Probe::new().recipient(),
            trim: Probe::new().recipient(),
            keys: None,
            offsets: Probe::new().recipient(),
            metrics: Arc::default(),
            pending: Pending::default(),
            make_way: Probe::new().recipient(),
        });
        let mut retention = Retention::open(parts, cleaner).unwrap();
        for last in [false, true] {
            retention.write(last).unwrap();
            assert_eq!(retention.file.read(), Checkpoint::default());
            assert!(!disk.exists(Path::new("/store/cuemq/log")).unwrap());
        }
    }
}
