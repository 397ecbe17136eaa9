//! A simulated host with an application on it: what its clients are started with, and whether it is done.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_client::ClientOptions;
use cuemq_storage::entropy::{Entropy, SeededEntropy};
use tokio::sync::watch;

use super::ledger::Ledger;
use super::net::AppNet;
use crate::sim::auditor::Order;
use crate::sim::check::Violation;
use crate::sim::clock::SimClock;
use crate::sim::history::History;
use crate::sim::later::Waitings;

/// How long tasks may take to be gone once everything is shut down: those of the simulated network end with its packets.
pub(super) const GONE: Duration = Duration::from_millis(500);
/// The same where a client was dropped: a task that is with a server ends with that call.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(40);

/// How often it is looked whether they are gone.
const LOOK: Duration = Duration::from_millis(20);

/// What all applications share.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) history: Arc<History>,
    pub(super) clock: Arc<SimClock>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) waitings: Waitings,
    pub(super) seed: u64,
    /// As clients are told them.
    pub(super) name_servers: &'static str,
    /// Hosts whose application has ended in order.
    pub(super) done: Rc<RefCell<BTreeSet<String>>>,
    /// Whether messages for later may still be sent.
    pub(super) sends_for_later: Rc<Cell<bool>>,
    pub(super) broken: Rc<RefCell<Vec<Violation>>>,
}

/// One host, over all its lives.
#[derive(Clone)]
pub(super) struct AppHost {
    pub(super) name: String,
    pub(super) number: u16,
    pub(super) common: Common,
    lives: Rc<Cell<u64>>,
}

impl AppHost {
    pub(super) fn new(number: u16, common: &Common) -> Self {
        Self {
            name: format!("app-{number}"),
            number,
            common: common.clone(),
            lives: Rc::default(),
        }
    }

    /// Begins another life; its number.
    pub(super) fn begin(&self) -> u64 {
        self.lives.set(self.lives.get() + 1);
        self.common.history.note(format_args!("{} begins", self.name));
        self.lives.get()
    }

    /// Chances of a life of something on the host.
    pub(super) fn entropy(&self, life: u64, what: u64) -> SeededEntropy {
        SeededEntropy::new(self.common.seed ^ u64::from(self.number) << 40 ^ life << 24 ^ what << 8 ^ 0xA9)
    }

    /// What a client of the host is started with.
    pub(super) fn options(&self, life: u64, instance: &str) -> ClientOptions {
        let net = AppNet {
            host: self.name.clone(),
        };
        ClientOptions::new()
            .namesrv_addr(self.common.name_servers)
            .network(Arc::new(net))
            .clock(Arc::clone(&self.common.clock) as _)
            .instance_name(instance)
            .process_id(u32::from(self.number))
            .seed(self.entropy(life, instance.len() as u64).next_u64())
            .poll_name_server_interval(Duration::from_secs(2))
            .heartbeat_broker_interval(Duration::from_secs(2))
            .persist_consumer_offset_interval(Duration::from_millis(500))
    }

    pub(super) fn order(&self) -> Order {
        *self.common.orders.borrow()
    }

    /// Waits until all has been read in the end.
    pub(super) async fn until_leave(&self) {
        let mut orders = self.common.orders.clone();
        // the sender lives as long as the simulation
        let _ = orders.wait_for(|order| *order == Order::Leave).await;
    }

    /// Waits until senders are to end.
    pub(super) async fn until_over(&self) {
        let mut orders = self.common.orders.clone();
        let _ = orders.wait_for(|order| order.is_over()).await;
    }

    /// How many tasks run on the host.
    pub(super) fn tasks() -> usize {
        tokio::runtime::Handle::current().metrics().num_alive_tasks()
    }

    /// Waits until no more tasks run than before, and notes those that are left then.
    pub(super) async fn expect_tasks(&self, before: usize, patience: Duration) {
        let none_left = async {
            while Self::tasks() > before {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(patience, none_left).await.is_err() {
            self.common.broken.borrow_mut().push(Violation::TasksLeft {
                host: self.name.clone(),
                tasks: Self::tasks().saturating_sub(before),
            });
        }
    }

    /// Notes that the application has ended in order.
    pub(super) fn done(&self) {
        self.common.history.note(format_args!("{} is done", self.name));
        self.common.done.borrow_mut().insert(self.name.clone());
    }
}
