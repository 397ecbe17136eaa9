//! The client that asks whether the broker is back after a fault, and reads everything in the end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use cuemq_net::code::ResponseCode;
use tokio::sync::watch;

use super::body::Queue;
use super::history::{FinalLog, Stored};
use super::producer::{Sender, Sent};
use super::reader::{ends, messages, pull};

/// The number of its sender.
pub(super) const NUMBER: u16 = 999;

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
}

impl Order {
    /// Whether senders and consumers end.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Quiet | Self::Audit)
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
                Order::Load | Order::Quiet => {}
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
        for queue in Queue::all() {
            all.insert(queue, self.read_all(queue).await);
        }
        self.last.replace(Some(all));
    }

    /// Reads a queue to its end, however often that has to be tried.
    async fn read_all(&self, queue: Queue) -> Vec<Stored> {
        let mut all = Vec::new();
        let mut next = 0;
        loop {
            let request = pull("auditors", queue, next, Duration::ZERO);
            let Ok(answer) = self.sender.client.call(&request).await else {
                continue;
            };
            if answer.code == ResponseCode::SUCCESS.0 {
                all.extend(messages(queue, &answer));
            }
            let Some((begin, end)) = ends(&answer) else { continue };
            next = begin;
            if next >= end {
                return all;
            }
        }
    }
}
