//! Reads a text into a [`Value`]: recursive descent, its depth, length and number of values bounded, nothing allocated
//! from a length that the text claims.
//!
//! Beside JSON it takes what fastjson prints or reads by default: unquoted integer keys, objects and single-quoted
//! strings as keys, single-quoted strings, the escapes `\x41`, `\v`, `\'` and `\0` to `\7`, and `$ref` objects, which are
//! replaced by what they name if they name something.

use super::reference;
use super::{DialectError, Key, MAX_BYTES, MAX_DEPTH, MAX_VALUES, Object, Value};

/// Parses one value and nothing behind it.
///
/// # Errors
/// Says what was expected and at which byte, or which of the limits of this module was passed.
pub fn parse(bytes: &[u8]) -> Result<Value, DialectError> {
    if bytes.len() > MAX_BYTES {
        return Err(DialectError::TooLong { length: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| DialectError::NotUtf8 {
        position: error.valid_up_to(),
    })?;
    let mut parser = Parser {
        text,
        position: 0,
        values: 0,
        is_in_key: false,
        has_references: false,
    };
    let value = parser.value(0)?;
    parser.skip_white_space();
    if parser.peek().is_some() {
        return Err(parser.expected("the end of the text"));
    }
    if parser.has_references {
        reference::resolve(&value, MAX_VALUES.saturating_sub(parser.values))
    } else {
        Ok(value)
    }
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
    values: usize,
    is_in_key: bool,
    has_references: bool,
}

impl<'a> Parser<'a> {
    fn expected(&self, expected: &'static str) -> DialectError {
        DialectError::Syntax {
            position: self.position,
            expected,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    /// Takes the next byte if it is this one; ASCII only, so that the position stays between characters.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | 0x08 | 0x0c) = self.peek() {
            self.position += 1;
        }
    }

    fn count_value(&mut self) -> Result<(), DialectError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            Err(DialectError::TooManyValues)
        } else {
            Ok(())
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, DialectError> {
        self.count_value()?;
        self.skip_white_space();
        match self.peek() {
            Some(b'{') => self.object(depth).map(Value::Object),
            Some(b'[') => self.array(depth),
            Some(quote @ (b'"' | b'\'')) => self.string(quote).map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, DialectError> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ];
        let rest = self.text.get(self.position..).unwrap_or_default();
        for (word, value) in words {
            if rest.starts_with(word) {
                self.position += word.len();
                return Ok(value);
            }
        }
        Err(self.expected("a value"))
    }

    fn array(&mut self, depth: usize) -> Result<Value, DialectError> {
        let inner = deeper(depth)?;
        self.position += 1;
        let mut items = Vec::new();
        self.skip_white_space();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(inner)?);
            self.skip_white_space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Object, DialectError> {
        let inner = deeper(depth)?;
        self.position += 1;
        let mut members = Vec::new();
        self.skip_white_space();
        if self.take(b'}') {
            return Ok(Object(members));
        }
        loop {
            let key = self.key(inner)?;
            self.has_references |= matches!(&key, Key::Text(text) if text == reference::MEMBER);
            self.skip_white_space();
            if !self.take(b':') {
                return Err(self.expected("`:`"));
            }
            members.push((key, self.value(inner)?));
            self.skip_white_space();
            if self.take(b'}') {
                return Ok(Object(members));
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn key(&mut self, depth: usize) -> Result<Key, DialectError> {
        self.count_value()?;
        self.skip_white_space();
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => self.string(quote).map(Key::Text),
            Some(b'{') => self.object_key(depth).map(Key::Object),
            Some(b'-' | b'0'..=b'9') => {
                let start = self.position;
                match self.number()? {
                    Value::Integer(number) => Ok(Key::Number(number)),
                    _ => Err(DialectError::Syntax {
                        position: start,
                        expected: "a key of at most 64 bits",
                    }),
                }
            }
            _ => Err(self.expected("a key")),
        }
    }

    /// Inside an object that is a key no key is an object again: Java's keys are plain beans, and each key that stands in
    /// another one as a string would double the backslashes.
    fn object_key(&mut self, depth: usize) -> Result<Object, DialectError> {
        if std::mem::replace(&mut self.is_in_key, true) {
            return Err(DialectError::TooDeep);
        }
        let object = self.object(depth)?;
        self.is_in_key = false;
        Ok(object)
    }

    fn number(&mut self) -> Result<Value, DialectError> {
        let start = self.position;
        self.take(b'-');
        while let Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') = self.peek() {
            self.position += 1;
        }
        let digits = self.text.get(start..self.position).unwrap_or_default();
        if let Ok(number) = digits.parse() {
            return Ok(Value::Integer(number));
        }
        if let Ok(number) = digits.parse() {
            return Ok(Value::Unsigned(number));
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(DialectError::Syntax {
                position: start,
                expected: "a number",
            }),
        }
    }

    fn string(&mut self, quote: u8) -> Result<String, DialectError> {
        self.position += 1;
        let mut string = String::new();
        loop {
            let rest = self.text.get(self.position..).unwrap_or_default();
            let plain = rest.bytes().position(|byte| byte == quote || byte == b'\\');
            let plain = plain.ok_or(DialectError::Syntax {
                position: self.text.len(),
                expected: "the closing quote",
            })?;
            string.push_str(rest.get(..plain).unwrap_or_default());
            self.position += plain;
            if self.take(quote) {
                return Ok(string);
            }
            string.push(self.escape()?);
        }
    }

    /// Reads one escape, the backslash included. Half of a surrogate pair alone, which Java can print, becomes U+FFFD.
    fn escape(&mut self) -> Result<char, DialectError> {
        let start = self.position;
        self.position += 1;
        let letter = self.peek();
        self.position += 1;
        let character = match letter {
            Some(same @ (b'"' | b'\'' | b'\\' | b'/')) => char::from(same),
            Some(b'b') => '\u{8}',
            Some(b't') => '\t',
            Some(b'n') => '\n',
            Some(b'v') => '\u{b}',
            Some(b'f' | b'F') => '\u{c}',
            Some(b'r') => '\r',
            Some(digit @ b'0'..=b'7') => char::from(digit - b'0'),
            Some(b'x') => self
                .hex(start, 2)
                .map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))?,
            Some(b'u') => self.unicode(start)?,
            _ => {
                return Err(DialectError::Syntax {
                    position: start,
                    expected: "an escape that JSON or fastjson knows",
                });
            }
        };
        Ok(character)
    }

    fn unicode(&mut self, start: usize) -> Result<char, DialectError> {
        let first = self.hex(start, 4)?;
        let followed = self
            .text
            .get(self.position..)
            .is_some_and(|rest| rest.starts_with("\\u"));
        if (0xd800..0xdc00).contains(&first) && followed {
            let behind_first = self.position;
            self.position += 2;
            let second = self.hex(behind_first, 4)?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.position = behind_first;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self, start: usize, length: usize) -> Result<u32, DialectError> {
        let digits = self.text.get(self.position..).and_then(|rest| rest.get(..length));
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.position += length;
        code.ok_or(DialectError::Syntax {
            position: start,
            expected: "hexadecimal digits in the escape",
        })
    }
}

fn deeper(depth: usize) -> Result<usize, DialectError> {
    if depth < MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(DialectError::TooDeep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Value {
        parse(text.as_bytes()).unwrap()
    }

    fn expected_at(text: &str) -> usize {
        match parse(text.as_bytes()) {
            Err(DialectError::Syntax { position, .. }) => position,
            other => panic!("{text} gave {other:?}"),
        }
    }

    #[test]
    fn plain_json_is_read() {
        let value = parsed(" {\"a\" : [1, -2, 1.5, true, null, \"x\\u00e9\\ud83d\\ude00\\n\"] , \"b\":{}}\n");
        let items = vec![
            Value::Integer(1),
            Value::Integer(-2),
            Value::Float(1.5),
            Value::Bool(true),
            Value::Null,
            Value::from("xé😀\n"),
        ];
        let object = Object(vec![
            (Key::Text("a".into()), Value::Array(items)),
            (Key::Text("b".into()), Value::Object(Object::default())),
        ]);
        assert_eq!(value, Value::Object(object));
    }

    #[test]
    fn integer_and_object_keys_are_read() {
        let Value::Object(object) = parsed(r#"{0:"a",-7:"b",{"queueId":0}:{1:2},'c':'d'}"#) else {
            panic!()
        };
        let keys: Vec<&Key> = object.0.iter().map(|(key, _)| key).collect();
        let queue = Object(vec![(Key::Text("queueId".into()), Value::Integer(0))]);
        assert_eq!(
            keys,
            [
                &Key::Number(0),
                &Key::Number(-7),
                &Key::Object(queue),
                &Key::Text("c".into())
            ]
        );
    }

    #[test]
    fn numbers_keep_their_64_bits() {
        assert_eq!(parsed("-9223372036854775808"), Value::Integer(i64::MIN));
        assert_eq!(parsed("18446744073709551615"), Value::Unsigned(u64::MAX));
        assert_eq!(parsed("18446744073709551616"), Value::Float(18446744073709551616.0));
    }

    #[test]
    fn of_two_equal_keys_the_later_counts() {
        let Value::Object(object) = parsed(r#"{"a":1,"a":2}"#) else {
            panic!()
        };
        assert_eq!(object.get("a"), Some(&Value::Integer(2)));
    }

    #[test]
    fn an_error_names_the_byte() {
        assert_eq!(expected_at(""), 0);
        assert_eq!(expected_at("{\"a\":1} x"), 8);
        assert_eq!(expected_at("[1,]"), 3);
        assert_eq!(expected_at("[1 2]"), 3);
        assert_eq!(expected_at("{\"a\" 1}"), 5);
        assert_eq!(expected_at("{\"a\":tru}"), 5);
        assert_eq!(expected_at("\"abc"), 4);
        assert_eq!(expected_at("\"a\\q\""), 2);
        assert_eq!(expected_at("\"\\u12g4\""), 1);
        assert_eq!(expected_at("[--1]"), 1);
        assert_eq!(expected_at("{1.5:0}"), 1);
        assert_eq!(parse(b"[\"\xff\"]"), Err(DialectError::NotUtf8 { position: 2 }));
    }

    #[test]
    fn an_escape_cut_inside_a_character_is_refused() {
        assert_eq!(expected_at("\"\\uééé\""), 1);
        assert_eq!(expected_at("\"\\é\""), 1);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(MAX_DEPTH + 1).as_bytes()), Err(DialectError::TooDeep));
        assert_eq!(parse("{".repeat(1_000_000).as_bytes()), Err(DialectError::TooDeep));
    }

    #[test]
    fn an_object_key_anywhere_inside_an_object_key_is_refused() {
        for text in ["{{{}:0}:0}", r#"{{"a":[{{"b":1}:0}]}:0}"#] {
            assert_eq!(parse(text.as_bytes()), Err(DialectError::TooDeep), "{text}");
        }
        assert!(parse(r#"[{{"a":[{}]}:{{"b":1}:0},{"c":1}:{{}:0}}]"#.as_bytes()).is_ok());
    }

    #[test]
    fn too_many_values_are_refused() {
        let text = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert_eq!(parse(text.as_bytes()), Err(DialectError::TooManyValues));
    }
}
