//! Where in an expression something stands, as Java's character stream counts lines and columns, and how its messages
//! print a part of one.

/// A place; the first character has line 1 and column 1. Columns count UTF-16 units, and a tab goes on to the next eighth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    /// The place of the character at `at`, or of its first unit.
    pub(super) fn of_first(text: &str, at: usize) -> Self {
        let rest = text.get(at..).unwrap_or_default().chars();
        let upto = at + rest.clone().next().map_or(0, char::len_utf8);
        let place = Self::of_last(text.get(..upto).unwrap_or_default());
        let second = rest.clone().next().is_some_and(|first| first.len_utf16() == 2);
        Self {
            column: place.column - u32::from(second),
            ..place
        }
    }

    /// The place of a text's last unit; 0 and 0 when there is none.
    pub(super) fn of_last(text: &str) -> Self {
        if text.is_empty() {
            return Self { line: 0, column: 0 };
        }
        let (mut line, mut column, mut before) = (1, 0, ' ');
        for character in text.chars() {
            if before == '\n' || (before == '\r' && character != '\n') {
                (line, column) = (line + 1, 0);
            }
            column += match character {
                '\t' => 8 - column % 8,
                _ => character.len_utf16() as u32,
            };
            before = character;
        }
        Self { line, column }
    }

    /// The place behind a text.
    pub(super) fn behind(text: &str) -> Self {
        let Self { line, column } = Self::of_last(text);
        if text.ends_with(['\n', '\r']) {
            return Self {
                line: line + 1,
                column: 0,
            };
        }
        Self {
            line,
            column: column + 1,
        }
    }
}

/// UTF-16 as JavaCC's messages print it: a NUL vanishes, and what is not ASCII stands as `\u` and four digits.
pub(super) fn escaped(units: impl IntoIterator<Item = u16>) -> String {
    let mut out = String::new();
    for unit in units {
        match u8::try_from(unit) {
            Ok(0) => {}
            Ok(0x08) => out.push_str("\\b"),
            Ok(b'\t') => out.push_str("\\t"),
            Ok(b'\n') => out.push_str("\\n"),
            Ok(0x0C) => out.push_str("\\f"),
            Ok(b'\r') => out.push_str("\\r"),
            Ok(sign @ (b'"' | b'\'' | b'\\')) => out.extend(['\\', char::from(sign)]),
            Ok(plain @ 0x20..=0x7E) => out.push(char::from(plain)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> (u32, u32) {
        let Place { line, column } = Place::of_last(text);
        (line, column)
    }

    #[test]
    fn lines_end_with_a_line_feed_a_carriage_return_or_both() {
        assert_eq!(place("ab"), (1, 2));
        assert_eq!(place("ab\n"), (1, 3));
        assert_eq!(place("ab\nc"), (2, 1));
        assert_eq!(place("ab\r\nc"), (2, 1));
        assert_eq!(place("ab\rc"), (2, 1));
        assert_eq!(place("ab\n\nc"), (3, 1));
        assert_eq!(place(""), (0, 0));
    }

    #[test]
    fn a_tab_ends_an_eighth() {
        assert_eq!(place("\t"), (1, 8));
        assert_eq!(place("a\t"), (1, 8));
        assert_eq!(place("12345678\t"), (1, 16));
        assert_eq!(place("a\tb"), (1, 9));
    }

    #[test]
    fn what_is_not_ascii_is_escaped_by_units() {
        let text = "a'\"\\\u{e9}\u{1F600}\0\u{7F}";
        assert_eq!(escaped(text.encode_utf16()), "a\\'\\\"\\\\\\u00e9\\ud83d\\ude00\\u007f");
    }
}
