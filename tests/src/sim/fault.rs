//! What strikes the simulated broker, and when: all of it follows from the seed.

use std::time::Duration;

use cuemq_actors::testing::Site;
use cuemq_storage::disk::memory::Survival;
use cuemq_storage::entropy::{Entropy, SeededEntropy};

/// The actors that panic, and where; each seed has the next one of them. After those of a flusher or an allocator the
/// broker ends itself. The checker of transactions gets no messages.
pub const PANICS: [(&str, Site); 49] = [
    ("commit log", Site::Handler),
    ("commit log", Site::Message),
    ("commit log", Site::Task),
    ("flusher", Site::Handler),
    ("flusher", Site::Message),
    ("allocator", Site::Handler),
    ("allocator", Site::Message),
    ("consume queue T0/0", Site::Handler),
    ("consume queue T0/1", Site::Message),
    ("consume queue T1/0", Site::Task),
    ("queue flusher", Site::Handler),
    ("queue flusher", Site::Message),
    ("index", Site::Handler),
    ("index", Site::Message),
    ("index", Site::Task),
    ("retention", Site::Task),
    ("schedule", Site::Handler),
    ("schedule", Site::Message),
    ("schedule", Site::Task),
    ("timers", Site::Handler),
    ("timers", Site::Message),
    ("timers", Site::Task),
    ("timer index", Site::Handler),
    ("transactions", Site::Task),
    ("cold reads", Site::Handler),
    ("cold reads", Site::Message),
    ("topics", Site::Handler),
    ("topics", Site::Message),
    ("groups", Site::Handler),
    ("groups", Site::Message),
    ("offsets", Site::Handler),
    ("offsets", Site::Message),
    ("offsets", Site::Task),
    ("rebalance", Site::Handler),
    ("rebalance", Site::Message),
    ("rebalance", Site::Task),
    ("hold 0", Site::Handler),
    ("hold 0", Site::Message),
    ("hold 0", Site::Task),
    ("egress 0", Site::Handler),
    ("egress 0", Site::Message),
    ("egress 0", Site::Task),
    ("registrar", Site::Handler),
    ("registrar", Site::Task),
    ("name server", Site::Handler),
    ("name server", Site::Message),
    ("name server", Site::Task),
    ("listener of the broker", Site::Task),
    ("listener of the name server", Site::Task),
];

/// How a life of the broker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The power goes: what was not synced may be lost or torn, by this seed.
    PowerLoss(u64),
    /// The process is killed: the page cache stays.
    Kill,
    /// It is asked to stop.
    Stop,
}

/// What the disk does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// fdatasync fails.
    Sync,
    /// A write fails, having written so many bytes.
    Write(u64),
}

/// Something that strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A life ends, and the next one begins after a while.
    Ends {
        /// How.
        end: End,
        /// How long nothing runs.
        down: Duration,
    },
    /// A life ends in the middle of the so-manieth change to the disk.
    EndsAt {
        /// Which one.
        change: u64,
        /// How.
        end: End,
    },
    /// As the power goes, and then again while the broker starts.
    EndsInRecovery {
        /// In which change of the start.
        change: u64,
        /// The seed of what the first end leaves.
        first: u64,
        /// How it ends then.
        second: End,
    },
    /// A host of clients (all of them when `None`) and the broker do not reach each other; what is sent is lost.
    Partition {
        /// The host's number.
        host: Option<usize>,
        /// For how long.
        time: Duration,
    },
    /// What is sent between a host of clients and the broker arrives later.
    Hold {
        /// The host's number.
        host: usize,
        /// By how much at most.
        time: Duration,
    },
    /// An operation of the disk fails once; the broker is then ended.
    Disk {
        /// Which operation.
        failing: Failing,
        /// How many of them go well still.
        after: u64,
        /// How the broker is ended.
        end: End,
    },
    /// An actor panics once. The broker goes on by itself, or ends itself and is started again.
    Panic {
        /// Its name.
        child: &'static str,
        /// Where.
        site: Site,
    },
    /// The disk fills until the broker takes nothing more, and then altogether, for a while.
    Fills {
        /// How many bytes are left at first.
        left: u64,
        /// How many are left then.
        rest: u64,
        /// For how long.
        time: Duration,
    },
    /// The disk is full at once; the broker is then ended.
    Full {
        /// How many bytes are left.
        left: u64,
        /// For how long.
        time: Duration,
        /// How it is ended, still on the full disk.
        end: End,
    },
}

impl Fault {
    /// Whether what an actor keeps in memory alone for a while may be lost: the last commits of consumer offsets.
    pub(super) fn forgets(&self) -> bool {
        match self {
            Self::Ends { end: End::Stop, .. } | Self::Partition { .. } | Self::Hold { .. } | Self::Fills { .. } => {
                false
            }
            Self::Panic { child, .. } => *child == "offsets" || self.ends_store(),
            _ => true,
        }
    }

    /// Whether an actor fails for good, so that the broker ends itself.
    pub(super) fn ends_store(&self) -> bool {
        matches!(
            self,
            Self::Panic {
                child: "flusher" | "allocator",
                ..
            }
        )
    }
}

/// What happens in a seed's history: how long all is well, and what strikes then. The next of [`PANICS`] is among it.
pub(super) fn plan(seed: u64, client_hosts: usize) -> Vec<(Duration, Fault)> {
    let dice = Dice(SeededEntropy::new(seed ^ 0xFA17));
    let mut plan: Vec<_> = (0..2 + dice.0.below(3))
        .map(|_| (dice.ms(100, 700), dice.fault(client_hosts)))
        .collect();
    let (child, site) = PANICS[place(seed, PANICS.len())];
    let at = place(dice.0.next_u64(), plan.len() + 1);
    plan.insert(at, (dice.ms(100, 700), Fault::Panic { child, site }));
    plan
}

/// One of `count` places.
fn place(number: u64, count: usize) -> usize {
    usize::try_from(number % count as u64).unwrap_or_default()
}

impl End {
    /// What of the disk's waiting changes survives; `None` where there is no crash of the machine.
    pub(super) fn survival(self) -> Option<Survival> {
        match self {
            Self::PowerLoss(seed) => Some(Survival::Random(seed)),
            Self::Kill | Self::Stop => None,
        }
    }
}

struct Dice(SeededEntropy);

impl Dice {
    fn ms(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.0.below(most - least))
    }

    fn end(&self, kinds: u64) -> End {
        match self.0.below(kinds) {
            0 | 1 => End::PowerLoss(self.0.next_u64()),
            2 => End::Kill,
            _ => End::Stop,
        }
    }

    fn fault(&self, client_hosts: usize) -> Fault {
        let hosts = client_hosts as u64;
        match self.0.below(17) {
            0..=2 => Fault::Ends {
                end: self.end(4),
                down: self.ms(1, 300),
            },
            3..=6 => Fault::EndsAt {
                change: 1 + self.0.below(120),
                end: self.end(3),
            },
            7 | 8 => Fault::EndsInRecovery {
                change: 1 + self.0.below(200),
                first: self.0.next_u64(),
                second: self.end(3),
            },
            9 | 10 => Fault::Partition {
                host: usize::try_from(self.0.below(hosts + 1))
                    .ok()
                    .filter(|&host| host < client_hosts),
                time: self.ms(10, 3000),
            },
            11 => Fault::Hold {
                host: usize::try_from(self.0.below(hosts)).unwrap_or_default(),
                time: self.ms(5, 1500),
            },
            12..=14 => Fault::Disk {
                failing: if self.0.below(2) == 0 {
                    Failing::Sync
                } else {
                    Failing::Write(self.0.below(600))
                },
                after: self.0.below(60),
                end: self.end(4),
            },
            15 => Fault::Fills {
                left: self.0.below(172_000),
                rest: self.0.below(20_000),
                time: self.ms(300, 1200),
            },
            _ => Fault::Full {
                left: self.0.below(140_000),
                time: self.ms(50, 600),
                end: self.end(4),
            },
        }
    }
}
