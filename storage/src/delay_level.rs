//! The delay levels (`messageDelayLevel` in RocketMQ): how long after its arrival a delayed message is due.

use std::fmt;
use std::time::Duration;

/// The topic that delayed messages wait in, one queue for each level.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";

/// RocketMQ's own table.
const DEFAULT: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";
/// What Java gives a level that its table does not have.
const UNKNOWN_LEVEL: Duration = Duration::from_secs(1);

/// A table of delays, the first one is level 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayLevels(Vec<Duration>);

/// A table of delay levels that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no delay: write a number and one of s, m, h, d, such as 30s")]
pub struct DelayError(String);

impl Default for DelayLevels {
    fn default() -> Self {
        Self::parse(DEFAULT).unwrap_or(Self(Vec::new()))
    }
}

impl DelayLevels {
    /// Reads a table such as `1s 5s 10s`; the units are s, m, h and d.
    ///
    /// # Errors
    /// When a part of it is no delay.
    pub fn parse(text: &str) -> Result<Self, DelayError> {
        text.split_whitespace()
            .map(delay)
            .collect::<Result<Vec<_>, _>>()
            .map(Self)
    }

    /// A table without levels, for messages that are not delayed; makes nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The highest level.
    #[must_use]
    pub fn highest(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// How long a message of this level waits, in milliseconds.
    #[must_use]
    pub fn delay_ms(&self, level: i64) -> i64 {
        let at = usize::try_from(level.saturating_sub(1)).unwrap_or(usize::MAX);
        let delay = self.0.get(at).copied().unwrap_or(UNKNOWN_LEVEL);
        i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)
    }

    /// When a message that was stored at `store_timestamp_ms` with this level is due, in milliseconds since 1970.
    #[must_use]
    pub fn due_ms(&self, level: i64, store_timestamp_ms: i64) -> i64 {
        store_timestamp_ms.saturating_add(self.delay_ms(level))
    }
}

/// As [`DelayLevels::parse`] reads it, in the greatest units that are whole.
impl fmt::Display for DelayLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, delay) in self.0.iter().enumerate() {
            let seconds = delay.as_secs();
            let (count, unit) = match seconds {
                0 => (0, 's'),
                _ if seconds % 86_400 == 0 => (seconds / 86_400, 'd'),
                _ if seconds % 3600 == 0 => (seconds / 3600, 'h'),
                _ if seconds % 60 == 0 => (seconds / 60, 'm'),
                _ => (seconds, 's'),
            };
            let gap = if number == 0 { "" } else { " " };
            write!(f, "{gap}{count}{unit}")?;
        }
        Ok(())
    }
}

fn delay(part: &str) -> Result<Duration, DelayError> {
    let error = || DelayError(part.to_owned());
    let unit = part.chars().last().ok_or_else(error)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(error()),
    };
    let number: u64 = part
        .strip_suffix(unit)
        .and_then(|number| number.parse().ok())
        .ok_or_else(error)?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_rocketmq_has_eighteen_levels_up_to_two_hours() {
        let levels = DelayLevels::default();
        assert_eq!(levels.0.len(), 18);
        assert_eq!(levels.due_ms(1, 1_000), 2_000);
        assert_eq!(levels.due_ms(18, 0), 7_200_000);
    }

    #[test]
    fn a_table_is_shown_as_it_is_read() {
        assert_eq!(DelayLevels::default().to_string(), DEFAULT);
        assert_eq!(DelayLevels::parse("60s 0s 40d").unwrap().to_string(), "1m 0s 40d");
        assert_eq!(DelayLevels::default().highest(), 18);
    }

    #[test]
    fn a_level_beyond_the_table_is_due_after_a_second() {
        assert_eq!(DelayLevels::default().due_ms(99, 5), 1_005);
        assert_eq!(DelayLevels::default().due_ms(0, 5), 1_005);
    }

    #[test]
    fn a_part_that_is_no_delay_is_named() {
        assert_eq!(DelayLevels::parse("1s 5x"), Err(DelayError("5x".into())));
        assert_eq!(
            DelayLevels::parse("99999999999999999999d"),
            Err(DelayError("99999999999999999999d".into()))
        );
        assert!(DelayLevels::parse("é").is_err());
    }
}
