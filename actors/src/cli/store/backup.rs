//! `cuemq store backup`: a copy that opens as after a crash at the moment of the command.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use cuemq_storage::recovery::inspect::CopyOptions;
use serde_json::json;

use super::progress::Progress;
use super::{StoreArguments, say, say_json};

/// The flags of `cuemq store backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
A broker may be using the store. Everything that it acknowledged before the command began is in the copy. Files of the
commit log that no longer change are linked where TO is on the same file system, and cost no room until the original goes;
--copy gives the copy bytes of its own, as a backup against a broken disk needs. The log ends with its last whole record,
everything is synced, and only then TO.partial becomes TO: what an interrupted backup leaves is called TO.partial.

To restore, start a broker with --data TO, or move TO to where the store was. Its first start is that after a crash: it
reads the log from the position that is printed. Copied files are as old as the copy, so retention keeps them longer.")]
pub struct BackupArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Where the copy goes: a directory that is empty or not there
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Copies what could be linked
    #[arg(long)]
    copy: bool,
    /// Prints a JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &BackupArguments) -> Result<ExitCode> {
    let store = arguments.store.look_at()?;
    let options = CopyOptions {
        copies_all: arguments.copy,
    };
    let mut progress = Progress::new(None);
    let copied = store.copy_to(&arguments.to, options, |bytes| progress.add(bytes))?;
    drop(progress);
    if arguments.json {
        say_json(&json!({
            "to": arguments.to.display().to_string(),
            "minPhysicalOffset": copied.minimum,
            "maxPhysicalOffset": copied.end,
            "recoveryFrom": copied.from,
            "segmentsLinked": copied.linked,
            "segmentsCopied": copied.copied,
            "bytesWritten": copied.bytes,
        }))?;
    } else {
        say(&format!(
            "{} holds the log from {} to {}: {} files linked, {} copied, {} bytes written; its first start reads the log from {} on",
            arguments.to.display(),
            copied.minimum,
            copied.end,
            copied.linked,
            copied.copied,
            copied.bytes,
            copied.from
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
