//! The header of a command: what it asks or answers, and its extension fields, in either of two encodings.
//!
//! Reading borrows: a [`HeaderView`] points into the frame, and what had to be unescaped lies in a [`HeaderScratch`] that
//! the reader keeps. Nothing is allocated once the scratch has grown to the longest header seen. Writing goes straight into the output buffer ([`FieldWriter`]).
//! Mirrors `RemotingCommand`, `RemotingSerializable` and `RocketMQSerializable`.
#![deny(clippy::indexing_slicing)]

mod binary;
pub(crate) mod field;
mod json;
mod room;
mod table;
mod write;

pub use crate::error::HeaderError;
use crate::frame::HeaderCodec;
use crate::language::Language;
use room::Room;
pub use table::{FieldIter, FieldTable};
pub use write::FieldWriter;
pub(crate) use write::{Head, frame as write_frame};

/// The longest header that is accepted. The properties of a message may take 32 KiB, and JSON can blow each byte up to
/// six.
pub const MAX_HEADER_BYTES: usize = 256 * 1024;

/// The most extension fields that a header may have.
pub const MAX_FIELDS: usize = 256;

/// How deep a JSON header may be nested; the known members need two levels.
pub const MAX_DEPTH: usize = 32;

/// The bit of `flag` that every response has set.
pub const FLAG_RESPONSE: i32 = 1;

/// The bit of `flag` by which a sender forbids any reply.
pub const FLAG_ONEWAY: i32 = 2;

/// Memory that outlives one header: the fields of a JSON header without their escapes. One per reader, used again and
/// again.
#[derive(Debug, Default)]
pub struct HeaderScratch {
    /// As long as the longest JSON header so far may take.
    room: Vec<u8>,
}

impl HeaderScratch {
    /// Makes an empty scratch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lends at least `bytes` bytes.
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        if self.room.len() < bytes {
            self.room.resize(bytes, 0);
        }
        &mut self.room
    }
}

/// A header that was read, borrowed from the frame and the scratch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// The request or response code.
    pub code: i32,
    /// The sender's language; `None` for one that is in no table.
    pub language: Option<Language>,
    /// The sender's release number, see [`Version`](crate::version::Version).
    pub version: i32,
    /// The number that matches a response to its request; unique only for its sender.
    pub opaque: i32,
    /// [`FLAG_RESPONSE`] and [`FLAG_ONEWAY`].
    pub flag: i32,
    /// A text for people, mostly the reason of a failure.
    pub remark: Option<&'a str>,
    /// The extension fields.
    pub fields: FieldTable<'a>,
}

impl<'a> HeaderView<'a> {
    /// Whether this answers a request of ours.
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether the sender forbids a reply.
    pub fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }
}

/// Reads a header of the given encoding.
pub fn parse<'a>(
    codec: HeaderCodec,
    bytes: &'a [u8],
    scratch: &'a mut HeaderScratch,
) -> Result<HeaderView<'a>, HeaderError> {
    match codec {
        HeaderCodec::Json => json::parse(bytes, scratch.room(Room::for_json(bytes.len()))),
        HeaderCodec::Binary => binary::parse(bytes),
    }
}

/// Checks that bytes are text.
#[inline]
fn text(bytes: &[u8]) -> Result<&str, HeaderError> {
    std::str::from_utf8(bytes).map_err(|error| HeaderError::NotUtf8 {
        at: error.valid_up_to(),
    })
}
