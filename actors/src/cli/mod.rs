//! The command line.

mod complaint;
mod logs;
mod serve;
mod signals;
mod store;
mod tls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench;

pub use logs::{LogArguments, LogForm, LogRotation};
pub use serve::ServeArguments;
pub use store::{BackupArguments, CheckArguments, DumpArguments, StoreArguments, StoreCommand};
pub use tls::{InitArguments, TlsCommand};

/// What a wrong flag, file, port or directory ends with.
const WRONG: u8 = 2;

/// A message broker that speaks RocketMQ: name server and broker in one program.
#[derive(Debug, Parser)]
#[command(name = "cuemq", version, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    logs: LogArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a name server and a broker: all that an application needs.
    Server(ServeArguments),
    /// Runs a name server alone.
    Namesrv(ServeArguments),
    /// Runs a broker that registers with the name servers given by -n.
    Broker(ServeArguments),
    /// Drives a broker with a load and measures it; any broker that speaks RocketMQ.
    Bench(bench::Arguments),
    /// Looks into a store directory, ours or RocketMQ's, without a broker: checks it, shows its records, copies it.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Makes what TLS needs.
    #[command(subcommand)]
    Tls(TlsCommand),
}

/// Does what the command line of this process says; the exit status of the program.
#[must_use]
pub fn run() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli.run(),
        Err(error) => complaint::about_command_line(&error),
    }
}

impl Cli {
    /// Does what the command line says; the exit status of the program.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let logs = logs::start(&self.logs);
        let served = logs.and_then(|()| match self.command {
            Command::Server(arguments) => serve::run(arguments, serve::Role::Both),
            Command::Namesrv(arguments) => serve::run(arguments, serve::Role::NameServer),
            Command::Broker(arguments) => serve::run(arguments, serve::Role::Broker),
            Command::Bench(arguments) => bench::run(arguments),
            Command::Store(command) => store::run(command),
            Command::Tls(command) => tls::run(command),
        });
        logs::finish();
        match served {
            Ok(code) => code,
            Err(error) => {
                eprintln!("cuemq: {}", complaint::about(&error));
                ExitCode::from(WRONG)
            }
        }
    }
}
