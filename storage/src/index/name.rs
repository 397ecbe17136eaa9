//! The names of index files: a time as `yyyyMMddHHmmssSSS`, read as one number of 17 digits.

/// The first number of 18 digits.
const BOUND: u64 = 100_000_000_000_000_000;

/// The name for a file whose first record was stored at `store_ms` (milliseconds since 1970, told in UTC), above `last`.
pub(super) fn above(last: Option<u64>, store_ms: i64) -> u64 {
    let time = digits(store_ms.clamp(0, 253_402_300_799_999));
    last.map_or(time, |last| time.max(last + 1)).min(BOUND - 1)
}

/// The number that a file's name of 17 digits says; `None` for other names.
pub(super) fn parse(name: &str) -> Option<u64> {
    let is_plain = name.len() == 17 && name.bytes().all(|digit| digit.is_ascii_digit());
    is_plain.then(|| name.parse().ok())?
}

/// A time of the years 1970 to 9999 as a number of 17 digits.
fn digits(ms: i64) -> u64 {
    let ms = ms.unsigned_abs();
    let (mut days, in_day) = (ms / 86_400_000, ms % 86_400_000);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    loop {
        let length = 365 + u64::from(is_leap(year));
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    let date = year * 10_000 + month * 100 + days + 1;
    (((date * 100 + hour) * 100 + minute) * 100 + second) * 1000 + in_day % 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_utc() {
        assert_eq!(digits(0), 19_700_101_000_000_000);
        assert_eq!(digits(951_782_400_000), 20_000_229_000_000_000);
        assert_eq!(digits(1_735_689_599_999), 20_241_231_235_959_999);
        assert_eq!(digits(1_709_251_200_001), 20_240_301_000_000_001);
    }

    #[test]
    fn a_name_never_falls_behind_the_last() {
        assert_eq!(above(None, 0), 19_700_101_000_000_000);
        assert_eq!(above(Some(20_241_231_235_959_999), 5), 20_241_231_235_960_000);
        assert_eq!(above(Some(5), i64::MIN), 19_700_101_000_000_000);
        assert_eq!(above(Some(BOUND - 1), i64::MAX), BOUND - 1);
    }

    #[test]
    fn only_seventeen_digits_are_a_name() {
        assert_eq!(parse("20241231235959999"), Some(20_241_231_235_959_999));
        for other in [
            "2024123123595999",
            "202412312359599990",
            "+0241231235959999",
            "2024123123595999x",
            "",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
