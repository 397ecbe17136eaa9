//! Who this broker is, as its answers tell it.

use std::net::SocketAddr;

use crate::config::BrokerConfig;
use crate::config::live::LiveSettings;
use crate::topic::Permission;

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
    /// The longest record, or batch, that fits a commit log file.
    pub record_bytes_max: u64,
    /// What can be changed while the broker runs.
    pub live: LiveSettings,
}

impl Identity {
    /// What may be done with the broker now.
    #[must_use]
    pub fn permission(&self) -> Permission {
        Permission(u32::try_from(self.live.permission.get()).unwrap_or(0))
    }

    /// The identity of a broker that listens on `port` and whose commit log files are `segment_bytes` long.
    #[must_use]
    pub fn new(config: &BrokerConfig, port: u16, segment_bytes: u64) -> Self {
        Self {
            store_host: SocketAddr::new(config.announce, port),
            broker_name: config.broker_name.clone(),
            cluster_name: config.cluster_name.clone(),
            broker_id: config.broker_id,
            region: config.region.clone(),
            record_bytes_max: segment_bytes.saturating_sub(cuemq_storage::commit_log::BLANK_BYTES),
            live: LiveSettings::new(config),
        }
    }
}
