//! Holds what applications were told against what is there in the end.

use std::collections::BTreeMap;

use super::ledger::{AppGroup, Call, Ended, Loose, Told};
use crate::sim::body::{Content, Message, Queue};
use crate::sim::check::Violation;
use crate::sim::history::{FinalLog, Stored};
use crate::sim::later;

/// Sends that may be tried again: what is told to be stored is where it is told to be, what is told not to be is nowhere,
/// and nothing is there more often than it left. `last` are their queues in the end.
pub(super) fn check_loose(loose: &BTreeMap<Message, Loose>, last: &FinalLog, violations: &mut Vec<Violation>) {
    let mut copies: BTreeMap<Message, usize> = BTreeMap::new();
    for (&queue, messages) in last {
        for (expected, stored) in (0..).zip(messages) {
            if stored.queue_offset != expected {
                violations.push(Violation::Hole {
                    queue,
                    expected,
                    got: stored.clone(),
                });
            }
            match &stored.content {
                Content::Whole(message) => *copies.entry(*message).or_default() += 1,
                Content::Torn(_) => violations.push(Violation::Torn {
                    queue,
                    queue_offset: stored.queue_offset,
                    found: stored.content.clone(),
                }),
            }
            if let Content::Whole(message) = stored.content
                && loose.get(&message).is_none_or(|loose| loose.told == Told::NotStored)
            {
                violations.push(Violation::Uninvited { queue, message });
            }
        }
    }
    for (&message, loose) in loose {
        if copies.get(&message).is_some_and(|copies| *copies > loose.tries) {
            violations.push(Violation::Duplicated(message));
        }
        let Told::Stored { queue_id, queue_offset } = loose.told else {
            continue;
        };
        let queue = Queue {
            topic: super::producing::LOOSE_TOPIC,
            queue_id: u8::try_from(queue_id).unwrap_or(u8::MAX),
        };
        let queue_offset = queue_offset.cast_unsigned();
        let found = at(last, queue, queue_offset).map(|stored| &stored.content);
        if found != Some(&Content::Whole(message)) {
            violations.push(Violation::Lost {
                queue,
                queue_offset,
                message,
                found: found.cloned(),
            });
        }
    }
}

fn at(last: &FinalLog, queue: Queue, queue_offset: u64) -> Option<&Stored> {
    last.get(&queue)?.get(usize::try_from(queue_offset).ok()?)
}

/// The queue of the simulated topics that a call was about; `None` where its messages came again from a retry topic.
fn queue_of(call: &Call) -> Option<Queue> {
    Some(Queue {
        topic: call.topic.strip_prefix('T')?.parse().ok()?,
        queue_id: u8::try_from(call.queue_id).ok()?,
    })
}

/// Whether it was sent for later.
fn is_for_later(content: &Content) -> bool {
    matches!(content, Content::Whole(message) if message.sender >= later::FIRST)
}

/// What listeners got is there in the end, at the place that it came from. Of what comes later there may be some, promised to
/// nobody, that came after its queue was read, and was tried again.
pub(super) fn check_calls(calls: &[Call], last: &FinalLog, violations: &mut Vec<Violation>) {
    for call in calls {
        for (queue_offset, content) in &call.messages {
            let is_there = match queue_of(call) {
                Some(queue) => match at(last, queue, *queue_offset) {
                    Some(stored) => stored.content == *content,
                    None => queue == later::QUEUE,
                },
                None => is_for_later(content) || last.values().flatten().any(|stored| stored.content == *content),
            };
            if !is_there {
                violations.push(Violation::UndurableRead {
                    consumer: call.host,
                    queue: queue_of(call).unwrap_or(Queue {
                        topic: u8::MAX,
                        queue_id: 0,
                    }),
                    queue_offset: *queue_offset,
                    read: content.clone(),
                    found: None,
                });
            }
        }
    }
}

/// Each queue has one orderly listener at a time, which gets it in its order: nothing is passed over, whoever has it.
pub(super) fn check_order(calls: &[Call], violations: &mut Vec<Violation>) {
    let mut queues: BTreeMap<Queue, Vec<&Call>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.group == AppGroup::Orderly) {
        if let Some(queue) = queue_of(call) {
            queues.entry(queue).or_default().push(call);
        }
    }
    for (queue, calls) in queues {
        let mut next = 0;
        let mut last_end: Option<(u64, u16)> = None;
        for call in calls {
            if let Some((ended_ms, host)) = last_end.filter(|(ended_ms, _)| *ended_ms > call.began_ms) {
                violations.push(Violation::Overlapping {
                    queue,
                    hosts: (host, call.host),
                    by_ms: ended_ms - call.began_ms,
                });
            }
            let (ended_ms, ended) = call.ended.unwrap_or((u64::MAX, Ended::Cut));
            last_end = Some((ended_ms, call.host));
            let mut expected = call.messages.first().map_or(next, |(first, _)| (*first).min(next));
            for (queue_offset, _) in &call.messages {
                if *queue_offset != expected {
                    violations.push(Violation::Skipped {
                        consumer: call.host,
                        queue,
                        expected,
                        got: *queue_offset,
                    });
                }
                expected = queue_offset + 1;
            }
            if ended == Ended::Done {
                next = next.max(expected);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Queue = Queue { topic: 0, queue_id: 0 };

    fn message(number: u32) -> Message {
        Message { sender: 1, number }
    }

    fn last(topic: u8, numbers: &[u32]) -> FinalLog {
        let stored = |(queue_offset, &number): (u64, &u32)| Stored {
            queue_offset,
            physical_offset: queue_offset,
            store_timestamp_ms: 0,
            content: Content::Whole(message(number)),
        };
        let queue = Queue { topic, ..QUEUE };
        FinalLog::from([(queue, (0..).zip(numbers).map(stored).collect())])
    }

    fn call(group: AppGroup, from: u64, upto: u64, times: (u64, u64), ended: Ended) -> Call {
        let number = |at: u64| u32::try_from(at).unwrap();
        Call {
            group,
            host: 3,
            topic: "T0".to_owned(),
            queue_id: 0,
            messages: (from..upto)
                .map(|at| (at, Content::Whole(message(number(at)))))
                .collect(),
            began_ms: times.0,
            ended: Some((times.1, ended)),
        }
    }

    fn orderly(from: u64, upto: u64, times: (u64, u64), ended: Ended) -> Call {
        call(AppGroup::Orderly, from, upto, times, ended)
    }

    fn in_order(calls: &[Call]) -> Vec<Violation> {
        let mut violations = Vec::new();
        check_order(calls, &mut violations);
        violations
    }

    #[test]
    fn what_comes_again_is_in_order_and_what_is_passed_over_is_not() {
        let again = [
            orderly(0, 2, (0, 5), Ended::Again),
            orderly(0, 2, (5, 9), Ended::Done),
            orderly(1, 3, (9, 12), Ended::Cut),
            orderly(0, 3, (20, 25), Ended::Done),
            orderly(3, 4, (25, 26), Ended::Done),
        ];
        assert_eq!(in_order(&again), []);
        let over = in_order(&[orderly(0, 2, (0, 5), Ended::Again), orderly(2, 3, (5, 6), Ended::Done)]);
        assert!(matches!(
            over[..],
            [Violation::Skipped {
                expected: 0,
                got: 2,
                ..
            }]
        ));
        let overlaps = in_order(&[orderly(0, 1, (0, 5), Ended::Done), orderly(1, 2, (4, 6), Ended::Done)]);
        assert!(matches!(overlaps[..], [Violation::Overlapping { by_ms: 1, .. }]));
    }

    #[test]
    fn a_listener_gets_what_is_there_alone() {
        let got = |numbers: &[u32]| {
            let mut violations = Vec::new();
            let calls = [call(AppGroup::Concurrent, 0, 2, (0, 1), Ended::Done)];
            check_calls(&calls, &last(0, numbers), &mut violations);
            violations.len()
        };
        assert_eq!((got(&[0, 1]), got(&[0]), got(&[1, 0])), (0, 1, 2));
    }

    #[test]
    fn what_a_send_was_told_is_true() {
        let told = |told, tries, numbers: &[u32]| {
            let mut violations = Vec::new();
            let loose = BTreeMap::from([(message(0), Loose { tries, told })]);
            check_loose(&loose, &last(2, numbers), &mut violations);
            violations
        };
        let stored = Told::Stored {
            queue_id: 0,
            queue_offset: 0,
        };
        for (said, tries, numbers) in [
            (stored, 1, &[0][..]),
            (stored, 2, &[0, 0]),
            (Told::NotStored, 3, &[]),
            (Told::Unknown, 1, &[]),
            (Told::Unknown, 1, &[0]),
        ] {
            assert_eq!(told(said, tries, numbers), [], "{said:?} {numbers:?}");
        }
        assert!(matches!(told(stored, 1, &[])[..], [Violation::Lost { .. }]));
        assert!(matches!(told(stored, 1, &[0, 0])[..], [Violation::Duplicated(_)]));
        assert!(matches!(
            told(Told::NotStored, 1, &[0])[..],
            [Violation::Uninvited { .. }]
        ));
    }
}
