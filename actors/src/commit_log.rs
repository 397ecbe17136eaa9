//! The only writer of `commitlog/`. Append, step 5 of a send: gives the batches of a tick their places, writes them with one
//! call, and when they are safe hands them to the consume queues and the index (step 7) and answers their senders (step 8).
//!
//! The logic is [`cuemq_storage::commit_log::CommitLog`]; this actor carries out its effects.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Handler, Message, Recipient, WrapFuture};
use cuemq_storage::StoreError;
use cuemq_storage::clock::Clock;
use cuemq_storage::commit_log::{Answer, CommitLog as Log, Dispatch, Effects};
use cuemq_storage::log_state::{Acknowledge, Target};
use cuemq_storage::position::PhysicalOffset;
use cuemq_storage::segment::SegmentWriter;
use tokio::sync::oneshot;

use crate::allocator::{Allocate, Pave};
use crate::consume_queue::QueueActors;
use crate::flusher::{Flush, Flushed};
use crate::index::IndexFeed;
use crate::io::egress::Completed;
use crate::io::send_context::{Done, SendBatch, SendContext};
use crate::metrics::Metrics;
use crate::supervise::Context;

pub use crate::send_gate::SendGate;

mod forgetting;
mod retention;

use self::forgetting::Forgetting;
pub use self::forgetting::{DeletionNote, ForgetTopics, NotForgotten};
pub use self::retention::{DropBefore, TrimQueues};

/// Append this batch. From connections, bounded by the mailbox and the budget of bytes.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AppendBatch {
    /// The records.
    pub batch: SendBatch,
    /// What their senders wait for.
    pub acknowledge: Acknowledge,
}

/// Append what the broker itself writes, and give it back when it is as safe as a send that is acknowledged. From
/// connections (answers of consumers and of transactions), bounded by their requests under way, and from `Schedule`
/// and `TransactionChecker`, each of which has one batch under way.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Reappend {
    /// The records.
    pub batch: SendBatch,
    /// Takes them back.
    pub done: Done,
}

/// A consume queue or the index holds on disk what it was given. From them, one for each of their syncs.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Confirmed {
    /// Which one.
    pub target: Target,
    /// Up to where in the log.
    pub upto: PhysicalOffset,
}

/// A consume queue, the index or the checkpoint could not be written. From them, once each.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Poison(pub StoreError);

/// A consume queue has had nothing to do for long. From `ConsumeQueue`, once for each idle time.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct QueueIdle {
    /// Its slot.
    pub slot: u32,
    /// The end of the last tick of which it has what is its own.
    pub upto: PhysicalOffset,
}

/// Flush what is appended, and tell when nothing is owed any more. From `BrokerSystem`, when it stops.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Settle {
    /// Is told.
    pub done: oneshot::Sender<()>,
}

/// How long keys are gathered before the index gets them.
const KEYS_WAIT: Duration = Duration::from_millis(2);

/// What the allocator says, if it says anything.
type Allocation = Result<Result<SegmentWriter, StoreError>, oneshot::error::RecvError>;

/// Whom the commit log works with.
pub struct Neighbours {
    /// Syncs the log.
    pub flusher: Recipient<Flush>,
    /// Makes its next file.
    pub allocator: Recipient<Allocate>,
    /// Writes zeros ahead of its end.
    pub paver: Recipient<Pave>,
    /// Tells the senders, one for each I/O thread.
    pub egress: Vec<Recipient<Completed>>,
    /// The consume queues.
    pub queues: QueueActors,
    /// The index, unless it is switched off.
    pub index: Option<IndexFeed>,
    /// Where deletions of topics are noted.
    pub deletions: DeletionNote,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

/// The actor.
pub struct CommitLog {
    log: Log<SendContext>,
    neighbours: Neighbours,
    clock: Arc<dyn Clock>,
    /// How often to flush under async flush.
    flush_interval: Option<Duration>,
    /// Whether the index is about to be handed what is gathered.
    handing_over: bool,
    effects: Effects<SendContext>,
    /// Topics whose queues are to be emptied.
    forgetting: Vec<Forgetting>,
    /// Is told when nothing is owed any more.
    settling: Option<oneshot::Sender<()>>,
    /// How long the last flush took.
    last_flush: Duration,
    /// Whether the end of the log has been noted: what the broker itself would append comes too late.
    closed: bool,
    /// How many batches of the broker's own are under way.
    reappending: usize,
}

impl CommitLog {
    /// Owns a recovered log.
    #[must_use]
    pub fn new(
        log: Log<SendContext>,
        neighbours: Neighbours,
        clock: Arc<dyn Clock>,
        flush_interval: Option<Duration>,
    ) -> Self {
        Self {
            log,
            neighbours,
            clock,
            flush_interval,
            handing_over: false,
            effects: Effects::default(),
            forgetting: Vec::new(),
            settling: None,
            last_flush: Duration::ZERO,
            closed: false,
            reappending: 0,
        }
    }

    /// Writes what the messages in the mailbox have brought. Asked for with each of them, done behind all.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.write(ctx);
        self.carry_out(ctx);
    }

    /// Writes what came since the last tick, which waits for the disk only where the kernel makes it wait.
    #[expect(clippy::disallowed_methods, reason = "one under way for each file")]
    fn write(&mut self, ctx: &Context<Self>) {
        let began = self.clock.monotonic();
        self.log.end_of_tick(&mut self.effects);
        let now = self.clock.monotonic();
        if let Some(job) = self.log.pave(now) {
            let poison = ctx.address().recipient();
            self.neighbours.paver.do_send(Pave { job, poison });
        }
        let took = now.saturating_sub(began);
        if let Some(left_out) = self.neighbours.metrics.slow_writes.note(took, now) {
            let upto = self.log.state().appended();
            tracing::warn!(took_ms = took.as_millis(), %upto, left_out, "a slow write: the system took this long to write to the commit log");
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "each kind has its own bound: two flushes, one file, the bytes in flight"
    )]
    fn carry_out(&mut self, ctx: &mut Context<Self>) {
        let effects = std::mem::take(&mut self.effects);
        for job in effects.flushes {
            self.neighbours.flusher.do_send(Flush {
                job,
                answer: ctx.address().recipient(),
            });
        }
        if let Some(start) = effects.allocate {
            let (answer, allocated) = oneshot::channel();
            self.neighbours.allocator.do_send(Allocate { start, answer });
            ctx.spawn(
                allocated
                    .into_actor(self)
                    .map(|allocated, actor, ctx| actor.allocated(allocated, ctx)),
            );
        }
        if let Some(error) = effects.failure {
            tracing::error!(%error, "the store has failed: sends are refused until the broker is restarted, reads go on");
        }
        for dispatch in effects.dispatches {
            self.dispatch(dispatch);
        }
        self.hand_over_soon(ctx);
        self.answer(effects.answers);
        if !self.forgetting.is_empty() {
            self.forget_settled(ctx);
        }
        self.settle();
    }

    /// Takes a new file. That there is none, or that the allocator lost the question, refuses what waits for it; the next
    /// send asks again.
    fn allocated(&mut self, allocated: Allocation, ctx: &mut Context<Self>) {
        match allocated {
            Ok(Ok(writer)) => self.log.supply(writer, self.clock.now_ms(), &mut self.effects),
            Ok(Err(error)) => {
                tracing::error!(%error, "no new commit log file: sends that need it are refused");
                self.log.refuse_waiting(&mut self.effects);
            }
            Err(_) => self.log.refuse_waiting(&mut self.effects),
        }
        self.carry_out(ctx);
    }

    fn settle(&mut self) {
        let state = self.log.state();
        let settled = state.is_failed() || self.log.is_settled() && state.durable() == state.appended();
        if settled && let Some(done) = self.settling.take() {
            if let Some(index) = &mut self.neighbours.index {
                index.finish();
            }
            // Whoever asked may have lost its patience.
            let _ = done.send(());
        }
    }

    fn dispatch(&mut self, dispatch: Dispatch) {
        for slot in self.log.queues().take_fresh() {
            if let Some(name) = self.log.queues().name(slot) {
                self.neighbours.queues.register(slot, name.clone());
            }
        }
        let upto = dispatch.upto;
        for queue in dispatch.queues {
            self.neighbours.queues.feed(queue, upto);
        }
        if let Some(index) = &mut self.neighbours.index {
            index.feed(dispatch.from, dispatch.upto, dispatch.keys);
        }
    }

    /// Hands the gathered keys to the index when [`KEYS_WAIT`] has passed: a query by key finds a message that much later,
    /// and the index's thread is not woken for each tick.
    fn hand_over_soon(&mut self, ctx: &mut Context<Self>) {
        let has_gathered = self.neighbours.index.as_ref().is_some_and(IndexFeed::has_gathered);
        if has_gathered && !self.handing_over {
            self.handing_over = true;
            ctx.run_later(KEYS_WAIT, |actor, _| {
                actor.handing_over = false;
                if let Some(index) = &mut actor.neighbours.index {
                    index.hand_over();
                }
            });
        }
    }

    /// Gives back what the broker itself has had appended.
    fn give_back(&mut self, answers: &mut Vec<Answer<SendContext>>) {
        let own = answers.extract_if(.., |answer| answer.batch.context.is_of_broker());
        for mut answer in own {
            self.reappending = self.reappending.saturating_sub(1);
            if let Some(done) = answer.batch.context.take_done() {
                // Whoever waited for it may have failed meanwhile: what it had appended is there, and is looked at again.
                let _ = done.send(answer);
            }
        }
    }

    /// Tells the senders, with one message for each I/O thread.
    #[expect(clippy::disallowed_methods, reason = "bounded by the bytes in flight")]
    fn answer(&mut self, mut answers: Vec<Answer<SendContext>>) {
        if self.reappending > 0 {
            self.give_back(&mut answers);
        }
        if answers.is_empty() {
            return;
        }
        let released = self.clock.monotonic();
        for answer in &mut answers {
            let times = &mut answer.batch.context.times;
            (times.released, times.flush) = (released, self.last_flush);
        }
        if let [only] = self.neighbours.egress.as_slice() {
            only.do_send(Completed { answers });
            return;
        }
        let mut by_thread: Vec<Vec<Answer<SendContext>>> = Vec::new();
        by_thread.resize_with(self.neighbours.egress.len(), Vec::new);
        for answer in answers {
            if let Some(thread) = by_thread.get_mut(usize::from(answer.batch.context.peer.thread)) {
                thread.push(answer);
            }
        }
        for (egress, answers) in self.neighbours.egress.iter().zip(by_thread) {
            if !answers.is_empty() {
                egress.do_send(Completed { answers });
            }
        }
    }
}

impl Actor for CommitLog {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(interval) = self.flush_interval {
            ctx.run_interval(interval, |actor, ctx| {
                actor.log.flush_due(&mut actor.effects);
                actor.carry_out(ctx);
            });
        }
        self.log.redispatch(&mut self.effects);
        self.log.prepare(&mut self.effects);
        self.carry_out(ctx);
    }
}

impl Handler<AppendBatch> for CommitLog {
    type Result = ();

    fn handle(&mut self, mut append: AppendBatch, ctx: &mut Self::Context) {
        append.batch.context.times.taken = self.clock.monotonic();
        self.log
            .append(append.batch, append.acknowledge, self.clock.now_ms(), &mut self.effects);
        ctx.do_behind(Self::tick);
    }
}

impl Handler<Reappend> for CommitLog {
    type Result = ();

    fn handle(&mut self, Reappend { mut batch, done }: Reappend, ctx: &mut Self::Context) {
        if self.closed {
            return;
        }
        batch.context.return_to(done);
        self.reappending += 1;
        self.log
            .append(batch, Acknowledge::Flushed, self.clock.now_ms(), &mut self.effects);
        ctx.do_behind(Self::tick);
    }
}

impl Handler<Flushed> for CommitLog {
    type Result = ();

    fn handle(&mut self, flushed: Flushed, ctx: &mut Self::Context) {
        self.last_flush = flushed.took;
        match flushed.result {
            Ok(()) => self.log.flushed(flushed.epoch, flushed.upto, &mut self.effects),
            Err(error) => self.log.fail(error, &mut self.effects),
        }
        self.carry_out(ctx);
    }
}

impl Handler<Confirmed> for CommitLog {
    type Result = ();

    fn handle(&mut self, confirmed: Confirmed, _: &mut Self::Context) {
        self.log.confirmed(confirmed.target, confirmed.upto);
        if let (Target::Index, Some(index)) = (confirmed.target, &mut self.neighbours.index) {
            index.catch_up();
        }
    }
}

impl Handler<Poison> for CommitLog {
    type Result = ();

    fn handle(&mut self, Poison(error): Poison, ctx: &mut Self::Context) {
        self.log.fail(error, &mut self.effects);
        self.carry_out(ctx);
    }
}

impl Handler<QueueIdle> for CommitLog {
    type Result = ();

    fn handle(&mut self, idle: QueueIdle, _: &mut Self::Context) {
        self.neighbours.queues.let_go(idle.slot, idle.upto);
    }
}

impl Handler<Settle> for CommitLog {
    type Result = ();

    fn handle(&mut self, settle: Settle, ctx: &mut Self::Context) {
        (self.settling, self.closed) = (Some(settle.done), true);
        self.write(ctx);
        self.log.flush_due(&mut self.effects);
        self.carry_out(ctx);
    }
}
