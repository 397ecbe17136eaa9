//! A file of the log is to go: what waits in it is written again at the log's end, until the same time.

use actix::{ActorFutureExt, AsyncContext, Message, WrapFuture};
use cuemq_net::message::record::Record;
use cuemq_storage::StoreError;
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::timer::TIMER_TOPIC;
use tokio::sync::oneshot;

use super::actor::{BATCH_BYTES, RETRY, Timers, TimersError, TimersParts, entries};
use super::delivery::moved;
use super::entry::Entry;
use super::ledger::Ledger;
use crate::io::send_context::SendBatch;
use crate::reappend::empty_batch;
use crate::schedule::Undeliverable;
use crate::supervise::Context;

/// How many units are looked at before others of the thread have their turn.
const UNITS_AT_ONCE: usize = 256;

/// Have nothing wait in front of `before`. From `Retention`, one under way.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct MakeWay {
    /// The end of what is to go.
    pub before: PhysicalOffset,
    /// What was stored later than this, in milliseconds since 1970, is not written again: nothing goes then.
    pub stored_before_ms: u64,
    /// Is told when nothing waits there, and dropped when that cannot be had now.
    pub done: oneshot::Sender<()>,
}

/// What is due within this time is not written again: on its way it would be late, and one that recalls another too late.
const SOON_MS: u64 = 10_000;

/// What is asked for, and how far it has come.
pub(super) struct Relay {
    asked: MakeWay,
    /// The next unit to look at.
    next: QueueOffset,
    /// Whether something waits there that is due too soon to be written again.
    left_behind: bool,
}

/// What one step found.
enum Step {
    /// Nothing of what was looked at waits.
    Nothing,
    /// Records to be appended.
    Batch(SendBatch, Vec<Entry>),
    /// There is no more to look at.
    End,
}

/// What is to be written again.
struct Gathered {
    batch: SendBatch,
    /// The entries whose records the batch has.
    taken: Vec<Entry>,
    /// Those that it does not have yet, in the order of the queue.
    left: Vec<Entry>,
}

impl Gathered {
    /// Fills the batch; whether all that waits may be written again now.
    fn fill(&mut self, parts: &TimersParts, ledger: &mut Ledger, stored_before_ms: u64) -> Result<bool, StoreError> {
        self.left.reverse();
        while self.batch.bytes.len() < BATCH_BYTES
            && let Some(entry) = self.left.last().copied()
        {
            let bytes = parts.log.record(entry.at)?.unwrap_or_default();
            let pushed = Record::parse(&bytes).map_err(Undeliverable::from).and_then(|record| {
                let stored_ms = u64::try_from(record.store_timestamp_ms()).unwrap_or(0);
                if stored_ms > stored_before_ms {
                    return Ok(false);
                }
                moved(&record, |fields| parts.reappender.push(&mut self.batch, fields))??;
                Ok(true)
            });
            match pushed {
                Ok(true) => self.taken.push(entry),
                Ok(false) => return Ok(false),
                Err(error) => {
                    tracing::error!(at = %entry.at, %error, "a message that waits cannot be written again");
                    ledger.passed_over(entry.key);
                }
            }
            self.left.pop();
        }
        Ok(true)
    }
}

impl Timers {
    pub(super) fn begin_relay(&mut self, asked: MakeWay, ctx: &mut Context<Self>) {
        self.relay = Some(Relay {
            asked,
            next: QueueOffset(0),
            left_behind: false,
        });
        self.relay_step(ctx);
    }

    /// Looks at some more of what is to go.
    fn relay_step(&mut self, ctx: &mut Context<Self>) {
        match self.next_step() {
            Ok(Some(Step::Nothing)) => self.relay_on(ctx),
            Ok(Some(Step::Batch(batch, entries))) => self.move_on(batch, entries, ctx),
            Ok(Some(Step::End)) => self.end_relay(ctx),
            Ok(None) => self.relay = None,
            Err(error) => {
                self.relay = None;
                self.lost(&error, ctx);
            }
        }
    }

    /// Goes on when others of the thread have had their turn.
    fn relay_on(&mut self, ctx: &mut Context<Self>) {
        let rest = tokio::task::yield_now().into_actor(self);
        ctx.spawn(rest.map(|(), timers, ctx| timers.relay_step(ctx)));
    }

    /// `None` when nothing can be done now.
    fn next_step(&mut self) -> Result<Option<Step>, TimersError> {
        let (Some(relay), Some(waiting)) = (&mut self.relay, &mut self.waiting) else {
            return Ok(None);
        };
        let Some(queue) = self.parts.queues.find(TIMER_TOPIC, 0) else {
            return Ok(Some(Step::End));
        };
        let view = queue.view();
        relay.next = relay.next.max(view.min_offset());
        let mut units = view.copy(relay.next, UNITS_AT_ONCE)?;
        units.retain(|unit| unit.physical_offset < relay.asked.before);
        if units.is_empty() {
            return Ok(Some(Step::End));
        }
        let end = relay.next.advanced(units.len() as u64);
        if end > waiting.ledger.next() {
            // They are not known yet.
            return Ok(None);
        }
        let known = entries(&view, &self.parts.log, relay.next, &units)?;
        let known: Vec<Entry> = known.into_iter().map(|(entry, _)| entry).collect();
        let soon_ms = self.parts.reappender.clock.now_ms().saturating_add(SOON_MS);
        let (later, soon) = waiting.ledger.take_later(&waiting.index, &known, soon_ms)?;
        let mut gathered = Gathered {
            batch: empty_batch(),
            taken: Vec::new(),
            left: later,
        };
        relay.left_behind |= soon;
        let complete = gathered.fill(&self.parts, &mut waiting.ledger, relay.asked.stored_before_ms);
        let whole = gathered.left.is_empty();
        for entry in gathered.left.drain(..) {
            waiting.ledger.put_back(entry);
        }
        if !matches!(complete, Ok(true)) {
            for entry in gathered.taken {
                waiting.ledger.put_back(entry);
            }
            return Ok(complete.map(|_| None)?);
        }
        if whole {
            relay.next = end;
        }
        Ok(Some(match gathered.taken {
            taken if taken.is_empty() => Step::Nothing,
            taken => Step::Batch(gathered.batch, taken),
        }))
    }

    fn move_on(&mut self, batch: SendBatch, entries: Vec<Entry>, ctx: &mut Context<Self>) {
        let reappender = self.parts.reappender.clone();
        let opened = self.opened();
        let appended = async move { reappender.append(batch).await };
        ctx.spawn(appended.into_actor(self).map(move |appended, timers, ctx| {
            if timers.opened() != opened {
                return;
            }
            if timers.appended(appended, entries) {
                // Without room nothing can be moved, and so nothing goes.
                timers.relay = None;
            } else {
                timers.relay_step(ctx);
            }
        }));
    }

    /// Lets the file go when what was written again, and what was delivered out of it, is on disk.
    fn end_relay(&mut self, ctx: &mut Context<Self>) {
        let (Some(relay), Some(waiting)) = (self.relay.take(), &self.waiting) else {
            return;
        };
        if relay.left_behind {
            // It is asked again, and is gone by then.
            return;
        }
        let before = relay.asked.before;
        if waiting.ledger.is_unsafe_before(before, self.parts.log.durable()) {
            self.relay = Some(relay);
            ctx.run_later(RETRY, Self::relay_step);
            return;
        }
        self.parts.mark.set(None, before);
        // Who asked may have gone.
        let _ = relay.asked.done.send(());
    }
}
