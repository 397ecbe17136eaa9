//! The command line.

mod complaint;
mod logs;
mod names;
mod notify;
mod papers;
mod reload;
mod serve;
mod shutdown;
mod signals;
mod starting;
mod store;
mod tls;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::bench;

pub use logs::{LogArguments, LogForm, LogRotation};
pub use serve::ServeArguments;
pub use shutdown::ShutdownArguments;
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
    /// Stops, in order, the broker or name server that runs on a data directory.
    Shutdown(ShutdownArguments),
    /// Makes what TLS needs.
    #[command(subcommand)]
    Tls(TlsCommand),
    /// Prints what lets a shell complete the commands and flags of cuemq.
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Prints the manual page, or writes one for each command into a directory.
    Man {
        /// The directory [default: none, the page of cuemq goes to standard output]
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// Does what the command line of this process says; the exit status of the program.
#[must_use]
pub fn run() -> ExitCode {
    match Cli::try_parse_from(names::arguments(std::env::args_os())) {
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
            Command::Shutdown(arguments) => shutdown::run(&arguments),
            Command::Tls(command) => tls::run(command),
            Command::Completions { shell } => papers::completions(shell),
            Command::Man { directory } => papers::manual(directory.as_deref()),
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
