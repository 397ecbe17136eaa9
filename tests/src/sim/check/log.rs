//! The messages: what was acknowledged is there, at the place that was named, and once; what one request began after
//! another was acknowledged lies behind it; queues have no hole; what was refused is nowhere.

use std::collections::BTreeMap;

use cuemq_storage::log_state::FlushMode;

use super::timeline::Timeline;
use super::{Promised, Violation};
use crate::sim::body::{Content, Message, Queue};
use crate::sim::history::{Event, FinalLog, Moment, Stored};

/// What the history says of one message.
struct Fate {
    queue: Queue,
    /// The event by which it went on its way.
    sent_at: usize,
    acknowledged: Option<Acknowledged>,
    refused: bool,
}

/// What the broker said of a message that it took.
#[derive(Clone, Copy)]
struct Acknowledged {
    /// The event.
    at: usize,
    at_ms: u64,
    queue_offset: u64,
    /// Whether the sender waited for the disk.
    flushed: bool,
}

type Fates = BTreeMap<Message, Fate>;

/// Holds the messages at the end against what was said of them.
pub(super) fn check(promised: Promised, moments: &[Moment], last: &FinalLog, violations: &mut Vec<Violation>) {
    let (fates, timeline) = (fates(moments), Timeline::of(moments));
    check_queues(promised, last, &fates, violations);
    check_order(last, &fates, violations);
    let is_deleted = |fate: &Fate, at: Acknowledged| {
        at.queue_offset < super::beginning(last, fate.queue) && promised.may_delete(at.at_ms, moments)
    };
    let lost = check_acknowledged(promised.flush, last, &fates, &timeline, is_deleted, violations);
    check_overtaken(last, &fates, &timeline, &lost, violations);
}

fn fates(moments: &[Moment]) -> Fates {
    let mut fates = Fates::new();
    for (at, Moment { at_ms, event }) in moments.iter().enumerate() {
        match event {
            Event::Sending { queue, messages } => {
                let fate = || Fate {
                    queue: *queue,
                    sent_at: at,
                    acknowledged: None,
                    refused: false,
                };
                fates.extend(messages.iter().map(|&message| (message, fate())));
            }
            Event::Acknowledged {
                messages,
                queue_offset,
                flushed,
                ..
            } => {
                for (queue_offset, message) in (*queue_offset..).zip(messages) {
                    if let Some(fate) = fates.get_mut(message) {
                        fate.acknowledged = Some(Acknowledged {
                            at,
                            at_ms: *at_ms,
                            queue_offset,
                            flushed: *flushed,
                        });
                    }
                }
            }
            Event::Refused { messages, .. } => {
                for message in messages {
                    if let Some(fate) = fates.get_mut(message) {
                        fate.refused = true;
                    }
                }
            }
            _ => {}
        }
    }
    fates
}

/// Each queue by itself: no hole, nothing torn, nothing twice, nothing uninvited.
fn check_queues(promised: Promised, last: &FinalLog, fates: &Fates, violations: &mut Vec<Violation>) {
    let mut seen = BTreeMap::new();
    for (&queue, messages) in last {
        let mut before: Option<&Stored> = None;
        // Where messages are deleted, a queue begins where they end.
        let beginning = messages.first().filter(|_| promised.age.is_some());
        let beginning = beginning.map_or(0, |first| first.queue_offset);
        for (expected, stored) in (beginning..).zip(messages) {
            let goes_back = before.is_some_and(|before| {
                stored.physical_offset <= before.physical_offset
                    || stored.store_timestamp_ms < before.store_timestamp_ms
            });
            if stored.queue_offset != expected || goes_back {
                violations.push(Violation::Hole {
                    queue,
                    expected,
                    got: stored.clone(),
                });
            }
            before = Some(stored);
            let Content::Whole(message) = stored.content else {
                violations.push(Violation::Torn {
                    queue,
                    queue_offset: stored.queue_offset,
                    found: stored.content.clone(),
                });
                continue;
            };
            if seen.insert(message, ()).is_some() {
                violations.push(Violation::Duplicated(message));
            }
            if fates
                .get(&message)
                .is_none_or(|fate| fate.refused || fate.queue != queue)
            {
                violations.push(Violation::Uninvited { queue, message });
            }
        }
    }
}

/// The messages of a queue that are whole.
fn whole(messages: &[Stored]) -> impl DoubleEndedIterator<Item = Message> {
    messages.iter().filter_map(|stored| match stored.content {
        Content::Whole(message) => Some(message),
        Content::Torn(_) => None,
    })
}

/// What was acknowledged before another was sent lies before it.
fn check_order(last: &FinalLog, fates: &Fates, violations: &mut Vec<Violation>) {
    for (&queue, messages) in last {
        // The earliest acknowledgement among all that lie behind.
        let mut earliest: Option<(usize, Message)> = None;
        for message in whole(messages).rev() {
            let Some(fate) = fates.get(&message) else { continue };
            if let Some((acknowledged_at, earlier)) = earliest
                && acknowledged_at < fate.sent_at
            {
                violations.push(Violation::Reordered {
                    queue,
                    earlier,
                    later: message,
                });
            }
            if let Some(Acknowledged { at, .. }) = fate.acknowledged
                && earliest.is_none_or(|(earliest, _)| at < earliest)
            {
                earliest = Some((at, message));
            }
        }
    }
}

/// What was acknowledged is where it was said to be. What need not be there any more, and is not, is the answer.
fn check_acknowledged(
    flush: FlushMode,
    last: &FinalLog,
    fates: &Fates,
    timeline: &Timeline,
    is_deleted: impl Fn(&Fate, Acknowledged) -> bool,
    violations: &mut Vec<Violation>,
) -> Vec<Message> {
    let mut places = BTreeMap::new();
    for (&queue, messages) in last {
        for stored in messages {
            if let Content::Whole(message) = stored.content {
                places.insert(message, (queue, stored.queue_offset));
            }
        }
    }
    let mut lost = Vec::new();
    for (&message, fate) in fates {
        let Some(acknowledged) = fate.acknowledged else {
            continue;
        };
        let place = (fate.queue, acknowledged.queue_offset);
        let found = places.get(&message);
        if found == Some(&place) || (found.is_none() && is_deleted(fate, acknowledged)) {
            continue;
        }
        let promised = acknowledged.flushed && flush == FlushMode::Sync;
        if found.is_none() && !promised && timeline.may_lose(fate.sent_at, acknowledged.at_ms, flush) {
            lost.push(message);
            continue;
        }
        violations.push(Violation::Lost {
            queue: fate.queue,
            queue_offset: acknowledged.queue_offset,
            message,
            found: super::at(last, fate.queue, acknowledged.queue_offset).cloned(),
        });
    }
    lost
}

/// A power loss takes the end of the log: what was sent after a lost message was acknowledged is lost with it.
fn check_overtaken(
    last: &FinalLog,
    fates: &Fates,
    timeline: &Timeline,
    lost: &[Message],
    violations: &mut Vec<Violation>,
) {
    let acknowledged_at = |message: &Message| fates.get(message).and_then(|fate| Some(fate.acknowledged?.at));
    let mut before = 0;
    for loss in timeline.losses() {
        // The first of the lost that was sent and taken since the power went before, which may have taken an earlier one;
        // an answer from before may come after it.
        let is_of_life = |(sent_at, at, _): &(usize, usize, Message)| before <= *sent_at && *at < loss;
        let first = lost
            .iter()
            .filter_map(|message| Some((fates.get(message)?.sent_at, acknowledged_at(message)?, *message)))
            .filter(is_of_life)
            .min_by_key(|(_, at, _)| *at);
        before = loss;
        let Some((_, at, first)) = first else { continue };
        let kept = last.values().flat_map(|messages| whole(messages)).find(|message| {
            let sent_after = fates.get(message).is_some_and(|fate| fate.sent_at > at);
            sent_after && acknowledged_at(message).is_some_and(|at| at < loss)
        });
        if let Some(kept) = kept {
            violations.push(Violation::Overtaken { lost: first, kept });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[test]
    fn a_good_history_passes() {
        let events = vec![sending(0), acknowledged(0, 0), sending(1), acknowledged(1, 1)];
        assert_eq!(sync(events, &last(&[0, 1])), []);
    }

    #[test]
    fn an_acknowledged_message_that_is_gone_is_lost_even_by_a_power_loss() {
        for end in [repaired(), loss()] {
            let events = vec![sending(0), acknowledged(0, 0), end];
            assert!(matches!(
                only(sync(events, &last(&[]))),
                Violation::Lost { found: None, .. }
            ));
        }
    }

    #[test]
    fn what_is_deleted_was_old_enough_and_lies_in_front_of_what_is_there() {
        let events = || {
            [
                (0, sending(0)),
                (1, acknowledged(0, 0)),
                (2, sending(1)),
                (3, acknowledged(1, 1)),
            ]
        };
        let mut rest = last(&[0, 1]);
        rest.get_mut(&QUEUE).unwrap().remove(0);
        let none = last(&[]);
        let of_age = |last: &FinalLog, age: Option<Duration>, end_ms: u64| {
            let mut violations = Vec::new();
            let moments = history(events().into_iter().chain([(end_ms, repaired())]));
            let flush = FlushMode::Sync;
            check(Promised { flush, age }, &moments, last, &mut violations);
            violations
        };
        let age = Duration::from_secs(1);
        assert_eq!(of_age(&rest, Some(age), 1001), []);
        assert_eq!(of_age(&none, Some(age), 1003), [], "a queue of which nothing is left");
        for end_ms in [500, 902] {
            let young = of_age(&none, Some(age), end_ms);
            assert!(matches!(young.last(), Some(Violation::Lost { .. })), "too early");
        }
        assert!(
            matches!(only(of_age(&rest, Some(age), 500)), Violation::Lost { .. }),
            "too early"
        );
        assert!(
            of_age(&rest, None, 1001)
                .iter()
                .any(|violation| matches!(violation, Violation::Lost { .. }))
        );
    }

    #[test]
    fn an_acknowledged_message_in_another_place_is_lost() {
        let events = vec![sending(0), sending(1), acknowledged(1, 0)];
        assert!(matches!(
            only(sync(events, &last(&[0, 1]))),
            Violation::Lost { queue_offset: 0, .. }
        ));
    }

    #[test]
    fn what_was_not_flushed_may_go_with_the_power_and_only_with_it() {
        let unflushed = || vec![sending(0), unflushed(0, 0), loss()];
        assert_eq!(sync(unflushed(), &last(&[])), []);
        for end in [killed(), repaired()] {
            let mut events = unflushed();
            events[2] = end;
            assert!(matches!(only(sync(events, &last(&[]))), Violation::Lost { .. }));
        }
        let gone_before = vec![loss(), sending(0), super::super::stage::unflushed(0, 0)];
        assert!(matches!(only(sync(gone_before, &last(&[]))), Violation::Lost { .. }));
    }

    #[test]
    fn under_async_flush_the_newest_messages_may_go_with_the_power_and_only_with_it() {
        let sent = |end| vec![sending(0), acknowledged(0, 0), struck(), end];
        assert_eq!(checked(FlushMode::Async, sent(loss()), &last(&[])), []);
        let violations = checked(FlushMode::Async, sent(killed()), &last(&[]));
        assert!(matches!(only(violations), Violation::Lost { .. }));
    }

    #[test]
    fn under_async_flush_a_message_that_the_timer_has_flushed_stays() {
        let events = [
            (0, sending(0)),
            (1, acknowledged(0, 0)),
            (2000, struck()),
            (2001, loss()),
        ];
        let mut violations = Vec::new();
        let promised = Promised {
            flush: FlushMode::Async,
            age: None,
        };
        check(promised, &history(events), &last(&[]), &mut violations);
        assert!(matches!(only(violations), Violation::Lost { .. }));
    }

    #[test]
    fn what_is_lost_takes_all_with_it_that_came_after_it() {
        let events = vec![sending(0), unflushed(0, 0), sending(1), unflushed(1, 1), loss()];
        assert_eq!(sync(events.clone(), &last(&[])), []);
        assert_eq!(sync(events.clone(), &last(&[0])), []);
        let kept = sync(events, &last(&[1]));
        assert!(kept.contains(&Violation::Overtaken {
            lost: message(0),
            kept: message(1),
        }));
    }

    #[test]
    fn what_came_after_a_loss_may_stay() {
        let then = || [sending(1), unflushed(1, 0), loss()];
        // The answer to a message that is lost may come before or after that.
        for lost in [
            [sending(0), unflushed(0, 0), loss()],
            [sending(0), loss(), unflushed(0, 0)],
        ] {
            let events = lost.into_iter().chain(then()).collect();
            assert_eq!(sync(events, &last(&[1])), []);
        }
    }

    #[test]
    fn a_message_of_unknown_outcome_may_stay_or_go() {
        let unknown = Event::Unknown {
            messages: vec![message(0)],
            why: String::new(),
        };
        let events = || vec![sending(0), unknown.clone()];
        assert_eq!(sync(events(), &last(&[])), []);
        assert_eq!(sync(events(), &last(&[0])), []);
        assert!(sync(events(), &last(&[0, 0])).contains(&Violation::Duplicated(message(0))));
    }

    #[test]
    fn a_later_send_before_an_earlier_acknowledgement_is_reordered() {
        let events = vec![sending(0), acknowledged(0, 0), sending(1), acknowledged(1, 1)];
        let swapped = sync(events, &last(&[1, 0]));
        assert!(swapped.contains(&Violation::Reordered {
            queue: QUEUE,
            earlier: message(0),
            later: message(1),
        }));
        // Those that were under way together may lie in either order.
        let together = vec![sending(0), sending(1), acknowledged(0, 1), acknowledged(1, 0)];
        assert_eq!(sync(together, &last(&[1, 0])), []);
    }

    #[test]
    fn holes_and_torn_messages_at_the_end_are_found() {
        let mut hole = last(&[0, 1]);
        let stored = &mut hole.get_mut(&QUEUE).unwrap()[1];
        stored.queue_offset = 2;
        let events = || vec![sending(0), sending(1)];
        assert!(matches!(
            only(sync(events(), &hole)),
            Violation::Hole { expected: 1, .. }
        ));
        let mut back = last(&[0, 1]);
        back.get_mut(&QUEUE).unwrap()[1].store_timestamp_ms = 4;
        assert!(matches!(only(sync(events(), &back)), Violation::Hole { .. }));
        let mut torn = last(&[0]);
        torn.get_mut(&QUEUE).unwrap()[0].content = Content::Torn("x".to_owned());
        assert!(matches!(only(sync(events(), &torn)), Violation::Torn { .. }));
    }

    #[test]
    fn what_was_refused_or_never_sent_is_uninvited() {
        let refused = Event::Refused {
            messages: vec![message(0)],
            code: 14,
        };
        assert!(matches!(
            only(sync(vec![sending(0), refused], &last(&[0]))),
            Violation::Uninvited { .. }
        ));
        assert!(matches!(only(sync(vec![], &last(&[0]))), Violation::Uninvited { .. }));
    }
}
