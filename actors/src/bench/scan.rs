//! Finds the two numbers of a header that a load generator needs for each answer, without reading the rest of it.
//!
//! The binary form has them at fixed places. In JSON they are looked for by their keys: the same bytes cannot stand
//! inside a text, where the quotes would be escaped. What is not found so is read properly.

use cuemq_net::frame::HeaderCodec;
use cuemq_net::header::{self, HeaderScratch};
use memchr::memmem::Finder;

/// The two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The request or response code.
    pub(super) code: i32,
    /// The number that matches an answer to its request.
    pub(super) opaque: i32,
}

/// Finds them.
#[derive(Debug)]
pub(super) struct Scanner {
    code: Finder<'static>,
    opaque: Finder<'static>,
    scratch: HeaderScratch,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self {
            code: Finder::new(b"\"code\":"),
            opaque: Finder::new(b"\"opaque\":"),
            scratch: HeaderScratch::new(),
        }
    }

    /// The numbers of a header; `None` when it is none.
    pub(super) fn scan(&mut self, codec: HeaderCodec, header: &[u8]) -> Option<Numbers> {
        let found = match codec {
            HeaderCodec::Binary => binary(header),
            HeaderCodec::Json => self.json(header),
        };
        found.or_else(|| self.read(codec, header))
    }

    /// A header's remark, and one of its fields as a number.
    pub(super) fn details(&mut self, codec: HeaderCodec, header: &[u8], field: &str) -> (Option<String>, Option<u64>) {
        match header::parse(codec, header, &mut self.scratch) {
            Ok(view) => (
                view.remark.map(str::to_owned),
                view.fields.get(field).and_then(|text| text.parse().ok()),
            ),
            Err(_) => (None, None),
        }
    }

    fn json(&self, header: &[u8]) -> Option<Numbers> {
        let number = |finder: &Finder<'_>| {
            let at = finder.find(header)? + finder.needle().len();
            integer(header.get(at..)?)
        };
        Some(Numbers {
            code: number(&self.code)?,
            opaque: number(&self.opaque)?,
        })
    }

    #[cold]
    fn read(&mut self, codec: HeaderCodec, header: &[u8]) -> Option<Numbers> {
        let view = header::parse(codec, header, &mut self.scratch).ok()?;
        Some(Numbers {
            code: view.code,
            opaque: view.opaque,
        })
    }
}

fn binary(header: &[u8]) -> Option<Numbers> {
    let head: &[u8; 9] = header.first_chunk()?;
    let [c0, c1, _language, _v0, _v1, opaque @ ..] = *head;
    Some(Numbers {
        code: i16::from_be_bytes([c0, c1]).into(),
        opaque: i32::from_be_bytes(opaque),
    })
}

/// The whole number at the start; `None` unless something ends it.
fn integer(bytes: &[u8]) -> Option<i32> {
    let (is_negative, digits) = match bytes.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, bytes),
    };
    let mut number = 0_i64;
    for (at, byte) in digits.iter().take(11).enumerate() {
        match byte {
            b'0'..=b'9' => number = number * 10 + i64::from(byte - b'0'),
            b',' | b'}' if at > 0 => return i32::try_from(if is_negative { -number } else { number }).ok(),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use cuemq_net::code::ResponseCode;
    use cuemq_net::command::Command;
    use cuemq_net::frame::{self, MAX_FRAME_BYTES};
    use proptest::prelude::*;

    use super::*;

    fn header_of(codec: HeaderCodec, code: i32, opaque: i32, remark: &str) -> Vec<u8> {
        let mut command = Command::request(cuemq_net::code::RequestCode(code))
            .with_codec(codec)
            .with_remark(remark)
            .with_field("msgId", "\"code\":7,\"opaque\":8,");
        command.opaque = opaque;
        let mut out = Vec::new();
        command.encode(&mut out).unwrap();
        let frame = frame::check(&out, MAX_FRAME_BYTES).unwrap().unwrap();
        out[frame.header].to_vec()
    }

    proptest! {
        #[test]
        fn both_encodings_are_scanned_as_they_are_read(
            is_json in any::<bool>(), code in any::<i16>(), opaque in any::<i32>(), remark in ".{0,40}",
        ) {
            let codec = if is_json { HeaderCodec::Json } else { HeaderCodec::Binary };
            let header = header_of(codec, code.into(), opaque, &remark);
            prop_assert_eq!(Scanner::new().scan(codec, &header), Some(Numbers { code: code.into(), opaque }));
        }

        #[test]
        fn any_bytes_are_scanned_without_a_panic(is_json in any::<bool>(), bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let codec = if is_json { HeaderCodec::Json } else { HeaderCodec::Binary };
            let _ = Scanner::new().scan(codec, &bytes);
        }
    }

    #[test]
    fn what_is_written_unusually_is_read_properly() {
        let header = br#"{ "opaque" : 12 , "code" : -3 , "extFields": {"nextBeginOffset":"5"}, "remark":"why" }"#;
        let mut scanner = Scanner::new();
        let found = scanner.scan(HeaderCodec::Json, header);
        assert_eq!(found, Some(Numbers { code: -3, opaque: 12 }));
        let details = scanner.details(HeaderCodec::Json, header, "nextBeginOffset");
        assert_eq!(details, (Some("why".to_owned()), Some(5)));
    }

    #[test]
    fn the_codes_of_failures_are_found() {
        let header = header_of(HeaderCodec::Json, ResponseCode::SYSTEM_BUSY.0, 1_000_000_001, "busy");
        let found = Scanner::new().scan(HeaderCodec::Json, &header).unwrap();
        assert_eq!((found.code, found.opaque), (2, 1_000_000_001));
    }
}
