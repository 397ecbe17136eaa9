//! `cuemq bench suite`: the same loads on our broker and on others, in turn.
//!
//! Each load is measured on every system before it is measured on the first one again, so that what changes on the machine
//! meanwhile meets all of them; only one of them is under load at any time.
//!
//! | file | owns |
//! |---|---|
//! | `arguments` | the flags, and what a system is |
//! | `rows` | the loads |
//! | `topics` | the topics of one load on one system, which are deleted behind it |
//! | `catch_up` | a backlog that is read beside sends |
//! | `restart` | a broker that is stopped or killed and started again |
//! | `run` | what came of one load, whatever it was |
//! | `log` | our broker's log, in which stalls are looked up |
//! | `table`, `spread`, `goals` | the words at the end |

mod arguments;
mod catch_up;
mod goals;
mod log;
mod restart;
mod rows;
mod run;
mod spread;
mod table;
mod topics;

use std::process::{Child, ExitCode};

use anyhow::{Context, Result, anyhow};
use cuemq_storage::entropy::{Entropy, SeededEntropy};

use super::ask::{self, Caller};
pub(super) use arguments::SuiteArguments;
use arguments::{Role, System};
use rows::{Row, rows};
use run::Run;
use table::{Comparison, Entry};

/// A system, as long as the suite runs.
#[derive(Debug)]
pub(super) struct Subject {
    system: System,
    /// When it acknowledges.
    flush: String,
    /// The process, once the suite has started it again.
    child: Option<Child>,
    /// Whether what is to be there before a restart was written.
    is_filled: bool,
}

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
    let chosen = rows(&arguments.rows)?;
    let systems = arguments.systems().map_err(|error| anyhow!(error))?;
    let mut subjects: Vec<Subject> = systems.into_iter().map(Subject::new).collect::<Result<_>>()?;
    let run = SeededEntropy::from_system()?.next_u64();
    let fitting = |row: &Row| subjects.iter().filter(|subject| row.fits(&subject.system)).count();
    let all = chosen.iter().map(fitting).sum::<usize>() * arguments.rounds as usize;
    let (mut entries, mut left_out, mut failed, mut done) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for row in &chosen {
        let mut runs: Vec<Vec<Run>> = subjects.iter().map(|_| Vec::new()).collect();
        for round in 0..arguments.rounds {
            for (subject, runs) in subjects.iter_mut().zip(&mut runs) {
                if !row.fits(&subject.system) {
                    continue;
                }
                done += 1;
                let label = format!("{done}/{all} {} {} ", row.name, subject.system.name);
                let prefix = format!("cuemq-bench-{run:016X}-{round}-{}", row.name);
                match row.measure(arguments, subject, label.clone(), &prefix) {
                    Ok(run) => {
                        eprintln!("{label}{}", run.told());
                        runs.push(run);
                    }
                    // the others are worth as much without it
                    Err(error) => failed.push(format!("{} on {} failed: {error:#}", row.name, subject.system.name)),
                }
            }
        }
        if !subjects.iter().any(|subject| row.fits(&subject.system)) {
            left_out.push(format!("{} was not measured: {}", row.name, row.needs()));
        }
        for (subject, runs) in subjects.iter().zip(runs).filter(|(_, runs)| !runs.is_empty()) {
            entries.push(Entry::new(row, &subject.system, subject.flush.clone(), runs)?);
        }
    }
    left_out.extend(subjects.iter().filter_map(Subject::farewell));
    Ok(Comparison::new(entries, left_out, failed))
}

impl Subject {
    /// Asks it when it acknowledges.
    fn new(system: System) -> Result<Self> {
        let mut flush = system.flush.clone();
        if matches!(system.role, Role::Ours | Role::Other) {
            let address = ask::resolve(&system.broker)?;
            let server = Caller::connect(address)?.identity(address)?;
            flush = server.setting("flushDiskType").map(str::to_owned).or(flush);
        }
        let flush = flush.with_context(|| {
            let System { name, broker, .. } = &system;
            format!("{name} does not tell when it acknowledges: add it, as in {broker},flush=SYNC_FLUSH")
        })?;
        Ok(Self {
            system,
            flush,
            child: None,
            is_filled: false,
        })
    }

    /// What is to be known of it when all is over.
    fn farewell(&self) -> Option<String> {
        let child = self.child.as_ref()?;
        Some(format!(
            "{} was started again and runs as process {}",
            self.system.name,
            child.id()
        ))
    }
}
