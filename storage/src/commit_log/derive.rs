//! What a record brings to its consume queue and to the index; the same for a message that has just come and for one that
//! recovery finds (`CommitLog.checkMessageAndReturnSize` and `IndexService.buildIndex` in Java).

use cuemq_net::message::properties::{self, KnownProperties};
use cuemq_net::message::record::Record;
use cuemq_net::message::sysflag::{TransactionType, transaction_type};
use cuemq_net::message::tags::{index_hash, tags_code};

use crate::delay_level::{DelayLevels, SCHEDULE_TOPIC};
use crate::index::IndexKey;
use crate::position::PhysicalOffset;
use crate::timer::{Due, TIMER_TOPIC};

/// Whether a record gets an entry in its consume queue: prepared and rolled back transactions do not.
#[must_use]
pub fn is_queued(system_flag: i32) -> bool {
    matches!(
        transaction_type(system_flag),
        TransactionType::None | TransactionType::Commit
    )
}

/// What the consume queue keeps beside the position of a record that is not stored yet: the hash of the tags, for a message
/// that waits for a time when that is, or for a delayed message its delay; and whether it is a delay, to which the time is
/// added at which the record is stored.
#[must_use]
pub fn pending_tags_code(topic: &str, known: &KnownProperties<'_>, levels: &DelayLevels) -> (i64, bool) {
    if topic == SCHEDULE_TOPIC
        && let Some(level) = known.delay_level.and_then(|level| level.parse().ok())
        && level > 0
    {
        return (levels.delay_ms(level), true);
    }
    if topic == TIMER_TOPIC {
        return (Due::of(known).code(), false);
    }
    (known.tags.map_or(0, tags_code), false)
}

/// What the consume queue keeps beside the position: the hash of the tags, or for a message that waits when it is due.
#[must_use]
pub fn queue_tags_code(topic: &str, known: &KnownProperties<'_>, store_timestamp_ms: i64, levels: &DelayLevels) -> i64 {
    match pending_tags_code(topic, known, levels) {
        (delay_ms, true) => store_timestamp_ms.saturating_add(delay_ms),
        (tags_code, false) => tags_code,
    }
}

/// Calls `each` with the index hash of every key of a record: its unique key first, then the application's keys.
pub fn for_each_key(topic: &str, known: &KnownProperties<'_>, system_flag: i32, mut each: impl FnMut(i32)) {
    if transaction_type(system_flag) == TransactionType::Rollback {
        return;
    }
    if let Some(unique_key) = known.unique_key {
        each(index_hash(topic, unique_key));
    }
    for key in properties::split_keys(known.keys.unwrap_or_default()) {
        each(index_hash(topic, key));
    }
}

/// Adds the keys of a stored record to `keys`.
pub fn keys_of(record: &Record<'_>, keys: &mut Vec<IndexKey>) {
    let known = properties::known(record.properties());
    for_each_key(
        record.topic().unwrap_or_default(),
        &known,
        record.system_flag(),
        |hash| {
            keys.push(IndexKey {
                hash,
                physical_offset: PhysicalOffset(record.physical_offset()),
                store_timestamp_ms: record.store_timestamp_ms(),
            });
        },
    );
}
