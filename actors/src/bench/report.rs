//! What `cuemq bench` says at the end: one struct that is printed as JSON, whose members stay as they are, or as a table.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use cuemq_net::code::ResponseCode;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::arguments::LoadArguments;
use super::ask::Server;
use super::measure::Measured;
use super::process::Process;
use super::tally::Answers;

/// Raised when a member changes its meaning.
const SCHEMA: u32 = 1;

/// All that is known of a run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    load: Load,
    server: Server,
    process: Option<ProcessReport>,
    /// Cores' worth of time that the generator itself took.
    generator_cores: f64,
    messages: u64,
    messages_per_second: f64,
    /// 10^6 bytes a second: of bodies (send), of records (pull).
    megabytes_per_second: f64,
    /// Of requests.
    latency_us: Latency,
    answers: u64,
    /// Answers other than success.
    others: Vec<CodeReport>,
    broken: Answers,
    lost_connections: Answers,
    unanswered: u64,
    never_sent: u64,
    longest_backlog: u64,
}

/// The load that was made.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Load {
    /// `send` or `pull`.
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
struct ProcessReport {
    pid: u32,
    name: String,
    allowed_cores: String,
    cores_used: f64,
    cpu_us_per_message: f64,
    anonymous_bytes: u64,
    file_mapped_bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
struct CodeReport {
    code: i32,
    name: Option<&'static str>,
    count: u64,
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
            "{}: {} connections x {} in flight, {} headers, {}, {} topics x {} queues, {loop_kind}, {} s after {} s, \
             {} threads{pinned}",
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
        } = measured;
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
        let others = tally.others.into_iter().map(|(code, answers)| CodeReport {
            code,
            name: ResponseCode(code).name(),
            count: answers.count,
            example: answers.example,
        });
        Self {
            schema: SCHEMA,
            server,
            process,
            generator_cores,
            messages: tally.messages,
            messages_per_second: tally.messages as f64 / load.seconds,
            megabytes_per_second: tally.bytes as f64 / 1e6 / load.seconds,
            latency_us: Latency::of(&tally.latencies),
            answers: tally.answers,
            others: others.collect(),
            broken: tally.broken,
            lost_connections: tally.lost_connections,
            unanswered: tally.unanswered,
            never_sent: tally.never_sent,
            longest_backlog: tally.longest_backlog,
            load,
        }
    }

    /// Whether messages came through, all connections lasted and nothing impossible was answered.
    pub(super) fn is_sound(&self) -> bool {
        self.messages > 0 && self.lost_connections.count == 0 && self.broken.count == 0
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
            ("generator cores", format!("{:.2}", self.generator_cores)),
        ];
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
