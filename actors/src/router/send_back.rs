//! A consumer gives a message back that it could not consume (`SendMessageProcessor.asyncConsumerSendMsgBack` in Java): it
//! comes again later by the group's retry topic, or rests among the group's dead letters.

use std::net::SocketAddr;
use std::sync::Arc;

use cuemq_net::body::SubscriptionGroupConfig;
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::properties::{self, name};
use cuemq_net::message::record::{Record, RecordFields};
use cuemq_net::request::SendBack;
use cuemq_net::version::Version;
use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::position::PhysicalOffset;

use super::broker_requests::{Asked, Refusal, again, read, refused};
use super::wanted::TopicWanted;
use crate::group::actor::FindOrCreateGroup;
use crate::reappend::{NotAppended, empty_batch, fields_of};
use crate::set_aside;
use crate::table_file::ChangeError;
use crate::topic::actor::CreateRetryTopic;
use crate::topic::{DEAD_LETTER_PREFIX, RETRY_PREFIX, Topic};

/// The level of the first retry, less one: a message waits the longer the more often it came back.
const FIRST_LEVEL: i64 = 3;

/// What becomes of a message that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is delivered again when the delay of this level is over.
    Retried(i64),
    /// It is a dead letter.
    Dead,
}

/// What becomes of a message that has come back `times` times already, of which `limit` are allowed; `level` is what the
/// consumer asks for.
fn fate(times: i32, limit: i32, level: i32) -> Fate {
    match level {
        _ if times >= limit => Fate::Dead,
        ..0 => Fate::Dead,
        0 => Fate::Retried(FIRST_LEVEL + i64::from(times)),
        level => Fate::Retried(level.into()),
    }
}

/// Where a message that comes back is written.
struct Place<'a> {
    topic: &'a str,
    queue_id: u32,
    store_host: SocketAddr,
    levels: &'a DelayLevels,
}

/// The properties of a message that comes back: where it was first, and which message it was first.
fn properties_of(record: &Record<'_>) -> Result<Vec<u8>, Refusal> {
    let broken = |error: &dyn std::fmt::Display| refused(format!("the message cannot be written again: {error}"));
    let old = properties::Properties::new(record.properties());
    let mut properties = record.properties().to_vec();
    if old.get(name::RETRY_TOPIC).is_none() {
        let topic = record.topic().map_err(|error| broken(&error))?;
        properties = properties::with(&properties, name::RETRY_TOPIC, topic).map_err(|error| broken(&error))?;
    }
    let id = OffsetMessageId {
        host: record.store_host(),
        physical_offset: record.physical_offset(),
    };
    let origin = old
        .get(name::ORIGIN_MESSAGE_ID)
        .filter(|origin| !origin.trim().is_empty());
    properties = properties::with(&properties, name::ORIGIN_MESSAGE_ID, origin.unwrap_or(&id.to_string()))
        .map_err(|error| broken(&error))?;
    properties::with(&properties, name::WAIT, "false").map_err(|error| broken(&error))
}

/// Calls `with` with the record of a message that comes back.
fn rewritten<R>(
    record: &Record<'_>,
    place: &Place<'_>,
    fate: Fate,
    with: impl FnOnce(&RecordFields<'_>) -> R,
) -> Result<R, Refusal> {
    let broken = |error: &dyn std::fmt::Display| refused(format!("the message cannot be written again: {error}"));
    let properties = properties_of(record)?;
    let mut fields = RecordFields {
        topic: place.topic,
        queue_id: i32::try_from(place.queue_id).unwrap_or(0),
        store_host: place.store_host,
        reconsume_times: record.reconsume_times().saturating_add(1),
        prepared_transaction_offset: 0,
        ..fields_of(record).map_err(|error| broken(&error))?
    };
    let aside;
    let level = match fate {
        Fate::Retried(level) => level,
        Fate::Dead => 0,
    };
    let properties = properties::with(&properties, name::DELAY, &level.to_string()).map_err(|error| broken(&error))?;
    fields.properties = &properties;
    if level > 0 {
        aside = set_aside::until_due(place.levels, (place.topic, place.queue_id), &properties, level)
            .map_err(|error| broken(&error))?;
        aside.place(&mut fields);
    }
    Ok(with(&fields))
}

impl Asked<'_> {
    /// Takes a message back (36).
    pub(super) async fn send_back(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(SendBack::read(&view))?;
        let group = self.group_of(header.group).await?;
        if !self.io.identity.permission().is_writeable() {
            let ip = self.io.identity.store_host.ip();
            let remark = format!("the broker[{ip}] sending message is forbidden");
            return Err((ResponseCode::NO_PERMISSION, remark));
        }
        if group.retry_queue_nums == 0 {
            return Ok(self.success());
        }
        // A consumer that fails at everything must not take the room that is left for what waits.
        if let Some((code, remark)) = self.side.gate.refusal(|| self.io.clock.now_ms()) {
            return Err((code, remark.into_owned()));
        }
        let retry_topic = self.retry_topic(header.group, &group, header.unit_mode).await?;
        if !retry_topic.permission().is_writeable() {
            let remark = format!("the topic[{}] sending message is forbidden", retry_topic.name);
            return Err((ResponseCode::NO_PERMISSION, remark));
        }
        let bytes = self.record_at(header.physical_offset).await?;
        let record = Record::parse(&bytes).map_err(|error| refused(error.to_string()))?;
        let of_header = header
            .max_reconsume_times
            .filter(|_| Version(self.request.version.0).max_reconsume_overrides());
        let limit = of_header.unwrap_or(group.retry_max_times);
        let fate = fate(record.reconsume_times(), limit, header.delay_level);
        let (topic, queues) = match fate {
            Fate::Retried(_) => (retry_topic, group.retry_queue_nums),
            Fate::Dead => (self.dead_letters(header.group).await?, 1),
        };
        let queue_id = u32::try_from(self.io.entropy.below(queues.into())).unwrap_or(0);
        let reappender = &self.actors.reappender;
        let place = Place {
            topic: &topic.name,
            queue_id,
            store_host: self.io.identity.store_host,
            levels: &reappender.levels,
        };
        let mut batch = empty_batch();
        let pushed = rewritten(&record, &place, fate, |fields| reappender.push(&mut batch, fields))?;
        pushed.map_err(|error| refused(format!("the message cannot be written again: {error}")))?;
        match reappender.append(batch).await {
            Ok(_) => {
                self.count(&record, header.group, bytes.len());
                Ok(self.success())
            }
            // Java tells the name of what its store answered; this one says more.
            Err(error) => Err(not_appended(&error)),
        }
    }

    /// Counts it by the topic that it was sent to (`BrokerStatsManager.incSendBackNums`).
    fn count(&self, record: &Record<'_>, group: &str, bytes: usize) {
        let properties = properties::Properties::new(record.properties());
        let topic = properties.get(name::RETRY_TOPIC).or_else(|| record.topic().ok());
        let Some(topic) = topic.and_then(|topic| self.side.topics.get(topic)) else {
            return;
        };
        let is_known = |topic: &str, group: &str| self.side.topics.contains(topic) && self.side.groups.contains(group);
        self.io.traffic.gave_back(&topic.name, group, bytes as u64, is_known);
    }

    /// A group's settings, which its first use makes where that is allowed.
    async fn group_of(&self, name: &str) -> Result<SubscriptionGroupConfig, Refusal> {
        let group: Arc<str> = Arc::from(name);
        let found = self
            .actors
            .groups
            .send(FindOrCreateGroup { group })
            .await
            .map_err(again)?;
        match found {
            Ok(group) => Ok(group.config.clone()),
            Err(ChangeError::Refused(_)) => {
                let remark = format!("subscription group not exist, {name}");
                Err((ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark))
            }
            Err(error) => Err(refused(error.to_string())),
        }
    }

    async fn retry_topic(
        &self,
        group: &str,
        config: &SubscriptionGroupConfig,
        unit: bool,
    ) -> Result<Arc<Topic>, Refusal> {
        if let Some(topic) = self.side.topics.get(&format!("{RETRY_PREFIX}{group}")) {
            return Ok(topic);
        }
        let create = CreateRetryTopic {
            group: Arc::from(group),
            queue_nums: config.retry_queue_nums,
            unit,
        };
        let made = self.actors.create_retry.send(create).await.map_err(again)?;
        made.map_err(|error| refused(error.to_string()))
    }

    async fn dead_letters(&self, group: &str) -> Result<Arc<Topic>, Refusal> {
        let group = group.to_owned();
        let name = format!("{DEAD_LETTER_PREFIX}{group}");
        self.io.router.make(TopicWanted::DeadLetters { group }).await?;
        self.existing_topic(&name)
    }

    /// The record at a position of the log.
    async fn record_at(&self, at: i64) -> Result<Vec<u8>, Refusal> {
        let bytes = match u64::try_from(at) {
            Ok(at) => self.records(vec![PhysicalOffset(at)]).await?,
            Err(_) => Vec::new(),
        };
        match bytes.is_empty() {
            true => Err(refused(format!("look message by offset failed, {at}"))),
            false => Ok(bytes),
        }
    }
}

/// What is told of a record that was not appended.
pub(super) fn not_appended(error: &NotAppended) -> Refusal {
    let code = match error {
        NotAppended::Refused(_) => ResponseCode::SERVICE_NOT_AVAILABLE,
        NotAppended::Unknown => ResponseCode::SYSTEM_ERROR,
    };
    (code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::records::{message, stored};

    fn given_back(properties: &[u8], times: i32) -> Vec<u8> {
        let fields = RecordFields {
            reconsume_times: times,
            prepared_transaction_offset: 9,
            ..message("T", properties)
        };
        stored(&fields, (1, 4096, 77))
    }

    /// Topic, queue, times and properties of what is written for a message that comes back.
    fn back(bytes: &[u8], fate: Fate) -> (String, i32, i32, String) {
        let place = Place {
            topic: "%RETRY%g",
            queue_id: 0,
            store_host: "127.0.0.1:10911".parse().unwrap(),
            levels: &DelayLevels::default(),
        };
        let told = |fields: &RecordFields<'_>| {
            let properties = String::from_utf8(fields.properties.to_vec()).unwrap();
            (
                fields.topic.to_owned(),
                fields.queue_id,
                fields.reconsume_times,
                properties,
            )
        };
        rewritten(&Record::parse(bytes).unwrap(), &place, fate, told).unwrap()
    }

    #[test]
    fn the_more_often_a_message_came_back_the_longer_it_waits_until_it_is_dead() {
        assert_eq!(fate(0, 16, 0), Fate::Retried(3));
        assert_eq!(fate(15, 16, 0), Fate::Retried(18));
        assert_eq!(fate(16, 16, 0), Fate::Dead);
        assert_eq!(fate(0, 16, 5), Fate::Retried(5), "the consumer's own level");
        assert_eq!(fate(0, 16, -1), Fate::Dead, "the consumer gives it up");
        assert_eq!(fate(0, 0, 0), Fate::Dead);
    }

    #[test]
    fn a_retried_message_waits_for_its_level_and_knows_where_it_was_first() {
        let (topic, queue_id, times, properties) = back(&given_back(b"TAGS\x01a\x02", 0), Fate::Retried(3));
        assert_eq!((&*topic, queue_id, times), ("SCHEDULE_TOPIC_XXXX", 2, 1));
        let known = properties::Properties::from(properties.as_str());
        let is = |name, value| assert_eq!(known.get(name), Some(value));
        is("TAGS", "a");
        is("RETRY_TOPIC", "T");
        is("REAL_TOPIC", "%RETRY%g");
        is("REAL_QID", "0");
        is("DELAY", "3");
        is("ORIGIN_MESSAGE_ID", "7F00000100002A9F0000000000001000");
    }

    #[test]
    fn a_dead_letter_waits_for_nothing_and_keeps_its_first_place() {
        let properties = b"RETRY_TOPIC\x01First\x02ORIGIN_MESSAGE_ID\x01ID\x02DELAY\x0118\x02";
        let (topic, _, times, properties) = back(&given_back(properties, 16), Fate::Dead);
        assert_eq!((&*topic, times), ("%RETRY%g", 17));
        let known = properties::Properties::from(properties.as_str());
        assert_eq!(known.get("RETRY_TOPIC"), Some("First"));
        assert_eq!(known.get("ORIGIN_MESSAGE_ID"), Some("ID"));
        assert_eq!(known.get("DELAY"), Some("0"));
    }
}
