//! Parked pulls, step 11: one that finds nothing waits here until a message arrives, its time is up, or its client leaves.
//!
//! There is one hold for each I/O thread. [`ParkedPulls`] is its state, without time and without a timer for each pull;
//! [`actor::Hold`] is the actor around it.

pub mod actor;
mod parked_pulls;
pub mod queue_ends;

use std::sync::Arc;

use cuemq_net::frame::HeaderCodec;
pub use parked_pulls::{ParkedPulls, Parking, Woken};

use crate::filter::MessageFilter;
use crate::group::SubscriptionGroup;
use crate::traffic::Flow;

/// A queue of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey {
    /// The topic.
    pub topic: Arc<str>,
    /// The queue.
    pub queue_id: u32,
}

/// A pull that is under way, or waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedPull {
    /// The request's number.
    pub opaque: i32,
    /// The encoding of its header.
    pub codec: HeaderCodec,
    /// The topic.
    pub topic: Arc<str>,
    /// The queue.
    pub queue_id: u32,
    /// Where to read from, with the bits of Java's `long`; a negative one never waits.
    pub queue_offset: u64,
    /// How many messages are wanted at most.
    pub max_messages: u32,
    /// Which messages are wanted.
    pub filter: Arc<MessageFilter>,
    /// Whose pull it is.
    pub group: Arc<SubscriptionGroup>,
    /// Counts what its group gets; `None` where too many are counted already.
    pub flow: Option<Arc<Flow>>,
    /// When it is answered in any case, by the monotonic clock in milliseconds; 0 for one that does not wait.
    pub deadline_ms: u64,
}

impl ParkedPull {
    /// The queue.
    #[must_use]
    pub fn queue(&self) -> QueueKey {
        QueueKey {
            topic: Arc::clone(&self.topic),
            queue_id: self.queue_id,
        }
    }
}
