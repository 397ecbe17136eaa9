//! [`ByteSize`]: sizes as people write them, `256 MiB` or `6000000`.
//!
//! | unit | bytes |
//! |---|---|
//! | none, B | 1 |
//! | KiB, MiB, GiB, TiB | 1024, 1024², 1024³, 1024⁴ |
//! | kB, MB, GB, TB | 1000, 1000², 1000³, 1000⁴ |

use std::fmt;
use std::str::FromStr;

/// The units, the largest that prints first.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
/// How many of [`UNITS`] a size is printed in.
const PRINTED: usize = 4;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A text that is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no size: write a number of bytes, or a number and a unit such as 64 KiB, 256 MiB or 1 GiB")]
pub struct SizeError;

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| SizeError)?;
        let unit = match unit.trim_start() {
            "" => "B",
            unit => unit,
        };
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .ok_or(SizeError)?;
        number.checked_mul(*factor).map(Self).ok_or(SizeError)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        match UNITS.iter().take(PRINTED).find(whole) {
            Some((name, factor)) => write!(f, "{} {name}", self.0 / factor),
            None => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_size_is_a_number_with_or_without_a_unit() {
        let sizes = [
            ("0", 0),
            ("6000000", 6_000_000),
            ("20 B", 20),
            ("64KiB", 65_536),
            ("256 MiB", 268_435_456),
            ("1 gib", 1 << 30),
            ("2 TiB", 2 << 40),
            ("5 kB", 5_000),
            ("3MB", 3_000_000),
            ("1GB", 1_000_000_000),
        ];
        for (text, bytes) in sizes {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn what_has_no_number_a_strange_unit_or_too_many_bytes_is_no_size() {
        for text in [
            "",
            "MiB",
            "-1",
            "1.5 GiB",
            "1 M",
            "1 KiB extra",
            "99999999999999999999",
            "99999999 TiB",
        ] {
            assert_eq!(text.parse::<ByteSize>(), Err(SizeError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_size_reads_as_itself(bytes: u64) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }

        #[test]
        fn any_text_is_a_size_or_an_error(text: String) {
            let _ = text.parse::<ByteSize>();
        }
    }
}
