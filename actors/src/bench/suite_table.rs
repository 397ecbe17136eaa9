//! What `cuemq bench suite` says: for each load and system the median of the rounds with the least and the most, and how
//! ours compares.
//!
//! Every row says when its broker acknowledges, as figures of different promises do not compare. A ratio above 1 means
//! that ours does more messages, and for latencies that ours takes longer.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::report::Report;
use super::suite_rows::Row;

/// Raised when a member changes its meaning.
const SCHEMA: u32 = 1;
/// How many columns at the left hold words.
const WORDS: usize = 3;

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Comparison {
    schema: u32,
    entries: Vec<Entry>,
}

/// One load on one system.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    pub(super) load: String,
    pub(super) system: String,
    /// When the broker acknowledges.
    pub(super) flush: String,
    is_latency: bool,
    messages_per_second: Spread,
    /// Of sends or pulls; of receipts where latency is what counts.
    p50_us: Spread,
    p99_us: Spread,
    cpu_us_per_message: Option<Spread>,
    anonymous_megabytes: Option<Spread>,
    mapped_megabytes: Option<Spread>,
    /// Ours by this system: messages a second, or the median latency. `None` for ours.
    ours_to_theirs: Option<f64>,
    /// Messages for each CPU second, ours by this system's.
    ours_to_theirs_per_cpu: Option<f64>,
    runs: Vec<Report>,
}

/// The median of some figures, the least and the most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of at least one figure.
    fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self {
            median: f64::midpoint(low, high),
            min,
            max,
        })
    }

    fn text(&self, digits: usize) -> String {
        let Self { median, min, max } = self;
        format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
    }
}

impl Entry {
    pub(super) fn new(row: &Row, system: &str, flush: String, runs: Vec<Report>) -> Self {
        let always = |figure: &dyn Fn(&Report) -> f64| {
            Spread::of(runs.iter().map(figure)).unwrap_or(Spread {
                median: 0.0,
                min: 0.0,
                max: 0.0,
            })
        };
        let process = |figure: fn(&super::report::ProcessReport) -> f64| {
            Spread::of(runs.iter().filter_map(|run| run.process.as_ref()).map(figure))
        };
        Self {
            load: row.name.clone(),
            system: system.to_owned(),
            flush,
            is_latency: row.is_latency(),
            messages_per_second: always(&|run| run.messages_per_second),
            p50_us: always(&|run| run.main_latency().p50),
            p99_us: always(&|run| run.main_latency().p99),
            cpu_us_per_message: process(|process| process.cpu_us_per_message),
            anonymous_megabytes: process(|process| process.anonymous_bytes as f64 / 1e6),
            mapped_megabytes: process(|process| process.file_mapped_bytes as f64 / 1e6),
            ours_to_theirs: None,
            ours_to_theirs_per_cpu: None,
            runs,
        }
    }

    fn compare(&mut self, ours: &Self) {
        let main = |entry: &Self| {
            if entry.is_latency {
                entry.p50_us.median
            } else {
                entry.messages_per_second.median
            }
        };
        self.ours_to_theirs = ratio(main(ours), main(self));
        let cpu = self.cpu_us_per_message.zip(ours.cpu_us_per_message);
        self.ours_to_theirs_per_cpu = cpu.and_then(|(theirs, ours)| ratio(theirs.median, ours.median));
    }

    fn cells(&self) -> [String; 11] {
        let spread = |spread: Option<Spread>, digits| spread.map_or_else(String::new, |spread| spread.text(digits));
        let median = |spread: Option<Spread>| spread.map_or_else(String::new, |spread| format!("{:.1}", spread.median));
        let times = |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        [
            self.load.clone(),
            self.system.clone(),
            self.flush.clone(),
            self.messages_per_second.text(0),
            self.p50_us.text(0),
            self.p99_us.text(0),
            spread(self.cpu_us_per_message, 2),
            median(self.anonymous_megabytes),
            median(self.mapped_megabytes),
            times(self.ours_to_theirs),
            times(self.ours_to_theirs_per_cpu),
        ]
    }
}

impl Comparison {
    /// Takes the entries, of each load ours before all others.
    pub(super) fn new(mut entries: Vec<Entry>) -> Self {
        let mut ours: Option<Entry> = None;
        for entry in &mut entries {
            match &ours {
                Some(ours) if ours.load == entry.load => entry.compare(ours),
                _ => ours = Some(entry.clone()),
            }
        }
        Self {
            schema: SCHEMA,
            entries,
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.runs().all(|(_, run)| run.is_sound())
    }

    /// The table, and below it the whole report of each run that was not sound.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header([
            "load",
            "system",
            "flush",
            "msg/s",
            "p50 us",
            "p99 us",
            "CPU us/msg",
            "anonymous MB",
            "mapped MB",
            "ours/theirs",
            "per CPU s",
        ]);
        for entry in &self.entries {
            table.add_row(entry.cells());
        }
        for column in table.column_iter_mut().skip(WORDS) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut lines = vec![
            table.to_string(),
            "median (min–max) of the rounds; latencies of latency-* are from when a message was due to its receipt, and \
             ours/theirs compares their p50, elsewhere msg/s"
                .to_owned(),
        ];
        for (entry, run) in self.runs().filter(|(_, run)| !run.is_sound()) {
            lines.push(format!("not sound: {} on {}\n{}", entry.load, entry.system, run.text()));
        }
        lines.join("\n")
    }

    fn runs(&self) -> impl Iterator<Item = (&Entry, &Report)> {
        self.entries
            .iter()
            .flat_map(|entry| entry.runs.iter().map(move |run| (entry, run)))
    }
}

fn ratio(above: f64, below: f64) -> Option<f64> {
    (below > 0.0).then(|| above / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_with_the_least_and_the_most() {
        let of = |figures: &[f64]| Spread::of(figures.iter().copied());
        assert_eq!(of(&[3.0, 1.0, 2.0]).unwrap().text(0), "2 (1–3)");
        assert_eq!(of(&[4.0, 1.0]).unwrap().text(1), "2.5 (1.0–4.0)");
        assert_eq!(of(&[]), None);
    }
}
