//! What a release read back from its own store, as types; the JSON keys are camel case.

use anyhow::Context;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What a release read from its store.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The broker's release.
    pub server_version: String,
    /// `clean`, `abort` or `ext`.
    pub kind: String,
    /// The settings the broker ran with.
    pub settings: BTreeMap<String, String>,
    /// Where the commit log begins.
    pub min_physical_offset: u64,
    /// Where the commit log ends.
    pub max_physical_offset: u64,
    /// How many messages all queues hold together.
    pub messages: usize,
    /// Every topic in `topics.json`.
    pub topics: Vec<String>,
    /// Every group in `subscriptionGroup.json`.
    pub groups: Vec<String>,
    /// `consumerOffset.json`.
    pub consumer_offsets: ConsumerOffsets,
    /// `delayOffset.json`.
    pub delay_offsets: DelayOffsets,
    /// Every queue, empty ones included.
    pub queues: Vec<Queue>,
    /// Key queries and their answers.
    pub queries: Vec<Query>,
    /// Every file of the store, the timer wheel included.
    pub files: Vec<StoreFile>,
}

impl Manifest {
    /// Returns a setting that is a number.
    ///
    /// # Errors
    /// When the setting is missing or no number.
    pub fn number(&self, setting: &str) -> anyhow::Result<u64> {
        let text = self
            .settings
            .get(setting)
            .with_context(|| format!("no setting {setting}"))?;
        text.parse().with_context(|| format!("setting {setting}={text}"))
    }
}

/// The committed offsets of all groups.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerOffsets {
    /// `topic@group`, then the queue, then its consumer offset.
    #[serde(default)]
    pub offset_table: BTreeMap<String, BTreeMap<i32, u64>>,
}

/// How far the delay levels were delivered.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DelayOffsets {
    /// The delay level and the next queue offset of its queue.
    #[serde(default)]
    pub offset_table: BTreeMap<i32, u64>,
}

/// One queue of a topic.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// The topic.
    pub topic: String,
    /// The queue within the topic.
    pub queue_id: i32,
    /// The first queue offset.
    #[serde(rename = "minOffset")]
    pub min_queue_offset: u64,
    /// The queue offset of the next message.
    #[serde(rename = "maxOffset")]
    pub max_queue_offset: u64,
    /// Store timestamps in ms and the queue offset that the release found for each.
    #[serde(rename = "offsetByTime")]
    pub queue_offset_by_time: Vec<(i64, u64)>,
    /// The messages in their order.
    pub messages: Vec<Message>,
}

/// One message as stored.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The index in its queue.
    pub queue_offset: u64,
    /// The position in the commit log.
    pub physical_offset: u64,
    /// The bytes of its record.
    pub store_size: usize,
    /// The offset id.
    #[serde(rename = "msgId")]
    pub message_id: String,
    /// When it was made, ms.
    #[serde(rename = "bornTimestamp")]
    pub born_timestamp_ms: i64,
    /// When it was stored, ms.
    #[serde(rename = "storeTimestamp")]
    pub store_timestamp_ms: i64,
    /// Who sent it.
    pub born_host: SocketAddr,
    /// The CRC of the body as stored.
    pub body_crc: u32,
    /// The bytes of the body as stored.
    pub body_length: usize,
    /// The body, when short and not compressed.
    pub body: Option<String>,
    /// SHA-256 of the body as stored, when `body` is absent; lower-case hexadecimal, as below.
    pub body_sha256: Option<String>,
    /// SHA-256 of the whole record.
    pub record_sha256: String,
    /// The properties as Java reads them.
    pub properties: BTreeMap<String, String>,
    /// The application's own flag.
    #[serde(default)]
    pub flag: i32,
    /// The system flag.
    #[serde(default, rename = "sysFlag")]
    pub system_flag: i32,
    /// How often it was sent back.
    #[serde(default)]
    pub reconsume_times: i32,
    /// The physical offset of its half message.
    #[serde(default)]
    pub prepared_transaction_offset: i64,
}

/// A key query.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: String,
    /// How many messages were asked for.
    #[serde(rename = "maxNum")]
    pub messages_max: usize,
    /// What was found, in the order of the answer.
    pub physical_offsets: Vec<u64>,
}

/// One file of a store.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreFile {
    /// The path below the store's root.
    pub path: String,
    /// The bytes of the file.
    pub size: u64,
    /// The bytes before the zeros at its end.
    pub used_size: u64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// Commit log: how many records it holds.
    #[serde(default)]
    pub records: usize,
    /// Commit log: where in the file the records end.
    #[serde(default)]
    pub records_end: usize,
    /// Commit log: the blank record, if the file is full.
    pub blank: Option<Blank>,
    /// Checkpoint: commit log, consume queue and index timestamp, ms.
    pub checkpoint: Option<[i64; 3]>,
    /// Index file: its header.
    pub index: Option<IndexHeader>,
}

/// The blank record at the end of a commit log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Blank {
    /// Where in the file it lies.
    pub at: usize,
    /// What its size field says.
    pub size: usize,
}

/// The header of an index file, with what is counted in the file itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexHeader {
    /// The store timestamp of the first message, ms.
    #[serde(rename = "beginTimestamp")]
    pub begin_timestamp_ms: i64,
    /// The store timestamp of the last message, ms.
    #[serde(rename = "endTimestamp")]
    pub end_timestamp_ms: i64,
    /// The physical offset of the first message.
    pub begin_physical_offset: u64,
    /// The physical offset of the last message.
    pub end_physical_offset: u64,
    /// The slot count of the header, whose meaning differs by release.
    pub used_slots: u32,
    /// The number of the next entry; the first is 1.
    pub next_entry: u32,
}
