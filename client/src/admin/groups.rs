//! Consumer groups (codes 200, 201, 207, 225, 300, 343, 345, 352).

use std::collections::{BTreeMap, BTreeSet};

use cuemq_net::body::{
    Body, GroupList, GroupSubscription, SubscriptionData, SubscriptionGroupConfig, SubscriptionGroupConfigs,
    SubscriptionGroupTable, TopicList,
};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::dialect::Style;
use cuemq_net::request::{DeleteGroup, GroupQuery, TopicQuery};

use super::{Admin, is_unknown_there, not_listed, nothing, read};
use crate::error::Error;

impl Admin {
    /// Makes or changes a group on a broker (200).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn create_and_update_subscription_group(
        &self,
        address: &str,
        group: &SubscriptionGroupConfig,
    ) -> Result<(), Error> {
        let body = group.encode(Style::Standard);
        self.ask(address, RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, nothing, body)
            .await?;
        Ok(())
    }

    /// Makes or changes groups together (225); for brokers that know how.
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn create_and_update_subscription_groups(
        &self,
        address: &str,
        groups: Vec<SubscriptionGroupConfig>,
    ) -> Result<(), Error> {
        let body = SubscriptionGroupConfigs {
            group_config_list: groups,
        };
        let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST;
        self.ask(address, code, nothing, body.encode(Style::Standard)).await?;
        Ok(())
    }

    /// Deletes a group on a broker (207), and its positions where that is asked for and the broker knows how.
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn delete_subscription_group(&self, address: &str, group: &str, and_offsets: bool) -> Result<(), Error> {
        let header = DeleteGroup {
            group_name: group,
            remove_offset: Some(and_offsets),
            clean_offset: Some(and_offsets),
        };
        self.ask(
            address,
            RequestCode::DELETE_SUBSCRIPTIONGROUP,
            |fields| header.write(fields),
            "",
        )
        .await?;
        Ok(())
    }

    /// All groups of a broker with their configuration (201).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn all_subscription_groups(
        &self,
        address: &str,
    ) -> Result<BTreeMap<String, SubscriptionGroupConfig>, Error> {
        let answer = self
            .ask_long(address, RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, nothing)
            .await?;
        Ok(read::<SubscriptionGroupTable>(&answer)?.subscription_group_table)
    }

    /// One group's configuration on a broker (352); a broker of release 4 does not know how, or
    /// does not even answer, and is asked for all (201).
    ///
    /// # Errors
    /// When the broker does not have the group.
    pub async fn examine_subscription_group_config(
        &self,
        address: &str,
        group: &str,
    ) -> Result<SubscriptionGroupConfig, Error> {
        let header = GroupQuery { group, topic: None };
        let code = RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG;
        match self.ask(address, code, |fields| header.write(fields), "").await {
            Err(error) if is_unknown_there(&error) => {
                let mut all = self.all_subscription_groups(address).await?;
                all.remove(group)
                    .ok_or_else(|| not_listed(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, address))
            }
            answer => read(&answer?),
        }
    }

    /// Which groups consume a topic, or did, on any of its brokers (300).
    ///
    /// # Errors
    /// When no name server knows the topic, or a broker says no.
    pub async fn query_topic_consume_by_who(&self, topic: &str) -> Result<BTreeSet<String>, Error> {
        let mut all = BTreeSet::new();
        for address in self.brokers_of(topic).await? {
            let header = TopicQuery { topic };
            let code = RequestCode::QUERY_TOPIC_CONSUME_BY_WHO;
            let answer = self.ask(&address, code, |fields| header.write(fields), "").await?;
            all.extend(read::<GroupList>(&answer)?.group_list);
        }
        Ok(all)
    }

    /// Which topics a group consumes, or did, on a broker (343); for brokers that know how.
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn query_topics_by_consumer(&self, address: &str, group: &str) -> Result<BTreeSet<String>, Error> {
        let header = GroupQuery { group, topic: None };
        let code = RequestCode::QUERY_TOPICS_BY_CONSUMER;
        let answer = self.ask(address, code, |fields| header.write(fields), "").await?;
        Ok(read::<TopicList>(&answer)?.topic_list)
    }

    /// What a group subscribes to of a topic, as its consumers told a broker (345); for brokers that know how.
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn query_subscription(
        &self,
        address: &str,
        group: &str,
        topic: &str,
    ) -> Result<Option<SubscriptionData>, Error> {
        let header = GroupQuery {
            group,
            topic: Some(topic),
        };
        let code = RequestCode::QUERY_SUBSCRIPTION_BY_CONSUMER;
        let answer = self.ask(address, code, |fields| header.write(fields), "").await?;
        Ok(read::<GroupSubscription>(&answer)?.subscription_data)
    }
}
