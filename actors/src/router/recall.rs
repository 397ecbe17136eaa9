//! A producer recalls a message that waits for its time (`RecallMessageProcessor` in Java): what says so waits as long, and
//! takes the message with it.

use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::message::properties::{self, PropertyError, name};
use cuemq_net::message::record::{self, RecordFields};
use cuemq_net::request::RecallMessage;

use super::broker_requests::{Asked, Refusal, read, refused};
use super::send_back::not_appended;
use crate::reappend::empty_batch;
use crate::timer::recalls::target_text;
use crate::timer::{Handle, until_time};

/// The tag of what recalls a message.
const TAG: &str = "_RECALL_TAG_";
const BODY: &[u8] = b"0";

fn illegal(remark: impl Into<String>) -> Refusal {
    (ResponseCode::ILLEGAL_OPERATION, remark.into())
}

/// The properties of what recalls the message of a handle, which was asked for by `group`.
fn properties_of(handle: &Handle, group: Option<&str>, now_ms: u64) -> Result<Vec<u8>, PropertyError> {
    let target = target_text(&handle.topic, &handle.unique_key);
    let born = now_ms.to_string();
    let mut all = Vec::new();
    for (name, value) in [
        (name::TAGS, TAG),
        (name::TIMER_DELETE_UNIQUE_KEY, &target),
        (name::UNIQUE_KEY, &handle.unique_key),
        (name::BORN_TIMESTAMP, &born),
        (name::PRODUCER_GROUP, group.unwrap_or_default()),
    ] {
        if !value.is_empty() {
            properties::push(&mut all, name, value)?;
        }
    }
    Ok(all)
}

impl Asked<'_> {
    /// Recalls a message (370). Success says that the message is not delivered unless it was due in that moment.
    pub(super) async fn recall(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(RecallMessage::read(&view))?;
        let now_ms = self.io.clock.now_ms();
        if let Some((_, remark)) = self.actors.reappender.gate.refusal(|| now_ms) {
            return Err((ResponseCode::SERVICE_NOT_AVAILABLE, remark.into_owned()));
        }
        if !self.side.topics.contains(header.topic) {
            let remark = format!("recall failed, the topic[{}] not exist", header.topic);
            return Err((ResponseCode::TOPIC_NOT_EXIST, remark));
        }
        let handle = Handle::read(header.handle).map_err(|error| illegal(error.to_string()))?;
        if handle.topic != header.topic {
            return Err(illegal("recall failed, topic not match"));
        }
        if handle.broker != self.io.identity.broker_name {
            return Err(illegal("recall failed, broker service not available"));
        }
        let at_ms: u64 = handle.time.parse().unwrap_or(0);
        let max_ms = self.side.timers.max.as_millis();
        if at_ms <= now_ms || u128::from(at_ms - now_ms) >= max_ms {
            return Err(illegal("recall failed, timestamp invalid"));
        }
        let broken = |error: &dyn std::fmt::Display| refused(format!("recall failed, execute error: {error}"));
        let properties = properties_of(&handle, header.producer_group, now_ms).map_err(|error| broken(&error))?;
        let aside = until_time((&handle.topic, 0), &properties, at_ms).map_err(|error| broken(&error))?;
        let store_host = self.io.identity.store_host;
        let fields = RecordFields {
            body: BODY,
            body_crc: record::body_crc(BODY),
            topic: aside.topic,
            properties: &aside.properties,
            queue_id: 0,
            flag: 0,
            system_flag: 0,
            born_timestamp_ms: i64::try_from(now_ms).unwrap_or(i64::MAX),
            born_host: self.remote(),
            store_host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
        };
        let (reappender, mut batch) = (&self.actors.reappender, empty_batch());
        reappender.push(&mut batch, &fields).map_err(|error| broken(&error))?;
        match reappender.append(batch).await {
            Ok(_) => Ok(self
                .success()
                .with_field("msgId", handle.unique_key)
                .with_field("MSG_REGION", self.io.identity.region.clone())),
            Err(error) => Err(not_appended(&error)),
        }
    }
}
