//! A message that waited, as it is written next: for its own topic when it is due, or for a new place among those that wait
//! (`TimerMessageStore.convert` in Java).

use cuemq_net::message::properties::{self, KnownProperties, PropertyError, name};
use cuemq_net::message::record::{Record, RecordFields};

use super::recalls::target_text;
use crate::reappend::fields_of;
use crate::schedule::Undeliverable;
use crate::set_aside;

/// Calls `with` with the record for the topic and queue that a message was sent to. As in Java its properties still say where
/// it waited and until when, so that it waits no second time.
///
/// # Errors
/// When it has nowhere to go.
pub fn delivery<R>(
    record: &Record<'_>,
    now_ms: i64,
    with: impl FnOnce(&RecordFields<'_>) -> R,
) -> Result<R, Undeliverable> {
    let mut fields = crate::schedule::delivery(record)?;
    let waited = noted(fields.properties, name::TIMER_ENQUEUE_MS, record.store_timestamp_ms());
    let waited = waited.and_then(|waited| noted(&waited, name::TIMER_DEQUEUE_MS, now_ms));
    let waited = waited.map_err(|_| Undeliverable::NoDestination)?;
    fields.properties = &waited;
    Ok(with(&fields))
}

/// Calls `with` with the record that waits on in a new place, until the same time.
///
/// # Errors
/// When the record has no text for a topic.
pub fn moved<R>(record: &Record<'_>, with: impl FnOnce(&RecordFields<'_>) -> R) -> Result<R, Undeliverable> {
    let mut fields = fields_of(record)?;
    let times = properties::Properties::new(fields.properties).get(name::TIMER_ROLL_TIMES);
    let times = times.and_then(|times| times.parse::<i64>().ok()).unwrap_or(0);
    let moved = noted(fields.properties, name::TIMER_ROLL_TIMES, times.saturating_add(1));
    let moved = moved.map_err(|_| Undeliverable::NoDestination)?;
    fields.properties = &moved;
    Ok(with(&fields))
}

/// Which message one means that recalls another, as [`target_text`]; `None` for one that recalls none. Releases before 5.3.2
/// gave the unique key alone.
#[must_use]
pub fn target(known: &KnownProperties<'_>) -> Option<String> {
    let text = known.timer_delete_unique_key?;
    let topic = known.real_topic.unwrap_or_default();
    let is_whole = text.strip_prefix(topic).is_some_and(|rest| rest.starts_with('+'));
    Some(if is_whole {
        text.to_owned()
    } else {
        target_text(topic, text)
    })
}

/// By what a message is recalled; `None` for one without a unique key.
#[must_use]
pub fn own_target(known: &KnownProperties<'_>) -> Option<String> {
    let (topic, _) = set_aside::destination(known)?;
    known.unique_key.map(|unique_key| target_text(topic, unique_key))
}

fn noted(properties: &[u8], name: &str, number: i64) -> Result<Vec<u8>, PropertyError> {
    properties::with(properties, name, &number.to_string())
}

#[cfg(test)]
mod tests {
    use cuemq_net::message::record;

    use super::*;

    const WAITING: &[u8] =
        b"TIMER_DELIVER_MS\x01900\x02TIMER_OUT_MS\x01899\x02REAL_TOPIC\x01T\x02REAL_QID\x014\x02UNIQ_KEY\x01K\x02";

    fn stored(properties: &[u8]) -> Vec<u8> {
        let host = "127.0.0.1:1".parse().unwrap();
        let fields = RecordFields {
            body: b"body",
            body_crc: record::body_crc(b"body"),
            topic: "rmq_sys_wheel_timer",
            properties,
            queue_id: 0,
            flag: 7,
            system_flag: 1,
            born_timestamp_ms: 5,
            born_host: host,
            store_host: host,
            reconsume_times: 3,
            prepared_transaction_offset: 0,
        };
        let mut bytes = Vec::new();
        record::encode(&fields, &mut bytes).unwrap();
        record::place(&mut bytes, 0, 0, 500).unwrap();
        bytes
    }

    #[test]
    fn a_delivered_message_has_its_own_topic_and_says_how_it_waited() {
        let bytes = stored(WAITING);
        let told = |fields: &RecordFields<'_>| {
            assert_eq!((fields.topic, fields.queue_id, fields.body), ("T", 4, &b"body"[..]));
            let waited = b"TIMER_ENQUEUE_MS\x01500\x02TIMER_DEQUEUE_MS\x01901\x02";
            assert_eq!(fields.properties, [WAITING, waited].concat());
        };
        delivery(&Record::parse(&bytes).unwrap(), 901, told).unwrap();
    }

    #[test]
    fn one_that_is_moved_counts_how_often() {
        let bytes = stored(WAITING);
        let told = |fields: &RecordFields<'_>| {
            assert_eq!((fields.topic, fields.queue_id), ("rmq_sys_wheel_timer", 0));
            assert!(fields.properties.ends_with(b"TIMER_ROLL_TIMES\x011\x02"));
            fields.properties.to_vec()
        };
        let once = moved(&Record::parse(&bytes).unwrap(), told).unwrap();
        let bytes = stored(&once);
        let twice = moved(&Record::parse(&bytes).unwrap(), |fields| fields.properties.to_vec()).unwrap();
        assert!(twice.ends_with(b"TIMER_ROLL_TIMES\x012\x02"));
    }

    #[test]
    fn a_recall_means_the_message_with_the_topic_and_key_that_it_says() {
        let own = own_target(&properties::known(WAITING));
        for says in ["T+K", "K"] {
            let recalls = format!("TIMER_DEL_UNIQKEY\x01{says}\x02REAL_TOPIC\x01T\x02REAL_QID\x010\x02");
            assert_eq!(target(&properties::known(recalls.as_bytes())), own);
        }
        assert_eq!(target(&properties::known(WAITING)), None);
    }
}
