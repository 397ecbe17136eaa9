//! One counter as it stood at the last few looks (`StatsItem` in Java): a minute by looks every 10 s, an hour by looks every
//! 10 minutes, a day by looks every hour. What a span brought is the newest look less the oldest.

use std::collections::VecDeque;
use std::time::Duration;

use cuemq_net::body::{BrokerStatsData, BrokerStatsItem};

use crate::traffic::Passed;

/// A span over which figures are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The time between two looks.
    pub every: Duration,
    /// How many looks are kept.
    pub looks: usize,
}

impl Span {
    pub(super) fn every_ms(self) -> u64 {
        u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX)
    }
}

pub(super) const MINUTE: Span = Span {
    every: Duration::from_secs(10),
    looks: 7,
};
pub(super) const HOUR: Span = Span {
    every: Duration::from_secs(600),
    looks: 7,
};
pub(super) const DAY: Span = Span {
    every: Duration::from_secs(3600),
    looks: 25,
};

/// What a counter showed, and when, by the monotonic clock in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Look {
    at_ms: u64,
    passed: Passed,
}

/// The looks of one span.
#[derive(Clone, Debug, Default)]
struct Looks(VecDeque<Look>);

impl Looks {
    fn note(&mut self, span: Span, look: Look) {
        self.0.push_back(look);
        if self.0.len() > span.looks {
            self.0.pop_front();
        }
    }

    fn item(&self, number: impl Fn(Passed) -> u64) -> BrokerStatsItem {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else {
            return BrokerStatsItem::default();
        };
        let sum = number(last.passed).saturating_sub(number(first.passed));
        let ms = last.at_ms.saturating_sub(first.at_ms);
        let times = last.passed.times.saturating_sub(first.passed.times);
        let ratio = |sum: f64, of: u64| if of == 0 { 0.0 } else { sum / of as f64 };
        BrokerStatsItem {
            avgpt: ratio(sum as f64, times),
            sum: i64::try_from(sum).unwrap_or(i64::MAX),
            tps: ratio(sum as f64 * 1000.0, ms),
        }
    }
}

/// A counter over all three spans.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    minute: Looks,
    hour: Looks,
    day: Looks,
}

impl Series {
    /// Takes in a look for one span. A counter that is new began at 0 one look before, unless `is_first`: then nobody has
    /// looked before, and what it shows is of old.
    pub(super) fn note(&mut self, span: Span, at_ms: u64, passed: Passed, is_first: bool) {
        let looks = match span {
            MINUTE => &mut self.minute,
            HOUR => &mut self.hour,
            _ => &mut self.day,
        };
        if looks.0.is_empty() && !is_first {
            let (at_ms, passed) = (at_ms.saturating_sub(span.every_ms()), Passed::default());
            looks.note(span, Look { at_ms, passed });
        }
        looks.note(span, Look { at_ms, passed });
    }

    /// What the spans brought of one of the counter's numbers.
    pub(super) fn data(&self, number: impl Fn(Passed) -> u64) -> BrokerStatsData {
        BrokerStatsData {
            stats_day: self.day.item(&number),
            stats_hour: self.hour.item(&number),
            stats_minute: self.minute.item(&number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(messages: u64) -> Passed {
        Passed {
            messages,
            bytes: 100 * messages,
            times: messages / 2,
        }
    }

    #[test]
    fn a_span_brings_the_newest_look_less_the_oldest_that_is_kept() {
        let mut series = Series::default();
        for look in 1..=20 {
            series.note(MINUTE, look * 10_000, passed(look * 10), false);
        }
        let minute = series.data(|passed| passed.messages).stats_minute;
        assert_eq!((minute.sum, minute.tps, minute.avgpt), (60, 1.0, 2.0));
        assert_eq!(series.data(|passed| passed.bytes).stats_minute.sum, 6000);
        assert_eq!(
            series.data(|passed| passed.bytes).stats_hour,
            BrokerStatsItem::default()
        );
    }

    #[test]
    fn what_a_new_counter_shows_first_has_come_since_the_look_before() {
        let mut series = Series::default();
        series.note(MINUTE, 50_000, passed(40), false);
        let minute = series.data(|passed| passed.messages).stats_minute;
        assert_eq!((minute.sum, minute.tps), (40, 4.0));
    }

    #[test]
    fn what_the_first_look_of_all_finds_is_of_old() {
        let mut series = Series::default();
        series.note(DAY, 50_000, passed(40), true);
        assert_eq!(series.data(|passed| passed.messages).stats_day.sum, 0);
    }
}
