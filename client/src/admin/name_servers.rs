//! Name servers: clusters, permissions of brokers, configuration by key, own settings (codes 100 to 102, 106, 205, 219, 318,
//! 319, 327).

use std::collections::BTreeMap;

use cuemq_net::body::{ClusterInfo, KvTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::request::{DeleteKv, GetKv, KvList, PutKv, WritePerm};

use super::brokers::{settings_in, settings_text};
use super::{Admin, nothing, number, read};
use crate::error::{Cause, Error};

impl Admin {
    /// Which clusters there are, and which brokers in them (106).
    ///
    /// # Errors
    /// When no name server answers.
    pub async fn examine_cluster(&self) -> Result<ClusterInfo, Error> {
        read(
            &self
                .ask_name_server(RequestCode::GET_BROKER_CLUSTER_INFO, nothing)
                .await?,
        )
    }

    /// The addresses of a cluster's masters.
    ///
    /// # Errors
    /// When no name server knows the cluster.
    pub async fn masters_of(&self, cluster: &str) -> Result<Vec<String>, Error> {
        let known = self.examine_cluster().await?;
        let unknown = || Cause::Invalid(format!("no name server knows a cluster {cluster:?}"));
        let names = known.cluster_addr_table.get(cluster).ok_or_else(unknown)?;
        let brokers = names.iter().filter_map(|name| known.broker_addr_table.get(name));
        Ok(brokers
            .filter_map(|broker| broker.broker_addrs.get(&0))
            .cloned()
            .collect())
    }

    /// Takes a broker's permission to be written to away, at all name servers; gives how many topics that concerns (205).
    ///
    /// # Errors
    /// When a name server says no.
    pub async fn wipe_write_perm_of_broker(&self, broker_name: &str) -> Result<i64, Error> {
        self.write_perm(RequestCode::WIPE_WRITE_PERM_OF_BROKER, broker_name, "wipeTopicCount")
            .await
    }

    /// Gives it back (327).
    ///
    /// # Errors
    /// When a name server says no.
    pub async fn add_write_perm_of_broker(&self, broker_name: &str) -> Result<i64, Error> {
        self.write_perm(RequestCode::ADD_WRITE_PERM_OF_BROKER, broker_name, "addTopicCount")
            .await
    }

    async fn write_perm(&self, code: RequestCode, broker_name: &str, count: &str) -> Result<i64, Error> {
        let header = WritePerm { broker_name };
        let mut topics = 0;
        for answer in self.tell_name_servers(code, |fields| header.write(fields), "").await? {
            topics = topics.max(number(&answer, count)?);
        }
        Ok(topics)
    }

    /// Sets a value at all name servers (100).
    ///
    /// # Errors
    /// When a name server says no.
    pub async fn put_kv_config(&self, namespace: &str, key: &str, value: &str) -> Result<(), Error> {
        let header = PutKv { namespace, key, value };
        self.tell_name_servers(RequestCode::PUT_KV_CONFIG, |fields| header.write(fields), "")
            .await?;
        Ok(())
    }

    /// A value, where it is set (101).
    ///
    /// # Errors
    /// When no name server answers.
    pub async fn get_kv_config(&self, namespace: &str, key: &str) -> Result<Option<String>, Error> {
        let header = GetKv { namespace, key };
        match self
            .ask_name_server(RequestCode::GET_KV_CONFIG, |fields| header.write(fields))
            .await
        {
            Ok(answer) => Ok(answer.fields.get("value").map(str::to_owned)),
            Err(error) if error.code() == Some(ResponseCode::QUERY_NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes a value away at all name servers (102).
    ///
    /// # Errors
    /// When a name server says no.
    pub async fn delete_kv_config(&self, namespace: &str, key: &str) -> Result<(), Error> {
        let header = DeleteKv { namespace, key };
        self.tell_name_servers(RequestCode::DELETE_KV_CONFIG, |fields| header.write(fields), "")
            .await?;
        Ok(())
    }

    /// All values of a namespace (219).
    ///
    /// # Errors
    /// When there is no such namespace, or no name server answers.
    pub async fn get_kv_list_by_namespace(&self, namespace: &str) -> Result<BTreeMap<String, String>, Error> {
        let header = KvList { namespace };
        let code = RequestCode::GET_KVLIST_BY_NAMESPACE;
        Ok(read::<KvTable>(&self.ask_name_server(code, |fields| header.write(fields)).await?)?.table)
    }

    /// The settings of each name server, by address (319).
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn get_name_server_config(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
        let mut all = BTreeMap::new();
        for address in self.client.name_servers() {
            let answer = self.ask(&address, RequestCode::GET_NAMESRV_CONFIG, nothing, "").await?;
            all.insert(address, settings_in(&answer.body));
        }
        Ok(all)
    }

    /// Changes settings of all name servers (318).
    ///
    /// # Errors
    /// When one says no.
    pub async fn update_name_server_config(&self, settings: &BTreeMap<String, String>) -> Result<(), Error> {
        self.tell_name_servers(RequestCode::UPDATE_NAMESRV_CONFIG, nothing, settings_text(settings))
            .await?;
        Ok(())
    }
}
