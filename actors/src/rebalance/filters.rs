//! What heartbeats say of filters by properties, for the actor that registers them.

use std::sync::Arc;

use cuemq_net::body::HeartbeatData;
use futures_util::future::join_all;

use super::MembershipView;
use super::actor::Neighbours;
use crate::filter::actor::{LeaveFilters, RegisterFilters};
use crate::filter::{FilterView, Wanted, is_by_tag};

/// What a heartbeat says of the groups that have filters, or had some.
pub(super) fn told(view: &FilterView, data: &HeartbeatData) -> Vec<RegisterFilters> {
    let mut told = Vec::new();
    for said in &data.consumers {
        let is_filter = |expression_type: &str| !is_by_tag(expression_type);
        let mut subscriptions = said.subscriptions.iter();
        if !subscriptions.any(|subscription| is_filter(&subscription.expression_type)) && !view.knows(&said.group_name)
        {
            continue;
        }
        let wanted = said.subscriptions.iter().map(|subscription| Wanted {
            topic: Arc::from(subscription.topic.as_str()),
            filter: is_filter(&subscription.expression_type)
                .then(|| (subscription.sub_string.clone(), subscription.expression_type.clone())),
            version: subscription.sub_version,
        });
        told.push(RegisterFilters {
            group: Arc::from(said.group_name.as_str()),
            wanted: wanted.collect(),
        });
    }
    told
}

/// Has them registered: a pull that follows on the heartbeat's answer finds them.
pub(super) async fn register(neighbours: &Neighbours, told: Vec<RegisterFilters>) {
    let registered = join_all(told.into_iter().map(|told| neighbours.filters.send(told))).await;
    if let Some(error) = registered.into_iter().find_map(Result::err) {
        tracing::warn!(%error, "the filters of a heartbeat could not be registered; its consumer will tell them again");
    }
}

/// The groups with filters that have no member any more.
pub(super) fn left(filters: &FilterView, membership: &MembershipView) -> Option<LeaveFilters> {
    let mut groups: Vec<_> = filters.live_groups().into_iter().collect();
    groups.retain(|group| membership.with_consumer_group(group, |_| ()).is_none());
    (!groups.is_empty()).then_some(LeaveFilters { groups })
}
