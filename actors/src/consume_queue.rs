//! One for each topic and queue: the only writer of that queue's files below `consumequeue/` and `consumequeue_ext/`.
//! Dispatch, step 7 of a send: adds the units of new messages, shows them to readers, wakes the pulls that wait for them.
//!
//! On its first start, and after it was let go, it lacks nothing but what it is about to be handed: it opens its files, or
//! takes those that recovery has opened, and reads nothing. Built anew after a failure, it reads the log from the position
//! that everybody has confirmed, and adds what it lacks; what waits in its mailbox is skipped when it is there already.
//!
//! On a full disk it starves: it drops what it is handed, keeps the gate closed for sends, and tries again now and then to
//! read from the log what it lacks. Since sends are refused, that is never much.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Handler, Message, Recipient, SpawnHandle, WrapFuture};
use cuemq_storage::StoreError;
use cuemq_storage::commit_log::{LogView, QueueName, QueueUnits};
use cuemq_storage::consume_queue::{AppendError, ConsumeQueue as Queue, Opening, QueuePlace, QueueSync, Synced, Unit};
use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::disk::Disk;
use cuemq_storage::log_state::Target;
use cuemq_storage::position::PhysicalOffset;
use cuemq_storage::queue_directory::QueueHandle;
use cuemq_storage::recovery::refill;
use cuemq_storage::timer::TIMER_TOPIC;
use tokio::sync::oneshot;

use crate::commit_log::{Confirmed, Poison, QueueIdle};
use crate::filter::BitMaps;
use crate::hold::actor::Arrived;
use crate::send_gate::{RETRY, SendGate, Starving};
use crate::supervise::{Cause, Context};
use crate::timer::actor::WakeTimers;

mod actors;
#[cfg(test)]
mod life_test;
pub mod open_files;
mod retention;

pub use actors::{FoundQueue, Heritage, NewHandle, QueueActors, QueueStart};
pub use retention::{RemoveFiles, TrimQueue};

use open_files::{OpenFile, OpenFiles, Turn};
use retention::Removal;

/// A queue that had nothing to do for this long lets its files go.
const IDLE: Duration = Duration::from_secs(300);

/// Add these units. From `CommitLog`, one for each tick that touches the queue, bounded by the bytes in flight.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AddUnits {
    /// The units and where they begin.
    pub units: QueueUnits,
    /// The end of the tick in the log.
    pub upto: PhysicalOffset,
}

/// Forget all units, and have no more of those whose records lie in front of `upto`: the topic was deleted. From `CommitLog`,
/// one for each deletion.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Clear {
    /// All that was added lies in front of this.
    pub upto: PhysicalOffset,
    /// Is told when the files are gone, and dropped when they cannot be removed.
    pub done: oneshot::Sender<()>,
}

/// Sync a queue's files. To the queues' flusher, at most one for each queue.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SyncQueue {
    /// What to sync.
    pub job: QueueSync,
    /// Is told what was made durable. A queue that has been built anew since hears nothing of a sync that the one before it
    /// asked for: its files may have been cut and written again.
    pub answer: oneshot::Sender<Result<Synced, StoreError>>,
    /// Hears of a failure that the queue does not hear of any more: a further sync of the same pages says nothing.
    pub poison: Recipient<Poison>,
}

/// Where a queue lies, and whom it works with; the same for all of a broker's queues.
pub struct QueueNeighbours {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The store's directory.
    pub root: PathBuf,
    /// The length of a new file in bytes.
    pub file_bytes: u64,
    /// The length of a file of its extension in bytes; `None` writes none.
    pub extension_file_bytes: Option<u64>,
    /// Makes the bitmaps of messages, where their filters are tried when they come.
    pub bitmaps: Option<BitMaps>,
    /// The delay levels.
    pub levels: DelayLevels,
    /// The log, to be read again after a failure.
    pub log: Arc<LogView>,
    /// Syncs the files.
    pub syncer: Recipient<SyncQueue>,
    /// Removes old ones.
    pub remover: Recipient<RemoveFiles>,
    /// Hold the pulls that wait, one for each I/O thread.
    pub holds: Vec<Recipient<Arrived>>,
    /// Hears what is durable.
    pub confirmed: Recipient<Confirmed>,
    /// Hears of failures.
    pub poison: Recipient<Poison>,
    /// Kept closed while a queue finds no room.
    pub gate: Arc<SendGate>,
    /// Hears what came to wait for its time.
    pub timers: WakeTimers,
    /// Hears of idleness.
    pub idle: Recipient<QueueIdle>,
    /// How long units stay unsynced, where there are not many queues.
    pub sync_interval: Duration,
    /// The descriptors that the queues share.
    pub open_files: Arc<OpenFiles>,
}

/// The actor.
pub struct ConsumeQueue {
    queue: Queue,
    name: QueueName,
    handle: Arc<QueueHandle>,
    neighbours: Arc<QueueNeighbours>,
    /// Up to where in the log it holds everything: the end of the last tick that was added.
    upto: PhysicalOffset,
    /// Since when the disk has no room for what it lacks.
    starved: Option<Starving>,
    /// Whether a sync is under way.
    syncing: bool,
    /// Its turn among the queues that wait for their sync.
    turn: Option<Turn>,
    /// Its right to keep a file open.
    open: Option<OpenFile>,
    /// As `upto`, when idleness was looked for last.
    upto_at_last_look: PhysicalOffset,
    announced: bool,
    /// The look for idleness that is due.
    look: Option<SpawnHandle>,
    removal: Removal,
}

impl ConsumeQueue {
    /// Owns a queue that lacks nothing but what it will be handed.
    #[must_use]
    pub fn new(queue: Queue, name: QueueName, handle: Arc<QueueHandle>, neighbours: Arc<QueueNeighbours>) -> Self {
        handle.replace(queue.view());
        let (syncing, announced) = (false, false);
        Self {
            queue,
            name,
            handle,
            neighbours,
            upto: PhysicalOffset(0),
            starved: None,
            syncing,
            turn: None,
            open: None,
            upto_at_last_look: PhysicalOffset(0),
            announced,
            look: None,
            removal: Removal::None,
        }
    }

    /// Opens the files of a queue that is new, or that was let go in order.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn open(name: QueueName, handle: Arc<QueueHandle>, neighbours: Arc<QueueNeighbours>) -> Result<Self, Cause> {
        let queue = open_files(&name, &neighbours)?;
        Ok(Self::new(queue, name, handle, neighbours))
    }

    /// Opens the queue's files after a failure, and adds what the log has and they lack, if there is room.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    fn reopen(name: QueueName, handle: Arc<QueueHandle>, neighbours: Arc<QueueNeighbours>) -> Result<Self, Cause> {
        let from = neighbours.log.confirmed().max(handle.deleted_before());
        let mut queue = open_files(&name, &neighbours)?;
        // Readers are shown it when it has what the one before had in memory alone: its end never falls.
        let taken = refill(&mut queue, &name, &neighbours.log, &neighbours.levels, from);
        let mut reopened = Self::new(queue, name, handle, neighbours);
        match taken {
            Ok(reached) => reopened.took(reached),
            Err(AppendError::Store(error)) if error.is_no_room() => reopened.starve(from, &error),
            Err(error) => return Err(error.into()),
        }
        Ok(reopened)
    }

    /// Adds what the log has from `from` on and the queue lacks. That is to be confirmed as well.
    fn take_from_log(&mut self, from: PhysicalOffset) -> Result<(), AppendError> {
        let (log, levels) = (&self.neighbours.log, &self.neighbours.levels);
        let reached = refill(&mut self.queue, &self.name, log, levels, from)?;
        self.took(reached);
        Ok(())
    }

    fn took(&mut self, upto: PhysicalOffset) {
        self.upto = self.upto.max(upto);
        self.handle.behind().taken(upto);
    }

    fn starve(&mut self, from: PhysicalOffset, error: &StoreError) {
        let gate = &self.neighbours.gate;
        self.starved.get_or_insert_with(|| gate.starve(from, error));
    }

    /// Tries to add what there was no room for.
    fn feed(&mut self, ctx: &mut Context<Self>) {
        let Some(from) = self.starved.as_ref().map(Starving::from) else {
            return;
        };
        // That there is room for one more in memory says nothing of the disk.
        let taken = self.take_from_log(from).and_then(|()| Ok(self.queue.write_newest()?));
        match taken {
            Ok(()) => {
                self.starved = None;
                self.announce(None);
                self.sync_later(ctx);
            }
            Err(error) => self.not_added(from, error, ctx),
        }
    }

    /// Notes which filters want the messages, if that is noted.
    fn mark(&self, units: &mut QueueUnits) {
        if let Some(bitmaps) = &self.neighbours.bitmaps {
            bitmaps.mark(&self.name.topic, units, &self.neighbours.log);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "at most once in a life: the failure ends it")]
    fn not_added(&mut self, from: PhysicalOffset, error: AppendError, ctx: &mut Context<Self>) {
        match error {
            other @ (AppendError::Gap { .. } | AppendError::Conflict { .. }) => ctx.fail(other),
            AppendError::Store(error) if error.is_no_room() => {
                self.starve(from, &error);
                ctx.run_later(RETRY, Self::feed);
            }
            AppendError::Store(error) => self.neighbours.poison.do_send(Poison(error)),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "one for each tick and I/O thread, while somebody waits"
    )]
    fn announce(&mut self, units: Option<&[Unit]>) {
        if *self.name.topic == *TIMER_TOPIC {
            self.neighbours.timers.wake();
        }
        // Who waited for a queue that did not exist could not tell it so.
        if self.announced && !self.handle.is_awaited() {
            return;
        }
        self.announced = true;
        let tags_codes: Option<Arc<[i64]>> = units.map(|units| units.iter().map(|unit| unit.tags_code).collect());
        for hold in &self.neighbours.holds {
            hold.do_send(Arrived {
                topic: Arc::clone(&self.name.topic),
                queue_id: self.name.queue_id,
                max_offset: self.queue.end(),
                tags_codes: tags_codes.clone(),
            });
        }
    }

    #[expect(clippy::disallowed_methods, reason = "one sync for each queue at a time")]
    fn sync(&mut self, ctx: &mut Context<Self>) {
        self.turn = None;
        if self.syncing {
            return;
        }
        let job = match self.queue.dirty() {
            Ok(job) => job,
            Err(error) => return self.not_added(self.upto, error.into(), ctx),
        };
        if let Some(job) = job {
            let (upto, deleted) = (self.upto, self.handle.deleted_before());
            self.syncing = true;
            let (answer, synced) = oneshot::channel();
            let poison = self.neighbours.poison.clone();
            self.neighbours.syncer.do_send(SyncQueue { job, answer, poison });
            ctx.spawn(synced.into_actor(self).map(move |synced, actor, ctx| {
                let is_void = actor.handle.deleted_before() != deleted;
                let synced = synced.ok().filter(|synced| synced.is_ok() || !is_void);
                actor.synced(upto, synced, ctx);
            }));
        }
    }

    fn sync_later(&mut self, ctx: &mut Context<Self>) {
        if self.turn.is_none() && !self.syncing {
            let (turn, wait) = self.neighbours.open_files.turn(self.neighbours.sync_interval);
            self.turn = Some(turn);
            ctx.run_later(wait, Self::sync);
        }
    }

    /// Syncs what was added and lets the file go, since there is no descriptor to spare for it.
    #[expect(clippy::disallowed_methods, reason = "one for each tick that finds no descriptor")]
    fn sync_here(&mut self) {
        match self.queue.sync() {
            Ok(()) => {
                let (target, upto) = (Target::Queue(self.handle.slot()), self.upto);
                self.neighbours.confirmed.do_send(Confirmed { target, upto });
                self.release();
            }
            Err(error) => self.neighbours.poison.do_send(Poison(error)),
        }
    }

    fn may_stay_open(&mut self) -> bool {
        if self.open.is_none() {
            self.open = self.neighbours.open_files.take();
        }
        self.open.is_some()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "at most once in a life: the store takes nothing any more"
    )]
    fn release(&mut self) {
        match self.queue.release() {
            Ok(()) => self.open = None,
            Err(error) => self.neighbours.poison.do_send(Poison(error)),
        }
    }

    /// Takes the outcome of a sync that covers the ticks up to `upto`; `None` when the flusher lost it, or when it failed and
    /// the topic was deleted meanwhile: files and directories that were removed under it are nothing to sync.
    #[expect(clippy::disallowed_methods, reason = "one for each sync")]
    fn synced(&mut self, upto: PhysicalOffset, synced: Option<Result<Synced, StoreError>>, ctx: &mut Context<Self>) {
        self.syncing = false;
        match synced {
            Some(Ok(synced)) => {
                self.queue.confirm(synced);
                let target = Target::Queue(self.handle.slot());
                self.neighbours.confirmed.do_send(Confirmed { target, upto });
            }
            Some(Err(error)) => return self.neighbours.poison.do_send(Poison(error)),
            None => {}
        }
        if self.queue.is_dirty() {
            self.sync_later(ctx);
        } else if self.neighbours.open_files.is_tight() {
            self.release();
        }
    }

    /// Looks for idleness some time from now. One that was found idle looks again only after it has been used: without a
    /// timer, an actor whose address has been let go ends.
    fn look_later(&mut self, ctx: &mut Context<Self>) {
        if self.look.is_none() {
            self.look = Some(ctx.run_later(IDLE, Self::look_for_idleness));
        }
    }

    #[expect(clippy::disallowed_methods, reason = "once for each deletion of its topic")]
    fn clear(&mut self, upto: PhysicalOffset) -> Result<(), StoreError> {
        // What it lacked is not wanted any more.
        self.starved = None;
        self.queue.clear()?;
        // Thousands may be deleted at once, and others want the descriptors.
        self.release();
        self.took(upto);
        let target = Target::Queue(self.handle.slot());
        self.neighbours.confirmed.do_send(Confirmed { target, upto });
        Ok(())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "at most once in a life: the store takes nothing any more"
    )]
    fn take_clear(&mut self, Clear { upto, done }: Clear, ctx: &mut Context<Self>) {
        match self.clear(upto) {
            Ok(()) => {
                // Who asked may have gone.
                let _ = done.send(());
                self.look_now(ctx);
            }
            Err(error) => self.neighbours.poison.do_send(Poison(error)),
        }
    }

    /// Takes a queue without units for idle, whenever it was used last: its topic may never come again.
    fn look_now(&mut self, ctx: &mut Context<Self>) {
        if let Some(look) = self.look.take() {
            ctx.cancel_future(look);
        }
        self.upto_at_last_look = self.upto;
        self.look_for_idleness(ctx);
    }

    #[expect(clippy::disallowed_methods, reason = "once for each idle time")]
    fn look_for_idleness(&mut self, ctx: &mut Context<Self>) {
        self.look = None;
        let removes = matches!(self.removal, Removal::UnderWay(_));
        let owes = self.syncing || removes || self.starved.is_some() || self.queue.is_dirty();
        let idle = self.upto == self.upto_at_last_look && !owes;
        self.upto_at_last_look = self.upto;
        if idle {
            self.release();
            self.neighbours.idle.do_send(QueueIdle {
                slot: self.handle.slot(),
                upto: self.upto,
            });
        } else {
            self.look_later(ctx);
        }
    }
}

/// The factory of a queue's actor: the first value gets the files that are open, or opens them; each later one follows on a
/// failure.
pub fn build(
    name: QueueName,
    handle: Arc<QueueHandle>,
    files: Option<Queue>,
    neighbours: Arc<QueueNeighbours>,
) -> impl FnMut(&mut Context<ConsumeQueue>) -> Result<ConsumeQueue, Cause> {
    let mut first = Some(files);
    move |_| {
        let (name, handle, neighbours) = (name.clone(), Arc::clone(&handle), Arc::clone(&neighbours));
        match first.take() {
            Some(Some(files)) => Ok(ConsumeQueue::new(files, name, handle, neighbours)),
            Some(None) => ConsumeQueue::open(name, handle, neighbours),
            None => ConsumeQueue::reopen(name, handle, neighbours),
        }
    }
}

/// Opens a queue's files within the same process.
fn open_files(name: &QueueName, neighbours: &QueueNeighbours) -> Result<Queue, StoreError> {
    let place = QueuePlace {
        root: &neighbours.root,
        topic: &name.topic,
        queue_id: name.queue_id,
    };
    let opening = Opening::Again(neighbours.log.confirmed());
    let (mut queue, _) = Queue::open(&neighbours.disk, place, neighbours.file_bytes, opening)?;
    if let Some(file_bytes) = neighbours.extension_file_bytes {
        queue.open_extension(file_bytes, opening)?;
    }
    queue.correct_min(neighbours.log.minimum())?;
    Ok(queue)
}

impl Actor for ConsumeQueue {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look_later(ctx);
        if self.starved.is_some() {
            ctx.run_later(RETRY, Self::feed);
        }
        self.sync_later(ctx);
    }

    #[expect(clippy::disallowed_methods, reason = "once, at the end")]
    fn stopped(&mut self, ctx: &mut Self::Context) {
        self.feed(ctx);
        match self.queue.sync() {
            Ok(()) => {
                let target = Target::Queue(self.handle.slot());
                self.neighbours.confirmed.do_send(Confirmed {
                    target,
                    upto: self.upto,
                });
            }
            Err(error) => self.neighbours.poison.do_send(Poison(error)),
        }
    }
}

impl Handler<AddUnits> for ConsumeQueue {
    type Result = ();

    fn handle(&mut self, AddUnits { mut units, upto }: AddUnits, ctx: &mut Self::Context) {
        self.look_later(ctx);
        if self.starved.is_some() {
            return;
        }
        self.mark(&mut units);
        match self.queue.append(units.first, &units.units, units.stored.as_deref()) {
            Ok(_) => {
                self.took(upto);
                self.announce(Some(&units.units));
                if self.may_stay_open() {
                    self.sync_later(ctx);
                } else {
                    self.sync_here();
                }
            }
            Err(error) => {
                let first = units.units.first().map_or(upto, |unit| unit.physical_offset);
                self.not_added(first, error, ctx);
            }
        }
    }
}

impl Handler<Clear> for ConsumeQueue {
    type Result = ();

    fn handle(&mut self, clear: Clear, ctx: &mut Self::Context) {
        if let Some(clear) = self.put_off(clear) {
            self.take_clear(clear, ctx);
        }
    }
}
