//! `cuemq bench`: drives any broker that speaks RocketMQ's protocol, and says what it did and what it cost.
//!
//! | file | owns |
//! |---|---|
//! | `measure` | a run: the generator threads, the progress, the server's process |
//! | `engine` | one generator thread: connections, requests in flight, what is counted |
//! | `loads` | the loads, each from its flags to its report |
//! | `tools`, `rocketmq_line` | what RocketMQ's own benchmark tools do, and the lines that they print |
//! | `suite` | several brokers in turn, and one table; restarts, a backlog that is read beside sends |
//! | `send`, `pull`, `follow` | the requests and what their answers mean |
//! | `ours` | the same loads made by the client library |
//! | `consumer`, `stamp` | long polls beside an open loop, and the time that a message carries to them |
//! | `reader` | pulls that read a backlog once beside an open loop |
//! | `stalls` | times without any acknowledgement |
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
#[cfg(test)]
mod broker_tests;
mod consumer;
mod engine;
mod fdatasync;
mod floor;
mod follow;
mod loads;
mod measure;
mod ours;
mod pace;
mod pipe;
mod poll;
mod process;
mod pull;
mod reader;
mod report;
mod rocketmq_arguments;
mod rocketmq_line;
mod scan;
mod send;
mod slots;
mod stalls;
mod stamp;
mod suite;
mod tally;
mod template;
#[cfg(test)]
mod tests;
mod tools;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use cuemq_storage::clock::RealClock;
use cuemq_storage::disk::RealDisk;

pub use arguments::Arguments;
use arguments::{Command, FloorArguments};
use floor::Floor;
use measure::pin;
use report::Report;

/// Runs one of the benchmarks. The status is a failure when messages did not come through, a connection was lost or an
/// answer cannot be right; answers that refuse are counted, not judged.
///
/// # Errors
/// When the server or the directory cannot be used, with what to do about it.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.command {
        Command::Send(arguments) => tell(arguments.load.json, &loads::send(&arguments)?),
        Command::Pull(arguments) => tell(arguments.load.json, &loads::pull(&arguments)?),
        Command::Latency(arguments) => tell(arguments.load.json, &loads::latency(&arguments)?),
        Command::Producer(arguments) => {
            let report = tools::producer(&arguments, &mut io::stdout())?;
            tell(arguments.tool.json, &report)
        }
        Command::Consumer(arguments) => {
            let report = tools::consumer(&arguments, &mut io::stdout())?;
            tell(arguments.tool.json, &report)
        }
        Command::Suite(arguments) => suite::run(&arguments),
        Command::Floor(arguments) => floor(&arguments),
    }
}

/// Prints a report, and judges it.
fn tell(json: bool, report: &Report) -> Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string(report)?);
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
        let syncs = fdatasync::measure(&RealDisk, &RealClock::new(), directory, limit, fdatasync::PAGE)?;
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
