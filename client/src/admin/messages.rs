//! Finding messages again (codes 12 and 33): by the id of their position, by the id that their producer gave them, by key.

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::properties::name;
use cuemq_net::message::record::records;
use cuemq_net::request::{QueryMessage, ViewMessage};

use super::{Admin, LONG};
use crate::error::{Cause, Error, success};
use crate::received::ReceivedMessage;

/// How many messages of one id are looked through.
const OF_ONE_ID: i32 = 32;

impl Admin {
    /// The message at the position that an id tells, the `offset_msg_id` of a [`SendResult`](crate::SendResult) (33).
    ///
    /// # Errors
    /// When the text is no such id, its broker cannot be reached, or the message is no longer there.
    pub async fn view_message_at(&self, offset_msg_id: &str) -> Result<ReceivedMessage, Error> {
        let id: Result<OffsetMessageId, _> = offset_msg_id.parse();
        let id = id.map_err(|error| Cause::Invalid(format!("{offset_msg_id:?}: {error}")))?;
        let header = ViewMessage {
            physical_offset: id.physical_offset.cast_signed(),
        };
        let address = id.host.to_string();
        let answer = self
            .ask(
                &address,
                RequestCode::VIEW_MESSAGE_BY_ID,
                |fields| header.write(fields),
                "",
            )
            .await?;
        Ok(ReceivedMessage::read_one(&answer.body, "").map_err(Cause::from)?)
    }

    /// The message with an id, be it that of its position or that which its producer gave it; `None` where no broker of the
    /// topic has it.
    ///
    /// # Errors
    /// When no name server knows the topic, or no broker answers.
    pub async fn view_message(&self, topic: &str, id: &str) -> Result<Option<ReceivedMessage>, Error> {
        if let Ok(found) = self.view_message_at(id).await
            && found.topic() == topic
        {
            return Ok(Some(found));
        }
        self.query_message_by_unique_key(topic, id).await
    }

    /// The first message that its producer gave this id (12); `None` where no broker of the topic has it.
    ///
    /// # Errors
    /// When no name server knows the topic, or no broker answers.
    pub async fn query_message_by_unique_key(&self, topic: &str, id: &str) -> Result<Option<ReceivedMessage>, Error> {
        let header = QueryMessage {
            topic,
            key: id,
            max_num: OF_ONE_ID,
            begin_timestamp: 0,
            end_timestamp: i64::MAX,
            unique_key_query: true,
        };
        let mut found = self.query(&header).await?;
        found.retain(|message| message.property(name::UNIQUE_KEY) == Some(id));
        Ok(found.into_iter().min_by_key(ReceivedMessage::store_timestamp_ms))
    }

    /// At most so many messages of each broker that have a key and were stored in a time, in ms since 1970 (12); the latest
    /// first.
    ///
    /// # Errors
    /// When no name server knows the topic, or no broker answers.
    pub async fn query_message(
        &self,
        topic: &str,
        key: &str,
        max_num: i32,
        begin_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<ReceivedMessage>, Error> {
        let header = QueryMessage {
            topic,
            key,
            max_num,
            begin_timestamp: begin_ms,
            end_timestamp: end_ms,
            unique_key_query: false,
        };
        let mut found = self.query(&header).await?;
        // brokers find keys by their hash
        found.retain(|message| message.keys().any(|other| other == key));
        found.sort_by_key(|message| std::cmp::Reverse(message.store_timestamp_ms()));
        Ok(found)
    }

    /// Asks one of each of the topic's brokers; one that cannot be asked fails the query only if no other answers.
    async fn query(&self, header: &QueryMessage<'_>) -> Result<Vec<ReceivedMessage>, Error> {
        let mut found = Vec::new();
        let (mut has_answer, mut last) = (false, None);
        for address in self.brokers_of(header.topic).await? {
            let request = Command::request(RequestCode::QUERY_MESSAGE).with_header(|fields| header.write(fields));
            match self.client.call(&address, &request, self.timeout.max(LONG)).await {
                Ok(answer) if answer.code == ResponseCode::QUERY_NOT_FOUND.0 => has_answer = true,
                Ok(answer) => {
                    let answer = success(answer).map_err(|cause| cause.nowhere().at(&address))?;
                    has_answer = true;
                    for record in records(&answer.body) {
                        let record = answer.body.slice_ref(record.map_err(Cause::from)?.as_bytes());
                        found.push(ReceivedMessage::read_one(&record, "").map_err(Cause::from)?);
                    }
                }
                Err(error) => last = Some(error),
            }
        }
        match (has_answer, last) {
            (false, Some(error)) => Err(error.topic(header.topic)),
            _ => Ok(found),
        }
    }
}
