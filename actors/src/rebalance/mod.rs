//! Who belongs to which group, what each group subscribes to, and who must be told when that changes.
//!
//! [`Membership`] is the owner's state: heartbeats, leaves, closed and silent connections go in, change notices come out.
//! [`MembershipView`] shows the groups to every connection without a lock: a pull looks up its subscription there, and the
//! lists that clients and administrators ask for are read there as well. The rules follow Java's `ConsumerManager`,
//! `ConsumerGroupInfo` and `ProducerManager`.
//!
//! A connection keeps the [`PeerRecord`] that each heartbeat gives back. All state follows from these records alone, so a
//! restarted owner gets it back from the connections that are still there ([`Membership::rebuild`]).

pub mod actor;
mod consumer_group;
mod membership;
#[cfg(test)]
mod membership_test;
mod peer_record;
mod producer_group;
mod subscription;
mod tag_filter;
mod view;

pub use consumer_group::{ConsumerGroup, Member};
pub use membership::{
    Departure, Heard, MAX_BYTES, MAX_GROUPS, MAX_RECORD_BYTES, MAX_SUBSCRIPTIONS, Membership, SILENT_MS, TooMuch,
};
pub use peer_record::{Client, PeerRecord};
pub use producer_group::ProducerGroup;
pub use subscription::Subscription;
pub use tag_filter::{NoTags, TagFilter};
pub use view::MembershipView;
