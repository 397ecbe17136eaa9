//! Subscription groups: what a group of consumers may do, and the table of them.
//!
//! [`GroupTable`] is the owner's state; [`GroupView`] is read by every pull and send-back. The rules follow Java's
//! `SubscriptionGroupManager`.

pub mod actor;
mod protection;
mod table;

pub use protection::Protection;
pub use table::{GroupTable, Refusal, is_group_name};

use std::sync::Arc;

use cuemq_net::body::SubscriptionGroupConfig;

use crate::config_table::{Config, Named, View};

/// A subscription group as the connections see it.
pub type SubscriptionGroup = Named<SubscriptionGroupConfig>;
/// The readers' side of the table of groups.
pub type GroupView = View<SubscriptionGroupConfig>;

/// Stands for a group's name in this process; no two names ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl From<u32> for GroupId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl SubscriptionGroup {
    /// A group that is being made by its first use, with the settings that it will have; its number is nobody's.
    #[must_use]
    pub fn fresh(name: &str) -> Arc<Self> {
        let config = SubscriptionGroupConfig::default();
        Arc::new(Self::new(GroupId(u32::MAX), Arc::from(name), config))
    }
}

impl Config for SubscriptionGroupConfig {
    type Id = GroupId;
    type Found = ();
}
