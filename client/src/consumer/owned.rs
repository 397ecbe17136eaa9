//! A queue that a push consumer owns, shared by the tasks that pull from it and consume from it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cuemq_net::body::MessageQueue;
use tokio::sync::{Notify, watch};

use crate::consumer::flow_control::{Exceeded, FlowControl};
use crate::consumer::process_queue::ProcessQueue;
use crate::consumer::pull::MASTER;

/// One owned queue.
pub(crate) struct OwnedQueue {
    pub(crate) queue: Arc<MessageQueue>,
    held: Mutex<ProcessQueue>,
    limits: Mutex<FlowControl>,
    dropped: watch::Sender<bool>,
    /// There may be room for a pull again.
    pub(crate) room: Notify,
    /// There may be something for an orderly listener.
    pub(crate) arrived: Notify,
    /// Held while a listener works on the queue, by an orderly one alone, by concurrent calls together: whoever gives the
    /// queue away waits for it, and calls that did not begin wait behind that.
    pub(crate) turn: tokio::sync::RwLock<()>,
    /// The broker that the last answer sent us to.
    next_broker: AtomicI64,
}

impl OwnedQueue {
    pub(crate) fn new(queue: MessageQueue, limits: FlowControl, now_ms: i64) -> Arc<Self> {
        Arc::new(Self {
            queue: Arc::new(queue),
            held: Mutex::new(ProcessQueue::new(now_ms)),
            limits: Mutex::new(limits),
            dropped: watch::Sender::new(false),
            room: Notify::new(),
            arrived: Notify::new(),
            turn: tokio::sync::RwLock::new(()),
            next_broker: AtomicI64::new(MASTER),
        })
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, ProcessQueue> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn limit(&self, limits: FlowControl) {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
        self.room.notify_one();
    }

    pub(crate) fn exceeded(&self) -> Option<Exceeded> {
        let limits = *self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.exceeded(&self.held())
    }

    /// Ends all work on the queue: what listeners do from now on counts no more.
    pub(crate) fn drop_it(&self) {
        self.held().dropped = true;
        self.dropped.send_replace(true);
    }

    pub(crate) fn is_dropped(&self) -> bool {
        *self.dropped.borrow()
    }

    /// Does something unless the queue is dropped meanwhile.
    pub(crate) async fn unless_dropped<T>(&self, act: impl Future<Output = T>) -> Option<T> {
        let mut dropped = self.dropped.subscribe();
        tokio::select! {
            biased;
            _ = dropped.wait_for(|dropped| *dropped) => None,
            done = act => Some(done),
        }
    }

    pub(crate) fn next_broker(&self) -> i64 {
        self.next_broker.load(Ordering::Relaxed)
    }

    pub(crate) fn go_on_at(&self, broker_id: i64) {
        self.next_broker.store(broker_id, Ordering::Relaxed);
    }
}
