//! The client library for brokers of the protocol, in plain tokio futures. **It is not written yet**: COMPATIBILITY.md
//! lists in rows 113 to 142 what will live here.
//!
//! Until then [`cuemq_net::transport`] makes connections and calls; the example `first_message` sends and receives with it.
