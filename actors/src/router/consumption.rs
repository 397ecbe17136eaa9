//! How far groups have come (codes 43, 208, 303, 317).

use std::collections::BTreeMap;
use std::sync::Arc;

use cuemq_net::body::{Body, ConsumeStats, ConsumeStatsList, ConsumeTimeSpan, ConsumeTimeSpans, ConsumedQueue};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::request;

use super::broker_requests::{Asked, Refusal, again, read};
use super::queue_figures::QueueOfTopic;
use crate::offset::actor::{ExportOffsets, FindOffsets, FindTopicsOfGroup};
use crate::schedule::actor::ExportDelays;
use crate::topic::Topic;

impl Asked<'_> {
    /// How far a group has come: on one topic, or on all that it has committed on.
    pub(super) async fn consume_stats(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(request::ConsumeStats::read(&view))?;
        let group: Arc<str> = Arc::from(header.consumer_group);
        let topics = match header.topic.filter(|topic| !topic.trim().is_empty()) {
            Some(topic) => vec![Arc::from(topic)],
            None => self.topics_of(&group).await?,
        };
        let mut all = ConsumeStats::default();
        for topic in self.consumed(&group, topics) {
            let stats = self.consumed_on(&group, &topic, topic.config.read_queue_nums).await?;
            all.consume_tps += stats.consume_tps;
            all.offset_table.extend(stats.offset_table);
        }
        Ok(self.success().with_body(all.encode(Style::Fastjson)))
    }

    /// All that groups have committed (code 43), as `consumerOffset.json` has it.
    pub(super) async fn all_offsets(&self) -> Result<Command, Refusal> {
        let offsets = self.actors.owners.offsets.send(ExportOffsets).await.map_err(again)?;
        Ok(self.success().with_body(offsets.encode(Style::Fastjson)))
    }

    /// How far each delay level has been delivered.
    pub(super) async fn all_delays(&self) -> Result<Command, Refusal> {
        let delays = self.actors.owners.delays.send(ExportDelays).await.map_err(again)?;
        Ok(self.success().with_body(delays.encode(Style::Fastjson)))
    }

    /// How far all groups have come on all topics, or on all order topics.
    pub(super) async fn broker_consume_stats(&self) -> Result<Command, Refusal> {
        let header = read(request::BrokerConsumeStats::read(&self.request.view()))?;
        let mut list = ConsumeStatsList {
            broker_addr: self.io.identity.store_host.to_string(),
            ..ConsumeStatsList::default()
        };
        for group in self.side.groups.all() {
            let topics = self.topics_of(&group.name).await?;
            let mut of_group = Vec::new();
            for topic in self.consumed(&group.name, topics) {
                if header.is_order && !topic.config.order {
                    continue;
                }
                let stats = self
                    .consumed_on(&group.name, &topic, topic.config.write_queue_nums)
                    .await?;
                let behind = stats
                    .offset_table
                    .values()
                    .map(|queue| queue.broker_offset - queue.consumer_offset);
                list.total_diff += behind.sum::<i64>();
                of_group.push(stats);
            }
            list.consume_stats_list
                .push(BTreeMap::from([(group.name.to_string(), of_group)]));
        }
        Ok(self.success().with_body(list.encode(Style::Fastjson)))
    }

    /// Between which times a group stands on the queues of a topic.
    pub(super) async fn consume_time_span(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(request::ConsumeTimeSpan::read(&view))?;
        let topic = self.existing_topic(header.topic)?;
        let queues = self.queues_of(&topic, topic.config.write_queue_nums);
        let committed = self.committed(&Arc::from(header.group), &topic).await?;
        let mut spans = Vec::new();
        for queue in queues {
            spans.push(self.time_span(&queue, consumer_offset(&committed, &queue)).await?);
        }
        Ok(self
            .success()
            .with_body(ConsumeTimeSpans { spans }.encode(Style::Fastjson)))
    }

    async fn time_span(&self, queue: &QueueOfTopic, consumer_offset: i64) -> Result<ConsumeTimeSpan, Refusal> {
        let places = [
            queue.min_offset,
            queue.max_offset - 1,
            consumer_offset - 1,
            consumer_offset,
        ];
        let times = self
            .store_times(places.into_iter().map(|place| queue.at(place)))
            .await?;
        let time = |at: usize| times.get(at).copied().flatten();
        let oldest = time(0).unwrap_or(-1);
        let waited = |stored: i64| {
            i64::try_from(self.io.clock.now_ms())
                .unwrap_or(i64::MAX)
                .saturating_sub(stored)
        };
        Ok(ConsumeTimeSpan {
            consume_time_stamp: if consumer_offset > 0 {
                time(2).unwrap_or(-1)
            } else {
                oldest
            },
            delay_time: time(3).map_or(0, waited),
            max_time_stamp: time(1).unwrap_or(-1),
            message_queue: queue.name.clone(),
            min_time_stamp: oldest,
        })
    }

    async fn topics_of(&self, group: &Arc<str>) -> Result<Vec<Arc<str>>, Refusal> {
        let find = FindTopicsOfGroup(Arc::clone(group));
        self.actors.owners.offsets.send(find).await.map_err(again)
    }

    /// Those of the topics that are there, and that the group subscribes to if it is online at all.
    fn consumed(&self, group: &str, topics: Vec<Arc<str>>) -> Vec<Arc<Topic>> {
        let is_subscribed = |topic: &Topic| {
            let subscribed = self.side.membership.with_consumer_group(group, |online| {
                online.subscriptions().is_empty() || online.subscription(&topic.name).is_some()
            });
            subscribed.unwrap_or(true)
        };
        let found = topics.iter().filter_map(|topic| self.side.topics.get(topic));
        found.filter(|topic| is_subscribed(topic)).collect()
    }

    async fn committed(&self, group: &Arc<str>, topic: &Topic) -> Result<Vec<(i32, i64)>, Refusal> {
        let find = FindOffsets {
            group: Arc::clone(group),
            topic: Arc::clone(&topic.name),
        };
        self.actors.owners.offsets.send(find).await.map_err(again)
    }

    /// How far a group has come on the first queues of a topic.
    async fn consumed_on(&self, group: &Arc<str>, topic: &Topic, queue_nums: u32) -> Result<ConsumeStats, Refusal> {
        let committed = self.committed(group, topic).await?;
        let queues = self.queues_of(topic, queue_nums);
        let last = queues
            .iter()
            .map(|queue| queue.at(consumer_offset(&committed, queue) - 1));
        let stored = self.store_times(last).await?;
        let stats = |(queue, stored): (QueueOfTopic, Option<i64>)| {
            let of_queue = ConsumedQueue {
                broker_offset: queue.max_offset,
                consumer_offset: consumer_offset(&committed, &queue),
                last_timestamp: stored.unwrap_or(0),
            };
            (queue.name, of_queue)
        };
        Ok(ConsumeStats {
            consume_tps: self.consume_tps(&topic.name, group).await?,
            offset_table: queues.into_iter().zip(stored).map(stats).collect(),
        })
    }
}

/// The next queue offset that a group consumes; 0 where it has committed none.
fn consumer_offset(committed: &[(i32, i64)], queue: &QueueOfTopic) -> i64 {
    let of_queue = committed.iter().find(|(queue_id, _)| *queue_id == queue.name.queue_id);
    of_queue.map_or(0, |(_, consumer_offset)| *consumer_offset)
}
