//! One simulated history of applications from its seed.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::config::{BrokerConfig, TransactionConfig};
use cuemq_actors::supervise::install_panic_hook;
use cuemq_actors::testing::MemoryDisk;
use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::log_state::FlushMode;

use super::check::{check_calls, check_loose, check_order};
use super::consuming::{self, topics};
use super::host::{AppHost, Common};
use super::ledger::{AppGroup, Ended, Ledger};
use super::names::{self, NamesMachine};
use super::plan::{AppFault, plan};
use super::producing::{self, LOOSE_TOPIC};
use super::transacting;
use crate::sim::auditor::Order;
use crate::sim::body::{Content, Message, QUEUES_PER_TOPIC, Queue};
use crate::sim::check::later::check as later_came;
use crate::sim::check::{Promised, Violation, check_messages};
use crate::sim::ground::{Ground, PATIENCE};
use crate::sim::history::{Event, FinalLog, Stored};
use crate::sim::later;

/// Hosts that send, that send what comes later, that consume and stay, that come and go.
const PRODUCING: u16 = 2;
const TRANSACTING: u16 = 1;
const STAYING: u16 = 2;
const VISITING: u16 = 1;
const HOSTS: u16 = PRODUCING + TRANSACTING + STAYING + VISITING;

/// How far each step of the simulation goes.
const TICK: Duration = Duration::from_millis(4);
/// How long all is well at the end.
const CALM: Duration = Duration::from_secs(1);
/// How long the groups may take to consume what is left: a broker keeps a lock for a minute.
const CONSUMED: Duration = Duration::from_secs(120);

/// What a simulation came to.
#[derive(Debug)]
pub struct AppsOutcome {
    /// The hash of everything that happened on the network and on the disk.
    pub hash: u64,
    /// The promises that were not kept.
    pub violations: Vec<Violation>,
    /// How many messages were acknowledged to applications.
    pub acknowledged: usize,
    /// How many messages listeners got.
    pub got: usize,
    /// How many of those were consumed before.
    pub again: usize,
    /// How many messages came later.
    pub came: usize,
}

/// Plays the history of a seed; `prints` shows it as it happens.
#[must_use]
pub fn run_apps(seed: u64, prints: bool) -> AppsOutcome {
    play(seed, plan(seed, usize::from(HOSTS)), prints)
}

/// Plays a history in which nothing strikes, and nobody comes or goes.
#[must_use]
pub fn run_apps_calmly(seed: u64, time: Duration) -> AppsOutcome {
    let nothing = AppFault::Slow {
        host: usize::MAX,
        takes: Duration::ZERO,
        time: Duration::ZERO,
    };
    play(seed, vec![(time, nothing)], false)
}

fn play(seed: u64, faults: Vec<(Duration, AppFault)>, prints: bool) -> AppsOutcome {
    install_panic_hook();
    AppsWorld::new(seed, prints).play(faults)
}

struct AppsWorld {
    ground: Ground,
    common: Common,
}

fn settle(config: &mut BrokerConfig) {
    config.name_servers = vec![format!("{}:{}", names::HOST, crate::sim::client::NAME_SERVER_PORT)];
    // every time that a listener wants a message again is one second
    config.delay_levels = DelayLevels::parse(&["1s"; 18].join(" ")).unwrap_or_default();
    config.transactions = TransactionConfig {
        timeout: Duration::from_millis(500),
        check_interval: Duration::from_millis(500),
        check_max: 100_000,
        ..TransactionConfig::default()
    };
}

impl AppsWorld {
    fn new(seed: u64, prints: bool) -> Self {
        let mut ground = Ground::new(seed, FlushMode::Sync, prints, TICK, settle);
        let machine = &ground.machine;
        let names = NamesMachine {
            disk: MemoryDisk::new(seed ^ 0x4E53).with_clock(Arc::clone(&machine.clock) as _),
            clock: Arc::clone(&machine.clock),
            seed,
        };
        ground.sim.host(names::HOST, move || names.clone().live());
        let machine = &ground.machine;
        let common = Common {
            history: Arc::clone(&machine.history),
            clock: Arc::clone(&machine.clock),
            ledger: Arc::new(Ledger::new(&machine.history, &machine.clock)),
            orders: ground.order.subscribe(),
            waitings: Rc::clone(&ground.waitings),
            seed,
            // with the broker's own name server beside the other, or with that other one alone
            name_servers: if seed.is_multiple_of(2) {
                "names:9876;broker:9876"
            } else {
                "names:9876"
            },
            done: Rc::default(),
            sends_for_later: Rc::new(Cell::new(true)),
            broken: Rc::default(),
        };
        let mut world = Self { ground, common };
        world.add_hosts();
        let loose = (0..QUEUES_PER_TOPIC).map(|queue_id| Queue {
            topic: LOOSE_TOPIC,
            queue_id,
        });
        world.ground.add_auditor(loose.collect());
        world
    }

    fn add_hosts(&mut self) {
        let mut numbers = 0..HOSTS;
        for host in numbers.by_ref().take(usize::from(PRODUCING)) {
            let next = Rc::new(std::array::from_fn(|_| Cell::new(0)));
            self.add(host, move |host| producing::live(host, Rc::clone(&next)));
        }
        for host in numbers.by_ref().take(usize::from(TRANSACTING)) {
            let (next, decisions) = (Rc::default(), transacting::Decisions::default());
            self.add(host, move |host| {
                transacting::live(host, Rc::clone(&next), Arc::clone(&decisions))
            });
        }
        for host in numbers.by_ref().take(usize::from(STAYING)) {
            self.add(host, consuming::stay);
        }
        for host in numbers {
            self.add(host, consuming::come_and_go);
        }
    }

    fn add<F>(&mut self, number: u16, live: impl Fn(AppHost) -> F + 'static)
    where
        F: Future<Output = turmoil::Result> + 'static,
    {
        let host = AppHost::new(number, &self.common);
        let name = host.name.clone();
        self.ground.sim.host(name.as_str(), move || live(host.clone()));
        self.ground.hosts.push(name);
    }

    fn play(mut self, faults: Vec<(Duration, AppFault)>) -> AppsOutcome {
        self.ground.probe("the first start");
        for (calm, fault) in faults {
            self.ground.pass(calm);
            self.ground.strike_apps(fault);
            self.ground.probe(&format!("{fault:?}"));
        }
        self.ground.pass(CALM);
        self.ground.order.send_replace(Order::Quiet);
        let (done, senders) = (Rc::clone(&self.common.done), PRODUCING + VISITING);
        // What is promised for later before its queue is read has to be waited for.
        let sends_for_later = Rc::clone(&self.common.sends_for_later);
        self.expect("applications do not end", PATIENCE, move || {
            done.borrow().len() >= usize::from(senders) && !sends_for_later.get()
        });
        self.ground.order.send_replace(Order::Audit);
        let last = Rc::clone(&self.ground.last);
        self.expect("the queues cannot be read", PATIENCE, move || last.borrow().is_some());
        let last = self.everything();
        for group in [AppGroup::Concurrent, AppGroup::Orderly] {
            self.settle_group(group, &last);
        }
        self.ground.order.send_replace(Order::Leave);
        let done = Rc::clone(&self.common.done);
        self.expect("consumers do not end", PATIENCE, move || {
            done.borrow().len() >= usize::from(HOSTS)
        });
        self.judge(&last)
    }

    fn expect(&mut self, otherwise: &str, most: Duration, holds: impl Fn() -> bool) {
        if !self.ground.pass_until(most, holds) {
            self.ground.violations.push(Violation::Silent(otherwise.to_owned()));
        }
    }

    /// What is in the end in the queues that groups consume.
    fn everything(&self) -> FinalLog {
        let mut all = self.ground.last.borrow().clone().unwrap_or_default();
        all.insert(later::QUEUE, self.ground.came.borrow().clone());
        all
    }

    /// Waits until a group has consumed all that is there.
    fn settle_group(&mut self, group: AppGroup, last: &FinalLog) {
        let own = topics(group);
        let of_group = last.iter().filter(|(queue, _)| own.contains(&queue.topic));
        let wanted: BTreeSet<Message> = of_group.flat_map(|(_, messages)| whole(messages)).collect();
        let ledger = Arc::clone(&self.common.ledger);
        if self
            .ground
            .pass_until(CONSUMED, || ledger.missing(group, &wanted).is_empty())
        {
            return;
        }
        let missing = self.common.ledger.missing(group, &wanted).into_iter();
        let unconsumed = missing.map(|message| Violation::Unconsumed { group, message });
        self.ground.violations.extend(unconsumed);
    }

    fn judge(mut self, last: &FinalLog) -> AppsOutcome {
        let moments = self.ground.machine.history.take();
        let promised = Promised {
            flush: FlushMode::Sync,
            age: None,
        };
        let of = |topics: &dyn Fn(u8) -> bool| -> FinalLog {
            let of_topics = last.iter().filter(|(queue, _)| topics(queue.topic));
            of_topics.map(|(queue, messages)| (*queue, messages.clone())).collect()
        };
        let violations = &mut self.ground.violations;
        violations.extend(self.common.broken.take());
        violations.extend(check_messages(promised, &moments, &of(&|topic| topic < LOOSE_TOPIC)));
        let loose = self.common.ledger.loose();
        check_loose(&loose, &of(&|topic| topic == LOOSE_TOPIC), violations);
        let came = last.get(&later::QUEUE).cloned().unwrap_or_default();
        let waitings = self.common.waitings.take();
        later_came(promised, &moments, &waitings, &came, violations);
        let calls = self.common.ledger.calls();
        check_calls(&calls, last, violations);
        check_order(&calls, violations);
        let mut consumed = BTreeSet::new();
        let (mut got, mut again) = (0, 0);
        for call in &calls {
            for (_, content) in &call.messages {
                got += 1;
                let key = (call.group, format!("{content:?}"));
                again += usize::from(consumed.contains(&key));
                if matches!(call.ended, Some((_, Ended::Done))) {
                    consumed.insert(key);
                }
            }
        }
        let acknowledged = |event: &Event| match event {
            Event::Acknowledged { messages, .. } => messages.len(),
            _ => 0,
        };
        AppsOutcome {
            hash: self.ground.machine.history.hash() ^ self.ground.machine.disk.trace_hash().rotate_left(1),
            acknowledged: moments.iter().map(|moment| acknowledged(&moment.event)).sum(),
            violations: self.ground.violations,
            got,
            again,
            came: came.len(),
        }
    }
}

fn whole(messages: &[Stored]) -> impl Iterator<Item = Message> {
    messages.iter().filter_map(|stored| match stored.content {
        Content::Whole(message) => Some(message),
        Content::Torn(_) => None,
    })
}
