//! The extension fields of a header that was read.
//!
//! | bytes | member of each field, as in the binary header |
//! |---|---|
//! | 2 + n | its key, behind the key's length |
//! | 4 + n | its value, behind the value's length |
//!
//! A binary header's table stays where it lies; the JSON scanner unescapes fields into the same form. Lengths are checked
//! once, by [`FieldTable::check`]. Whether a text is UTF-8 is for those to check who take it as text: most values are
//! numbers, and nobody reads them all.

use super::{HeaderError, MAX_FIELDS};

/// The fields of a header in the order in which they came; of several with one key the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldTable<'a>(Source<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source<'a> {
    /// As the table above says, with sound lengths.
    Bytes(&'a [u8]),
    /// Those of a command in memory.
    Texts(&'a [(String, String)]),
}

impl<'a> FieldTable<'a> {
    /// Takes a binary table whose lengths are sound.
    pub(super) fn check(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        let mut left = bytes;
        let mut count = 0;
        while !left.is_empty() {
            let (length, rest) = left.split_first_chunk().ok_or_else(|| cut("key length", 2, left))?;
            let length = i16::from_be_bytes(*length);
            let rest = behind(rest, length.into(), "key")?;
            let (length, rest) = rest.split_first_chunk().ok_or_else(|| cut("value length", 4, rest))?;
            left = behind(rest, i32::from_be_bytes(*length), "value")?;
            count += 1;
        }
        if count > MAX_FIELDS {
            return Err(HeaderError::TooManyFields { limit: MAX_FIELDS });
        }
        Ok(Self::of_bytes(bytes))
    }

    /// Takes a table that was written as it has to be.
    pub(crate) fn of_bytes(bytes: &'a [u8]) -> Self {
        Self(Source::Bytes(bytes))
    }

    /// The table as it was read; empty for a command in memory.
    #[cfg(feature = "transport")]
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self.0 {
            Source::Bytes(bytes) => bytes,
            Source::Texts(_) => &[],
        }
    }

    /// Lends the fields of a command in memory.
    pub(crate) fn of_texts(texts: &'a [(String, String)]) -> Self {
        Self(Source::Texts(texts))
    }

    /// The value of a field, when it is UTF-8; of several with this key that of the last.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        let (_, value) = self.iter().filter(|(name, _)| *name == key.as_bytes()).last()?;
        std::str::from_utf8(value).ok()
    }

    /// The fields, as key and value.
    pub fn iter(&self) -> FieldIter<'a> {
        FieldIter(self.0)
    }
}

impl Default for FieldTable<'_> {
    fn default() -> Self {
        Self::of_bytes(&[])
    }
}

impl<'a> IntoIterator for FieldTable<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = FieldIter<'a>;

    fn into_iter(self) -> FieldIter<'a> {
        self.iter()
    }
}

/// What is left behind a key or value of this length.
#[inline]
fn behind<'a>(bytes: &'a [u8], length: i32, member: &'static str) -> Result<&'a [u8], HeaderError> {
    let needed = usize::try_from(length).map_err(|_| HeaderError::NegativeLength { member, length })?;
    bytes.get(needed..).ok_or_else(|| cut(member, needed, bytes))
}

#[cold]
fn cut(member: &'static str, needed: usize, left: &[u8]) -> HeaderError {
    let left = left.len();
    HeaderError::Truncated { member, needed, left }
}

/// Goes through a [`FieldTable`].
#[derive(Clone, Debug)]
pub struct FieldIter<'a>(Source<'a>);

impl<'a> Iterator for FieldIter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Bytes(left) => {
                let (length, rest) = left.split_first_chunk()?;
                let (key, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
                let (length, rest) = rest.split_first_chunk()?;
                let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
                *left = rest;
                Some((key, value))
            }
            Source::Texts(left) => {
                let ((key, value), rest) = left.split_first()?;
                *left = rest;
                Some((key.as_bytes(), value.as_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"\0\x01k\0\0\0\x01v\0\0\0\0\0\0";

    #[test]
    fn fields_come_in_their_order_and_the_last_of_equal_keys_counts() {
        let table = FieldTable::check(TWO).unwrap();
        let fields: Vec<_> = table.iter().collect();
        assert_eq!(fields, [(&b"k"[..], &b"v"[..]), (b"", b"")]);
        let texts = [("k", "1"), ("k", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(FieldTable::of_texts(&texts).get("k"), Some("2"));
        assert_eq!((table.get("k"), table.get("x")), (Some("v"), None));
    }

    #[test]
    fn every_cut_within_a_field_and_every_negative_length_is_an_error() {
        for end in (1..TWO.len()).filter(|&end| end != 8) {
            assert!(
                matches!(FieldTable::check(&TWO[..end]), Err(HeaderError::Truncated { .. })),
                "{end} bytes"
            );
        }
        for (bytes, member) in [(&b"\xff\xff"[..], "key"), (b"\0\0\xff\xff\xff\xff", "value")] {
            let length = -1;
            assert_eq!(
                FieldTable::check(bytes),
                Err(HeaderError::NegativeLength { member, length })
            );
        }
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_no_text_and_harms_no_other() {
        let table = FieldTable::check(b"\0\x01a\0\0\0\x01\xc3\0\x01b\0\0\0\x02\xc3\xa9").unwrap();
        assert_eq!((table.get("a"), table.get("b")), (None, Some("é")));
    }
}
