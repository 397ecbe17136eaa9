//! Our broker's log, in which stalls are looked up: which of them a slow write or a slow sync of the commit log explains.
//!
//! The broker says so in lines that begin with the time of their end and have `took_ms`, when it took longer than
//! `log.slow_flush` says; that is 500 ms unless it is set, and has to be as short as the stalls that are looked for.
//! What is not logged as text (`--log json`) is not understood.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::super::stalls::Stall;

/// What lines say that are about the disk.
const DISK: [&str; 2] = ["a slow flush", "a slow write"];
/// The part of a stall that slow operations have to cover to explain it.
const COVERED: f64 = 0.8;

/// One operation of the disk, in ms since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slow {
    began: f64,
    ended: f64,
}

/// A stall with what the log says of its time.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Explained {
    /// Its beginning as a time of day.
    pub(super) began: String,
    pub(super) ms: f64,
    /// The part of it in which the log has a slow operation of the disk; `None` without a log.
    pub(super) disk: Option<f64>,
}

impl Explained {
    /// Looks a stall up.
    pub(super) fn new(stall: &Stall, log: Option<&[Slow]>) -> Self {
        let began = i64::try_from(stall.began_unix_ms).ok();
        let began = began.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        Self {
            began: began.map_or_else(String::new, |time| time.to_string()),
            ms: stall.ms,
            disk: log.map(|log| covered(stall, log)),
        }
    }

    /// Whether the disk explains it; `None` without a log.
    pub(super) fn is_matched(&self) -> Option<bool> {
        self.disk.map(|part| part >= COVERED)
    }

    pub(super) fn text(&self) -> String {
        let Self { began, ms, disk } = self;
        let disk = match disk {
            Some(part) => format!(", {:.0} % of it in logged writes and syncs of the disk", part * 100.0),
            None => String::new(),
        };
        format!("{ms:.0} ms at {began}{disk}")
    }
}

/// The slow operations of a log.
pub(super) fn read(path: &Path) -> Result<Vec<Slow>> {
    let file = File::open(path).with_context(|| format!("cannot read the log {}", path.display()))?;
    let mut found = Vec::new();
    for line in BufReader::new(file).lines() {
        found.extend(slow(
            &line.with_context(|| format!("cannot read the log {}", path.display()))?,
        ));
    }
    Ok(found)
}

fn slow(line: &str) -> Option<Slow> {
    if !DISK.iter().any(|words| line.contains(words)) {
        return None;
    }
    let ended: Timestamp = line.split_ascii_whitespace().next()?.parse().ok()?;
    let (_, took) = line.split_once("took_ms=")?;
    let took: f64 = took.split_ascii_whitespace().next()?.parse().ok()?;
    let ended = ended.as_microsecond() as f64 / 1000.0;
    // whole ms are written, rounded down
    Some(Slow {
        began: ended - took - 1.0,
        ended,
    })
}

/// The part of a stall in which some of the operations ran.
fn covered(stall: &Stall, log: &[Slow]) -> f64 {
    let from = stall.began_unix_ms as f64;
    let until = from + stall.ms;
    let mut within: Vec<_> = log
        .iter()
        .map(|slow| (slow.began.max(from), slow.ended.min(until)))
        .filter(|(began, ended)| began < ended)
        .collect();
    within.sort_by(|first, second| first.0.total_cmp(&second.0));
    let (mut sum, mut seen) = (0.0, from);
    for (began, ended) in within {
        sum += (ended - began.max(seen)).max(0.0);
        seen = seen.max(ended);
    }
    sum / stall.ms.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "2026-01-02T03:04:05.600000Z  WARN a slow flush: the disk took this long to sync the commit log \
                        took_ms=200 files=1 upto=4096 left_out=0";

    fn stall(began_unix_ms: u64, ms: f64) -> Stall {
        Stall { began_unix_ms, ms }
    }

    #[test]
    fn a_stall_is_explained_by_a_slow_operation_of_its_length_at_its_time() {
        let log = [slow(LINE).unwrap(), slow(LINE).unwrap()];
        let end = log[0].ended as u64;
        let explained = |began, ms| Explained::new(&stall(began, ms), Some(&log));
        let within = explained(end - 210, 210.0);
        assert_eq!(within.is_matched(), Some(true), "{}", within.text());
        assert!(
            within.text().starts_with("210 ms at 2026-01-02T03:04:05.39Z, 9"),
            "{}",
            within.text()
        );
        assert_eq!(
            explained(end - 600, 600.0).is_matched(),
            Some(false),
            "it stood longer than that"
        );
        assert_eq!(explained(end + 1, 210.0).is_matched(), Some(false), "that was before");
        assert_eq!(Explained::new(&stall(end, 60.0), None).is_matched(), None);
    }

    #[test]
    fn other_lines_say_nothing_of_the_disk() {
        assert_eq!(slow(&LINE.replace("a slow flush", "a slow send")), None);
        assert_eq!(slow("a slow flush took_ms=x"), None);
    }
}
