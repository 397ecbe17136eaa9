//! What becomes of a half message whose end nobody has told yet.

use cuemq_net::message::properties::{self, Properties, PropertyError, name};
use cuemq_net::message::record::{Record, RecordError, RecordFields};

use crate::reappend::fields_of;

/// When a producer is asked, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a transaction may be open before its producer is asked, in milliseconds.
    pub timeout_ms: i64,
    /// How often it is asked before the transaction is given up.
    pub check_max: u32,
}

/// How long an immune half message stays where it is, in milliseconds. Until it is done or moved, the notes of all ends behind
/// it are kept in memory, and its file of the log on the disk. (Java writes it again in each round.)
const MOVED_AFTER_MS: i64 = 600_000;

/// What becomes of a half message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// Its producer still has time, and so have those of all that were stored later.
    Young,
    /// Its producer has asked for more time than others.
    Immune,
    /// As `Immune`, and it has lain where it is for long: it is written again, so that what lies behind it need not wait.
    Moved,
    /// Its producer is asked for this time, from 1 on.
    Asked(u32),
    /// It is given up.
    GivenUp,
}

/// What becomes of a half message that is open at `now_ms`, in milliseconds since 1970.
#[must_use]
pub(super) fn check(half: &Record<'_>, now_ms: i64, rules: Rules) -> Checked {
    let properties = Properties::new(half.properties());
    let times = properties.get(name::TRANSACTION_CHECK_TIMES);
    let times: u32 = times.and_then(|times| times.parse().ok()).unwrap_or(0);
    if times >= rules.check_max {
        return Checked::GivenUp;
    }
    let age_ms = now_ms.saturating_sub(half.born_timestamp_ms());
    // The producer's clock may be ahead: what it sent just now is young by ours.
    let stored_ms = now_ms.saturating_sub(half.store_timestamp_ms());
    match properties.get(name::CHECK_IMMUNITY_SECONDS) {
        Some(seconds) if age_ms < immunity_ms(seconds, rules) && stored_ms < MOVED_AFTER_MS => Checked::Immune,
        Some(seconds) if age_ms < immunity_ms(seconds, rules) => Checked::Moved,
        None if stored_ms < rules.timeout_ms => Checked::Young,
        _ => Checked::Asked(times + 1),
    }
}

fn immunity_ms(seconds: &str, rules: Rules) -> i64 {
    match seconds.parse::<i64>() {
        Ok(-1) | Err(_) => rules.timeout_ms,
        Ok(seconds) => seconds.saturating_mul(1000),
    }
}

/// Why a half message cannot be written again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unwritable {
    /// Its properties cannot be changed.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// It is no record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Calls `with` with the record of a half message whose producer is asked for the `times`th time.
///
/// # Errors
/// When it cannot be written.
pub(super) fn asked_again<R>(
    half: &Record<'_>,
    times: u32,
    with: impl FnOnce(&RecordFields<'_>) -> R,
) -> Result<R, Unwritable> {
    let properties = properties::with(half.properties(), name::TRANSACTION_CHECK_TIMES, &times.to_string())?;
    Ok(with(&RecordFields {
        properties: &properties,
        ..fields_of(half)?
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set_aside::HALF_TOPIC;
    use crate::testing::records::{message, stored};

    const RULES: Rules = Rules {
        timeout_ms: 6_000,
        check_max: 15,
    };

    /// What becomes of a half message with these properties that was born and stored at 100,000.
    fn checked(properties: &[u8], now_ms: i64) -> Checked {
        let fields = RecordFields {
            born_timestamp_ms: 100_000,
            ..message(HALF_TOPIC, properties)
        };
        let half = stored(&fields, (3, 4096, 100_000));
        check(&Record::parse(&half).unwrap(), now_ms, RULES)
    }

    #[test]
    fn a_producer_is_asked_when_its_time_is_over_and_not_before() {
        assert_eq!(checked(b"", 105_999), Checked::Young);
        assert_eq!(checked(b"", 106_000), Checked::Asked(1));
        assert_eq!(checked(b"TRANSACTION_CHECK_TIMES\x014\x02", 106_000), Checked::Asked(5));
    }

    #[test]
    fn a_transaction_is_given_up_after_the_last_question() {
        assert_eq!(
            checked(b"TRANSACTION_CHECK_TIMES\x0114\x02", 106_000),
            Checked::Asked(15)
        );
        assert_eq!(checked(b"TRANSACTION_CHECK_TIMES\x0115\x02", 106_000), Checked::GivenUp);
    }

    #[test]
    fn immunity_is_the_senders_own_and_what_is_no_number_the_usual_time() {
        let immune = |value: &str, now_ms| {
            let properties = format!("CHECK_IMMUNITY_TIME_IN_SECONDS\x01{value}\x02");
            checked(properties.as_bytes(), now_ms)
        };
        assert_eq!(immune("60", 159_999), Checked::Immune);
        assert_eq!(immune("60", 160_000), Checked::Asked(1));
        assert_eq!(immune("9999", 699_999), Checked::Immune);
        assert_eq!(immune("9999", 700_000), Checked::Moved, "ten minutes in one place");
        assert_eq!(immune("1", 101_000), Checked::Asked(1), "also a shorter one");
        assert_eq!(immune("-1", 105_999), Checked::Immune);
        assert_eq!(immune("soon", 106_000), Checked::Asked(1));
    }
}
