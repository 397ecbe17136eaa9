//! What tools ask and want of subscription groups (the group part of `AdminBrokerProcessor` in Java).

use std::sync::Arc;

use cuemq_net::body::{Body, SubscriptionGroupConfig, SubscriptionGroupConfigs};
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::request::{DeleteGroup, GroupQuery};

use super::broker_requests::{Asked, Refusal, again, decoded, read};
use crate::group::actor::{DeleteGroup as Delete, ExportGroups, GroupError, UpdateGroup, UpdateGroups};
use crate::offset::actor::ForgetOffsets;

impl Asked<'_> {
    /// Makes or changes a group (code 200).
    pub(super) async fn update_group(&self) -> Result<Command, Refusal> {
        let config: SubscriptionGroupConfig = decoded(&self.request.body)?;
        let updated = self.actors.owners.groups.send(UpdateGroup { config }).await;
        updated.map_err(again)?.map_err(not_changed)?;
        Ok(self.success())
    }

    /// Makes or changes several groups (code 225), all or none.
    pub(super) async fn update_groups(&self) -> Result<Command, Refusal> {
        let groups: SubscriptionGroupConfigs = decoded(&self.request.body)?;
        let configs = groups.group_config_list;
        let updated = self.actors.owners.groups.send(UpdateGroups { configs }).await;
        updated.map_err(again)?.map_err(not_changed)?;
        Ok(self.success())
    }

    /// Deletes a group (code 207), and what it has committed where that is asked for. One that is not there is deleted.
    pub(super) async fn delete_group(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(DeleteGroup::read(&view))?;
        let owners = &self.actors.owners;
        let delete = Delete {
            group: header.group_name.to_owned(),
        };
        owners.groups.send(delete).await.map_err(again)?.map_err(not_changed)?;
        if header.remove_offset == Some(true) || header.clean_offset == Some(true) {
            let offsets = ForgetOffsets::OfGroup(Arc::from(header.group_name));
            owners.offsets.send(offsets).await.map_err(again)?;
        }
        Ok(self.success())
    }

    /// All groups (code 201), as `subscriptionGroup.json` has them.
    pub(super) async fn all_groups(&self) -> Result<Command, Refusal> {
        let groups = self.actors.owners.groups.send(ExportGroups).await.map_err(again)?;
        Ok(self.success().with_body(groups.encode(Style::Fastjson)))
    }

    /// One group's settings (code 352).
    pub(super) fn group_config(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let group = read(GroupQuery::read(&view))?.group;
        let encode = |group: &crate::group::SubscriptionGroup| group.config.encode(Style::Fastjson);
        match self.side.groups.with(group, encode) {
            Some(body) => Ok(self.success().with_body(body)),
            None => Err((
                ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
                format!("No group in this broker. group: {group}"),
            )),
        }
    }
}

fn not_changed(error: GroupError) -> Refusal {
    let code = match &error {
        GroupError::Refused(refusal) => refusal.code(),
        GroupError::NotSaved(_) => ResponseCode::SYSTEM_ERROR,
    };
    (code, error.to_string())
}
