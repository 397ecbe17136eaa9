//! `cuemq store check`: what is in a store, each damage on a line, and a status that a script can ask.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use cuemq_storage::recovery::inspect::{Finding, Severity, Summary};
use serde_json::{Value, json};

use super::progress::Progress;
use super::{StoreArguments, say, say_json, time};

/// What the next start of a broker mends by itself.
const MENDED: u8 = 1;
/// What needs somebody.
const DAMAGED: u8 = 2;
/// More lines of one kind tell nobody more.
const LINES_MAX: u64 = 1000;

/// The flags of `cuemq store check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every record of the commit log is read, and every unit of the consume queues, entry of the index and table is held against
it. Nothing is changed, made or locked, and a broker may be using the store: then the log is read as far as whole records
go, and queues and index may be behind it.

Status: 0 all is sound; 1 there is what the next start of a broker mends by itself, such as a torn tail; 2 there is damage,
or the store could not be read.")]
pub struct CheckArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Prints JSON objects, one on each line: each finding, and in the end a summary
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &CheckArguments) -> Result<ExitCode> {
    let store = arguments.store.look_at()?;
    let mut progress = Progress::new(Some(store.log_bytes()));
    let (mut mended, mut damaged) = (0_u64, 0_u64);
    let minimum = store.minimum().0;
    let mut read = minimum;
    let mut said = Ok(true);
    let progress_cell = std::cell::RefCell::new(&mut progress);
    let summary = store.check(
        |finding| {
            let count = match finding.severity {
                Severity::Mended => &mut mended,
                Severity::Damage => &mut damaged,
            };
            *count += 1;
            if *count <= LINES_MAX && matches!(said, Ok(true)) {
                said = progress_cell.borrow().beside(|| tell(&finding, arguments.json));
            }
        },
        |upto| {
            progress_cell.borrow_mut().add(upto.saturating_sub(read));
            read = upto;
        },
    )?;
    drop(progress);
    said?;
    if arguments.json {
        say_json(&summary_json(&summary, damaged, mended))?;
    } else {
        say(&text(&summary, damaged, mended))?;
    }
    Ok(match (damaged, mended) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(MENDED),
        _ => ExitCode::from(DAMAGED),
    })
}

fn tell(finding: &Finding, as_json: bool) -> Result<bool> {
    let severity = match finding.severity {
        Severity::Mended => "mended by the next start",
        Severity::Damage => "damage",
    };
    let record = finding.record.as_ref();
    if as_json {
        return say_json(&json!({
            "kind": if finding.severity == Severity::Damage { "damage" } else { "mended" },
            "file": finding.path.display().to_string(),
            "byte": finding.byte,
            "record": record.map(|place| json!({
                "topic": place.topic,
                "queue": place.queue_id,
                "queueOffset": place.queue_offset,
                "physicalOffset": place.physical_offset,
            })),
            "what": finding.what,
            "next": finding.next,
        }));
    }
    let of = record.map_or_else(String::new, |place| {
        format!(
            " (topic {}, queue {}, queue offset {}, physical offset {})",
            place.topic, place.queue_id, place.queue_offset, place.physical_offset
        )
    });
    let Finding {
        path, byte, what, next, ..
    } = finding;
    say(&format!(
        "{severity}: {} at byte {byte}{of}: {what}\n    {next}",
        path.display()
    ))
}

fn summary_json(summary: &Summary, damaged: u64, mended: u64) -> Value {
    json!({
        "kind": "summary",
        "inUse": summary.is_in_use,
        "aborted": summary.is_aborted,
        "ours": summary.is_ours,
        "segmentBytes": summary.segment_bytes,
        "segments": summary.segments,
        "minPhysicalOffset": summary.minimum.0,
        "maxPhysicalOffset": summary.end.0,
        "durable": summary.durable.0,
        "records": summary.records,
        "firstStoreTimestamp": summary.stored_ms.map(|(first, _)| first),
        "lastStoreTimestamp": summary.stored_ms.map(|(_, last)| last),
        "checkpoint": {
            "commitLog": summary.checkpoint.commit_log_ms,
            "consumeQueue": summary.checkpoint.consume_queue_ms,
            "index": summary.checkpoint.index_ms,
        },
        "queues": summary.queues,
        "units": summary.units,
        "indexFiles": summary.index_files,
        "indexEntries": summary.entries,
        "tables": summary.tables,
        "recordsInNoQueue": summary.unplaced,
        "owed": summary.owed,
        "damaged": damaged,
        "mended": mended,
    })
}

fn text(summary: &Summary, damaged: u64, mended: u64) -> String {
    let state = match (summary.is_in_use, summary.is_aborted) {
        (true, _) => "in use by a broker",
        (false, true) => "not stopped in order",
        (false, false) => "stopped in order",
    };
    let stored = summary.stored_ms.map_or_else(String::new, |(first, last)| {
        format!(", stored from {} to {}", time(first), time(last))
    });
    let writer = if summary.is_ours {
        "CueMQ"
    } else {
        "RocketMQ, or not by CueMQ last"
    };
    let checkpoint = [
        summary.checkpoint.commit_log_ms,
        summary.checkpoint.consume_queue_ms,
        summary.checkpoint.index_ms,
    ];
    let checkpoint = checkpoint.map(time).join(", ");
    let mut lines = vec![
        format!("store         written by {writer}; {state}"),
        format!(
            "commit log    {} files of {} bytes, from {} to {}, {} records{stored}",
            summary.segments, summary.segment_bytes, summary.minimum, summary.end, summary.records
        ),
        format!(
            "on disk       up to {} at least; checkpoint {checkpoint}",
            summary.durable
        ),
        format!("queues        {}, {} units", summary.queues, summary.units),
        format!(
            "index         {} files, {} entries",
            summary.index_files, summary.entries
        ),
        format!("tables        {}", summary.tables),
    ];
    if summary.unplaced > 0 {
        lines.push(format!(
            "in no queue   {} records name one that cannot be",
            summary.unplaced
        ));
    }
    if summary.owed > 0 {
        let who = if summary.is_in_use {
            "its broker"
        } else {
            "the next start"
        };
        lines.push(format!(
            "to come       {} units and keys, which {who} puts in",
            summary.owed
        ));
    }
    lines.push(match (damaged, mended) {
        (0, 0) => String::from("sound"),
        _ => format!("{damaged} places are damaged, {mended} are mended by the next start"),
    });
    lines.join("\n")
}
