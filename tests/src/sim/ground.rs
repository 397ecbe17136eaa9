//! What a simulated history is played on: turmoil's network and time, the broker's machine, the names of the hosts of its
//! clients, and what was found while it was played. How faults strike it is in `strike`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cuemq_actors::config::BrokerConfig;
use cuemq_actors::testing::{Faults, MemoryDisk, Site};
use cuemq_storage::entropy::SeededEntropy;
use cuemq_storage::log_state::FlushMode;
use tokio::sync::{Notify, watch};

use super::auditor::{self, Auditor, Order};
use super::body::Queue;
use super::broker::{HOST, Machine};
use super::check::Violation;
use super::client::Client;
use super::clock::{EPOCH_MS, SimClock};
use super::history::{FinalLog, History, Stored};
use super::later::Waitings;
use super::producer::Sender;

/// How long the broker may take to answer again, and the final reading to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The simulation and what the test holds of it.
pub(super) struct Ground {
    pub(super) sim: turmoil::Sim<'static>,
    pub(super) machine: Machine,
    /// The hosts of clients, but for the auditor's.
    pub(super) hosts: Vec<String>,
    pub(super) order: watch::Sender<Order>,
    probes: u32,
    answered: Rc<Cell<u32>>,
    /// What the auditor has read in the end.
    pub(super) last: Rc<RefCell<Option<FinalLog>>>,
    pub(super) waitings: Waitings,
    pub(super) came: Rc<RefCell<Vec<Stored>>>,
    pub(super) violations: Vec<Violation>,
    pub(super) panicked: Vec<(&'static str, Site)>,
}

impl Ground {
    /// A broker that serves by itself, and no clients yet; time goes in steps of `tick`.
    pub(super) fn new(
        seed: u64,
        flush: FlushMode,
        prints: bool,
        tick: Duration,
        settle: impl Fn(&mut BrokerConfig) + 'static,
    ) -> Self {
        let clock = Arc::new(SimClock::default());
        let machine = Machine {
            disk: MemoryDisk::new(seed).with_clock(Arc::clone(&clock) as _),
            faults: Faults::default(),
            history: Arc::new(History::new(Arc::clone(&clock), prints)),
            clock,
            flush,
            age: Rc::default(),
            seed,
            lives: Rc::default(),
            ended: Rc::default(),
            stop: Rc::new(Notify::new()),
            settle: Rc::new(settle),
        };
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_millis(EPOCH_MS))
            .simulation_duration(Duration::from_secs(3600))
            .tick_duration(tick)
            .tcp_capacity(4096)
            .min_message_latency(Duration::ZERO)
            .max_message_latency(Duration::from_millis(5))
            .build();
        let host = machine.clone();
        sim.host(HOST, move || host.clone().live());
        Self {
            sim,
            machine,
            hosts: Vec::new(),
            order: watch::Sender::new(Order::Load),
            probes: 0,
            answered: Rc::default(),
            last: Rc::default(),
            waitings: Rc::default(),
            came: Rc::default(),
            violations: Vec::new(),
            panicked: Vec::new(),
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        self.pass_until(time, || false);
    }

    /// Lets time pass until something holds; whether it does.
    pub(super) fn pass_until(&mut self, most: Duration, holds: impl Fn() -> bool) -> bool {
        let end = self.sim.elapsed() + most;
        while !holds() {
            if self.sim.elapsed() >= end {
                return false;
            }
            if let Err(error) = self.sim.step() {
                panic!("seed {}: the simulation itself fails: {error}", self.machine.seed);
            }
        }
        true
    }

    /// Adds the client that probes and audits; it reads these queues too.
    pub(super) fn add_auditor(&mut self, beside: Vec<Queue>) {
        let auditor = Auditor {
            sender: self.sender(auditor::NUMBER, &Rc::default()),
            answered: Rc::clone(&self.answered),
            beside,
            last: Rc::clone(&self.last),
            waitings: Rc::clone(&self.waitings),
            came: Rc::clone(&self.came),
        };
        let orders = self.order.subscribe();
        self.sim.client("auditor", async move {
            auditor.work(orders).await;
            Ok(())
        });
    }

    /// A sender of raw frames.
    pub(super) fn sender(&self, number: u16, client: &Rc<Client>) -> Sender {
        Sender {
            number,
            client: Rc::clone(client),
            history: Arc::clone(&self.machine.history),
            entropy: SeededEntropy::new(self.machine.seed ^ u64::from(number) << 40),
            next: 0,
        }
    }

    /// Lets the auditor send until it is answered.
    pub(super) fn probe(&mut self, after: &str) {
        self.probes += 1;
        self.order.send_replace(Order::Probe(self.probes));
        let (answered, wanted) = (Rc::clone(&self.answered), self.probes);
        if !self.pass_until(PATIENCE, || answered.get() == wanted) {
            self.violations.push(Violation::Silent(after.to_owned()));
        }
    }
}
