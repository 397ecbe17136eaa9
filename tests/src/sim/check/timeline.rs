//! When the broker was struck, and when the power went: what a history excuses follows from it.

use cuemq_storage::log_state::FlushMode;

use crate::sim::broker::FLUSH_INTERVAL;
use crate::sim::fault::{End, Fault};
use crate::sim::history::{Event, Moment};

/// How long after a message was acknowledged it is on the disk at the latest, where its sender did not wait for that.
const FLUSHED_MS: u64 = FLUSH_INTERVAL.as_millis() as u64 + 150;

/// The power goes.
#[derive(Clone, Copy, Debug)]
struct Loss {
    /// The event.
    at: usize,
    /// Since when all had been well.
    calm_since_ms: u64,
    /// When that ended.
    struck_ms: u64,
}

/// What the faults of a history excuse.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    losses: Vec<Loss>,
    /// The times in which something else than an actor's panic was the matter.
    shaken: Vec<(u64, u64)>,
}

impl Timeline {
    /// What happened to the broker.
    pub(super) fn of(moments: &[Moment]) -> Self {
        let mut timeline = Self::default();
        let (mut calm_since_ms, mut struck_ms, mut shakes) = (0, 0, false);
        for (at, moment) in moments.iter().enumerate() {
            match &moment.event {
                Event::Struck(fault) => {
                    struck_ms = moment.at_ms;
                    shakes = !matches!(fault, Fault::Panic { .. }) || fault.ends_store();
                }
                Event::LifeEnds(End::PowerLoss(_)) => timeline.losses.push(Loss {
                    at,
                    calm_since_ms,
                    struck_ms,
                }),
                Event::Repaired => {
                    calm_since_ms = moment.at_ms;
                    if shakes {
                        timeline.shaken.push((struck_ms, moment.at_ms));
                    }
                }
                _ => {}
            }
        }
        timeline
    }

    /// Whether what was asked for before event `asked` may have been changed by a power loss since.
    pub(super) fn lost_since(&self, asked: usize) -> bool {
        self.losses.iter().any(|loss| loss.at > asked)
    }

    /// The events at which the power went.
    pub(super) fn losses(&self) -> impl Iterator<Item = usize> {
        self.losses.iter().map(|loss| loss.at)
    }

    /// Whether a message may be gone that was sent by event `sent_at` and acknowledged, without a wait for the disk, at
    /// `acknowledged_ms`: the power went before the next flush was sure to have covered it.
    pub(super) fn may_lose(&self, sent_at: usize, acknowledged_ms: u64, flush: FlushMode) -> bool {
        let flushed_ms = |loss: &Loss| match flush {
            FlushMode::Async => acknowledged_ms.max(loss.calm_since_ms) + FLUSHED_MS,
            // It rides along with the next flush for those that wait; when that comes is not promised.
            FlushMode::Sync => u64::MAX,
        };
        self.losses
            .iter()
            .any(|loss| loss.at > sent_at && loss.struck_ms < flushed_ms(loss))
    }

    /// Whether nothing but actors' panics was the matter in `from_ms..=upto_ms`.
    pub(super) fn is_calm(&self, from_ms: u64, upto_ms: u64) -> bool {
        !self
            .shaken
            .iter()
            .any(|(struck_ms, repaired_ms)| *struck_ms <= upto_ms && from_ms <= *repaired_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{history, loss, repaired, struck};
    use super::*;

    #[test]
    fn a_power_loss_excuses_what_was_acknowledged_just_before_it_or_while_something_was_the_matter() {
        // Trouble from 1000 to 2000 ms, a power loss at 5000 ms.
        let events = [
            (1000, struck()),
            (2000, repaired()),
            (5000, struck()),
            (5001, loss()),
            (5002, repaired()),
        ];
        let timeline = Timeline::of(&history(events));
        for (acknowledged_ms, may_lose) in [(500, false), (1500, false), (4000, false), (4900, true), (5001, true)] {
            assert_eq!(
                timeline.may_lose(0, acknowledged_ms, FlushMode::Async),
                may_lose,
                "{acknowledged_ms}"
            );
        }
        assert!(timeline.may_lose(0, 500, FlushMode::Sync));
        assert!(!timeline.may_lose(4, 5500, FlushMode::Async));
        assert!(timeline.lost_since(2) && !timeline.lost_since(3));
        assert!(timeline.is_calm(2001, 4999) && !timeline.is_calm(500, 1000) && !timeline.is_calm(1200, 1300));
    }
}
