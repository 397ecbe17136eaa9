//! The client that asks whether the broker is back after a fault, and reads everything in the end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use cuemq_net::code::ResponseCode;
use tokio::sync::watch;
use tokio::time::timeout;

use super::body::Queue;
use super::check::later::is_complete;
use super::consumer;
use super::group;
use super::history::{Event, FinalLog, Stored};
use super::later::{self, Waitings};
use super::producer::{Sender, Sent};
use super::reader::{Pull, ends, messages};

/// The number of its sender.
pub(super) const NUMBER: u16 = 999;
/// The pause after an answer that does not help.
const PAUSE: Duration = Duration::from_millis(20);
/// How long after all is healed a message may come that was due before.
const LATEST: Duration = Duration::from_secs(10);

/// What the clients are to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Send and consume; the auditor rests.
    Load,
    /// The auditor also sends until it is answered, the so-manieth time.
    Probe(u32),
    /// Senders and consumers end.
    Quiet,
    /// The auditor reads everything.
    Audit,
    /// All has been read: who still consumes ends.
    Leave,
}

impl Order {
    /// Whether senders and consumers end.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Quiet | Self::Audit | Self::Leave)
    }
}

/// The client.
pub(super) struct Auditor {
    /// Sends for it.
    pub(super) sender: Sender,
    /// The last probe that was answered.
    pub(super) answered: Rc<Cell<u32>>,
    /// What it read in the end.
    pub(super) last: Rc<RefCell<Option<FinalLog>>>,
    /// What it reads beside the queues of the history.
    pub(super) beside: Vec<Queue>,
    /// What is to come later, and what of it has come in the end.
    pub(super) waitings: Waitings,
    pub(super) came: Rc<RefCell<Vec<Stored>>>,
}

impl Auditor {
    /// Does as it is ordered until it has read everything.
    pub(super) async fn work(mut self, mut orders: watch::Receiver<Order>) {
        loop {
            let order = *orders.borrow_and_update();
            match order {
                Order::Probe(number) => {
                    self.probe().await;
                    self.answered.set(number);
                }
                Order::Audit => return self.audit().await,
                Order::Load | Order::Quiet | Order::Leave => {}
            }
            if orders.changed().await.is_err() {
                return;
            }
        }
    }

    /// Sends to every queue until it was acknowledged.
    async fn probe(&mut self) {
        for queue in Queue::all() {
            while self.sender.send(queue, 1, true).await == Sent::No {}
        }
    }

    async fn audit(&self) {
        let mut all = FinalLog::new();
        for (number, queue) in (0..).zip(Queue::all()) {
            all.insert(queue, self.read_all(queue).await);
            self.ask_how_far(number, queue).await;
        }
        for &queue in &self.beside {
            all.insert(queue, self.read_all(queue).await);
        }
        self.came.replace(self.read_later().await);
        self.last.replace(Some(all));
    }

    /// Reads what was to come later, when it has come or does not come any more.
    async fn read_later(&self) -> Vec<Stored> {
        let waitings = self.waitings.borrow().clone();
        let mut came = Vec::new();
        let all = async {
            while came.is_empty() || !is_complete(&waitings, &came) {
                tokio::time::sleep(PAUSE).await;
                came = self.read_all(later::QUEUE).await;
            }
        };
        // What has not come by then is told of when all is held against what was said.
        let _ = timeout(LATEST, all).await;
        came
    }

    /// Asks how far a consumer has come, however often that has to be tried.
    async fn ask_how_far(&self, consumer: u16, queue: Queue) {
        loop {
            if let Ok(link) = self.sender.client.link().await
                && let Ok(place) = group::find(&link, consumer::GROUP, queue).await
            {
                return self.sender.history.add(Event::Found {
                    consumer,
                    queue,
                    consumer_offset: place.consumer_offset,
                    queue_end: place.queue_end,
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads a queue to its end, however often that has to be tried.
    async fn read_all(&self, queue: Queue) -> Vec<Stored> {
        let mut all = Vec::new();
        let mut next = 0;
        loop {
            let pull = Pull {
                group: "auditors",
                queue,
                queue_offset: next,
                suspend: Duration::ZERO,
                commits: false,
                by_heartbeat: false,
            };
            let Ok(answer) = self.sender.client.call(&pull.request()).await else {
                continue;
            };
            if answer.code == ResponseCode::SUCCESS.0 {
                let more = messages(queue, &answer);
                if more.first().is_some_and(|first| first.queue_offset != next) {
                    // What was read is deleted by now, and more: the queue begins here.
                    all.clear();
                }
                all.extend(more);
            }
            let Some((begin, end)) = ends(&answer) else { continue };
            next = begin;
            if next >= end {
                return all;
            }
        }
    }
}
