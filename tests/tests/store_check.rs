//! `cuemq store check` on stores that Java brokers wrote: whole ones are sound, damage of every kind is found where it is,
//! nothing on the disk changes, and no damage makes it panic or go on for ever.
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]
#![expect(clippy::disallowed_methods, reason = "the test damages files of a store")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use cuemq_storage::disk::{Disk, RealDisk};
use cuemq_storage::index::Layout;
use cuemq_storage::recovery::StoreLayout;
use cuemq_storage::recovery::inspect::{Finding, Severity, Store, Summary};
use cuemq_storage::{Result, StoreError};
use cuemq_tests::golden::{self, GoldenStore};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

const CLEAN: &str = "4.9.8-clean";

fn layout(store: &GoldenStore) -> StoreLayout {
    let number = |name| u32::try_from(store.manifest.number(name).unwrap()).unwrap();
    let mut layout = StoreLayout::at(&store.root());
    layout.index = Layout::new(number("maxHashSlotNum"), number("maxIndexNum"));
    layout
}

fn look_at(store: &GoldenStore) -> Result<Store> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    Store::look_at(&disk, layout(store))
}

fn check(store: &GoldenStore) -> Result<(Summary, Vec<Finding>)> {
    let mut findings = Vec::new();
    let summary = look_at(store)?.check(|finding| findings.push(finding), |_| {})?;
    Ok((summary, findings))
}

fn damage(store: &GoldenStore) -> Vec<Finding> {
    let (_, mut findings) = check(store).unwrap();
    findings.retain(|finding| finding.severity == Severity::Damage);
    findings
}

/// Every file's bytes and times, every directory's names.
fn state_of(directory: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut state = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let (path, metadata) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
        let modified = metadata.modified().unwrap();
        if metadata.is_dir() {
            state.extend(state_of(&path));
            state.insert(path, (modified, Vec::new()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            state.insert(path, (modified, bytes));
        }
    }
    state
}

/// Changes one byte of a file.
fn flip(path: &Path, byte: u64) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[usize::try_from(byte).unwrap()] ^= 0x41;
    std::fs::write(path, bytes).unwrap();
}

/// A message in the middle of the store's first queue with several: where it lies, and its place.
fn message(store: &GoldenStore) -> (PathBuf, u64, String, i32, u64) {
    let queue = store
        .manifest
        .queues
        .iter()
        .find(|queue| queue.messages.len() > 2)
        .unwrap();
    let message = &queue.messages[1];
    let segment = store.manifest.number("mappedFileSizeCommitLog").unwrap();
    let start = message.physical_offset - message.physical_offset % segment;
    let path = store.root().join("commitlog").join(format!("{start:020}"));
    (
        path,
        message.physical_offset - start,
        queue.topic.clone(),
        queue.queue_id,
        message.queue_offset,
    )
}

#[test]
fn every_store_of_java_is_sound_and_checking_changes_nothing() {
    for name in golden::names() {
        let store = golden::unpack(name).unwrap();
        let before = state_of(&store.root());
        let (summary, findings) = check(&store).unwrap();
        let damage: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Damage)
            .collect();
        assert!(damage.is_empty(), "{name}: {damage:#?}");
        assert_eq!(findings.is_empty(), !name.ends_with("abort"), "{name}: {findings:#?}");
        assert_eq!(summary.end.0, store.manifest.max_physical_offset, "{name}");
        assert_eq!(summary.minimum.0, store.manifest.min_physical_offset, "{name}");
        let units: usize = store.manifest.queues.iter().map(|queue| queue.messages.len()).sum();
        assert_eq!(summary.units, units as u64, "{name}");
        let mut records = 0;
        let each = |_: &cuemq_net::message::record::Record<'_>| {
            records += 1;
            ControlFlow::Continue(())
        };
        look_at(&store)
            .unwrap()
            .each_record(None, each, |hole| panic!("{hole:?}"))
            .unwrap();
        assert_eq!(records, summary.records, "{name}");
        assert_eq!(state_of(&store.root()), before, "{name}: something has changed");
    }
}

#[test]
fn a_byte_of_a_body_a_magic_and_a_queue_offset_are_found_with_their_record() {
    // Where in the record, and what is said.
    for (within, said) in [(88, "checksum"), (4, "magic"), (30, "no whole record"), (27, "place")] {
        let store = golden::unpack(CLEAN).unwrap();
        let (path, byte, topic, queue_id, queue_offset) = message(&store);
        flip(&path, byte + within);
        let found = damage(&store);
        let hit = found
            .iter()
            .find(|finding| finding.path == path && finding.byte == byte);
        let hit = hit.or(found.iter().find(|finding| {
            let record = finding.record.as_ref();
            record.is_some_and(|record| record.topic == topic && record.physical_offset % (1 << 20) == byte % (1 << 20))
        }));
        let hit = hit.unwrap_or_else(|| panic!("byte {within}: {found:#?}"));
        let text = hit.what.to_lowercase();
        assert!(within != 88 || text.contains("crc") || text.contains(said), "{hit:#?}");
        if within == 88 {
            let place = hit.record.as_ref().unwrap();
            assert_eq!((place.queue_id, place.queue_offset), (queue_id, queue_offset));
        }
    }
}

#[test]
fn a_queue_unit_an_index_entry_and_a_table_are_found_where_they_are() {
    let store = golden::unpack(CLEAN).unwrap();
    let (_, _, topic, queue_id, queue_offset) = message(&store);
    let queue = store.root().join(format!("consumequeue/{topic}/{queue_id}/{:020}", 0));
    for within in [7, 11, 19] {
        flip(&queue, queue_offset * 20 + within);
        let found = damage(&store);
        let hit = found
            .iter()
            .any(|finding| finding.path == queue && finding.byte / 20 == queue_offset);
        assert!(hit, "byte {within}: {found:#?}");
        flip(&queue, queue_offset * 20 + within);
    }
    let index = std::fs::read_dir(store.root().join("index"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let entry = 40 + 4 * store.manifest.number("maxHashSlotNum").unwrap() + 2 * 20;
    for within in [3, 11, 19] {
        flip(&index, entry + within);
        let found = damage(&store);
        let hit = found
            .iter()
            .any(|finding| finding.path == index && (entry..entry + 20).contains(&finding.byte));
        assert!(hit, "byte {within}: {found:#?}");
        flip(&index, entry + within);
    }
    let table = store.root().join("config/topics.json");
    std::fs::write(&table, "{\"topicConfigTable\":").unwrap();
    let (_, findings) = check(&store).unwrap();
    assert!(findings.iter().any(|finding| finding.path == table), "{findings:#?}");
}

#[test]
fn missing_files_of_log_and_queue_are_found() {
    let store = golden::unpack(CLEAN).unwrap();
    let (_, _, topic, queue_id, _) = message(&store);
    let queue = store.root().join(format!("consumequeue/{topic}/{queue_id}"));
    std::fs::remove_dir_all(&queue).unwrap();
    let found = damage(&store);
    assert!(
        found
            .iter()
            .any(|finding| finding.path == queue && finding.what.contains("lacks the units")),
        "{found:#?}"
    );
    let mut log: Vec<_> = std::fs::read_dir(store.root().join("commitlog"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    log.sort();
    assert!(log.len() > 2, "too few files to lose one");
    std::fs::remove_file(&log[1]).unwrap();
    let found = damage(&store);
    assert!(
        found
            .iter()
            .any(|finding| finding.what.contains("the next file begins at")),
        "{found:#?}"
    );
}

#[test]
fn a_torn_tail_of_a_store_that_was_killed_is_what_the_next_start_mends() {
    let store = golden::unpack("4.9.8-abort").unwrap();
    let segment = store.manifest.number("mappedFileSizeCommitLog").unwrap();
    let end = store.manifest.max_physical_offset;
    let path = store
        .root()
        .join("commitlog")
        .join(format!("{:020}", end - end % segment));
    let mut bytes = std::fs::read(&path).unwrap();
    let at = usize::try_from(end % segment).unwrap();
    bytes[at..at + 8].copy_from_slice(&[0, 0, 1, 0, 0xDA, 0xA3, 0x20, 0xA7]);
    std::fs::write(&path, bytes).unwrap();
    let (_, findings) = check(&store).unwrap();
    assert!(
        findings.iter().all(|finding| finding.severity == Severity::Mended),
        "{findings:#?}"
    );
    assert!(
        findings
            .iter()
            .any(|finding| finding.path == path && finding.byte == end % segment),
        "{findings:#?}"
    );
}

#[test]
fn what_is_no_store_is_refused_with_the_next_step() {
    let empty = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let refused = Store::look_at(&disk, StoreLayout::at(empty.path())).err().unwrap();
    assert!(
        matches!(refused, StoreError::Unsupported { .. }) && refused.to_string().contains("commitlog/"),
        "{refused}"
    );
}

/// A store whose files are put back before each case.
struct Original {
    store: GoldenStore,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Original {
    fn new() -> Self {
        let store = golden::unpack("4.3.0-clean").unwrap();
        let is_file = |path: &PathBuf| path.is_file();
        let files = state_of(&store.root())
            .into_iter()
            .filter(|(path, (_, bytes))| is_file(path) && !bytes.is_empty());
        let files = files.map(|(path, (_, bytes))| (path, bytes)).collect();
        Self { store, files }
    }

    /// Writes some bytes near what is written, or cuts the file there.
    fn damage(&self, (file, at, bytes, cut): &(Index, Index, [u8; 8], u8)) {
        let (path, bytes_before) = file.get(&self.files);
        let mut content = bytes_before.clone();
        let written = content.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
        let at = at.index(written);
        for (byte, new) in content[at..].iter_mut().zip(bytes) {
            *byte = *new;
        }
        if *cut == 0 {
            content.truncate(at);
        }
        std::fs::write(path, content).unwrap();
    }
}

#[test]
fn no_damage_makes_a_check_panic_or_go_on_for_ever() {
    let original = Original::new();
    let change = (any::<Index>(), any::<Index>(), any::<[u8; 8]>(), 0..20_u8);
    let config = ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let ran = TestRunner::new(config).run(&prop::collection::vec(change, 1..12), |changes| {
        changes.iter().for_each(|change| original.damage(change));
        // An error is an answer, too.
        let _ = check(&original.store);
        let walked =
            look_at(&original.store).map(|store| store.each_record(None, |_| ControlFlow::Continue(()), |_| {}));
        drop(walked);
        for (path, bytes) in &original.files {
            std::fs::write(path, bytes).unwrap();
        }
        Ok(())
    });
    ran.unwrap();
    assert_eq!(damage(&original.store), []);
}
