//! Short histories for the tests of the checks.

use super::Violation;
use crate::sim::body::{Content, Message, Queue};
use crate::sim::fault::{End, Fault};
use crate::sim::history::{Event, FinalLog, Moment, Stored};

pub(super) const QUEUE: Queue = Queue { topic: 0, queue_id: 0 };

pub(super) fn message(number: u32) -> Message {
    Message { sender: 1, number }
}

pub(super) fn sending(number: u32) -> Event {
    Event::Sending {
        queue: QUEUE,
        messages: vec![message(number)],
    }
}

pub(super) fn acknowledged(number: u32, queue_offset: u64) -> Event {
    Event::Acknowledged {
        queue: QUEUE,
        messages: vec![message(number)],
        queue_offset,
        flushed: true,
    }
}

/// Acknowledged to a sender that did not wait for the disk.
pub(super) fn unflushed(number: u32, queue_offset: u64) -> Event {
    Event::Acknowledged {
        queue: QUEUE,
        messages: vec![message(number)],
        queue_offset,
        flushed: false,
    }
}

pub(super) fn read(consumer: u16, queue_offset: u64, number: u32) -> Event {
    Event::Read {
        consumer,
        asked: 0,
        queue: QUEUE,
        queue_offset,
        content: Content::Whole(message(number)),
    }
}

/// A fault that may make the broker forget, and is no actor's panic.
pub(super) fn struck() -> Event {
    Event::Struck(Fault::EndsAt {
        change: 1,
        end: End::Kill,
    })
}

pub(super) fn repaired() -> Event {
    Event::Repaired
}

pub(super) fn loss() -> Event {
    Event::LifeEnds(End::PowerLoss(1))
}

pub(super) fn killed() -> Event {
    Event::LifeEnds(End::Kill)
}

/// A history with the times at which it happened.
pub(super) fn history(events: impl IntoIterator<Item = (u64, Event)>) -> Vec<Moment> {
    let moment = |(at_ms, event)| Moment { at_ms, event };
    events.into_iter().map(moment).collect()
}

/// A history of one millisecond.
pub(super) fn at_once(events: Vec<Event>) -> Vec<Moment> {
    history(events.into_iter().map(|event| (0, event)))
}

/// A queue that holds these messages in the end.
pub(super) fn last(numbers: &[u32]) -> FinalLog {
    let stored = |(queue_offset, &number): (u64, &u32)| Stored {
        queue_offset,
        physical_offset: queue_offset * 100,
        store_timestamp_ms: 5,
        content: Content::Whole(message(number)),
    };
    std::iter::once((QUEUE, (0..).zip(numbers).map(stored).collect())).collect()
}

pub(super) fn only(violations: Vec<Violation>) -> Violation {
    assert_eq!(violations.len(), 1, "{violations:?}");
    violations.into_iter().next().unwrap()
}
