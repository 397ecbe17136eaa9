//! Requests: how one is written, and the typed header of every code that has one, by whom they concern.
//!
//! | file | codes |
//! |---|---|
//! | `send` | 10, 310, 320, 324, 325, 326, 36, 370 |
//! | `pull` | 11, 361 |
//! | `offset` | 14, 15, 29-32 |
//! | `query` | 12, 33 |
//! | `client` | 35, 38, 40, 220, 221, 307, 309 |
//! | `transaction` | 37, 39 |
//! | `namesrv` | 100-105, 205, 215, 216, 219, 224, 322, 327 |
//! | `admin` | 17, 202-204, 207, 208, 222, 223, 300, 303, 308, 314, 315, 317, 321, 323, 343, 345, 351, 352 |
//!
//! The other codes have no header; what they carry is in the body.

mod admin;
mod client;
mod namesrv;
mod offset;
mod pull;
mod query;
mod send;
mod transaction;

use crate::code::RequestCode;
use crate::error::FrameError;
use crate::frame::HeaderCodec;
use crate::header::{self, FieldWriter};
use crate::language::Language;
use crate::version::Version;

pub use admin::{
    BrokerConsumeStats, BrokerStats, CloneOffset, ConsumeStats, ConsumeTimeSpan, ConsumerConnections, ConsumerStatus,
    CorrectionOffset, CreateTopic, DeleteGroup, GroupQuery, ProducerConnections, QueryConsumeQueue, ResetOffset,
    ResumeHalfMessage, TopicQuery,
};
pub use client::{
    ClientStatus, ConsumeDirectly, ConsumerList, ConsumersChanged, ResetClientOffset, RunningInfo, Unregister,
};
pub use namesrv::{
    DeleteKv, DeleteTopic, GetKv, KvList, PutKv, QueryDataVersion, RegisterBroker, RouteInfo, TopicsByCluster,
    UnregisterBroker, WritePerm,
};
pub use offset::{EarliestStoreTime, MaxOffset, MinOffset, QueryOffset, SearchOffset, UpdateOffset};
pub use pull::PullHeader;
pub use query::{QueryMessage, ViewMessage};
pub use send::{PushReply, RecallMessage, SendBack, SendHeader};
pub use transaction::{CheckTransaction, EndTransaction};

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
