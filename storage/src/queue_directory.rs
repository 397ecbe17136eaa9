//! All consume queues as readers see them, found by topic and queue without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::behind::Behind;
use crate::consume_queue::QueueView;
use crate::hash::Hasher;
use crate::position::PhysicalOffset;

/// One consume queue, for readers.
pub struct QueueHandle {
    slot: u32,
    view: ArcSwap<QueueView>,
    parked: AtomicU32,
    behind: Behind,
    deleted: AtomicU64,
}

impl QueueHandle {
    /// A queue in the log's queue table.
    #[must_use]
    pub fn new(slot: u32, view: Arc<QueueView>) -> Self {
        Self {
            slot,
            view: ArcSwap::new(view),
            parked: AtomicU32::new(0),
            behind: Behind::default(),
            deleted: AtomicU64::new(0),
        }
    }

    /// Its slot in the log's queue table.
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// What it holds.
    #[must_use]
    pub fn view(&self) -> arc_swap::Guard<Arc<QueueView>> {
        self.view.load()
    }

    /// Replaces what it holds, when its owner was built anew.
    pub fn replace(&self, view: Arc<QueueView>) {
        self.view.store(view);
    }

    /// What it was handed and has not taken yet.
    #[must_use]
    pub fn behind(&self) -> &Behind {
        &self.behind
    }

    /// Notes that the queue's records in front of `end` were deleted with their topic.
    pub fn delete_before(&self, end: PhysicalOffset) {
        self.deleted.store(end.0, Ordering::Release);
    }

    /// The end of what was deleted in this life of the broker.
    #[must_use]
    pub fn deleted_before(&self) -> PhysicalOffset {
        PhysicalOffset(self.deleted.load(Ordering::Acquire))
    }

    /// Notes that a pull waits for the queue's next message; the caller looks at the queue once more afterwards.
    pub fn park(&self) {
        self.parked.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that a pull waits no longer.
    pub fn unpark(&self) {
        self.parked.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether anybody waits; asked after new units were published.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.parked.load(Ordering::SeqCst) > 0
    }
}

/// The queues of one topic, sorted by number. A record in a log may name any number, so it is no place in a table.
type TopicQueues = ArcSwap<Vec<(u32, Arc<QueueHandle>)>>;

/// All consume queues.
#[derive(Default)]
pub struct QueueDirectory {
    topics: papaya::HashMap<Arc<str>, TopicQueues, Hasher>,
}

impl QueueDirectory {
    /// The queue of a topic, if it has ever had a message.
    #[must_use]
    pub fn find(&self, topic: &str, queue_id: u32) -> Option<Arc<QueueHandle>> {
        self.with(topic, queue_id, Arc::clone)
    }

    /// The slot of a queue, as [`find`](Self::find) finds it, without counting a reference: every send asks for one.
    #[must_use]
    pub fn slot(&self, topic: &str, queue_id: u32) -> Option<u32> {
        self.with(topic, queue_id, |handle| handle.slot())
    }

    fn with<R>(&self, topic: &str, queue_id: u32, read: impl FnOnce(&Arc<QueueHandle>) -> R) -> Option<R> {
        let topics = self.topics.pin();
        let queues = topics.get(topic)?.load();
        let place = queues.binary_search_by_key(&queue_id, |(queue_id, _)| *queue_id).ok()?;
        queues.get(place).map(|(_, handle)| read(handle))
    }

    /// Makes a queue known. Only the commit log's owner calls this.
    pub fn insert(&self, topic: &Arc<str>, queue_id: u32, handle: Arc<QueueHandle>) {
        let topics = self.topics.pin();
        let queues = topics.get_or_insert_with(Arc::clone(topic), TopicQueues::default);
        let mut next = queues.load().as_ref().clone();
        match next.binary_search_by_key(&queue_id, |(queue_id, _)| *queue_id) {
            Ok(place) => next.splice(place..=place, [(queue_id, handle)]).for_each(drop),
            Err(place) => next.insert(place, (queue_id, handle)),
        }
        queues.store(Arc::new(next));
    }

    /// Calls `each` for every queue.
    pub fn for_each(&self, mut each: impl FnMut(&Arc<str>, u32, &Arc<QueueHandle>)) {
        for (topic, queues) in &self.topics.pin() {
            for (queue_id, handle) in queues.load().iter() {
                each(topic, *queue_id, handle);
            }
        }
    }
}
