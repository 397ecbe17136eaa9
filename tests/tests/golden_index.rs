//! Index files that Java brokers of three releases wrote, opened by ours: every key query has that release's answer; and
//! files that ours writes from the same records, which are Java's byte for byte.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cuemq_net::message::tags;
use cuemq_storage::disk::{Disk, RealDisk};
use cuemq_storage::index::{Index, IndexKey, Layout, Opening, Question};
use cuemq_storage::position::PhysicalOffset;
use cuemq_tests::golden::{self, GoldenStore, Manifest, Query};

fn for_each_store(check: impl Fn(&GoldenStore) -> Result<()>) {
    for name in golden::names() {
        let checked = golden::unpack(name).and_then(|store| check(&store));
        checked.unwrap_or_else(|error| panic!("{name}: {error:#}"));
    }
}

fn layout(manifest: &Manifest) -> Result<Layout> {
    let slots = u32::try_from(manifest.number("maxHashSlotNum")?)?;
    Layout::new(slots, u32::try_from(manifest.number("maxIndexNum")?)?).context("no layout")
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// The keys of all records, in the order of the log, as Java puts them in.
fn keys(manifest: &Manifest) -> Vec<IndexKey> {
    let mut keys = Vec::new();
    let messages = manifest
        .queues
        .iter()
        .flat_map(|queue| queue.messages.iter().map(move |message| (queue, message)));
    let mut messages: Vec<_> = messages.collect();
    messages.sort_by_key(|(_, message)| message.physical_offset);
    for (queue, message) in messages {
        let unique = message.properties.get("UNIQ_KEY").map(String::as_str);
        let others = message.properties.get("KEYS").map_or("", String::as_str).split(' ');
        for key in unique.into_iter().chain(others).filter(|key| !key.is_empty()) {
            keys.push(IndexKey {
                hash: tags::index_hash(&queue.topic, key),
                physical_offset: PhysicalOffset(message.physical_offset),
                store_timestamp_ms: message.store_timestamp_ms,
            });
        }
    }
    keys
}

fn check_queries(index: &mut Index, queries: &[Query]) -> Result<()> {
    ensure!(!queries.is_empty(), "no queries");
    for query in queries {
        let question = Question {
            hash: tags::index_hash(&query.topic, &query.key),
            most: query.messages_max,
            begin_ms: 0,
            end_ms: i64::MAX,
        };
        let found: Vec<_> = index
            .query(question)?
            .physical_offsets
            .into_iter()
            .map(|found| found.0)
            .collect();
        ensure!(
            found == query.physical_offsets,
            "{} {}: {found:?}",
            query.topic,
            query.key
        );
    }
    Ok(())
}

#[test]
fn every_key_query_has_the_answer_of_the_release() {
    for_each_store(|store| {
        let manifest = &store.manifest;
        let end = PhysicalOffset(manifest.max_physical_offset);
        let opening = if manifest.kind == "abort" {
            Opening::AfterCrash(end)
        } else {
            Opening::Clean
        };
        let (mut index, cut) = Index::open(&disk(), &store.root(), layout(manifest)?, opening)?;
        ensure!(cut.files == 0, "{cut:?}");
        if manifest.kind == "abort" {
            index.put_batch(&keys(manifest), end)?;
        }
        check_queries(&mut index, &manifest.queries)
    });
}

#[test]
fn a_store_killed_in_java_is_rebuilt_from_what_its_checkpoint_knows() {
    for_each_store(|store| {
        let manifest = &store.manifest;
        let end = PhysicalOffset(manifest.max_physical_offset);
        let checkpoint = manifest.files.iter().find_map(|file| file.checkpoint);
        let (index, _) = Index::open(&disk(), &store.root(), layout(manifest)?, Opening::Clean)?;
        let known = index.newest_until(checkpoint.map_or(0, |[_, _, index_ms]| index_ms));
        drop(index);
        let opening = Opening::AfterCrash(known.unwrap_or(PhysicalOffset(0)));
        let (mut index, _) = Index::open(&disk(), &store.root(), layout(manifest)?, opening)?;
        index.put_batch(&keys(manifest), end)?;
        check_queries(&mut index, &manifest.queries)
    });
}

#[test]
fn the_same_records_make_the_same_files() {
    for_each_store(|store| {
        let manifest = &store.manifest;
        if manifest.kind != "clean" || manifest.server_version.starts_with("4.3") {
            // 4.3.0 counts its slots in another way; a killed broker leaves an old header.
            return Ok(());
        }
        let written = tempfile::tempdir()?;
        let (mut index, _) = Index::open(&disk(), written.path(), layout(manifest)?, Opening::Clean)?;
        index.put_batch(&keys(manifest), PhysicalOffset(manifest.max_physical_offset))?;
        index.flush()?;
        let read = |root: &std::path::Path| -> Result<Vec<Vec<u8>>> {
            let files = RealDisk.list(&root.join("index"))?;
            files
                .iter()
                .map(|file| Ok(RealDisk.read_whole(&root.join("index").join(&file.name), 1 << 20)?))
                .collect()
        };
        let (ours, java) = (read(written.path())?, read(&store.root())?);
        ensure!(ours.len() == java.len(), "{} files for {}", ours.len(), java.len());
        for (number, (ours, java)) in ours.iter().zip(&java).enumerate() {
            let first = ours.iter().zip(java).position(|(ours, java)| ours != java);
            ensure!(
                first.is_none() && ours.len() == java.len(),
                "file {number} differs at {first:?}"
            );
        }
        Ok(())
    });
}
