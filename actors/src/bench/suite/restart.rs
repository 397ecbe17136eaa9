//! A broker that is stopped or killed and started again: the time from the start of its process to the first acknowledged
//! send.
//!
//! What its start does is measured whole: a client that reconnects as soon as the port answers, and sends until one send
//! is acknowledged. Any broker can be measured that a command starts in the foreground.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cuemq_net::code::ResponseCode;
use cuemq_storage::clock::{Clock, RealClock};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde::Serialize;

use super::super::arguments::SendArguments;
use super::super::ask::{self, Caller};
use super::super::loads;
use super::super::process::Process;
use super::super::send::{Message, Sends};
use super::Subject;

/// How long a broker may take to stop.
const STOP: Duration = Duration::from_secs(120);
/// How long it may take to come back.
const START: Duration = Duration::from_secs(600);
/// How long to wait before asking again a broker that is not there yet.
const AGAIN: Duration = Duration::from_millis(1);
/// Loads of which no message came in time, before nothing more is tried.
const IN_VAIN: u32 = 20;
const MEBIBYTE: u64 = 1024 * 1024;

/// How a broker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Ending {
    /// SIGTERM, and all the time that it wants.
    Clean,
    /// SIGKILL.
    Kill,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Restart {
    pub(super) ending: Ending,
    /// From the start of the process to the first acknowledged send.
    pub(super) seconds: f64,
    /// From the signal to the end of the process.
    pub(super) stop_seconds: f64,
    /// Times that a send was refused before.
    pub(super) refused: u64,
    /// The broker's memory right after.
    pub(super) anonymous_bytes: u64,
}

/// Writes what is to be there, ends the broker and starts it again. `sends` has the topic, which is there.
pub(super) fn measure_restart(
    subject: &mut Subject,
    sends: &SendArguments,
    ending: Ending,
    fill_mib: u64,
) -> Result<Restart> {
    fill(subject, sends, fill_mib)?;
    let clock = RealClock::new();
    let system = &mut subject.system;
    let pid = system.pid.context("pid=PID says which process is to be stopped")?;
    let stopped = clock.monotonic();
    end(pid, subject.child.take(), ending)?;
    let stop_seconds = clock.monotonic().saturating_sub(stopped).as_secs_f64();
    let command = system.start.as_ref().context("--start says how it is started")?;
    let began = clock.monotonic();
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec {command}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {command}"))?;
    let refused = match first_send(&clock, began, &mut child, sends) {
        Ok(refused) => refused,
        Err(error) => {
            // nobody would end it later, and a process that has ended by itself is what was wanted
            let _ = child.kill().and_then(|()| child.wait());
            return Err(error.context(command.clone()));
        }
    };
    let seconds = clock.monotonic().saturating_sub(began).as_secs_f64();
    system.pid = Some(child.id());
    subject.child = Some(child);
    let memory = Process::new(system.pid.unwrap_or_default()).memory()?;
    Ok(Restart {
        ending,
        seconds,
        stop_seconds,
        refused,
        anonymous_bytes: memory.anonymous_bytes,
    })
}

/// Sends until so much was written, the first time; later, as much as one short load does.
fn fill(subject: &mut Subject, sends: &SendArguments, fill_mib: u64) -> Result<()> {
    let wanted = if subject.is_filled { 0 } else { fill_mib * MEBIBYTE };
    let (mut written, mut in_vain) = (0, 0);
    loop {
        let sent = loads::send(sends)?.messages;
        in_vain = if sent == 0 { in_vain + 1 } else { 0 };
        ensure!(in_vain < IN_VAIN, "the broker took no messages");
        written += sent * u64::from(sends.body);
        if written >= wanted {
            subject.is_filled = true;
            return Ok(());
        }
    }
}

/// Ends a process and waits for it.
fn end(pid: u32, child: Option<Child>, ending: Ending) -> Result<()> {
    let process = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .context("no process id")?;
    let signal = match ending {
        Ending::Clean => Signal::TERM,
        Ending::Kill => Signal::KILL,
    };
    let handle = pidfd_open(process, PidfdFlags::empty()).with_context(|| format!("there is no process {pid}"))?;
    kill_process(process, signal).with_context(|| format!("cannot end process {pid}"))?;
    let limit = Timespec {
        tv_sec: i64::try_from(STOP.as_secs())?,
        tv_nsec: 0,
    };
    let ended = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit))?;
    ensure!(ended > 0, "process {pid} did not end within {} s", STOP.as_secs());
    if let Some(mut child) = child {
        child.wait()?;
    }
    Ok(())
}

/// Sends until one is acknowledged; how many were refused before.
fn first_send(clock: &RealClock, began: Duration, child: &mut Child, sends: &SendArguments) -> Result<u64> {
    let address = ask::broker(&sends.load)?;
    let message = Message {
        codec: sends.load.header.codec(),
        body_bytes: sends.body as usize,
        wait: true,
        tag: None,
        keys: false,
        stamped: false,
    };
    let mut one = Sends::new(&message, &sends.load.topic_names(), sends.load.queues, 1)?;
    let mut refused = 0;
    let mut caller: Option<Caller> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("it ended instead of serving: {status}");
        }
        if clock.monotonic().saturating_sub(began) > START {
            bail!("no send was acknowledged within {} s", START.as_secs());
        }
        if caller.is_none() {
            caller = Caller::connect(address).ok();
        }
        let answer = caller.as_mut().map(|caller| caller.send_one(&mut one));
        match answer {
            Some(Ok(ResponseCode::SUCCESS)) => return Ok(refused),
            Some(Ok(_)) => refused += 1,
            // the port answers before the broker does
            Some(Err(_)) => caller = None,
            None => {}
        }
        std::thread::sleep(AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ended_in_either_way_and_waited_for() {
        for ending in [Ending::Clean, Ending::Kill] {
            let child = Command::new("sleep").arg("600").spawn().unwrap();
            let pid = child.id();
            end(pid, Some(child), ending).unwrap();
            assert!(end(pid, None, ending).is_err(), "it is gone");
        }
    }
}
