//! When a queue has enough messages in hand, so that pulling waits (the checks at the head of Java's
//! `DefaultMQPushConsumerImpl.pullMessage`).
//!
//! Limits for a topic are shared out among the queues of it that a consumer owns (`RebalancePushImpl.messageQueueChanged`).

use std::fmt;

use super::process_queue::ProcessQueue;

const MIB_BYTES: usize = 1 << 20;

/// The limits of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowControl {
    /// Messages in hand.
    pub(crate) messages: usize,
    /// MiB of bodies in hand.
    pub(crate) size_mib: usize,
    /// Positions between the first and the last in hand; `None` for orderly listeners.
    pub(crate) span: Option<i64>,
}

/// Limits of a topic, over all of its queues that a consumer owns; `None` where each queue has its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TopicLimits {
    pub(crate) messages: Option<usize>,
    pub(crate) size_mib: Option<usize>,
}

/// Which limit a queue is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Messages(usize),
    Bytes(usize),
    Span(i64),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(count) => write!(formatter, "{count} messages"),
            Self::Bytes(bytes) => write!(formatter, "{bytes} bytes"),
            Self::Span(span) => write!(formatter, "a span of {span} positions"),
        }
    }
}

impl FlowControl {
    /// The limits of each of `owned` queues of a topic.
    pub(crate) fn shared_out(self, topic: TopicLimits, owned: usize) -> Self {
        let share = |limit: usize| (limit / owned.max(1)).max(1);
        Self {
            messages: topic.messages.map_or(self.messages, share),
            size_mib: topic.size_mib.map_or(self.size_mib, share),
            span: self.span,
        }
    }

    /// The limit that the queue is over, if any.
    pub(crate) fn exceeded(&self, queue: &ProcessQueue) -> Option<Exceeded> {
        if queue.cached_messages() > self.messages {
            return Some(Exceeded::Messages(queue.cached_messages()));
        }
        // Java compares whole MiB
        if queue.cached_bytes() / MIB_BYTES > self.size_mib {
            return Some(Exceeded::Bytes(queue.cached_bytes()));
        }
        let span = queue.span();
        self.span.filter(|limit| span > *limit).map(|_| Exceeded::Span(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::received::tests::message;

    const LIMITS: FlowControl = FlowControl {
        messages: 3,
        size_mib: 1,
        span: Some(10),
    };

    fn holding(messages: &[(u64, usize)]) -> ProcessQueue {
        let mut queue = ProcessQueue::new(0);
        queue.put(messages.iter().map(|(at, bytes)| message(*at, &vec![0; *bytes])));
        queue
    }

    #[test]
    fn a_queue_at_its_limits_is_pulled_from_and_one_over_them_is_not() {
        let small = |offsets: &[u64]| holding(&offsets.iter().map(|at| (*at, 1)).collect::<Vec<_>>());
        assert_eq!(LIMITS.exceeded(&small(&[0, 1, 10])), None);
        assert_eq!(LIMITS.exceeded(&small(&[0, 1, 2, 3])), Some(Exceeded::Messages(4)));
        assert_eq!(LIMITS.exceeded(&small(&[0, 11])), Some(Exceeded::Span(11)));
        let two_mib = 2 * MIB_BYTES;
        assert_eq!(LIMITS.exceeded(&holding(&[(0, two_mib - 1)])), None);
        assert_eq!(
            LIMITS.exceeded(&holding(&[(0, two_mib)])),
            Some(Exceeded::Bytes(two_mib))
        );
    }

    #[test]
    fn an_orderly_listener_has_no_limit_of_span() {
        let limits = FlowControl { span: None, ..LIMITS };
        assert_eq!(limits.exceeded(&holding(&[(0, 1), (5000, 1)])), None);
    }

    #[test]
    fn a_topics_limit_is_shared_out_among_the_queues_that_are_owned() {
        let topic = TopicLimits {
            messages: Some(100),
            size_mib: Some(2),
        };
        let each = LIMITS.shared_out(topic, 3);
        assert_eq!((each.messages, each.size_mib, each.span), (33, 1, Some(10)));
        assert_eq!(LIMITS.shared_out(TopicLimits::default(), 3), LIMITS);
        assert_eq!(LIMITS.shared_out(topic, 0).messages, 100);
    }
}
