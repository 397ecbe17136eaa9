//! One simulated history from its seed: the hosts, the steps of time, the faults, the end at which everything is read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::supervise::install_panic_hook;
use cuemq_actors::testing::Site;
use cuemq_storage::entropy::SeededEntropy;
use cuemq_storage::log_state::FlushMode;

use super::auditor::Order;
use super::board::Board;
use super::body::Queue;
use super::check::later::check as later_came;
use super::check::{Promised, Violation, check};
use super::client::Client;
use super::consumer::Consumer;
use super::fault::{Fault, plan};
use super::ground::{Ground, PATIENCE};
use super::history::Event;
use super::later::{self, LaterSender};
use super::member::{self, Member};

/// Hosts with senders, and senders on each.
const SENDER_HOSTS: u16 = 2;
const SENDERS_PER_HOST: u16 = 3;
/// Senders of messages that come later.
const LATER_SENDERS: u16 = 2;
/// Hosts with members of the group, and members on each.
const MEMBER_HOSTS: u16 = 2;
const MEMBERS_PER_HOST: u16 = 2;
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
    world.ground.machine.age.set(Some(age));
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
struct World {
    ground: Ground,
    /// Hosts of clients that still work.
    busy: Rc<Cell<usize>>,
    board: Rc<Board>,
    /// As what kind of broker this one is judged.
    promised: FlushMode,
}

impl World {
    fn new(seed: u64, flush: FlushMode, prints: bool) -> Self {
        let ground = Ground::new(seed, flush, prints, TICK, |_| {});
        let mut world = Self {
            ground,
            busy: Rc::default(),
            board: Rc::default(),
            promised: flush,
        };
        world.add_senders();
        world.add_consumers();
        world.add_members();
        world.add_later_senders();
        world.ground.add_auditor(Vec::new());
        world
    }

    fn add_senders(&mut self) {
        for host in 0..SENDER_HOSTS {
            let client = Rc::new(Client::default());
            let works = (0..SENDERS_PER_HOST).map(|place| {
                let mut sender = self.ground.sender(host * SENDERS_PER_HOST + place, &client);
                let orders = self.ground.order.subscribe();
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
                history: Arc::clone(&self.ground.machine.history),
                clock: Arc::clone(&self.ground.machine.clock),
                entropy: SeededEntropy::new(self.ground.machine.seed ^ u64::from(number) << 40),
                waitings: Rc::clone(&self.ground.waitings),
                ages: Rc::clone(&self.ground.machine.age),
                next: 0,
            };
            let orders = self.ground.order.subscribe();
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
                history: Arc::clone(&self.ground.machine.history),
                queue_offset: 0,
                known: None,
            };
            let orders = self.ground.order.subscribe();
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
                    history: Arc::clone(&self.ground.machine.history),
                    entropy: SeededEntropy::new(self.ground.machine.seed ^ u64::from(number) << 40),
                    board: Rc::clone(&self.board),
                    orders: self.ground.order.subscribe(),
                    places: RefCell::default(),
                    visits: Cell::default(),
                };
                member.work()
            });
            let works = futures_util::future::join_all(works.collect::<Vec<_>>());
            let name = format!("members-{host}");
            self.ground.sim.client(name.as_str(), async move {
                works.await;
                Ok(())
            });
            self.ground.hosts.push(name);
        }
    }

    fn add_client(&mut self, name: String, works: Vec<impl Future<Output = ()> + 'static>) {
        let busy = Rc::clone(&self.busy);
        busy.set(busy.get() + 1);
        self.ground.sim.client(name.as_str(), async move {
            futures_util::future::join_all(works).await;
            busy.set(busy.get() - 1);
            Ok(())
        });
        self.ground.hosts.push(name);
    }

    fn play(mut self, faults: Vec<(Duration, Fault)>) -> Outcome {
        self.ground.probe("the first start");
        for (calm, fault) in faults {
            self.ground.pass(calm);
            self.ground.strike(fault);
            self.ground.probe(&format!("{fault:?}"));
        }
        self.ground.pass(CALM);
        self.ground.order.send_replace(Order::Quiet);
        let busy = Rc::clone(&self.busy);
        if !self.ground.pass_until(PATIENCE, || busy.get() == 0) {
            self.ground
                .violations
                .push(Violation::Silent("clients do not end".to_owned()));
        }
        self.settle_members();
        self.ground.order.send_replace(Order::Audit);
        let last = Rc::clone(&self.ground.last);
        if !self.ground.pass_until(PATIENCE, || last.borrow().is_some()) {
            self.ground
                .violations
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
        if !self.ground.pass_until(PATIENCE, || board.is_settled(&members)) {
            self.ground
                .violations
                .push(Violation::Silent(format!("the group does not settle: {board:?}")));
        }
    }

    fn judge(mut self) -> Outcome {
        let moments = self.ground.machine.history.take();
        let (mut deleted, mut arrived) = (0, 0);
        if let Some(last) = self.ground.last.take() {
            let promised = Promised {
                flush: self.promised,
                age: self.ground.machine.age.get(),
            };
            deleted = last
                .values()
                .filter_map(|queue| queue.first())
                .map(|first| first.queue_offset)
                .sum();
            self.ground.violations.extend(check(promised, &moments, &last));
            let (waitings, came) = (self.ground.waitings.take(), self.ground.came.take());
            arrived = came.len();
            later_came(promised, &moments, &waitings, &came, &mut self.ground.violations);
        }
        let moved = |event: &Event| usize::from(matches!(event, Event::Moved { .. }));
        let count = |of: fn(&Event) -> usize| moments.iter().map(|moment| of(&moment.event)).sum();
        Outcome {
            hash: self.ground.machine.history.hash() ^ self.ground.machine.disk.trace_hash().rotate_left(1),
            violations: self.ground.violations,
            acknowledged: count(|event| match event {
                Event::Acknowledged { messages, .. } => messages.len(),
                _ => 0,
            }),
            read: count(|event| usize::from(matches!(event, Event::Read { .. }))),
            came: arrived,
            deleted,
            moved: count(moved),
            notices: count(|event| usize::from(matches!(event, Event::Notified(_)))),
            panicked: self.ground.panicked,
            flush: self.ground.machine.flush,
        }
    }
}
