//! Who is online in a group, and who uses a topic (codes 203, 204, 300, 328, 343, 345).

use std::sync::Arc;

use cuemq_net::body::{Body, GroupList, GroupSubscription, SubscriptionData, TopicList};
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::request::{ConsumerConnections, GroupQuery, ProducerConnections, TopicQuery};

use super::broker_requests::{Asked, Refusal, again, read, refused};
use crate::offset::actor::{FindGroupsOfTopic, FindTopicsOfGroup};
use crate::rebalance::ConsumerGroup;
use crate::rebalance::actor::ExportProducers;

impl Asked<'_> {
    /// The members of a consumer group, and what it subscribes to.
    pub(super) fn consumer_connections(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let group = read(ConsumerConnections::read(&view))?.consumer_group;
        match self.side.membership.consumer_group(group) {
            Some(found) => Ok(self.success().with_body(found.to_body().encode(Style::Fastjson))),
            None => Err((
                ResponseCode::CONSUMER_NOT_ONLINE,
                format!("the consumer group[{group}] not online"),
            )),
        }
    }

    /// The members of a producer group.
    pub(super) fn producer_connections(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let group = read(ProducerConnections::read(&view))?.producer_group;
        match self.side.membership.producer_group(group) {
            Some(found) => Ok(self.success().with_body(found.to_body().encode(Style::Fastjson))),
            None => Err(refused(format!("the producer group[{group}] not exist"))),
        }
    }

    /// The members of all producer groups.
    pub(super) async fn all_producers(&self) -> Result<Command, Refusal> {
        let producers = self
            .actors
            .owners
            .producers
            .send(ExportProducers)
            .await
            .map_err(again)?;
        Ok(self.success().with_body(producers.encode(Style::Fastjson)))
    }

    /// The topics that a group has committed on.
    pub(super) async fn topics_of_group(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let group = read(GroupQuery::read(&view))?.group;
        let find = FindTopicsOfGroup(Arc::from(group));
        let topics = self.actors.owners.offsets.send(find).await.map_err(again)?;
        let topics = TopicList {
            broker_addr: None,
            topic_list: topics.iter().map(ToString::to_string).collect(),
        };
        Ok(self.success().with_body(topics.encode(Style::Fastjson)))
    }

    /// What a group subscribes to on a topic.
    pub(super) fn subscription_of_group(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(GroupQuery::read(&view))?;
        let topic = header.topic.unwrap_or_default();
        let body = GroupSubscription {
            group: header.group.to_owned(),
            subscription_data: self.subscription(header.group, topic),
            topic: topic.to_owned(),
        };
        Ok(self.success().with_body(body.encode(Style::Fastjson)))
    }

    /// What a group that is online subscribes to on a topic.
    pub(super) fn subscription(&self, group: &str, topic: &str) -> Option<SubscriptionData> {
        let of_topic = |online: &ConsumerGroup| {
            let subscription = online.subscription(topic)?;
            Some(subscription.data().clone())
        };
        self.side.membership.with_consumer_group(group, of_topic).flatten()
    }

    /// The groups that subscribe to a topic, or have committed on it.
    pub(super) async fn groups_of_topic(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let topic = read(TopicQuery::read(&view))?.topic;
        let committed = FindGroupsOfTopic(Arc::from(topic));
        let committed = self.actors.owners.offsets.send(committed).await.map_err(again)?;
        let online = self.side.membership.consumer_groups().into_iter();
        let online = online.filter(|group| group.subscription(topic).is_some());
        let groups = GroupList {
            group_list: online
                .map(|group| group.name.to_string())
                .chain(committed.iter().map(ToString::to_string))
                .collect(),
        };
        Ok(self.success().with_body(groups.encode(Style::Fastjson)))
    }
}
