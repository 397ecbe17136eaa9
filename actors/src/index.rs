//! The only writer of `index/`. Dispatch, step 6 of 7: indexes the keys of new messages, answers queries by key.
//!
//! It may fall behind the log, since it never holds back a send: what does not fit its mailbox's bound it reads from the log
//! later by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, Recipient};
use cuemq_storage::commit_log::LogView;
use cuemq_storage::commit_log::derive::keys_of;
use cuemq_storage::index::{Answer, Index as Files, IndexKey, Question};
use cuemq_storage::log_state::Target;
use cuemq_storage::position::PhysicalOffset;

use crate::commit_log::{Confirmed, Poison};
use crate::supervise::Context;

/// Keys that may wait in the mailbox; beyond that they are read from the log when their turn comes.
const WAITING_KEYS_MAX: usize = 1 << 20;
/// How many keys are gathered from the log before they are written.
const KEYS_PER_WRITE: usize = 8192;

/// Index these keys. From `CommitLog`, one for each tick, bounded by [`WAITING_KEYS_MAX`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AddKeys {
    /// Where the tick began in the log.
    pub from: PhysicalOffset,
    /// Where it ended.
    pub upto: PhysicalOffset,
    /// The keys; `None` when they are to be read from the log.
    pub keys: Option<Vec<IndexKey>>,
}

/// Make durable what was indexed. From itself, and from `BrokerSystem` when it stops; true when it is.
#[derive(Message, Debug)]
#[rtype(result = "bool")]
pub struct FlushIndex;

/// Find messages by a key. From connections, bounded by the requests under way.
#[derive(Message, Debug)]
#[rtype(result = "Vec<u64>")]
pub struct Query {
    /// The topic.
    pub topic: String,
    /// The key, or a message's unique key.
    pub key: String,
    /// How many positions at most.
    pub max: usize,
    /// The earliest store time, in milliseconds since 1970.
    pub begin_ms: i64,
    /// The latest one.
    pub end_ms: i64,
}

/// The commit log's side of the index.
pub struct IndexFeed {
    index: Recipient<AddKeys>,
    waiting: Arc<AtomicUsize>,
    /// From where on keys were left to be read from the log.
    left_from: Option<PhysicalOffset>,
}

impl IndexFeed {
    /// Feeds this index; `waiting` is shared with it.
    #[must_use]
    pub fn new(index: Recipient<AddKeys>, waiting: Arc<AtomicUsize>) -> Self {
        Self { index, waiting, left_from: None }
    }

    /// Hands over a tick's keys, or leaves them for later.
    #[expect(clippy::disallowed_methods, reason = "bounded by the count of waiting keys")]
    pub fn feed(&mut self, from: PhysicalOffset, upto: PhysicalOffset, keys: Vec<IndexKey>) {
        if self.waiting.load(Ordering::Relaxed) > WAITING_KEYS_MAX {
            self.left_from.get_or_insert(from);
            return;
        }
        if let Some(left_from) = self.left_from.take() {
            self.index.do_send(AddKeys { from: left_from, upto, keys: None });
        } else if !keys.is_empty() {
            self.waiting.fetch_add(keys.len(), Ordering::Relaxed);
            self.index.do_send(AddKeys { from, upto, keys: Some(keys) });
        }
    }
}

/// The actor.
pub struct Index {
    files: Files,
    log: Arc<LogView>,
    waiting: Arc<AtomicUsize>,
    confirmed: Recipient<Confirmed>,
    poison: Recipient<Poison>,
    flush_interval: Duration,
    /// Up to where keys were added since the last flush.
    added: Option<PhysicalOffset>,
}

impl Index {
    /// Owns an index that holds, or will be given once more, everything from the log's confirmed position on.
    #[must_use]
    pub fn new(
        files: Files,
        log: Arc<LogView>,
        waiting: Arc<AtomicUsize>,
        confirmed: Recipient<Confirmed>,
        poison: Recipient<Poison>,
        flush_interval: Duration,
    ) -> Self {
        Self { files, log, waiting, confirmed, poison, flush_interval, added: None }
    }

    /// Adds what the log has from `from` to `upto`.
    fn read_log(&mut self, from: PhysicalOffset, upto: PhysicalOffset) -> cuemq_storage::Result<()> {
        let mut at = from;
        while at < upto {
            let mut keys = Vec::new();
            let reached = self.log.walk(at, |record| {
                let goes_on = record.physical_offset() < upto.0 && keys.len() < KEYS_PER_WRITE;
                if goes_on {
                    keys_of(record, &mut keys);
                }
                goes_on
            });
            if reached <= at {
                break;
            }
            self.files.put_batch(&keys, reached)?;
            at = reached;
        }
        Ok(())
    }

    fn add(&mut self, add: AddKeys) -> cuemq_storage::Result<()> {
        match add.keys {
            None => self.read_log(add.from, add.upto)?,
            Some(keys) => {
                self.waiting.fetch_sub(keys.len(), Ordering::Relaxed);
                self.files.put_batch(&keys, add.upto)?;
            }
        }
        self.added = self.added.max(Some(add.upto));
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "one for each flush")]
    fn flush(&mut self) -> cuemq_storage::Result<()> {
        if let Some(upto) = self.added {
            self.files.flush()?;
            self.added = None;
            self.confirmed.do_send(Confirmed { target: Target::Index, upto });
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "at most once: the store is poisoned after it")]
    fn poison(&self, result: cuemq_storage::Result<()>) -> bool {
        match result {
            Ok(()) => true,
            Err(error) => {
                self.poison.do_send(Poison(error));
                false
            }
        }
    }
}

impl Actor for Index {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // What the value before this one had taken and not made durable is in the log, behind what everybody confirmed.
        let read = self.read_log(self.log.confirmed(), self.log.visible());
        self.added = Some(self.log.visible());
        self.poison(read);
        ctx.run_interval(self.flush_interval, |actor, _| {
            let flushed = actor.flush();
            actor.poison(flushed);
        });
    }
}

impl Handler<AddKeys> for Index {
    type Result = ();

    fn handle(&mut self, add: AddKeys, _: &mut Self::Context) {
        let added = self.add(add);
        self.poison(added);
    }
}

impl Handler<FlushIndex> for Index {
    type Result = bool;

    fn handle(&mut self, _: FlushIndex, _: &mut Self::Context) -> bool {
        let flushed = self.flush();
        self.poison(flushed)
    }
}

impl Handler<Query> for Index {
    type Result = Vec<u64>;

    fn handle(&mut self, query: Query, _: &mut Self::Context) -> Vec<u64> {
        let found = self.files.query(&query.topic, &query.key, query.max, query.begin_ms, query.end_ms);
        found.unwrap_or_else(|error| {
            tracing::error!(%error, topic = query.topic, "the index cannot be read");
            Vec::new()
        })
    }
}
