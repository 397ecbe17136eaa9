//! Who a broker is, and what the name server knows of it from its own mouth.

use crate::peer::PeerKey;
use cuemq_net::body::DataVersion;
use std::time::Duration;

/// The broker id of a master; slaves have others.
pub const MASTER_ID: i64 = 0;

/// Who registers: the fields that codes 103, 104 and 322 share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerIdentity {
    /// The cluster.
    pub cluster: String,
    /// The name that a master and its slaves share.
    pub name: String,
    /// The address that clients connect to, `ip:port`.
    pub address: String,
    /// [`MASTER_ID`], or a slave's number.
    pub id: i64,
}

/// A broker that has registered and not been silent for too long.
#[derive(Clone, Debug)]
pub struct LiveBroker {
    /// Who it is.
    pub identity: BrokerIdentity,
    /// The connection that it registered on; when that closes, the broker is gone.
    pub peer: PeerKey,
    /// When it was last heard, on the monotonic clock.
    pub heard: Duration,
    /// The version of the topics that it registered last.
    pub data_version: DataVersion,
    /// Where its slaves find its replication, `ip:port`.
    pub replication_address: String,
}
