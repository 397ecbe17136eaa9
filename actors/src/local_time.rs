//! Times as they are told to people: `yyyy-MM-dd HH:mm:ss,SSS` in the machine's time zone, as Java's
//! `UtilAll.timeMillisToHumanString2` writes them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A time in milliseconds since 1970, in the machine's time zone. What lies behind the year 9999 is told as its end.
#[must_use]
pub fn told(ms: u64) -> String {
    told_in(ms, TimeZone::system())
}

/// The day of a time in milliseconds since 1970, in the machine's time zone.
#[must_use]
pub fn date(ms: u64) -> Date {
    at(ms, TimeZone::system()).date()
}

/// The hour of the day, from 0 to 23, in the machine's time zone.
#[must_use]
pub fn hour(ms: u64) -> u8 {
    u8::try_from(at(ms, TimeZone::system()).hour()).unwrap_or(0)
}

fn at(ms: u64, zone: TimeZone) -> Zoned {
    let time = i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.unwrap_or(Timestamp::MAX).to_zoned(zone)
}

fn told_in(ms: u64, zone: TimeZone) -> String {
    at(ms, zone).strftime("%Y-%m-%d %H:%M:%S,%3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_to_the_millisecond() {
        assert_eq!(told_in(0, TimeZone::UTC), "1970-01-01 00:00:00,000");
        assert_eq!(told_in(1_709_251_199_007, TimeZone::UTC), "2024-02-29 23:59:59,007");
    }

    #[test]
    fn a_time_is_told_by_the_clocks_of_its_place_and_season() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(told_in(1_704_067_200_000, berlin.clone()), "2024-01-01 01:00:00,000");
        assert_eq!(told_in(1_719_792_000_000, berlin), "2024-07-01 02:00:00,000");
    }

    #[test]
    fn what_lies_too_far_ahead_is_told_as_the_end_of_the_calendar() {
        assert!(told_in(u64::MAX, TimeZone::UTC).starts_with("9999-12-3"));
    }
}
