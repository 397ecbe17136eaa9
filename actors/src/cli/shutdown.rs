//! `cuemq shutdown broker|namesrv`, called `mqshutdown` as well: stops what runs on a data directory, and waits until it has
//! ended.
//!
//! RocketMQ's script looks for a Java class among all processes. Here the kernel is asked who holds the lock of the data
//! directory: `<data>/lock`, or `<data>/namesrv/lock`. There is no note of a process id that could be out of date, and the
//! process is held by a descriptor before it is looked at again and signalled, so that no other one can be meant.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, Pid, PidfdFlags, Signal, fcntl_getlk, pidfd_open, pidfd_send_signal};

use crate::config::file;

/// How long it may take to end: longer than a broker gives its clients and its disk.
const LONGEST_END: Timespec = Timespec { tv_sec: 90, tv_nsec: 0 };

/// What is to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Service {
    /// The broker, and the name server that runs in its process.
    Broker,
    /// The name server, and the broker that runs in its process.
    Namesrv,
}

/// The arguments.
#[derive(Debug, Args)]
pub struct ShutdownArguments {
    /// What is to be stopped; of `cuemq server` either one stands for both
    service: Service,
    /// Its data directory [default: ./cuemq-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Its settings file, which may name the data directory
    #[arg(short = 'c', long = "config", alias = "configFile", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The file that a name server keeps locked while it runs.
pub(super) fn name_server_lock(data: &Path) -> PathBuf {
    data.join("namesrv").join("lock")
}

/// Stops it.
///
/// # Errors
/// When none runs, or it does not end.
pub(super) fn run(arguments: &ShutdownArguments) -> Result<ExitCode> {
    let flags = file::Flags {
        file: arguments.config.clone(),
        data: arguments.data.clone(),
        ..file::Flags::default()
    };
    let is_name_server = arguments.service == Service::Namesrv;
    let data = file::Settings::gather(&flags, is_name_server)?.into_config().data;
    let (name, lock) = match arguments.service {
        Service::Broker => ("broker", data.join("lock")),
        Service::Namesrv => ("name server", name_server_lock(&data)),
    };
    let none = || {
        let data = data.display();
        format!("no {name} runs on {data}: name its data directory with --data, or its settings file with -c")
    };
    let process = holder(&lock)?.with_context(none)?;
    let descriptor = pidfd_open(process, PidfdFlags::empty());
    let descriptor = descriptor.with_context(|| format!("the {name} ({process}) cannot be reached"))?;
    // Between the two questions the number may have become another process's.
    if holder(&lock)? != Some(process) {
        bail!(none());
    }
    pidfd_send_signal(&descriptor, Signal::TERM).with_context(|| {
        format!("the {name} ({process}) cannot be told to stop: be the user who started it, or root")
    })?;
    println!("The {name} on {} (process {process}) is told to stop.", data.display());
    let mut ends = [PollFd::new(&descriptor, PollFlags::IN)];
    if poll(&mut ends, Some(&LONGEST_END)).context("its end cannot be waited for")? == 0 {
        let seconds = LONGEST_END.tv_sec;
        bail!(
            "the {name} (process {process}) has not ended within {seconds} s: its log says what it waits for; \
             `kill -KILL {process}` ends it at once, and its store recovers"
        );
    }
    println!("It has ended.");
    Ok(ExitCode::SUCCESS)
}

/// Who holds the lock on a file.
fn holder(lock: &Path) -> Result<Option<Pid>> {
    let cannot = || format!("{} cannot be looked at", lock.display());
    let file = match open(lock, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        opened => opened.with_context(cannot)?,
    };
    let Some(held) = fcntl_getlk(&file, &Flock::from(FlockType::ReadLock)).with_context(cannot)? else {
        return Ok(None);
    };
    // The kernel has no number for one that cannot be seen from here.
    let seen = held.pid.with_context(|| {
        format!(
            "{} is held by a process of another container or machine: stop it there",
            lock.display()
        )
    });
    seen.map(Some)
}
