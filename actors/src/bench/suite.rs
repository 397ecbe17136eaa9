//! `cuemq bench suite`: the same loads on our broker and on others, in turn.
//!
//! Each load is measured on every system before it is measured on the first one again, so that what changes on the machine
//! meanwhile meets all of them; only one of them is under load at any time.

use std::process::ExitCode;

use anyhow::{Context, Result};
use cuemq_storage::entropy::{Entropy, SeededEntropy};

use super::report::Report;
use super::suite_arguments::{SuiteArguments, System};
use super::suite_rows::{Row, rows};
use super::suite_table::{Comparison, Entry};

/// Measures and prints. The status is a failure when a run was not sound.
pub(super) fn run(arguments: &SuiteArguments) -> Result<ExitCode> {
    let comparison = measure(arguments)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&comparison)?);
    } else {
        println!("{}", comparison.text());
    }
    Ok(if comparison.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Measures all loads on all systems, ours first.
pub(super) fn measure(arguments: &SuiteArguments) -> Result<Comparison> {
    let rows = rows(&arguments.rows)?;
    let systems: Vec<&System> = std::iter::once(&arguments.ours).chain(&arguments.against).collect();
    let run = SeededEntropy::from_system()?.next_u64();
    let mut entries = Vec::new();
    let all = rows.len() * systems.len() * arguments.rounds as usize;
    let mut done = 0;
    for row in &rows {
        let mut runs: Vec<Vec<Report>> = vec![Vec::new(); systems.len()];
        for round in 0..arguments.rounds {
            for (system, runs) in systems.iter().zip(&mut runs) {
                done += 1;
                let label = format!("{done}/{all} {} {} ", row.name, system.name);
                let prefix = format!("cuemq-bench-{run:016X}-{round}");
                let report = row.measure(arguments, system, label, &prefix);
                runs.push(report.with_context(|| format!("load {} on {}", row.name, system.name))?);
            }
        }
        for (system, runs) in systems.iter().zip(runs) {
            entries.push(entry(row, system, runs)?);
        }
    }
    Ok(Comparison::new(entries))
}

fn entry(row: &Row, system: &System, runs: Vec<Report>) -> Result<Entry> {
    let told = runs.first().and_then(|run| run.server.setting("flushDiskType"));
    let flush = told.map(str::to_owned).or_else(|| system.flush.clone());
    let flush = flush.with_context(|| {
        let System { name, broker, .. } = system;
        format!("{name} does not tell when it acknowledges: add it, as in {broker},flush=SYNC_FLUSH")
    })?;
    Ok(Entry::new(row, &system.name, flush, runs))
}
