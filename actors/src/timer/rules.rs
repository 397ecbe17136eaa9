//! When a message asks to be delivered, and what it looks like while it waits (`HookUtils.checkIfTimerMessage` and
//! `transformTimerMessage` in Java).

use std::time::Duration;

use cuemq_net::code::ResponseCode;
use cuemq_net::message::properties::{self, KnownProperties, PropertyError, name};
use cuemq_storage::timer::TIMER_TOPIC;

use crate::set_aside::{Aside, with_destination};

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerRules {
    /// Whether delivery times are taken at all (`timerWheelEnable`).
    pub enabled: bool,
    /// How far ahead they may be (`timerMaxDelaySec`).
    pub max: Duration,
}

impl Default for TimerRules {
    fn default() -> Self {
        Self {
            enabled: true,
            max: Duration::from_secs(366 * 86_400),
        }
    }
}

/// Why a delivery time is not taken. The texts are RocketMQ's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTime {
    /// It is no time, too far ahead, or the time of a message that recalls another one is over.
    #[error(
        "timer message illegal, the delay time should not be bigger than the max delay {max_ms}ms; or if set del msg, the \
         delay time should be bigger than the current time"
    )]
    Illegal {
        /// How far ahead it may be.
        max_ms: u128,
    },
    /// None is taken.
    #[error("accurate timer message is not enabled, timerWheelEnable is false")]
    NotEnabled,
}

impl NoTime {
    /// The code that RocketMQ answers.
    #[must_use]
    pub fn code(&self) -> ResponseCode {
        match self {
            Self::Illegal { .. } => ResponseCode::MESSAGE_ILLEGAL,
            Self::NotEnabled => ResponseCode::SYSTEM_ERROR,
        }
    }
}

/// The time that properties ask for, in milliseconds since 1970; `None` for none, `Some(None)` for what is no time. One that
/// has waited already asks for none.
fn asked(known: &KnownProperties<'_>, now_ms: u64) -> Option<Option<i64>> {
    if known.timer_out_ms.is_some() {
        return None;
    }
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let after = |text: &str, unit_ms: i64| text.parse::<i64>().ok()?.checked_mul(unit_ms)?.checked_add(now_ms);
    if let Some(seconds) = known.timer_delay_seconds {
        return Some(after(seconds, 1000));
    }
    if let Some(ms) = known.timer_delay_ms {
        return Some(after(ms, 1));
    }
    known.timer_deliver_ms.map(|text| text.parse().ok())
}

/// When a message is to be delivered, in milliseconds since 1970; `None` for at once, as one whose time is over.
///
/// # Errors
/// When the time is not taken.
pub fn delivery_time(known: &KnownProperties<'_>, now_ms: u64, rules: TimerRules) -> Result<Option<u64>, NoTime> {
    let Some(asked) = asked(known, now_ms) else {
        return Ok(None);
    };
    if !rules.enabled {
        return Err(NoTime::NotEnabled);
    }
    let max_ms = rules.max.as_millis();
    let illegal = NoTime::Illegal { max_ms };
    let Some(at_ms) = asked else { return Err(illegal) };
    match u64::try_from(at_ms).unwrap_or(0).checked_sub(now_ms) {
        None | Some(0) if known.timer_delete_unique_key.is_some() => Err(illegal),
        None | Some(0) => Ok(None),
        Some(ahead_ms) if u128::from(ahead_ms) > max_ms => Err(illegal),
        Some(ahead_ms) => Ok(Some(now_ms + ahead_ms)),
    }
}

/// As [`delivery_time`], for a message that was taken already: however far ahead, and at once if it is no time.
#[must_use]
pub fn taken_time(known: &KnownProperties<'_>, now_ms: u64) -> Option<u64> {
    let at_ms = u64::try_from(asked(known, now_ms)??).ok()?;
    (at_ms > now_ms).then_some(at_ms)
}

/// Sets a message of `topic` and `queue_id` aside until `at_ms`. Its properties tell the time to the millisecond, however it
/// was asked for.
///
/// # Errors
/// When the topic cannot stand in properties.
pub fn until_time((topic, queue_id): (&str, u32), properties: &[u8], at_ms: u64) -> Result<Aside, PropertyError> {
    let timed = properties::with(properties, name::TIMER_DELIVER_MS, &at_ms.to_string())?;
    let timed = properties::with(&timed, name::TIMER_OUT_MS, &at_ms.saturating_sub(1).to_string())?;
    Ok(Aside {
        topic: TIMER_TOPIC,
        queue_id: 0,
        properties: with_destination(&timed, topic, queue_id)?,
    })
}

#[cfg(test)]
mod tests {
    use cuemq_storage::timer::Due;

    use super::*;
    use crate::set_aside::destination;

    const NOW_MS: u64 = 1_700_000_000_000;
    const DAY: Duration = Duration::from_secs(86_400);

    fn time(properties: &str) -> Result<Option<u64>, NoTime> {
        let rules = TimerRules {
            enabled: true,
            max: DAY,
        };
        delivery_time(&properties::known(properties.as_bytes()), NOW_MS, rules)
    }

    #[test]
    fn seconds_win_over_milliseconds_and_both_over_a_time() {
        let all = "TIMER_DELIVER_MS\x011700000000500\x02TIMER_DELAY_MS\x0130\x02TIMER_DELAY_SEC\x012\x02";
        assert_eq!(time(all), Ok(Some(NOW_MS + 2000)));
        let two = "TIMER_DELIVER_MS\x011700000000500\x02TIMER_DELAY_MS\x0130\x02";
        assert_eq!(time(two), Ok(Some(NOW_MS + 30)));
        assert_eq!(time("TIMER_DELIVER_MS\x011700000000500\x02"), Ok(Some(NOW_MS + 500)));
        assert_eq!(time("KEYS\x01k\x02"), Ok(None));
    }

    #[test]
    fn what_is_no_time_or_too_far_ahead_is_refused_in_java_s_words() {
        let far = format!("TIMER_DELIVER_MS\x01{}\x02", NOW_MS + 86_400_001);
        for illegal in [
            "TIMER_DELAY_SEC\x01soon\x02",
            "TIMER_DELAY_SEC\x019223372036854775807\x02",
            &far,
        ] {
            let error = time(illegal).unwrap_err();
            assert_eq!(error.code(), ResponseCode::MESSAGE_ILLEGAL);
            assert_eq!(
                error.to_string(),
                "timer message illegal, the delay time should not be bigger than the max delay 86400000ms; or if set del \
                 msg, the delay time should be bigger than the current time"
            );
        }
        assert_eq!(time("TIMER_DELAY_SEC\x0186400\x02"), Ok(Some(NOW_MS + 86_400_000)));
    }

    #[test]
    fn what_is_over_is_delivered_at_once_but_recalls_nothing() {
        assert_eq!(time("TIMER_DELAY_SEC\x01-5\x02"), Ok(None));
        assert_eq!(time("TIMER_DELIVER_MS\x011700000000000\x02"), Ok(None));
        assert!(time("TIMER_DELIVER_MS\x015\x02TIMER_DEL_UNIQKEY\x01T+K\x02").is_err());
        assert!(
            time("TIMER_DELAY_MS\x015\x02TIMER_DEL_UNIQKEY\x01T+K\x02")
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn what_has_waited_waits_no_second_time() {
        assert_eq!(
            time("TIMER_DELAY_SEC\x012\x02TIMER_OUT_MS\x011700000001999\x02"),
            Ok(None)
        );
    }

    #[test]
    fn where_times_are_not_taken_java_s_words_say_so() {
        let rules = TimerRules {
            enabled: false,
            ..TimerRules::default()
        };
        let refused = |text: &'static [u8]| delivery_time(&properties::known(text), NOW_MS, rules);
        let error = refused(b"TIMER_DELAY_SEC\x012\x02").unwrap_err();
        assert_eq!(error.code(), ResponseCode::SYSTEM_ERROR);
        assert_eq!(
            error.to_string(),
            "accurate timer message is not enabled, timerWheelEnable is false"
        );
        assert_eq!(refused(b"KEYS\x01k\x02"), Ok(None));
    }

    #[test]
    fn one_that_waits_says_when_it_is_due_and_where_it_goes() {
        let aside = until_time(("T", 3), b"TIMER_DELAY_SEC\x012\x02", NOW_MS + 2000).unwrap();
        assert_eq!((aside.topic, aside.queue_id), ("rmq_sys_wheel_timer", 0));
        let known = properties::known(&aside.properties);
        assert_eq!(known.timer_out_ms, Some("1700000001999"));
        assert_eq!(known.timer_delay_seconds, Some("2"), "as it was sent");
        assert_eq!(destination(&known), Some(("T", 3)));
        let due = Due {
            at_ms: NOW_MS + 2000,
            recalls: false,
        };
        assert_eq!(Due::of(&known), due);
    }
}
