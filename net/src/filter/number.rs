//! Numbers as Java reads and prints them (`Integer.valueOf`, `Long.valueOf`, `Double.valueOf`, `Double.toString`).

/// Reads a 32-bit integer: digits, perhaps with a sign in front, and nothing else.
pub(super) fn integer(text: &str) -> Option<i32> {
    long(text).and_then(|long| i32::try_from(long).ok())
}

/// Reads a 64-bit integer, likewise.
pub(super) fn long(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    // Downwards, where there is one more.
    let value = digits.chars().try_fold(0_i64, |value, character| {
        let digit = digit(character)?;
        value.checked_mul(10)?.checked_sub(digit)
    })?;
    if is_negative { Some(value) } else { value.checked_neg() }
}

/// Where the digits of other scripts begin that Java takes for digits, as far as one UTF-16 unit holds them.
const ZEROS: [u32; 36] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];

fn digit(character: char) -> Option<i64> {
    if let Some(digit) = character.to_digit(10) {
        return Some(digit.into());
    }
    let code = u32::from(character);
    let zero = ZEROS.iter().rev().find(|zero| **zero <= code)?;
    Some(i64::from(code - zero)).filter(|digit| *digit < 10)
}

/// Reads a double: `-1.5`, `.5`, `5.`, `1e3`, `NaN`, `Infinity`, `0x1.8p3`, with blanks around it and with an `f` or a
/// `d` behind it.
pub(super) fn double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|character| character <= ' ');
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1.0, text.get(1..)?),
        b'+' => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    let magnitude = match unsigned {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        _ => match unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
            Some(hexadecimal) => self::hexadecimal(without_suffix(hexadecimal))?,
            None => decimal(without_suffix(unsigned))?,
        },
    };
    Some(sign * magnitude)
}

fn without_suffix(text: &str) -> &str {
    text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text)
}

fn decimal(text: &str) -> Option<f64> {
    // Rust reads words as well, and takes an underscore nowhere; the rest is the same.
    let is_numeric = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    let begins = text
        .as_bytes()
        .first()
        .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    if begins && text.bytes().all(is_numeric) {
        text.parse().ok()
    } else {
        None
    }
}

/// Reads `1.8p3`, which is 1.5 · 2³: hexadecimal digits, and an exponent of two.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once(['p', 'P'])?;
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent
        .parse::<i32>()
        .unwrap_or(if exponent.starts_with('-') { i32::MIN } else { i32::MAX });
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // The first 15 digits behind the zeros, and a bit that says whether something follows.
    let (mut mantissa, mut scale, mut is_more) = (0_u64, 0_i64, false);
    for (place, character) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = character.to_digit(16)?;
        scale -= if place >= whole.len() { 4 } else { 0 };
        if mantissa >> 56 == 0 {
            mantissa = mantissa << 4 | u64::from(digit);
        } else {
            scale += 4;
            is_more |= digit != 0;
        }
    }
    Some(scaled(
        mantissa << 1 | u64::from(is_more),
        scale - 1 + i64::from(exponent),
    ))
}

/// `mantissa` · 2^`exponent`, rounded once, a tie to the even one.
fn scaled(mantissa: u64, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let bits = i64::from(64 - mantissa.leading_zeros());
    let top = bits + exponent;
    if top > 1024 {
        return f64::INFINITY;
    }
    // How many of the low bits a double has no room for: fewer of them are left below the smallest normal one.
    let room = (top + 1074).clamp(0, 53);
    let excess = bits - room;
    if excess <= 0 {
        return mantissa as f64 * power_of_two(exponent);
    }
    let kept = mantissa.checked_shr(excess as u32).unwrap_or(0);
    let rest = mantissa - kept.checked_shl(excess as u32).unwrap_or(0);
    let half = 1_u64.checked_shl(excess as u32 - 1).unwrap_or(u64::MAX);
    let up = rest > half || (rest == half && kept & 1 == 1);
    (kept + u64::from(up)) as f64 * power_of_two(exponent + excess)
}

/// 2^`exponent`, from −1074 to 1023; beyond that in two steps, since no double is so large or so small.
fn power_of_two(exponent: i64) -> f64 {
    match exponent {
        1024.. => f64::INFINITY,
        -1022..=1023 => f64::from_bits(((exponent + 1023) as u64) << 52),
        -1074..=-1023 => f64::from_bits(1 << (exponent + 1074)),
        _ => 0.0,
    }
}

/// Prints a double: the shortest digits that mean it, with an exponent below a thousandth and from ten million on.
pub(super) fn print(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        let plain = value.to_string();
        return if plain.contains('.') {
            plain
        } else {
            format!("{plain}.0")
        };
    }
    let scientific = format!("{value:E}");
    match scientific.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_a_sign_at_most_and_no_blanks() {
        assert_eq!(integer("+5"), Some(5));
        assert_eq!(integer("-0"), Some(0));
        assert_eq!(integer("\u{0665}\u{FF10}"), Some(50));
        for wrong in ["", "+", "-", "5 ", " 5", "5.0", "5L", "--5", "2147483648", "\u{1D7CF}"] {
            assert_eq!(integer(wrong), None, "{wrong:?}");
        }
        assert_eq!(integer("-2147483648"), Some(i32::MIN));
        assert_eq!(long("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(long("9223372036854775808"), None);
    }

    #[test]
    fn doubles_are_read_as_javas() {
        for (text, value) in [
            (" 5 ", 5.0),
            ("5.", 5.0),
            (".5f", 0.5),
            ("-1e3D", -1000.0),
            ("+Infinity", f64::INFINITY),
            ("1e999", f64::INFINITY),
            ("0x1.8p1", 3.0),
            ("0X.8P0", 0.5),
            ("-0x10p0f", -16.0),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.8p-1075", 5e-324),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1.fffffffffffff7fffffffp0", 1.9999999999999998),
            ("0x1p1023", 8.98846567431158e307),
            ("0x1p1024", f64::INFINITY),
            ("0x0p99999999999", 0.0),
            ("0x1p-99999999999", 0.0),
        ] {
            assert_eq!(double(text), Some(value), "{text}");
        }
        assert!(double("NaN").is_some_and(f64::is_nan));
        for wrong in [
            "", " ", ".", "+", "e5", "1e", "1_0", "inf", "nan", "infinity", "--1", "+-1", "0x1", "0xp1", "0x1p", "5fd",
            "1 2",
        ] {
            assert_eq!(double(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn doubles_are_printed_as_javas() {
        for (value, text) in [
            (5.0, "5.0"),
            (0.001, "0.001"),
            (0.0009, "9.0E-4"),
            (9999999.5, "9999999.5"),
            (1e7, "1.0E7"),
            (1.5e300, "1.5E300"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(print(value), text);
        }
    }
}
