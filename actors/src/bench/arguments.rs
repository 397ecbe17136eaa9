//! The flags of `cuemq bench`: which server, what load, how long, and what to say about it.
//!
//! Sends and pulls share the flags of [`LoadArguments`]. Whatever makes no load (no connections, no time) is refused
//! here, so that the rest need not think of it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use cuemq_net::frame::HeaderCodec;

use super::rocketmq_arguments::{ConsumerArguments, ProducerArguments};
use super::suite::SuiteArguments;

/// What `cuemq bench` is asked for.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Sends messages, as fast as the requests in flight allow or at a rate
    Send(SendArguments),
    /// Pulls messages that are stored already, round and round
    Pull(PullArguments),
    /// Sends at a rate and waits for the messages: how long each takes from when it was due to its receipt
    Latency(LatencyArguments),
    /// Sends like RocketMQ's benchmark producer, and prints its line
    Producer(ProducerArguments),
    /// Consumes like RocketMQ's benchmark consumer, and prints its line
    Consumer(ConsumerArguments),
    /// Measures two brokers or more in turn, three times each, and prints one table
    Suite(Box<SuiteArguments>),
    /// Measures what no broker can beat here: answers without storing anything, or the disk's fdatasync
    Floor(FloorArguments),
}

/// The server, the load and the report, which sends and pulls have in common.
#[derive(Clone, Debug, Args)]
pub(super) struct LoadArguments {
    /// The broker
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "namesrv")]
    pub(super) broker: Option<String>,
    /// A name server to ask for the broker
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "broker")]
    pub(super) namesrv: Option<String>,
    /// Connections
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) connections: u32,
    /// Who makes the requests of `send`, `pull` and `latency`
    #[arg(long, value_enum, default_value_t = Client::Raw)]
    pub(super) client: Client,
    /// How headers are written
    #[arg(long, value_enum, default_value_t = Header::Json)]
    pub(super) header: Header,
    /// Topics, named PREFIX-0, PREFIX-1, …
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) topics: u32,
    /// Queues of each topic
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) queues: u32,
    /// What the topics' names begin with
    #[arg(long, value_name = "PREFIX", default_value = "cuemq-bench")]
    pub(super) topic_prefix: String,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10.0, value_parser = some_seconds)]
    pub(super) seconds: f64,
    /// Seconds of the same load before, which are not measured
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub(super) warm_up: f64,
    /// Requests a second in all, however fast answers come; latencies then count from when a request was due
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(super) rate: Option<u64>,
    /// Threads that make the load
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) threads: u32,
    /// Pins the first of these threads to this core, the next to the next
    #[arg(long, value_name = "CORE")]
    pub(super) cpu: Option<usize>,
    /// The server's process, if it runs here: adds its CPU time and memory to the report
    #[arg(long)]
    pub(super) pid: Option<u32>,
    /// Prints the report as one line of JSON
    #[arg(long)]
    pub(super) json: bool,
    /// What the progress begins with.
    #[arg(skip)]
    pub(super) label: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct LatencyArguments {
    #[command(flatten)]
    pub(super) load: LoadArguments,
    /// Requests in flight on each connection at most
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) in_flight: u32,
    /// Bytes of a message's body
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=16_000_000))]
    pub(super) body: u32,
    /// Connections of the consumer at most; each polls as many queues as the others
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) consumers: u32,
}

#[derive(Clone, Debug, Args)]
pub(super) struct SendArguments {
    #[command(flatten)]
    pub(super) load: LoadArguments,
    /// Requests in flight on each connection
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) in_flight: u32,
    /// Bytes of a message's body
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    pub(super) body: u32,
    /// Whether an answer waits until the message is as safe as the broker makes it
    #[arg(long, value_name = "true|false", default_value_t = true, action = clap::ArgAction::Set)]
    pub(super) wait: bool,
    /// Gives every message this tag
    #[arg(long)]
    pub(super) tag: Option<String>,
    /// Gives every message a key of its own
    #[arg(long)]
    pub(super) keys: bool,
}

#[derive(Debug, Args)]
pub(super) struct PullArguments {
    #[command(flatten)]
    pub(super) load: LoadArguments,
    /// Requests in flight on each connection
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) in_flight: u32,
    /// Messages that one request asks for
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) max_messages: u32,
    /// Compares each body with its checksum, which costs time
    #[arg(long)]
    pub(super) verify: bool,
    /// With `--client ours`: by the listener of a push consumer of a new group, which reads each queue once
    #[arg(long)]
    pub(super) push: bool,
}

#[derive(Debug, Args)]
pub(super) struct FloorArguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,
    /// The port alone, on 127.0.0.1
    #[arg(long, conflicts_with = "listen")]
    pub(super) port: Option<u16>,
    /// Pins the thread to this core
    #[arg(long, value_name = "CORE")]
    pub(super) cpu: Option<usize>,
    /// Instead of serving, measures fdatasync after 4 KiB writes to a file in this directory
    #[arg(long, value_name = "DIR")]
    pub(super) fdatasync: Option<PathBuf>,
    /// Seconds that fdatasync is measured
    #[arg(long, default_value_t = 3.0, value_parser = some_seconds)]
    pub(super) seconds: f64,
    /// Prints what fdatasync costs as one line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What makes requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    /// Frames that are built once and patched, which cost least
    #[default]
    Raw,
    /// The client library, as an application has it
    Ours,
}

/// A header's encoding, by the name it has on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Header {
    Json,
    Binary,
}

impl Header {
    pub(super) fn codec(self) -> HeaderCodec {
        match self {
            Self::Json => HeaderCodec::Json,
            Self::Binary => HeaderCodec::Binary,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Binary => "binary",
        }
    }
}

impl LoadArguments {
    /// The names of the topics.
    pub(super) fn topic_names(&self) -> Vec<String> {
        (0..self.topics)
            .map(|number| format!("{}-{number}", self.topic_prefix))
            .collect()
    }
}

/// Reads a number of seconds between none and a day.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.0..=86_400.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("seconds are between 0 and 86400".to_owned())
    }
}

/// Reads a number of seconds in which something can be measured.
pub(super) fn some_seconds(text: &str) -> Result<f64, String> {
    match seconds(text)? {
        some if some >= 0.01 => Ok(some),
        _ => Err("at least 0.01 seconds are measured".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Result<Command, String> {
        let words = std::iter::once("bench").chain(line.split_ascii_whitespace());
        let program = Program::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(program.arguments.command)
    }

    #[test]
    fn the_flags_make_sense_together() {
        use clap::CommandFactory;
        Program::command().debug_assert();
    }

    #[test]
    fn a_send_needs_a_server_and_has_defaults_for_the_rest() {
        let Ok(Command::Send(send)) = parse("send --broker h:1 --header binary --wait false") else {
            panic!("not a send");
        };
        assert_eq!((send.in_flight, send.body, send.wait), (32, 1024, false));
        assert_eq!(
            (send.load.header, send.load.topic_names()),
            (Header::Binary, vec!["cuemq-bench-0".to_owned()])
        );
        assert!(parse("send").unwrap_err().contains("--broker"));
        assert!(parse("pull --broker h:1 --namesrv h:2").is_err());
    }

    #[test]
    fn numbers_that_make_no_load_are_refused() {
        for flag in [
            "--connections 0",
            "--seconds 0",
            "--seconds NaN",
            "--seconds -1",
            "--rate 0",
            "--topics 0",
            "--queues 0",
        ] {
            assert!(parse(&format!("send --broker h:1 {flag}")).is_err(), "{flag}");
        }
        assert!(parse("send --broker h:1 --warm-up 0").is_ok());
    }
}
