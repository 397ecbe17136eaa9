//! What tools ask and want of topics (the topic part of `AdminBrokerProcessor` in Java).

use std::sync::Arc;

use cuemq_net::body::{Body, TopicConfig, TopicConfigs, TopicFilterType, TopicList};
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::request::{CreateTopic, DeleteTopic, TopicQuery};

use super::broker_requests::{Asked, Refusal, again, decoded, read, refused};
use crate::commit_log::ForgetTopics;
use crate::offset::actor::ForgetOffsets;
use crate::retention::{DeleteExpired, FollowLog};
use crate::topic::Refusal as TopicRefusal;
use crate::topic::actor::{DeleteTopic as Delete, ExportTopics, TopicError, UpdateTopic, UpdateTopics};

impl Asked<'_> {
    /// Makes or changes a topic (code 17). Whether it is an order topic is for the name servers to say.
    pub(super) async fn update_topic(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(CreateTopic::read(&view))?;
        let topic = header.topic.to_owned();
        let config = config_of(&header)?;
        let updated = self.actors.owners.topics.send(UpdateTopic { topic, config }).await;
        updated.map_err(again)?.map_err(not_changed)?;
        Ok(self.success())
    }

    /// Makes or changes several topics (code 18); as in Java, one that may not be leaves all as they were.
    pub(super) async fn update_topics(&self) -> Result<Command, Refusal> {
        let topics: TopicConfigs = decoded(&self.request.body)?;
        let configs = topics.topic_config_list;
        let updated = self.actors.owners.topics.send(UpdateTopics { configs }).await;
        updated.map_err(again)?.map_err(not_changed)?;
        Ok(self.success())
    }

    /// Deletes a topic (code 215) with its queues and what groups have committed on it. One that is not there is deleted.
    pub(super) async fn delete_topic(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let topic = read(DeleteTopic::read(&view))?.topic;
        let owners = &self.actors.owners;
        let delete = Delete {
            topic: topic.to_owned(),
        };
        owners.topics.send(delete).await.map_err(again)?.map_err(not_changed)?;
        self.forget_queues(vec![Arc::from(topic)]).await?;
        let offsets = ForgetOffsets::OfTopic(Arc::from(topic));
        owners.offsets.send(offsets).await.map_err(again)?;
        Ok(self.success())
    }

    /// Removes the queues of topics that are not there (code 316): what an earlier deletion, or another broker, has left.
    pub(super) async fn clean_unused_topics(&self) -> Result<Command, Refusal> {
        let mut topics: Vec<Arc<str>> = Vec::new();
        self.side.queues.for_each(|topic, _, queue| {
            if queue.view().max_offset().0 > 0 && topics.last() != Some(topic) {
                topics.push(Arc::clone(topic));
            }
        });
        self.forget_unused(topics).await
    }

    /// Removes what is left of queues whose messages are all deleted (code 306). One whose topic is there keeps its last file:
    /// the name tells where its numbers go on, and groups that have committed offsets would miss messages that begin at 0
    /// again.
    pub(super) async fn clean_expired_queues(&self) -> Result<Command, Refusal> {
        let followed = self.actors.owners.follow_log.send(FollowLog).await;
        self.forget_unused(followed.map_err(again)?).await
    }

    /// Deletes the log's files that are old enough, whatever the hour (code 329).
    pub(super) async fn delete_expired(&self) -> Result<Command, Refusal> {
        let told = self.actors.owners.delete_expired.send(DeleteExpired).await;
        told.map_err(again)?;
        Ok(self.success())
    }

    /// Removes the queues of those of these topics that are not there.
    async fn forget_unused(&self, mut topics: Vec<Arc<str>>) -> Result<Command, Refusal> {
        topics.retain(|topic| !self.side.topics.contains(topic) && !self.side.system_topics.contains(topic));
        if !topics.is_empty() {
            self.forget_queues(topics).await?;
        }
        Ok(self.success())
    }

    async fn forget_queues(&self, topics: Vec<Arc<str>>) -> Result<(), Refusal> {
        let forgotten = self.actors.owners.forget_topics.send(ForgetTopics(topics)).await;
        let forgotten = forgotten.map_err(again)?;
        forgotten.map_err(|error| refused(error.to_string()))
    }

    /// All topics (code 21), as `topics.json` has them.
    pub(super) async fn all_topics(&self) -> Result<Command, Refusal> {
        let topics = self.actors.owners.topics.send(ExportTopics).await.map_err(again)?;
        Ok(self.success().with_body(topics.encode(Style::Fastjson)))
    }

    /// One topic's settings (code 351).
    pub(super) fn topic_config(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let topic = read(TopicQuery::read(&view))?.topic;
        let encode = |topic: &crate::topic::Topic| topic.config.encode(Style::Fastjson);
        match self.side.topics.with(topic, encode) {
            Some(body) => Ok(self.success().with_body(body)),
            None => Err((
                ResponseCode::TOPIC_NOT_EXIST,
                format!("No topic in this broker. topic: {topic}"),
            )),
        }
    }

    /// The topics that belong to the broker itself (code 305).
    pub(super) fn system_topics(&self) -> Command {
        let topics = TopicList {
            broker_addr: None,
            topic_list: self.side.system_topics.names(),
        };
        self.success().with_body(topics.encode(Style::Fastjson))
    }
}

/// What code 17 asks for.
fn config_of(header: &CreateTopic<'_>) -> Result<TopicConfig, Refusal> {
    let number = |name: &str, value: i32| {
        let wrong = || refused(format!("{name}[{value}] is illegal: it must not be negative"));
        u32::try_from(value).map_err(|_| wrong())
    };
    let filter_type = header.topic_filter_type;
    let unknown = || {
        refused(format!(
            "topicFilterType[{filter_type}] is neither SINGLE_TAG nor MULTI_TAG"
        ))
    };
    Ok(TopicConfig {
        read_queue_nums: number("readQueueNums", header.read_queue_nums)?,
        write_queue_nums: number("writeQueueNums", header.write_queue_nums)?,
        perm: number("perm", header.perm)?,
        topic_filter_type: TopicFilterType::from_name(filter_type).ok_or_else(unknown)?,
        topic_sys_flag: number("topicSysFlag", header.topic_sys_flag.unwrap_or(0))?,
        ..TopicConfig::default()
    })
}

fn not_changed(error: TopicError) -> Refusal {
    let code = match &error {
        TopicError::Refused(refusal) => TopicRefusal::code(refusal),
        TopicError::NotSaved(_) => ResponseCode::SYSTEM_ERROR,
    };
    (code, error.to_string())
}
