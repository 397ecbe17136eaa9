//! The CueMQ broker and name server as actors.

pub mod bench;
pub mod config_table;
pub mod group;
pub mod hold;
pub mod namesrv;
pub mod net;
pub mod offset;
pub mod peer;
pub mod placement;
pub mod rebalance;
pub mod supervise;
pub mod table_file;
pub mod testing;
pub mod topic;
