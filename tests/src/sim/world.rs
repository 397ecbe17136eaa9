//! One simulated history from its seed: the hosts, the steps of time, the faults, the end at which everything is read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cuemq_actors::supervise::install_panic_hook;
use cuemq_actors::testing::{Faults, Site};
use cuemq_storage::disk::MemoryDisk;
use cuemq_storage::entropy::SeededEntropy;
use cuemq_storage::log_state::FlushMode;
use tokio::sync::{Notify, watch};

use super::auditor::{self, Auditor, Order};
use super::board::Board;
use super::body::Queue;
use super::broker::{HOST, Machine};
use super::check::later::check as later_came;
use super::check::{Promised, Violation, check};
use super::client::Client;
use super::clock::{EPOCH_MS, SimClock};
use super::consumer::Consumer;
use super::fault::{Fault, plan};
use super::history::{Event, FinalLog, History, Stored};
use super::later::{self, LaterSender, Waitings};
use super::member::{self, Member};
use super::producer::Sender;

/// Hosts with senders, and senders on each.
const SENDER_HOSTS: u16 = 2;
const SENDERS_PER_HOST: u16 = 3;
/// Senders of messages that come later.
const LATER_SENDERS: u16 = 2;
/// Hosts with members of the group, and members on each.
const MEMBER_HOSTS: u16 = 2;
const MEMBERS_PER_HOST: u16 = 2;
/// How long the broker may take to answer again, and the final reading to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long all is well at the end.
const CALM: Duration = Duration::from_millis(500);
/// How far each step of the simulation goes.
const TICK: Duration = Duration::from_millis(1);

/// What a simulation came to.
#[derive(Debug)]
pub struct Outcome {
    /// The hash of everything that happened on the network and on the disk.
    pub hash: u64,
    /// The promises that were not kept.
    pub violations: Vec<Violation>,
    /// How many messages were acknowledged.
    pub acknowledged: usize,
    /// How many messages were read by consumers.
    pub read: usize,
    /// How many messages came later: delayed ones, and those of transactions.
    pub came: usize,
    /// How many messages were deleted in the end, by the beginnings of the queues.
    pub deleted: u64,
    /// How often a consumer was told to go on elsewhere.
    pub moved: usize,
    /// How often a member of the group was told that it has changed.
    pub notices: usize,
    /// The actors that panicked, and where.
    pub panicked: Vec<(&'static str, Site)>,
    /// Whether sends were acknowledged before they were flushed.
    pub flush: FlushMode,
}

/// Plays the history of a seed; `prints` shows it as it happens. Every fourth seed's broker flushes later than it
/// acknowledges.
#[must_use]
pub fn run(seed: u64, prints: bool) -> Outcome {
    let hosts = usize::from(SENDER_HOSTS + 2 + MEMBER_HOSTS);
    let flush = if seed % 4 == 3 {
        FlushMode::Async
    } else {
        FlushMode::Sync
    };
    run_with(seed, flush, plan(seed, hosts), prints)
}

/// Plays a history with these faults instead of the seed's own, each after some time in which all is well.
#[must_use]
pub fn run_with(seed: u64, flush: FlushMode, faults: Vec<(Duration, Fault)>, prints: bool) -> Outcome {
    install_panic_hook();
    World::new(seed, flush, prints).play(faults)
}

/// Plays a history of a broker that keeps messages for so long alone. What is gone in the end must have been old enough.
#[must_use]
pub fn run_aging(seed: u64, age: Duration, faults: Vec<(Duration, Fault)>) -> Outcome {
    install_panic_hook();
    let world = World::new(seed, FlushMode::Sync, false);
    world.machine.age.set(Some(age));
    world.play(faults)
}

/// Plays a history of a broker that acknowledges before it flushes, and holds it to the promises of one that does not:
/// the proof that this can fail.
#[must_use]
pub fn run_hasty(seed: u64, faults: Vec<(Duration, Fault)>) -> Outcome {
    install_panic_hook();
    let mut world = World::new(seed, FlushMode::Async, false);
    world.promised = FlushMode::Sync;
    world.play(faults)
}

/// The simulation and what the test holds of it.
pub(super) struct World {
    pub(super) sim: turmoil::Sim<'static>,
    pub(super) machine: Machine,
    /// The hosts of clients, but for the auditor's.
    pub(super) hosts: Vec<String>,
    order: watch::Sender<Order>,
    /// Hosts of clients that still work.
    busy: Rc<Cell<usize>>,
    probes: u32,
    answered: Rc<Cell<u32>>,
    last: Rc<RefCell<Option<FinalLog>>>,
    waitings: Waitings,
    came: Rc<RefCell<Vec<Stored>>>,
    board: Rc<Board>,
    /// As what kind of broker this one is judged.
    promised: FlushMode,
    pub(super) violations: Vec<Violation>,
    pub(super) panicked: Vec<(&'static str, Site)>,
}

impl World {
    fn new(seed: u64, flush: FlushMode, prints: bool) -> Self {
        let clock = Arc::new(SimClock::default());
        let machine = Machine {
            disk: MemoryDisk::new(seed).with_clock(Arc::clone(&clock) as _),
            faults: Faults::default(),
            history: Rc::new(History::new(Arc::clone(&clock), prints)),
            clock,
            flush,
            age: Rc::default(),
            seed,
            lives: Rc::default(),
            ended: Rc::default(),
            stop: Rc::new(Notify::new()),
        };
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_millis(EPOCH_MS))
            .simulation_duration(Duration::from_secs(3600))
            .tick_duration(TICK)
            .tcp_capacity(4096)
            .min_message_latency(Duration::ZERO)
            .max_message_latency(Duration::from_millis(5))
            .build();
        let host = machine.clone();
        sim.host(HOST, move || host.clone().live());
        let mut world = Self {
            sim,
            machine,
            hosts: Vec::new(),
            order: watch::Sender::new(Order::Load),
            busy: Rc::default(),
            probes: 0,
            answered: Rc::default(),
            last: Rc::default(),
            waitings: Rc::default(),
            came: Rc::default(),
            board: Rc::default(),
            promised: flush,
            violations: Vec::new(),
            panicked: Vec::new(),
        };
        world.add_senders();
        world.add_consumers();
        world.add_members();
        world.add_later_senders();
        world.add_auditor();
        world
    }

    fn add_senders(&mut self) {
        for host in 0..SENDER_HOSTS {
            let client = Rc::new(Client::default());
            let works = (0..SENDERS_PER_HOST).map(|place| {
                let mut sender = self.sender(host * SENDERS_PER_HOST + place, &client);
                let orders = self.order.subscribe();
                async move {
                    while !orders.borrow().is_over() {
                        sender.turn().await;
                    }
                }
            });
            self.add_client(format!("senders-{host}"), works.collect());
        }
    }

    fn add_later_senders(&mut self) {
        let client = Rc::new(Client::default());
        let works = (later::FIRST..later::FIRST + LATER_SENDERS).map(|number| {
            let mut sender = LaterSender {
                number,
                client: Rc::clone(&client),
                history: Rc::clone(&self.machine.history),
                clock: Arc::clone(&self.machine.clock),
                entropy: SeededEntropy::new(self.machine.seed ^ u64::from(number) << 40),
                waitings: Rc::clone(&self.waitings),
                ages: Rc::clone(&self.machine.age),
                next: 0,
            };
            let orders = self.order.subscribe();
            async move {
                while !orders.borrow().is_over() {
                    sender.turn().await;
                }
            }
        });
        self.add_client("later".to_owned(), works.collect());
    }

    fn add_consumers(&mut self) {
        let client = Rc::new(Client::default());
        let works = (0..).zip(Queue::all()).map(|(number, queue)| {
            let mut consumer = Consumer {
                number,
                queue,
                client: Rc::clone(&client),
                history: Rc::clone(&self.machine.history),
                queue_offset: 0,
                known: None,
            };
            let orders = self.order.subscribe();
            async move {
                while !orders.borrow().is_over() {
                    consumer.turn().await;
                }
            }
        });
        self.add_client("consumers".to_owned(), works.collect());
    }

    fn add_members(&mut self) {
        for host in 0..MEMBER_HOSTS {
            let works = (0..MEMBERS_PER_HOST).map(|place| {
                let number = member::FIRST + host * MEMBERS_PER_HOST + place;
                let member = Member {
                    number,
                    history: Rc::clone(&self.machine.history),
                    entropy: SeededEntropy::new(self.machine.seed ^ u64::from(number) << 40),
                    board: Rc::clone(&self.board),
                    orders: self.order.subscribe(),
                    places: RefCell::default(),
                    visits: Cell::default(),
                };
                member.work()
            });
            let works = futures_util::future::join_all(works.collect::<Vec<_>>());
            let name = format!("members-{host}");
            self.sim.client(name.as_str(), async move {
                works.await;
                Ok(())
            });
            self.hosts.push(name);
        }
    }

    fn add_auditor(&mut self) {
        let auditor = Auditor {
            sender: self.sender(auditor::NUMBER, &Rc::default()),
            answered: Rc::clone(&self.answered),
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

    fn sender(&self, number: u16, client: &Rc<Client>) -> Sender {
        Sender {
            number,
            client: Rc::clone(client),
            history: Rc::clone(&self.machine.history),
            entropy: SeededEntropy::new(self.machine.seed ^ u64::from(number) << 40),
            next: 0,
        }
    }

    fn add_client(&mut self, name: String, works: Vec<impl Future<Output = ()> + 'static>) {
        let busy = Rc::clone(&self.busy);
        busy.set(busy.get() + 1);
        self.sim.client(name.as_str(), async move {
            futures_util::future::join_all(works).await;
            busy.set(busy.get() - 1);
            Ok(())
        });
        self.hosts.push(name);
    }

    fn play(mut self, faults: Vec<(Duration, Fault)>) -> Outcome {
        self.probe("the first start");
        for (calm, fault) in faults {
            self.pass(calm);
            self.strike(fault);
            self.probe(&format!("{fault:?}"));
        }
        self.pass(CALM);
        self.order.send_replace(Order::Quiet);
        let busy = Rc::clone(&self.busy);
        if !self.pass_until(PATIENCE, || busy.get() == 0) {
            self.violations.push(Violation::Silent("clients do not end".to_owned()));
        }
        self.settle_members();
        self.order.send_replace(Order::Audit);
        let last = Rc::clone(&self.last);
        if !self.pass_until(PATIENCE, || last.borrow().is_some()) {
            self.violations
                .push(Violation::Silent("the queues cannot be read".to_owned()));
        }
        self.judge()
    }

    /// Waits until the members of the group agree on it, and have read all there is.
    fn settle_members(&mut self) {
        let members: Vec<String> = (0..MEMBER_HOSTS * MEMBERS_PER_HOST)
            .map(|place| Member::name(member::FIRST + place))
            .collect();
        let board = Rc::clone(&self.board);
        board.look_anew();
        if !self.pass_until(PATIENCE, || board.is_settled(&members)) {
            self.violations
                .push(Violation::Silent(format!("the group does not settle: {board:?}")));
        }
    }

    fn judge(mut self) -> Outcome {
        let moments = self.machine.history.take();
        let (mut deleted, mut arrived) = (0, 0);
        if let Some(last) = self.last.take() {
            let promised = Promised {
                flush: self.promised,
                age: self.machine.age.get(),
            };
            deleted = last
                .values()
                .filter_map(|queue| queue.first())
                .map(|first| first.queue_offset)
                .sum();
            self.violations.extend(check(promised, &moments, &last));
            let (waitings, came) = (self.waitings.take(), self.came.take());
            arrived = came.len();
            later_came(promised, &moments, &waitings, &came, &mut self.violations);
        }
        let moved = |event: &Event| usize::from(matches!(event, Event::Moved { .. }));
        let count = |of: fn(&Event) -> usize| moments.iter().map(|moment| of(&moment.event)).sum();
        Outcome {
            hash: self.machine.history.hash() ^ self.machine.disk.trace_hash().rotate_left(1),
            violations: self.violations,
            acknowledged: count(|event| match event {
                Event::Acknowledged { messages, .. } => messages.len(),
                _ => 0,
            }),
            read: count(|event| usize::from(matches!(event, Event::Read { .. }))),
            came: arrived,
            deleted,
            moved: count(moved),
            notices: count(|event| usize::from(matches!(event, Event::Notified(_)))),
            panicked: self.panicked,
            flush: self.machine.flush,
        }
    }

    /// Lets the auditor send until it is answered.
    fn probe(&mut self, after: &str) {
        self.probes += 1;
        self.order.send_replace(Order::Probe(self.probes));
        let (answered, wanted) = (Rc::clone(&self.answered), self.probes);
        if !self.pass_until(PATIENCE, || answered.get() == wanted) {
            self.violations.push(Violation::Silent(after.to_owned()));
        }
    }

    /// Lets some time pass.
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
}
