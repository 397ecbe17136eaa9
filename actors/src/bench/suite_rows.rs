//! The loads of `cuemq bench suite`: sends of 1 KiB by connections x requests in flight with both headers, pulls of what
//! was sent just before, and the time from send to receipt at two rates.

use anyhow::{Result, bail};

use super::arguments::{Header, LatencyArguments, LoadArguments, PullArguments, SendArguments};
use super::loads;
use super::report::Report;
use super::suite_arguments::{SuiteArguments, System};

/// Connections and requests in flight on each of the sends.
const SENDS: [(u32, u32); 4] = [(16, 32), (16, 1), (1, 1), (128, 8)];
/// Connections that pull, one request in flight on each.
const PULLERS: u32 = 16;
/// Messages a second whose latency is measured.
const RATES: [u64; 2] = [1_000, 10_000];
/// Bytes of a body.
const BODY: u32 = 1024;
/// Seconds of sends that pulls read, behind everything else in the log.
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
    Latency {
        rate: u64,
    },
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
    let mut rows = Vec::new();
    for (connections, in_flight) in SENDS {
        for header in [Header::Json, Header::Binary] {
            rows.push(Row {
                name: format!("{connections}x{in_flight}-{}", header.name()),
                kind: Kind::Send {
                    connections,
                    in_flight,
                    header,
                },
            });
        }
    }
    rows.push(Row {
        name: "hot-pull".to_owned(),
        kind: Kind::HotPull,
    });
    rows.extend(RATES.map(|rate| Row {
        name: format!("latency-{rate}"),
        kind: Kind::Latency { rate },
    }));
    rows
}

impl Row {
    /// Whether what counts is how long a message takes to its receipt, rather than how many there are.
    pub(super) fn is_latency(&self) -> bool {
        matches!(self.kind, Kind::Latency { .. })
    }

    /// Makes this load on a system. `label` stands before the progress, `prefix` is of this run and round alone.
    pub(super) fn measure(
        &self,
        suite: &SuiteArguments,
        system: &System,
        label: String,
        prefix: &str,
    ) -> Result<Report> {
        let base = load(suite, system, label);
        match self.kind {
            Kind::Send {
                connections,
                in_flight,
                header,
            } => loads::send(&send(
                LoadArguments {
                    connections,
                    header,
                    ..base
                },
                in_flight,
            )),
            Kind::HotPull => {
                let pulls = LoadArguments {
                    connections: PULLERS,
                    topic_prefix: format!("{prefix}-hot"),
                    ..base
                };
                let fill = LoadArguments {
                    seconds: FILL_SECONDS.min(suite.seconds),
                    warm_up: 0.0,
                    ..pulls.clone()
                };
                loads::send(&send(fill, 32))?;
                loads::pull(&PullArguments {
                    load: pulls,
                    in_flight: 1,
                    max_messages: 32,
                    verify: false,
                })
            }
            Kind::Latency { rate } => loads::latency(&LatencyArguments {
                load: LoadArguments {
                    rate: Some(rate),
                    ..base
                },
                in_flight: 1024,
                body: BODY,
                consumers: 4,
            }),
        }
    }
}

fn load(suite: &SuiteArguments, system: &System, label: String) -> LoadArguments {
    LoadArguments {
        broker: Some(system.broker.clone()),
        namesrv: None,
        connections: 16,
        header: Header::Json,
        topics: 1,
        queues: 8,
        topic_prefix: "cuemq-bench".to_owned(),
        seconds: suite.seconds,
        warm_up: suite.warm_up,
        rate: None,
        threads: 1,
        cpu: suite.cpu,
        pid: system.pid,
        json: false,
        label: Some(label),
    }
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
            "latency-1000",
            "latency-10000",
        ];
        assert_eq!(names, expected);
        let chosen = rows(&["hot-pull".to_owned(), "1x1-json".to_owned()]).unwrap();
        assert_eq!((chosen.len(), chosen[0].name.as_str()), (2, "hot-pull"));
        let refused = rows(&["2x2".to_owned()]).unwrap_err().to_string();
        assert!(refused.contains("latency-10000"), "{refused}");
    }
}
