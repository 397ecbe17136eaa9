//! A request on its way through its connection's task: where the parts of its frame lie in the read buffer, or in the frame
//! that was held back. It is copied out of there only when it has to wait.

use std::time::Duration;

use cuemq_net::code::RequestCode;
use cuemq_net::frame::{Frame, HeaderCodec};
use cuemq_net::header::HeaderView;

use crate::io::send_context::SendReply;

/// A request as it lies in its frame.
#[derive(Clone, Copy)]
pub(super) struct Request<'a, 'h> {
    pub(super) view: &'a HeaderView<'h>,
    /// The header's encoding.
    pub(super) codec: HeaderCodec,
    pub(super) body: &'a [u8],
    /// All of its frame.
    pub(super) whole: &'a [u8],
    /// When it was read, by the monotonic clock.
    pub(super) read_at: Duration,
}

impl<'a, 'h> Request<'a, 'h> {
    /// The request with this header in a frame of which `whole` are the bytes.
    pub(super) fn new(view: &'a HeaderView<'h>, frame: &Frame, whole: &'a [u8], read_at: Duration) -> Self {
        Self {
            view,
            codec: frame.codec,
            body: whole.get(frame.body.clone()).unwrap_or_default(),
            whole,
            read_at,
        }
    }

    /// What an answer needs of it.
    pub(super) fn reply(&self) -> SendReply {
        reply_to(self.view, self.codec)
    }
}

/// What an answer needs of a request of which only the header is there.
pub(super) fn reply_to(view: &HeaderView<'_>, codec: HeaderCodec) -> SendReply {
    let (opaque, oneway) = (view.opaque, view.is_oneway());
    SendReply {
        opaque,
        request: RequestCode(view.code),
        codec,
        oneway,
        queue_id: 0,
        first: 0,
        records: 0,
    }
}
