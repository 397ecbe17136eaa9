//! What strikes in a history of applications, and how it is carried out where that is not the broker's affair alone.

use std::sync::Arc;
use std::time::Duration;

use cuemq_storage::entropy::{Entropy, SeededEntropy};

use super::names;
use crate::sim::broker::HOST;
use crate::sim::fault::{End, Failing, Fault};
use crate::sim::ground::Ground;

/// Something that strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AppFault {
    /// The broker, its disk, or its links to applications.
    Broker(Fault),
    /// Applications, and the broker too where that is said, do not reach the name server.
    NamesAway { from_broker: bool, time: Duration },
    /// The name server is killed, and knows nothing when it comes again.
    NamesEnd { down: Duration },
    /// What is sent between a host of applications and the broker takes so long.
    Slow {
        host: usize,
        takes: Duration,
        time: Duration,
    },
    /// A host of applications is switched off.
    Killed { host: usize, down: Duration },
}

/// How long anything takes on a link that is well, at most.
const LATENCY: Duration = Duration::from_millis(5);

/// What happens in a seed's history: how long all is well, and what strikes then.
pub(super) fn plan(seed: u64, hosts: usize) -> Vec<(Duration, AppFault)> {
    let dice = Dice(SeededEntropy::new(seed ^ 0xA99));
    (0..2 + dice.0.below(3))
        .map(|_| (dice.ms(200, 2000), dice.fault(hosts)))
        .collect()
}

struct Dice(SeededEntropy);

impl Dice {
    fn ms(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.0.below(most - least))
    }

    fn host(&self, hosts: usize) -> usize {
        usize::try_from(self.0.below(hosts as u64)).unwrap_or_default()
    }

    fn end(&self) -> End {
        match self.0.below(4) {
            0 | 1 => End::PowerLoss(self.0.next_u64()),
            2 => End::Kill,
            _ => End::Stop,
        }
    }

    fn fault(&self, hosts: usize) -> AppFault {
        match self.0.below(16) {
            0..=2 => AppFault::Broker(Fault::Ends {
                end: self.end(),
                down: self.ms(1, 4000),
            }),
            3 => AppFault::Broker(Fault::EndsAt {
                change: 1 + self.0.below(120),
                end: self.end(),
            }),
            4..=6 => AppFault::Broker(Fault::Partition {
                host: Some(self.host(hosts + 1)).filter(|&host| host < hosts),
                time: self.ms(10, 8000),
            }),
            7 => AppFault::Broker(Fault::Hold {
                host: self.host(hosts),
                time: self.ms(5, 5000),
            }),
            8 => AppFault::Broker(Fault::Disk {
                failing: if self.0.below(2) == 0 {
                    Failing::Sync
                } else {
                    Failing::Write(self.0.below(600))
                },
                after: self.0.below(60),
                end: self.end(),
            }),
            9 => AppFault::Slow {
                host: self.host(hosts),
                takes: self.ms(50, 1200),
                time: self.ms(500, 6000),
            },
            10 | 11 => AppFault::NamesAway {
                from_broker: self.0.below(2) == 0,
                time: self.ms(500, 8000),
            },
            12 => AppFault::NamesEnd { down: self.ms(1, 5000) },
            _ => AppFault::Killed {
                host: self.host(hosts),
                down: self.ms(1, 3000),
            },
        }
    }
}

impl Ground {
    /// Lets a fault strike and repairs it.
    pub(super) fn strike_apps(&mut self, fault: AppFault) {
        if let AppFault::Broker(fault) = fault {
            return self.strike(fault);
        }
        self.machine.history.note(format_args!("{fault:?}"));
        match fault {
            AppFault::Broker(_) => {}
            AppFault::NamesAway { from_broker, time } => {
                let mut hosts = self.hosts.clone();
                hosts.extend(from_broker.then(|| HOST.to_owned()));
                hosts
                    .iter()
                    .for_each(|host| self.sim.partition(names::HOST, host.as_str()));
                self.pass(time);
                hosts
                    .iter()
                    .for_each(|host| self.sim.repair(names::HOST, host.as_str()));
            }
            AppFault::NamesEnd { down } => self.kill(names::HOST, down),
            AppFault::Slow { host, takes, time } => {
                let Some(host) = self.hosts.get(host).cloned() else {
                    return;
                };
                self.sim.set_link_latency(HOST, host.as_str(), takes);
                self.pass(time);
                self.sim.set_link_latency(HOST, host.as_str(), Duration::ZERO);
                self.sim.set_link_max_message_latency(HOST, host.as_str(), LATENCY);
            }
            AppFault::Killed { host, down } => {
                let Some(host) = self.hosts.get(host).cloned() else {
                    return;
                };
                self.kill(&host, down);
            }
        }
        self.machine.history.note("repaired");
    }

    fn kill(&mut self, host: &str, down: Duration) {
        let clock = Arc::clone(&self.machine.clock);
        clock.stand_during(|| self.sim.crash(host));
        self.pass(down);
        self.sim.bounce(host);
    }
}
