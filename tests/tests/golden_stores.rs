//! The message codecs against stores that Java brokers of three releases wrote: every message lies where that release
//! found it, with every field, and tags and keys hash to what its consume queues and index files hold.
#![expect(
    clippy::disallowed_methods,
    reason = "the files are read as they are, with nothing of ours between"
)]

use anyhow::{Context, Result, bail, ensure};
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::properties::{self, Properties};
use cuemq_net::message::record::{self, Inspection, Record};
use cuemq_net::message::tags;
use cuemq_tests::golden::{self, Blank, GoldenStore, Message, Queue, StoreFile};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

fn for_each_store(check: impl Fn(&GoldenStore) -> Result<()>) {
    for name in golden::names() {
        let checked = golden::unpack(name).and_then(|store| check(&store));
        checked.unwrap_or_else(|error| panic!("{name}: {error:#}"));
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(store: &GoldenStore, file: &StoreFile) -> Result<Vec<u8>> {
    std::fs::read(store.root().join(&file.path)).with_context(|| file.path.clone())
}

/// Returns the files below a folder of the store in order, with their bytes.
fn files_below<'a>(store: &'a GoldenStore, folder: &str) -> Result<Vec<(&'a StoreFile, Vec<u8>)>> {
    let mut files = Vec::new();
    for file in store.manifest.files.iter().filter(|file| file.path.starts_with(folder)) {
        files.push((file, read(store, file)?));
    }
    files.sort_by_key(|(file, _)| &file.path);
    Ok(files)
}

/// What lies in a commit log file.
struct Walk<'a> {
    records: Vec<Record<'a>>,
    /// Where the records end.
    end: usize,
    blank: Option<Blank>,
}

fn walk(file: &[u8]) -> Result<Walk<'_>> {
    let mut walk = Walk {
        records: Vec::new(),
        end: 0,
        blank: None,
    };
    loop {
        match record::inspect(&file[walk.end..]) {
            Inspection::Record(record) => {
                walk.records.push(record);
                walk.end += record.total_size();
            }
            Inspection::Blank { length } => {
                walk.blank = Some(Blank {
                    at: walk.end,
                    size: length,
                });
                return Ok(walk);
            }
            Inspection::End => return Ok(walk),
            other => bail!("at {} lies {other:?}", walk.end),
        }
    }
}

#[test]
fn a_store_is_unpacked_with_its_times() {
    for_each_store(|store| {
        for file in store.manifest.files.iter().filter(|file| file.path != "timerwheel") {
            let bytes = read(store, file)?;
            ensure!(
                bytes.len() as u64 == file.size && sha256(&bytes) == file.sha256,
                "{}",
                file.path
            );
            let modified = std::fs::metadata(store.root().join(&file.path))?.modified()?;
            let modified_ms = modified.duration_since(UNIX_EPOCH)?.as_millis();
            // the day on which all of them were written
            ensure!(
                (1_795_219_200_000..1_795_305_600_000).contains(&modified_ms),
                "{} {modified_ms}",
                file.path
            );
        }
        Ok(())
    });
}

#[test]
fn a_commit_log_is_walked_to_its_end() {
    for_each_store(|store| {
        let mut end = 0;
        for (file, bytes) in files_below(store, "commitlog/")? {
            let start: u64 = file.path.trim_start_matches("commitlog/").parse()?;
            let walk = walk(&bytes)?;
            let found = (walk.records.len(), walk.end, walk.blank);
            ensure!(
                found == (file.records, file.records_end, file.blank),
                "{}: {found:?}",
                file.path
            );
            let mut physical_offset = start;
            for record in &walk.records {
                ensure!(
                    record.physical_offset() == physical_offset,
                    "{} {physical_offset}",
                    file.path
                );
                record.verify_crc()?;
                physical_offset += record.total_size() as u64;
            }
            if !walk.records.is_empty() {
                end = physical_offset;
            }
        }
        ensure!(end == store.manifest.max_physical_offset, "the log ends at {end}");
        Ok(())
    });
}

#[test]
fn every_message_lies_where_its_release_found_it() {
    for_each_store(|store| {
        let files = files_below(store, "commitlog/")?;
        let mut records = BTreeMap::new();
        for (_, bytes) in &files {
            records.extend(
                walk(bytes)?
                    .records
                    .into_iter()
                    .map(|record| (record.physical_offset(), record)),
            );
        }
        let port = u16::try_from(store.manifest.number("listenPort")?)?;
        let store_host = SocketAddr::from(([127, 0, 0, 1], port));
        let mut messages = 0;
        for queue in &store.manifest.queues {
            for (queue_offset, message) in (queue.min_queue_offset..).zip(&queue.messages) {
                ensure!(message.queue_offset == queue_offset);
                let record = records.get(&message.physical_offset).context("no record")?;
                compare(queue, message, record, store_host)
                    .with_context(|| format!("{} {} {queue_offset}", queue.topic, queue.queue_id))?;
                messages += 1;
            }
        }
        ensure!(messages == store.manifest.messages, "{messages} messages");
        Ok(())
    });
}

fn compare(queue: &Queue, message: &Message, record: &Record<'_>, store_host: SocketAddr) -> Result<()> {
    ensure!(record.topic()? == queue.topic, "topic {:?}", record.topic());
    ensure!(record.queue_id() == queue.queue_id, "queue {}", record.queue_id());
    ensure!(
        record.queue_offset() == message.queue_offset,
        "queue offset {}",
        record.queue_offset()
    );
    ensure!(
        record.total_size() == message.store_size,
        "size {}",
        record.total_size()
    );
    ensure!(
        record.born_timestamp_ms() == message.born_timestamp_ms,
        "born {}",
        record.born_timestamp_ms()
    );
    ensure!(
        record.store_timestamp_ms() == message.store_timestamp_ms,
        "stored {}",
        record.store_timestamp_ms()
    );
    ensure!(
        record.born_host() == message.born_host,
        "born host {}",
        record.born_host()
    );
    ensure!(record.store_host() == store_host, "store host {}", record.store_host());
    ensure!(record.flag() == message.flag, "flag {}", record.flag());
    ensure!(
        record.system_flag() == message.system_flag,
        "system flag {}",
        record.system_flag()
    );
    ensure!(
        record.reconsume_times() == message.reconsume_times,
        "reconsume times {}",
        record.reconsume_times()
    );
    let prepared = record.prepared_transaction_offset();
    ensure!(prepared == message.prepared_transaction_offset, "prepared {prepared}");
    ensure!(record.body_crc() == message.body_crc, "crc {}", record.body_crc());
    ensure!(
        record.body().len() == message.body_length,
        "body of {}",
        record.body().len()
    );
    match (&message.body, &message.body_sha256) {
        (Some(text), None) => ensure!(record.body() == text.as_bytes(), "body"),
        (None, Some(hash)) => ensure!(sha256(record.body()) == *hash, "body"),
        both => bail!("the manifest has {both:?}"),
    }
    ensure!(sha256(record.as_bytes()) == message.record_sha256, "record");
    let read = Properties::new(record.properties()).iter();
    let read: BTreeMap<_, _> = read.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    ensure!(read == message.properties, "properties {read:?}");
    let id = OffsetMessageId {
        host: record.store_host(),
        physical_offset: record.physical_offset(),
    };
    ensure!(id.to_string() == message.message_id, "id {id}");
    ensure!(message.message_id.parse() == Ok(id), "id {id}");
    Ok(())
}

#[test]
fn tags_hash_to_what_the_consume_queues_hold() {
    for_each_store(|store| {
        // with ext files the entry holds an address in place of the hash, and a delay topic the time of delivery
        let holds_hashes = |queue: &&Queue| store.manifest.kind != "ext" && queue.topic != "SCHEDULE_TOPIC_XXXX";
        for queue in store.manifest.queues.iter().filter(holds_hashes) {
            let folder = format!("consumequeue/{}/{}/", queue.topic, queue.queue_id);
            let bytes: Vec<u8> = files_below(store, &folder)?
                .into_iter()
                .flat_map(|(_, bytes)| bytes)
                .collect();
            ensure!(
                bytes.len() >= 20 * queue.messages.len(),
                "{folder} has {} bytes",
                bytes.len()
            );
            for (message, entry) in queue.messages.iter().zip(bytes.chunks(20)) {
                let code = message.properties.get("TAGS").map_or(0, |tags| tags::tags_code(tags));
                let size = i32::try_from(message.store_size)?;
                let expected = [
                    &message.physical_offset.to_be_bytes()[..],
                    &size.to_be_bytes(),
                    &code.to_be_bytes(),
                ]
                .concat();
                ensure!(entry == expected, "{folder} {}", message.queue_offset);
            }
        }
        Ok(())
    });
}

#[test]
fn keys_hash_to_what_the_index_files_hold() {
    for_each_store(|store| {
        let entries_at = 40 + 4 * usize::try_from(store.manifest.number("maxHashSlotNum")?)?;
        let mut indexed = BTreeSet::new();
        for (_, bytes) in files_below(store, "index/")? {
            for entry in bytes[entries_at..].as_chunks::<20>().0 {
                indexed.insert(<[u8; 12]>::try_from(&entry[..12])?);
            }
        }
        for queue in &store.manifest.queues {
            for message in &queue.messages {
                let unique_key = message.properties.get("UNIQ_KEY").map(String::as_str);
                let keys = message.properties.get("KEYS").map_or("", |keys| keys);
                for key in unique_key.into_iter().chain(properties::split_keys(keys)) {
                    let hash = tags::index_hash(&queue.topic, key).to_be_bytes();
                    let entry: Vec<u8> = hash.into_iter().chain(message.physical_offset.to_be_bytes()).collect();
                    ensure!(
                        indexed.contains(&entry[..]),
                        "{} {key} at {}",
                        queue.topic,
                        message.physical_offset
                    );
                }
            }
        }
        Ok(())
    });
}
