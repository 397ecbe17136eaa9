//! What `cuemq bench suite` says: for each load and system the median of the rounds with the least and the most, and how
//! ours compares; then what only some loads have, and which goals are met.
//!
//! Every row says when its broker acknowledges, as figures of different promises do not compare. A ratio above 1 means
//! that ours does more messages, and for latencies and restarts that ours takes longer.

use anyhow::Result;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::super::report::{CodeReport, Latency, Report};
use super::arguments::{Role, System};
use super::catch_up::CatchUp;
use super::goals::{Goal, goals};
use super::log::{self, Explained};
use super::rows::Row;
use super::run::Run;
use super::spread::Spread;

/// Raised when a member changes its meaning.
const SCHEMA: u32 = 2;
/// How many columns at the left hold words.
const WORDS: usize = 3;
/// How many stalls of one row are told.
const STALLS: usize = 10;

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct Comparison {
    schema: u32,
    entries: Vec<Entry>,
    goals: Vec<Goal>,
    /// Loads that ended with an error, and why.
    failed: Vec<String>,
    /// What else is to be known.
    notes: Vec<String>,
}

/// One load on one system.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    pub(super) load: String,
    pub(super) system: String,
    pub(super) role: Role,
    /// When the broker acknowledges.
    pub(super) flush: String,
    is_latency: bool,
    pub(super) messages_per_second: Option<Spread>,
    /// Of sends or pulls; of receipts where latency is what counts; of the sends beside a backlog that is read.
    pub(super) p50_us: Option<Spread>,
    pub(super) p99_us: Option<Spread>,
    pub(super) p99_9_us: Option<Spread>,
    pub(super) max_us: Option<Spread>,
    pub(super) cpu_us_per_message: Option<Spread>,
    pub(super) anonymous_megabytes: Option<Spread>,
    mapped_megabytes: Option<Spread>,
    /// Answers other than success, of all rounds.
    pub(super) refused: u64,
    /// The longest time without an acknowledgement.
    longest_stall_ms: Option<Spread>,
    /// The stalls of 50 ms or more, of all rounds.
    pub(super) stalls: Vec<Explained>,
    pub(super) catch_up: Option<CatchUpFigures>,
    /// From the start of the process to the first acknowledged send.
    pub(super) restart_seconds: Option<Spread>,
    stop_seconds: Option<Spread>,
    /// Ours by this system: messages a second, the median latency, or the seconds of a restart. `None` for ours.
    ours_to_theirs: Option<f64>,
    /// Messages for each CPU second, ours by this system's.
    ours_to_theirs_per_cpu: Option<f64>,
    is_generator_limited: bool,
    runs: Vec<Run>,
}

/// What only a backlog that is read beside sends has.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CatchUpFigures {
    mebibytes_per_second: Spread,
    /// Sends a second beside the reading, half of what the system takes.
    sends_per_second: Spread,
    p99_before_us: Spread,
    /// How many times as long the 99th percentile is beside the reading.
    pub(super) p99_to_before: Spread,
}

impl Entry {
    /// # Errors
    /// When the system's log cannot be read.
    pub(super) fn new(row: &Row, system: &System, flush: String, runs: Vec<Run>) -> Result<Self> {
        let of = |figure: &dyn Fn(&Run) -> Option<f64>| Spread::of(runs.iter().filter_map(figure));
        let latency = |figure: fn(&Latency) -> f64| of(&|run| run.latency().map(figure));
        let log = system.log.as_deref().map(log::read).transpose()?;
        let stalls = runs
            .iter()
            .filter_map(Run::report)
            .flat_map(|report| &report.stalls.told);
        Ok(Self {
            load: row.name.clone(),
            system: system.name.clone(),
            role: system.role,
            flush,
            is_latency: row.is_latency(),
            messages_per_second: of(&Run::messages_per_second),
            p50_us: latency(|latency| latency.p50),
            p99_us: latency(|latency| latency.p99),
            p99_9_us: latency(|latency| latency.p99_9),
            max_us: latency(|latency| latency.max),
            cpu_us_per_message: of(&Run::cpu_us_per_message),
            anonymous_megabytes: of(&Run::anonymous_megabytes),
            mapped_megabytes: of(&Run::mapped_megabytes),
            refused: runs.iter().map(Run::refused).sum(),
            longest_stall_ms: of(&|run| Some(run.report()?.stalls.longest_ms)),
            stalls: stalls.map(|stall| Explained::new(stall, log.as_deref())).collect(),
            catch_up: CatchUpFigures::of(&runs),
            restart_seconds: of(&|run| Some(run.restart()?.seconds)),
            stop_seconds: of(&|run| Some(run.restart()?.stop_seconds)),
            ours_to_theirs: None,
            ours_to_theirs_per_cpu: None,
            is_generator_limited: runs.iter().any(Run::is_generator_limited),
            runs,
        })
    }

    /// What counts in this load.
    fn main(&self) -> Option<Spread> {
        if self.is_latency {
            self.p50_us
        } else {
            self.restart_seconds.or(self.messages_per_second)
        }
    }

    /// Messages for each CPU second, this system's by another's.
    pub(super) fn per_cpu_to(&self, other: &Self) -> Option<f64> {
        Spread::ratio(other.cpu_us_per_message, self.cpu_us_per_message)
    }

    /// What these say of each other: the medians, above by below.
    pub(super) fn main_to(&self, other: &Self) -> Option<f64> {
        Spread::ratio(self.main(), other.main())
    }

    fn compare(&mut self, ours: &Self) {
        self.ours_to_theirs = ours.main_to(self);
        self.ours_to_theirs_per_cpu = ours.per_cpu_to(self);
    }

    fn cells(&self) -> [String; 12] {
        let spread = |spread: Option<Spread>, digits| spread.map_or_else(String::new, |spread| spread.text(digits));
        let median = |spread: Option<Spread>| spread.map_or_else(String::new, |spread| format!("{:.1}", spread.median));
        let times = |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        [
            self.load.clone(),
            self.system.clone(),
            self.flush.clone(),
            spread(self.messages_per_second, 0),
            spread(self.p50_us, 0),
            spread(self.p99_us, 0),
            spread(self.cpu_us_per_message, 2),
            median(self.anonymous_megabytes),
            median(self.mapped_megabytes),
            self.refused.to_string(),
            times(self.ours_to_theirs),
            times(self.ours_to_theirs_per_cpu),
        ]
    }

    /// The times without an acknowledgement, of which one was long enough to be told.
    fn stalls_text(&self) -> Option<String> {
        let longest = self.longest_stall_ms.filter(|_| !self.stalls.is_empty())?;
        let mut lines = vec![format!(
            "stalls of {} on {}: longest {:.0} ms, {} of 50 ms or more",
            self.load,
            self.system,
            longest.max,
            self.stalls.len()
        )];
        let mut stalls: Vec<_> = self.stalls.iter().collect();
        stalls.sort_by(|first, second| second.ms.total_cmp(&first.ms));
        lines.extend(stalls.iter().take(STALLS).map(|stall| format!("  {}", stall.text())));
        Some(lines.join("\n"))
    }
}

impl CatchUpFigures {
    fn of(runs: &[Run]) -> Option<Self> {
        let of = |figure: fn(&CatchUp) -> f64| Spread::of(runs.iter().filter_map(Run::catch_up).map(figure));
        Some(Self {
            mebibytes_per_second: of(|run| run.mebibytes_per_second)?,
            sends_per_second: of(|run| run.beside.messages_per_second)?,
            p99_before_us: of(|run| run.before.latency_us.p99)?,
            p99_to_before: of(CatchUp::p99_to_before)?,
        })
    }
}

impl Comparison {
    /// Takes the entries, of each load ours before all others.
    pub(super) fn new(mut entries: Vec<Entry>, mut notes: Vec<String>, failed: Vec<String>) -> Self {
        let mut ours: Option<Entry> = None;
        for entry in &mut entries {
            match &ours {
                Some(ours) if ours.load == entry.load => entry.compare(ours),
                _ => ours = Some(entry.clone()).filter(|entry| entry.role == Role::Ours),
            }
        }
        let limited = entries.iter().filter(|entry| entry.is_generator_limited);
        notes.extend(limited.map(|entry| {
            format!(
                "{} on {}: the generator had no time to spare, so that the broker may do more",
                entry.load, entry.system
            )
        }));
        Self {
            schema: SCHEMA,
            goals: goals(&entries),
            entries,
            failed,
            notes,
        }
    }

    pub(in super::super) fn is_sound(&self) -> bool {
        self.failed.is_empty() && self.runs().all(|(_, run)| run.is_sound())
    }

    /// The tables, and below them the whole report of each run that was not sound.
    pub(in super::super) fn text(&self) -> String {
        let mut lines = vec![
            self.loads().to_string(),
            "median (min–max) of the rounds; latencies of latency-* are from when a message was due to its receipt, and \
             ours/theirs compares their p50, of restarts the seconds, elsewhere msg/s; of catch-up, msg/s are those that \
             were read, latencies those of the sends beside, and CPU is for each message sent or read"
                .to_owned(),
        ];
        lines.extend(self.catch_up().map(|table| table.to_string()));
        lines.extend(self.restarts().map(|table| table.to_string()));
        lines.extend(self.entries.iter().filter_map(Entry::stalls_text));
        lines.extend(self.goals_table().map(|table| table.to_string()));
        for (entry, run) in self.runs().filter(|(_, run)| run.refused() > 0) {
            let codes: Vec<_> = run.refusals().iter().map(CodeReport::text).collect();
            lines.push(format!(
                "refused: {} on {}: {}",
                entry.load,
                entry.system,
                codes.join(", ")
            ));
        }
        lines.extend(self.notes.iter().chain(&self.failed).cloned());
        for (entry, run) in self.runs().filter(|(_, run)| !run.is_sound()) {
            let report = run.report().map(Report::text);
            let report = report.unwrap_or_default();
            lines.push(format!("not sound: {} on {}\n{report}", entry.load, entry.system));
        }
        lines.join("\n")
    }

    fn loads(&self) -> Table {
        let header = [
            "load",
            "system",
            "flush",
            "msg/s",
            "p50 us",
            "p99 us",
            "CPU us/msg",
            "anonymous MB",
            "mapped MB",
            "refused",
            "ours/theirs",
            "per CPU s",
        ];
        let rows = self.entries.iter().filter(|entry| entry.restart_seconds.is_none());
        table(&header, WORDS, rows.map(|entry| entry.cells().to_vec()))
    }

    fn catch_up(&self) -> Option<Table> {
        let header = [
            "load",
            "system",
            "flush",
            "MiB/s read",
            "sends/s beside",
            "refused",
            "p99 us before",
            "p99 us beside",
            "times",
        ];
        let rows: Vec<_> = self
            .entries
            .iter()
            .filter_map(|entry| {
                let figures = entry.catch_up.as_ref()?;
                Some(vec![
                    entry.load.clone(),
                    entry.system.clone(),
                    entry.flush.clone(),
                    figures.mebibytes_per_second.text(0),
                    figures.sends_per_second.text(0),
                    entry.refused.to_string(),
                    figures.p99_before_us.text(0),
                    entry.p99_us?.text(0),
                    figures.p99_to_before.text(1),
                ])
            })
            .collect();
        (!rows.is_empty()).then(|| table(&header, WORDS, rows))
    }

    fn restarts(&self) -> Option<Table> {
        let header = [
            "load",
            "system",
            "flush",
            "s to the first send",
            "s to stop",
            "ours/theirs",
        ];
        let rows: Vec<_> = self
            .entries
            .iter()
            .filter_map(|entry| {
                Some(vec![
                    entry.load.clone(),
                    entry.system.clone(),
                    entry.flush.clone(),
                    entry.restart_seconds?.text(3),
                    entry.stop_seconds?.text(3),
                    entry
                        .ours_to_theirs
                        .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                ])
            })
            .collect();
        (!rows.is_empty()).then(|| table(&header, WORDS, rows))
    }

    fn goals_table(&self) -> Option<Table> {
        let rows: Vec<_> = self.goals.iter().map(Goal::cells).collect();
        (!rows.is_empty()).then(|| table(&["goal", "load", "systems", "wanted", "measured", "met"], WORDS, rows))
    }

    fn runs(&self) -> impl Iterator<Item = (&Entry, &Run)> {
        self.entries
            .iter()
            .flat_map(|entry| entry.runs.iter().map(move |run| (entry, run)))
    }
}

fn table(header: &[&str], words: usize, rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(words) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
