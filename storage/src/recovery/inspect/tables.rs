//! The tables below `config/` and our notes below `cuemq/`: whether they can be read.

use std::path::PathBuf;

use cuemq_net::dialect;

use super::{Finding, Severity, Store};
use crate::deletions::Deletions;
use crate::disk::list;
use crate::error::{Result, StoreError};
use crate::recovery::StoreLayout;
use crate::table::LONGEST_TABLE;

/// The finding about a note of ours that cannot be read.
pub(super) fn damaged_note(layout: &StoreLayout, error: &StoreError) -> Finding {
    let (path, byte) = match error {
        StoreError::Damaged { path, position, .. } => (path.clone(), *position),
        _ => (layout.note_path(), 0),
    };
    Finding {
        severity: Severity::Damage,
        path,
        byte,
        record: None,
        what: error.to_string(),
        next: String::from(
            "the broker does not start with it: restore it from a backup, or move it away; then RocketMQ's checkpoint tells where recovery begins",
        ),
    }
}

/// Looks at all tables; gives how many there are.
pub(super) fn check(store: &Store, findings: &mut Vec<Finding>) -> Result<usize> {
    let directory = store.layout.root.join("config");
    let mut count = 0;
    for entry in list(store.disk.as_ref(), &directory)? {
        if entry.is_directory || !entry.name.ends_with(".json") {
            continue;
        }
        count += 1;
        let path = directory.join(&entry.name);
        let Some(what) = wrong_with(store, path.clone())? else {
            continue;
        };
        let older = directory.join(format!("{}.bak", entry.name));
        let has_older = store.disk.exists(&older).unwrap_or(false) && wrong_with(store, older)?.is_none();
        let (severity, next) = if has_older {
            let next = "the next start takes the older table, <file>.bak, and puts this one away as <file>.damaged";
            (Severity::Mended, next)
        } else {
            let next = "the broker does not start with it: correct it, restore it from a backup, or move it away to start without it";
            (Severity::Damage, next)
        };
        findings.push(Finding {
            severity,
            path,
            byte: 0,
            record: None,
            what,
            next: next.to_owned(),
        });
    }
    Ok(count)
}

/// What is wrong with one file; an empty one counts as missing.
fn wrong_with(store: &Store, path: PathBuf) -> Result<Option<String>> {
    let bytes = match store.disk.read_whole(&path, LONGEST_TABLE) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| StoreError::io("read", &path, error))?,
    };
    let wrong = dialect::parse(&bytes).err().filter(|_| !bytes.is_empty());
    Ok(wrong.map(|error| format!("the table cannot be read: {error}")))
}

/// The note of deleted topics; without it where it cannot be read.
pub(super) fn deletions(store: &Store, findings: &mut Vec<Finding>) -> Deletions {
    Deletions::read(store.disk.as_ref(), &store.layout.root).unwrap_or_else(|error| {
        findings.push(damaged_note(&store.layout, &error));
        Deletions::default()
    })
}
