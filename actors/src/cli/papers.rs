//! `cuemq completions` and `cuemq man`: what shells and `man` know of the program, made from the command line itself.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;
use cuemq_storage::disk::{Disk as _, RealDisk};

use super::Cli;

/// Prints the completions for a shell.
pub(super) fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cuemq", &mut script);
    print(&script)
}

/// Prints the manual page, or writes all of them into `directory`.
///
/// # Errors
/// When the directory or a page cannot be made.
pub(super) fn manual(directory: Option<&Path>) -> Result<ExitCode> {
    let Some(directory) = directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return print(&page);
    };
    RealDisk
        .create_directory(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .with_context(|| format!("the manual pages cannot be written to {}", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn print(text: &[u8]) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush())?;
    Ok(ExitCode::SUCCESS)
}
