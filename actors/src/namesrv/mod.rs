//! The name server: where the queues of a topic are, which brokers live, and a table of keys and values.
//!
//! It keeps everything but the keys and values in memory alone: brokers tell it again every 30 seconds, and every name
//! server is told by each of them. Mirrors `NamesrvController`, `RouteInfoManager`, `KVConfigManager` and
//! `DefaultRequestProcessor`.
//!
//! | file | holds |
//! |---|---|
//! | `broker` | who a broker is, and when it was last heard |
//! | `routes` | the route table: registration, liveness, routes |
//! | `topics` | what can be asked of the route table's topics, and what operators change there |
//! | `kv` | keys and values by namespace |
//! | `settings` | what can be configured |
//! | `desk` | one answer for each request |
//! | `actor` | the actor, its messages and its ticks |

mod broker;
mod kv;
mod routes;
mod topics;

pub use broker::{BrokerIdentity, LiveBroker, MASTER_ID};
pub use kv::{KvConfig, ORDER_TOPICS};
pub use routes::{Master, RouteTable, SILENCE_LIMIT};
