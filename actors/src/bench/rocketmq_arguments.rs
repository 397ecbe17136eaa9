//! The flags of `cuemq bench producer` and `consumer`: those of RocketMQ's own benchmark tools, short and long, with their
//! defaults (Java `org.apache.rocketmq.example.benchmark.Producer` and `Consumer`), and a few of ours.

use clap::Args;

use super::arguments::{Client, Header, LoadArguments, seconds, some_seconds};

/// What both tools have.
#[derive(Clone, Debug, Args)]
pub(super) struct ToolArguments {
    /// The name server
    #[arg(
        short = 'n',
        long = "namesrvAddr",
        alias = "namesrv",
        value_name = "HOST:PORT",
        env = "NAMESRV_ADDR"
    )]
    namesrv: String,
    /// The topic
    #[arg(short = 't', long = "topic", default_value = "BenchmarkTest")]
    pub(super) topic: String,
    /// Seconds until it ends and prints the table; RocketMQ's tools run until they are stopped
    #[arg(long, default_value_t = 60.0, value_parser = some_seconds)]
    seconds: f64,
    /// Seconds from one line to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    pub(super) every: f64,
    /// How headers are written
    #[arg(long, value_enum, default_value_t = Header::Json)]
    header: Header,
    /// The broker's process, if it runs here: adds its CPU time and memory to the table
    #[arg(long)]
    pid: Option<u32>,
    /// Prints the report at the end as one line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ProducerArguments {
    #[command(flatten)]
    pub(super) tool: ToolArguments,
    /// Requests in flight, which in RocketMQ's tool are threads on one connection
    #[arg(short = 'w', long = "threadCount", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) in_flight: u32,
    /// Bytes of a message's body
    #[arg(short = 's', long = "messageSize", value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    pub(super) body: u32,
    /// Gives every message a key
    #[arg(short = 'k', long = "keyEnable", value_name = "true|false", default_value_t = false, action = clap::ArgAction::Set)]
    pub(super) keys: bool,
}

#[derive(Debug, Args)]
pub(super) struct ConsumerArguments {
    #[command(flatten)]
    pub(super) tool: ToolArguments,
    /// The consuming group
    #[arg(short = 'g', long = "group", default_value = "benchmark_consumer")]
    pub(super) group: String,
    /// Connections at most; each polls as many queues as the others
    #[arg(short = 'w', long = "threadCount", value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) connections: u32,
}

impl ToolArguments {
    /// The same in our own terms; the connections and queues are not known yet.
    pub(super) fn load(&self) -> LoadArguments {
        LoadArguments {
            broker: None,
            namesrv: Some(self.namesrv.clone()),
            connections: 1,
            client: Client::Raw,
            header: self.header,
            topics: 1,
            queues: 1,
            topic_prefix: self.topic.clone(),
            seconds: self.seconds,
            warm_up: 0.0,
            rate: None,
            threads: 1,
            cpu: None,
            pid: self.pid,
            json: self.json,
            label: None,
        }
    }
}
