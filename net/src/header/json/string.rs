//! Strings: as a slice of the header where they have no escapes, or copied without them.
//!
//! Both look eight bytes at a time for what ends a piece.

use super::Scanner;
use crate::header::room::Room;

impl<'a> Scanner<'a> {
    /// Moves to the next quote or backslash and returns it.
    #[inline]
    pub(super) fn string_end(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += quote_or_backslash(rest);
        match self.peek() {
            Some(byte) => Some(byte),
            None => self.fail("the end of the string"),
        }
    }

    #[inline]
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let before = self.at;
        self.byte(b'"', "a string")?;
        let start = self.at;
        if self.string_end()? != b'"' {
            self.at = before;
            return self.unescaped();
        }
        let text = self.since(start);
        self.at += 1;
        Some(text)
    }

    /// Reads a string that has escapes.
    fn unescaped(&mut self) -> Option<&'a [u8]> {
        let mut room = Room::new(std::mem::take(&mut self.room));
        self.unescape(&mut room)?;
        let (text, room) = room.split();
        self.room = room;
        Some(text)
    }

    /// Adds the content of a string to `out`.
    #[inline]
    pub(super) fn unescape(&mut self, out: &mut Room<'_>) -> Option<()> {
        self.byte(b'"', "a string")?;
        loop {
            if self.run(out)? == b'"' {
                return Some(());
            }
            // Properties are full of these two: what parts a name from its value, and one property from the next.
            match self.text.get(self.at..).and_then(<[u8]>::first_chunk) {
                Some(b"u0001") => {
                    self.at += 5;
                    self.fits(out.push(&[1]))?;
                }
                Some(b"u0002") => {
                    self.at += 5;
                    self.fits(out.push(&[2]))?;
                }
                _ => {
                    let character = self.escaped()?;
                    self.fits(out.push(character.encode_utf8(&mut [0; 4]).as_bytes()))?;
                }
            }
        }
    }

    /// Adds all up to the next quote or backslash to `out`, and passes over that byte, which it returns. Copies as it
    /// looks, eight bytes at a time.
    #[inline]
    fn run(&mut self, out: &mut Room<'_>) -> Option<u8> {
        while let Some(word) = self.text.get(self.at..).and_then(<[u8]>::first_chunk)
            && let Some(place) = out.next_word()
        {
            *place = *word;
            let marks = quotes_and_backslashes(u64::from_le_bytes(*word));
            let before = marks.trailing_zeros() as usize / 8;
            out.use_more(before);
            self.at += before;
            if marks != 0 {
                let end = self.peek();
                self.at += 1;
                return end;
            }
        }
        self.last_run(out)
    }

    /// The same within the last bytes of the header.
    fn last_run(&mut self, out: &mut Room<'_>) -> Option<u8> {
        let start = self.at;
        let end = self.string_end()?;
        let run = self.since(start);
        self.fits(out.push(run))?;
        self.at += 1;
        Some(end)
    }

    /// Reads what follows a backslash. Half a surrogate pair becomes a question mark, which is what Java stores for it.
    pub(super) fn escaped(&mut self) -> Option<char> {
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
            && self.text.get(self.at..self.at + 2) == Some(br"\u")
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
}

/// Counts the bytes before the first quote or backslash, eight at a time.
#[inline]
fn quote_or_backslash(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let found = quotes_and_backslashes(u64::from_le_bytes(*word));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let end = tail.iter().position(|&byte| byte == b'"' || byte == b'\\');
    words.len() * 8 + end.unwrap_or(tail.len())
}

/// Marks the first byte of a word, from the lowest, that is a quote or a backslash by its highest bit; above it there may
/// be false marks, and without any there is none.
#[inline]
fn quotes_and_backslashes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')))
}
