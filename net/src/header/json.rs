//! The JSON header, read by a scanner that knows its shape.
//!
//! `{"code":11,"extFields":{"topic":"T"},"flag":0,"language":"JAVA","opaque":7,"remark":"…","version":273}`
//!
//! Keys may come in any order; unknown ones are skipped whatever their value is. As Java's readers do, it takes numbers
//! in quotes, takes a missing or null number for 0, keeps the text of a field that is no string, and drops null fields.
//! A string without escapes is a slice of the header, another one is unescaped into the scratch. Whatever serde_json
//! accepts of this shape is read to the same meaning (a property test compares the two).

use super::{HeaderError, HeaderView, MAX_DEPTH};
use crate::language::Language;

/// Reads a JSON header; `room` must be as long as `text`.
pub(super) fn parse<'a>(text: &'a str, room: &'a mut [u8]) -> Result<HeaderView<'a>, HeaderError> {
    let mut scanner = Scanner { text, at: 0, room };
    let mut view = HeaderView::default();
    scanner.space();
    scanner.byte(b'{', "an object")?;
    let mut first = true;
    while let Some(key) = scanner.member(&mut first)? {
        match key {
            "code" => view.code = scanner.number("code")?,
            "extFields" => scanner.fields(&mut view)?,
            "flag" => view.flag = scanner.number("flag")?,
            "language" => view.language = scanner.value()?.and_then(language),
            "opaque" => view.opaque = scanner.number("opaque")?,
            "remark" => view.remark = scanner.value()?,
            "version" => view.version = scanner.number("version")?,
            _ => scanner.skip(1)?,
        }
    }
    scanner.space();
    match text.len() - scanner.at {
        0 => Ok(view),
        extra => Err(HeaderError::Trailing { extra }),
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
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, HeaderError> {
        Err(HeaderError::Syntax { at: self.at, expected })
    }

    /// The text from `start` to here.
    fn since(&self, start: usize) -> Result<&'a str, HeaderError> {
        self.text.get(start..self.at).ok_or(HeaderError::Syntax {
            at: start,
            expected: "a character",
        })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn byte(&mut self, byte: u8, expected: &'static str) -> Result<(), HeaderError> {
        if self.peek() != Some(byte) {
            return self.fail(expected);
        }
        self.at += 1;
        Ok(())
    }

    /// Goes to the value of an object's next member and returns its key, or past the object's end.
    fn member(&mut self, first: &mut bool) -> Result<Option<&'a str>, HeaderError> {
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(None);
        }
        if !std::mem::replace(first, false) {
            self.byte(b',', "a comma or the end of the object")?;
            self.space();
        }
        let key = self.string()?;
        self.space();
        self.byte(b':', "a colon")?;
        self.space();
        Ok(Some(key))
    }

    /// Reads the object of extension fields.
    fn fields(&mut self, view: &mut HeaderView<'a>) -> Result<(), HeaderError> {
        view.fields.clear();
        if self.peek() == Some(b'n') {
            return self.skip(1);
        }
        self.byte(b'{', "an object or null")?;
        let mut first = true;
        while let Some(key) = self.member(&mut first)? {
            match self.value()? {
                Some(value) => view.push(key, value)?,
                None => view.fields.retain(|(name, _)| *name != key),
            }
        }
        Ok(())
    }

    /// Reads a value as text: a string's content, nothing for null, the JSON itself for anything else.
    fn value(&mut self) -> Result<Option<&'a str>, HeaderError> {
        if self.peek() == Some(b'"') {
            return self.string().map(Some);
        }
        let start = self.at;
        self.skip(2)?;
        let raw = self.since(start)?;
        Ok((raw != "null").then_some(raw))
    }

    fn number(&mut self, member: &'static str) -> Result<i32, HeaderError> {
        let Some(text) = self.value()? else { return Ok(0) };
        text.parse().map_err(|_| HeaderError::NotANumber { member })
    }

    /// Moves to the next quote or backslash and returns it.
    fn string_end(&mut self) -> Result<u8, HeaderError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let Some(found) = rest.iter().position(|&byte| byte == b'"' || byte == b'\\') else {
            self.at = self.text.len();
            return self.fail("the end of the string");
        };
        self.at += found;
        Ok(rest.get(found).copied().unwrap_or_default())
    }

    fn string(&mut self) -> Result<&'a str, HeaderError> {
        self.byte(b'"', "a string")?;
        let start = self.at;
        if self.string_end()? == b'"' {
            let text = self.since(start)?;
            self.at += 1;
            return Ok(text);
        }
        let mut unescaped = Unescaped {
            room: std::mem::take(&mut self.room),
            used: 0,
        };
        unescaped.push(self.since(start)?)?;
        loop {
            // at a backslash here
            self.at += 1;
            let character = self.escaped()?;
            unescaped.push(character.encode_utf8(&mut [0; 4]))?;
            let start = self.at;
            let end = self.string_end()?;
            unescaped.push(self.since(start)?)?;
            if end == b'"' {
                self.at += 1;
                let (text, rest) = unescaped.finish()?;
                self.room = rest;
                return Ok(text);
            }
        }
    }

    /// Reads what follows a backslash. Half a surrogate pair becomes a question mark, which is what Java stores for it.
    fn escaped(&mut self) -> Result<char, HeaderError> {
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte.into(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return self.fail("an escape sequence"),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Reads the four digits of an escape, and those of the other half of a surrogate pair.
    fn unicode(&mut self) -> Result<char, HeaderError> {
        let unit = self.hex()?;
        if let 0xd800..=0xdbff = unit
            && self.text.as_bytes().get(self.at..self.at + 2) == Some(br"\u")
        {
            let after_high = self.at;
            self.at += 2;
            let low = self.hex()?;
            if let 0xdc00..=0xdfff = low {
                let code_point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code_point).unwrap_or('?'));
            }
            self.at = after_high;
        }
        Ok(char::from_u32(unit).unwrap_or('?'))
    }

    fn hex(&mut self) -> Result<u32, HeaderError> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.fail("four hexadecimal digits");
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    /// Passes over any value; `depth` objects and arrays are open around it.
    fn skip(&mut self, depth: usize) -> Result<(), HeaderError> {
        if depth > MAX_DEPTH {
            return Err(HeaderError::TooDeep { limit: MAX_DEPTH });
        }
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'{') => self.skip_object(depth),
            Some(b'[') => self.skip_array(depth),
            Some(b'-' | b'0'..=b'9') => {
                while let Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') = self.peek() {
                    self.at += 1;
                }
                Ok(())
            }
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.fail("a value"),
        }
    }

    fn skip_string(&mut self) -> Result<(), HeaderError> {
        self.byte(b'"', "a string")?;
        while self.string_end()? == b'\\' {
            self.at += 1;
            self.escaped()?;
        }
        self.at += 1;
        Ok(())
    }

    fn skip_object(&mut self, depth: usize) -> Result<(), HeaderError> {
        self.at += 1;
        let mut first = true;
        loop {
            self.space();
            if self.peek() == Some(b'}') {
                self.at += 1;
                return Ok(());
            }
            if !std::mem::replace(&mut first, false) {
                self.byte(b',', "a comma or the end of the object")?;
                self.space();
            }
            self.skip_string()?;
            self.space();
            self.byte(b':', "a colon")?;
            self.space();
            self.skip(depth + 1)?;
        }
    }

    fn skip_array(&mut self, depth: usize) -> Result<(), HeaderError> {
        self.at += 1;
        let mut first = true;
        loop {
            self.space();
            if self.peek() == Some(b']') {
                self.at += 1;
                return Ok(());
            }
            if !std::mem::replace(&mut first, false) {
                self.byte(b',', "a comma or the end of the array")?;
                self.space();
            }
            self.skip(depth + 1)?;
        }
    }

    fn literal(&mut self, word: &'static str) -> Result<(), HeaderError> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.fail(word);
        }
        self.at += word.len();
        Ok(())
    }
}

/// A string that is being unescaped into the room it was lent.
struct Unescaped<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl<'a> Unescaped<'a> {
    fn push(&mut self, text: &str) -> Result<(), HeaderError> {
        let end = self.used + text.len();
        let Some(place) = self.room.get_mut(self.used..end) else {
            return Err(HeaderError::Syntax {
                at: self.used,
                expected: "text no longer than the header",
            });
        };
        place.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }

    /// Cuts the room into the text and what is left of it.
    fn finish(self) -> Result<(&'a str, &'a mut [u8]), HeaderError> {
        let (text, rest) = self.room.split_at_mut(self.used);
        Ok((super::text(text)?, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(text: &str, look: impl FnOnce(Result<HeaderView<'_>, HeaderError>) -> T) -> T {
        let mut room = vec![0; text.len()];
        look(parse(text, &mut room))
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
                expected: "a comma or the end of the object"
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
