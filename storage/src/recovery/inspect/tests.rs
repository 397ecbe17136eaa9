//! What a check says of a store of ours; the stores of Java are in the crate of tests.

use std::path::Path;
use std::sync::Arc;

use super::{Severity, Store};
use crate::disk::{Disk, MemoryDisk};
use crate::recovery::StoreLayout;
use crate::recovery::note::LogNote;

#[test]
fn a_log_that_ends_below_what_its_note_calls_durable_is_damaged() {
    let disk = MemoryDisk::new(1);
    let layout = StoreLayout::at(Path::new("/store"));
    disk.create_directory(&layout.commit_log).unwrap();
    let note = LogNote {
        durable: 500,
        confirmed: 500,
        queue_units: None,
        checkpoint: [0; 3],
        foreign: false,
        former: None,
        stored_ms: 0,
    };
    note.write(&disk, &layout).unwrap();
    let seam: Arc<dyn Disk> = Arc::new(disk);
    let mut findings = Vec::new();
    let store = Store::look_at(&seam, layout).unwrap();
    store.check(|finding| findings.push(finding), |_| {}).unwrap();
    let found = findings
        .first()
        .map(|finding| (finding.severity, finding.what.contains("on disk up to 500")));
    assert_eq!(found, Some((Severity::Damage, true)), "{findings:?}");
}
