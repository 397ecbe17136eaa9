//! Who is in the group hears at once of those who come and go.

use std::collections::BTreeMap;

use super::Violation;
use super::timeline::Timeline;
use crate::sim::history::{Event, Moment};

/// How long after a change its notice comes at the latest, while nothing fails but actors.
const NOTICED_MS: u64 = 500;

/// A member that is there.
#[derive(Debug)]
struct Present {
    since_ms: u64,
    /// The changes that it has not heard of: when, and by whom.
    unheard: Vec<(u64, u16)>,
}

/// Holds the notices against the changes.
pub(super) fn check(moments: &[Moment], violations: &mut Vec<Violation>) {
    let timeline = Timeline::of(moments);
    let mut present: BTreeMap<u16, Present> = BTreeMap::new();
    for Moment { at_ms, event } in moments {
        for (&member, Present { since_ms, unheard }) in &mut present {
            unheard.retain(|&(changed_ms, by)| {
                let late = changed_ms + NOTICED_MS < *at_ms;
                // A connection that has lost bytes in a partition brings nothing any more.
                if late && timeline.is_calm(*since_ms, changed_ms + NOTICED_MS) {
                    violations.push(Violation::Unnoticed { member, by });
                }
                !late
            });
        }
        match event {
            Event::Joined(member) => {
                let (since_ms, unheard) = (*at_ms, Vec::new());
                present.insert(*member, Present { since_ms, unheard });
            }
            Event::Parted(member) => drop(present.remove(member)),
            Event::Notified(member) => drop(present.get_mut(member).map(|present| present.unheard.clear())),
            Event::Joining(by) | Event::Leaving(by) => {
                for (_, present) in present.iter_mut().filter(|(member, _)| *member != by) {
                    present.unheard.push((*at_ms, *by));
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

    fn checked(events: impl IntoIterator<Item = (u64, Event)>) -> Vec<Violation> {
        let mut violations = Vec::new();
        check(&history(events), &mut violations);
        violations
    }

    #[test]
    fn a_change_that_a_member_does_not_hear_of_in_time_is_unnoticed() {
        for change in [Event::Joining(2), Event::Leaving(2)] {
            let heard = [
                (0, Event::Joined(1)),
                (10, change.clone()),
                (20, Event::Notified(1)),
                (900, repaired()),
            ];
            assert_eq!(checked(heard), []);
            let late = [
                (0, Event::Joined(1)),
                (10, change),
                (600, Event::Notified(1)),
                (900, repaired()),
            ];
            assert_eq!(only(checked(late)), Violation::Unnoticed { member: 1, by: 2 });
        }
    }

    #[test]
    fn who_leaves_itself_or_is_cut_off_need_not_hear_of_it() {
        let leaves = [
            (0, Event::Joined(1)),
            (10, Event::Joining(2)),
            (11, Event::Parted(1)),
            (900, Event::Joined(1)),
        ];
        assert_eq!(checked(leaves), []);
        let cut_off = [
            (0, Event::Joined(1)),
            (10, Event::Joining(2)),
            (100, struck()),
            (200, repaired()),
            (900, repaired()),
        ];
        assert_eq!(checked(cut_off), []);
    }
}
