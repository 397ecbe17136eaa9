//! The body of a batch send, request code 320 (Java: `MessageDecoder.encodeMessage`): entries one after the other.
//!
//! | bytes | field | |
//! |---|---|---|
//! | 4 | size | of the entry; ignored, as by Java, since the lengths below say the same |
//! | 4 | magic | 0; ignored |
//! | 4 | CRC | 0; ignored, the broker computes it |
//! | 4 | flag | the application's own |
//! | 4 + n | body | |
//! | 2 + n | properties | [`super::properties`] |
//!
//! Each entry becomes a record of its own; topic, queue and hosts are those of the request.

use super::cursor::Cursor;
use super::record::PROPERTIES_BYTES_MAX;

/// The bytes of an entry besides body and properties.
pub const ENTRY_FIXED_BYTES: usize = 22;

/// One message of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchEntry<'a> {
    /// The application's own flag.
    pub flag: i32,
    /// The body.
    pub body: &'a [u8],
    /// The properties string.
    pub properties: &'a [u8],
}

/// Why a batch cannot be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The body ends inside an entry, or a length in it is negative.
    #[error("entry {index} of the batch runs past the end of the body")]
    Truncated {
        /// The entry's place in the batch, from 0.
        index: usize,
    },
    /// The properties to write are longer than their length field can say.
    #[error("properties of {length} bytes are longer than {PROPERTIES_BYTES_MAX}")]
    PropertiesTooLong {
        /// Their bytes.
        length: usize,
    },
    /// The entry to write has more bytes than its size field can say.
    #[error("entry does not fit in {} bytes", i32::MAX)]
    TooLarge,
}

/// Returns the entries of a batch; nothing follows the first error.
pub fn entries(body: &[u8]) -> Entries<'_> {
    Entries {
        rest: Cursor::new(body),
        index: 0,
        has_failed: false,
    }
}

/// The entries of a batch, from [`entries`].
pub struct Entries<'a> {
    rest: Cursor<'a>,
    index: usize,
    has_failed: bool,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<BatchEntry<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed || self.rest.is_empty() {
            return None;
        }
        let entry = read(&mut self.rest).ok_or(BatchError::Truncated { index: self.index });
        self.has_failed = entry.is_err();
        self.index += 1;
        Some(entry)
    }
}

impl std::iter::FusedIterator for Entries<'_> {}

fn read<'a>(fields: &mut Cursor<'a>) -> Option<BatchEntry<'a>> {
    fields.take(12)?;
    Some(BatchEntry {
        flag: fields.i32()?,
        body: fields.int_prefixed()?,
        properties: fields.short_prefixed()?,
    })
}

/// Appends one entry to a batch and returns its bytes.
///
/// # Errors
/// When the properties or the whole are too long for their length fields; `out` is then unchanged.
pub fn encode(entry: &BatchEntry<'_>, out: &mut Vec<u8>) -> Result<usize, BatchError> {
    if entry.properties.len() > PROPERTIES_BYTES_MAX {
        return Err(BatchError::PropertiesTooLong {
            length: entry.properties.len(),
        });
    }
    let size = ENTRY_FIXED_BYTES + entry.properties.len() + entry.body.len();
    if i32::try_from(size).is_err() {
        return Err(BatchError::TooLarge);
    }
    out.reserve(size);
    let start = [size as u32, 0, 0, entry.flag.cast_unsigned(), entry.body.len() as u32].map(u32::to_be_bytes);
    out.extend_from_slice(start.as_flattened());
    out.extend_from_slice(entry.body);
    out.extend_from_slice(&(entry.properties.len() as u16).to_be_bytes());
    out.extend_from_slice(entry.properties);
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: BatchEntry<'_> = BatchEntry {
        flag: -7,
        body: b"one",
        properties: b"TAGS\x01A\x02",
    };
    const SECOND: BatchEntry<'_> = BatchEntry {
        flag: 0,
        body: b"",
        properties: b"",
    };

    fn encoded() -> Vec<u8> {
        let mut body = Vec::new();
        assert_eq!(encode(&FIRST, &mut body), Ok(32));
        assert_eq!(encode(&SECOND, &mut body), Ok(22));
        body
    }

    #[test]
    fn an_entry_lies_byte_for_byte_as_the_table_says() {
        let first = b"\0\0\0\x20\0\0\0\0\0\0\0\0\xFF\xFF\xFF\xF9\0\0\0\x03one\0\x07TAGS\x01A\x02";
        assert_eq!(&encoded()[..32], first);
    }

    #[test]
    fn entries_come_back_in_order() {
        assert_eq!(
            entries(&encoded()).collect::<Result<Vec<_>, _>>(),
            Ok(vec![FIRST, SECOND])
        );
        assert_eq!(entries(b"").next(), None);
    }

    #[test]
    fn size_magic_and_crc_are_ignored_as_java_does() {
        let mut body = encoded();
        body[..12].fill(0xFF);
        assert_eq!(entries(&body).next(), Some(Ok(FIRST)));
    }

    #[test]
    fn a_cut_batch_names_the_entry_and_ends() {
        let body = encoded();
        for length in 33..body.len() {
            let read: Vec<_> = entries(&body[..length]).collect();
            assert_eq!(read, [Ok(FIRST), Err(BatchError::Truncated { index: 1 })]);
        }
    }

    #[test]
    fn negative_lengths_are_refused() {
        for at in [16, 23] {
            let mut body = encoded();
            body[at] = 0x80;
            assert_eq!(
                entries(&body).collect::<Vec<_>>(),
                [Err(BatchError::Truncated { index: 0 })]
            );
        }
    }

    #[test]
    fn properties_too_long_write_nothing() {
        let properties = vec![b'p'; 32768];
        let mut out = Vec::new();
        let entry = BatchEntry {
            properties: &properties,
            ..SECOND
        };
        assert_eq!(
            encode(&entry, &mut out),
            Err(BatchError::PropertiesTooLong { length: 32768 })
        );
        assert!(out.is_empty());
    }
}
