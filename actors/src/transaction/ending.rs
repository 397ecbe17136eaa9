//! The records that the end of a transaction leaves, and the question how it ended.

use std::net::SocketAddr;

use cuemq_net::message::properties::{self, PropertyError, name};
use cuemq_net::message::record::{self, Record, RecordError, RecordFields};
use cuemq_net::message::sysflag::{self, TransactionType};
use cuemq_net::request::EndTransaction;
use cuemq_storage::delay_level::DelayLevels;

use super::END_TOPIC;
use crate::reappend::fields_of;
use crate::set_aside;
use crate::timer::{taken_time, until_time};

/// The tag of a note that says which half message is done.
const DONE: &str = "d";

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its message is delivered.
    Commit,
    /// Its message is not.
    Rollback,
}

impl Ending {
    /// What a request says; `None` when its sender does not know either.
    #[must_use]
    pub fn of(commit_or_rollback: i32) -> Option<Self> {
        match sysflag::transaction_type(commit_or_rollback) {
            TransactionType::Commit => Some(Self::Commit),
            TransactionType::Rollback => Some(Self::Rollback),
            TransactionType::None | TransactionType::Prepared => None,
        }
    }
}

/// Why a transaction cannot be ended so. The texts are RocketMQ's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongEnding {
    /// There is no such half message.
    #[error("Find prepared transaction message failed")]
    NotFound,
    /// It is of another group.
    #[error("The producer group wrong")]
    Group,
    /// It stands elsewhere in the half topic.
    #[error("The transaction state table offset wrong")]
    QueueOffset,
    /// It lies elsewhere in the log.
    #[error("The commit log offset wrong")]
    PhysicalOffset,
    /// It does not say where it goes.
    #[error("The half message names no topic and queue to go to")]
    NoDestination,
    /// It cannot be written.
    #[error("The message cannot be written: {0}")]
    Record(#[from] RecordError),
    /// It cannot be set aside.
    #[error("The message cannot be written: {0}")]
    Property(#[from] PropertyError),
}

/// Whether a request means this half message.
///
/// # Errors
/// Says what is different.
pub fn matches(record: &Record<'_>, request: &EndTransaction<'_>) -> Result<(), WrongEnding> {
    if record.topic().ok() != Some(set_aside::HALF_TOPIC) {
        return Err(WrongEnding::NotFound);
    }
    let known = properties::known(record.properties());
    if known.producer_group != Some(request.producer_group) {
        return Err(WrongEnding::Group);
    }
    if i64::try_from(record.queue_offset()) != Ok(request.queue_offset) {
        return Err(WrongEnding::QueueOffset);
    }
    if i64::try_from(record.physical_offset()) != Ok(request.physical_offset) {
        return Err(WrongEnding::PhysicalOffset);
    }
    Ok(())
}

/// Calls `with` with the record that a commit delivers: to the message's own topic, or if it has a delay to where it waits
/// for that.
///
/// # Errors
/// When it has nowhere to go.
pub fn commit<R>(
    half: &Record<'_>,
    (store_host, levels, now_ms): (SocketAddr, &DelayLevels, u64),
    with: impl FnOnce(&RecordFields<'_>) -> R,
) -> Result<R, WrongEnding> {
    let known = properties::known(half.properties());
    let (topic, queue_id) = set_aside::destination(&known).ok_or(WrongEnding::NoDestination)?;
    let mut fields = RecordFields {
        topic,
        queue_id: i32::try_from(queue_id).map_err(|_| WrongEnding::NoDestination)?,
        system_flag: sysflag::with_transaction_type(half.system_flag(), TransactionType::Commit),
        store_host,
        prepared_transaction_offset: i64::try_from(half.physical_offset()).unwrap_or(0),
        ..fields_of(half)?
    };
    let aside;
    // What is no level cannot have been taken by this broker; in a store of Java's it has none either.
    let level = set_aside::delay_level(&known).unwrap_or(0);
    let waits = match (level, taken_time(&known, now_ms)) {
        (1.., _) => Some(set_aside::until_due(
            levels,
            (topic, queue_id),
            half.properties(),
            level,
        )?),
        (_, Some(at_ms)) => Some(until_time((topic, queue_id), half.properties(), at_ms)?),
        _ => None,
    };
    if let Some(waits) = waits {
        aside = waits;
        aside.place(&mut fields);
    }
    Ok(with(&fields))
}

/// Calls `with` with the note that the half message at this queue offset is done.
///
/// # Errors
/// When its id cannot stand in properties.
pub fn end_note<R>(
    half_queue_offset: u64,
    id: &str,
    (host, now_ms): (SocketAddr, i64),
    with: impl FnOnce(&RecordFields<'_>) -> R,
) -> Result<R, PropertyError> {
    let body = half_queue_offset.to_string();
    let mut note = Vec::new();
    for (name, value) in [(name::TAGS, DONE), (name::WAIT, "false"), (name::UNIQUE_KEY, id)] {
        properties::push(&mut note, name, value)?;
    }
    Ok(with(&RecordFields {
        body: body.as_bytes(),
        body_crc: record::body_crc(body.as_bytes()),
        topic: END_TOPIC,
        properties: &note,
        queue_id: 0,
        flag: 0,
        system_flag: 0,
        born_timestamp_ms: now_ms,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
    }))
}

/// The body of the question how a transaction ended: the half message as its producer sent it, at the place where it lies now.
///
/// # Errors
/// When it has nowhere to go.
pub(super) fn question(half: &Record<'_>) -> Result<Vec<u8>, WrongEnding> {
    let known = properties::known(half.properties());
    let (topic, queue_id) = set_aside::destination(&known).ok_or(WrongEnding::NoDestination)?;
    let fields = RecordFields {
        topic,
        queue_id: i32::try_from(queue_id).map_err(|_| WrongEnding::NoDestination)?,
        ..fields_of(half)?
    };
    let mut body = Vec::new();
    record::encode(&fields, &mut body)?;
    record::place(
        &mut body,
        half.queue_offset(),
        half.physical_offset(),
        half.store_timestamp_ms(),
    )?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::records::{message, stored};

    fn half(properties: &[u8]) -> Vec<u8> {
        let fields = RecordFields {
            queue_id: 0,
            system_flag: 1,
            ..message(set_aside::HALF_TOPIC, properties)
        };
        stored(&fields, (3, 4096, 77))
    }

    fn host() -> SocketAddr {
        "127.0.0.1:10911".parse().unwrap()
    }

    const PROPERTIES: &[u8] = b"TRAN_MSG\x01true\x02PGROUP\x01g\x02REAL_TOPIC\x01T\x02REAL_QID\x014\x02";

    fn request(group: &str, queue_offset: i64, physical_offset: i64) -> EndTransaction<'_> {
        EndTransaction {
            producer_group: group,
            queue_offset,
            physical_offset,
            commit_or_rollback: 8,
            from_transaction_check: false,
            msg_id: "",
            transaction_id: None,
        }
    }

    #[test]
    fn only_the_half_message_that_is_meant_is_ended() {
        let bytes = half(PROPERTIES);
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(matches(&record, &request("g", 3, 4096)), Ok(()));
        assert_eq!(matches(&record, &request("other", 3, 4096)), Err(WrongEnding::Group));
        assert_eq!(matches(&record, &request("g", 4, 4096)), Err(WrongEnding::QueueOffset));
        assert_eq!(matches(&record, &request("g", 3, 0)), Err(WrongEnding::PhysicalOffset));
    }

    #[test]
    fn a_commit_delivers_to_the_messages_own_topic_and_says_which_half_it_was() {
        let bytes = half(PROPERTIES);
        let told = |fields: &RecordFields<'_>| {
            assert_eq!((fields.topic, fields.queue_id), ("T", 4));
            assert_eq!((fields.system_flag, fields.prepared_transaction_offset), (9, 4096));
            assert_eq!((fields.body, fields.properties), (&b"body"[..], PROPERTIES));
        };
        commit(
            &Record::parse(&bytes).unwrap(),
            (host(), &DelayLevels::default(), 0),
            told,
        )
        .unwrap();
    }

    #[test]
    fn the_delay_of_a_half_message_begins_with_its_commit() {
        let bytes = half(&[PROPERTIES, b"DELAY\x012\x02"].concat());
        let told = |fields: &RecordFields<'_>| {
            assert_eq!((fields.topic, fields.queue_id), ("SCHEDULE_TOPIC_XXXX", 1));
            let known = properties::known(fields.properties);
            assert_eq!(set_aside::destination(&known), Some(("T", 4)));
        };
        commit(
            &Record::parse(&bytes).unwrap(),
            (host(), &DelayLevels::default(), 0),
            told,
        )
        .unwrap();
    }

    #[test]
    fn a_half_message_with_a_time_waits_for_it_when_it_is_committed() {
        let bytes = half(&[PROPERTIES, b"TIMER_DELAY_SEC\x012\x02"].concat());
        let told = |fields: &RecordFields<'_>| {
            assert_eq!((fields.topic, fields.queue_id), ("rmq_sys_wheel_timer", 0));
            let known = properties::known(fields.properties);
            assert_eq!(known.timer_deliver_ms, Some("2700"));
            assert_eq!(set_aside::destination(&known), Some(("T", 4)));
        };
        commit(
            &Record::parse(&bytes).unwrap(),
            (host(), &DelayLevels::default(), 700),
            told,
        )
        .unwrap();
    }

    #[test]
    fn a_producer_is_asked_with_its_own_message_at_the_place_where_it_lies_now() {
        let bytes = half(PROPERTIES);
        let body = question(&Record::parse(&bytes).unwrap()).unwrap();
        let record = Record::parse(&body).unwrap();
        assert_eq!((record.topic().unwrap(), record.queue_id()), ("T", 4));
        assert_eq!((record.queue_offset(), record.physical_offset()), (3, 4096));
        assert_eq!(record.store_timestamp_ms(), 77);
    }

    #[test]
    fn a_sender_who_does_not_know_ends_nothing() {
        let endings = [0, 4, 8, 12].map(Ending::of);
        assert_eq!(endings, [None, None, Some(Ending::Commit), Some(Ending::Rollback)]);
    }
}
