//! Request frames that are built once and then only patched: a number that changes keeps its width.
//!
//! A template is built by the same code as any other request, with a mark in the place of each number; the marks are
//! then looked for. A mark that is not there exactly once is an error, so that nothing else can be overwritten.

use anyhow::{Result, bail};
use cuemq_net::code::RequestCode;
use cuemq_net::frame::HeaderCodec;
use cuemq_net::header::FieldWriter;
use cuemq_net::request::{self, RequestHead};
use memchr::memmem;

/// The first opaque in use: all that are have ten digits.
pub(super) const FIRST_OPAQUE: i32 = 1_000_000_000;
/// The opaques in use, from the first on.
pub(super) const OPAQUES: i32 = 1_000_000_000;

/// Where the opaque stands in a binary frame: behind prefix, code, language and version.
const BINARY_OPAQUE: usize = 13;
const MARKED_OPAQUE: i32 = 1_234_554_321;

/// A place of fixed width within a template.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    at: usize,
    width: usize,
}

/// A frame up to its body.
#[derive(Clone, Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    codec: HeaderCodec,
    opaque: Place,
}

impl Template {
    /// Builds a request whose body has `body_length` bytes.
    pub(super) fn build(
        codec: HeaderCodec,
        code: RequestCode,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body_length: usize,
    ) -> Result<Self> {
        let mut bytes = Vec::new();
        request::write(
            &mut bytes,
            codec,
            RequestHead::new(code, MARKED_OPAQUE),
            fields,
            body_length,
        )?;
        let opaque = match codec {
            HeaderCodec::Binary => Place {
                at: BINARY_OPAQUE,
                width: 4,
            },
            HeaderCodec::Json => find(&bytes, &MARKED_OPAQUE.to_string())?,
        };
        Ok(Self { bytes, codec, opaque })
    }

    /// Finds the one place of a mark.
    pub(super) fn find(&self, mark: &str) -> Result<Place> {
        find(&self.bytes, mark)
    }

    /// Sets the opaque, one of those in use.
    pub(super) fn set_opaque(&mut self, opaque: i32) {
        let (codec, slot) = (self.codec, self.slot(self.opaque));
        match codec {
            HeaderCodec::Binary => slot.copy_from_slice(&opaque.to_be_bytes()),
            HeaderCodec::Json => decimal(slot, opaque.unsigned_abs().into()),
        }
    }

    /// Writes a number in decimal digits, zeros in front.
    pub(super) fn set_decimal(&mut self, place: Place, number: u64) {
        decimal(self.slot(place), number);
    }

    /// Writes a number in hexadecimal digits, zeros in front.
    pub(super) fn set_hexadecimal(&mut self, place: Place, number: u64) {
        hexadecimal(self.slot(place), number);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn slot(&mut self, place: Place) -> &mut [u8] {
        &mut self.bytes[place.at..place.at + place.width]
    }
}

fn find(bytes: &[u8], mark: &str) -> Result<Place> {
    let mut found = memmem::find_iter(bytes, mark);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(Place { at, width: mark.len() }),
        _ => bail!("the request holds {mark} elsewhere too: choose another topic, tag or group"),
    }
}

fn decimal(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn hexadecimal(out: &mut [u8], mut number: u64) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    for digit in out.iter_mut().rev() {
        *digit = DIGITS[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_width() {
        let mut out = [b'x'; 6];
        decimal(&mut out, 120);
        assert_eq!(&out, b"000120");
        hexadecimal(&mut out, 0xAF03);
        assert_eq!(&out, b"00AF03");
    }

    #[test]
    fn a_mark_that_stands_twice_is_refused() {
        let fields = |fields: &mut FieldWriter<'_>| {
            fields.text("a", "MARK");
            fields.text("b", "MARK");
        };
        let template = Template::build(HeaderCodec::Json, RequestCode::SEND_MESSAGE_V2, fields, 0).unwrap();
        assert!(template.find("MARK").is_err());
        assert!(template.find("absent").is_err());
        assert!(template.find("\"b\"").is_ok());
    }
}
