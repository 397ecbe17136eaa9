//! Messages by key and by position (`QueryMessageProcessor` in Java).

use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::message::tags::index_hash;
use cuemq_net::request::{QueryMessage, ViewMessage};
use cuemq_net::response::QueryMessageResponse;
use cuemq_storage::index::{Answer, Question};
use cuemq_storage::position::PhysicalOffset;

use super::broker_requests::{Asked, Refusal, again, read, unread};
use crate::cold_reads::ReadRecords;
use crate::index::Query;

/// How many messages a query by unique key brings at most, whatever it asks for (`defaultQueryMaxNum`).
const UNIQUE_KEY_MOST: usize = 32;
const NOT_FOUND: &str = "can not find message, maybe time range not correct";

impl Asked<'_> {
    /// Messages whose topic and key have the hash that is asked for; clients look which of them have the key.
    pub(super) async fn query_message(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(QueryMessage::read(&view))?;
        let most = if header.unique_key_query {
            UNIQUE_KEY_MOST
        } else {
            usize::try_from(header.max_num).unwrap_or(0)
        };
        let question = Question {
            hash: index_hash(header.topic, header.key),
            most,
            begin_ms: header.begin_timestamp,
            end_ms: header.end_timestamp,
        };
        let found = match &self.actors.index {
            Some(index) => index.send(Query(question)).await.map_err(again)?.map_err(unread)?,
            None => Answer::default(),
        };
        let records = self.records(found.physical_offsets).await?;
        let updated = QueryMessageResponse {
            index_last_update_timestamp: found.last_update_ms,
            index_last_update_physical_offset: found.last_update_physical.signed(),
        };
        let answer = if records.is_empty() {
            Command::response_to(self.request, ResponseCode::QUERY_NOT_FOUND).with_remark(NOT_FOUND)
        } else {
            self.success().with_body(records)
        };
        Ok(answer.with_header(|fields| updated.write(fields)))
    }

    /// The message that begins at a position of the log.
    pub(super) async fn view_message(&self) -> Result<Command, Refusal> {
        let header = read(ViewMessage::read(&self.request.view()))?;
        let at = header.physical_offset;
        let records = match u64::try_from(at) {
            Ok(at) => self.records(vec![PhysicalOffset(at)]).await?,
            Err(_) => Vec::new(),
        };
        if records.is_empty() {
            let remark = format!("can not find message by the offset, {at}");
            return Err((ResponseCode::SYSTEM_ERROR, remark));
        }
        Ok(self.success().with_body(records))
    }

    /// The records at these positions, one behind the other; what is none is left out.
    pub(super) async fn records(&self, positions: Vec<PhysicalOffset>) -> Result<Vec<u8>, Refusal> {
        let read = self.actors.cold.send(ReadRecords(positions));
        read.await.map_err(again)?.map_err(unread)
    }
}
