//! Parked pulls, step 11: one that finds nothing waits here until a message arrives, its time is up, or its client leaves.
//!
//! There is one hold for each I/O thread. [`ParkedPulls`] is its state, without time and without a timer for each pull;
//! [`actor::Hold`] is the actor around it.

pub mod actor;
mod parked_pulls;
pub mod queue_ends;

use std::sync::Arc;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::frame::HeaderCodec;
pub use parked_pulls::{ParkedPulls, Parking, Woken};

use crate::filter::MessageFilter;
use crate::group::SubscriptionGroup;
use crate::rpc_times::Rpc;
use crate::traffic::Flow;
use crate::under_way::Processor;

/// A queue of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey {
    /// The topic.
    pub topic: Arc<str>,
    /// The queue.
    pub queue_id: u32,
}

/// Which of both requests a pull is, and whether it has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullKind {
    /// A pull.
    Pull,
    /// A pull of a lite pull consumer.
    LitePull,
    /// A pull that has waited for a message.
    WaitedPull,
    /// The same of a lite pull consumer.
    WaitedLitePull,
}

impl PullKind {
    /// That of a request that was just read.
    #[must_use]
    pub fn of(code: RequestCode) -> Self {
        match code {
            RequestCode::LITE_PULL_MESSAGE => Self::LitePull,
            _ => Self::Pull,
        }
    }

    /// The same, once it has waited.
    #[must_use]
    pub fn waited(self) -> Self {
        match self {
            Self::Pull | Self::WaitedPull => Self::WaitedPull,
            Self::LitePull | Self::WaitedLitePull => Self::WaitedLitePull,
        }
    }

    /// The request with its answer.
    #[inline]
    #[must_use]
    pub fn answered(self, response: ResponseCode) -> Rpc {
        let (request, waited) = match self {
            Self::Pull => (RequestCode::PULL_MESSAGE, false),
            Self::LitePull => (RequestCode::LITE_PULL_MESSAGE, false),
            Self::WaitedPull => (RequestCode::PULL_MESSAGE, true),
            Self::WaitedLitePull => (RequestCode::LITE_PULL_MESSAGE, true),
        };
        Rpc {
            waited,
            ..Rpc::new(request, response)
        }
    }

    /// Whose work it is.
    #[must_use]
    pub fn processor(self) -> Processor {
        match self {
            Self::Pull | Self::WaitedPull => Processor::Pull,
            Self::LitePull | Self::WaitedLitePull => Processor::LitePull,
        }
    }
}

/// A pull that is under way, or waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedPull {
    /// The request's number.
    pub opaque: i32,
    /// The encoding of its header.
    pub codec: HeaderCodec,
    /// Which request it is.
    pub kind: PullKind,
    /// When it was read, by the monotonic clock in milliseconds, of which these are the lower bits: 49 days.
    pub read_ms: u32,
    /// The topic.
    pub topic: Arc<str>,
    /// The queue.
    pub queue_id: u32,
    /// Where to read from, with the bits of Java's `long`; a negative one never waits.
    pub queue_offset: u64,
    /// How many messages are wanted at most.
    pub max_messages: u16,
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
    /// How many milliseconds ago it was read.
    #[inline]
    #[must_use]
    pub fn age_ms(&self, now_ms: u64) -> u64 {
        u64::from((now_ms as u32).wrapping_sub(self.read_ms))
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> QueueKey {
        QueueKey {
            topic: Arc::clone(&self.topic),
            queue_id: self.queue_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_is_told_as_what_was_asked_and_whether_it_waited() {
        for (code, processor) in [
            (RequestCode::PULL_MESSAGE, Processor::Pull),
            (RequestCode::LITE_PULL_MESSAGE, Processor::LitePull),
        ] {
            let kind = PullKind::of(code);
            let rpc = Rpc::new(code, ResponseCode::SUCCESS);
            assert_eq!(kind.answered(ResponseCode::SUCCESS), rpc);
            let waited = kind.waited().waited();
            assert_eq!(waited.answered(ResponseCode::SUCCESS), Rpc { waited: true, ..rpc });
            assert_eq!((kind.processor(), waited.processor()), (processor, processor));
        }
    }
}
