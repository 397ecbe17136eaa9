//! What brokers, clients and tools ask of a name server (`org.apache.rocketmq.common.protocol.header.namesrv`).

use crate::header::field::fields;

fields! {
    /// Registers a broker with its topics, which are the body: 103.
    pub struct RegisterBroker<'a> {
        /// The broker's name, which master and slaves share.
        broker_name: &'a str = b"brokerName",
        /// The broker's announced address.
        broker_addr: &'a str = b"brokerAddr",
        /// The cluster.
        cluster_name: &'a str = b"clusterName",
        /// The address that slaves replicate from.
        ha_server_addr: &'a str = b"haServerAddr",
        /// 0: the master, else a slave.
        broker_id: i64 = b"brokerId",
        /// Whether the body is compressed.
        compressed: bool = b"compressed" or false,
        /// CRC-32 of the body in 31 bits; 0: not checked.
        body_crc32: i32 = b"bodyCrc32" or 0,
    }

    /// Takes a broker out: 104.
    pub struct UnregisterBroker<'a> {
        /// The broker's name, which master and slaves share.
        broker_name: &'a str = b"brokerName",
        /// The broker's announced address.
        broker_addr: &'a str = b"brokerAddr",
        /// The cluster.
        cluster_name: &'a str = b"clusterName",
        /// 0: the master, else a slave.
        broker_id: i64 = b"brokerId",
    }

    /// Asks whether the topics that the name server has of a broker are older than those in the body: 322.
    pub struct QueryDataVersion<'a> {
        /// The broker's name, which master and slaves share.
        broker_name: &'a str = b"brokerName",
        /// The broker's announced address.
        broker_addr: &'a str = b"brokerAddr",
        /// The cluster.
        cluster_name: &'a str = b"clusterName",
        /// 0: the master, else a slave.
        broker_id: i64 = b"brokerId",
    }

    /// Asks which brokers have a topic: 105.
    pub struct RouteInfo<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// Whether the answer must be standard JSON.
        accept_standard_json_only: bool = b"acceptStandardJsonOnly" or false,
    }

    /// Asks for the topics of a cluster: 224.
    pub struct TopicsByCluster<'a> {
        /// The cluster.
        cluster: &'a str = b"cluster",
    }

    /// Stores a value under a key: 100.
    pub struct PutKv<'a> {
        /// The namespace.
        namespace: &'a str = b"namespace",
        /// The key.
        key: &'a str = b"key",
        /// The value.
        value: &'a str = b"value",
    }

    /// Asks for the value under a key: 101.
    pub struct GetKv<'a> {
        /// The namespace.
        namespace: &'a str = b"namespace",
        /// The key.
        key: &'a str = b"key",
    }

    /// Removes a key: 102.
    pub struct DeleteKv<'a> {
        /// The namespace.
        namespace: &'a str = b"namespace",
        /// The key.
        key: &'a str = b"key",
    }

    /// Asks for all keys of a namespace: 219.
    pub struct KvList<'a> {
        /// The namespace.
        namespace: &'a str = b"namespace",
    }

    /// Takes the write permission from all topics of a broker (205), or gives it back (327).
    pub struct WritePerm<'a> {
        /// The broker's name.
        broker_name: &'a str = b"brokerName",
    }

    /// Deletes a topic in a name server (216) or a broker (215).
    pub struct DeleteTopic<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// Only in this cluster; 5.x tools say so.
        cluster_name: Option<&'a str> = b"clusterName",
    }
}
