//! Where logs go: standard error, or a file that is begun anew every day or hour, or at a length, for people or for machines.
//!
//! Whoever logs hands its line over and goes on: a thread writes, from a queue with an end. What finds no room there, as
//! while the disk or whoever reads hangs, is left out and counted (`cuemq_log_lines_lost_total`). The rotation by time is
//! `tracing-appender`'s, that by length `tracing-rolling-file`'s.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_rolling_file::{RollingConditionBase, RollingFileAppenderBase};
use tracing_subscriber::EnvFilter;

use crate::config::ByteSize;
use crate::metrics::LOST_LINES;

/// Lines that wait to be written at most.
const LINES_MAX: usize = 16_384;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// A line for people.
    Text,
    /// A JSON object on each line.
    Json,
}

/// When a log file is begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogRotation {
    /// At midnight, UTC.
    Daily,
    /// With each hour.
    Hourly,
    /// Never.
    Never,
}

/// The flags about logs.
#[derive(Clone, Debug, Args)]
pub struct LogArguments {
    /// How logs are written: `text` for people, `json` for machines. RUST_LOG chooses what is written.
    #[arg(long = "log", value_enum, default_value_t = LogForm::Text, global = true)]
    form: LogForm,
    /// Writes logs to FILE.DATE instead of standard error; FILE itself is a link to the newest. With --log-size to FILE
    #[arg(long = "log-file", value_name = "FILE", global = true)]
    file: Option<PathBuf>,
    /// When the log file is begun anew
    #[arg(long = "log-rotate", value_enum, default_value_t = LogRotation::Daily, global = true)]
    rotation: LogRotation,
    /// Begins the log file anew when it has this length, such as 100 MiB; what was before is in FILE.1, then FILE.2, …
    #[arg(long = "log-size", value_name = "SIZE", conflicts_with = "rotation", global = true)]
    size: Option<ByteSize>,
    /// How many log files are kept, with --log-size 2 at least
    #[arg(long = "log-keep", value_name = "N", default_value_t = 14, global = true)]
    keep: u16,
}

/// Whether the log file is to be opened again before the next line.
static REOPEN: AtomicBool = AtomicBool::new(false);

/// A log file that is opened again when somebody wants it: who moved it away, or removed it, finds a new one in its place.
struct Reopened {
    file: Box<dyn Write + Send>,
    arguments: LogArguments,
}

impl Write for Reopened {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if REOPEN.swap(false, Ordering::Relaxed) {
            // One that cannot be opened now is written on as it was.
            if let Ok(file) = self.arguments.open() {
                self.file = file;
            }
        }
        self.file.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Has the log file opened again, with the next line.
pub(super) fn reopen() {
    REOPEN.store(true, Ordering::Relaxed);
}

/// Ends the writing thread when it is dropped, behind the last line.
static WRITER: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Starts logging; RUST_LOG is respected, `info` without it.
///
/// # Errors
/// When the log file cannot be made.
pub(super) fn start(arguments: &LogArguments) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = arguments.file.is_none() && io::stderr().is_terminal();
    let writer: Box<dyn Write + Send> = match &arguments.file {
        Some(_) => Box::new(Reopened {
            file: arguments.open()?,
            arguments: arguments.clone(),
        }),
        None => Box::new(io::stderr()),
    };
    let lines = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_MAX)
        .thread_name("cuemq-logs");
    let (writer, guard) = lines.finish(writer);
    let lost = writer.error_counter();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A second start, as in a test that runs the command line twice, keeps the first one.
    let started = match arguments.form {
        LogForm::Text => builder.with_target(false).with_ansi(is_terminal).try_init(),
        LogForm::Json => builder.json().try_init(),
    };
    if started.is_ok() {
        let _ = LOST_LINES.set(Box::new(move || lost.dropped_lines() as u64));
        *WRITER.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    }
    Ok(())
}

/// Brings out what was logged; nothing is logged after it.
pub(super) fn finish() {
    drop(WRITER.lock().unwrap_or_else(PoisonError::into_inner).take());
}

impl LogArguments {
    fn open(&self) -> anyhow::Result<Box<dyn Write + Send>> {
        let path = self.file.clone().unwrap_or_default();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.context("--log-file names no file; write a path that ends with the name of a file")?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.map_or_else(|| PathBuf::from("."), PathBuf::from);
        let cannot = || format!("the log file {} cannot be made", path.display());
        if let Some(ByteSize(bytes)) = self.size {
            let condition = RollingConditionBase::new().max_size(bytes.max(1));
            let before = usize::from(self.keep.saturating_sub(1).max(1));
            let opened = RollingFileAppenderBase::new(directory.join(name), condition, before);
            return Ok(Box::new(opened.with_context(cannot)?));
        }
        let rotation = match self.rotation {
            LogRotation::Daily => Rotation::DAILY,
            LogRotation::Hourly => Rotation::HOURLY,
            LogRotation::Never => Rotation::NEVER,
        };
        let builder = RollingFileAppender::builder()
            .filename_prefix(name)
            .max_log_files(self.keep.max(1).into());
        let rotates = self.rotation != LogRotation::Never;
        // A file that never changes has the name itself.
        let builder = if rotates { builder.latest_symlink(name) } else { builder };
        let opened = builder.rotation(rotation).build(&directory);
        Ok(Box::new(opened.with_context(cannot)?))
    }
}
