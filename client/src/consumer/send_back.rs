//! Messages that a listener wants again go back to a broker, which gives them to the group once more after a while, or
//! puts them to the dead letters when they came too often (`sendMessageBack` in Java).
//!
//! First the broker that has the message is asked to do it (code 36). Where that fails, the message is sent as a new one to
//! the group's retry topic, on whatever broker takes it.

use std::time::Duration;

use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::message::properties::{self, PropertyError, name};
use cuemq_net::request::{SendBack, SendHeader};

use crate::error::{Cause, Error};
use crate::instance::{CREATE_TOPIC_KEY, Client};
use crate::received::{RETRY_TOPIC_PREFIX, ReceivedMessage};

/// How long a broker may take to take a message back.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The producer group in whose name messages are sent to retry topics: Java's inner producer's.
const INNER_PRODUCER_GROUP: &str = "CLIENT_INNER_PRODUCER";

/// The delay level of a message that comes for the first time again.
const FIRST_DELAY_LEVEL: i32 = 3;

/// How many queues a retry topic gets where a broker makes it by this.
const RETRY_QUEUES: i32 = 1;

/// Who sends back.
pub(crate) struct Returning<'a> {
    pub(crate) client: &'a Client,
    pub(crate) group: &'a str,
    pub(crate) unit_mode: bool,
    /// How often a message may come before it is a dead letter.
    pub(crate) max_reconsume_times: i32,
}

impl Returning<'_> {
    /// Sends a message back, to come after the time of a delay level; level 0 leaves that to the broker, and one below
    /// sends it to the dead letters.
    ///
    /// # Errors
    /// When no broker takes it. It may have been taken all the same where an answer was lost: then it comes twice.
    pub(crate) async fn send_back(&self, message: &ReceivedMessage, delay_level: i32) -> Result<(), Error> {
        let Err(error) = self.ask_to_take_back(message, delay_level).await else {
            return Ok(());
        };
        tracing::debug!(?message, %error, "its broker does not take a message back; it is sent to the retry topic");
        self.send_to_retry_topic(message, message.reconsume_times() + 1).await
    }

    async fn ask_to_take_back(&self, message: &ReceivedMessage, delay_level: i32) -> Result<(), Error> {
        let address = self.client.master(&message.queue().broker_name)?;
        let message_id = message.message_id();
        let header = SendBack {
            physical_offset: message.physical_offset(),
            group: self.group,
            delay_level,
            origin_msg_id: Some(&message_id),
            origin_topic: Some(message.stored_topic()),
            unit_mode: self.unit_mode,
            max_reconsume_times: Some(self.max_reconsume_times),
        };
        let request = Command::request(RequestCode::CONSUMER_SEND_MSG_BACK).with_header(|fields| header.write(fields));
        self.client.ask(&address, &request, TIMEOUT).await?;
        Ok(())
    }

    /// Sends a message to the group's retry topic as one that came so often; the broker makes a dead letter of it where that
    /// is `max_reconsume_times`.
    ///
    /// # Errors
    /// When no broker takes it.
    pub(crate) async fn send_to_retry_topic(
        &self,
        message: &ReceivedMessage,
        reconsume_times: i32,
    ) -> Result<(), Error> {
        let topic = format!("{RETRY_TOPIC_PREFIX}{}", self.group);
        let properties = retry_properties(message, reconsume_times, self.max_reconsume_times);
        let properties = properties.map_err(|error| Cause::Invalid(error.to_string()).nowhere().topic(&topic))?;
        let properties = String::from_utf8_lossy(&properties);
        let route = self.client.route(&topic).await?;
        let begin = self.client.chance().below(route.publish.len());
        let mut last = Cause::NoQueue.nowhere().topic(&topic);
        for queue in route.publish.iter().cycle().skip(begin).take(route.publish.len()) {
            let address = self.client.master(&queue.broker_name)?;
            let header = SendHeader {
                producer_group: INNER_PRODUCER_GROUP,
                topic: &topic,
                default_topic: CREATE_TOPIC_KEY,
                default_topic_queue_nums: RETRY_QUEUES,
                queue_id: queue.queue_id,
                sys_flag: message.compression_flag(),
                born_timestamp: self.client.now_ms(),
                flag: message.flag(),
                properties: Some(&properties),
                reconsume_times: Some(reconsume_times),
                unit_mode: self.unit_mode,
                max_reconsume_times: Some(self.max_reconsume_times),
                batch: false,
            };
            let (code, body) = (RequestCode::SEND_MESSAGE_V2, message.body());
            let sent = self
                .client
                .send(&address, code, |fields| header.write(fields), body, TIMEOUT)
                .await;
            match sent.and_then(|answer| answer.success().map_err(|cause| cause.nowhere().at(&address))) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// The properties of a message that is sent to a retry topic: its own, and what the broker has to know.
fn retry_properties(message: &ReceivedMessage, times: i32, max_times: i32) -> Result<Vec<u8>, PropertyError> {
    let mut out = Vec::new();
    let replaced = [
        name::RETRY_TOPIC,
        name::RECONSUME_TIME,
        name::MAX_RECONSUME_TIMES,
        name::ORIGIN_MESSAGE_ID,
        name::DELAY,
        name::TRANSACTION_PREPARED,
    ];
    for (name, value) in message.properties().iter().filter(|(name, _)| !replaced.contains(name)) {
        properties::push(&mut out, name, value)?;
    }
    let origin = message
        .property(name::ORIGIN_MESSAGE_ID)
        .map_or_else(|| message.message_id(), str::to_owned);
    let delay_level = FIRST_DELAY_LEVEL + times - 1;
    properties::push(&mut out, name::RETRY_TOPIC, message.stored_topic())?;
    properties::push(&mut out, name::RECONSUME_TIME, &times.to_string())?;
    properties::push(&mut out, name::MAX_RECONSUME_TIMES, &max_times.to_string())?;
    properties::push(&mut out, name::ORIGIN_MESSAGE_ID, &origin)?;
    properties::push(&mut out, name::DELAY, &delay_level.to_string())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::received::tests::{queue, stored};
    use cuemq_net::message::properties::Properties;

    #[test]
    fn a_message_for_the_retry_topic_keeps_its_properties_and_says_how_often_it_came() {
        let properties = b"TAGS\x01TagA\x02UNIQ_KEY\x01ABC\x02DELAY\x019\x02TRAN_MSG\x01true\x02color\x01red\x02";
        let bytes = stored("T", properties, b"x", 0, 0).into();
        let message = ReceivedMessage::read_all(&bytes, &queue("T")).unwrap().remove(0);
        let made = retry_properties(&message, 2, 16).unwrap();
        let made = Properties::new(&made);
        for (name, value) in [
            ("TAGS", Some("TagA")),
            ("color", Some("red")),
            ("RETRY_TOPIC", Some("T")),
            ("RECONSUME_TIME", Some("2")),
            ("MAX_RECONSUME_TIMES", Some("16")),
            ("ORIGIN_MESSAGE_ID", Some("ABC")),
            // 3 + the times it had come before
            ("DELAY", Some("4")),
            ("TRAN_MSG", None),
        ] {
            assert_eq!(made.get(name), value, "{name}");
        }
    }
}
