//! What was to come later came, not before its time, and what was not to come did not.

use std::collections::BTreeMap;

use cuemq_storage::log_state::FlushMode;

use super::super::body::{Content, Message};
use super::super::clock::EPOCH_MS;
use super::super::fault::End;
use super::super::history::{Event, Moment, Stored};
use super::super::later::{DELAY_MS, Fate, QUEUE, Waiting};
use super::{Promised, Violation};

/// Adds what a history breaks of the promises about messages that come later. `last` is their queue in the end.
pub(in super::super) fn check(
    promised: Promised,
    moments: &[Moment],
    waitings: &[Waiting],
    last: &[Stored],
    violations: &mut Vec<Violation>,
) {
    let by_message: BTreeMap<Message, &Waiting> = waitings.iter().map(|waiting| (waiting.message, waiting)).collect();
    let mut came: BTreeMap<Message, usize> = BTreeMap::new();
    for stored in last {
        let Content::Whole(message) = stored.content else {
            violations.push(Violation::Torn {
                queue: QUEUE,
                queue_offset: stored.queue_offset,
                found: stored.content.clone(),
            });
            continue;
        };
        *came.entry(message).or_default() += 1;
        match by_message.get(&message) {
            Some(waiting) => violations.extend(unwanted(waiting, stored)),
            None => violations.push(Violation::Uninvited { queue: QUEUE, message }),
        }
    }
    // Nothing is promised to outlive a power loss that is not flushed, and what is old may be deleted.
    let lost_power = |moment: &Moment| matches!(moment.event, Event::LifeEnds(End::PowerLoss(_)));
    if promised.age.is_some() || promised.flush == FlushMode::Async && moments.iter().any(lost_power) {
        return;
    }
    let is_due = |waiting: &&Waiting| matches!(waiting.fate, Fate::Delayed | Fate::Committed) && waiting.acknowledged;
    for waiting in waitings.iter().filter(is_due) {
        if !came.contains_key(&waiting.message) {
            violations.push(Violation::NeverCame(*waiting));
        }
    }
}

/// Why a message should not be where it is.
fn unwanted(waiting: &Waiting, stored: &Stored) -> Option<Violation> {
    let waiting = *waiting;
    match waiting.fate {
        Fate::RolledBack | Fate::Open => Some(Violation::NotCommitted(waiting)),
        Fate::Committed => None,
        Fate::Delayed => {
            let due_ms = EPOCH_MS + waiting.sent_ms + DELAY_MS;
            let stored_ms = stored.store_timestamp_ms.cast_unsigned();
            (stored_ms < due_ms).then(|| Violation::Early {
                waiting,
                by_ms: due_ms - stored_ms,
            })
        }
    }
}

/// Whether all that is to come has come.
pub(in super::super) fn is_complete(waitings: &[Waiting], last: &[Stored]) -> bool {
    let wanted = |waiting: &Waiting| matches!(waiting.fate, Fate::Delayed | Fate::Committed) && waiting.acknowledged;
    waitings.iter().filter(|waiting| wanted(waiting)).all(|waiting| {
        let whole = Content::Whole(waiting.message);
        last.iter().any(|stored| stored.content == whole)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(number: u32, fate: Fate) -> Waiting {
        let message = Message { sender: 500, number };
        Waiting {
            message,
            fate,
            sent_ms: 100,
            acknowledged: true,
        }
    }

    fn stored(number: u32, at_ms: u64) -> Stored {
        Stored {
            queue_offset: u64::from(number),
            physical_offset: 0,
            store_timestamp_ms: (EPOCH_MS + at_ms).cast_signed(),
            content: Content::Whole(Message { sender: 500, number }),
        }
    }

    fn broken(flush: FlushMode, moments: &[Moment], waitings: &[Waiting], last: &[Stored]) -> Vec<Violation> {
        let (promised, mut violations) = (Promised { flush, age: None }, Vec::new());
        check(promised, moments, waitings, last, &mut violations);
        violations
    }

    #[test]
    fn each_broken_promise_is_told_and_a_kept_one_not() {
        let all = [
            waiting(0, Fate::Delayed),
            waiting(1, Fate::Committed),
            waiting(2, Fate::RolledBack),
            waiting(3, Fate::Open),
        ];
        let kept = [stored(0, 1_100), stored(1, 101), stored(0, 1_200)];
        assert_eq!(broken(FlushMode::Sync, &[], &all, &kept), []);
        assert!(is_complete(&all, &kept));
        let early = Violation::Early {
            waiting: all[0],
            by_ms: 1,
        };
        let last = [
            stored(0, 1_099),
            stored(1, 101),
            stored(2, 101),
            stored(3, 101),
            stored(4, 101),
        ];
        let (queue, message) = (QUEUE, Message { sender: 500, number: 4 });
        let uninvited = Violation::Uninvited { queue, message };
        let expected = [
            early,
            Violation::NotCommitted(all[2]),
            Violation::NotCommitted(all[3]),
            uninvited,
        ];
        assert_eq!(broken(FlushMode::Sync, &[], &all, &last), expected);
        let missing = [Violation::NeverCame(all[0]), Violation::NeverCame(all[1])];
        assert_eq!(broken(FlushMode::Sync, &[], &all, &[]), missing);
    }

    #[test]
    fn a_power_loss_excuses_what_was_not_flushed_and_nothing_that_came_too_early() {
        let moments = [Moment {
            at_ms: 500,
            event: Event::LifeEnds(End::PowerLoss(1)),
        }];
        let all = [waiting(0, Fate::Delayed), waiting(1, Fate::Open)];
        assert_eq!(broken(FlushMode::Async, &moments, &all, &[]), []);
        assert_eq!(broken(FlushMode::Sync, &moments, &all, &[]).len(), 1);
        assert_eq!(broken(FlushMode::Async, &moments, &all, &[stored(1, 200)]).len(), 1);
    }
}
