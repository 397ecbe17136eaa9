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

use super::{FieldTable, HeaderError, HeaderView, text};
use crate::language::Language;

/// Reads a binary header.
pub(super) fn parse(bytes: &[u8]) -> Result<HeaderView<'_>, HeaderError> {
    let mut reader = Reader { left: bytes };
    let code = reader.short("code")?.into();
    let [language] = reader.array("language")?;
    let version = reader.short("version")?.into();
    let opaque = reader.int("opaque")?;
    let flag = reader.int("flag")?;
    let remark = text(reader.sized("remark length", "remark")?)?;
    let table = reader.sized("field table length", "field table")?;
    let fields = FieldTable::check(table)?;
    if !reader.left.is_empty() {
        let extra = reader.left.len();
        return Err(HeaderError::Trailing { extra });
    }
    Ok(HeaderView {
        code,
        language: Language::from_number(language),
        version,
        opaque,
        flag,
        remark: Some(remark).filter(|remark| !remark.is_empty()),
        fields,
    })
}

/// The part of a header that is not read yet.
struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    fn array<const N: usize>(&mut self, member: &'static str) -> Result<[u8; N], HeaderError> {
        let (array, rest) = self.left.split_first_chunk().ok_or_else(|| self.cut(member, N))?;
        self.left = rest;
        Ok(*array)
    }

    #[inline]
    fn short(&mut self, member: &'static str) -> Result<i16, HeaderError> {
        self.array(member).map(i16::from_be_bytes)
    }

    #[inline]
    fn int(&mut self, member: &'static str) -> Result<i32, HeaderError> {
        self.array(member).map(i32::from_be_bytes)
    }

    /// Takes what stands behind its length.
    #[inline]
    fn sized(&mut self, length_member: &'static str, member: &'static str) -> Result<&'a [u8], HeaderError> {
        let length = self.int(length_member)?;
        let needed = usize::try_from(length).map_err(|_| HeaderError::NegativeLength { member, length })?;
        let (taken, rest) = self
            .left
            .split_at_checked(needed)
            .ok_or_else(|| self.cut(member, needed))?;
        self.left = rest;
        Ok(taken)
    }

    #[cold]
    fn cut(&self, member: &'static str, needed: usize) -> HeaderError {
        let left = self.left.len();
        HeaderError::Truncated { member, needed, left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(view: &HeaderView<'a>) -> Vec<(&'a [u8], &'a [u8])> {
        view.fields.iter().collect()
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
        assert_eq!(fields(&view), [(&b"k"[..], "vé".as_bytes())]);
        assert!(view.is_oneway() && !view.is_response());
    }

    #[test]
    fn no_remark_and_no_fields_are_none() {
        let bytes = header(&[0; 8]);
        let view = parse(&bytes).unwrap();
        assert_eq!((view.remark, fields(&view).len()), (None, 0));
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
    fn a_remark_that_is_not_utf_8_is_an_error() {
        let remark = |byte| header(&[0, 0, 0, 2, 0xc3, byte, 0, 0, 0, 0]);
        assert_eq!(parse(&remark(0xa9)).unwrap().remark, Some("é"));
        assert_eq!(parse(&remark(b'x')), Err(HeaderError::NotUtf8 { at: 0 }));
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
