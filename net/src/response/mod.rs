//! Responses: how one is written, and the typed header of every answer that has one.

mod namesrv;
mod offset;
mod pull;
mod send;

use crate::code::ResponseCode;
use crate::error::FrameError;
use crate::frame::HeaderCodec;
use crate::header::{self, FLAG_RESPONSE, FieldWriter};
use crate::language::Language;
use crate::version::Version;

pub use namesrv::{
    AddWritePermResponse, BrokerConfigResponse, DataVersionResponse, KvResponse, RegisterBrokerResponse,
    WipeWritePermResponse,
};
pub use offset::{OffsetResponse, QueryMessageResponse, StoreTimeResponse};
pub use pull::PullResponse;
pub use send::SendResponse;

/// The members of a response's header beside remark and fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead {
    /// How the request went.
    pub code: ResponseCode,
    /// The request's number.
    pub opaque: i32,
    /// The sender's release.
    pub version: Version,
    /// The sender's language.
    pub language: Language,
    /// [`FLAG_RESPONSE`].
    pub flag: i32,
}

impl ResponseHead {
    /// Makes the head of CueMQ's answer to the request with this opaque.
    pub const fn new(code: ResponseCode, opaque: i32) -> Self {
        Self {
            code,
            opaque,
            version: Version::CUEMQ,
            language: Language::CUEMQ,
            flag: FLAG_RESPONSE,
        }
    }
}

/// Appends a response's frame up to its body, whose `body_length` bytes the caller sends behind it. `fields` adds the
/// extension fields; where it adds none, Java clients of a code with a header class still need
/// [`FieldWriter::present`]. A frame over the limits is an error that leaves `out` as it was.
pub fn write(
    out: &mut Vec<u8>,
    codec: HeaderCodec,
    head: ResponseHead,
    remark: Option<&str>,
    fields: impl FnOnce(&mut FieldWriter<'_>),
    body_length: usize,
) -> Result<(), FrameError> {
    let ResponseHead {
        code,
        opaque,
        version,
        language,
        flag,
    } = head;
    let head = header::Head {
        code: code.0,
        language,
        version,
        opaque,
        flag,
    };
    header::write_frame(out, codec, head, remark, fields, body_length)
}
