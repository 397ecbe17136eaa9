//! Holds what was said during a history against what is there at its end.
//!
//! The promises, each a kind of [`Violation`]: what was acknowledged as flushed is there, at the place that was named; it
//! is there once; what one request began after another was acknowledged lies behind it; nobody read anything but what
//! stays; a consumer meets each position of its queue in turn; queues have no hole; what was refused is nowhere.

use std::collections::BTreeMap;
use std::fmt;

use super::body::{Content, Message, Queue};
use super::history::{Event, FinalLog, Stored};

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An acknowledged message is not where the acknowledgement said.
    Lost {
        /// The queue.
        queue: Queue,
        /// The position that was acknowledged.
        queue_offset: u64,
        /// The message.
        message: Message,
        /// What is there.
        found: Option<Content>,
    },
    /// A message is there more than once.
    Duplicated(Message),
    /// A message that was sent after another one was acknowledged lies before it.
    Reordered {
        /// The queue.
        queue: Queue,
        /// What was acknowledged first.
        earlier: Message,
        /// What was sent then.
        later: Message,
    },
    /// A consumer got something that is not there in the end: it was not durable, or it changed.
    UndurableRead {
        /// The consumer.
        consumer: u16,
        /// The queue.
        queue: Queue,
        /// The position.
        queue_offset: u64,
        /// What it got.
        read: Content,
        /// What is there.
        found: Option<Content>,
    },
    /// A consumer did not get the position that was next.
    Skipped {
        /// The consumer.
        consumer: u16,
        /// The queue.
        queue: Queue,
        /// What was next.
        expected: u64,
        /// What it got, or was told to go on with.
        got: u64,
    },
    /// A message in the end is not what anybody sent.
    Torn {
        /// The queue.
        queue: Queue,
        /// The position.
        queue_offset: u64,
        /// What is there.
        found: Content,
    },
    /// The positions of a queue do not follow each other, or those in the commit log or the times go back.
    Hole {
        /// The queue.
        queue: Queue,
        /// The position that should be there.
        expected: u64,
        /// What is there.
        got: Stored,
    },
    /// A message is there though the broker refused it, or that nobody sent to this queue.
    Uninvited {
        /// The queue.
        queue: Queue,
        /// The message.
        message: Message,
    },
    /// The broker did not come back after a fault was repaired.
    Silent(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// What the history says of one message.
struct Fate {
    queue: Queue,
    /// The event by which it went on its way.
    sent_at: usize,
    /// The event that acknowledged it.
    acknowledged_at: Option<usize>,
    refused: bool,
}

/// All promises that a history breaks.
#[must_use]
pub fn check(events: &[Event], last: &FinalLog) -> Vec<Violation> {
    let mut violations = Vec::new();
    let fates = fates(events);
    check_queues(last, &fates, &mut violations);
    check_order(last, &fates, &mut violations);
    check_events(events, last, &mut violations);
    violations
}

fn fates(events: &[Event]) -> BTreeMap<Message, Fate> {
    let mut fates = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Sending { queue, messages } => {
                for &message in messages {
                    let fate = Fate {
                        queue: *queue,
                        sent_at: at,
                        acknowledged_at: None,
                        refused: false,
                    };
                    fates.insert(message, fate);
                }
            }
            Event::Acknowledged { messages, .. } => {
                for message in messages {
                    if let Some(fate) = fates.get_mut(message) {
                        fate.acknowledged_at = Some(at);
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
            Event::Unknown { .. } | Event::Read { .. } | Event::Moved { .. } | Event::Note(_) => {}
        }
    }
    fates
}

/// Each queue by itself: no hole, nothing torn, nothing twice, nothing uninvited.
fn check_queues(last: &FinalLog, fates: &BTreeMap<Message, Fate>, violations: &mut Vec<Violation>) {
    let mut seen = BTreeMap::new();
    for (&queue, messages) in last {
        let mut before: Option<&Stored> = None;
        for (expected, stored) in (0..).zip(messages) {
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

/// What was acknowledged before another was sent lies before it.
fn check_order(last: &FinalLog, fates: &BTreeMap<Message, Fate>, violations: &mut Vec<Violation>) {
    for (&queue, messages) in last {
        // The earliest acknowledgement among all that lie behind.
        let mut earliest: Option<(usize, Message)> = None;
        for stored in messages.iter().rev() {
            let Content::Whole(message) = stored.content else {
                continue;
            };
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
            if let Some(at) = fate.acknowledged_at
                && earliest.is_none_or(|(earliest, _)| at < earliest)
            {
                earliest = Some((at, message));
            }
        }
    }
}

/// What was acknowledged is there; what was read is there.
fn check_events(events: &[Event], last: &FinalLog, violations: &mut Vec<Violation>) {
    let found = |queue: Queue, queue_offset: u64| -> Option<Content> {
        let index = usize::try_from(queue_offset).ok()?;
        Some(last.get(&queue)?.get(index)?.content.clone())
    };
    let mut next: BTreeMap<u16, u64> = BTreeMap::new();
    for event in events {
        match event {
            Event::Acknowledged {
                queue,
                messages,
                queue_offset,
                flushed: true,
            } => {
                for (queue_offset, &message) in (*queue_offset..).zip(messages) {
                    let found = found(*queue, queue_offset);
                    if found != Some(Content::Whole(message)) {
                        violations.push(Violation::Lost {
                            queue: *queue,
                            queue_offset,
                            message,
                            found,
                        });
                    }
                }
            }
            Event::Read {
                consumer,
                queue,
                queue_offset,
                content,
            } => {
                let expected = next.insert(*consumer, queue_offset.saturating_add(1)).unwrap_or(0);
                if expected != *queue_offset {
                    violations.push(Violation::Skipped {
                        consumer: *consumer,
                        queue: *queue,
                        expected,
                        got: *queue_offset,
                    });
                }
                let found = found(*queue, *queue_offset);
                if found.as_ref() != Some(content) {
                    violations.push(Violation::UndurableRead {
                        consumer: *consumer,
                        queue: *queue,
                        queue_offset: *queue_offset,
                        read: content.clone(),
                        found,
                    });
                }
            }
            Event::Moved {
                consumer,
                queue,
                queue_offset,
                next,
            } => violations.push(Violation::Skipped {
                consumer: *consumer,
                queue: *queue,
                expected: *queue_offset,
                got: *next,
            }),
            _ => {}
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

    fn sending(number: u32) -> Event {
        Event::Sending {
            queue: QUEUE,
            messages: vec![message(number)],
        }
    }

    fn acknowledged(number: u32, queue_offset: u64) -> Event {
        Event::Acknowledged {
            queue: QUEUE,
            messages: vec![message(number)],
            queue_offset,
            flushed: true,
        }
    }

    fn read(queue_offset: u64, number: u32) -> Event {
        Event::Read {
            consumer: 9,
            queue: QUEUE,
            queue_offset,
            content: Content::Whole(message(number)),
        }
    }

    fn last(numbers: &[u32]) -> FinalLog {
        let stored = |(queue_offset, &number): (u64, &u32)| Stored {
            queue_offset,
            physical_offset: queue_offset * 100,
            store_timestamp_ms: 5,
            content: Content::Whole(message(number)),
        };
        std::iter::once((QUEUE, (0..).zip(numbers).map(stored).collect())).collect()
    }

    fn good() -> (Vec<Event>, FinalLog) {
        let events = vec![
            sending(0),
            acknowledged(0, 0),
            sending(1),
            read(0, 0),
            acknowledged(1, 1),
            read(1, 1),
        ];
        (events, last(&[0, 1]))
    }

    fn only(violations: Vec<Violation>) -> Violation {
        assert_eq!(violations.len(), 1, "{violations:?}");
        violations.into_iter().next().unwrap()
    }

    #[test]
    fn a_good_history_passes() {
        let (events, last) = good();
        assert_eq!(check(&events, &last), []);
    }

    #[test]
    fn an_acknowledged_message_that_is_gone_is_lost() {
        let events = [sending(0), acknowledged(0, 0)];
        assert!(matches!(
            only(check(&events, &last(&[]))),
            Violation::Lost { found: None, .. }
        ));
    }

    #[test]
    fn an_acknowledged_message_in_another_place_is_lost() {
        let events = [sending(0), sending(1), acknowledged(1, 0)];
        assert!(matches!(
            only(check(&events, &last(&[0, 1]))),
            Violation::Lost { queue_offset: 0, .. }
        ));
    }

    #[test]
    fn what_was_not_flushed_may_go() {
        let mut unflushed = acknowledged(0, 0);
        if let Event::Acknowledged { flushed, .. } = &mut unflushed {
            *flushed = false;
        }
        assert_eq!(check(&[sending(0), unflushed], &last(&[])), []);
    }

    #[test]
    fn a_message_of_unknown_outcome_may_stay_or_go() {
        let unknown = Event::Unknown {
            messages: vec![message(0)],
            why: String::new(),
        };
        let events = [sending(0), unknown];
        assert_eq!(check(&events, &last(&[])), []);
        assert_eq!(check(&events, &last(&[0])), []);
        assert!(check(&events, &last(&[0, 0])).contains(&Violation::Duplicated(message(0))));
    }

    #[test]
    fn a_later_send_before_an_earlier_acknowledgement_is_reordered() {
        let (events, _) = good();
        let swapped = check(&events, &last(&[1, 0]));
        assert!(swapped.contains(&Violation::Reordered {
            queue: QUEUE,
            earlier: message(0),
            later: message(1),
        }));
        // Those that were under way together may lie in either order.
        let together = [sending(0), sending(1), acknowledged(0, 1), acknowledged(1, 0)];
        assert_eq!(check(&together, &last(&[1, 0])), []);
    }

    #[test]
    fn a_read_of_what_is_gone_was_not_durable() {
        let events = [sending(0), read(0, 0)];
        assert!(matches!(
            only(check(&events, &last(&[]))),
            Violation::UndurableRead { found: None, .. }
        ));
    }

    #[test]
    fn a_read_of_what_changed_is_found() {
        let events = [sending(0), sending(1), read(0, 0)];
        assert!(matches!(
            only(check(&events, &last(&[1]))),
            Violation::UndurableRead { found: Some(_), .. }
        ));
    }

    #[test]
    fn a_torn_read_is_found() {
        let torn = Event::Read {
            consumer: 9,
            queue: QUEUE,
            queue_offset: 0,
            content: Content::Torn("1:0/ab".to_owned()),
        };
        assert!(matches!(
            only(check(&[sending(0), torn], &last(&[0]))),
            Violation::UndurableRead { .. }
        ));
    }

    #[test]
    fn a_consumer_that_misses_a_position_or_is_sent_away_skipped() {
        let events = [sending(0), sending(1), read(1, 1)];
        assert!(matches!(
            only(check(&events, &last(&[0, 1]))),
            Violation::Skipped {
                expected: 0,
                got: 1,
                ..
            }
        ));
        let twice = [sending(0), read(0, 0), read(0, 0)];
        assert!(matches!(
            only(check(&twice, &last(&[0]))),
            Violation::Skipped {
                expected: 1,
                got: 0,
                ..
            }
        ));
        let moved = Event::Moved {
            consumer: 9,
            queue: QUEUE,
            queue_offset: 4,
            next: 2,
        };
        assert!(matches!(only(check(&[moved], &last(&[]))), Violation::Skipped { .. }));
    }

    #[test]
    fn holes_and_torn_messages_at_the_end_are_found() {
        let mut hole = last(&[0, 1]);
        let stored = &mut hole.get_mut(&QUEUE).unwrap()[1];
        stored.queue_offset = 2;
        let events = [sending(0), sending(1)];
        assert!(matches!(
            only(check(&events, &hole)),
            Violation::Hole { expected: 1, .. }
        ));
        let mut back = last(&[0, 1]);
        back.get_mut(&QUEUE).unwrap()[1].store_timestamp_ms = 4;
        assert!(matches!(only(check(&events, &back)), Violation::Hole { .. }));
        let mut torn = last(&[0]);
        torn.get_mut(&QUEUE).unwrap()[0].content = Content::Torn("x".to_owned());
        assert!(matches!(only(check(&events, &torn)), Violation::Torn { .. }));
    }

    #[test]
    fn what_was_refused_or_never_sent_is_uninvited() {
        let refused = Event::Refused {
            messages: vec![message(0)],
            code: 14,
        };
        assert!(matches!(
            only(check(&[sending(0), refused], &last(&[0]))),
            Violation::Uninvited { .. }
        ));
        assert!(matches!(only(check(&[], &last(&[0]))), Violation::Uninvited { .. }));
    }
}
