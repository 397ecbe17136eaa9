//! fastjson's dialect of JSON, in which RocketMQ writes its bodies and its JSON config files.
//!
//! It differs from JSON in the keys of objects: a Java map keyed by an integer prints `{0:"10.0.0.1:10911"}`, a map keyed
//! by a bean prints the bean, `{{"brokerName":"b","queueId":0,"topic":"t"}:7}`, and an object met twice prints as
//! `{"$ref":"$.path"}` the second time. [`parse`] reads all of that and plain JSON alike; [`write()`] prints it in one of
//! three [`Style`]s. Types that implement serde convert by [`to_value`] and [`from_value`], with object keys allowed.
//!
//! Input comes from sockets and files, so its length, nesting and number of values are bounded here.

#![deny(clippy::indexing_slicing)]

mod decode;
mod encode;
mod error;
mod parse;
mod reference;
mod value;
mod write;

pub use decode::from_value;
pub use encode::to_value;
pub use error::DialectError;
pub use parse::parse;
pub use value::{Key, Object, Value};
pub use write::{Style, write};

/// The longest text that is parsed, in bytes: a `topics.json` of a quarter of a million topics fits. What its references
/// stand for may add as much once more.
pub const MAX_BYTES: usize = 64 << 20;
/// The deepest nesting of arrays, objects and object keys; RocketMQ's own bodies stay below ten. Within an object key no
/// other one is taken at all.
pub const MAX_DEPTH: usize = 64;
/// The largest number of values in one text, keys and resolved references counted: beside the text itself it bounds what
/// a text can take in memory, a little over 100 MiB for `[0,0,0,…`.
pub const MAX_VALUES: usize = 1 << 21;
