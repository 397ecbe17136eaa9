//! Writes a frame's prefix and header straight into the output, in either encoding, without allocating.
//!
//! JSON members stand in the order in which Java's fastjson puts them: code, extFields, flag, language, opaque, remark,
//! serializeTypeCurrentRPC, version. The layout of the binary form stands in `binary.rs`.

use super::MAX_HEADER_BYTES;
use crate::command::Fields;
use crate::error::FrameError;
use crate::frame::{HeaderCodec, MAX_FRAME_BYTES, PREFIX_BYTES};
use crate::language::Language;
use crate::version::Version;

/// The members that every header has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) code: i32,
    pub(crate) language: Language,
    pub(crate) version: Version,
    pub(crate) opaque: i32,
    pub(crate) flag: i32,
}

/// Appends prefix and header of a frame whose body of `body_length` bytes the caller sends behind it. A code beyond 16
/// bits does not fit the binary form and goes out as JSON, since receivers look at each frame's codec. A frame or header
/// over the limits is an error that leaves `out` as it was.
pub(crate) fn frame(
    out: &mut Vec<u8>,
    codec: HeaderCodec,
    head: Head,
    remark: Option<&str>,
    fields: impl FnOnce(&mut FieldWriter<'_>),
    body_length: usize,
) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    let codec = match (codec, i16::try_from(head.code), i16::try_from(head.version.0)) {
        (HeaderCodec::Binary, Ok(code), Ok(version)) => {
            binary(out, code, version, head, remark, fields);
            HeaderCodec::Binary
        }
        _ => {
            json(out, head, remark, fields);
            HeaderCodec::Json
        }
    };
    let sealed = seal(out, start, codec, body_length);
    if sealed.is_err() {
        out.truncate(start);
    }
    sealed
}

/// Fills in the lengths of the frame that begins at `start`.
fn seal(out: &mut [u8], start: usize, codec: HeaderCodec, body_length: usize) -> Result<(), FrameError> {
    let header = out.len() - start - PREFIX_BYTES;
    if header > MAX_HEADER_BYTES {
        return Err(FrameError::HeaderTooLarge {
            header,
            limit: MAX_HEADER_BYTES,
        });
    }
    let total = (PREFIX_BYTES + header).saturating_add(body_length);
    if total > MAX_FRAME_BYTES {
        return Err(FrameError::TooLarge {
            announced: total as u64,
            limit: MAX_FRAME_BYTES,
        });
    }
    // both fit 24 bits, by the limits above
    let length = (total - 4) as u32;
    let word = u32::from(codec.number()) << 24 | header as u32;
    if let Some(prefix) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<PREFIX_BYTES>) {
        *prefix = (u64::from(length) << 32 | u64::from(word)).to_be_bytes();
    }
    Ok(())
}

fn json(out: &mut Vec<u8>, head: Head, remark: Option<&str>, fields: impl FnOnce(&mut FieldWriter<'_>)) {
    out.extend_from_slice(b"{\"code\":");
    digits(out, head.code.into());
    out.push(b',');
    let mut writer = FieldWriter(Sink::Json {
        out,
        object: Object::Absent,
    });
    fields(&mut writer);
    if let Sink::Json {
        object: Object::Empty | Object::Filled,
        ..
    } = writer.0
    {
        out.extend_from_slice(b"},");
    }
    out.extend_from_slice(b"\"flag\":");
    digits(out, head.flag.into());
    out.extend_from_slice(b",\"language\":\"");
    out.extend_from_slice(head.language.name().as_bytes());
    out.extend_from_slice(b"\",\"opaque\":");
    digits(out, head.opaque.into());
    if let Some(remark) = remark {
        out.extend_from_slice(b",\"remark\":");
        quoted(out, remark);
    }
    out.extend_from_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    digits(out, head.version.0.into());
    out.push(b'}');
}

fn binary(
    out: &mut Vec<u8>,
    code: i16,
    version: i16,
    head: Head,
    remark: Option<&str>,
    fields: impl FnOnce(&mut FieldWriter<'_>),
) {
    out.extend_from_slice(&code.to_be_bytes());
    out.push(head.language.number());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&head.opaque.to_be_bytes());
    out.extend_from_slice(&head.flag.to_be_bytes());
    sized(out, remark.unwrap_or_default());
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    fields(&mut FieldWriter(Sink::Binary(out)));
    let length = (out.len() - start - 4) as u32;
    if let Some(place) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<4>) {
        *place = length.to_be_bytes();
    }
}

/// Adds extension fields to a header that is being written, or to a [`Command`](crate::command::Command). A key must be
/// shorter than 32 KiB.
#[derive(Debug)]
pub struct FieldWriter<'o>(Sink<'o>);

#[derive(Debug)]
enum Sink<'o> {
    Json { out: &'o mut Vec<u8>, object: Object },
    Binary(&'o mut Vec<u8>),
    Memory(&'o mut Fields),
}

/// How far the JSON object of fields has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Object {
    Absent,
    Empty,
    Filled,
}

impl<'o> FieldWriter<'o> {
    /// Makes a writer that sets fields in memory.
    pub(crate) fn to_memory(fields: &'o mut Fields) -> Self {
        Self(Sink::Memory(fields))
    }

    /// Makes the object of fields appear even if no field follows, as Java does for codes that have a header class.
    pub fn present(&mut self) {
        if let Sink::Json { out, object } = &mut self.0 {
            open(out, object);
        }
    }

    /// Adds a text.
    pub fn text(&mut self, key: &str, value: &str) {
        match &mut self.0 {
            Sink::Json { out, object } => {
                json_key(out, object, key);
                quoted(out, value);
            }
            Sink::Binary(out) => {
                binary_key(out, key);
                sized(out, value);
            }
            Sink::Memory(fields) => fields.set(key, value),
        }
    }

    /// Adds a number; like all fields it travels as text.
    pub fn number(&mut self, key: &str, value: i64) {
        self.plain(key, itoa::Buffer::new().format(value));
    }

    /// Adds `true` or `false`.
    pub fn boolean(&mut self, key: &str, value: bool) {
        self.plain(key, if value { "true" } else { "false" });
    }

    /// Adds a value that needs no escapes.
    fn plain(&mut self, key: &str, value: &str) {
        if let Sink::Json { out, object } = &mut self.0 {
            json_key(out, object, key);
            out.push(b'"');
            out.extend_from_slice(value.as_bytes());
            out.push(b'"');
        } else {
            self.text(key, value);
        }
    }
}

fn open(out: &mut Vec<u8>, object: &mut Object) {
    if *object == Object::Absent {
        *object = Object::Empty;
        out.extend_from_slice(b"\"extFields\":{");
    }
}

fn json_key(out: &mut Vec<u8>, object: &mut Object, key: &str) {
    open(out, object);
    if *object == Object::Filled {
        out.push(b',');
    }
    *object = Object::Filled;
    quoted(out, key);
    out.push(b':');
}

fn binary_key(out: &mut Vec<u8>, key: &str) {
    debug_assert!(i16::try_from(key.len()).is_ok(), "a key of {} bytes", key.len());
    out.extend_from_slice(&(key.len() as u16).to_be_bytes());
    out.extend_from_slice(key.as_bytes());
}

fn digits(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a text behind its length; a longer one than 4 GiB cannot pass the limit on headers, whatever stands here.
fn sized(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends a JSON string: quotes, backslashes and control characters are escaped, all else stays as it is.
fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // without a way out of the loop it is done many bytes at a time
    if text.bytes().fold(false, |found, byte| found | needs_escape(byte)) {
        escaped(out, text.as_bytes());
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

#[inline]
fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn escaped(out: &mut Vec<u8>, mut rest: &[u8]) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    while let Some(found) = rest.iter().position(|&byte| needs_escape(byte)) {
        let (clean, tail) = rest.split_at(found);
        out.extend_from_slice(clean);
        let Some((&byte, tail)) = tail.split_first() else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digit = |digit: u8| HEX.get(usize::from(digit)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head {
        code: 0,
        language: Language::Other,
        version: Version::CUEMQ,
        opaque: 7,
        flag: 1,
    };

    fn json_of(remark: Option<&str>, fields: impl FnOnce(&mut FieldWriter<'_>)) -> String {
        let mut out = Vec::new();
        frame(&mut out, HeaderCodec::Json, HEAD, remark, fields, 0).unwrap();
        String::from_utf8(out[PREFIX_BYTES..].to_vec()).unwrap()
    }

    #[test]
    fn members_stand_in_javas_order() {
        let text = json_of(Some("FOUND"), |fields| {
            fields.text("topic", "T");
            fields.number("offset", -1);
            fields.boolean("on", true);
        });
        assert_eq!(
            text,
            r#"{"code":0,"extFields":{"topic":"T","offset":"-1","on":"true"},"flag":1,"language":"OTHER","opaque":7,"remark":"FOUND","serializeTypeCurrentRPC":"JSON","version":409}"#
        );
    }

    #[test]
    fn the_empty_object_of_fields_appears_only_when_asked_for() {
        assert!(!json_of(None, |_| ()).contains("extFields"));
        assert!(json_of(None, |fields| fields.present()).contains(r#","extFields":{},"#));
        assert!(
            json_of(None, |fields| {
                fields.present();
                fields.number("n", 1);
            })
            .contains(r#","extFields":{"n":"1"},"#)
        );
    }

    #[test]
    fn strings_are_escaped() {
        let text = json_of(Some("\"\\\n\u{1}\u{1f}é"), |_| ());
        assert!(text.contains(r#""remark":"\"\\\n\u0001\u001Fé""#), "{text}");
    }

    #[test]
    fn the_prefix_counts_header_and_body() {
        let mut out = b"before".to_vec();
        frame(
            &mut out,
            HeaderCodec::Binary,
            HEAD,
            None,
            |fields| fields.text("k", "v"),
            100,
        )
        .unwrap();
        let header = 2 + 1 + 2 + 4 + 4 + 4 + 4 + (2 + 1 + 4 + 1);
        assert_eq!(out.len(), 6 + 8 + header);
        assert_eq!(out[6..10], (4 + header as u32 + 100).to_be_bytes());
        assert_eq!(out[10..14], (1 << 24 | header as u32).to_be_bytes());
    }

    #[test]
    fn a_code_beyond_16_bits_goes_out_as_json() {
        let mut out = Vec::new();
        frame(
            &mut out,
            HeaderCodec::Binary,
            Head { code: 200_050, ..HEAD },
            None,
            |_| (),
            0,
        )
        .unwrap();
        assert_eq!(out[4], 0);
        assert!(String::from_utf8_lossy(&out).contains("\"code\":200050,"));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_and_leaves_nothing_behind() {
        let mut out = b"before".to_vec();
        let refused = frame(&mut out, HeaderCodec::Json, HEAD, None, |_| (), usize::MAX);
        assert!(matches!(refused, Err(FrameError::TooLarge { .. })));
        let long = "x".repeat(MAX_HEADER_BYTES);
        let refused = frame(&mut out, HeaderCodec::Binary, HEAD, Some(&long), |_| (), 0);
        assert!(matches!(refused, Err(FrameError::HeaderTooLarge { .. })));
        assert_eq!(out, b"before");
    }
}
