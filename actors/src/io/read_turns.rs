//! Who reads a backlog leaves time to those who send.
//!
//! A consumer that is far behind pulls as fast as it is answered, and each of its pulls is a long answer. A few of them take
//! all the time of a thread, in which producers would have their share only as one connection among others: what they send
//! comes in faster than it is taken, and waits longer and longer. So connections that do not send have a part of each round of
//! the thread: half as long as everything else took in the round before, and [`LEAST`] where that was short. Then they wait for
//! the next round, which begins when all that has arrived meanwhile has been looked at. Where nothing else is to be done a
//! round is over at once.

use std::cell::Cell;
use std::time::Duration;

/// What they have in each round, however little else was done.
const LEAST: Duration = Duration::from_micros(250);
/// What they have in a round behind a long one, so that the next is not as long.
const MOST: Duration = Duration::from_millis(2);

/// How much of a round is left to them.
#[derive(Debug)]
pub struct ReadTurns {
    number: Cell<u64>,
    began: Cell<Duration>,
    allowed: Cell<Duration>,
    spent: Cell<Duration>,
}

impl Default for ReadTurns {
    fn default() -> Self {
        Self {
            number: Cell::default(),
            began: Cell::default(),
            allowed: Cell::new(LEAST),
            spent: Cell::default(),
        }
    }
}

impl ReadTurns {
    /// The number of the round.
    pub fn number(&self) -> u64 {
        self.number.get()
    }

    /// Whether they wait for the next round.
    pub fn are_over(&self) -> bool {
        self.spent.get() >= self.allowed.get()
    }

    /// Counts what one of them took.
    pub fn spend(&self, took: Duration) {
        self.spent.set(self.spent.get() + took);
    }

    /// Begins the next round, unless another that waited since the same one has done so.
    pub fn next(&self, waited_since: u64, now: Duration) {
        if self.number.get() != waited_since {
            return;
        }
        let others = now.saturating_sub(self.began.get()).saturating_sub(self.spent.get());
        self.allowed.set((others / 2).clamp(LEAST, MOST));
        self.number.set(waited_since + 1);
        self.began.set(now);
        self.spent.set(Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn who_reads_has_half_as_long_as_the_others_had() {
        let turns = ReadTurns::default();
        turns.spend(us(249));
        assert!(!turns.are_over());
        turns.spend(us(1));
        assert!(turns.are_over());
        turns.next(turns.number(), us(250 + 1_000));
        turns.spend(us(499));
        assert!(!turns.are_over(), "the others had a millisecond");
        turns.spend(us(1));
        assert!(turns.are_over());
    }

    #[test]
    fn a_round_gives_at_least_and_at_most_so_much() {
        let turns = ReadTurns::default();
        turns.next(0, Duration::from_secs(100));
        turns.spend(MOST - us(1));
        assert!(!turns.are_over(), "nobody asked for long");
        turns.spend(us(1));
        assert!(turns.are_over());
        turns.next(1, Duration::from_secs(100) + MOST);
        turns.spend(LEAST - us(1));
        assert!(!turns.are_over(), "nothing else was done");
    }

    #[test]
    fn those_who_waited_together_begin_one_round() {
        let turns = ReadTurns::default();
        let since = turns.number();
        turns.next(since, us(500));
        turns.spend(LEAST);
        turns.next(since, us(900));
        assert!(turns.are_over(), "that was the second of them");
        turns.next(since + 1, us(900));
        assert!(!turns.are_over());
    }
}
