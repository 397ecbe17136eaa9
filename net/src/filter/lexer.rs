//! Parts an expression into tokens, the longest that fits each time, as JavaCC's token manager does
//! (`SelectorParserTokenManager`).
//!
//! | token | form |
//! |---|---|
//! | white space | blank, tab, line feed, carriage return, form feed |
//! | comment | `/* … */`; `-- …` with the end of its line, without which it is two minus signs |
//! | integer | `0`, or digits that begin with none, and then perhaps an `L` |
//! | decimal | `5.`, `5.5`, `.5`, `5E10` and what combines them |
//! | text | between single quotes; two of them stand for one |
//! | name | letters, digits, `_` and `$`, of ASCII alone, no digit first |
//!
//! What is read is what Java's would have read when it fails: its messages tell where that was.

use super::error::FilterError;
use super::place::{Place, escaped};
use super::token::{Kind, Token};

/// Tells the tokens of a text, one by one.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token; at the end of the text again and again [`Kind::EndOfText`].
    pub(super) fn next(&mut self) -> Result<Token, FilterError> {
        self.skip()?;
        let (start, rest) = (self.at, self.rest());
        let Some(&first) = rest.first() else {
            return Ok(self.token(Kind::EndOfText, 0));
        };
        let (kind, length) = match first {
            b'=' => (Kind::Equal, 1),
            b'<' if rest.get(1) == Some(&b'>') => (Kind::NotEqual, 2),
            b'<' if rest.get(1) == Some(&b'=') => (Kind::LessOrEqual, 2),
            b'<' => (Kind::Less, 1),
            b'>' if rest.get(1) == Some(&b'=') => (Kind::GreaterOrEqual, 2),
            b'>' => (Kind::Greater, 1),
            b'(' => (Kind::Open, 1),
            b',' => (Kind::Comma, 1),
            b')' => (Kind::Close, 1),
            b'+' => (Kind::Plus, 1),
            b'-' => (Kind::Minus, 1),
            b'\'' => match text_length(rest) {
                Some(length) => (Kind::Text, length),
                None => return Err(self.cut_off()),
            },
            b'.' | b'0'..=b'9' => match number(rest) {
                Some(number) => number,
                None => return Err(self.stopped(start + 1)),
            },
            _ if is_name_start(first) => {
                let length = count(rest, is_name_part);
                let word = self.text.get(start..start + length).unwrap_or_default();
                (Kind::of_word(word), length)
            }
            _ => return Err(self.stopped(start)),
        };
        Ok(self.token(kind, length))
    }

    fn token(&mut self, kind: Kind, length: usize) -> Token {
        let start = self.at;
        self.at += length;
        let end = self.at;
        Token { kind, start, end }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Passes white space and comments.
    fn skip(&mut self) -> Result<(), FilterError> {
        loop {
            let rest = self.rest();
            self.at += match rest {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0C, ..] => 1,
                [b'-', b'-', comment @ ..] => match memchr::memchr2(b'\n', b'\r', comment) {
                    Some(length) => 2 + length + 1,
                    None => return Ok(()),
                },
                [b'/', b'*', comment @ ..] => match memchr::memmem::find(comment, b"*/") {
                    Some(length) => 2 + length + 2,
                    None => return Err(self.cut_off()),
                },
                [b'/', ..] => return Err(self.stopped(self.at + 1)),
                _ => return Ok(()),
            };
        }
    }

    /// No token begins here: it might, up to the character at `at`.
    fn stopped(&self, at: usize) -> FilterError {
        let next = self.text.get(at..).and_then(|rest| rest.chars().next());
        let Some(next) = next else { return self.cut_off() };
        let mut units = [0; 2];
        let is_last = match next.encode_utf16(&mut units) {
            [_, _] => false,
            _ => at + next.len_utf8() == self.text.len(),
        };
        if is_last {
            return self.cut_off();
        }
        let Place { line, column } = Place::of_first(self.text, at);
        let after = escaped(self.text.get(self.at..at).unwrap_or_default().encode_utf16());
        let (unit, code) = (escaped([units[0]]), units[0]);
        FilterError::Lexical(format!(
            "Lexical error at line {line}, column {column}.  Encountered: \"{unit}\" ({code}), after : \"{after}\""
        ))
    }

    /// No token begins here: what might be one has no end. Java is in the same place after a last character that fits
    /// nothing, since it looks for one more before it complains.
    fn cut_off(&self) -> FilterError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Place { line, column } = Place::behind(self.text);
        let after = if rest.encode_utf16().nth(1).is_some() { rest } else { "" };
        let after = escaped(after.encode_utf16());
        FilterError::Lexical(format!(
            "Lexical error at line {line}, column {column}.  Encountered: <EOF> after : \"{after}\""
        ))
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$'
}

fn is_name_part(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit()
}

fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is(**byte)).count()
}

/// The length of the text literal at the start; `None` when it has no end. A quote that is doubled goes on, but where the
/// text ends behind it the first of the two was the end.
fn text_length(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut end) = (1, None);
    while let Some(length) = memchr::memchr(b'\'', bytes.get(at..).unwrap_or_default()) {
        at += length + 1;
        end = Some(at);
        if bytes.get(at) != Some(&b'\'') {
            break;
        }
        at += 1;
    }
    end
}

/// The number at the start, which begins with a digit or a point; `None` for a point without digits behind it.
fn number(bytes: &[u8]) -> Option<(Kind, usize)> {
    let tail = |at: usize| bytes.get(at..).unwrap_or_default();
    let whole = count(bytes, |byte| byte.is_ascii_digit());
    if bytes.get(whole) == Some(&b'.') {
        let fraction = count(tail(whole + 1), |byte| byte.is_ascii_digit());
        if whole + fraction == 0 {
            return None;
        }
        let length = whole + 1 + fraction;
        return Some((Kind::Decimal, length + exponent_length(tail(length))));
    }
    match exponent_length(tail(whole)) {
        0 => {}
        exponent => return Some((Kind::Decimal, whole + exponent)),
    }
    if bytes.first() == Some(&b'0') {
        return Some((Kind::Integer, 1));
    }
    let suffix = usize::from(matches!(bytes.get(whole), Some(b'l' | b'L')));
    Some((Kind::Integer, whole + suffix))
}

/// The length of the exponent at the start, 0 when there is none.
fn exponent_length(bytes: &[u8]) -> usize {
    let [b'e' | b'E', rest @ ..] = bytes else { return 0 };
    let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
    match count(rest.get(sign..).unwrap_or_default(), |byte| byte.is_ascii_digit()) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<(Kind, &str)> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next().unwrap();
            if token.kind == Kind::EndOfText {
                return tokens;
            }
            tokens.push((token.kind, &text[token.start..token.end]));
        }
    }

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).into_iter().map(|(kind, _)| kind).collect()
    }

    #[test]
    fn the_longest_number_counts() {
        for number in ["5.", "5.5", ".5", "5E10", "5e-1", "5.E+3", "00.5", "007E1"] {
            assert_eq!(tokens(number), [(Kind::Decimal, number)]);
        }
        for number in ["0", "7", "70L", "7l"] {
            assert_eq!(tokens(number), [(Kind::Integer, number)]);
        }
        assert_eq!(kinds("007"), [Kind::Integer; 3]);
        assert_eq!(tokens("0L"), [(Kind::Integer, "0"), (Kind::Name, "L")]);
        assert_eq!(tokens("5E"), [(Kind::Integer, "5"), (Kind::Name, "E")]);
        assert_eq!(
            tokens("5.e+"),
            [(Kind::Decimal, "5."), (Kind::Name, "e"), (Kind::Plus, "+")]
        );
        assert_eq!(tokens("1..5"), [(Kind::Decimal, "1."), (Kind::Decimal, ".5")]);
    }

    #[test]
    fn doubled_quotes_stay_in_a_text_unless_it_would_have_no_end() {
        assert_eq!(tokens("'it''s' 'x'"), [(Kind::Text, "'it''s'"), (Kind::Text, "'x'")]);
        assert_eq!(tokens("''''"), [(Kind::Text, "''''")]);
        let mut lexer = Lexer::new("'a''b");
        assert_eq!(lexer.next().unwrap().end, 3);
        assert!(lexer.next().is_err());
    }

    #[test]
    fn comments_and_white_space_are_passed() {
        assert_eq!(kinds("a/*=*/=/***/5--x\r\n"), [Kind::Name, Kind::Equal, Kind::Integer]);
        assert_eq!(kinds("a --x\n\x0C= 5"), [Kind::Name, Kind::Equal, Kind::Integer]);
        assert_eq!(kinds("--x"), [Kind::Minus, Kind::Minus, Kind::Name]);
    }
}
