//! The flags of `cuemq bench suite`: the systems to compare, and for how long.

use std::str::FromStr;

use clap::Args;
use serde::Serialize;

use super::arguments::{seconds, some_seconds};

#[derive(Debug, Args)]
pub(super) struct SuiteArguments {
    /// Our broker, its process if it runs here, and when it acknowledges if it does not tell
    #[arg(long, value_name = "HOST:PORT[,pid=PID][,flush=MODE]", value_parser = ours)]
    pub(super) ours: System,
    /// Another broker with a name for it; may be given more than once
    #[arg(long, value_name = "NAME=HOST:PORT[,pid=PID][,flush=MODE]", required = true)]
    pub(super) against: Vec<System>,
    /// Seconds that each load is measured, on each system and in each round
    #[arg(long, default_value_t = 10.0, value_parser = some_seconds)]
    pub(super) seconds: f64,
    /// Seconds of the same load before, which are not measured
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub(super) warm_up: f64,
    /// How often each load is measured on each system
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) rounds: u32,
    /// The loads by name, all unless some are given
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(super) rows: Vec<String>,
    /// Pins the thread that makes the load to this core
    #[arg(long, value_name = "CORE")]
    pub(super) cpu: Option<usize>,
    /// Prints all figures as one line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// A broker that is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct System {
    pub(super) name: String,
    pub(super) broker: String,
    pub(super) pid: Option<u32>,
    /// When it acknowledges, for a broker that does not tell.
    pub(super) flush: Option<String>,
}

impl FromStr for System {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty() && !name.contains([',', ':']))
            .ok_or("begins with a name and =, as in java=127.0.0.1:10911")?;
        let mut parts = rest.split(',');
        let broker = parts.next().filter(|broker| broker.contains(':'));
        let mut system = Self {
            name: name.to_owned(),
            broker: broker.ok_or("names no HOST:PORT")?.to_owned(),
            pid: None,
            flush: None,
        };
        for part in parts {
            match part.split_once('=') {
                Some(("pid", pid)) => system.pid = Some(pid.parse().map_err(|_| format!("{pid} is no process id"))?),
                Some(("flush", mode)) if !mode.is_empty() => system.flush = Some(mode.to_owned()),
                _ => return Err(format!("{part} is neither pid=PID nor flush=MODE")),
            }
        }
        Ok(system)
    }
}

fn ours(text: &str) -> Result<System, String> {
    format!("ours={text}").parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_a_name_an_address_and_what_it_does_not_tell() {
        let java: System = "java=h:1,pid=7,flush=ASYNC_FLUSH".parse().unwrap();
        let expected = System {
            name: "java".to_owned(),
            broker: "h:1".to_owned(),
            pid: Some(7),
            flush: Some("ASYNC_FLUSH".to_owned()),
        };
        assert_eq!(java, expected);
        assert_eq!(ours("h:1,pid=9").unwrap().pid, Some(9));
        for wrong in [
            "h:1",
            "=h:1",
            "java=h",
            "java=h:1,pid=x",
            "java=h:1,fast",
            "java=h:1,flush=",
        ] {
            assert!(wrong.parse::<System>().is_err(), "{wrong}");
        }
    }
}
