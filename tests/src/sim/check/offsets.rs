//! Consumer offsets: what the broker gives back lies within its queue, and is no less than what it has had time to save.
//!
//! A commit is saved some time after it was answered, so the documented exception is a life that does not end in order,
//! or a failure of the actor that holds the offsets: what came just before may be forgotten. Nothing else is.

use std::collections::BTreeMap;

use cuemq_storage::log_state::FlushMode;

use super::Violation;
use crate::sim::body::Queue;
use crate::sim::broker::OFFSETS_INTERVAL;
use crate::sim::history::{Event, Moment};
use crate::sim::member;

/// How long after a commit was answered it is saved at the latest, while all is well.
const SAVED_MS: u64 = OFFSETS_INTERVAL.as_millis() as u64 + 150;

/// The commits of one consumer on its queue.
#[derive(Debug, Default)]
struct Commits {
    /// What is saved for sure.
    saved: u64,
    /// What the broker holds in memory, and since when.
    held: Vec<(u64, u64)>,
}

impl Commits {
    /// The broker has forgotten what it had not saved when all had been well from `calm_since_ms` to `at_ms`.
    fn forget(&mut self, calm_since_ms: u64, at_ms: u64) {
        let is_saved = |since_ms: u64| since_ms.max(calm_since_ms) + SAVED_MS <= at_ms;
        let saved = self.held.drain(..).filter(|(since_ms, _)| is_saved(*since_ms));
        self.saved = saved.map(|(_, offset)| offset).fold(self.saved, u64::max);
    }

    fn least(&self) -> u64 {
        self.held.iter().map(|(_, offset)| *offset).fold(self.saved, u64::max)
    }
}

/// Holds what the broker gave back against what was committed.
pub(super) fn check(flush: FlushMode, moments: &[Moment], violations: &mut Vec<Violation>) {
    let mut commits: BTreeMap<(u16, Queue), Commits> = BTreeMap::new();
    let (mut calm_since_ms, mut forgot_at) = (0, 0);
    for (at, Moment { at_ms, event }) in moments.iter().enumerate() {
        match event {
            Event::Struck(fault) if fault.forgets() => {
                commits
                    .values_mut()
                    .for_each(|commits| commits.forget(calm_since_ms, *at_ms));
                // What is committed before it is repaired does not count: how far the fault had come is not known.
                forgot_at = usize::MAX;
            }
            Event::Repaired => {
                calm_since_ms = *at_ms;
                if forgot_at == usize::MAX {
                    forgot_at = at;
                }
            }
            // Then offsets go back with their queues.
            Event::LifeEnds(end) if flush == FlushMode::Async && end.survival().is_some() => commits.clear(),
            Event::Committed {
                consumer,
                asked,
                queue,
                consumer_offset,
            } if *asked > forgot_at => {
                let of_consumer = commits.entry((*consumer, *queue)).or_default();
                of_consumer.held.push((*at_ms, *consumer_offset));
            }
            Event::Found {
                consumer,
                queue,
                consumer_offset,
                queue_end,
            } => {
                if consumer_offset > queue_end {
                    violations.push(Violation::BeyondEnd {
                        consumer: *consumer,
                        queue: *queue,
                        consumer_offset: *consumer_offset,
                        queue_end: *queue_end,
                    });
                }
                let committed = commits.get(&(*consumer, *queue)).map_or(0, Commits::least);
                // Members take turns, and one may commit less than the one before it.
                if *consumer < member::FIRST && *consumer_offset < committed {
                    violations.push(Violation::Rewound {
                        consumer: *consumer,
                        queue: *queue,
                        committed,
                        found: *consumer_offset,
                    });
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::*;
    use super::*;
    use crate::sim::fault::{End, Fault};

    fn checked(flush: FlushMode, events: impl IntoIterator<Item = (u64, Event)>) -> Vec<Violation> {
        let mut violations = Vec::new();
        check(flush, &history(events), &mut violations);
        violations
    }

    fn committed(consumer_offset: u64) -> Event {
        Event::Committed {
            consumer: 9,
            asked: 99,
            queue: QUEUE,
            consumer_offset,
        }
    }

    fn found(consumer_offset: u64) -> Event {
        Event::Found {
            consumer: 9,
            queue: QUEUE,
            consumer_offset,
            queue_end: 10,
        }
    }

    #[test]
    fn an_offset_beyond_the_end_of_its_queue_is_found_under_any_flush() {
        for flush in [FlushMode::Sync, FlushMode::Async] {
            let violations = checked(flush, [(0, found(10)), (1, found(11))]);
            assert!(matches!(
                only(violations),
                Violation::BeyondEnd {
                    consumer_offset: 11,
                    ..
                }
            ));
        }
    }

    #[test]
    fn what_was_committed_stays_while_nothing_fails_and_over_an_orderly_stop() {
        let stop = || {
            Event::Struck(Fault::Ends {
                end: End::Stop,
                down: std::time::Duration::ZERO,
            })
        };
        for between in [struck(), stop()] {
            let events = |offset| {
                [
                    (0, committed(7)),
                    (1, between.clone()),
                    (2, repaired()),
                    (3, found(offset)),
                ]
            };
            let kept = checked(FlushMode::Sync, events(7));
            assert_eq!(kept, []);
            let rewound = checked(FlushMode::Sync, events(6));
            let is_lost = !matches!(between, Event::Struck(fault) if fault.forgets());
            assert_eq!(rewound.len(), usize::from(is_lost), "{between:?}");
        }
    }

    #[test]
    fn a_crash_may_forget_the_last_commits_and_no_earlier_ones() {
        let events = |offset| {
            [
                (1000, committed(5)),
                (2000, committed(7)),
                (2100, struck()),
                (2200, repaired()),
                (2300, found(offset)),
            ]
        };
        assert_eq!(checked(FlushMode::Sync, events(5)), []);
        assert!(matches!(
            only(checked(FlushMode::Sync, events(4))),
            Violation::Rewound {
                committed: 5,
                found: 4,
                ..
            }
        ));
    }

    #[test]
    fn under_async_flush_offsets_go_back_with_the_power_and_only_with_it() {
        let events = |end| {
            [
                (1000, committed(5)),
                (2000, struck()),
                (2000, end),
                (2200, repaired()),
                (2300, found(4)),
            ]
        };
        assert_eq!(checked(FlushMode::Async, events(loss())), []);
        assert!(matches!(
            only(checked(FlushMode::Async, events(killed()))),
            Violation::Rewound { .. }
        ));
    }
}
