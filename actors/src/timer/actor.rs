//! The owner of `cuemq/timers`: notes in it what waits for its time, has what is due appended to its own topic, and counts it
//! as delivered when that is safe.
//!
//! There is one timer, for the message that is due next, one batch under way, and one change of the index, which
//! [`TimerWriter`](super::writer::TimerWriter) makes. Where the index cannot be used it is opened anew: what it lacks is in
//! the consume queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Handler, MailboxError, Message, MessageResult, Recipient, SpawnHandle,
    WrapFuture,
};
use cuemq_net::message::properties;
use cuemq_net::message::record::Record;
use cuemq_storage::StoreError;
use cuemq_storage::commit_log::LogView;
use cuemq_storage::consume_queue::{QueueView, Unit};
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::queue_directory::QueueDirectory;
use cuemq_storage::timer::{Due, TIMER_TOPIC};

use super::delivery::{delivery, own_target, target};
use super::entry::{Entry, Key};
use super::index::{Change, Index, IndexError, IndexPlace, Indexed};
use super::ledger::Ledger;
use super::note::Passed;
use super::recalls::target_of;
use super::relay::{MakeWay, Relay};
use super::writer::WriteIndex;
use crate::io::send_context::SendBatch;
use crate::pending::PendingMark;
use crate::reappend::{NotAppended, Reappender, empty_batch};
use crate::supervise::Context;

/// How many messages are appended together.
const BATCH_MESSAGES: usize = 1024;
/// A batch takes no more messages when it has this many bytes.
pub(super) const BATCH_BYTES: usize = 1 << 20;
/// How many units are read before others of the thread have their turn.
const UNITS_AT_ONCE: usize = 4096;
/// After a failure to read, write or append it is tried again after this time.
pub(super) const RETRY: Duration = Duration::from_millis(500);
/// The longest wait: clocks are set forward.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Look for what is new and what is due. From the consume queue of those that wait, and to itself; one under way.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Look;

/// Write what is done into the index now. From an orderly stop, once.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "Result<(), TimersError>")]
pub struct SaveTimers;

/// Why what waits is not looked at now; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum TimersError {
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The consume queue or the log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells `Timers` that something came to wait.
#[derive(Clone)]
pub struct WakeTimers {
    timers: Recipient<Look>,
    asked: Arc<AtomicBool>,
}

impl WakeTimers {
    /// Wakes `timers`, which notes in `asked` that it looks.
    #[must_use]
    pub fn new(timers: Recipient<Look>, asked: Arc<AtomicBool>) -> Self {
        Self { timers, asked }
    }

    /// Wakes it.
    #[expect(clippy::disallowed_methods, reason = "one under way")]
    pub fn wake(&self) {
        if !self.asked.swap(true, Ordering::AcqRel) {
            self.timers.do_send(Look);
        }
    }
}

/// What the actor works with.
pub struct TimersParts {
    /// The consume queues.
    pub queues: Arc<QueueDirectory>,
    /// The log.
    pub log: Arc<LogView>,
    /// Appends what is due.
    pub reappender: Reappender,
    /// Where the index lies.
    pub place: IndexPlace,
    /// Writes it.
    pub writer: Recipient<WriteIndex>,
    /// Keeps the files of the log in which messages wait.
    pub mark: PendingMark,
    /// Whether somebody has asked for a look.
    pub asked: Arc<AtomicBool>,
    /// How often it is noted what is done.
    pub save_interval: Duration,
}

/// The actor.
pub struct Timers {
    pub(super) parts: TimersParts,
    /// What waits; `None` while the index cannot be used.
    pub(super) waiting: Option<Waiting>,
    /// How often the index was opened: what was begun before then says nothing.
    opened: u64,
    /// Whether a batch is under way.
    delivering: bool,
    /// Whether a change of the index is under way.
    writing: bool,
    /// Whether it is time to note what is done.
    save_now: bool,
    timer: Option<SpawnHandle>,
    /// Who wants a file of the log to go.
    pub(super) relay: Option<Relay>,
}

/// What waits, and the index that it is in.
pub(super) struct Waiting {
    pub(super) index: Arc<Index>,
    owner: u64,
    pub(super) ledger: Ledger,
}

impl Waiting {
    fn open(parts: &TimersParts) -> Result<Self, TimersError> {
        match Self::open_found(parts) {
            Err(TimersError::Index(IndexError::Damaged(reason))) => {
                tracing::error!(reason, "the index of messages that wait is made anew");
                parts.place.discard()?;
                Self::open_found(parts)
            }
            opened => opened,
        }
    }

    fn open_found(parts: &TimersParts) -> Result<Self, TimersError> {
        let index = parts.place.open()?;
        let owner = index.take_over();
        let indexed = index.indexed();
        if !is_of(&parts.queues, indexed)? {
            return Err(IndexError::Damaged("it is of another store".to_owned()).into());
        }
        let passed = match parts.place.passed() {
            passed if is_of(&parts.queues, passed.read)? => passed,
            _ => Passed::default(),
        };
        let ledger = Ledger::new(indexed, index.done(), passed);
        Ok(Self { index, owner, ledger })
    }

    /// Reads what is new in the queue; whether that was all of it.
    fn read(&mut self, parts: &TimersParts) -> Result<bool, TimersError> {
        let Some(queue) = parts.queues.find(TIMER_TOPIC, 0) else {
            return Ok(true);
        };
        let view = queue.view();
        self.ledger.skip_to(view.min_offset());
        let mut left = UNITS_AT_ONCE;
        while left > 0 && self.ledger.has_room() {
            let units = view.copy(self.ledger.next(), left)?;
            if units.is_empty() {
                return Ok(true);
            }
            left -= units.len().min(left);
            for entry in entries(&view, &parts.log, self.ledger.next(), &units)? {
                self.ledger.add(entry.0, entry.1);
            }
        }
        Ok(self.ledger.next() >= view.max_offset())
    }
}

/// Whether what was read belongs to this queue, as far as the queue still tells.
fn is_of(queues: &QueueDirectory, read: Indexed) -> Result<bool, StoreError> {
    let Some(last) = read.upto.0.checked_sub(1) else {
        return Ok(true);
    };
    let Some(queue) = queues.find(TIMER_TOPIC, 0) else {
        return Ok(false);
    };
    let view = queue.view();
    match view.unit(QueueOffset(last))? {
        Some(unit) => Ok(unit.physical_offset == read.last),
        None => Ok(read.upto <= view.min_offset()),
    }
}

/// What units from `first` on say, and where the record of each ends.
pub(super) fn entries(
    view: &QueueView,
    log: &LogView,
    first: QueueOffset,
    units: &[Unit],
) -> Result<Vec<(Entry, PhysicalOffset)>, StoreError> {
    let (mut tags, mut next, mut entries) = (view.tags(), first, Vec::with_capacity(units.len()));
    for unit in units {
        let at = unit.physical_offset;
        let due = match tags.code(*unit) {
            Some(code) => Due::of_code(code),
            None => due_of_record(log, at)?,
        };
        let key = Key::new(due, next);
        entries.push((Entry { key, at }, at.advanced(unit.size.into())));
        next = next.advanced(1);
    }
    Ok(entries)
}

/// What the record says, where the queue has lost it.
fn due_of_record(log: &LogView, at: PhysicalOffset) -> Result<Due, StoreError> {
    let bytes = log.record(at)?.unwrap_or_default();
    let properties = Record::parse(&bytes)
        .map(|record| record.properties())
        .unwrap_or_default();
    Ok(Due::of(&properties::known(properties)))
}

/// A batch on its way, and whose records it has.
struct Delivery {
    batch: SendBatch,
    entries: Vec<Entry>,
}

impl Timers {
    /// Goes on with what the index holds.
    #[must_use]
    pub fn new(parts: TimersParts) -> Self {
        Self {
            parts,
            waiting: None,
            opened: 0,
            delivering: false,
            writing: false,
            save_now: false,
            timer: None,
            relay: None,
        }
    }

    /// How often the index was opened.
    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    fn now_ms(&self) -> u64 {
        self.parts.reappender.clock.now_ms()
    }

    /// Looks for what is new and what is due.
    pub(super) fn look(&mut self, ctx: &mut Context<Self>) {
        if let Err(error) = self.try_look(ctx) {
            self.lost(&error, ctx);
        }
    }

    /// The index is opened anew later.
    pub(super) fn lost(&mut self, error: &TimersError, ctx: &mut Context<Self>) {
        tracing::error!(%error, "messages that wait for their time cannot be looked at; tried again");
        if let TimersError::Index(IndexError::Damaged(_)) = error
            && let Err(error) = self.parts.place.discard()
        {
            tracing::error!(%error, "the damaged index cannot be removed");
        }
        if let TimersError::Index(_) = error {
            (self.waiting, self.relay) = (None, None);
            (self.delivering, self.writing) = (false, false);
        }
        self.look_in(RETRY, ctx);
    }

    fn try_look(&mut self, ctx: &mut Context<Self>) -> Result<(), TimersError> {
        if self.waiting.is_none() {
            self.waiting = Some(Waiting::open(&self.parts)?);
            self.opened += 1;
        }
        let now_ms = self.now_ms();
        let Some(waiting) = &mut self.waiting else {
            return Ok(());
        };
        let all = waiting.read(&self.parts)?;
        let goes_on = waiting.ledger.has_room();
        self.write(ctx);
        if !all {
            // What is new may recall what is due. Without room it goes on when the index has taken some.
            if goes_on {
                ctx.notify(Look);
            } else {
                self.look_in(RETRY, ctx);
            }
            return Ok(());
        }
        if self.delivering {
            return Ok(());
        }
        let Some(waiting) = &mut self.waiting else {
            return Ok(());
        };
        let due = waiting.ledger.take_due(&waiting.index, now_ms, BATCH_MESSAGES)?;
        if due.entries.is_empty() {
            let wait_ms = due.next_ms.map_or(u64::MAX, |next_ms| next_ms.saturating_sub(now_ms));
            self.look_in(Duration::from_millis(wait_ms), ctx);
        } else {
            let delivery = self.gather(due.entries, now_ms)?;
            self.deliver(delivery, ctx);
        }
        Ok(())
    }

    pub(super) fn look_in(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        // who saves more often than that, as a test does whose clock jumps, also looks more often
        let wait = wait.min(LONGEST_WAIT).min(self.parts.save_interval);
        self.timer = Some(ctx.run_later(wait, |timers, ctx| {
            timers.timer = None;
            timers.look(ctx);
        }));
    }

    /// The records of what is due.
    fn gather(&mut self, due: Vec<Entry>, now_ms: u64) -> Result<Delivery, TimersError> {
        let (mut batch, mut entries) = (empty_batch(), Vec::new());
        let mut due = due.into_iter();
        let Some(waiting) = &mut self.waiting else {
            return Ok(Delivery { batch, entries });
        };
        while batch.bytes.len() < BATCH_BYTES
            && let Some(entry) = due.next()
        {
            match add(&mut waiting.ledger, &self.parts, &mut batch, entry, now_ms) {
                Ok(true) => entries.push(entry),
                Ok(false) => {}
                Err(error) => {
                    for entry in entries.into_iter().chain([entry]).chain(due) {
                        waiting.ledger.put_back(entry);
                    }
                    return Err(error.into());
                }
            }
        }
        for entry in due {
            waiting.ledger.put_back(entry);
        }
        Ok(Delivery { batch, entries })
    }

    fn deliver(&mut self, Delivery { batch, entries }: Delivery, ctx: &mut Context<Self>) {
        if entries.is_empty() {
            ctx.notify(Look);
            return;
        }
        self.delivering = true;
        let (reappender, opened) = (self.parts.reappender.clone(), self.opened);
        let appended = async move { reappender.append(batch).await };
        ctx.spawn(appended.into_actor(self).map(move |appended, timers, ctx| {
            if timers.opened == opened {
                timers.delivering = false;
                let failed = timers.appended(appended, entries);
                if failed {
                    timers.look_in(RETRY, ctx);
                } else {
                    timers.look(ctx);
                }
            }
        }));
    }

    /// Notes the outcome of an append; whether it failed.
    pub(super) fn appended(&mut self, appended: Result<SendBatch, NotAppended>, entries: Vec<Entry>) -> bool {
        let Some(waiting) = &mut self.waiting else { return true };
        match appended {
            Ok(batch) => {
                for (entry, record) in entries.iter().zip(&batch.records) {
                    let end = record.physical_offset.advanced(record.length.into());
                    waiting.ledger.appended(entry.key, end);
                }
                false
            }
            Err(error) => {
                tracing::debug!(%error, "messages whose time has come are not delivered yet");
                for entry in entries {
                    waiting.ledger.put_back(entry);
                }
                true
            }
        }
    }

    /// Has the index changed, one change at a time.
    fn write(&mut self, ctx: &mut Context<Self>) {
        let durable = self.parts.log.durable();
        let Some(waiting) = self.waiting.as_mut().filter(|_| !self.writing) else {
            return;
        };
        let change = waiting.ledger.change(durable, self.save_now);
        self.save_now = false;
        let Some(change) = change.map(Arc::new) else { return };
        self.writing = true;
        let (index, owner, opened) = (Arc::clone(&waiting.index), waiting.owner, self.opened);
        let write = WriteIndex {
            index,
            owner,
            change: Arc::clone(&change),
        };
        let written = self.parts.writer.send(write);
        ctx.spawn(written.into_actor(self).map(move |written, timers, ctx| {
            if timers.opened == opened {
                timers.writing = false;
                timers.written(written, &change, ctx);
            }
        }));
    }

    fn written(
        &mut self,
        written: Result<Result<bool, IndexError>, MailboxError>,
        change: &Change,
        ctx: &mut Context<Self>,
    ) {
        let lost = match written {
            Ok(Ok(true)) => {
                if let Some(waiting) = &mut self.waiting {
                    waiting.ledger.changed(change);
                }
                return self.look(ctx);
            }
            Ok(Ok(false)) => IndexError::Disk("another owner has it".to_owned()),
            Ok(Err(error)) => error,
            Err(error) => IndexError::Disk(format!("its writer has failed: {error}")),
        };
        self.lost(&lost.into(), ctx);
    }

    fn save(&mut self) -> Result<(), TimersError> {
        let durable = self.parts.log.durable();
        let Some(waiting) = &mut self.waiting else {
            return Ok(());
        };
        if let Some(change) = waiting.ledger.change(durable, true) {
            waiting.index.change(waiting.owner, &change)?;
            waiting.ledger.changed(&change);
        }
        Ok(())
    }
}

/// Adds the record of one that is due; whether it did. One that has nowhere to go, that was deleted or recalled, and one that
/// recalls others, are done with that.
fn add(
    ledger: &mut Ledger,
    parts: &TimersParts,
    batch: &mut SendBatch,
    entry: Entry,
    now_ms: u64,
) -> Result<bool, StoreError> {
    let at = entry.at;
    let Some(bytes) = parts.log.record(at)? else {
        tracing::warn!(%at, "a message that waited for its time was deleted before it");
        ledger.passed_over(entry.key);
        return Ok(false);
    };
    let record = match Record::parse(&bytes) {
        Ok(record) => record,
        Err(error) => {
            tracing::error!(%at, %error, "a message that waited for its time cannot be read; it stays where it is");
            ledger.passed_over(entry.key);
            return Ok(false);
        }
    };
    let known = properties::known(record.properties());
    if let Some(target) = target(&known) {
        ledger.recalled(entry, target_of(&target));
        return Ok(false);
    }
    if let Some(own) = own_target(&known).filter(|_| !ledger.recalls.is_empty())
        && is_recalled(ledger, &parts.log, &own, entry.key)?
    {
        tracing::debug!(%at, target = own, "a message was recalled");
        ledger.passed_over(entry.key);
        return Ok(false);
    }
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let pushed = delivery(&record, now_ms, |fields| parts.reappender.push(batch, fields));
    if let Err(error) = pushed.and_then(|pushed| Ok(pushed?)) {
        tracing::error!(%at, %error, "a message whose time has come cannot be delivered; it stays where it is");
        ledger.passed_over(entry.key);
        return Ok(false);
    }
    Ok(true)
}

/// Whether a message was recalled. Two targets may have the same number, so the record that recalls is looked at.
fn is_recalled(ledger: &Ledger, log: &LogView, own: &str, key: Key) -> Result<bool, StoreError> {
    for at in ledger.recalls.of(target_of(own), key.at_ms()) {
        let Some(bytes) = log.record(at)? else { return Ok(true) };
        let properties = Record::parse(&bytes)
            .map(|record| record.properties())
            .unwrap_or_default();
        if target(&properties::known(properties)).as_deref() == Some(own) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Actor for Timers {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.parts.asked.store(false, Ordering::Release);
        ctx.run_interval(self.parts.save_interval, |timers, ctx| {
            timers.save_now = true;
            timers.write(ctx);
        });
        ctx.notify(Look);
    }
}

impl Handler<Look> for Timers {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        // First: what comes from now on asks again.
        self.parts.asked.store(false, Ordering::Release);
        self.look(ctx);
    }
}

impl Handler<SaveTimers> for Timers {
    type Result = MessageResult<SaveTimers>;

    fn handle(&mut self, _: SaveTimers, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.save())
    }
}

impl Handler<MakeWay> for Timers {
    type Result = ();

    fn handle(&mut self, make_way: MakeWay, ctx: &mut Self::Context) {
        self.begin_relay(make_way, ctx);
    }
}
