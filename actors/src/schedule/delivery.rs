//! A message that was set aside, as it is written for its own topic.

use cuemq_net::message::properties;
use cuemq_net::message::record::{Record, RecordError, RecordFields};

use crate::reappend::fields_of;
use crate::set_aside::{self, HALF_TOPIC};

/// Why a message that was set aside has nowhere to go. Nothing of it can be mended: it stays where it is and is passed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undeliverable {
    /// It does not say what its topic is.
    #[error("its properties name no topic and queue to go to")]
    NoDestination,
    /// It would become an open transaction, which nobody would end.
    #[error("it would become a half message")]
    HalfMessage,
    /// The record has no text for a topic.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The record for the topic and queue that a message was sent to. All else is as it was: the delay level stays among the
/// properties, as in Java, and has no effect in that topic.
///
/// # Errors
/// When it has nowhere to go.
pub fn delivery<'a>(record: &Record<'a>) -> Result<RecordFields<'a>, Undeliverable> {
    let known = properties::known(record.properties());
    let (topic, queue_id) = set_aside::destination(&known).ok_or(Undeliverable::NoDestination)?;
    if topic == HALF_TOPIC {
        return Err(Undeliverable::HalfMessage);
    }
    Ok(RecordFields {
        topic,
        queue_id: i32::try_from(queue_id).map_err(|_| Undeliverable::NoDestination)?,
        ..fields_of(record)?
    })
}

#[cfg(test)]
mod tests {
    use cuemq_storage::delay_level::SCHEDULE_TOPIC;

    use super::*;
    use crate::testing::records::{message, stored};

    fn waiting(properties: &[u8]) -> Vec<u8> {
        let fields = RecordFields {
            system_flag: 1,
            reconsume_times: 3,
            ..message(SCHEDULE_TOPIC, properties)
        };
        stored(&fields, (0, 0, 0))
    }

    #[test]
    fn a_delivered_message_has_its_own_topic_and_all_else_as_it_was() {
        let properties = b"DELAY\x013\x02REAL_TOPIC\x01T\x02REAL_QID\x014\x02";
        let bytes = waiting(properties);
        let fields = delivery(&Record::parse(&bytes).unwrap()).unwrap();
        assert_eq!((fields.topic, fields.queue_id), ("T", 4));
        assert_eq!((fields.body, fields.properties), (&b"body"[..], &properties[..]));
        assert_eq!((fields.flag, fields.system_flag, fields.reconsume_times), (7, 1, 3));
    }

    #[test]
    fn one_without_a_way_is_told_why() {
        let why = |properties: &[u8]| delivery(&Record::parse(&waiting(properties)).unwrap()).unwrap_err();
        assert_eq!(why(b"DELAY\x013\x02"), Undeliverable::NoDestination);
        let half = b"REAL_TOPIC\x01RMQ_SYS_TRANS_HALF_TOPIC\x02REAL_QID\x010\x02";
        assert_eq!(why(half), Undeliverable::HalfMessage);
    }
}
