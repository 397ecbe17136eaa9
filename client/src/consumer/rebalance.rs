//! Which queues of a topic a consumer is to own now (`RebalanceImpl.rebalanceByTopic` in Java): asked and computed here,
//! carried out by each kind of consumer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::{Body, ConsumerList as ConsumerIds, MessageModel, MessageQueue};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::request::ConsumerList;

use crate::allocation::AllocateMessageQueueStrategy;
use crate::error::{Cause, Error};
use crate::instance::{Client, TopicRoute};

use super::pull::MASTER;

/// How long a broker may take to say who is in a group.
const TIMEOUT: Duration = Duration::from_secs(3);

/// All queues of a topic, and those of them that are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) all: BTreeSet<MessageQueue>,
    pub(crate) ours: BTreeSet<MessageQueue>,
}

/// Whose queues are shared out, and how.
pub(crate) struct Sharing<'a> {
    pub(crate) client: &'a Client,
    pub(crate) group: &'a str,
    pub(crate) message_model: MessageModel,
    pub(crate) strategy: &'a dyn AllocateMessageQueueStrategy,
}

impl Sharing<'_> {
    /// Shares out the queues of a topic among the consumers that its brokers know.
    ///
    /// # Errors
    /// When the topic has no route, no broker says who is in the group, or the strategy cannot tell: what a consumer owns
    /// should stay as it is.
    pub(crate) async fn of(&self, topic: &str) -> Result<Assignment, Error> {
        let route = self.client.route(topic).await?;
        let mut queues = route.subscribe.clone();
        queues.sort();
        let all: BTreeSet<MessageQueue> = queues.iter().cloned().collect();
        if self.message_model == MessageModel::Broadcasting {
            return Ok(Assignment { ours: all.clone(), all });
        }
        let mut consumers = consumer_ids(self.client, self.group, &route)
            .await
            .map_err(|error| error.topic(topic))?;
        consumers.sort();
        let consumers: Vec<&str> = consumers.iter().map(String::as_str).collect();
        let taken = self.strategy.allocate(self.client.client_id(), &queues, &consumers);
        let ours = taken.map_err(|error| Cause::Invalid(error.to_string()).nowhere().topic(topic))?;
        Ok(Assignment {
            ours: ours.into_iter().collect(),
            all,
        })
    }
}

/// Asks one broker of a topic, at random, who is in a group (code 38).
async fn consumer_ids(client: &Client, group: &str, route: &Arc<TopicRoute>) -> Result<Vec<String>, Error> {
    let brokers = &route.data.broker_datas;
    let broker = brokers.get(client.chance().below(brokers.len()));
    let broker = broker.ok_or_else(|| Cause::NoAddress.nowhere())?;
    let (_, address) = client.reader(&broker.broker_name, MASTER)?;
    let header = ConsumerList { consumer_group: group };
    let request = Command::request(RequestCode::GET_CONSUMER_LIST_BY_GROUP).with_header(|fields| header.write(fields));
    let answer = client.ask(&address, &request, TIMEOUT).await?;
    let body = ConsumerIds::decode(&answer.body).map_err(|error| Cause::from(error).nowhere().at(&address))?;
    Ok(body.consumer_id_list)
}
