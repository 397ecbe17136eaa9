//! Requests: how one is written, and the typed header of every code that has one, by whom they concern.
//!
//! | file | codes |
//! |---|---|
//! | `send` | 10, 310, 320, 324, 325 and their like: sending and sending back |
//! | `pull` | 11, 361 |

mod pull;
mod send;

use crate::code::RequestCode;
use crate::error::FrameError;
use crate::frame::HeaderCodec;
use crate::header::{self, FieldWriter};
use crate::language::Language;
use crate::version::Version;

pub use pull::PullHeader;
pub use send::{SendBackHeader, SendHeader};

/// The members of a request's header beside its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// What is asked for.
    pub code: RequestCode,
    /// The number that the answer will bear.
    pub opaque: i32,
    /// The sender's release.
    pub version: Version,
    /// The sender's language.
    pub language: Language,
    /// 0, or [`FLAG_ONEWAY`](header::FLAG_ONEWAY) where no answer is wanted.
    pub flag: i32,
}

impl RequestHead {
    /// Makes the head of a request by CueMQ that wants an answer.
    pub const fn new(code: RequestCode, opaque: i32) -> Self {
        Self {
            code,
            opaque,
            version: Version::CUEMQ,
            language: Language::CUEMQ,
            flag: 0,
        }
    }
}

/// Appends a request's frame up to its body, whose `body_length` bytes the caller sends behind it. A frame over the
/// limits is an error that leaves `out` as it was.
pub fn write(
    out: &mut Vec<u8>,
    codec: HeaderCodec,
    head: RequestHead,
    fields: impl FnOnce(&mut FieldWriter<'_>),
    body_length: usize,
) -> Result<(), FrameError> {
    let RequestHead {
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
    header::write_frame(out, codec, head, None, fields, body_length)
}
