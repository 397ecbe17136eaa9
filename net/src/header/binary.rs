//! The compact header that Java calls ROCKETMQ (`RocketMQSerializable`).
//!
//! | bytes | member |
//! |---|---|
//! | 2 | code |
//! | 1 | language, by number |
//! | 2 | version |
//! | 4 | opaque |
//! | 4 | flag |
//! | 4 + n | remark: its length (0 = none), UTF-8 |
//! | 4 + n | extension fields: their length in all, then for each: 2-byte key length, key, 4-byte value length, value |

use super::{HeaderError, HeaderView, text};
use crate::language::Language;

/// Reads a binary header into an empty view.
pub(super) fn parse<'a>(bytes: &'a [u8], view: &mut HeaderView<'a>) -> Result<(), HeaderError> {
    let mut reader = Reader {
        left: bytes,
        checked: ("", bytes.len()),
        fault: HeaderError::Trailing { extra: 0 },
    };
    match reader.header(view) {
        Some(()) => Ok(()),
        None => Err(reader.fault),
    }
}

/// The part of a header that is not read yet. As in the JSON scanner, methods return `Option` and leave what went wrong
/// in `fault`.
struct Reader<'a> {
    left: &'a [u8],
    /// The bytes that were last found to be UTF-8, and what was left where they begin. The lengths between the texts of
    /// the table mostly are UTF-8 too, so that one check stands for many.
    checked: (&'a str, usize),
    /// Means something once a method has returned `None`.
    fault: HeaderError,
}

impl<'a> Reader<'a> {
    fn header(&mut self, view: &mut HeaderView<'a>) -> Option<()> {
        view.code = self.short("code")?.into();
        let [language] = self.array("language")?;
        view.language = Language::from_number(language);
        view.version = self.short("version")?.into();
        view.opaque = self.int("opaque")?;
        view.flag = self.int("flag")?;
        let remark = self.int("remark length")?;
        view.remark = Some(self.text(remark, "remark")?).filter(|remark| !remark.is_empty());
        let table = self.int("field table length")?;
        let table = self.sized(table, "field table")?;
        // only the table is left to read; what follows it is not part of a header
        let extra = std::mem::replace(&mut self.left, table).len();
        self.checked = ("", table.len());
        while !self.left.is_empty() {
            let key = self.short("key length")?;
            let key = self.table_text(key.into(), "key")?;
            let value = self.int("value length")?;
            let value = self.table_text(value, "value")?;
            if let Err(error) = view.push(key, value) {
                return self.refuse(error.into());
            }
        }
        match extra {
            0 => Some(()),
            extra => self.refuse(HeaderError::Trailing { extra }),
        }
    }

    #[cold]
    fn refuse<T>(&mut self, error: HeaderError) -> Option<T> {
        self.fault = error;
        None
    }

    #[cold]
    fn cut<T>(&mut self, member: &'static str, needed: usize) -> Option<T> {
        let left = self.left.len();
        self.refuse(HeaderError::Truncated { member, needed, left })
    }

    #[inline]
    fn array<const N: usize>(&mut self, member: &'static str) -> Option<[u8; N]> {
        let Some((array, rest)) = self.left.split_first_chunk() else {
            return self.cut(member, N);
        };
        self.left = rest;
        Some(*array)
    }

    #[inline]
    fn short(&mut self, member: &'static str) -> Option<i16> {
        self.array(member).map(i16::from_be_bytes)
    }

    #[inline]
    fn int(&mut self, member: &'static str) -> Option<i32> {
        self.array(member).map(i32::from_be_bytes)
    }

    /// Takes as many bytes as a length that was read says.
    #[inline]
    fn sized(&mut self, length: i32, member: &'static str) -> Option<&'a [u8]> {
        let Ok(needed) = usize::try_from(length) else {
            return self.refuse(HeaderError::NegativeLength { member, length });
        };
        let Some((taken, rest)) = self.left.split_at_checked(needed) else {
            return self.cut(member, needed);
        };
        self.left = rest;
        Some(taken)
    }

    fn text(&mut self, length: i32, member: &'static str) -> Option<&'a str> {
        match text(self.sized(length, member)?) {
            Ok(text) => Some(text),
            Err(error) => self.refuse(error),
        }
    }

    #[inline]
    fn table_text(&mut self, length: i32, member: &'static str) -> Option<&'a str> {
        let before = self.left;
        let bytes = self.sized(length, member)?;
        if let Some(text) = self.known_text(before.len(), bytes.len()) {
            return Some(text);
        }
        let checked = longest_text(before);
        self.checked = (checked, before.len());
        match checked.get(..bytes.len()) {
            Some(text) => Some(text),
            None => self.no_text(bytes),
        }
    }

    /// The text of `length` bytes that begins where `left` bytes were left, if it lies in what is checked.
    #[inline]
    fn known_text(&self, left: usize, length: usize) -> Option<&'a str> {
        let (checked, from) = self.checked;
        let start = from.checked_sub(left)?;
        checked.get(start..start.checked_add(length)?)
    }

    /// A text that ends within a character, or holds what is none.
    #[cold]
    fn no_text<T>(&mut self, bytes: &[u8]) -> Option<T> {
        match text(bytes) {
            Err(error) => self.refuse(error),
            Ok(_) => self.refuse(HeaderError::NotUtf8 { at: bytes.len() }),
        }
    }
}

/// The longest beginning of `bytes` that is UTF-8. Each byte of a table is looked at twice at most: what ends it is a
/// length, behind which the next begins.
fn longest_text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => bytes
            .get(..error.valid_up_to())
            .and_then(|valid| std::str::from_utf8(valid).ok())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<HeaderView<'_>, HeaderError> {
        let mut view = HeaderView::default();
        super::parse(bytes, &mut view).map(|()| view)
    }

    /// Code 11, JAVA, version 273, opaque 7, flag 2, then what is given.
    fn header(tail: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 11, 0, 1, 17, 0, 0, 0, 7, 0, 0, 0, 2];
        bytes.extend(tail);
        bytes
    }

    #[test]
    fn a_header_is_read() {
        let bytes = header(b"\0\0\0\x02no\0\0\0\x0a\0\x01k\0\0\0\x03v\xc3\xa9");
        let view = parse(&bytes).unwrap();
        assert_eq!((view.code, view.version, view.opaque, view.flag), (11, 273, 7, 2));
        assert_eq!(view.language, Some(Language::Java));
        assert_eq!(view.remark, Some("no"));
        assert_eq!(view.fields(), [("k", "vé")]);
        assert!(view.is_oneway() && !view.is_response());
    }

    #[test]
    fn a_text_is_checked_by_itself_and_not_with_the_length_before_it() {
        // 0xC3 0xA9 is a character, but here its first byte belongs to a length of 195 bytes
        let mut value = vec![b'v'; 195];
        let table = |value: &[u8]| [b"\0\0\0\0\0\0\0\xca\0\x01k\0\0\0\xc3", value].concat();
        assert!(parse(&header(&table(&value))).is_ok());
        value[0] = 0xa9;
        assert_eq!(parse(&header(&table(&value))), Err(HeaderError::NotUtf8 { at: 0 }));
        // nor with the length behind it
        (value[0], value[194]) = (b'v', 0xc3);
        assert_eq!(parse(&header(&table(&value))), Err(HeaderError::NotUtf8 { at: 194 }));
    }

    #[test]
    fn no_remark_and_no_fields_are_none() {
        let bytes = header(&[0; 8]);
        let view = parse(&bytes).unwrap();
        assert_eq!((view.remark, view.fields().len()), (None, 0));
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = header(b"\0\0\0\x02no\0\0\0\x08\0\x01k\0\0\0\x01v");
        assert!(parse(&bytes).is_ok());
        for end in 0..bytes.len() {
            assert!(
                matches!(parse(&bytes[..end]), Err(HeaderError::Truncated { .. })),
                "{end} bytes"
            );
        }
    }

    #[test]
    fn negative_lengths_and_trailing_bytes_are_errors() {
        let negative = parse(&header(b"\xff\xff\xff\xff\0\0\0\0")).map(|_| ());
        assert_eq!(
            negative,
            Err(HeaderError::NegativeLength {
                member: "remark",
                length: -1
            })
        );
        assert_eq!(
            parse(&header(&[0; 9])).map(|_| ()),
            Err(HeaderError::Trailing { extra: 1 })
        );
    }

    #[test]
    fn text_that_is_not_utf_8_is_an_error() {
        let bytes = header(b"\0\0\0\0\0\0\0\x09\0\x01k\0\0\0\x02\xc3\xa9");
        assert_eq!(parse(&bytes).unwrap().get("k"), Some("é"));
        let cut = header(b"\0\0\0\0\0\0\0\x08\0\x01k\0\0\0\x01\xc3");
        assert_eq!(parse(&cut), Err(HeaderError::NotUtf8 { at: 0 }));
    }

    #[test]
    fn too_many_fields_are_an_error() {
        let mut table: Vec<u8> = Vec::new();
        for _ in 0..=crate::header::MAX_FIELDS {
            table.extend(b"\0\x01k\0\0\0\0");
        }
        let mut tail = vec![0; 4];
        tail.extend((table.len() as u32).to_be_bytes());
        tail.extend(table);
        assert!(matches!(
            parse(&header(&tail)),
            Err(HeaderError::TooManyFields { limit: 256 })
        ));
    }
}
