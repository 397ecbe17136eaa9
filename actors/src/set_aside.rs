//! Messages that are set aside before they reach their own topic: until their delay is over, or until their transaction has
//! ended. Meanwhile they lie in a topic of the system, and their own topic and queue stand in their properties
//! (`CommitLog.putMessage`, `TransactionalMessageBridge.parseHalfMessageInner` in Java).

use std::borrow::Cow;

use cuemq_net::message::properties::{self, KnownProperties, PropertyError, name};
use cuemq_net::message::record::RecordFields;
use cuemq_storage::delay_level::{DelayLevels, SCHEDULE_TOPIC};

/// The topic of the messages whose transaction is open.
pub const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";

/// Where a message lies that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// The topic of the system.
    pub topic: &'static str,
    /// The queue.
    pub queue_id: u32,
    /// The message's properties with its own topic and queue.
    pub properties: Vec<u8>,
}

impl Aside {
    /// Lets a record lie here in place of its own topic and queue.
    pub fn place<'a>(&'a self, fields: &mut RecordFields<'a>) {
        fields.topic = self.topic;
        fields.queue_id = i32::try_from(self.queue_id).unwrap_or(i32::MAX);
        fields.properties = &self.properties;
    }
}

/// A delay level that is no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the delay level `{0}` is no number: set DELAY to 0 or a level")]
pub struct NoLevel(String);

/// The delay level that properties ask for; 0 for none.
///
/// # Errors
/// When it is no number: what cannot be understood is not delivered at once.
pub fn delay_level(known: &KnownProperties<'_>) -> Result<i64, NoLevel> {
    let Some(level) = known.delay_level else { return Ok(0) };
    let level: i32 = level.parse().map_err(|_| NoLevel(level.to_owned()))?;
    Ok(i64::from(level.max(0)))
}

/// Sets a message of `topic` and `queue_id` aside until the delay of `level`, which is above 0, is over. A level beyond the
/// table is its highest.
///
/// # Errors
/// When the topic cannot stand in properties.
pub fn until_due(
    levels: &DelayLevels,
    (topic, queue_id): (&str, u32),
    properties: &[u8],
    level: i64,
) -> Result<Aside, PropertyError> {
    let highest = i64::from(levels.highest()).max(1);
    // A level wins over a time, of which nothing is left.
    let times = [name::TIMER_DELIVER_MS, name::TIMER_DELAY_SECONDS, name::TIMER_DELAY_MS];
    let untimed = times
        .into_iter()
        .filter(|name| memchr::memmem::find(properties, name.as_bytes()).is_some())
        .fold(Cow::Borrowed(properties), |left, name| {
            properties::without(&left, name).into()
        });
    let mut properties = with_destination(&untimed, topic, queue_id)?;
    if level > highest {
        properties = properties::with(&properties, name::DELAY, &highest.to_string())?;
    }
    Ok(Aside {
        topic: SCHEDULE_TOPIC,
        queue_id: u32::try_from(level.min(highest) - 1).unwrap_or(0),
        properties,
    })
}

/// Sets the half message of a transaction aside.
///
/// # Errors
/// When the topic cannot stand in properties.
pub fn until_ended((topic, queue_id): (&str, u32), properties: &[u8]) -> Result<Aside, PropertyError> {
    Ok(Aside {
        topic: HALF_TOPIC,
        queue_id: 0,
        properties: with_destination(properties, topic, queue_id)?,
    })
}

/// The topic and queue that a message which was set aside goes to; `None` when its properties do not tell.
#[must_use]
pub fn destination<'a>(known: &KnownProperties<'a>) -> Option<(&'a str, u32)> {
    let queue_id = known.real_queue_id?.parse().ok()?;
    known.real_topic.map(|topic| (topic, queue_id))
}

pub(crate) fn with_destination(properties: &[u8], topic: &str, queue_id: u32) -> Result<Vec<u8>, PropertyError> {
    let properties = properties::with(properties, name::REAL_TOPIC, topic)?;
    properties::with(&properties, name::REAL_QUEUE_ID, &queue_id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_its_queue_and_one_beyond_the_table_the_last() {
        let levels = DelayLevels::default();
        let aside = until_due(&levels, ("T", 3), b"DELAY\x012\x02", 2).unwrap();
        assert_eq!((aside.topic, aside.queue_id), ("SCHEDULE_TOPIC_XXXX", 1));
        assert_eq!(aside.properties, b"DELAY\x012\x02REAL_TOPIC\x01T\x02REAL_QID\x013\x02");
        let beyond = until_due(&levels, ("T", 3), b"DELAY\x0199\x02", 99).unwrap();
        assert_eq!(beyond.queue_id, 17);
        assert!(beyond.properties.starts_with(b"DELAY\x0118\x02"));
    }

    #[test]
    fn a_level_wins_over_a_time() {
        let timed =
            b"DELAY\x012\x02TIMER_DELAY_SEC\x019\x02KEYS\x01k\x02TIMER_DELIVER_MS\x019\x02TIMER_DELAY_MS\x019\x02";
        let aside = until_due(&DelayLevels::default(), ("T", 3), timed, 2).unwrap();
        assert_eq!(
            aside.properties,
            b"DELAY\x012\x02KEYS\x01k\x02REAL_TOPIC\x01T\x02REAL_QID\x013\x02"
        );
    }

    #[test]
    fn what_is_set_aside_knows_where_it_goes() {
        let aside = until_ended(("T", 7), b"REAL_TOPIC\x01forged\x02").unwrap();
        assert_eq!((aside.topic, aside.queue_id), (HALF_TOPIC, 0));
        assert_eq!(destination(&properties::known(&aside.properties)), Some(("T", 7)));
        assert_eq!(
            destination(&properties::known(b"REAL_TOPIC\x01T\x02REAL_QID\x01x\x02")),
            None
        );
    }

    #[test]
    fn a_level_that_is_no_number_is_an_error_and_one_below_zero_none() {
        let level = |text: &'static str| {
            delay_level(&KnownProperties {
                delay_level: Some(text),
                ..KnownProperties::default()
            })
        };
        assert_eq!(level("5"), Ok(5));
        assert_eq!(level("-1"), Ok(0));
        assert_eq!(level("soon"), Err(NoLevel("soon".to_owned())));
        assert_eq!(delay_level(&KnownProperties::default()), Ok(0));
    }
}
