//! The owner of `delayOffset.json`: looks which delayed messages are due, has them appended to their own topics, and counts
//! them as delivered when that is safe.
//!
//! There is one timer, for the message that is due next, and one batch under way, with what is due of all levels. Nothing is
//! asked again and again: a level without messages is looked at when one that came since could be due at the earliest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Handler, Message, MessageResult, SpawnHandle, WrapFuture};
use cuemq_net::body::DelayOffsetTable;
use cuemq_net::message::record::Record;
use cuemq_storage::StoreError;
use cuemq_storage::commit_log::LogView;
use cuemq_storage::consume_queue::Unit;
use cuemq_storage::position::{PhysicalOffset, QueueOffset};

use super::{Levels, Progress, delivery};
use crate::io::send_context::SendBatch;
use crate::pending::PendingMark;
use crate::reappend::{NotAppended, Reappender, empty_batch};
use crate::supervise::Context;

/// How many messages are appended together.
const BATCH_MESSAGES: usize = 1024;
/// A batch takes no more messages when it has this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// After a failure to read or append it is tried again after this time.
const RETRY: Duration = Duration::from_millis(500);
/// The longest wait: clocks are set forward.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Tell how far each level has been delivered (code 45). From connections, one of each at a time.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "DelayOffsetTable")]
pub struct ExportDelays;

/// Write the file now. From an orderly stop, once.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "Result<(), StoreError>")]
pub struct SaveDelays;

/// Look for what is due: to itself.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

/// What the actor works with.
pub struct ScheduleParts {
    /// The levels.
    pub levels: Levels,
    /// Its file.
    pub progress: Progress,
    /// The log.
    pub log: Arc<LogView>,
    /// Appends what is due.
    pub reappender: Reappender,
    /// Keeps the files of the log in which messages wait.
    pub mark: PendingMark,
    /// How often the file is written while anything changes.
    pub save_interval: Duration,
}

/// The actor.
pub struct Schedule {
    parts: ScheduleParts,
    /// The end of what it had appended last.
    delivered_to: PhysicalOffset,
    /// Whether a batch is under way.
    delivering: bool,
    timer: Option<SpawnHandle>,
}

/// A batch on its way, and up to where it brings each level.
struct Delivery {
    batch: SendBatch,
    upto: BTreeMap<u32, QueueOffset>,
}

impl Schedule {
    /// Goes on where the levels were left.
    #[must_use]
    pub fn new(parts: ScheduleParts) -> Self {
        Self {
            parts,
            delivered_to: PhysicalOffset(0),
            delivering: false,
            timer: None,
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.parts.reappender.clock.now_ms()).unwrap_or(i64::MAX)
    }

    /// Has what is due appended, and sets the timer where nothing is.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.delivering {
            return;
        }
        let now_ms = self.now_ms();
        let found = self
            .parts
            .levels
            .look(&self.parts.log, now_ms, BATCH_MESSAGES)
            .and_then(|due| {
                let delivery = self.gather(&due.messages)?;
                Ok((due.next_ms, delivery))
            });
        match found {
            Ok((_, Some(delivery))) => self.deliver(delivery, ctx),
            Ok((next_ms, None)) => {
                let wait_ms = next_ms
                    .map_or(i64::MAX, |next_ms| next_ms.saturating_sub(now_ms))
                    .max(0);
                self.look_in(Duration::from_millis(wait_ms.unsigned_abs()), ctx);
            }
            Err(error) => {
                tracing::error!(%error, "delayed messages cannot be read; tried again");
                self.look_in(RETRY, ctx);
            }
        }
    }

    fn look_in(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        // who saves more often than that, as a test does whose clock jumps, also looks more often
        let wait = wait.min(LONGEST_WAIT).min(self.parts.save_interval);
        self.timer = Some(ctx.run_later(wait, |schedule, ctx| {
            schedule.timer = None;
            schedule.look(ctx);
        }));
    }

    /// The records of what is due; `None` when there is nothing to be done.
    fn gather(&mut self, due: &[(u32, Unit)]) -> Result<Option<Delivery>, StoreError> {
        let (mut batch, mut upto) = (empty_batch(), BTreeMap::new());
        for (level, unit) in due {
            if batch.bytes.len() >= BATCH_BYTES {
                break;
            }
            self.add(&mut batch, *level, unit)?;
            let next = upto.entry(*level).or_insert_with(|| self.next_of(*level));
            *next = next.advanced(1);
        }
        if upto.is_empty() {
            return Ok(None);
        }
        Ok(Some(Delivery { batch, upto }))
    }

    fn next_of(&self, level: u32) -> QueueOffset {
        let found = self.parts.levels.iter().find(|known| known.number == level);
        found.map_or(QueueOffset(0), |level| level.next)
    }

    /// Adds one message. One that has nowhere to go, or was deleted, is passed over with a line in the log.
    fn add(&self, batch: &mut SendBatch, level: u32, unit: &Unit) -> Result<(), StoreError> {
        let at = unit.physical_offset;
        let Some(bytes) = self.parts.log.record(at)? else {
            tracing::warn!(level, %at, "a delayed message was deleted before its time");
            return Ok(());
        };
        let added = Record::parse(&bytes)
            .map_err(super::Undeliverable::from)
            .and_then(|record| delivery(&record).and_then(|fields| Ok(self.parts.reappender.push(batch, &fields)?)));
        if let Err(error) = added {
            tracing::error!(level, %at, %error, "a delayed message cannot be delivered; it stays where it is");
        }
        Ok(())
    }

    fn deliver(&mut self, Delivery { batch, upto }: Delivery, ctx: &mut Context<Self>) {
        if batch.records.is_empty() {
            self.passed(&upto);
            ctx.notify(Look);
            return;
        }
        self.delivering = true;
        let reappender = self.parts.reappender.clone();
        let appended = async move { reappender.append(batch).await };
        ctx.spawn(appended.into_actor(self).map(move |appended, schedule, ctx| {
            schedule.delivering = false;
            schedule.delivered(appended, &upto, ctx);
        }));
    }

    fn delivered(
        &mut self,
        appended: Result<SendBatch, NotAppended>,
        upto: &BTreeMap<u32, QueueOffset>,
        ctx: &mut Context<Self>,
    ) {
        match appended {
            Ok(batch) => {
                let end = batch
                    .records
                    .iter()
                    .map(|record| record.physical_offset.advanced(record.length.into()));
                self.delivered_to = end.max().unwrap_or_default().max(self.delivered_to);
                self.passed(upto);
                self.look(ctx);
            }
            Err(error) => {
                tracing::debug!(%error, "delayed messages are not delivered yet");
                self.look_in(RETRY, ctx);
            }
        }
    }

    fn passed(&mut self, upto: &BTreeMap<u32, QueueOffset>) {
        for (level, next) in upto {
            self.parts.levels.delivered(*level, *next);
        }
    }

    fn save(&mut self) -> Result<(), StoreError> {
        // First the position: what comes while the queues are looked at lies behind it.
        let looked_to = self.parts.log.confirmed();
        self.parts.mark.set(self.parts.levels.lowest()?, looked_to);
        let durable = self.parts.log.durable();
        self.parts.progress.save(&self.parts.levels, self.delivered_to, durable)
    }
}

impl Actor for Schedule {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.parts.save_interval, |schedule, _| {
            if let Err(error) = schedule.save() {
                tracing::warn!(%error, "how far delayed messages are delivered cannot be saved; tried again");
            }
        });
        ctx.notify(Look);
    }
}

impl Handler<Look> for Schedule {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Handler<ExportDelays> for Schedule {
    type Result = MessageResult<ExportDelays>;

    fn handle(&mut self, _: ExportDelays, _: &mut Self::Context) -> Self::Result {
        let begun = self.parts.levels.iter().filter(|level| level.next.0 > 0);
        let offsets =
            begun.filter_map(|level| Some((i32::try_from(level.number).ok()?, i64::try_from(level.next.0).ok()?)));
        MessageResult(DelayOffsetTable {
            offset_table: offsets.collect(),
            extra: self.parts.progress.table().extra.clone(),
        })
    }
}

impl Handler<SaveDelays> for Schedule {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, _: SaveDelays, _: &mut Self::Context) -> Self::Result {
        self.save()
    }
}
