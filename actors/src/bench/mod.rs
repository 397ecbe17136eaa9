//! `cuemq bench`: drives any broker that speaks RocketMQ's protocol, and says what it did and what it cost.
//!
//! | file | owns |
//! |---|---|
//! | `measure` | a run: the generator threads, the progress, the server's process |
//! | `engine` | one generator thread: connections, requests in flight, what is counted |
//! | `send`, `pull` | the requests and what their answers mean |
//! | `template`, `scan`, `slots`, `pace` | frames that are patched, answers that are scanned, opaques, the timetable |
//! | `pipe`, `poll` | one socket, and waiting for many |
//! | `floor`, `fdatasync` | what no broker can beat on this machine |
//! | `tally`, `process`, `report` | counts, /proc, and the words at the end |
//!
//! It is a client program: it takes threads, sockets and time directly from the system, except for what is tested with
//! a clock that is moved by hand.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a client program is no part of the broker"
)]

mod arguments;
mod ask;
mod engine;
mod fdatasync;
mod floor;
mod measure;
mod pace;
mod pipe;
mod poll;
mod process;
mod pull;
mod report;
mod scan;
mod send;
mod slots;
mod tally;
mod template;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use cuemq_storage::clock::RealClock;
use cuemq_storage::disk::RealDisk;
use cuemq_storage::entropy::{Entropy, SeededEntropy};

pub use arguments::Arguments;
use arguments::{Command, FloorArguments, LoadArguments, PullArguments, SendArguments};
use ask::{Caller, Server};
use floor::Floor;
use measure::{Measured, measure, pin};
use pull::Pulls;
use report::{Load, Report};
use send::{Message, Sends};

/// Runs one of the benchmarks. The status is a failure when messages did not come through, a connection was lost or an
/// answer cannot be right; answers that refuse are counted, not judged.
///
/// # Errors
/// When the server or the directory cannot be used, with what to do about it.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.command {
        Command::Send(arguments) => send(&arguments),
        Command::Pull(arguments) => pull(&arguments),
        Command::Floor(arguments) => floor(&arguments),
    }
}

fn send(arguments: &SendArguments) -> Result<ExitCode> {
    let SendArguments { load, in_flight, .. } = arguments;
    let address = ask::broker(load)?;
    let mut caller = Caller::connect(address)?;
    let server = caller.identity(address)?;
    let message = Message {
        codec: load.header.codec(),
        body_bytes: arguments.body as usize,
        wait: arguments.wait,
        tag: arguments.tag.clone(),
        keys: arguments.keys,
    };
    let topics = load.topic_names();
    let run = SeededEntropy::from_system()?.next_u64();
    caller.make_topics(&message, &topics, load.queues, run)?;
    let measured = measure(load, *in_flight, address, |thread, _| {
        let number = thread as u64 + 1;
        let sends = Sends::new(&message, &topics, load.queues, run.wrapping_add(number))?;
        Ok(sends.starting_at(thread * topics.len() * load.queues as usize / load.threads as usize))
    })?;
    let mut detail = format!("bodies of {} bytes", arguments.body);
    if !arguments.wait {
        detail.push_str(" that need not be waited for");
    }
    if let Some(tag) = &arguments.tag {
        detail.push_str(&format!(", tag {tag}"));
    }
    if arguments.keys {
        detail.push_str(", a key each");
    }
    let load_made = Load::new("send", load, *in_flight, detail);
    tell(load, load_made, server, measured)
}

fn pull(arguments: &PullArguments) -> Result<ExitCode> {
    let PullArguments { load, in_flight, .. } = arguments;
    let address = ask::broker(load)?;
    let mut caller = Caller::connect(address)?;
    let server = caller.identity(address)?;
    let mut queues = Vec::new();
    for topic in load.topic_names() {
        queues.extend(caller.queues(&topic, load.queues)?);
    }
    queues.retain(|queue| queue.max > queue.min);
    ensure!(
        !queues.is_empty(),
        "no messages are stored in the topics {}-*: send some first by `cuemq bench send`",
        load.topic_prefix
    );
    let max_messages = arguments.max_messages;
    let measured = measure(load, *in_flight, address, |thread, readers| {
        let first = thread * queues.len() / load.threads as usize;
        Pulls::new(
            load.header.codec(),
            max_messages,
            &queues,
            readers,
            first,
            arguments.verify,
        )
    })?;
    let verified = if arguments.verify { ", checksums compared" } else { "" };
    let load_made = Load::new(
        "pull",
        load,
        *in_flight,
        format!("up to {max_messages} messages a pull{verified}"),
    );
    tell(load, load_made, server, measured)
}

fn tell(arguments: &LoadArguments, load: Load, server: Server, measured: Measured) -> Result<ExitCode> {
    let report = Report::new(load, arguments.pid, server, measured);
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", report.text());
    }
    Ok(if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[expect(
    clippy::print_stdout,
    reason = "the address, or the figures, are what the program is run for"
)]
fn floor(arguments: &FloorArguments) -> Result<ExitCode> {
    pin(arguments.cpu)?;
    if let Some(directory) = &arguments.fdatasync {
        let limit = Duration::from_secs_f64(arguments.seconds);
        let syncs = fdatasync::measure(&RealDisk, &RealClock::new(), directory, limit)?;
        if arguments.json {
            println!("{}", serde_json::to_string(&syncs)?);
        } else {
            let latency = syncs.latency_us;
            println!(
                "4 KiB written in place and fdatasync: {:.0}/s, p50 {:.0} us, p90 {:.0} us, p99 {:.0} us, max {:.0} us",
                syncs.per_second, latency.p50, latency.p90, latency.p99, latency.max
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut address = arguments.listen;
    if let Some(port) = arguments.port {
        address.set_port(port);
    }
    let mut floor = Floor::bind(address)?;
    println!("the floor listens on {}", floor.address());
    loop {
        floor.turn(None)?;
    }
}
