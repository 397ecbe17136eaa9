//! Queues that the broker shares out for clients of release 5 that do not do it themselves (codes 400 and 401;
//! `QueryAssignmentProcessor` in Java).
//!
//! A topic has queues on other brokers as well, so its route is asked of the name servers. What only the client can know, a
//! list of queues or machine rooms, no broker shares out by: the client is told so, and does it itself.

use cuemq_client::allocation::{Share, VIRTUAL_NODES, averagely, averagely_by_circle, by_consistent_hash};
use cuemq_net::body::{
    Body, MessageModel, MessageQueue, MessageRequestMode, QueryAssignment, QueueAssignment, QueueAssignments,
    SetMessageRequestMode, TopicRouteData,
};
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;

use super::broker_requests::{Asked, Refusal, again, decoded, refused};
use crate::registrar::FindRoute;
use crate::topic::{Permission, RETRY_PREFIX};

impl Asked<'_> {
    /// The queues of a topic that a consumer is to take.
    pub(super) async fn query_assignment(&self) -> Result<Command, Refusal> {
        let asked: QueryAssignment = decoded(&self.request.body)?;
        let find = FindRoute {
            topic: asked.topic.clone(),
        };
        let route = self.actors.owners.find_route.send(find).await.map_err(again)?;
        let queues = match (route, asked.message_model) {
            (None, _) => None,
            (Some(route), MessageModel::Broadcasting) => Some(readable_queues(&route, &asked.topic)),
            (Some(route), MessageModel::Clustering) => self.share(&asked, &readable_queues(&route, &asked.topic))?,
        };
        let assigned = |message_queue| QueueAssignment {
            message_queue,
            mode: MessageRequestMode::Pull,
        };
        let body = QueueAssignments {
            message_queue_assignments: queues.map(|queues| queues.into_iter().map(assigned).collect()),
        };
        Ok(self.success().with_body(body.encode(Style::Fastjson)))
    }

    /// A consumer's share; `None` where nobody of its group is there, or nothing is to be shared.
    fn share(&self, asked: &QueryAssignment, queues: &[MessageQueue]) -> Result<Option<Vec<MessageQueue>>, Refusal> {
        let name = asked.strategy_name.as_deref().unwrap_or("none");
        let strategy = strategy(name).ok_or_else(|| {
            refused(format!(
                "this broker does not share out queues by {name}: let the client do it"
            ))
        })?;
        let membership = &self.side.membership;
        let ids = membership.with_consumer_group(&asked.consumer_group, |group| group.consumer_ids());
        let Some(ids) = ids else { return Ok(None) };
        let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
        Ok(strategy(&asked.client_id, queues, &ids).ok())
    }

    /// How a group gets the messages of a topic: by pulling.
    pub(super) fn set_request_mode(&self) -> Result<Command, Refusal> {
        let wanted: SetMessageRequestMode = decoded(&self.request.body)?;
        let refusal = match wanted.mode {
            _ if wanted.topic.starts_with(RETRY_PREFIX) => "retry topic is not allowed to set mode",
            MessageRequestMode::Pop => "there are no pop consumers here: groups pull, leave the mode at PULL",
            MessageRequestMode::Pull => return Ok(self.success()),
        };
        Err((ResponseCode::NO_PERMISSION, refusal.to_owned()))
    }
}

/// The strategy of a name, if it needs nothing that only the client has.
fn strategy(name: &str) -> Option<Share> {
    Some(match name {
        "AVG" => averagely,
        "AVG_BY_CIRCLE" => averagely_by_circle,
        "CONSISTENT_HASH" => |me, queues, consumers| by_consistent_hash(me, queues, consumers, VIRTUAL_NODES),
        _ => return None,
    })
}

/// The queues of a topic that can be read, on all brokers, sorted.
fn readable_queues(route: &TopicRouteData, topic: &str) -> Vec<MessageQueue> {
    let readable = route
        .queue_datas
        .iter()
        .filter(|data| Permission(data.perm).is_readable());
    let mut queues: Vec<MessageQueue> = readable
        .flat_map(|data| {
            (0..data.read_queue_nums).map(|queue_id| MessageQueue {
                topic: topic.to_owned(),
                broker_name: data.broker_name.clone(),
                queue_id: i32::try_from(queue_id).unwrap_or(i32::MAX),
            })
        })
        .collect();
    queues.sort_unstable();
    queues
}
