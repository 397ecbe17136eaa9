//! Who this broker is, as its answers tell it.

use std::net::SocketAddr;

use crate::config::BrokerConfig;

/// What answers are made of beside what was asked.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The announced address with the broker's port: the store host of its records and the first half of message ids.
    pub store_host: SocketAddr,
    /// The broker's name.
    pub broker_name: String,
    /// The cluster.
    pub cluster_name: String,
    /// The broker's id; 0 is the master.
    pub broker_id: u64,
    /// The region of message traces.
    pub region: String,
    /// Whether clients are asked for message traces.
    pub trace_on: bool,
    /// The broker's permission bits.
    pub permission: u32,
    /// The longest record in bytes.
    pub max_message_size: u32,
    /// The longest record, or batch, that fits a commit log file.
    pub record_bytes_max: u64,
    /// Whether pulls wait as long as they ask for.
    pub long_polling: bool,
    /// Whether consumers that are far behind are told to pull from another broker.
    pub slave_read: bool,
    /// How long they wait otherwise, in milliseconds.
    pub short_polling_ms: u64,
}

impl Identity {
    /// The identity of a broker that listens on `port` and whose commit log files are `segment_bytes` long.
    #[must_use]
    pub fn new(config: &BrokerConfig, port: u16, segment_bytes: u64) -> Self {
        Self {
            store_host: SocketAddr::new(config.announce, port),
            broker_name: config.broker_name.clone(),
            cluster_name: config.cluster_name.clone(),
            broker_id: config.broker_id,
            region: config.region.clone(),
            trace_on: config.trace_on,
            permission: config.permission,
            max_message_size: config.max_message_size,
            record_bytes_max: segment_bytes.saturating_sub(cuemq_storage::commit_log::BLANK_BYTES),
            long_polling: config.long_polling,
            slave_read: config.slave_read,
            short_polling_ms: u64::try_from(config.short_polling.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
