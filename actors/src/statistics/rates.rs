//! Rates of the last 10 s, minute and 10 minutes, and totals by day, as code 28 tells them.

use std::collections::VecDeque;

use jiff::civil::Date;

use crate::traffic::{Passed, Totals};

/// The spans of the rates, in seconds.
const SPANS_S: [usize; 3] = [10, 60, 600];
/// One look for each second of the longest span, and the one before.
const LOOKS: usize = 601;

/// The rates and totals of a broker.
pub struct Rates {
    /// By second: the monotonic time in milliseconds, and what was counted then.
    looks: VecDeque<(u64, Totals)>,
    today: Date,
    /// Messages that had come in and gone out when yesterday began, and when today began.
    mornings: [(u64, u64); 2],
}

/// What tools are told of the whole broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreFigures {
    /// What was counted since the process started.
    pub totals: Totals,
    /// Messages stored per second, over the last 10 s, minute and 10 minutes.
    pub stored: [f64; 3],
    /// Pulls that found something, likewise.
    pub found: [f64; 3],
    /// Pulls that found nothing, likewise.
    pub missed: [f64; 3],
    /// Messages delivered, likewise.
    pub delivered: [f64; 3],
    /// Messages stored and delivered when yesterday began, and when today began.
    pub mornings: [(u64, u64); 2],
}

impl Rates {
    /// Of a broker that begins now; messages of before today do not count as today's.
    #[must_use]
    pub fn new(today: Date) -> Self {
        Self {
            looks: VecDeque::with_capacity(LOOKS),
            today,
            mornings: [(0, 0); 2],
        }
    }

    /// Takes in what is counted, once in a second.
    pub fn look(&mut self, at_ms: u64, today: Date, totals: Totals) {
        self.looks.push_back((at_ms, totals));
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
        if today != self.today {
            let [_, yesterday] = self.mornings;
            (self.today, self.mornings) = (today, [yesterday, (totals.stored.messages, totals.delivered.messages)]);
        }
    }

    /// What tools are told when this is counted.
    #[must_use]
    pub fn tell(&self, totals: Totals) -> StoreFigures {
        StoreFigures {
            totals,
            stored: self.rates(|totals| totals.stored.messages),
            found: self.rates(|totals| totals.delivered.times),
            missed: self.rates(|totals| totals.missed),
            delivered: self.rates(|totals| totals.delivered.messages),
            mornings: self.mornings,
        }
    }

    /// Over a span that has not passed yet, the rate is that of the time that has.
    fn rates(&self, number: impl Fn(&Totals) -> u64) -> [f64; 3] {
        SPANS_S.map(|span_s| {
            let first = self.looks.len().saturating_sub(span_s + 1);
            let (Some((from, before)), Some((to, after))) = (self.looks.get(first), self.looks.back()) else {
                return 0.0;
            };
            match to.saturating_sub(*from) {
                0 => 0.0,
                ms => number(after).saturating_sub(number(before)) as f64 * 1000.0 / ms as f64,
            }
        })
    }
}

impl StoreFigures {
    /// All pulls per second.
    #[must_use]
    pub fn pulls(&self) -> [f64; 3] {
        std::array::from_fn(|span| self.found[span] + self.missed[span])
    }

    /// The average length of a stored record in bytes.
    #[must_use]
    pub fn average_bytes(&self) -> f64 {
        let Passed { messages, bytes, .. } = self.totals.stored;
        bytes as f64 / messages.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Date = Date::constant(2026, 11, 21);

    fn stored(messages: u64) -> Totals {
        let mut totals = Totals::default();
        totals.stored.messages = messages;
        totals
    }

    #[test]
    fn each_span_has_the_rate_of_its_own_last_seconds() {
        let mut rates = Rates::new(DAY);
        // 5 messages in each second of 10 minutes, and then none for 30 s.
        for second in 0..=630 {
            rates.look(second * 1000, DAY, stored(5 * second.min(600)));
        }
        assert_eq!(rates.tell(stored(3000)).stored, [0.0, 2.5, 4.75]);
    }

    #[test]
    fn a_broker_that_has_just_begun_tells_the_rate_of_the_time_that_it_has() {
        let mut rates = Rates::new(DAY);
        assert_eq!(rates.tell(stored(0)).stored, [0.0; 3]);
        rates.look(0, DAY, stored(0));
        assert_eq!(rates.tell(stored(8)).stored, [0.0; 3]);
        rates.look(2000, DAY, stored(8));
        assert_eq!(rates.tell(stored(8)).stored, [4.0; 3]);
    }

    #[test]
    fn a_day_begins_with_what_was_counted_by_then() {
        let mut rates = Rates::new(DAY);
        let (next, after_next) = (Date::constant(2026, 11, 22), Date::constant(2026, 11, 23));
        rates.look(0, DAY, stored(10));
        rates.look(1000, next, stored(30));
        rates.look(2000, next, stored(31));
        assert_eq!(rates.tell(stored(31)).mornings, [(0, 0), (30, 0)]);
        rates.look(3000, after_next, stored(50));
        assert_eq!(rates.tell(stored(50)).mornings, [(30, 0), (50, 0)]);
    }
}
