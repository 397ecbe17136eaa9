//! The JSON header, read by a scanner that knows its shape.
//!
//! `{"code":11,"extFields":{"topic":"T"},"flag":0,"language":"JAVA","opaque":7,"remark":"…","version":273}`
//!
//! Keys may come in any order; unknown ones are skipped whatever their value is. As Java's readers do, it takes numbers
//! in quotes, takes a missing or null number for 0, keeps the text of a field that is no string, and drops null fields.
//! A string without escapes is a slice of the header, another one is unescaped into the scratch. Whatever serde_json
//! accepts of this shape is read to the same meaning (a property test compares the two).
//!
//! The scanner's methods return `Option` and leave what went wrong in `fault`: that way strings come back in registers,
//! which saves an eighth of the time that a header takes.

use super::{HeaderError, HeaderView, MAX_DEPTH};
use crate::language::Language;

/// Reads a JSON header into an empty view; `room` must be as long as `text`.
pub(super) fn parse<'a>(text: &'a str, room: &'a mut [u8], view: &mut HeaderView<'a>) -> Result<(), HeaderError> {
    let mut scanner = Scanner {
        text,
        at: 0,
        room,
        fault: HeaderError::Trailing { extra: 0 },
    };
    match scanner.header(view) {
        Some(()) => Ok(()),
        None => Err(scanner.fault),
    }
}

/// Java's reader takes an enum's name or its number.
fn language(text: &str) -> Option<Language> {
    Language::from_name(text).or_else(|| Language::from_number(text.parse().ok()?))
}

/// A position in the header, and the room for unescaped text that is left.
struct Scanner<'a> {
    text: &'a str,
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
                "code" => view.code = self.number("code")?,
                "extFields" => self.fields(view)?,
                "flag" => view.flag = self.number("flag")?,
                "language" => view.language = if self.null()? { None } else { language(self.value()?) },
                "opaque" => view.opaque = self.number("opaque")?,
                "remark" => view.remark = if self.null()? { None } else { Some(self.value()?) },
                "version" => view.version = self.number("version")?,
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
    fn fields(&mut self, view: &mut HeaderView<'a>) -> Option<()> {
        view.fields.clear();
        if self.null()? {
            return Some(());
        }
        self.byte(b'{', "an object or null")?;
        let mut first = true;
        while self.more(&mut first, b'}')? {
            let key = self.key()?;
            if self.null()? {
                view.fields.retain(|(name, _)| *name != key);
                continue;
            }
            let value = self.value()?;
            if let Err(error) = view.push(key, value) {
                return self.refuse(error.into());
            }
        }
        Some(())
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
        self.text.as_bytes().get(self.at).copied()
    }

    /// The text from `start` to here.
    #[inline]
    fn since(&mut self, start: usize) -> Option<&'a str> {
        match self.text.get(start..self.at) {
            Some(text) => Some(text),
            None => self.fail("a character"),
        }
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
    fn key(&mut self) -> Option<&'a str> {
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
    fn value(&mut self) -> Option<&'a str> {
        if self.peek() == Some(b'"') {
            return self.string();
        }
        let start = self.at;
        self.skip(2)?;
        self.since(start)
    }

    fn number(&mut self, member: &'static str) -> Option<i32> {
        if self.null()? {
            return Some(0);
        }
        match self.value()?.parse() {
            Ok(number) => Some(number),
            Err(_) => self.refuse(HeaderError::NotANumber { member }),
        }
    }

    /// Moves to the next quote or backslash and returns it.
    #[inline]
    fn string_end(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += quote_or_backslash(rest);
        match self.peek() {
            Some(byte) => Some(byte),
            None => self.fail("the end of the string"),
        }
    }

    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.byte(b'"', "a string")?;
        let start = self.at;
        if self.string_end()? != b'"' {
            return self.unescaped(start);
        }
        let text = self.since(start)?;
        self.at += 1;
        Some(text)
    }

    /// Reads the string that began at `start` and has its first backslash here.
    fn unescaped(&mut self, start: usize) -> Option<&'a str> {
        let mut out = Unescaped {
            room: std::mem::take(&mut self.room),
            used: 0,
        };
        let mut run = self.since(start)?;
        loop {
            self.at += 1;
            let character = self.escaped()?;
            if !(out.push(run) && out.push(character.encode_utf8(&mut [0; 4]))) {
                return self.fail("text no longer than the header");
            }
            let start = self.at;
            let end = self.string_end()?;
            run = self.since(start)?;
            if end == b'"' {
                break;
            }
        }
        if !out.push(run) {
            return self.fail("text no longer than the header");
        }
        self.at += 1;
        let (text, rest) = out.room.split_at_mut(out.used);
        self.room = rest;
        match super::text(text) {
            Ok(text) => Some(text),
            Err(error) => self.refuse(error),
        }
    }

    /// Reads what follows a backslash. Half a surrogate pair becomes a question mark, which is what Java stores for it.
    fn escaped(&mut self) -> Option<char> {
        let plain = match self.peek() {
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            Some(byte @ (b'"' | b'\\' | b'/')) => byte.into(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return self.fail("an escape sequence"),
        };
        self.at += 1;
        Some(plain)
    }

    /// Reads the four digits of an escape, and those of the other half of a surrogate pair.
    fn unicode(&mut self) -> Option<char> {
        let unit = self.hex()?;
        if let 0xd800..=0xdbff = unit
            && self.text.as_bytes().get(self.at..self.at + 2) == Some(br"\u")
        {
            let after_high = self.at;
            self.at += 2;
            let low = self.hex()?;
            if let 0xdc00..=0xdfff = low {
                let code_point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Some(char::from_u32(code_point).unwrap_or('?'));
            }
            self.at = after_high;
        }
        Some(char::from_u32(unit).unwrap_or('?'))
    }

    fn hex(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.fail("four hexadecimal digits");
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Some(unit)
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
            .as_bytes()
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()))
        {
            return self.fail(word);
        }
        self.at += word.len();
        Some(())
    }
}

/// Counts the bytes before the first quote or backslash, eight at a time.
#[inline]
fn quote_or_backslash(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    // the highest bit of the lowest byte that is zero; above it there may be false ones
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let end = tail.iter().position(|&byte| byte == b'"' || byte == b'\\');
    words.len() * 8 + end.unwrap_or(tail.len())
}

/// A string that is being unescaped into the room it was lent.
struct Unescaped<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Unescaped<'_> {
    /// Appends a piece; false if there is no room, which unescaping cannot come to: it never lengthens a text.
    fn push(&mut self, text: &str) -> bool {
        let end = self.used + text.len();
        let Some(place) = self.room.get_mut(self.used..end) else {
            return false;
        };
        place.copy_from_slice(text.as_bytes());
        self.used = end;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(text: &str, look: impl FnOnce(Result<HeaderView<'_>, HeaderError>) -> T) -> T {
        let mut room = vec![0; text.len()];
        let mut view = HeaderView::default();
        look(parse(text, &mut room, &mut view).map(|()| view))
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
            assert_eq!(view.fields(), [("topic", "T")]);
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
            assert_eq!(view.fields(), [("n", "12"), ("b", "true"), ("o", r#"{"k": [1]}"#)]);
        });
        with(r#"{"extFields":null,"language":"COBOL"}"#, |view| {
            let view = view.unwrap();
            assert_eq!((view.fields().len(), view.language), (0, None));
        });
    }

    #[test]
    fn escapes_are_undone() {
        let text = r#"{"remark":"a\u0001b\u0002\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00é","extFields":{"\u006b":"\u4f60","p":"plain"}}"#;
        with(text, |view| {
            let view = view.unwrap();
            assert_eq!(view.remark, Some("a\u{1}b\u{2}\"\\/\u{8}\u{c}\n\r\té😀é"));
            assert_eq!(view.fields(), [("k", "你"), ("p", "plain")]);
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
                assert_eq!((view.code, view.get("k")), (2, Some("2")));
                assert_eq!((view.get("a"), view.get("n")), (None, None));
            },
        );
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
        let fields = |count: usize| format!(r#"{{"extFields":{{{}}}}}"#, vec![r#""k":"v""#; count].join(","));
        with(&fields(256), |view| assert_eq!(view.unwrap().fields().len(), 256));
        assert_eq!(fails(&fields(257)), HeaderError::TooManyFields { limit: 256 });
    }
}
