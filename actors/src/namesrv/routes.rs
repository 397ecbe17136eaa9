//! The route table: which brokers there are, alive, and which queues each has of which topic. Plain logic, no clock and
//! no connection inside. Mirrors `RouteInfoManager`.
//!
//! Tables are ordered maps, so that the same history gives the same answers byte for byte.

use super::broker::{BrokerIdentity, LiveBroker, MASTER_ID};
use super::room::{self, MOST_BROKERS, NoRoom};
use crate::peer::PeerKey;
use cuemq_net::body::{
    BrokerData, ClusterInfo, DataVersion, QueueData, RegisterBrokerBody, TopicConfig, TopicConfigTable, TopicRouteData,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a broker may be silent: it registers every 30 seconds, so three registrations may be lost.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(120);

/// What a slave is told about its master when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// The address that clients connect to.
    pub address: String,
    /// Where the slave finds its replication.
    pub replication_address: String,
}

/// Everything that brokers have registered.
#[derive(Debug, Default)]
pub struct RouteTable {
    /// By topic, then by broker name.
    pub(super) topics: BTreeMap<String, BTreeMap<String, QueueData>>,
    /// By broker name.
    pub(super) brokers: BTreeMap<String, BrokerData>,
    /// By cluster: the names of its brokers.
    pub(super) clusters: BTreeMap<String, BTreeSet<String>>,
    /// By address.
    live: BTreeMap<String, LiveBroker>,
    /// By broker address.
    filter_servers: BTreeMap<String, Vec<String>>,
}

impl RouteTable {
    /// Takes a registration, heard at `now` on the monotonic clock. A slave gets its master, if that is alive.
    ///
    /// Only a master's topics count, and only if their version is new for its address or the address is new for its id;
    /// topics that are missing from the body stay, since a broker may register a single one.
    ///
    /// # Errors
    /// If the tables have no room for it; nothing of it is taken then.
    pub fn register(
        &mut self,
        peer: PeerKey,
        identity: &BrokerIdentity,
        replication_address: &str,
        body: RegisterBrokerBody,
        now: Duration,
    ) -> Result<Option<Master>, NoRoom> {
        self.has_room(identity, replication_address, &body)?;
        let RegisterBrokerBody {
            filter_server_list,
            topics,
        } = body;
        let first = self.enter(identity);
        let version = topics.data_version;
        if identity.id == MASTER_ID && (first || self.data_version_changed(&identity.address, &version)) {
            self.take_topics(&identity.name, topics);
        }
        let broker = LiveBroker {
            identity: identity.clone(),
            peer,
            heard: now,
            data_version: version,
            replication_address: replication_address.to_owned(),
        };
        if self.live.insert(identity.address.clone(), broker).is_none() {
            tracing::info!(
                broker = identity.name,
                id = identity.id,
                address = identity.address,
                "broker registered"
            );
        }
        match filter_server_list {
            None => {}
            Some(list) if list.is_empty() => drop(self.filter_servers.remove(&identity.address)),
            Some(list) => drop(self.filter_servers.insert(identity.address.clone(), list)),
        }
        if identity.id == MASTER_ID {
            return Ok(None);
        }
        Ok(self.master_of(&identity.name))
    }

    /// How many brokers are alive, and how many topics have a route.
    #[must_use]
    pub fn figures(&self) -> (usize, usize) {
        (self.live.len(), self.topics.len())
    }

    fn has_room(
        &self,
        identity: &BrokerIdentity,
        replication_address: &str,
        body: &RegisterBrokerBody,
    ) -> Result<(), NoRoom> {
        room::fits(identity, replication_address, body)?;
        if self.live.len() >= MOST_BROKERS && !self.live.contains_key(&identity.address) {
            return Err(NoRoom::Brokers);
        }
        match identity.id {
            MASTER_ID => room::takes_topics(&self.topics, &identity.name, &body.topics.topic_config_table),
            _ => Ok(()),
        }
    }

    /// Enters a broker's address; tells whether it is new for this name and id.
    fn enter(&mut self, identity: &BrokerIdentity) -> bool {
        let moved = self
            .live
            .get(&identity.address)
            .filter(|known| known.identity.name != identity.name);
        if let Some(earlier) = moved.map(|known| known.identity.clone()) {
            self.remove(&earlier);
        }
        let data = self.brokers.entry(identity.name.clone()).or_default();
        if data.cluster != identity.cluster {
            let left = std::mem::replace(&mut data.cluster, identity.cluster.clone());
            data.broker_name.clone_from(&identity.name);
            leave_cluster(&mut self.clusters, &left, &identity.name);
        }
        self.clusters
            .entry(identity.cluster.clone())
            .or_default()
            .insert(identity.name.clone());
        // A slave that became master keeps its address and must not be listed under both ids.
        data.broker_addrs
            .retain(|id, address| *id == identity.id || *address != identity.address);
        data.broker_addrs
            .insert(identity.id, identity.address.clone())
            .is_none()
    }

    fn take_topics(&mut self, broker_name: &str, table: TopicConfigTable) {
        for (topic, config) in table.topic_config_table {
            self.topics
                .entry(topic)
                .or_default()
                .insert(broker_name.to_owned(), queues_of(broker_name, &config));
        }
    }

    fn master_of(&self, broker_name: &str) -> Option<Master> {
        let address = self.brokers.get(broker_name)?.broker_addrs.get(&MASTER_ID)?;
        let replication_address = self.live.get(address)?.replication_address.clone();
        Some(Master {
            address: address.clone(),
            replication_address,
        })
    }

    fn data_version_changed(&self, address: &str, version: &DataVersion) -> bool {
        self.live
            .get(address)
            .is_none_or(|broker| broker.data_version != *version)
    }

    /// Compares a broker's version with the one it registered last, which is returned too; equal ones count as a sign of
    /// life.
    pub fn query_data_version(
        &mut self,
        address: &str,
        version: &DataVersion,
        now: Duration,
    ) -> (bool, Option<DataVersion>) {
        let Some(broker) = self.live.get_mut(address) else {
            return (true, None);
        };
        let changed = broker.data_version != *version;
        if !changed {
            broker.heard = now;
        }
        (changed, Some(broker.data_version))
    }

    /// Removes a broker that says farewell.
    pub fn unregister(&mut self, identity: &BrokerIdentity) {
        tracing::info!(
            broker = identity.name,
            id = identity.id,
            address = identity.address,
            "broker unregistered"
        );
        self.remove(identity);
    }

    /// Removes the brokers that registered on a connection that has closed.
    pub fn peer_closed(&mut self, peer: PeerKey) {
        for broker in self.take_live(|broker| broker.peer == peer) {
            tracing::warn!(
                broker = broker.identity.name,
                address = broker.identity.address,
                "broker's connection closed"
            );
            self.remove(&broker.identity);
        }
    }

    /// Removes the brokers that have been silent for longer than [`SILENCE_LIMIT`], and returns their connections, which
    /// are to be closed.
    pub fn remove_silent(&mut self, now: Duration) -> Vec<PeerKey> {
        let silent = self.take_live(|broker| now.saturating_sub(broker.heard) > SILENCE_LIMIT);
        for broker in &silent {
            tracing::warn!(
                broker = broker.identity.name,
                address = broker.identity.address,
                "broker was silent too long"
            );
            self.remove(&broker.identity);
        }
        silent.into_iter().map(|broker| broker.peer).collect()
    }

    fn take_live(&mut self, unwanted: impl Fn(&LiveBroker) -> bool) -> Vec<LiveBroker> {
        self.live
            .extract_if(.., |_, broker| unwanted(broker))
            .map(|(_, broker)| broker)
            .collect()
    }

    /// Removes an address, and with the last address of a name its topics.
    fn remove(&mut self, identity: &BrokerIdentity) {
        self.live.remove(&identity.address);
        self.filter_servers.remove(&identity.address);
        let Some(data) = self.brokers.get_mut(&identity.name) else {
            return;
        };
        // Another address may have taken the id meanwhile; it stays.
        data.broker_addrs
            .retain(|id, address| *id != identity.id || *address != identity.address);
        if data.broker_addrs.is_empty() {
            leave_cluster(&mut self.clusters, &data.cluster, &identity.name);
            self.brokers.remove(&identity.name);
            self.topics.retain(|_, brokers| {
                brokers.remove(&identity.name);
                !brokers.is_empty()
            });
        }
    }

    /// Tells where a topic's queues are; nothing if no broker has any.
    pub fn route(&self, topic: &str) -> Option<TopicRouteData> {
        let queues = self.topics.get(topic)?;
        let brokers: Vec<BrokerData> = queues
            .keys()
            .filter_map(|name| self.brokers.get(name))
            .cloned()
            .collect();
        if brokers.is_empty() {
            return None;
        }
        let addresses = brokers.iter().flat_map(|broker| broker.broker_addrs.values());
        let filter_servers = addresses.filter_map(|address| self.filter_servers.get_key_value(address));
        Some(TopicRouteData {
            filter_server_table: filter_servers
                .map(|(address, list)| (address.clone(), list.clone()))
                .collect(),
            broker_datas: brokers,
            order_topic_conf: None,
            queue_datas: queues.values().cloned().collect(),
        })
    }

    /// Lists all brokers and clusters.
    pub fn cluster_info(&self) -> ClusterInfo {
        ClusterInfo {
            broker_addr_table: self.brokers.clone(),
            cluster_addr_table: self.clusters.clone(),
        }
    }
}

fn leave_cluster(clusters: &mut BTreeMap<String, BTreeSet<String>>, cluster: &str, broker_name: &str) {
    if let Some(names) = clusters.get_mut(cluster) {
        names.remove(broker_name);
        if names.is_empty() {
            clusters.remove(cluster);
        }
    }
}

fn queues_of(broker_name: &str, config: &TopicConfig) -> QueueData {
    QueueData {
        broker_name: broker_name.to_owned(),
        perm: config.perm,
        read_queue_nums: config.read_queue_nums,
        topic_sys_flag: config.topic_sys_flag,
        write_queue_nums: config.write_queue_nums,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A connection of that number.
    pub(crate) fn peer(slot: u32) -> PeerKey {
        PeerKey {
            thread: 0,
            slot,
            generation: 0,
        }
    }

    /// The broker of that name and id; its address tells both.
    pub(crate) fn broker(name: &str, id: i64) -> BrokerIdentity {
        BrokerIdentity {
            cluster: "C".into(),
            name: name.into(),
            address: format!("{name}-{id}:1"),
            id,
        }
    }

    /// A registration's body with these topics, of that version.
    pub(crate) fn topics(counter: i64, names: &[&str]) -> RegisterBrokerBody {
        let mut body = RegisterBrokerBody {
            filter_server_list: Some(Vec::new()),
            ..RegisterBrokerBody::default()
        };
        body.topics.data_version.counter = counter;
        for name in names {
            let config = TopicConfig {
                topic_name: (*name).into(),
                write_queue_nums: 4,
                ..TopicConfig::default()
            };
            body.topics.topic_config_table.insert((*name).into(), config);
        }
        body
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Registers on the connection of the broker's id, at second 0.
    pub(crate) fn register(
        table: &mut RouteTable,
        identity: &BrokerIdentity,
        body: RegisterBrokerBody,
    ) -> Option<Master> {
        let slot = u32::try_from(identity.id).unwrap();
        table
            .register(peer(slot), identity, &format!("ha-{}", identity.address), body, at(0))
            .unwrap()
    }

    fn addresses(table: &RouteTable, topic: &str) -> Vec<String> {
        let route = table.route(topic).unwrap_or_default();
        route
            .broker_datas
            .iter()
            .flat_map(|broker| broker.broker_addrs.values().cloned())
            .collect()
    }

    #[test]
    fn a_masters_topics_are_routed_to_it_and_its_slaves() {
        let mut table = RouteTable::default();
        register(&mut table, &broker("a", 0), topics(1, &["T"]));
        register(&mut table, &broker("a", 1), topics(9, &["OfTheSlave"]));
        register(&mut table, &broker("b", 0), topics(1, &["T"]));
        assert_eq!(addresses(&table, "T"), ["a-0:1", "a-1:1", "b-0:1"]);
        assert_eq!(table.route("OfTheSlave"), None);
        let queues = &table.route("T").unwrap().queue_datas[0];
        assert_eq!(
            (queues.write_queue_nums, queues.read_queue_nums, queues.perm),
            (4, 16, 6)
        );
    }

    #[test]
    fn a_slave_hears_of_its_master_while_that_lives() {
        let mut table = RouteTable::default();
        assert_eq!(register(&mut table, &broker("a", 1), topics(1, &[])), None);
        assert_eq!(register(&mut table, &broker("a", 0), topics(1, &[])), None);
        let master = Master {
            address: "a-0:1".into(),
            replication_address: "ha-a-0:1".into(),
        };
        assert_eq!(register(&mut table, &broker("a", 1), topics(1, &[])), Some(master));
        table.unregister(&broker("a", 0));
        assert_eq!(register(&mut table, &broker("a", 1), topics(1, &[])), None);
    }

    #[test]
    fn topics_of_a_known_version_are_not_taken_again() {
        let mut table = RouteTable::default();
        register(&mut table, &broker("a", 0), topics(1, &["T"]));
        register(&mut table, &broker("a", 0), topics(1, &["U"]));
        assert_eq!(table.route("U"), None);
        register(&mut table, &broker("a", 0), topics(2, &["U"]));
        assert!(table.route("U").is_some());
        assert!(
            table.route("T").is_some(),
            "a topic that the broker no longer names stays"
        );
    }

    #[test]
    fn topics_come_back_when_the_id_was_free_even_with_a_known_version() {
        let mut table = RouteTable::default();
        register(&mut table, &broker("a", 0), topics(1, &["T"]));
        table.unregister(&broker("a", 0));
        assert_eq!(table.route("T"), None);
        register(&mut table, &broker("a", 0), topics(1, &["T"]));
        assert!(table.route("T").is_some());
    }

    #[test]
    fn a_slave_that_became_master_is_listed_once() {
        let mut table = RouteTable::default();
        register(&mut table, &broker("a", 1), topics(1, &["T"]));
        let promoted = BrokerIdentity {
            id: 0,
            ..broker("a", 1)
        };
        register(&mut table, &promoted, topics(1, &["T"]));
        assert_eq!(
            table.route("T").unwrap().broker_datas[0].broker_addrs,
            [(0, "a-1:1".to_owned())].into()
        );
    }

    #[test]
    fn a_broker_that_changed_its_name_leaves_nothing_behind() {
        let mut table = RouteTable::default();
        register(&mut table, &broker("a", 0), topics(1, &["T"]));
        let renamed = BrokerIdentity {
            name: "z".into(),
            cluster: "D".into(),
            ..broker("a", 0)
        };
        register(&mut table, &renamed, topics(1, &["U"]));
        assert_eq!(table.route("T"), None);
        let info = table.cluster_info();
        assert_eq!(
            info.cluster_addr_table,
            [("D".to_owned(), ["z".to_owned()].into())].into()
        );
        assert_eq!(info.broker_addr_table["z"].broker_name, "z");
    }

    #[test]
    fn the_farewell_of_a_replaced_broker_does_not_remove_the_new_one() {
        let mut table = RouteTable::default();
        register(&mut table, &broker("a", 0), topics(1, &["T"]));
        let moved = BrokerIdentity {
            address: "new:1".into(),
            ..broker("a", 0)
        };
        register(&mut table, &moved, topics(1, &["T"]));
        table.unregister(&broker("a", 0));
        assert_eq!(addresses(&table, "T"), ["new:1"]);
    }

    #[test]
    fn without_its_master_a_name_keeps_topics_and_slave() {
        let mut table = RouteTable::default();
        register(&mut table, &broker("a", 0), topics(1, &["T"]));
        register(&mut table, &broker("a", 1), topics(1, &[]));
        table.peer_closed(peer(0));
        assert_eq!(addresses(&table, "T"), ["a-1:1"]);
        table.peer_closed(peer(1));
        assert_eq!(table.route("T"), None);
        assert_eq!(table.cluster_info(), ClusterInfo::default());
    }

    #[test]
    fn the_old_connection_of_a_broker_that_came_back_does_not_remove_it() {
        let mut table = RouteTable::default();
        let identity = broker("a", 0);
        let registered = table.register(peer(7), &identity, "", topics(1, &["T"]), at(0));
        registered.unwrap();
        let registered = table.register(peer(8), &identity, "", topics(1, &["T"]), at(1));
        registered.unwrap();
        table.peer_closed(peer(7));
        assert!(table.route("T").is_some());
    }

    #[test]
    fn a_silent_broker_is_removed_after_the_limit_and_its_connection_named() {
        let mut table = RouteTable::default();
        register(&mut table, &broker("a", 0), topics(1, &["T"]));
        assert_eq!(table.remove_silent(at(120)), []);
        let same = DataVersion {
            counter: 1,
            ..DataVersion::default()
        };
        assert_eq!(table.query_data_version("a-0:1", &same, at(100)), (false, Some(same)));
        assert_eq!(table.remove_silent(at(220)), []);
        let other = DataVersion { counter: 2, ..same };
        assert_eq!(table.query_data_version("a-0:1", &other, at(219)), (true, Some(same)));
        assert_eq!(
            table.remove_silent(at(221)),
            [peer(0)],
            "a changed version is no sign of life"
        );
        assert_eq!(table.query_data_version("a-0:1", &same, at(221)), (true, None));
        assert_eq!(table.route("T"), None);
    }

    #[test]
    fn filter_servers_are_routed_until_they_are_gone() {
        let mut table = RouteTable::default();
        let with = |list| RegisterBrokerBody {
            filter_server_list: list,
            ..topics(1, &["T"])
        };
        register(&mut table, &broker("a", 0), with(Some(vec!["f:1".to_owned()])));
        register(&mut table, &broker("a", 0), with(None));
        let known = [("a-0:1".to_owned(), vec!["f:1".to_owned()])].into();
        assert_eq!(table.route("T").unwrap().filter_server_table, known);
        register(&mut table, &broker("a", 0), with(Some(Vec::new())));
        assert!(table.route("T").unwrap().filter_server_table.is_empty());
    }
}
