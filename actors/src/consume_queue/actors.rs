//! The consume queue actors by their slots, on the commit log's side: started on first use, let go when idle.

use std::sync::{Arc, Mutex, PoisonError};

use actix::Addr;
use cuemq_storage::commit_log::{QueueName, QueueUnits};
use cuemq_storage::consume_queue::{ConsumeQueue as Queue, Trim};
use cuemq_storage::position::PhysicalOffset;
use cuemq_storage::queue_directory::{QueueDirectory, QueueHandle};
use tokio::sync::oneshot;

use super::{AddUnits, Clear, ConsumeQueue, TrimQueue};

/// A queue as recovery found it, with its files if it has opened them.
pub type FoundQueue = (QueueName, Arc<QueueHandle>, Option<Queue>);
/// Starts the actor of a queue, with its files if they are open.
pub type QueueStart = Box<dyn FnMut(QueueName, Arc<QueueHandle>, Option<Queue>) -> Addr<ConsumeQueue> + Send>;
/// Makes the handle of a queue that is new.
pub type NewHandle = Box<dyn FnMut(u32, &QueueName) -> Arc<QueueHandle> + Send>;

/// What the commit log knows of one queue.
struct Entry {
    name: QueueName,
    handle: Arc<QueueHandle>,
    /// Its files as recovery left them, until its actor is first started.
    files: Option<Queue>,
    actor: Option<Addr<ConsumeQueue>>,
    /// The end of the last tick that its actor was sent.
    sent: PhysicalOffset,
}

impl Entry {
    fn new(name: QueueName, handle: Arc<QueueHandle>, files: Option<Queue>) -> Self {
        let (actor, sent) = (None, PhysicalOffset(0));
        Self {
            name,
            handle,
            files,
            actor,
            sent,
        }
    }

    /// Its actor, which is started when it does not run.
    fn actor(&mut self, start: &mut QueueStart) -> &Addr<ConsumeQueue> {
        match &mut self.actor {
            Some(actor) => actor,
            stopped => {
                let (name, handle, files) = (self.name.clone(), Arc::clone(&self.handle), self.files.take());
                stopped.insert(start(name, handle, files))
            }
        }
    }
}

/// What one value of the commit log leaves to the next: the queues' actors, which go on meanwhile. Were they started again,
/// two actors would write the same files.
#[derive(Clone, Default)]
pub struct Heritage(Arc<Mutex<Vec<Entry>>>);

impl Heritage {
    fn exchange(&self, entries: Vec<Entry>) -> Vec<Entry> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), entries)
    }
}

/// The queues by their slots.
pub struct QueueActors {
    entries: Vec<Entry>,
    heritage: Heritage,
    directory: Arc<QueueDirectory>,
    start: QueueStart,
    new_handle: NewHandle,
}

impl QueueActors {
    /// The queues that recovery found, in the order of their slots. The actors that run are those of the heritage, which is
    /// in the same order.
    #[must_use]
    pub fn new(
        heritage: Heritage,
        found: Vec<FoundQueue>,
        directory: Arc<QueueDirectory>,
        start: QueueStart,
        new_handle: NewHandle,
    ) -> Self {
        let entry = |(name, handle, files)| Entry::new(name, handle, files);
        let mut entries = heritage.exchange(Vec::new());
        let known = entries.len();
        entries.extend(found.into_iter().skip(known).map(entry));
        Self {
            entries,
            heritage,
            directory,
            start,
            new_handle,
        }
    }

    /// Makes a new queue known, to readers as well.
    pub fn register(&mut self, slot: u32, name: QueueName) {
        if (slot as usize) < self.entries.len() {
            return;
        }
        let handle = (self.new_handle)(slot, &name);
        self.directory.insert(&name.topic, name.queue_id, Arc::clone(&handle));
        self.entries.push(Entry::new(name, handle, None));
    }

    /// Hands units to their queue, whose actor is started when it does not run.
    #[expect(
        clippy::disallowed_methods,
        reason = "bounded by the bytes in flight: it lives on the commit log's thread"
    )]
    pub fn feed(&mut self, units: QueueUnits, upto: PhysicalOffset) {
        let Some(entry) = self.entries.get_mut(units.slot as usize) else {
            return;
        };
        entry.sent = upto;
        if let Some(first) = units.units.first() {
            entry.handle.behind().handed(first.physical_offset, upto);
        }
        entry.actor(&mut self.start).do_send(AddUnits { units, upto });
    }

    /// Has a queue emptied, of whose records nothing from `upto` on was handed to it; gives who is told when it is. Dropped
    /// without a word, it may not be.
    #[expect(clippy::disallowed_methods, reason = "one for each queue of a topic that is deleted")]
    pub fn clear(&mut self, slot: u32, upto: PhysicalOffset) -> Option<oneshot::Receiver<()>> {
        let entry = self.entries.get_mut(slot as usize)?;
        entry.sent = entry.sent.max(upto);
        entry.handle.delete_before(upto);
        let (done, cleared) = oneshot::channel();
        entry.actor(&mut self.start).do_send(Clear { upto, done });
        Some(cleared)
    }

    /// Has a queue begin where it was found to.
    #[expect(clippy::disallowed_methods, reason = "one for each queue and deletion")]
    pub fn trim(&mut self, slot: u32, trim: Trim) {
        if let Some(entry) = self.entries.get_mut(slot as usize) {
            entry.actor(&mut self.start).do_send(TrimQueue(trim));
        }
    }

    /// Lets an idle actor go, unless it was sent something that it had not seen when it said so.
    pub fn let_go(&mut self, slot: u32, upto: PhysicalOffset) {
        if let Some(entry) = self.entries.get_mut(slot as usize)
            && entry.sent <= upto
        {
            entry.actor = None;
        }
    }
}

impl Drop for QueueActors {
    fn drop(&mut self) {
        self.heritage.exchange(std::mem::take(&mut self.entries));
    }
}
