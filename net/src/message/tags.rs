//! The hashes of tags and keys, which consume queues and index files hold in place of the text.
//!
//! All are Java's string hash: `h = 31 * h + unit` over the UTF-16 code units, wrapping in 32 bits.
//!
//! | file | value |
//! |---|---|
//! | consume queue | the hash of the TAGS property, sign-extended to 64 bits; 0 without tags |
//! | index | the absolute value of the hash of `topic#key`; 0 for the one value that has none |

/// Returns Java's hash of a string.
pub fn java_hash(text: &str) -> i32 {
    extend(0, text)
}

/// Returns the tags code of a consume queue entry for the value of a TAGS property.
pub fn tags_code(tags: &str) -> i64 {
    i64::from(java_hash(tags))
}

/// Returns the key hash of an index entry, never negative.
pub fn index_hash(topic: &str, key: &str) -> i32 {
    extend(extend(extend(0, topic), "#"), key).checked_abs().unwrap_or(0)
}

/// Continues a hash with more text.
fn extend(hash: i32, text: &str) -> i32 {
    if text.is_ascii() {
        extend_ascii(hash, text.as_bytes())
    } else {
        text.encode_utf16().fold(hash, |hash, unit| step(hash, unit.into()))
    }
}

/// Takes four bytes at a time: only one of the four multiplications then waits for the previous round.
fn extend_ascii(hash: i32, bytes: &[u8]) -> i32 {
    let (fours, rest) = bytes.as_chunks::<4>();
    let hash = fours.iter().fold(hash, |hash, &[a, b, c, d]| {
        let sum = i32::from(a) * (31 * 31 * 31) + i32::from(b) * (31 * 31) + i32::from(c) * 31 + i32::from(d);
        hash.wrapping_mul(31 * 31 * 31 * 31).wrapping_add(sum)
    });
    rest.iter().fold(hash, |hash, byte| step(hash, (*byte).into()))
}

fn step(hash: i32, unit: i32) -> i32 {
    hash.wrapping_mul(31).wrapping_add(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hashes_are_those_of_java() {
        for (text, hash) in [
            ("", 0),
            ("a", 97),
            ("TagA", 2_598_919),
            ("hello", 99_162_322),
            // wraps below zero
            ("polygenelubricants", i32::MIN),
            // one unit each
            ("ü", 252),
            ("中文", 646_394),
            // two units, 0xD83D and 0xDE00
            ("😀", 1_772_899),
        ] {
            assert_eq!(java_hash(text), hash, "{text}");
        }
    }

    #[test]
    fn a_tags_code_keeps_the_sign() {
        assert_eq!(tags_code("polygenelubricants"), i64::from(i32::MIN));
        assert_eq!(tags_code("TagA"), 2_598_919);
    }

    #[test]
    fn an_index_hash_is_never_negative() {
        assert_eq!(index_hash("", ""), 35);
        // "T#ajvakuzm" hashes to the one value without an absolute value
        assert_eq!(java_hash("T#ajvakuzm"), i32::MIN);
        assert_eq!(index_hash("T", "ajvakuzm"), 0);
    }

    proptest! {
        #[test]
        fn every_hash_equals_the_plain_rule(topic in any::<String>(), key in "[ -~]{0,40}") {
            let plain = |text: &str| text.encode_utf16().fold(0_i32, |hash, unit| step(hash, unit.into()));
            prop_assert_eq!(java_hash(&topic), plain(&topic));
            prop_assert_eq!(java_hash(&key), plain(&key));
            let joined = plain(&format!("{topic}#{key}"));
            prop_assert_eq!(index_hash(&topic, &key), if joined == i32::MIN { 0 } else { joined.abs() });
        }
    }
}
