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
//! | `room` | how much the tables take in |
//! | `settings` | what can be configured |
//! | `product` | routes of the product environment, for a name server of a test environment |
//! | `desk` | one answer for each request |
//! | `refusal` | why a request was not done, as code and remark |
//! | `actor` | the actor, its messages and its ticks |

mod actor;
mod broker;
mod desk;
mod kv;
mod product;
mod refusal;
mod room;
mod routes;
mod settings;
mod topics;

pub use actor::{NameServer, NameServerRequest, PeerClosed, RouteFigures};
pub use broker::{BrokerIdentity, LiveBroker, MASTER_ID};
pub use desk::Desk;
pub use kv::{KvConfig, KvFile, ORDER_TOPICS};
pub use product::ProductEnvironment;
pub use room::{LONGEST_NAME, MOST_BROKERS, MOST_FILTER_SERVER_BYTES, MOST_KV_BYTES, MOST_ROUTES, NoRoom};
pub use routes::{Master, RouteTable, SILENCE_LIMIT};
pub use settings::Settings;
