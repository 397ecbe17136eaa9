//! The version of a config table, by which brokers and name servers see whether it changed. Java's `DataVersion`.

use super::Body;
use serde::{Deserialize, Serialize};

/// A table's version; two tables are the same only if all of it is equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DataVersion {
    /// Counts the changes.
    pub counter: i64,
    /// The time of the last change, in milliseconds since 1970.
    pub timestamp: i64,
    /// Release 5 alone has it, and raises it when another replica becomes master.
    pub state_version: Option<i64>,
}

impl DataVersion {
    /// Counts a change at that time, in milliseconds since 1970.
    pub fn advance(&mut self, now_ms: i64) {
        self.timestamp = now_ms;
        self.counter = self.counter.wrapping_add(1);
    }
}

impl Body for DataVersion {}
