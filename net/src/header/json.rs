//! The JSON header, read by a scanner that knows its shape.
//!
//! `{"code":11,"extFields":{"topic":"T"},"flag":0,"language":"JAVA","opaque":7,"remark":"…","version":273}`
//!
//! Keys may come in any order; unknown ones are skipped whatever their value is. As Java's readers do, it takes numbers
//! in quotes, takes a missing or null number for 0, keeps the text of a field that is no string, and drops null fields.
//! A remark without escapes is a slice of the header; another one, and all fields, are unescaped into the scratch.
//! Whatever serde_json accepts of this shape is read to the same meaning (a property test compares the two).
//!
//! The scanner's methods return `Option` and leave what went wrong in `fault`: that way strings come back in registers,
//! which saves an eighth of the time that a header takes.

mod string;

use super::field::FieldValue;
use super::room::{KEY_BYTES_MAX, Room, Unfit};
use super::{FieldTable, HeaderError, HeaderView, MAX_DEPTH, MAX_FIELDS};
use crate::language::Language;

/// Reads a JSON header; `room` must be as long as [`Room::for_json`] says.
pub(super) fn parse<'a>(text: &'a [u8], room: &'a mut [u8]) -> Result<HeaderView<'a>, HeaderError> {
    let mut view = HeaderView::default();
    let mut scanner = Scanner {
        text,
        at: 0,
        room,
        fault: HeaderError::Trailing { extra: 0 },
    };
    match scanner.header(&mut view) {
        Some(()) => Ok(view),
        None => Err(scanner.fault),
    }
}

/// Java's reader takes an enum's name or its number.
fn language(text: &[u8]) -> Option<Language> {
    let text = std::str::from_utf8(text).ok()?;
    Language::from_name(text).or_else(|| Language::from_number(text.parse().ok()?))
}

/// A position in the header, and the room for unescaped text that is left.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    room: &'a mut [u8],
    /// Means something once a method has returned `None`.
    fault: HeaderError,
}

impl<'a> Scanner<'a> {
    fn header(&mut self, view: &mut HeaderView<'a>) -> Option<()> {
        self.space();
        self.byte(b'{', "an object")?;
        let mut first = true;
        while self.more(&mut first, b'}')? {
            match self.key()? {
                b"code" => view.code = self.number("code")?,
                b"extFields" => view.fields = self.fields()?,
                b"flag" => view.flag = self.number("flag")?,
                b"language" => view.language = if self.null()? { None } else { language(self.value()?) },
                b"opaque" => view.opaque = self.number("opaque")?,
                b"remark" => view.remark = self.remark()?,
                b"version" => view.version = self.number("version")?,
                _ => self.skip(1)?,
            }
        }
        self.space();
        match self.text.len() - self.at {
            0 => Some(()),
            extra => self.refuse(HeaderError::Trailing { extra }),
        }
    }

    /// Reads the object of extension fields.
    fn fields(&mut self) -> Option<FieldTable<'a>> {
        if self.null()? {
            return Some(FieldTable::default());
        }
        self.byte(b'{', "an object or null")?;
        let mut table = Room::new(std::mem::take(&mut self.room));
        let mut count = 0;
        let mut first = true;
        while self.more(&mut first, b'}')? {
            if count >= MAX_FIELDS {
                return self.refuse(HeaderError::TooManyFields { limit: MAX_FIELDS });
            }
            let start = table.used();
            self.field_key(&mut table)?;
            self.colon()?;
            if self.null()? {
                count = table.forget(start);
                continue;
            }
            self.field_value(&mut table)?;
            count += 1;
        }
        let (table, room) = table.split();
        self.room = room;
        Some(FieldTable::of_bytes(table))
    }

    #[inline]
    fn field_key(&mut self, table: &mut Room<'_>) -> Option<()> {
        let start = table.used();
        self.fits(table.push(&[0; 2]))?;
        self.unescape(table)?;
        self.fits(table.end_key(start))
    }

    #[inline]
    fn field_value(&mut self, table: &mut Room<'_>) -> Option<()> {
        let start = table.used();
        self.fits(table.push(&[0; 4]))?;
        if self.peek() == Some(b'"') {
            self.unescape(table)?;
        } else {
            let text = self.at;
            self.skip(2)?;
            let text = self.since(text);
            self.fits(table.push(text))?;
        }
        self.fits(table.end_value(start))
    }

    #[inline]
    fn fits(&mut self, pushed: Result<(), Unfit>) -> Option<()> {
        match pushed {
            Ok(()) => Some(()),
            Err(Unfit::Full) => self.fail("text no longer than the header"),
            Err(Unfit::Key) => self.refuse(HeaderError::KeyTooLong { limit: KEY_BYTES_MAX }),
        }
    }

    #[cold]
    fn refuse<T>(&mut self, error: HeaderError) -> Option<T> {
        self.fault = error;
        None
    }

    #[cold]
    fn fail<T>(&mut self, expected: &'static str) -> Option<T> {
        self.refuse(HeaderError::Syntax { at: self.at, expected })
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The text from `start` to here.
    #[inline]
    fn since(&self, start: usize) -> &'a [u8] {
        self.text.get(start..self.at).unwrap_or_default()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8, expected: &'static str) -> Option<()> {
        if self.peek() != Some(byte) {
            return self.fail(expected);
        }
        self.at += 1;
        Some(())
    }

    /// Goes to the next element of an object or array, or past its end.
    #[inline]
    fn more(&mut self, first: &mut bool, close: u8) -> Option<bool> {
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Some(false);
        }
        if !std::mem::replace(first, false) {
            self.byte(b',', "a comma or the end")?;
            self.space();
        }
        Some(true)
    }

    /// Reads a key and goes to its value.
    #[inline]
    fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.string()?;
        self.colon()?;
        Some(key)
    }

    #[inline]
    fn colon(&mut self) -> Option<()> {
        self.space();
        self.byte(b':', "a colon")?;
        self.space();
        Some(())
    }

    /// Passes over a null, if there is one.
    #[inline]
    fn null(&mut self) -> Option<bool> {
        if self.peek() != Some(b'n') {
            return Some(false);
        }
        self.literal("null")?;
        Some(true)
    }

    /// Reads a value as text: a string's content, the JSON itself for anything else.
    #[inline]
    fn value(&mut self) -> Option<&'a [u8]> {
        if self.peek() == Some(b'"') {
            return self.string();
        }
        let start = self.at;
        self.skip(2)?;
        Some(self.since(start))
    }

    fn remark(&mut self) -> Option<Option<&'a str>> {
        if self.null()? {
            return Some(None);
        }
        match super::text(self.value()?) {
            Ok(text) => Some(Some(text)),
            Err(error) => self.refuse(error),
        }
    }

    fn number(&mut self, member: &'static str) -> Option<i32> {
        if self.null()? {
            return Some(0);
        }
        match i32::read(self.value()?) {
            Some(number) => Some(number),
            None => self.refuse(HeaderError::NotANumber { member }),
        }
    }

    /// Passes over any value; `depth` objects and arrays are open around it.
    fn skip(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return self.refuse(HeaderError::TooDeep { limit: MAX_DEPTH });
        }
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'{') => self.skip_elements(depth, b'}'),
            Some(b'[') => self.skip_elements(depth, b']'),
            Some(b'-' | b'0'..=b'9') => {
                while let Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') = self.peek() {
                    self.at += 1;
                }
                Some(())
            }
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.fail("a value"),
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        self.byte(b'"', "a string")?;
        while self.string_end()? == b'\\' {
            self.at += 1;
            self.escaped()?;
        }
        self.at += 1;
        Some(())
    }

    /// Passes over an object or array, at whose opening bracket it stands.
    fn skip_elements(&mut self, depth: usize, close: u8) -> Option<()> {
        self.at += 1;
        let mut first = true;
        while self.more(&mut first, close)? {
            if close == b'}' {
                self.skip_string()?;
                self.colon()?;
            }
            self.skip(depth + 1)?;
        }
        Some(())
    }

    fn literal(&mut self, word: &'static str) -> Option<()> {
        if !self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()))
        {
            return self.fail(word);
        }
        self.at += word.len();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(text: &str, look: impl FnOnce(Result<HeaderView<'_>, HeaderError>) -> T) -> T {
        let mut room = vec![0; Room::for_json(text.len())];
        look(parse(text.as_bytes(), &mut room))
    }

    fn fields<'a>(view: &HeaderView<'a>) -> Vec<(&'a str, &'a str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        view.fields
            .iter()
            .map(|(key, value)| (text(key), text(value)))
            .collect()
    }

    fn fails(text: &str) -> HeaderError {
        with(text, |view| view.map(|_| ()).unwrap_err())
    }

    #[test]
    fn a_java_request_is_read() {
        let text = r#"{"code":105,"extFields":{"topic":"T"},"flag":0,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":273}"#;
        with(text, |view| {
            let view = view.unwrap();
            assert_eq!((view.code, view.flag, view.opaque, view.version), (105, 0, 7, 273));
            assert_eq!((view.language, view.remark), (Some(Language::Java), None));
            assert_eq!(fields(&view), [("topic", "T")]);
        });
    }

    #[test]
    fn what_java_tolerates_is_tolerated() {
        let text = r#" { "opaque" : "8" , "x" : [ {"y":[1,-2.5e3,true,null,"\\\""]} , [] ] , "language" : 1, "version":null,
            "extFields" : { "n" : 12 , "b" : true , "gone" : null , "o" : {"k": [1]} } , "remark" : null } "#;
        with(text, |view| {
            let view = view.unwrap();
            assert_eq!((view.code, view.opaque, view.version, view.remark), (0, 8, 0, None));
            assert_eq!(view.language, Some(Language::Cpp));
            assert_eq!(fields(&view), [("n", "12"), ("b", "true"), ("o", r#"{"k": [1]}"#)]);
        });
        with(r#"{"extFields":null,"language":"COBOL"}"#, |view| {
            let view = view.unwrap();
            assert_eq!((fields(&view).len(), view.language), (0, None));
        });
    }

    #[test]
    fn escapes_are_undone() {
        let text = r#"{"remark":"a\u0001b\u0002\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00é","extFields":{"\u006b":"\u4f60","p":"plain"}}"#;
        with(text, |view| {
            let view = view.unwrap();
            assert_eq!(view.remark, Some("a\u{1}b\u{2}\"\\/\u{8}\u{c}\n\r\té😀é"));
            assert_eq!(fields(&view), [("k", "你"), ("p", "plain")]);
        });
    }

    #[test]
    fn half_a_surrogate_pair_becomes_a_question_mark() {
        with(
            r#"{"remark":"\ud800|\udc00|\ud800\u0041|\ud800\ud83d\ude00"}"#,
            |view| {
                assert_eq!(view.unwrap().remark, Some("?|?|?A|?😀"));
            },
        );
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        with(
            r#"{"code":1,"code":2,"extFields":{"a":"0"},"extFields":{"n":"3","k":"1","k":"2","n":null}}"#,
            |view| {
                let view = view.unwrap();
                assert_eq!(view.code, 2);
                assert_eq!(fields(&view), [("k", "1"), ("k", "2")]);
            },
        );
    }

    #[test]
    fn fields_fit_the_room_even_where_they_grow_and_a_null_takes_back_what_was_there() {
        let text = format!(
            r#"{{"extFields":{{{}"a":1,"":null,"b":"2","a":null}}}}"#,
            r#""":1,"#.repeat(100)
        );
        with(&text, |view| assert_eq!(fields(&view.unwrap()), [("b", "2")]));
    }

    #[test]
    fn a_key_too_long_for_the_binary_form_is_refused() {
        let text = |length: usize| format!(r#"{{"extFields":{{"{}":"v"}}}}"#, "k".repeat(length));
        with(&text(KEY_BYTES_MAX), |view| assert!(view.is_ok()));
        let limit = KEY_BYTES_MAX;
        assert_eq!(fails(&text(limit + 1)), HeaderError::KeyTooLong { limit });
    }

    #[test]
    fn every_cut_is_an_error() {
        let text = r#"{"code":1,"extFields":{"a":"\u0001b","c":[1,{"d":false}]},"x":{"y":null},"remark":"r\n"}"#;
        with(text, |view| assert!(view.is_ok()));
        for end in 0..text.len() {
            fails(&text[..end]);
        }
    }

    #[test]
    fn malformed_text_says_where_it_is_wrong() {
        assert_eq!(
            fails(r#"{"code":1 "flag":0}"#),
            HeaderError::Syntax {
                at: 10,
                expected: "a comma or the end"
            }
        );
        assert_eq!(
            fails(r#"{"a":"\q"}"#),
            HeaderError::Syntax {
                at: 7,
                expected: "an escape sequence"
            }
        );
        assert_eq!(
            fails(r#"{"a":"\u12g4"}"#),
            HeaderError::Syntax {
                at: 10,
                expected: "four hexadecimal digits"
            }
        );
        assert_eq!(
            fails(r#"{"extFields":[]}"#),
            HeaderError::Syntax {
                at: 13,
                expected: "an object or null"
            }
        );
        assert_eq!(
            fails(r#"{"a":nul}"#),
            HeaderError::Syntax {
                at: 5,
                expected: "null"
            }
        );
        assert_eq!(
            fails(r#"{"code":1,}"#),
            HeaderError::Syntax {
                at: 10,
                expected: "a string"
            }
        );
        assert_eq!(fails("{}x"), HeaderError::Trailing { extra: 1 });
        assert_eq!(fails(r#"{"code":1.5}"#), HeaderError::NotANumber { member: "code" });
        assert_eq!(
            fails(r#"{"opaque":2147483648}"#),
            HeaderError::NotANumber { member: "opaque" }
        );
    }

    #[test]
    fn nesting_and_the_number_of_fields_are_bounded() {
        let nested = |depth: usize| format!(r#"{{"x":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        with(&nested(MAX_DEPTH - 1), |view| assert!(view.is_ok()));
        assert_eq!(fails(&nested(MAX_DEPTH)), HeaderError::TooDeep { limit: MAX_DEPTH });
        assert_eq!(fails(&nested(100_000)), HeaderError::TooDeep { limit: MAX_DEPTH });
        let many = |count: usize| format!(r#"{{"extFields":{{{}}}}}"#, vec![r#""k":"v""#; count].join(","));
        with(&many(256), |view| assert_eq!(fields(&view.unwrap()).len(), 256));
        assert_eq!(fails(&many(257)), HeaderError::TooManyFields { limit: 256 });
    }
}
