//! The flags of `cuemq bench suite`: the systems to compare, and for how long.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use serde::Serialize;

use super::super::arguments::{seconds, some_seconds};

#[derive(Debug, Args)]
pub(in super::super) struct SuiteArguments {
    /// Our broker; its process if it runs here, its name server, when it acknowledges if it does not tell, and our log
    #[arg(long, value_name = "HOST:PORT[,pid=PID][,namesrv=HOST:PORT][,flush=MODE][,log=FILE]", value_parser = ours)]
    pub(super) ours: System,
    /// Another broker with a name for it, which is ours as well if the name begins with ours; may be given more than once
    #[arg(long, value_name = "NAME=HOST:PORT[,…]")]
    pub(super) against: Vec<System>,
    /// A running `cuemq bench floor`, which no broker can beat
    #[arg(long, value_name = "HOST:PORT[,pid=PID]", value_parser = floor)]
    pub(super) floor: Option<System>,
    /// A directory on the brokers' disk, whose fdatasync is measured
    #[arg(long, value_name = "DIR")]
    pub(super) disk: Option<PathBuf>,
    /// How a system is started again, in the foreground, for the restart-* loads; may be given more than once
    #[arg(long, value_name = "NAME=COMMAND", value_parser = start)]
    pub(super) start: Vec<(String, String)>,
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
    /// The backlog that catch-up reads, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub(super) backlog_mib: u64,
    /// What is written before the first of the restarts, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(0..=1_048_576))]
    pub(super) restart_mib: u64,
    /// What steady sends, in 10^6 bytes of bodies a second
    #[arg(long, value_name = "MB", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) steady_mb: u64,
    /// Seconds that steady is measured, if not as long as the others
    #[arg(long, value_name = "SECONDS", value_parser = some_seconds)]
    pub(super) steady_seconds: Option<f64>,
    /// Pins the thread that makes the load to this core
    #[arg(long, value_name = "CORE")]
    pub(super) cpu: Option<usize>,
    /// Prints all figures as one line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What a system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Role {
    Ours,
    Other,
    /// Answers without storing anything.
    Floor,
    /// A directory, no server.
    Disk,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct System {
    pub(super) name: String,
    pub(super) role: Role,
    /// The address, or the directory.
    pub(super) broker: String,
    pub(super) pid: Option<u32>,
    /// The name server that forgets the topics as well.
    pub(super) namesrv: Option<String>,
    /// Our broker's log, in which stalls are looked up.
    pub(super) log: Option<PathBuf>,
    /// How it is started again.
    pub(super) start: Option<String>,
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
        let role = if name.starts_with(OURS) {
            Role::Ours
        } else {
            Role::Other
        };
        let mut system = Self {
            name: name.to_owned(),
            role,
            broker: broker.ok_or("names no HOST:PORT")?.to_owned(),
            pid: None,
            namesrv: None,
            log: None,
            start: None,
            flush: None,
        };
        for part in parts {
            match part.split_once('=') {
                Some(("pid", pid)) => system.pid = Some(pid.parse().map_err(|_| format!("{pid} is no process id"))?),
                Some(("flush", mode)) if !mode.is_empty() => system.flush = Some(mode.to_owned()),
                Some(("namesrv", address)) if address.contains(':') => system.namesrv = Some(address.to_owned()),
                Some(("log", file)) if !file.is_empty() => system.log = Some(file.into()),
                _ => {
                    return Err(format!(
                        "{part} is none of pid=PID, flush=MODE, namesrv=HOST:PORT, log=FILE"
                    ));
                }
            }
        }
        Ok(system)
    }
}

impl SuiteArguments {
    /// All systems in the order in which they take turns.
    pub(super) fn systems(&self) -> Result<Vec<System>, String> {
        let disk = self.disk.as_ref().map(|directory| System {
            name: "disk".to_owned(),
            role: Role::Disk,
            broker: directory.display().to_string(),
            pid: None,
            namesrv: None,
            log: None,
            start: None,
            flush: Some("fdatasync".to_owned()),
        });
        let others = self.against.iter().chain(&self.floor).chain(&disk);
        let mut systems: Vec<System> = std::iter::once(&self.ours).chain(others).cloned().collect();
        for (name, command) in &self.start {
            let system = systems.iter_mut().find(|system| system.name == *name);
            let system = system.ok_or_else(|| format!("--start {name}=…: there is no system {name}"))?;
            if system.pid.is_none() {
                return Err(format!(
                    "--start {name}=…: say with pid=PID which process is to be stopped"
                ));
            }
            system.start = Some(command.clone());
        }
        Ok(systems)
    }
}

/// What the names of our own brokers begin with.
const OURS: &str = "ours";

fn ours(text: &str) -> Result<System, String> {
    format!("{OURS}={text}").parse()
}

fn floor(text: &str) -> Result<System, String> {
    let mut system: System = format!("floor={text}").parse()?;
    system.role = Role::Floor;
    system.flush = Some("none".to_owned());
    Ok(system)
}

fn start(text: &str) -> Result<(String, String), String> {
    let (name, command) = text
        .split_once('=')
        .filter(|(name, command)| !name.is_empty() && !command.trim().is_empty())
        .ok_or("is a system's name, = and a command, as in ours=cuemq server")?;
    Ok((name.to_owned(), command.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_a_name_an_address_and_what_it_does_not_tell() {
        let java: System = "java=h:1,pid=7,flush=ASYNC_FLUSH,namesrv=h:2".parse().unwrap();
        let expected = System {
            name: "java".to_owned(),
            role: Role::Other,
            broker: "h:1".to_owned(),
            pid: Some(7),
            namesrv: Some("h:2".to_owned()),
            log: None,
            start: None,
            flush: Some("ASYNC_FLUSH".to_owned()),
        };
        assert_eq!(java, expected);
        let ours = ours("h:1,pid=9").unwrap();
        assert_eq!((ours.pid, ours.role), (Some(9), Role::Ours));
        assert_eq!("ours-sync=h:1".parse::<System>().unwrap().role, Role::Ours);
        let command = start("java=sh -c 'a=b,c'").unwrap();
        assert_eq!(command, ("java".to_owned(), "sh -c 'a=b,c'".to_owned()));
        assert!(start("java=").is_err());
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
