//! When the oldest file of the log goes (`CleanCommitLogService` in Java): the rules, without a disk and without a clock.
//!
//! A file has the age of its last record. Age alone takes it only at certain hours, or when somebody asks for it. It goes
//! before its time only where that was asked for in so many words: by a length that the log is to keep, or by a ratio of
//! the disk from which on deletion is forced.

use std::fmt;
use std::str::FromStr;

/// Hours of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours(u32);

/// A text that names no hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hours of the day from 00 to 23, several with ; between them, such as 04 or 02;14")]
pub struct NoHours;

impl Hours {
    /// Hours by their bits: the lowest is the first of the day.
    #[must_use]
    pub fn of_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Their bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether an hour, from 0 to 23, is one of them.
    #[must_use]
    pub fn contain(self, hour: u8) -> bool {
        self.0.checked_shr(hour.into()).is_some_and(|bits| bits & 1 == 1)
    }
}

impl FromStr for Hours {
    type Err = NoHours;

    fn from_str(text: &str) -> Result<Self, NoHours> {
        let named = text.split(';').map(str::trim).filter(|hour| !hour.is_empty());
        let mut bits = 0;
        for hour in named {
            let hour: u32 = hour.parse().map_err(|_| NoHours)?;
            bits |= 1_u32.checked_shl(hour).filter(|_| hour < 24).ok_or(NoHours)?;
        }
        if bits == 0 { Err(NoHours) } else { Ok(Self(bits)) }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours: Vec<String> = (0..24)
            .filter(|hour| self.contain(*hour))
            .map(|hour| format!("{hour:02}"))
            .collect();
        f.write_str(&hours.join(";"))
    }
}

/// What is asked for when the disk fills up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRule {
    /// From this part of the disk on, in percent, what is old enough goes at any hour (`diskMaxUsedSpaceRatio`).
    pub percent: u8,
    /// From this part on, in percent, the oldest file goes whatever its age (`diskSpaceCleanForciblyRatio`); `None` where
    /// that is switched off (`cleanFileForciblyEnable`).
    pub forced_percent: Option<u8>,
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How old a file becomes, in milliseconds (`fileReservedTime`).
    pub age_ms: u64,
    /// When files go that are old enough (`deleteWhen`).
    pub hours: Hours,
    /// How many bytes of files the log keeps at most; 0 sets no limit.
    pub max_bytes: u64,
    /// What is asked for when the disk fills up, if anything is.
    pub disk: Option<DiskRule>,
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// The hour of the day, from 0 to 23, at the broker's place.
    pub hour: u8,
    /// Whether somebody has asked for deletion.
    pub asked: bool,
    /// The length of all files of the log in bytes.
    pub log_bytes: u64,
    /// How much of the disk is used, from 0 to 1.
    pub used: f64,
    /// When the last record of the oldest file was stored at the latest, in milliseconds since 1970.
    pub oldest_ms: u64,
}

/// Why the oldest file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is old enough, and this is the hour.
    Hour,
    /// It is old enough, and somebody has asked.
    Asked,
    /// It is old enough, and the disk is rather full.
    Disk,
    /// The log is longer than it may be.
    Length,
    /// The disk is so full that a file goes before its time.
    Forced,
}

impl Reason {
    /// Whether messages may go that somebody still counts on.
    #[must_use]
    pub fn is_before_its_time(self) -> bool {
        matches!(self, Self::Length | Self::Forced)
    }
}

impl Rules {
    /// Why the oldest file goes now; `None` when it stays.
    #[must_use]
    pub fn verdict(&self, sight: &Sight) -> Option<Reason> {
        let is_above = |percent: u8| sight.used * 100.0 > f64::from(percent);
        let is_old = sight.oldest_ms.saturating_add(self.age_ms) <= sight.now_ms;
        let is_rather_full = self.disk.is_some_and(|disk| is_above(disk.percent));
        let forced = self.disk.and_then(|disk| disk.forced_percent);
        let is_too_long = self.max_bytes > 0 && sight.log_bytes > self.max_bytes;
        if is_old && self.hours.contain(sight.hour) {
            Some(Reason::Hour)
        } else if is_old && sight.asked {
            Some(Reason::Asked)
        } else if is_old && is_rather_full {
            Some(Reason::Disk)
        } else if is_too_long {
            Some(Reason::Length)
        } else if forced.is_some_and(is_above) {
            Some(Reason::Forced)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn rules() -> Rules {
        Rules {
            age_ms: 72 * HOUR_MS,
            hours: "04".parse().unwrap(),
            max_bytes: 0,
            disk: None,
        }
    }

    /// A file of 72 h, an hour after the time to delete, on a disk that is full.
    fn sight() -> Sight {
        Sight {
            now_ms: 100 * HOUR_MS,
            hour: 5,
            asked: false,
            log_bytes: 5000,
            used: 0.99,
            oldest_ms: 28 * HOUR_MS,
        }
    }

    #[test]
    fn hours_are_read_as_java_reads_them_and_told_likewise() {
        let hours: Hours = "2; 14;04".parse().unwrap();
        assert_eq!(hours.to_string(), "02;04;14");
        assert!(hours.contain(14) && !hours.contain(3) && !hours.contain(200));
        assert_eq!(hours.to_string().parse(), Ok(hours));
        for wrong in ["", ";", "24", "-1", "four", "4,5"] {
            assert_eq!(wrong.parse::<Hours>(), Err(NoHours), "{wrong}");
        }
    }

    #[test]
    fn a_file_goes_at_its_age_and_hour_and_not_before() {
        let at_four = Sight { hour: 4, ..sight() };
        assert_eq!(rules().verdict(&at_four), Some(Reason::Hour));
        let young = Sight {
            oldest_ms: 28 * HOUR_MS + 1,
            ..at_four
        };
        assert_eq!(rules().verdict(&young), None);
        assert_eq!(rules().verdict(&sight()), None, "however full the disk is");
    }

    #[test]
    fn whoever_asks_gets_what_is_old_enough_at_any_hour() {
        let asked = Sight { asked: true, ..sight() };
        assert_eq!(rules().verdict(&asked), Some(Reason::Asked));
        let young = Sight {
            oldest_ms: 90 * HOUR_MS,
            ..asked
        };
        assert_eq!(rules().verdict(&young), None);
    }

    #[test]
    fn a_length_that_is_set_counts_more_than_the_age() {
        let short = Rules {
            max_bytes: 4999,
            ..rules()
        };
        let young = Sight {
            oldest_ms: 100 * HOUR_MS,
            ..sight()
        };
        assert_eq!(short.verdict(&young), Some(Reason::Length));
        assert!(Reason::Length.is_before_its_time());
        let enough = Rules {
            max_bytes: 5000,
            ..rules()
        };
        assert_eq!(enough.verdict(&young), None);
    }

    #[test]
    fn a_ratio_that_is_set_takes_old_files_first_and_others_only_when_forced() {
        let disk = |forced_percent| Rules {
            disk: Some(DiskRule {
                percent: 75,
                forced_percent,
            }),
            ..rules()
        };
        let young = Sight {
            oldest_ms: 90 * HOUR_MS,
            ..sight()
        };
        assert_eq!(disk(Some(85)).verdict(&sight()), Some(Reason::Disk));
        assert_eq!(disk(Some(85)).verdict(&young), Some(Reason::Forced));
        assert_eq!(disk(None).verdict(&young), None);
        let used = |used| Sight { used, ..young };
        assert_eq!(disk(Some(85)).verdict(&used(0.85)), None);
        let old = Sight { used: 0.75, ..sight() };
        assert_eq!(disk(Some(85)).verdict(&old), None, "as full as it may be");
    }
}
