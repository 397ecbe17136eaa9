//! What strikes the simulated broker, and when: all of it follows from the seed.

use std::time::Duration;

use cuemq_actors::testing::Site;
use cuemq_storage::disk::memory::Survival;
use cuemq_storage::entropy::{Entropy, SeededEntropy};

/// The actors that panic. (Where one of those does that block on files, the store is poisoned.)
const CHILDREN: [&str; 12] = [
    "commit log",
    "consume queue T0/0",
    "consume queue T1/1",
    "index",
    "topics",
    "groups",
    "offsets",
    "rebalance",
    "registrar",
    "hold 0",
    "egress 0",
    "name server",
];

/// How a life of the broker ends.
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Copy, Debug)]
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
    /// An actor panics once. The broker goes on by itself.
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

/// What happens in a seed's history: how long all is well, and what strikes then.
pub(super) fn plan(seed: u64, client_hosts: usize) -> Vec<(Duration, Fault)> {
    let dice = Dice(SeededEntropy::new(seed ^ 0xFA17));
    (0..2 + dice.0.below(3))
        .map(|_| (dice.ms(100, 700), dice.fault(client_hosts)))
        .collect()
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

    fn panic(&self) -> Fault {
        let child = usize::try_from(self.0.below(CHILDREN.len() as u64)).unwrap_or_default();
        Fault::Panic {
            child: CHILDREN[child],
            site: if self.0.below(2) == 0 {
                Site::Handler
            } else {
                Site::Task
            },
        }
    }

    fn fault(&self, client_hosts: usize) -> Fault {
        let hosts = client_hosts as u64;
        match self.0.below(19) {
            0..=2 => Fault::Ends {
                end: self.end(4),
                down: self.ms(1, 300),
            },
            3..=6 => Fault::EndsAt {
                change: 1 + self.0.below(120),
                end: self.end(3),
            },
            7 | 8 => Fault::EndsInRecovery {
                change: 1 + self.0.below(60),
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
            15 | 16 => self.panic(),
            17 => Fault::Fills {
                left: 132_000 + self.0.below(40_000),
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
