//! Where queues begin and end, and what they hold (codes 29 to 32, 321): what `MQAdmin` gives producers and consumers too.

use cuemq_net::body::{ConsumeQueuePart, MessageQueue};
use cuemq_net::code::RequestCode;
use cuemq_net::request::{EarliestStoreTime, MaxOffset, MinOffset, QueryConsumeQueue, SearchOffset};

use super::{Admin, number, read};
use crate::error::Error;

impl Admin {
    /// The position that a time in ms since 1970 leads to (29): near the first message that was stored then or later.
    ///
    /// # Errors
    /// When the queue's broker is not known or says no.
    pub async fn search_offset(&self, queue: &MessageQueue, timestamp_ms: i64) -> Result<i64, Error> {
        let header = SearchOffset {
            topic: &queue.topic,
            queue_id: queue.queue_id,
            timestamp: timestamp_ms,
            boundary_type: None,
        };
        let address = self.address_of(queue).await?;
        let code = RequestCode::SEARCH_OFFSET_BY_TIMESTAMP;
        number(
            &self.ask(&address, code, |fields| header.write(fields), "").await?,
            "offset",
        )
    }

    /// The position behind a queue's last message (30).
    ///
    /// # Errors
    /// When the queue's broker is not known or says no.
    pub async fn max_offset(&self, queue: &MessageQueue) -> Result<i64, Error> {
        let header = MaxOffset {
            topic: &queue.topic,
            queue_id: queue.queue_id,
            committed: None,
        };
        let address = self.address_of(queue).await?;
        number(
            &self
                .ask(&address, RequestCode::GET_MAX_OFFSET, |fields| header.write(fields), "")
                .await?,
            "offset",
        )
    }

    /// The first position that a queue still has (31).
    ///
    /// # Errors
    /// When the queue's broker is not known or says no.
    pub async fn min_offset(&self, queue: &MessageQueue) -> Result<i64, Error> {
        let header = MinOffset {
            topic: &queue.topic,
            queue_id: queue.queue_id,
        };
        let address = self.address_of(queue).await?;
        number(
            &self
                .ask(&address, RequestCode::GET_MIN_OFFSET, |fields| header.write(fields), "")
                .await?,
            "offset",
        )
    }

    /// When the first message that a queue still has was stored, in ms since 1970; `None` where there is none (32).
    ///
    /// # Errors
    /// When the queue's broker is not known or says no.
    pub async fn earliest_msg_store_time(&self, queue: &MessageQueue) -> Result<Option<i64>, Error> {
        let header = EarliestStoreTime {
            topic: &queue.topic,
            queue_id: queue.queue_id,
        };
        let address = self.address_of(queue).await?;
        let code = RequestCode::GET_EARLIEST_MSG_STORETIME;
        let time = number(
            &self.ask(&address, code, |fields| header.write(fields), "").await?,
            "timestamp",
        )?;
        Ok((time >= 0).then_some(time))
    }

    /// So many entries of a queue from a position on, with what a group's filter makes of them where one is named (321).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn query_consume_queue(
        &self,
        address: &str,
        queue: &MessageQueue,
        from: i64,
        count: i32,
        group: Option<&str>,
    ) -> Result<ConsumeQueuePart, Error> {
        let header = QueryConsumeQueue {
            topic: &queue.topic,
            queue_id: queue.queue_id,
            index: from,
            count,
            consumer_group: group,
        };
        let code = RequestCode::QUERY_CONSUME_QUEUE;
        read(&self.ask(address, code, |fields| header.write(fields), "").await?)
    }

    /// The address of a queue's master; its route is asked for where it is not known.
    pub(super) async fn address_of(&self, queue: &MessageQueue) -> Result<std::sync::Arc<str>, Error> {
        if let Ok(address) = self.client.master(&queue.broker_name) {
            return Ok(address);
        }
        self.client.refresh_route(&queue.topic).await?;
        let place = |error: Error| error.topic(&queue.topic).queue(&queue.broker_name, queue.queue_id);
        self.client.master(&queue.broker_name).map_err(place)
    }
}
