//! The loads of `cuemq bench suite`: sends of 1 KiB by connections x requests in flight with both headers, pulls of what
//! was sent just before, the time from send to receipt at three rates, many queues, a backlog, a long steady load and
//! restarts; and beside them what floor and disk do of the same.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use cuemq_storage::clock::RealClock;
use cuemq_storage::disk::RealDisk;

use super::super::arguments::{Client, Header, LatencyArguments, LoadArguments, PullArguments, SendArguments};
use super::super::report::Report;
use super::super::{fdatasync, loads};
use super::Subject;
use super::arguments::{Role, SuiteArguments, System};
use super::catch_up::measure_catch_up;
use super::restart::{Ending, measure_restart};
use super::run::Run;
use super::topics::Topics;

/// Connections and requests in flight on each of the sends.
const SENDS: [(u32, u32); 4] = [(16, 32), (16, 1), (1, 1), (128, 8)];
/// Connections that pull, one request in flight on each.
const PULLERS: u32 = 16;
/// Requests in flight on each of them where answers are to come as a stream, without a pause.
const STREAM: u32 = 32;
/// Messages a second whose latency is measured.
const RATES: [u64; 3] = [1_000, 10_000, 20_000];
/// Bytes of a body.
const BODY: u32 = 1024;
/// Bytes of a body where the load is in bytes a second.
const STEADY_BODY: u32 = 4096;
/// Bytes of the record of a body of 1 KiB, about.
const RECORD: usize = 1200;
/// Records in a batch that is synced: all that 16 x 32 has in flight, half of them (while one half is synced, the other
/// gathers), and a page of one.
const BATCHES: [usize; 2] = [512, 256];
/// Seconds of sends that pulls read, behind everything else in the log, and of those before a restart.
const FILL_SECONDS: f64 = 0.5;

/// One load.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Send {
        connections: u32,
        in_flight: u32,
        header: Header,
    },
    HotPull,
    Stream,
    Latency {
        rate: u64,
    },
    ManyQueues {
        topics: u32,
        queues: u32,
    },
    CatchUp,
    Steady,
    Sync {
        bytes: usize,
        messages: usize,
    },
    Restart(Ending),
}

/// The loads with these names, or all.
pub(super) fn rows(names: &[String]) -> Result<Vec<Row>> {
    let all = all();
    if names.is_empty() {
        return Ok(all);
    }
    let mut chosen = Vec::new();
    for name in names {
        match all.iter().find(|row| row.name == *name) {
            Some(row) => chosen.push(row.clone()),
            None => {
                let known: Vec<_> = all.iter().map(|row| row.name.as_str()).collect();
                bail!("there is no load {name}: choose from {}", known.join(", "));
            }
        }
    }
    Ok(chosen)
}

fn all() -> Vec<Row> {
    let row = |name: String, kind| Row { name, kind };
    let mut rows = Vec::new();
    for (connections, in_flight) in SENDS {
        for header in [Header::Json, Header::Binary] {
            let kind = Kind::Send {
                connections,
                in_flight,
                header,
            };
            rows.push(row(format!("{connections}x{in_flight}-{}", header.name()), kind));
        }
    }
    rows.push(row("hot-pull".to_owned(), Kind::HotPull));
    rows.push(row("pull-stream".to_owned(), Kind::Stream));
    rows.extend(RATES.map(|rate| row(format!("latency-{rate}"), Kind::Latency { rate })));
    for (name, topics, queues) in [("1000x4", 1000, 4), ("10000-queues", 2500, 4)] {
        rows.push(row(name.to_owned(), Kind::ManyQueues { topics, queues }));
    }
    rows.push(row("catch-up".to_owned(), Kind::CatchUp));
    rows.push(row("steady".to_owned(), Kind::Steady));
    let page = Kind::Sync {
        bytes: fdatasync::PAGE,
        messages: 1,
    };
    rows.push(row("fdatasync-4k".to_owned(), page));
    for messages in BATCHES {
        let bytes = messages * RECORD;
        rows.push(row(format!("fdatasync-{messages}x1k"), Kind::Sync { bytes, messages }));
    }
    rows.push(row("restart-clean".to_owned(), Kind::Restart(Ending::Clean)));
    rows.push(row("restart-kill".to_owned(), Kind::Restart(Ending::Kill)));
    rows
}

impl Row {
    /// Whether what counts is how long a message takes to its receipt, rather than how many there are.
    pub(super) fn is_latency(&self) -> bool {
        matches!(self.kind, Kind::Latency { .. })
    }

    /// Whether a system can do this.
    pub(super) fn fits(&self, system: &System) -> bool {
        let is_broker = matches!(system.role, Role::Ours | Role::Other);
        match self.kind {
            Kind::Send { .. } | Kind::HotPull | Kind::Stream => system.role != Role::Disk,
            Kind::Sync { .. } => system.role == Role::Disk,
            Kind::Restart(_) => is_broker && system.start.is_some(),
            Kind::Latency { .. } | Kind::ManyQueues { .. } | Kind::CatchUp | Kind::Steady => is_broker,
        }
    }

    /// What is missing when no system fits.
    pub(super) fn needs(&self) -> &'static str {
        match self.kind {
            Kind::Sync { .. } => "--disk names no directory",
            _ => "--start tells of no system how it is started",
        }
    }

    /// Makes this load on a system. `label` stands before the progress, `prefix` is of this run, round and row alone.
    pub(super) fn measure(
        &self,
        suite: &SuiteArguments,
        subject: &mut Subject,
        label: String,
        prefix: &str,
    ) -> Result<Run> {
        if let Kind::Sync { bytes, messages } = self.kind {
            let limit = Duration::from_secs_f64(suite.seconds);
            let directory = Path::new(&subject.system.broker);
            let syncs = fdatasync::measure(&RealDisk, &RealClock::new(), directory, limit, bytes)?;
            return Ok(Run::Syncs { syncs, messages });
        }
        let system = subject.system.clone();
        let load = self.load(suite, &system, label, prefix);
        let _topics = Topics::create(&system, &load)?;
        let report = match self.kind {
            Kind::Send { in_flight, .. } => loads::send(&send(load, in_flight)),
            Kind::ManyQueues { .. } => loads::send(&send(load, 32)),
            Kind::HotPull => hot_pull(load, 1),
            Kind::Stream => hot_pull(load, STREAM),
            Kind::Latency { .. } => loads::latency(&LatencyArguments {
                load,
                in_flight: 1024,
                body: BODY,
                consumers: 4,
            }),
            Kind::Steady => loads::send(&SendArguments {
                body: STEADY_BODY,
                ..send(load, 64)
            }),
            Kind::CatchUp => {
                let catch_up = measure_catch_up(&send(load, 32), suite.backlog_mib)?;
                return Ok(Run::CatchUp(Box::new(catch_up)));
            }
            Kind::Restart(ending) => {
                let restart = measure_restart(subject, &send(load, 32), ending, suite.restart_mib)?;
                return Ok(Run::Restart(restart));
            }
            Kind::Sync { .. } => bail!("a directory takes no requests"),
        };
        Ok(Run::Load(Box::new(report?)))
    }

    fn load(&self, suite: &SuiteArguments, system: &System, label: String, prefix: &str) -> LoadArguments {
        let base = LoadArguments {
            broker: Some(system.broker.clone()),
            namesrv: None,
            client: Client::Raw,
            connections: 16,
            header: Header::Json,
            topics: 1,
            queues: 8,
            topic_prefix: prefix.to_owned(),
            seconds: suite.seconds,
            warm_up: suite.warm_up,
            rate: None,
            threads: 1,
            cpu: suite.cpu,
            pid: system.pid,
            json: false,
            label: Some(label),
        };
        match self.kind {
            Kind::Send {
                connections, header, ..
            } => LoadArguments {
                connections,
                header,
                ..base
            },
            Kind::HotPull | Kind::Stream => LoadArguments {
                connections: PULLERS,
                ..base
            },
            Kind::Latency { rate } => LoadArguments {
                rate: Some(rate),
                ..base
            },
            // the first message to a queue makes its files: twice the time, so that all have them
            Kind::ManyQueues { topics, queues } => LoadArguments {
                topics,
                queues,
                header: Header::Binary,
                warm_up: suite.warm_up * 2.0,
                ..base
            },
            Kind::Steady => LoadArguments {
                rate: Some((suite.steady_mb * 1_000_000 / u64::from(STEADY_BODY)).max(1)),
                seconds: suite.steady_seconds.unwrap_or(suite.seconds),
                ..base
            },
            Kind::Restart(_) => LoadArguments {
                seconds: FILL_SECONDS.min(suite.seconds),
                warm_up: 0.0,
                ..base
            },
            Kind::CatchUp | Kind::Sync { .. } => base,
        }
    }
}

/// Pulls what is sent just before.
fn hot_pull(pulls: LoadArguments, in_flight: u32) -> Result<Report> {
    let fill = LoadArguments {
        seconds: FILL_SECONDS.min(pulls.seconds),
        warm_up: 0.0,
        ..pulls.clone()
    };
    loads::send(&send(fill, 32))?;
    loads::pull(&PullArguments {
        load: pulls,
        in_flight,
        max_messages: 32,
        verify: false,
        push: false,
    })
}

fn send(load: LoadArguments, in_flight: u32) -> SendArguments {
    SendArguments {
        load,
        in_flight,
        body: BODY,
        wait: true,
        tag: None,
        keys: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_loads_are_measured_unless_some_are_named() {
        let names: Vec<_> = rows(&[]).unwrap().into_iter().map(|row| row.name).collect();
        let expected = [
            "16x32-json",
            "16x32-binary",
            "16x1-json",
            "16x1-binary",
            "1x1-json",
            "1x1-binary",
            "128x8-json",
            "128x8-binary",
            "hot-pull",
            "pull-stream",
            "latency-1000",
            "latency-10000",
            "latency-20000",
            "1000x4",
            "10000-queues",
            "catch-up",
            "steady",
            "fdatasync-4k",
            "fdatasync-512x1k",
            "fdatasync-256x1k",
            "restart-clean",
            "restart-kill",
        ];
        assert_eq!(names, expected);
        let chosen = rows(&["hot-pull".to_owned(), "1x1-json".to_owned()]).unwrap();
        assert_eq!((chosen.len(), chosen[0].name.as_str()), (2, "hot-pull"));
        let refused = rows(&["2x2".to_owned()]).unwrap_err().to_string();
        assert!(refused.contains("latency-10000"), "{refused}");
    }
}
