//! The commit log: one run of files that every message goes into, written by one owner.
//!
//! [`CommitLog`] is the plain logic behind the actor of that name: it gives batches their places, writes a tick's batches
//! with one call for each file, and answers them when the state machine says so. It does I/O only by `pwrite`; flushes and
//! new files are asked for by [`Effects`] and done elsewhere.
//!
//! | file | length | name |
//! |---|---|---|
//! | `commitlog/00000000000000000000` | `mappedFileSizeCommitLog`, 1 GiB by default | its first position, 20 digits |

mod batch;
pub mod derive;
mod dispatch;
mod files;
pub(crate) mod head;
mod parts;
mod paving;
mod queue_table;
mod retention;
mod tail;
mod view;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub use batch::{PendingKey, PendingRecord, RecordBatch, UNRESOLVED};
pub use dispatch::{Dispatch, QueueUnits};
pub use files::{FlushJob, LogFiles};
pub use parts::LogParts;
pub use paving::PaveJob;
pub use queue_table::{QueueName, QueueTable};
pub use retention::remove_before;
pub use tail::{BLANK_BYTES, PlaceError};
pub use view::LogView;

use self::dispatch::DispatchBuilder;
use self::tail::{LogTail, Piece};
use crate::error::StoreError;
use crate::log_state::{Acknowledge, FlushMode, Input, LogState, Outcome, Output, Target};
use crate::position::{FlushEpoch, PhysicalOffset};
use crate::segment::SegmentWriter;

/// A batch with the outcome of its append.
#[derive(Debug)]
pub struct Answer<C> {
    /// The batch, its records placed when it was stored.
    pub batch: Box<RecordBatch<C>>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What the owner has to do after a step, in this order.
#[derive(Debug)]
pub struct Effects<C> {
    /// Start these flushes, each behind those before it; give their results back by [`CommitLog::flushed`] or
    /// [`CommitLog::fail`].
    pub flushes: Vec<FlushJob>,
    /// Allocate the file that begins here; give it back by [`CommitLog::supply`].
    pub allocate: Option<u64>,
    /// Hand these to the consume queues and the index.
    pub dispatches: Vec<Dispatch>,
    /// Answer these.
    pub answers: Vec<Answer<C>>,
    /// The store has just failed, for this reason.
    pub failure: Option<StoreError>,
}

impl<C> Default for Effects<C> {
    fn default() -> Self {
        Self {
            flushes: Vec::new(),
            allocate: None,
            dispatches: Vec::new(),
            answers: Vec::new(),
            failure: None,
        }
    }
}

/// A batch that waits for the next file.
type Waiting<C> = (Box<RecordBatch<C>>, Acknowledge);

/// The owner's side of the commit log.
#[derive(Debug)]
pub struct CommitLog<C> {
    state: LogState<Box<RecordBatch<C>>, Dispatch>,
    tail: LogTail,
    files: LogFiles,
    queues: QueueTable,
    view: Arc<LogView>,
    /// The bytes of this tick's batches, in the order of the log.
    tick: Vec<Vec<u8>>,
    pieces: Vec<Piece>,
    dispatch: DispatchBuilder,
    backlog: VecDeque<Waiting<C>>,
    allocating: bool,
    /// Whether somebody takes the keys and will confirm them.
    indexed: bool,
    /// What the queues and the index may lack that were fed by the log before this one, until it is handed out.
    again: Vec<Dispatch>,
    outputs: Vec<Output<Box<RecordBatch<C>>, Dispatch>>,
    /// Emptied buffers, to be handed out with answers and filled again by their senders.
    spare: Vec<Vec<u8>>,
}

/// How many emptied buffers are kept.
const SPARE_BUFFERS: usize = 64;
/// A buffer that grew beyond this many bytes is not kept.
const SPARE_BYTES: usize = 1 << 20;

impl<C> CommitLog<C> {
    /// Takes over a recovered log.
    #[must_use]
    pub fn new(mode: FlushMode, epoch: FlushEpoch, parts: LogParts) -> Self {
        let LogParts {
            files,
            queues,
            end,
            last_store_timestamp_ms,
            again,
            indexed,
            extended,
        } = parts;
        let view = Arc::clone(files.view());
        let mut log = Self {
            state: LogState::recovered(mode, end, epoch),
            tail: LogTail::new(end, files.segment_bytes(), last_store_timestamp_ms),
            files,
            queues,
            view,
            tick: Vec::new(),
            pieces: Vec::new(),
            dispatch: DispatchBuilder::new(extended),
            backlog: VecDeque::new(),
            allocating: false,
            indexed,
            again: Vec::new(),
            outputs: Vec::new(),
            spare: Vec::new(),
        };
        if mode == FlushMode::Sync {
            log.files.begin_paving();
        }
        log.view.stored_at(last_store_timestamp_ms);
        log.files.publish(end);
        log.files.flushed(end);
        for dispatch in &again {
            log.note_dispatch(dispatch);
        }
        log.again = again;
        // Once, with all that is owed: whoever looks in between would note too much as confirmed.
        log.view.confirm(log.state.confirmed());
        log
    }

    /// What readers use.
    #[must_use]
    pub fn view(&self) -> &Arc<LogView> {
        &self.view
    }

    /// The queues and their next offsets.
    #[must_use]
    pub fn queues(&mut self) -> &mut QueueTable {
        &mut self.queues
    }

    /// The queues, to look at.
    #[must_use]
    pub fn queues_ref(&self) -> &QueueTable {
        &self.queues
    }

    /// Where the log stands.
    #[must_use]
    pub fn state(&self) -> &LogState<Box<RecordBatch<C>>, Dispatch> {
        &self.state
    }

    /// Whether nothing is owed, unwritten or waiting.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.backlog.is_empty() && self.tick.is_empty() && self.state.owed() == 0
    }

    /// An emptied buffer for a sender to fill.
    pub fn spare(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a batch. It is written by the next [`CommitLog::end_of_tick`], or later when the file it needs is still
    /// being allocated.
    pub fn append(
        &mut self,
        batch: Box<RecordBatch<C>>,
        acknowledge: Acknowledge,
        now_ms: u64,
        effects: &mut Effects<C>,
    ) {
        if self.backlog.is_empty() {
            self.try_append(batch, acknowledge, now_ms, effects);
        } else {
            self.backlog.push_back((batch, acknowledge));
        }
    }

    fn try_append(
        &mut self,
        batch: Box<RecordBatch<C>>,
        acknowledge: Acknowledge,
        now_ms: u64,
        effects: &mut Effects<C>,
    ) {
        if self.state.is_failed() {
            effects.answers.push(Answer {
                batch,
                outcome: Outcome::Refused,
            });
            return;
        }
        match self.tail.end_of(&batch) {
            // Senders check the length before; a batch that slips through is refused, not lost.
            Err(_) => effects.answers.push(Answer {
                batch,
                outcome: Outcome::Refused,
            }),
            Ok(end) if end.0 > self.files.end() => {
                self.backlog.push_back((batch, acknowledge));
                // Also when there is a next file already: the batch may need the one behind it.
                self.ask_for_file(effects);
            }
            Ok(_) => self.place(batch, acknowledge, now_ms),
        }
    }

    fn place(&mut self, mut batch: Box<RecordBatch<C>>, acknowledge: Acknowledge, now_ms: u64) {
        let store_timestamp_ms = self.tail.store_timestamp(now_ms);
        let placed = self.tail.place(
            self.tick.len(),
            &mut batch,
            store_timestamp_ms,
            &mut self.queues,
            &mut self.pieces,
            &mut self.dispatch,
        );
        assert!(
            placed.is_ok(),
            "a sender encodes records as this crate does: {placed:?}"
        );
        self.tick.push(std::mem::take(&mut batch.bytes));
        let input = Input::Append {
            to: self.tail.position(),
            acknowledge,
            ticket: batch,
        };
        self.state.step(input, &mut self.outputs);
    }

    /// Writes what was appended since the last call.
    pub fn end_of_tick(&mut self, effects: &mut Effects<C>) {
        if self.tick.is_empty() {
            return;
        }
        let from = self.state.appended();
        self.view.stored_at(self.tail.last_store_timestamp_ms());
        let dispatch = self.dispatch.finish(&mut self.queues, from, self.tail.position());
        self.state.step(Input::EndOfTick { dispatch }, &mut self.outputs);
        self.carry_out(effects);
        self.prepare(effects);
    }

    /// What of the log's file is to be filled with zeros ahead of its end, so that syncs cost less: to be asked after each tick.
    /// `now` is the monotonic clock's. Under asynchronous flush syncs are few, and nothing is.
    pub fn pave(&mut self, now: Duration) -> Option<PaveJob> {
        self.files.pave(self.state.appended(), now)
    }

    /// Takes the file that was asked for by [`Effects::allocate`], and appends what waited for it.
    pub fn supply(&mut self, writer: SegmentWriter, now_ms: u64, effects: &mut Effects<C>) {
        self.allocating = false;
        self.files.supply(writer);
        for (batch, acknowledge) in std::mem::take(&mut self.backlog) {
            self.append(batch, acknowledge, now_ms, effects);
        }
        self.end_of_tick(effects);
    }

    /// The file that was asked for cannot be had now (a full disk): what waits for it is refused, and the next append
    /// asks again.
    pub fn refuse_waiting(&mut self, effects: &mut Effects<C>) {
        self.allocating = false;
        let refused = |(batch, _)| Answer {
            batch,
            outcome: Outcome::Refused,
        };
        effects.answers.extend(self.backlog.drain(..).map(refused));
    }

    /// Asks for the next file ahead of its need.
    pub fn prepare(&mut self, effects: &mut Effects<C>) {
        if self.files.is_half_full(self.state.assigned()) {
            self.ask_for_file(effects);
        }
    }

    /// Hands out once more what queues and index may lack that were fed before this value of the log was built.
    pub fn redispatch(&mut self, effects: &mut Effects<C>) {
        effects.dispatches.append(&mut self.again);
    }

    fn note_dispatch(&mut self, dispatch: &Dispatch) {
        for queue in &dispatch.queues {
            self.state
                .dispatching(Target::Queue(queue.slot), dispatch.from, dispatch.upto);
        }
        if self.indexed && !dispatch.keys.is_empty() {
            self.state.dispatching(Target::Index, dispatch.from, dispatch.upto);
        }
    }

    fn ask_for_file(&mut self, effects: &mut Effects<C>) {
        if !self.allocating {
            self.allocating = true;
            effects.allocate = Some(self.files.end());
        }
    }

    /// Starts a flush when there is something to flush (async flush; sync flush starts its own).
    pub fn flush_due(&mut self, effects: &mut Effects<C>) {
        self.state.step(Input::FlushDue, &mut self.outputs);
        self.carry_out(effects);
    }

    /// A flush has ended well.
    pub fn flushed(&mut self, epoch: FlushEpoch, upto: PhysicalOffset, effects: &mut Effects<C>) {
        self.state.step(Input::Flushed { epoch, upto }, &mut self.outputs);
        self.carry_out(effects);
        self.files.flushed(self.state.durable());
        self.view.confirm(self.state.confirmed());
    }

    /// A replica has the log up to `upto`.
    pub fn replicated(&mut self, upto: PhysicalOffset, effects: &mut Effects<C>) {
        self.state.step(Input::Replicated { upto }, &mut self.outputs);
        self.carry_out(effects);
    }

    /// A consume queue or the index has made durable what it was given up to `upto`.
    pub fn confirmed(&mut self, target: Target, upto: PhysicalOffset) {
        self.state.step(Input::Dispatched { target, upto }, &mut self.outputs);
        self.view.confirm(self.state.confirmed());
    }

    /// A write or a flush has failed: everything under way ends as unknown, everything after is refused.
    pub fn fail(&mut self, error: StoreError, effects: &mut Effects<C>) {
        self.view.poison(&error);
        effects.failure = Some(error);
        self.state.step(Input::Failed, &mut self.outputs);
        self.tick.clear();
        self.pieces.clear();
        self.carry_out(effects);
        self.refuse_waiting(effects);
    }

    fn carry_out(&mut self, effects: &mut Effects<C>) {
        let mut outputs = std::mem::take(&mut self.outputs);
        while !outputs.is_empty() {
            for output in outputs.drain(..) {
                self.carry_out_one(output, effects);
            }
            std::mem::swap(&mut outputs, &mut self.outputs);
        }
        self.outputs = outputs;
    }

    fn carry_out_one(&mut self, output: Output<Box<RecordBatch<C>>, Dispatch>, effects: &mut Effects<C>) {
        match output {
            Output::Write { to, .. } => self.write(to, effects),
            Output::Flush { epoch, upto } => effects.flushes.push(self.files.flush_job(epoch, upto)),
            Output::Publish { visible } => self.files.publish(visible),
            Output::Dispatch { dispatch, .. } => {
                self.note_dispatch(&dispatch);
                effects.dispatches.push(dispatch);
            }
            Output::Reply { mut ticket, outcome } => {
                if ticket.bytes.capacity() == 0 {
                    ticket.bytes = self.spare();
                }
                effects.answers.push(Answer { batch: ticket, outcome });
            }
        }
    }

    fn write(&mut self, to: PhysicalOffset, effects: &mut Effects<C>) {
        let written = self.files.write(&self.pieces, &self.tick, to);
        self.pieces.clear();
        for mut buffer in self.tick.drain(..) {
            if self.spare.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_BYTES {
                buffer.clear();
                self.spare.push(buffer);
            }
        }
        match written {
            Ok(()) => self.state.step(Input::Written, &mut self.outputs),
            Err(error) => {
                self.view.poison(&error);
                effects.failure = Some(error);
                self.state.step(Input::Failed, &mut self.outputs);
            }
        }
    }
}
