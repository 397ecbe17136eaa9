//! How long messages stay, as it is set. Nothing but age and hour, which RocketMQ's defaults are, deletes anything unless it
//! is written out.

use std::time::Duration;

use cuemq_storage::retention::{DiskRule, Hours, Rules};

/// The hour of RocketMQ's default: four in the morning.
const FOUR: u32 = 1 << 4;
/// From which part of the disk on deletion is forced, in percent, where a ratio is asked for at all.
const FORCED_PERCENT: u8 = 85;

/// What can be set about the deletion of old messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionConfig {
    /// How old a file of the commit log becomes (`fileReservedTime`).
    pub age: Duration,
    /// At which hours of the day files go that are old enough (`deleteWhen`).
    pub hours: Hours,
    /// How many bytes of files the commit log keeps at most; 0 sets no limit.
    pub max_bytes: u64,
    /// From which part of the disk on, in percent, old files go at any hour (`diskMaxUsedSpaceRatio`); 0 asks for nothing.
    pub disk_percent: u8,
    /// Whether a disk that is fuller yet takes files before their time, where `disk_percent` is set
    /// (`cleanFileForciblyEnable`).
    pub forced: bool,
    /// From which part of the disk on, in percent (`diskSpaceCleanForciblyRatio`).
    pub forced_percent: u8,
    /// How often it is looked whether a file goes (`cleanResourceInterval`).
    pub interval: Duration,
    /// The pause behind each file (`deleteCommitLogFilesInterval`).
    pub pause: Duration,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(72 * 3600),
            hours: Hours::of_bits(FOUR),
            max_bytes: 0,
            disk_percent: 0,
            forced: true,
            forced_percent: FORCED_PERCENT,
            interval: Duration::from_secs(10),
            pause: Duration::from_millis(100),
        }
    }
}

impl RetentionConfig {
    /// The rules that follow.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let forced_percent = self.forced.then_some(self.forced_percent);
        let percent = self.disk_percent;
        Rules {
            age_ms: u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX),
            hours: self.hours,
            max_bytes: self.max_bytes,
            disk: (percent > 0).then_some(DiskRule {
                percent,
                forced_percent,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers stand here once more: nothing else notices when one of them is changed.
    #[test]
    fn without_settings_files_go_after_72_hours_at_four_and_for_no_other_reason() {
        let rules = RetentionConfig::default().rules();
        assert_eq!((rules.age_ms, rules.hours.to_string().as_str()), (259_200_000, "04"));
        assert_eq!((rules.max_bytes, rules.disk), (0, None));
    }

    #[test]
    fn a_ratio_that_is_written_out_forces_deletion_unless_that_is_switched_off() {
        let asked = RetentionConfig {
            disk_percent: 75,
            ..RetentionConfig::default()
        };
        let disk = |config: RetentionConfig| config.rules().disk.map(|disk| (disk.percent, disk.forced_percent));
        assert_eq!(disk(asked), Some((75, Some(85))));
        let gentle = RetentionConfig { forced: false, ..asked };
        assert_eq!(disk(gentle), Some((75, None)));
    }
}
