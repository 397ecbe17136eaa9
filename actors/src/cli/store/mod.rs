//! `cuemq store check|dump|backup`: looks into a store directory, ours or RocketMQ's. What is read and what it means is
//! `cuemq_storage::recovery::inspect`; here are flags, and what people and programs are told.

mod backup;
mod check;
mod dump;
mod progress;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use cuemq_storage::disk::{Disk, RealDisk};
use cuemq_storage::index::Layout;
use cuemq_storage::recovery::StoreLayout;
use cuemq_storage::recovery::inspect::Store;
use serde_json::Value;

pub use backup::BackupArguments;
pub use check::CheckArguments;
pub use dump::DumpArguments;

/// What is to be done with a store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Tells what is in a store, and what is damaged and where.
    Check(CheckArguments),
    /// Shows the records of a store, one on each line.
    Dump(DumpArguments),
    /// Makes a consistent copy of a store, also while a broker uses it.
    Backup(BackupArguments),
}

/// Which store, and what its files do not say themselves.
#[derive(Clone, Debug, Args)]
pub struct StoreArguments {
    /// The store: the directory that holds commitlog/ (--data, storePathRootDir)
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The commit log's directory, where it is not DIR/commitlog (store.commit_log, storePathCommitLog)
    #[arg(long, value_name = "DIR")]
    commit_log: Option<PathBuf>,
    /// How many slots an index file has (maxHashSlotNum)
    #[arg(long, value_name = "N", default_value_t = 5_000_000)]
    index_slots: u32,
    /// How many entries an index file has (maxIndexNum)
    #[arg(long, value_name = "N", default_value_t = 20_000_000)]
    index_entries: u32,
}

impl StoreArguments {
    fn look_at(&self) -> Result<Store> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        if !self.dir.is_dir() {
            bail!(
                "{} is no directory; give the one that holds commitlog/",
                self.dir.display()
            );
        }
        let mut layout = StoreLayout::at(&self.dir);
        if let Some(commit_log) = &self.commit_log {
            layout.commit_log.clone_from(commit_log);
        }
        let sizes = Layout::new(self.index_slots, self.index_entries);
        let sizes = sizes
            .context("no index file can have so many slots and entries; give the numbers of the broker's settings")?;
        layout.index = Some(sizes);
        Ok(Store::look_at(&disk, layout)?)
    }
}

/// Does what the command says.
///
/// # Errors
/// When the store cannot be read, or its copy not be written.
pub(super) fn run(command: StoreCommand) -> Result<ExitCode> {
    match command {
        StoreCommand::Check(arguments) => check::run(&arguments),
        StoreCommand::Dump(arguments) => dump::run(&arguments),
        StoreCommand::Backup(arguments) => backup::run(&arguments),
    }
}

/// Prints a line; whether anybody still reads.
fn say(line: &str) -> Result<bool> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("the output cannot be written"),
    }
}

/// A time as people read it.
fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// Something as a JSON object on a line.
fn say_json(value: &Value) -> Result<bool> {
    say(&value.to_string())
}
