//! How far groups are (codes 15, 208, 222, 223, 303, 308, 314, 317).

use std::collections::BTreeMap;

use cuemq_net::body::{
    ConsumeStats, ConsumeStatsList, ConsumeTimeSpan, ConsumeTimeSpans, ConsumerStatus, CorrectionOffsets, MessageQueue,
    ResetOffset,
};
use cuemq_net::code::RequestCode;
use cuemq_net::request;

use super::{Admin, read};
use crate::error::Error;

impl Admin {
    /// How far a group is in a topic's queues, or in all that it consumes, on all brokers that have its retry topic (208).
    ///
    /// # Errors
    /// When the group never consumed, or a broker says no.
    pub async fn examine_consume_stats(&self, group: &str, topic: Option<&str>) -> Result<ConsumeStats, Error> {
        let mut all = ConsumeStats::default();
        for address in self.brokers_of(&format!("%RETRY%{group}")).await? {
            let header = request::ConsumeStats {
                consumer_group: group,
                topic,
            };
            let answer = self
                .ask_long(&address, RequestCode::GET_CONSUME_STATS, |fields| header.write(fields))
                .await?;
            let of_one: ConsumeStats = read(&answer)?;
            all.consume_tps += of_one.consume_tps;
            all.offset_table.extend(of_one.offset_table);
        }
        Ok(all)
    }

    /// How far all groups of a broker are (317).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn fetch_consume_stats_in_broker(
        &self,
        address: &str,
        is_order: bool,
    ) -> Result<ConsumeStatsList, Error> {
        let header = request::BrokerConsumeStats { is_order };
        let code = RequestCode::GET_BROKER_CONSUME_STATS;
        read(&self.ask_long(address, code, |fields| header.write(fields)).await?)
    }

    /// From when to when the messages of a topic are that a group has before it (303).
    ///
    /// # Errors
    /// When no name server knows the topic, or a broker says no.
    pub async fn query_consume_time_span(&self, topic: &str, group: &str) -> Result<Vec<ConsumeTimeSpan>, Error> {
        let mut all = Vec::new();
        for address in self.brokers_of(topic).await? {
            let header = request::ConsumeTimeSpan { topic, group };
            let answer = self
                .ask_long(&address, RequestCode::QUERY_CONSUME_TIME_SPAN, |fields| {
                    header.write(fields)
                })
                .await?;
            all.extend(read::<ConsumeTimeSpans>(&answer)?.spans);
        }
        Ok(all)
    }

    /// Has a group go to a time in ms since 1970, −1 for the end, on all of a topic's brokers (222): its consumers that are
    /// online are told to, and go back only unless `is_force`. Gives the new positions.
    ///
    /// # Errors
    /// When no name server knows the topic, or a broker says no: with code 206 where nobody of the group is online.
    pub async fn reset_offset_by_timestamp(
        &self,
        topic: &str,
        group: &str,
        timestamp_ms: i64,
        is_force: bool,
    ) -> Result<BTreeMap<MessageQueue, i64>, Error> {
        let mut all = BTreeMap::new();
        for address in self.brokers_of(topic).await? {
            let header = request::ResetOffset {
                topic,
                group,
                timestamp: timestamp_ms,
                is_force,
                queue_id: -1,
                queue_offset: None,
            };
            let code = RequestCode::INVOKE_BROKER_TO_RESET_OFFSET;
            let answer = self.ask_long(&address, code, |fields| header.write(fields)).await?;
            all.extend(read::<ResetOffset>(&answer)?.offset_table);
        }
        Ok(all)
    }

    /// Sets how far a group has come in a queue (15), whether anybody of it is online or not.
    ///
    /// # Errors
    /// When the queue's broker is not known or says no.
    pub async fn update_consume_offset(
        &self,
        group: &str,
        queue: &MessageQueue,
        consumer_offset: i64,
    ) -> Result<(), Error> {
        let address = self.address_of(queue).await?;
        let header = request::UpdateOffset {
            consumer_group: group,
            topic: &queue.topic,
            queue_id: queue.queue_id,
            consumer_offset,
        };
        self.ask(
            &address,
            RequestCode::UPDATE_CONSUMER_OFFSET,
            |fields| header.write(fields),
            "",
        )
        .await?;
        Ok(())
    }

    /// How far the clients of a group say that they are, by client and queue (223); those of one client where it is named.
    ///
    /// # Errors
    /// When no name server knows the topic, or a broker says no.
    pub async fn get_consume_status(
        &self,
        topic: &str,
        group: &str,
        client_id: Option<&str>,
    ) -> Result<BTreeMap<String, BTreeMap<MessageQueue, i64>>, Error> {
        let mut all = BTreeMap::new();
        for address in self.brokers_of(topic).await? {
            let header = request::ConsumerStatus {
                topic,
                group,
                client_addr: client_id,
            };
            let code = RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS;
            let answer = self.ask_long(&address, code, |fields| header.write(fields)).await?;
            all.extend(read::<ConsumerStatus>(&answer)?.consumer_table);
        }
        Ok(all)
    }

    /// Gives a group the positions of another, in a topic or in all, on a topic's brokers (314).
    ///
    /// # Errors
    /// When no name server knows the topic, or a broker says no.
    pub async fn clone_group_offset(
        &self,
        from_group: &str,
        to_group: &str,
        topic: &str,
        is_offline: bool,
    ) -> Result<(), Error> {
        for address in self.brokers_of(topic).await? {
            let header = request::CloneOffset {
                src_group: from_group,
                dest_group: to_group,
                topic: Some(topic),
                offline: is_offline,
            };
            self.ask_long(&address, RequestCode::CLONE_GROUP_OFFSET, |fields| header.write(fields))
                .await?;
        }
        Ok(())
    }

    /// The smallest positions of other groups that are behind a group, by queue of a topic on a broker (308).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn query_correction_offset(
        &self,
        address: &str,
        topic: &str,
        group: &str,
        filter_groups: &[&str],
    ) -> Result<BTreeMap<i32, i64>, Error> {
        let filter = filter_groups.join(",");
        let header = request::CorrectionOffset {
            filter_groups: (!filter.is_empty()).then_some(filter.as_str()),
            compare_group: group,
            topic,
        };
        let code = RequestCode::QUERY_CORRECTION_OFFSET;
        let answer = self.ask_long(address, code, |fields| header.write(fields)).await?;
        Ok(read::<CorrectionOffsets>(&answer)?.correction_offsets)
    }
}
