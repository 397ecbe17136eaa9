//! Parked pulls: a pull that finds nothing waits here until a message arrives, its time is up, or its client leaves.
//!
//! There is one hold for each I/O thread. [`ParkedPulls`] is its state, without time and without a timer for each pull.

mod parked_pulls;

use std::sync::Arc;

use cuemq_storage::position::QueueOffset;
pub use parked_pulls::{ParkedPulls, Parking};

use crate::peer::PeerKey;
use crate::rebalance::Subscription;
use crate::topic::TopicId;

/// A queue of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey {
    /// The topic.
    pub topic: TopicId,
    /// The queue.
    pub queue_id: u32,
}

/// A pull that waits.
#[derive(Clone, Debug)]
pub struct ParkedPull {
    /// The connection that asked.
    pub peer: PeerKey,
    /// The name of the pull among those of its connection, chosen by it.
    pub ticket: u32,
    /// The queue.
    pub queue: QueueKey,
    /// The queue offset that the client waits for.
    pub queue_offset: QueueOffset,
    /// Until when it waits, in milliseconds of the monotonic clock.
    pub deadline_ms: u64,
    /// What it wants of the queue; `None` for all.
    pub subscription: Option<Arc<Subscription>>,
}

/// A pull that waits no longer: its connection looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Woken {
    /// The connection that asked.
    pub peer: PeerKey,
    /// The name of the pull among those of its connection.
    pub ticket: u32,
    /// Why it was woken.
    pub reason: Reason,
}

/// Why a pull was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A message arrived that it may want. When it does not, it may be parked again, with the same deadline and the offset
    /// that it has got to.
    Arrived,
    /// Its time is up: it is answered as it is.
    TimedOut,
}
