//! Topics (codes 17, 18, 21, 206, 215, 216, 224, 351, the lists 304, 305, 311 to 313, and the order configuration).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cuemq_net::body::{Body, TopicConfig, TopicConfigTable, TopicConfigs, TopicList, TopicStatsTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::dialect::Style;
use cuemq_net::request::{CreateTopic, DeleteTopic, TopicQuery, TopicsByCluster};

use super::{Admin, is_unknown_there, not_listed, nothing, read};
use crate::error::{Cause, Error};
use crate::instance::{CREATE_TOPIC_KEY, TopicRoute};
use crate::producer::check_topic;

/// The namespace of the name server's configuration that holds the order of topics' brokers.
const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

impl Admin {
    /// Makes or changes a topic on a broker (17).
    ///
    /// # Errors
    /// When the name is none, or the broker says no.
    pub async fn create_and_update_topic(&self, address: &str, topic: &TopicConfig) -> Result<(), Error> {
        check_topic(&topic.topic_name)?;
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let header = CreateTopic {
            topic: &topic.topic_name,
            default_topic: CREATE_TOPIC_KEY,
            read_queue_nums: number(topic.read_queue_nums),
            write_queue_nums: number(topic.write_queue_nums),
            perm: number(topic.perm),
            topic_filter_type: topic.topic_filter_type.name(),
            topic_sys_flag: Some(number(topic.topic_sys_flag)),
            order: topic.order,
            attributes: None,
        };
        let code = RequestCode::UPDATE_AND_CREATE_TOPIC;
        self.ask(address, code, |fields| header.write(fields), "").await?;
        Ok(())
    }

    /// Makes or changes topics together (18); for brokers that know how.
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn create_and_update_topics(&self, address: &str, topics: Vec<TopicConfig>) -> Result<(), Error> {
        let body = TopicConfigs {
            topic_config_list: topics,
        };
        let code = RequestCode::UPDATE_AND_CREATE_TOPIC_LIST;
        self.ask(address, code, nothing, body.encode(Style::Standard)).await?;
        Ok(())
    }

    /// Deletes a topic on the brokers of a cluster (215) and then at all name servers (216). Its order configuration stays.
    ///
    /// # Errors
    /// The first server that says no; those before have done it.
    pub async fn delete_topic(&self, topic: &str, cluster: &str) -> Result<(), Error> {
        for address in self.masters_of(cluster).await? {
            self.delete_topic_in_broker(&address, topic).await?;
        }
        let header = DeleteTopic {
            topic,
            cluster_name: None,
        };
        let code = RequestCode::DELETE_TOPIC_IN_NAMESRV;
        self.tell_name_servers(code, |fields| header.write(fields), "").await?;
        Ok(())
    }

    /// Deletes a topic on one broker (215).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn delete_topic_in_broker(&self, address: &str, topic: &str) -> Result<(), Error> {
        let header = DeleteTopic {
            topic,
            cluster_name: None,
        };
        self.ask(
            address,
            RequestCode::DELETE_TOPIC_IN_BROKER,
            |fields| header.write(fields),
            "",
        )
        .await?;
        Ok(())
    }

    /// Where a topic's queues are, as a name server says now (105).
    ///
    /// # Errors
    /// When no name server knows the topic.
    pub async fn examine_topic_route_info(&self, topic: &str) -> Result<Arc<TopicRoute>, Error> {
        self.client.refresh_route(topic).await
    }

    /// Where a topic's queues begin and end, on all of its brokers (202).
    ///
    /// # Errors
    /// When no name server knows the topic, or a broker says no.
    pub async fn examine_topic_stats(&self, topic: &str) -> Result<TopicStatsTable, Error> {
        let mut all = TopicStatsTable::default();
        for address in self.brokers_of(topic).await? {
            let header = TopicQuery { topic };
            let code = RequestCode::GET_TOPIC_STATS_INFO;
            let answer = self.ask(&address, code, |fields| header.write(fields), "").await?;
            all.offset_table.extend(read::<TopicStatsTable>(&answer)?.offset_table);
        }
        Ok(all)
    }

    /// All topics that name servers know (206).
    ///
    /// # Errors
    /// When no name server answers.
    pub async fn fetch_all_topic_list(&self) -> Result<BTreeSet<String>, Error> {
        self.listed(RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER).await
    }

    /// The topics of a cluster (224).
    ///
    /// # Errors
    /// When no name server answers.
    pub async fn fetch_topics_by_cluster(&self, cluster: &str) -> Result<BTreeSet<String>, Error> {
        let header = TopicsByCluster { cluster };
        let code = RequestCode::GET_TOPICS_BY_CLUSTER;
        let answer = self.ask_name_server(code, |fields| header.write(fields)).await?;
        Ok(read::<TopicList>(&answer)?.topic_list)
    }

    /// The system's topics that name servers know: the names of clusters and brokers (304).
    ///
    /// # Errors
    /// When no name server answers.
    pub async fn fetch_system_topic_list(&self) -> Result<BTreeSet<String>, Error> {
        self.listed(RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS).await
    }

    /// The system's topics of a broker (305).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn fetch_system_topic_list_of_broker(&self, address: &str) -> Result<BTreeSet<String>, Error> {
        let answer = self
            .ask(address, RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_BROKER, nothing, "")
            .await?;
        Ok(read::<TopicList>(&answer)?.topic_list)
    }

    /// The topics of one unit (311).
    ///
    /// # Errors
    /// When no name server answers.
    pub async fn fetch_unit_topic_list(&self) -> Result<BTreeSet<String>, Error> {
        self.listed(RequestCode::GET_UNIT_TOPIC_LIST).await
    }

    /// The topics that have subscribers in units (312), or those of them that are not of a unit themselves (313).
    ///
    /// # Errors
    /// When no name server answers.
    pub async fn fetch_unit_sub_topic_list(&self, without_unit_topics: bool) -> Result<BTreeSet<String>, Error> {
        self.listed(if without_unit_topics {
            RequestCode::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST
        } else {
            RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST
        })
        .await
    }

    async fn listed(&self, code: RequestCode) -> Result<BTreeSet<String>, Error> {
        Ok(read::<TopicList>(&self.ask_name_server(code, nothing).await?)?.topic_list)
    }

    /// All topics of a broker with their configuration (21).
    ///
    /// # Errors
    /// When the broker says no.
    pub async fn all_topic_config(&self, address: &str) -> Result<BTreeMap<String, TopicConfig>, Error> {
        let answer = self
            .ask_long(address, RequestCode::GET_ALL_TOPIC_CONFIG, nothing)
            .await?;
        Ok(read::<TopicConfigTable>(&answer)?.topic_config_table)
    }

    /// One topic's configuration on a broker (351); a broker of release 4 does not know how, or
    /// does not even answer, and is asked for all (21).
    ///
    /// # Errors
    /// When the broker does not have the topic.
    pub async fn examine_topic_config(&self, address: &str, topic: &str) -> Result<TopicConfig, Error> {
        let header = TopicQuery { topic };
        let code = RequestCode::GET_TOPIC_CONFIG;
        match self.ask(address, code, |fields| header.write(fields), "").await {
            Err(error) if is_unknown_there(&error) => {
                let mut all = self.all_topic_config(address).await?;
                all.remove(topic)
                    .ok_or_else(|| not_listed(ResponseCode::TOPIC_NOT_EXIST, address).topic(topic))
            }
            answer => read(&answer?),
        }
    }

    /// Changes a topic's permission on a broker and keeps its queues: 2 write, 4 read, 6 both.
    ///
    /// # Errors
    /// When the topic is not on the broker, or the broker says no.
    pub async fn update_topic_perm(&self, address: &str, topic: &str, perm: u32) -> Result<(), Error> {
        let mut config = self.all_topic_config(address).await?;
        let missing = || Error::from(Cause::NoRoute).topic(topic).at(address);
        let config = config.remove(topic).ok_or_else(missing)?;
        self.create_and_update_topic(address, &TopicConfig { perm, ..config })
            .await
    }

    /// Sets the order of a topic's brokers, `broker-a:4;broker-b:4`, at all name servers.
    ///
    /// # Errors
    /// When a name server says no.
    pub async fn create_or_update_order_conf(&self, topic: &str, order: &str) -> Result<(), Error> {
        self.put_kv_config(ORDER_TOPIC_CONFIG, topic, order).await
    }

    /// The order of a topic's brokers, where one is set.
    ///
    /// # Errors
    /// When no name server answers.
    pub async fn get_order_conf(&self, topic: &str) -> Result<Option<String>, Error> {
        self.get_kv_config(ORDER_TOPIC_CONFIG, topic).await
    }

    /// Takes the order of a topic's brokers away.
    ///
    /// # Errors
    /// When a name server says no.
    pub async fn delete_order_conf(&self, topic: &str) -> Result<(), Error> {
        self.delete_kv_config(ORDER_TOPIC_CONFIG, topic).await
    }

    /// One address of each of a topic's brokers: the master's, or else any.
    pub(super) async fn brokers_of(&self, topic: &str) -> Result<Vec<String>, Error> {
        let route = self.client.refresh_route(topic).await?;
        let brokers = route.data.broker_datas.iter();
        Ok(brokers
            .filter_map(|broker| broker.broker_addrs.first_key_value())
            .map(|(_, address)| address.clone())
            .collect())
    }
}
