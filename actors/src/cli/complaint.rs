//! What people are told when something that they gave is wrong: one sentence, which ends with the next step.

use std::process::ExitCode;

use clap::error::ErrorKind;
use cuemq_storage::StoreError;

use super::WRONG;
use crate::broker::SystemError;

/// Prints the help or version that was asked for, or says what is wrong with the command line.
pub(super) fn about_command_line(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Nobody may be reading.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(WRONG))
        }
        _ => {
            eprintln!("cuemq: {}", command_line(&error.to_string()));
            ExitCode::from(WRONG)
        }
    }
}

/// clap's complaint without its paragraphs: what is wrong, and what it suggests.
fn command_line(shown: &str) -> String {
    let lines = || shown.lines().map(str::trim);
    let wrong: Vec<&str> = lines().take_while(|line| !line.is_empty()).collect();
    let wrong = wrong.join(" ");
    let wrong = wrong.strip_prefix("error: ").unwrap_or(&wrong);
    match lines().find_map(|line| line.strip_prefix("tip: ")) {
        Some(tip) => format!("{wrong}: {tip}"),
        None => format!("{wrong}: `cuemq --help` and `cuemq COMMAND --help` tell what there is"),
    }
}

/// Says why the program does not start, or did not end in order.
pub(super) fn about(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some errors show their causes themselves.
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    if let Some(SystemError::Store(StoreError::Io { .. })) = error.downcast_ref::<SystemError>() {
        text.push_str("; see to the permissions and the disk, or use another data directory with --data");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_of_many_lines_becomes_one() {
        let shown =
            "error: unexpected argument '--dta' found\n\n  tip: a similar argument exists: '--data'\n\nUsage: x\n";
        assert_eq!(
            command_line(shown),
            "unexpected argument '--dta' found: a similar argument exists: '--data'"
        );
        let shown = "error: the following arguments were not provided:\n  --name\n\nUsage: x\n";
        assert!(command_line(shown).starts_with("the following arguments were not provided: --name: `cuemq --help`"));
    }

    #[test]
    fn a_cause_that_is_shown_already_is_not_shown_twice() {
        let twice = anyhow::anyhow!("no such file").context("cannot read x: no such file");
        assert_eq!(about(&twice), "cannot read x: no such file");
        let once = anyhow::anyhow!("no such file").context("cannot read x");
        assert_eq!(about(&once), "cannot read x: no such file");
    }
}
