//! Java's properties text, the form of a broker.conf (`java.util.Properties.load`).
//!
//! A line is `key=value`, `key:value` or `key value`, with blanks around; `#` or `!` begins a comment; a backslash at
//! the end goes on in the next line. `\t`, `\n`, `\r`, `\f` and `\uXXXX` are what they are in Java, any other escaped
//! letter is itself. Unlike Java, blanks at the end of a value are dropped: nobody means them.

use std::str::Chars;

/// One `key=value`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line it begins on, from 1.
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// A line that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// The line, from 1.
    pub(super) line: usize,
    /// What is wrong, and what to write.
    pub(super) reason: &'static str,
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

/// Reads all entries in their order; a key may come twice.
///
/// # Errors
/// At the first malformed `\u` escape.
pub(super) fn read(text: &str) -> Result<Vec<Entry>, Malformed> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n').zip(1..);
    let mut entries = Vec::new();
    while let Some((first, line)) = lines.next() {
        let first = first.trim_start_matches(BLANKS);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while goes_on(&logical) {
            logical.pop();
            match lines.next() {
                Some((next, _)) => logical.push_str(next.trim_start_matches(BLANKS)),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        let unescape = |part| unescaped(part).map_err(|reason| Malformed { line, reason });
        let (key, value) = (unescape(key)?, unescape(value.trim_end_matches(BLANKS))?);
        entries.push(Entry { line, key, value });
    }
    Ok(entries)
}

/// Whether the last backslash is not itself escaped.
fn goes_on(line: &str) -> bool {
    line.chars().rev().take_while(|&c| c == '\\').count() % 2 == 1
}

/// Key and value, still escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c| {
        let is_end = !escaped && (c == '=' || c == ':' || BLANKS.contains(&c));
        escaped = !escaped && c == '\\';
        is_end
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(BLANKS))
}

/// Java's text is UTF-16, and so are its escapes: a letter beyond the first plane takes two of them.
fn unescaped(part: &str) -> Result<String, &'static str> {
    let mut units = Vec::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        let letter = if c == '\\' { chars.next() } else { Some(c) };
        match (c, letter) {
            ('\\', Some('u')) => units.push(code_unit(&mut chars)?),
            ('\\', Some('t')) => units.push(u16::from(b'\t')),
            ('\\', Some('n')) => units.push(u16::from(b'\n')),
            ('\\', Some('r')) => units.push(u16::from(b'\r')),
            ('\\', Some('f')) => units.push(0xc),
            (_, Some(letter)) => units.extend_from_slice(letter.encode_utf16(&mut [0; 2])),
            (_, None) => {}
        }
    }
    String::from_utf16(&units).map_err(|_| "half of a two-part \\u letter: write both halves, or the letter itself")
}

fn code_unit(chars: &mut Chars<'_>) -> Result<u16, &'static str> {
    let hex: String = chars.take(4).collect();
    let is_hex = hex.len() == 4 && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    let unit = is_hex.then(|| u16::from_str_radix(&hex, 16).ok()).flatten();
    unit.ok_or("\\u begins a letter by its number: write four hexadecimal digits after it, or \\\\ for a backslash")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        read(text)
            .unwrap()
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{text:?}: {all:?}");
        all.remove(0)
    }

    #[test]
    fn key_and_value_are_parted_by_equals_colon_or_blank() {
        for line in ["a=b", "a:b", "a b", " a = b ", "\ta\t:\tb", "a\u{c}b", "a =b", "a= b\t"] {
            assert_eq!(one(line), ("a".into(), "b".into()), "{line:?}");
        }
        assert_eq!(one("a==b"), ("a".into(), "=b".into()));
        assert_eq!(one("a"), ("a".into(), String::new()));
        assert_eq!(one("namesrvAddr=h:1;i:2"), ("namesrvAddr".into(), "h:1;i:2".into()));
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        assert_eq!(pairs("# a=b\n  ! c=d\n\n \t\n"), []);
        assert_eq!(one("a=b # no comment"), ("a".into(), "b # no comment".into()));
        assert_eq!(pairs("# a comment does not go on \\\na=b"), [("a".into(), "b".into())]);
    }

    #[test]
    fn a_backslash_at_the_end_goes_on_in_the_next_line() {
        assert_eq!(one("a=b,\\\n   c,\\\r\n\td"), ("a".into(), "b,c,d".into()));
        assert_eq!(one("a=b\\\n# no comment"), ("a".into(), "b# no comment".into()));
        assert_eq!(one("a=b\\"), ("a".into(), "b".into()));
        assert_eq!(pairs("a=b\\\\\nc=d").len(), 2);
    }

    #[test]
    fn escapes_are_javas() {
        assert_eq!(one(r"a\=\:\ b=c\td\\e\qf"), ("a=: b".into(), "c\td\\eqf".into()));
        assert_eq!(one(r"a=\u0041\u00e9\ud83d\ude00"), ("a".into(), "Aé😀".into()));
    }

    #[test]
    fn a_malformed_letter_number_is_an_error_with_its_line() {
        for text in [r"a=\u12", r"a=\u+123", r"a=\u00g0", r"a=\ud83d", r"a=\u12é4"] {
            assert_eq!(read(&format!("x=y\n\n{text}")).unwrap_err().line, 3, "{text}");
        }
    }

    #[test]
    fn an_entry_has_the_line_it_begins_on() {
        let lines: Vec<usize> = read("a=b\rc=d\\\n  e\r\nf=g")
            .unwrap()
            .iter()
            .map(|entry| entry.line)
            .collect();
        assert_eq!(lines, [1, 2, 4]);
    }

    fn escape(text: &str) -> String {
        let units = text.encode_utf16();
        units.map(|unit| format!("\\u{unit:04x}")).collect()
    }

    proptest! {
        #[test]
        fn what_was_escaped_reads_as_itself(key in ".+", value: String) {
            let text = format!("{} = {}", escape(&key), escape(&value));
            prop_assert_eq!(one(&text), (key, value));
        }

        #[test]
        fn any_text_is_entries_or_an_error(text in "[a=: \\\\u0-9\n\r#é]*") {
            let _ = read(&text);
        }
    }
}
