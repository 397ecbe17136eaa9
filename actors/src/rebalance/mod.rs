//! Who belongs to which group, what each group subscribes to, who must be told when that changes, and who has which queue.
//!
//! [`Membership`] is the owner's state: heartbeats, leaves, closed and silent connections go in, change notices come out.
//! [`MembershipView`] shows the groups to every connection without a lock: a pull looks up its subscription there, and the
//! lists that clients and administrators ask for are read there as well. The rules follow Java's `ConsumerManager`,
//! `ConsumerGroupInfo` and `ProducerManager`.
//!
//! [`QueueLocks`] say which client has a queue whose messages must keep their order; [`lock_file`] keeps them over a restart.
//!
//! A connection keeps the [`PeerRecord`] that each heartbeat gives back. All state follows from these records alone, so a
//! restarted owner gets it back from the connections that are still there ([`Membership::rebuild`]); the locks outlive it.

pub mod actor;
mod consumer_group;
mod filters;
pub mod lock_file;
mod locks;
mod membership;
#[cfg(test)]
mod membership_test;
mod peer_record;
mod producer_group;
mod subscription;
mod tag_filter;
mod view;

pub use consumer_group::{ConsumerGroup, Member};
pub use locks::{LockTable, Locking, MAX_LOCK_BYTES, QueueLocks};
pub use membership::{
    Departure, Heard, MAX_BYTES, MAX_GROUPS, MAX_RECORD_BYTES, MAX_SUBSCRIPTIONS, Membership, SILENT_MS, TooMuch,
};
pub use peer_record::{Client, PeerRecord};
pub use producer_group::ProducerGroup;
pub use subscription::Subscription;
pub use tag_filter::{NoTags, TagFilter};
pub use view::MembershipView;
