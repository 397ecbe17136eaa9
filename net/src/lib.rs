//! RocketMQ's remoting protocol: frames, headers, messages and bodies; behind the feature `transport`, connections and
//! calls over tokio.

pub mod body;
pub mod code;
pub mod command;
pub mod dialect;
pub mod error;
pub mod filter;
pub mod frame;
pub mod header;
pub mod language;
pub mod message;
pub mod request;
pub mod response;
#[cfg(feature = "transport")]
pub mod transport;
pub mod version;
