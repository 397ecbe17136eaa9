//! A whole command in memory of its own: for cold paths, clients and tests (Java's `RemotingCommand`).
//!
//! The hot path reads a [`HeaderView`] and writes by [`response::write`](crate::response::write) instead.

use bytes::Bytes;

use crate::code::{RequestCode, ResponseCode};
use crate::error::{DecodeError, FrameError};
use crate::frame::{self, HeaderCodec, MAX_FRAME_BYTES};
use crate::header::{self, FLAG_ONEWAY, FLAG_RESPONSE, FieldTable, FieldWriter, HeaderScratch, HeaderView};
use crate::language::Language;
use crate::version::Version;

/// Extension fields in the order in which they were set, each key once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The value of a field.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Sets a field, in the place of an earlier one with the same key.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// All fields, as key and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A request or response with its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// How the header is, or will be, encoded.
    pub codec: HeaderCodec,
    /// The request or response code.
    pub code: i32,
    /// The sender's language; an unknown one is written as OTHER.
    pub language: Option<Language>,
    /// The sender's release.
    pub version: Version,
    /// The number that matches a response to its request.
    pub opaque: i32,
    /// [`FLAG_RESPONSE`] and [`FLAG_ONEWAY`].
    pub flag: i32,
    /// A text for people.
    pub remark: Option<String>,
    /// The extension fields.
    pub fields: Fields,
    /// The body; empty when there is none.
    pub body: Bytes,
}

impl Command {
    /// Makes a request by CueMQ, in JSON, with opaque 0 for the sender to replace.
    pub fn request(code: RequestCode) -> Self {
        Self {
            codec: HeaderCodec::Json,
            code: code.0,
            language: Some(Language::CUEMQ),
            version: Version::CUEMQ,
            opaque: 0,
            flag: 0,
            remark: None,
            fields: Fields::default(),
            body: Bytes::new(),
        }
    }

    /// Makes CueMQ's answer to a request, in the request's encoding.
    pub fn response_to(request: &Self, code: ResponseCode) -> Self {
        Self {
            codec: request.codec,
            code: code.0,
            opaque: request.opaque,
            flag: FLAG_RESPONSE,
            ..Self::request(RequestCode(code.0))
        }
    }

    /// Sets an extension field.
    #[must_use]
    pub fn with_field(mut self, key: &str, value: impl ToString) -> Self {
        self.fields.set(key, value.to_string());
        self
    }

    /// Sets the fields of a typed header: `with_header(|fields| header.write(fields))`.
    #[must_use]
    pub fn with_header(mut self, write: impl FnOnce(&mut FieldWriter<'_>)) -> Self {
        write(&mut FieldWriter::to_memory(&mut self.fields));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the remark.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// Sets the header's encoding.
    #[must_use]
    pub fn with_codec(mut self, codec: HeaderCodec) -> Self {
        self.codec = codec;
        self
    }

    /// Forbids an answer.
    #[must_use]
    pub fn oneway(mut self) -> Self {
        self.flag |= FLAG_ONEWAY;
        self
    }

    /// Whether this is an answer.
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether the sender forbids an answer.
    pub fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }

    /// Lends the header, from which the typed headers read their fields.
    pub fn view(&self) -> HeaderView<'_> {
        HeaderView {
            code: self.code,
            language: self.language,
            version: self.version.0,
            opaque: self.opaque,
            flag: self.flag,
            remark: self.remark.as_deref(),
            fields: FieldTable::of_texts(&self.fields.0),
        }
    }

    /// Copies a header that was read, and takes the body.
    pub fn from_view(codec: HeaderCodec, view: &HeaderView<'_>, body: Bytes) -> Self {
        let mut fields = Fields::default();
        for (key, value) in view.fields {
            fields.set(String::from_utf8_lossy(key), String::from_utf8_lossy(value));
        }
        Self {
            codec,
            code: view.code,
            language: view.language,
            version: Version(view.version),
            opaque: view.opaque,
            flag: view.flag,
            remark: view.remark.map(str::to_owned),
            fields,
            body,
        }
    }

    /// Reads the frame at the start of `frame`; the body shares its memory.
    pub fn decode(frame: &Bytes) -> Result<Self, DecodeError> {
        let Some(parts) = frame::check(frame, MAX_FRAME_BYTES)? else {
            return Err(DecodeError::Incomplete { had: frame.len() });
        };
        let mut scratch = HeaderScratch::new();
        let header = frame.slice(parts.header);
        let view = header::parse(parts.codec, &header, &mut scratch)?;
        Ok(Self::from_view(parts.codec, &view, frame.slice(parts.body)))
    }

    /// Appends the whole frame. A code or key that does not fit the binary encoding makes it JSON. A frame over the
    /// limits is an error that leaves `out` as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.encode_as(self.opaque, self.flag, out)
    }

    /// Appends the whole frame with another opaque and flag.
    pub(crate) fn encode_as(&self, opaque: i32, flag: i32, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let head = header::Head {
            code: self.code,
            language: self.language.unwrap_or(Language::Other),
            version: self.version,
            opaque,
            flag,
        };
        let keys_fit = self.fields.iter().all(|(key, _)| i16::try_from(key.len()).is_ok());
        let codec = if keys_fit { self.codec } else { HeaderCodec::Json };
        let remark = self.remark.as_deref();
        let write = |fields: &mut FieldWriter<'_>| {
            for (key, value) in self.fields.iter() {
                fields.text(key, value);
            }
        };
        header::write_frame(out, codec, head, remark, write, self.body.len())?;
        out.extend_from_slice(&self.body);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::MaxOffset;

    fn round(command: &Command) -> Command {
        let mut out = Vec::new();
        command.encode(&mut out).unwrap();
        Command::decode(&out.into()).unwrap()
    }

    #[test]
    fn a_command_survives_either_encoding() {
        for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
            let command = Command::request(RequestCode::PULL_MESSAGE)
                .with_codec(codec)
                .with_field("queueId", -1)
                .with_field("queueId", 3)
                .with_field("properties", "a\u{1}b\u{2}😀")
                .with_remark("why \"not\"")
                .with_body("body")
                .oneway();
            assert_eq!(round(&command), command);
            assert_eq!(command.fields.get("queueId"), Some("3"));
            assert_eq!(
                Command::from_view(codec, &command.view(), command.body.clone()),
                command
            );
        }
    }

    #[test]
    fn an_answer_bears_the_requests_number_and_encoding() {
        let mut request = Command::request(RequestCode::HEART_BEAT).with_codec(HeaderCodec::Binary);
        request.opaque = 77;
        let answer = Command::response_to(&request, ResponseCode::SUCCESS);
        assert_eq!((answer.opaque, answer.codec, answer.code), (77, HeaderCodec::Binary, 0));
        assert!(answer.is_response() && !answer.is_oneway());
    }

    #[test]
    fn a_typed_header_becomes_fields() {
        let header = MaxOffset {
            topic: "T",
            queue_id: 3,
            committed: Some(true),
        };
        let command = Command::request(RequestCode::GET_MAX_OFFSET).with_header(|fields| header.write(fields));
        let fields: Vec<_> = command.fields.iter().collect();
        assert_eq!(fields, [("topic", "T"), ("queueId", "3"), ("committed", "true")]);
    }

    #[test]
    fn a_key_too_long_for_the_binary_encoding_goes_out_as_json() {
        let command = Command::request(RequestCode::HEART_BEAT)
            .with_codec(HeaderCodec::Binary)
            .with_field(&"k".repeat(40_000), "v");
        assert_eq!(round(&command), command.clone().with_codec(HeaderCodec::Json));
    }

    #[test]
    fn a_cut_frame_is_incomplete() {
        let mut out = Vec::new();
        Command::request(RequestCode::HEART_BEAT).encode(&mut out).unwrap();
        out.pop();
        let had = out.len();
        assert_eq!(Command::decode(&out.into()), Err(DecodeError::Incomplete { had }));
    }
}
