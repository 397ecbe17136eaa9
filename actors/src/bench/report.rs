//! What `cuemq bench` says at the end: one struct that is printed as JSON, whose members stay as they are, or as a table.
//!
//! A figure means nothing without the load and the server behind it, so both are part of it.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use cuemq_net::code::ResponseCode;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::arguments::LoadArguments;
use super::ask::Server;
use super::measure::Measured;
use super::process::Process;
use super::stalls::Stalls;
use super::tally::Answers;

/// Raised when a member changes its meaning.
const SCHEMA: u32 = 1;

/// The part of its time that a generator thread is busy when it is taken for the limit.
const LIMITED: f64 = 0.9;

/// Columns of a table that holds remarks, which would be much wider.
const WIDTH: u16 = 120;

/// All that is known of a run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    pub(super) load: Load,
    pub(super) server: Server,
    pub(super) process: Option<ProcessReport>,
    /// Cores' worth of time that the generator itself took.
    generator_cores: f64,
    /// The part of the measured time in which its threads had something to do, all together.
    generator_busy: f64,
    pub(super) messages: u64,
    pub(super) messages_per_second: f64,
    /// 10^6 bytes a second: of bodies (send), of records (pull).
    megabytes_per_second: f64,
    /// Of requests.
    pub(super) latency_us: Latency,
    /// Of messages, until a consumer had them.
    receipt: Option<ReceiptReport>,
    answers: u64,
    /// Answers other than success.
    pub(super) others: Vec<CodeReport>,
    broken: Answers,
    lost_connections: Answers,
    unanswered: u64,
    never_sent: u64,
    longest_backlog: u64,
    /// Times without any success.
    pub(super) stalls: Stalls,
}

/// The load that was made.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Load {
    /// `send`, `pull`, `latency`, `producer` or `consumer`.
    pub(super) kind: &'static str,
    pub(super) connections: u32,
    pub(super) in_flight: u32,
    pub(super) header: &'static str,
    pub(super) topics: u32,
    pub(super) queues: u32,
    pub(super) seconds: f64,
    pub(super) warm_up: f64,
    /// Requests a second of an open loop; `None`: closed loop.
    pub(super) rate: Option<u64>,
    pub(super) threads: u32,
    pub(super) cpu: Option<usize>,
    /// What only this kind has.
    pub(super) detail: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ProcessReport {
    pid: u32,
    name: String,
    allowed_cores: String,
    pub(super) cores_used: f64,
    pub(super) cpu_us_per_message: f64,
    pub(super) anonymous_bytes: u64,
    pub(super) file_mapped_bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
struct ReceiptReport {
    /// Messages that were received.
    messages: u64,
    /// Messages that were acknowledged and not received in time.
    missing: u64,
    /// From when they were due, or born, to their receipt.
    latency_us: Latency,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct CodeReport {
    code: i32,
    name: Option<&'static str>,
    pub(super) count: u64,
    example: Option<String>,
}

/// Percentiles in µs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p99_9: f64,
    pub(super) max: f64,
}

impl Latency {
    /// The percentiles of nanoseconds.
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

impl CodeReport {
    pub(super) fn of(others: BTreeMap<i32, Answers>) -> Vec<Self> {
        let report = |(code, answers): (i32, Answers)| Self {
            code,
            name: ResponseCode(code).name(),
            count: answers.count,
            example: answers.example,
        };
        others.into_iter().map(report).collect()
    }

    pub(super) fn text(&self) -> String {
        format!("{} x {}", self.count, ResponseCode(self.code))
    }
}

impl Load {
    pub(super) fn new(kind: &'static str, load: &LoadArguments, in_flight: u32, detail: String) -> Self {
        Self {
            kind,
            connections: load.connections,
            in_flight,
            header: load.header.name(),
            topics: load.topics,
            queues: load.queues,
            seconds: load.seconds,
            warm_up: load.warm_up,
            rate: load.rate,
            threads: load.threads,
            cpu: load.cpu,
            detail,
        }
    }

    fn text(&self) -> String {
        let loop_kind = match self.rate {
            Some(rate) => format!("open loop of {rate} requests/s"),
            None => "closed loop".to_owned(),
        };
        let pinned = self
            .cpu
            .map_or_else(String::new, |core| format!(" from core {core} on"));
        format!(
            "{}: {} connections x {} in flight, {} headers, {}, topics x queues {} x {}, {loop_kind}, {} s after {} s of \
             warm-up, generator threads {}{pinned}",
            self.kind,
            self.connections,
            self.in_flight,
            self.header,
            self.detail,
            self.topics,
            self.queues,
            self.seconds,
            self.warm_up,
            self.threads,
        )
    }
}

impl Report {
    pub(super) fn new(load: Load, pid: Option<u32>, server: Server, measured: Measured) -> Self {
        let Measured {
            tally,
            generator_cores,
            server: used,
            receipts,
            ..
        } = measured;
        let refused: u64 = tally.others.values().map(|answers| answers.count).sum();
        let receipt = receipts.map(|receipts| {
            let messages = receipts.latencies.len();
            ReceiptReport {
                messages,
                missing: (tally.answers - refused).saturating_sub(messages),
                latency_us: Latency::of(&receipts.latencies),
            }
        });
        let process = pid.zip(used).map(|(pid, used)| {
            let (name, allowed_cores) = Process::new(pid).identity().unwrap_or_default();
            ProcessReport {
                pid,
                name,
                allowed_cores,
                cores_used: used.cores,
                cpu_us_per_message: used.us_per_message,
                anonymous_bytes: used.memory.anonymous_bytes,
                file_mapped_bytes: used.memory.file_mapped_bytes,
            }
        });
        Self {
            schema: SCHEMA,
            server,
            process,
            generator_cores,
            generator_busy: tally.busy_ns as f64 / 1e9 / load.seconds,
            messages: tally.messages,
            messages_per_second: tally.messages as f64 / load.seconds,
            megabytes_per_second: tally.bytes as f64 / 1e6 / load.seconds,
            latency_us: Latency::of(&tally.latencies),
            receipt,
            answers: tally.answers,
            others: CodeReport::of(tally.others),
            broken: tally.broken,
            lost_connections: tally.lost_connections,
            unanswered: tally.unanswered,
            never_sent: tally.never_sent,
            longest_backlog: tally.longest_backlog,
            stalls: tally.stalls,
            load,
        }
    }

    /// Whether this program had no time to spare, so that the figures are its own and not the server's.
    pub(super) fn is_generator_limited(&self) -> bool {
        self.generator_busy >= LIMITED * f64::from(self.load.threads)
    }

    /// The latencies of receipts, or of requests where nobody waits for messages.
    pub(super) fn main_latency(&self) -> &Latency {
        self.receipt
            .as_ref()
            .map_or(&self.latency_us, |receipt| &receipt.latency_us)
    }

    /// Whether messages came through, all connections lasted and nothing impossible was answered.
    pub(super) fn is_sound(&self) -> bool {
        let missing = self.receipt.as_ref().map_or(0, |receipt| receipt.missing);
        self.messages > 0 && missing == 0 && self.lost_connections.count == 0 && self.broken.count == 0
    }

    /// The tables, with a line each before them on the load and the server.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![self.load.text(), self.server_text(), self.figures().to_string()];
        if let Some(troubles) = self.troubles() {
            lines.push(troubles.to_string());
        }
        lines.join("\n")
    }

    fn server_text(&self) -> String {
        let Server {
            address,
            language,
            version,
            release,
            settings,
        } = &self.server;
        let language = language.as_deref().unwrap_or("unknown language");
        let release = release.as_deref().unwrap_or("release not told");
        let mut text = format!("server: {address}, {language}, {release} (announces {version})");
        for (key, value) in settings {
            text.push_str(&format!(", {key}={value}"));
        }
        if let Some(process) = &self.process {
            let ProcessReport {
                pid,
                name,
                allowed_cores,
                ..
            } = process;
            text.push_str(&format!(", process {pid} ({name}) on cores {allowed_cores}"));
        }
        text
    }

    fn figures(&self) -> Table {
        let latency = &self.latency_us;
        let mut cells = vec![
            ("msg/s", format!("{:.0}", self.messages_per_second)),
            ("MB/s", format!("{:.1}", self.megabytes_per_second)),
            ("p50 us", format!("{:.0}", latency.p50)),
            ("p90 us", format!("{:.0}", latency.p90)),
            ("p99 us", format!("{:.0}", latency.p99)),
            ("p99.9 us", format!("{:.0}", latency.p99_9)),
            ("max us", format!("{:.0}", latency.max)),
        ];
        if let Some(ReceiptReport { latency_us, .. }) = &self.receipt {
            cells.extend([
                ("receipt p50 us", format!("{:.0}", latency_us.p50)),
                ("p90 us", format!("{:.0}", latency_us.p90)),
                ("p99 us", format!("{:.0}", latency_us.p99)),
                ("p99.9 us", format!("{:.0}", latency_us.p99_9)),
                ("max us", format!("{:.0}", latency_us.max)),
            ]);
        }
        cells.push(("generator cores", format!("{:.2}", self.generator_cores)));
        if let Some(process) = &self.process {
            cells.extend([
                ("server cores", format!("{:.2}", process.cores_used)),
                ("CPU us/msg", format!("{:.2}", process.cpu_us_per_message)),
                ("anonymous MB", format!("{:.1}", process.anonymous_bytes as f64 / 1e6)),
                ("mapped MB", format!("{:.1}", process.file_mapped_bytes as f64 / 1e6)),
            ]);
        }
        let (names, values): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        let mut table = table(&names);
        table.add_row(values);
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// What went otherwise than it should.
    fn troubles(&self) -> Option<Table> {
        let code = |other: &CodeReport| (ResponseCode(other.code).to_string(), other.count, other.example.clone());
        let mut rows: Vec<_> = self.others.iter().map(code).collect();
        for (what, answers) in [
            ("answers that cannot be right", &self.broken),
            ("connections lost", &self.lost_connections),
        ] {
            rows.push((what.to_owned(), answers.count, answers.example.clone()));
        }
        for (what, count) in [
            (
                "messages acknowledged and not received",
                self.receipt.as_ref().map_or(0, |receipt| receipt.missing),
            ),
            ("requests never answered", self.unanswered),
            ("requests due and never sent", self.never_sent),
            ("most requests that waited for room", self.longest_backlog),
        ] {
            rows.push((what.to_owned(), count, None));
        }
        rows.retain(|(_, count, _)| *count > 0);
        if rows.is_empty() {
            return None;
        }
        let mut table = table(&["besides success", "count", "for example"]);
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH);
        for (what, count, example) in rows {
            table.add_row([what, count.to_string(), example.unwrap_or_default()]);
        }
        Some(table)
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header.iter().copied());
    table
}

#[cfg(test)]
mod tests {
    use super::super::measure::ServerUse;
    use super::super::process::Memory;
    use super::super::tally::Tally;
    use super::*;

    fn report(tally: Tally) -> Report {
        let load = Load {
            kind: "send",
            connections: 16,
            in_flight: 32,
            header: "binary",
            topics: 2,
            queues: 8,
            seconds: 2.0,
            warm_up: 1.0,
            rate: None,
            threads: 1,
            cpu: Some(1),
            detail: "bodies of 10 bytes".to_owned(),
        };
        let server = Server {
            address: ([127, 0, 0, 1], 10911).into(),
            language: Some("JAVA".to_owned()),
            version: 407,
            release: Some("V4_9_7".to_owned()),
            settings: vec![("flushDiskType".to_owned(), "ASYNC_FLUSH".to_owned())],
        };
        let used = ServerUse {
            cores: 0.5,
            us_per_message: 15.25,
            memory: Memory {
                anonymous_bytes: 3_000_000,
                file_mapped_bytes: 7_000_000,
            },
        };
        let measured = Measured {
            tally,
            generator_cores: 0.25,
            server: Some(used),
            receipts: None,
            reading: None,
        };
        Report::new(load, Some(std::process::id()), server, measured)
    }

    fn tally() -> Tally {
        let mut tally = Tally::new().unwrap();
        tally.count(3000, 30_000_000);
        for us in 1..=1000 {
            tally.latencies.saturating_record(us * 1000);
        }
        tally
    }

    #[test]
    fn the_text_states_load_server_and_figures() {
        let text = report(tally()).text();
        for part in [
            "16 connections x 32 in flight, binary headers, bodies of 10 bytes, topics x queues 2 x 8, closed loop",
            "2 s after 1 s of warm-up",
            "127.0.0.1:10911, JAVA, V4_9_7 (announces 407), flushDiskType=ASYNC_FLUSH, process",
            "1500",
            "15.0",
            "15.25",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains("besides success"), "{text}");
    }

    #[test]
    fn what_went_wrong_is_told_with_its_example_and_judged() {
        let mut tally = tally();
        tally
            .others
            .entry(2)
            .or_default()
            .note(|| Some("broker busy".to_owned()));
        assert!(report(tally.clone()).is_sound(), "a refusal is an answer");
        tally.lost_connections.note(|| Some("reset".to_owned()));
        let report = report(tally);
        let text = report.text();
        assert!(
            text.contains("SYSTEM_BUSY (2)") && text.contains("broker busy") && text.contains("reset"),
            "{text}"
        );
        assert!(!report.is_sound());
    }

    #[test]
    fn the_members_of_the_json_stay() {
        let json = serde_json::to_value(report(tally())).unwrap();
        let members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [
            "schema",
            "load",
            "server",
            "process",
            "generator_cores",
            "messages",
            "messages_per_second",
            "megabytes_per_second",
            "latency_us",
            "receipt",
            "answers",
            "others",
            "broken",
            "lost_connections",
            "unanswered",
            "never_sent",
            "longest_backlog",
            "generator_busy",
            "stalls",
        ];
        expected.sort_unstable();
        let mut members = members;
        members.sort_unstable();
        assert_eq!(members, expected);
        assert_eq!(json["messages_per_second"], 1500.0);
        assert_eq!(json["process"]["cpu_us_per_message"], 15.25);
        let p50 = json["latency_us"]["p50"].as_f64().unwrap();
        assert!((499.0..=501.0).contains(&p50), "{p50}");
    }
}
