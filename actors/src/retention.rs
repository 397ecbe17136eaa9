//! Keeps the checkpoint and watches the disk. (Deletion of old files is not done yet: nothing is deleted before its time,
//! and sends are refused when the disk is nearly full.)
//!
//! The checkpoint moves on only over what the consume queues and the index have synced: RocketMQ's file by the store time of
//! the first record that is not confirmed, our own note by its position.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, Recipient};
use cuemq_storage::StoreError;
use cuemq_storage::checkpoint::{Checkpoint, CheckpointFile};
use cuemq_storage::commit_log::LogView;
use cuemq_storage::disk::Disk;
use cuemq_storage::position::PhysicalOffset;
use cuemq_storage::recovery::{LogNote, StoreLayout, times_of, write_note};

use crate::commit_log::{Poison, SendGate};
use crate::supervise::Context;

/// Write the checkpoint now. From `BrokerSystem`, when it stops; true when it is written.
#[derive(Message, Debug)]
#[rtype(result = "bool")]
pub struct WriteCheckpoint;

/// What the actor works with.
pub struct RetentionParts {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// Where the store lies.
    pub layout: StoreLayout,
    /// The log.
    pub log: Arc<LogView>,
    /// Closed while the disk is full.
    pub gate: Arc<SendGate>,
    /// Hears of failures.
    pub poison: Recipient<Poison>,
    /// How many bytes have to stay free.
    pub free_bytes: u64,
    /// How often all this is done.
    pub interval: Duration,
}

/// The actor.
pub struct Retention {
    parts: RetentionParts,
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
    pub fn open(parts: RetentionParts) -> Result<Self, StoreError> {
        let file = CheckpointFile::open(parts.disk.as_ref(), &parts.layout.root)?;
        let noted_ms = file.read().commit_log_ms;
        Ok(Self { parts, file, noted: PhysicalOffset(0), noted_ms })
    }

    fn write(&mut self) -> Result<(), StoreError> {
        // Read first: what is written meanwhile is stored at this time or later.
        let last_store_ms = self.parts.log.last_store_ms();
        let confirmed = self.parts.log.confirmed();
        if confirmed == self.noted && self.noted != PhysicalOffset(0) {
            return Ok(());
        }
        let mut first = None;
        self.parts.log.walk(confirmed, |record| {
            first = Some(record.store_timestamp_ms());
            false
        });
        let time_ms = self.noted_ms.max(first.unwrap_or(last_store_ms));
        let checkpoint = Checkpoint { commit_log_ms: time_ms, consume_queue_ms: time_ms, index_ms: time_ms };
        self.file.write(checkpoint)?;
        let durable = self.parts.log.durable().0;
        let note = LogNote { durable, confirmed: confirmed.0, checkpoint: times_of(checkpoint) };
        write_note(self.parts.disk.as_ref(), &self.parts.layout, &note)?;
        self.noted = confirmed;
        self.noted_ms = time_ms;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "at most once: the store is poisoned after it")]
    fn turn(&mut self) {
        self.look_at_disk();
        if let Err(error) = self.write() {
            self.parts.poison.do_send(Poison(error));
        }
    }

    fn look_at_disk(&self) {
        let root: &PathBuf = &self.parts.layout.commit_log;
        match self.parts.disk.space(root) {
            Ok(space) if self.parts.gate.note_space(space.available, self.parts.free_bytes) => {
                let full = self.parts.gate.is_full();
                let (available, needed) = (space.available, self.parts.free_bytes);
                tracing::warn!(full, available, needed, "room on the disk: sends are refused while it is full");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, path = %root.display(), "the room on the disk cannot be told"),
        }
    }
}

impl Actor for Retention {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look_at_disk();
        ctx.run_interval(self.parts.interval, |actor, _| actor.turn());
    }
}

impl Handler<WriteCheckpoint> for Retention {
    type Result = bool;

    fn handle(&mut self, _: WriteCheckpoint, _: &mut Self::Context) -> bool {
        let written = self.write();
        if let Err(error) = &written {
            tracing::error!(%error, "the checkpoint cannot be written");
        }
        written.is_ok()
    }
}
