//! What lies in the queues of a topic, for tools: their ends and times (code 202).

use std::sync::Arc;

use cuemq_net::body::{Body, MessageQueue, TopicQueueStats, TopicStatsTable};
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::request::TopicQuery;
use cuemq_storage::position::QueueOffset;
use cuemq_storage::queue_directory::QueueHandle;

use super::broker_requests::{Asked, Refusal, again, read, unread};
use crate::cold_reads::FindStoreTimes;
use crate::topic::Topic;

/// A queue of a topic, which may never have had a message.
pub(super) struct QueueOfTopic {
    pub(super) name: MessageQueue,
    pub(super) handle: Option<Arc<QueueHandle>>,
    pub(super) min_offset: i64,
    pub(super) max_offset: i64,
}

impl QueueOfTopic {
    /// The message at a place, if there is one.
    pub(super) fn at(&self, queue_offset: i64) -> Option<(Arc<QueueHandle>, QueueOffset)> {
        let place = u64::try_from(queue_offset).ok()?;
        Some((self.handle.clone()?, QueueOffset(place)))
    }
}

impl Asked<'_> {
    /// The ends of a topic's queues, and when the last message of each was stored.
    pub(super) async fn topic_stats(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let topic = self.existing_topic(read(TopicQuery::read(&view))?.topic)?;
        let queues = self.queues_of(&topic, topic.config.write_queue_nums);
        let stored = self
            .store_times(queues.iter().map(|queue| queue.at(queue.max_offset - 1)))
            .await?;
        let stats = |(queue, stored): (QueueOfTopic, Option<i64>)| {
            let of_queue = TopicQueueStats {
                last_update_timestamp: stored.unwrap_or(0),
                max_offset: queue.max_offset,
                min_offset: queue.min_offset,
            };
            (queue.name, of_queue)
        };
        let table = TopicStatsTable {
            offset_table: queues.into_iter().zip(stored).map(stats).collect(),
        };
        Ok(self.success().with_body(table.encode(Style::Fastjson)))
    }

    /// A topic that must be there.
    pub(super) fn existing_topic(&self, topic: &str) -> Result<Arc<Topic>, Refusal> {
        let found = self.side.topics.get(topic);
        found.ok_or_else(|| (ResponseCode::TOPIC_NOT_EXIST, format!("topic[{topic}] not exist")))
    }

    /// The first queues of a topic.
    pub(super) fn queues_of(&self, topic: &Topic, count: u32) -> Vec<QueueOfTopic> {
        let queue = |queue_id: u32| {
            let handle = self.side.queues.find(&topic.name, queue_id);
            let ends = handle.as_ref().map(|queue| {
                let view = queue.view();
                (view.min_offset().signed(), view.max_offset().signed())
            });
            let (min_offset, max_offset) = ends.unwrap_or_default();
            QueueOfTopic {
                name: MessageQueue {
                    topic: topic.name.to_string(),
                    broker_name: self.io.identity.broker_name.clone(),
                    queue_id: i32::try_from(queue_id).unwrap_or(i32::MAX),
                },
                handle,
                min_offset,
                max_offset,
            }
        };
        (0..count).map(queue).collect()
    }

    /// When messages were stored; `None` for those that are not there.
    pub(super) async fn store_times(
        &self,
        messages: impl Iterator<Item = Option<(Arc<QueueHandle>, QueueOffset)>>,
    ) -> Result<Vec<Option<i64>>, Refusal> {
        let messages: Vec<_> = messages.collect();
        let places: Vec<usize> = (0..messages.len()).filter(|&at| messages[at].is_some()).collect();
        let mut times = vec![None; messages.len()];
        if places.is_empty() {
            return Ok(times);
        }
        let find = FindStoreTimes(messages.into_iter().flatten().collect());
        let found = self.actors.cold.send(find).await.map_err(again)?.map_err(unread)?;
        for (at, stored) in places.into_iter().zip(found) {
            times[at] = stored;
        }
        Ok(times)
    }
}
