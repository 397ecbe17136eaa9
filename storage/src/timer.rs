//! Messages with a delivery time of their own: they wait in one queue, whose entries keep in place of the tags code when each
//! is due, so that what waits is found without reading it (`TimerMessageStore` and `HookUtils.transformTimerMessage` in Java).
//!
//! | bits of the code | |
//! |---|---|
//! | 63 | 0 |
//! | 62 | 1 for a message that recalls another one |
//! | 0–61 | when it is due, in milliseconds since 1970 |
//!
//! Java keeps a hash there, which nobody reads.

use cuemq_net::message::properties::KnownProperties;

/// The topic that they wait in, in its queue 0.
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";

/// Java's wheel has a place for each second, and says of a message only in which one it is due: the record says the last
/// second in front of its time.
pub const JAVA_PLACE_MS: u64 = 1000;
/// Whether a message recalls another one.
const RECALLS: i64 = 1 << 62;

/// When a message is due, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether it is no message but recalls one that is due then.
    pub recalls: bool,
}

impl Due {
    /// What the properties of a message that waits say. TIMER_OUT_MS is a little earlier than its time: a millisecond, or
    /// where Java wrote it up to a second. TIMER_DELIVER_MS says which; where it does not, the message comes rather late than
    /// early. One that says nothing is due at once.
    #[must_use]
    pub fn of(known: &KnownProperties<'_>) -> Self {
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
        let at_ms = number(known.timer_out_ms).map_or(0, |out_ms| {
            let last_ms = out_ms.saturating_add(JAVA_PLACE_MS);
            let told = number(known.timer_deliver_ms).filter(|at_ms| out_ms < *at_ms && *at_ms <= last_ms);
            told.unwrap_or(last_ms)
        });
        Self {
            at_ms: at_ms.min(RECALLS.cast_unsigned() - 1),
            recalls: known.timer_delete_unique_key.is_some(),
        }
    }

    /// What its entry in the queue keeps in place of the tags code.
    #[must_use]
    pub fn code(self) -> i64 {
        let at_ms = self.at_ms.cast_signed() & (RECALLS - 1);
        if self.recalls { at_ms | RECALLS } else { at_ms }
    }

    /// What an entry says.
    #[must_use]
    pub fn of_code(code: i64) -> Self {
        Self {
            at_ms: (code & (RECALLS - 1)).cast_unsigned(),
            recalls: code & RECALLS != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(out_ms: Option<&'static str>, deliver_ms: Option<&'static str>) -> u64 {
        let due = Due::of(&KnownProperties {
            timer_out_ms: out_ms,
            timer_deliver_ms: deliver_ms,
            ..KnownProperties::default()
        });
        assert_eq!(Due::of_code(due.code()), due);
        due.at_ms
    }

    #[test]
    fn a_message_is_due_when_it_says_to_the_millisecond() {
        assert_eq!(at(Some("1700000004999"), Some("1700000005000")), 1_700_000_005_000);
        assert_eq!(
            at(Some("1700000005000"), Some("1700000005300")),
            1_700_000_005_300,
            "Java's"
        );
    }

    #[test]
    fn where_java_did_not_keep_the_time_it_comes_rather_late_than_early() {
        assert_eq!(at(Some("1700000005000"), None), 1_700_000_006_000);
        assert_eq!(at(Some("1700000005000"), Some("1600000000000")), 1_700_000_006_000);
    }

    #[test]
    fn what_says_nothing_is_due_at_once_and_no_time_is_too_far() {
        assert_eq!(at(None, Some("1700000005000")), 0);
        assert_eq!(at(Some("soon"), None), 0);
        assert_eq!(at(Some("18446744073709551615"), None), (1 << 62) - 1);
    }

    #[test]
    fn one_that_recalls_another_is_told_apart() {
        let recalls = Due {
            at_ms: 5,
            recalls: true,
        };
        assert_eq!(Due::of_code(recalls.code()), recalls);
        assert!(recalls.code() > 0, "it is no address in a queue's extension");
    }
}
