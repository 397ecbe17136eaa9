//! What consumers got: nobody read anything but what stays; a consumer meets each position of its queue in turn; the group
//! that shares the queues has read every message.

use std::collections::{BTreeMap, BTreeSet};

use cuemq_storage::log_state::FlushMode;

use super::timeline::Timeline;
use super::{Promised, Violation};
use crate::sim::body::{Content, Queue};
use crate::sim::history::{Event, FinalLog, Moment};
use crate::sim::member;

/// Holds what was read against what is there.
pub(super) fn check(promised: Promised, moments: &[Moment], last: &FinalLog, violations: &mut Vec<Violation>) {
    let (flush, timeline) = (promised.flush, Timeline::of(moments));
    // What is deleted was there once, and whoever asks for it later is sent to what is left.
    let is_deleted = |queue, before| promised.age.is_some() && before <= super::beginning(last, queue);
    // Under async flush messages are visible that a power loss may take.
    let may_change = |asked: usize| flush == FlushMode::Async && timeline.lost_since(asked);
    let mut next: BTreeMap<(u16, Queue), u64> = BTreeMap::new();
    let mut power_went = false;
    for moment in moments {
        match &moment.event {
            Event::LifeEnds(end) => power_went |= end.survival().is_some(),
            Event::Takes {
                consumer,
                queue,
                queue_offset,
            } => drop(next.insert((*consumer, *queue), *queue_offset)),
            Event::Read {
                consumer,
                asked,
                queue,
                queue_offset,
                content,
            } => {
                let expected = next.insert((*consumer, *queue), queue_offset.saturating_add(1));
                let expected = expected.unwrap_or(0);
                let is_over_deleted = *queue_offset > expected && is_deleted(*queue, *queue_offset);
                if expected != *queue_offset && !is_over_deleted {
                    violations.push(Violation::Skipped {
                        consumer: *consumer,
                        queue: *queue,
                        expected,
                        got: *queue_offset,
                    });
                }
                let found = super::at(last, *queue, *queue_offset);
                let is_torn = matches!(content, Content::Torn(_));
                let is_gone = found.is_none() && is_deleted(*queue, queue_offset.saturating_add(1));
                if found != Some(content) && !is_gone && (is_torn || !may_change(*asked)) {
                    violations.push(Violation::UndurableRead {
                        consumer: *consumer,
                        queue: *queue,
                        queue_offset: *queue_offset,
                        read: content.clone(),
                        found: found.cloned(),
                    });
                }
            }
            Event::Moved {
                consumer,
                queue,
                queue_offset,
                next: to,
            } => {
                next.insert((*consumer, *queue), *to);
                // A member goes on where the broker says that its group is, which must be in the queue.
                let is_forward = *to > *queue_offset && is_deleted(*queue, *to);
                if !is_forward && (flush == FlushMode::Sync || !power_went || *consumer >= member::FIRST) {
                    violations.push(Violation::Skipped {
                        consumer: *consumer,
                        queue: *queue,
                        expected: *queue_offset,
                        got: *to,
                    });
                }
            }
            _ => {}
        }
    }
}

/// The group has read every message that is there, however its members came and went.
pub(super) fn check_group(moments: &[Moment], last: &FinalLog, violations: &mut Vec<Violation>) {
    let mut read = BTreeSet::new();
    for moment in moments {
        if let Event::Read {
            consumer,
            queue,
            queue_offset,
            content: Content::Whole(message),
            ..
        } = &moment.event
            && *consumer >= member::FIRST
        {
            read.insert((*queue, *queue_offset, *message));
        }
    }
    for (&queue, messages) in last {
        for stored in messages {
            if let Content::Whole(message) = stored.content
                && !read.contains(&(queue, stored.queue_offset, message))
            {
                violations.push(Violation::Unread {
                    queue,
                    queue_offset: stored.queue_offset,
                    message,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::*;
    use super::*;

    fn checked(flush: FlushMode, events: Vec<Event>, last: &FinalLog) -> Vec<Violation> {
        let mut violations = Vec::new();
        check(Promised { flush, age: None }, &at_once(events), last, &mut violations);
        violations
    }

    fn sync(events: Vec<Event>, last: &FinalLog) -> Vec<Violation> {
        checked(FlushMode::Sync, events, last)
    }

    fn moved(consumer: u16) -> Event {
        Event::Moved {
            consumer,
            queue: QUEUE,
            queue_offset: 1,
            next: 0,
        }
    }

    #[test]
    fn a_read_of_what_is_gone_or_changed_was_not_durable() {
        assert_eq!(sync(vec![read(9, 0, 0)], &last(&[0])), []);
        for numbers in [&[][..], &[1]] {
            for end in [repaired(), loss()] {
                assert!(matches!(
                    only(sync(vec![read(9, 0, 0), end], &last(numbers))),
                    Violation::UndurableRead { .. }
                ));
            }
        }
    }

    #[test]
    fn under_async_flush_a_read_may_go_with_the_power_and_only_with_it() {
        let gone = |end| checked(FlushMode::Async, vec![read(9, 0, 0), end], &last(&[]));
        assert_eq!(gone(loss()), []);
        assert!(matches!(only(gone(killed())), Violation::UndurableRead { .. }));
    }

    #[test]
    fn a_torn_read_is_found_under_any_flush() {
        let torn = Event::Read {
            consumer: 9,
            asked: 0,
            queue: QUEUE,
            queue_offset: 0,
            content: Content::Torn("1:0/ab".to_owned()),
        };
        for flush in [FlushMode::Sync, FlushMode::Async] {
            let violations = checked(flush, vec![torn.clone(), loss()], &last(&[0]));
            assert!(matches!(only(violations), Violation::UndurableRead { .. }));
        }
    }

    #[test]
    fn a_consumer_that_misses_a_position_or_is_sent_away_skipped() {
        assert!(matches!(
            only(sync(vec![read(9, 1, 1)], &last(&[0, 1]))),
            Violation::Skipped {
                expected: 0,
                got: 1,
                ..
            }
        ));
        assert!(matches!(
            only(sync(vec![read(9, 0, 0), read(9, 0, 0)], &last(&[0]))),
            Violation::Skipped {
                expected: 1,
                got: 0,
                ..
            }
        ));
        assert!(matches!(
            only(sync(vec![loss(), moved(9)], &last(&[]))),
            Violation::Skipped { .. }
        ));
    }

    #[test]
    fn under_async_flush_a_consumer_may_be_sent_back_after_a_power_loss_but_no_member() {
        let events = |consumer| vec![read(consumer, 0, 0), loss(), moved(consumer), read(consumer, 0, 1)];
        assert_eq!(checked(FlushMode::Async, events(9), &last(&[1])), []);
        let violations = checked(FlushMode::Async, events(member::FIRST), &last(&[1]));
        assert!(matches!(only(violations), Violation::Skipped { .. }));
        let before = checked(FlushMode::Async, vec![moved(9), loss()], &last(&[]));
        assert!(matches!(only(before), Violation::Skipped { .. }));
    }

    #[test]
    fn a_member_goes_on_where_its_group_is() {
        let takes = Event::Takes {
            consumer: member::FIRST,
            queue: QUEUE,
            queue_offset: 1,
        };
        assert_eq!(sync(vec![takes, read(member::FIRST, 1, 1)], &last(&[0, 1])), []);
    }

    #[test]
    fn a_message_that_no_member_has_read_is_unread() {
        let moments = at_once(vec![read(member::FIRST, 0, 0), read(9, 1, 1)]);
        let mut violations = Vec::new();
        check_group(&moments, &last(&[0, 1]), &mut violations);
        assert!(matches!(only(violations), Violation::Unread { queue_offset: 1, .. }));
    }
}
