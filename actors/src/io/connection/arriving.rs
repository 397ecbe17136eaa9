//! Reading: the frame that is still arriving, and the memory that it may take.
//!
//! A short frame is completed in the thread's read buffer. A long one is gathered, and its whole length is taken of the
//! budget of what waits before the rest is read, so that 20,000 connections cannot make the broker hold 16 MiB each. When
//! that budget stays spent, a send's header is read alone, the send is refused, and its body is passed over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::frame::{self, HeaderCodec, PREFIX_BYTES};
use cuemq_net::header::{self, HeaderScratch};
use tokio::io::ReadBuf;

use super::{Connection, is_send};
use crate::io::budget::{Budget, Share};
use crate::io::send_context::SendReply;
use crate::io::state::READ_BYTES;

/// A frame of up to this length is read with what follows it; what has come of it is at most this much.
const SHORT_BYTES: usize = READ_BYTES / 2;

/// What has come of a frame whose end has not.
#[derive(Default)]
pub(super) struct Arriving {
    partial: Vec<u8>,
    /// A long frame's share of what may wait.
    share: Option<Share>,
    /// Bytes of a refused frame that are still to come.
    skip: usize,
}

impl Arriving {
    /// The length of a frame that is too long for the read buffer.
    fn long(&self) -> Option<usize> {
        frame::needed(&self.partial).filter(|needed| *needed > SHORT_BYTES)
    }

    /// Whether the rest of the frame may be read: a long one's length is taken of the budget first. Where patience has
    /// ended, its header is read in any case.
    pub(super) fn admit(&mut self, waiting: &Arc<Budget>, busy: bool) -> bool {
        let Some(needed) = self.long().filter(|_| self.share.is_none()) else {
            return true;
        };
        if !waiting.is_spent() {
            self.share = Some(waiting.share(needed));
            return true;
        }
        busy
    }

    /// Whether the frame waits to be admitted.
    pub(super) fn waits(&self, busy: bool) -> bool {
        self.share.is_none() && !busy && self.long().is_some()
    }
}

impl Connection {
    /// Reads once and handles all whole frames.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let (mut buffer, mut scratch) = self.io.take_buffers();
        let outcome = self.read_into(cx, &mut buffer, &mut scratch);
        self.io.return_buffers(buffer, scratch);
        self.submit(true);
        outcome
    }

    fn read_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        scratch: &mut HeaderScratch,
    ) -> Poll<Result<(), String>> {
        if self.arriving.skip > 0 {
            return self.pass_over(cx, buffer);
        }
        if let Some(needed) = self.arriving.long() {
            return self.read_long(cx, needed, buffer, scratch);
        }
        let kept = self.arriving.partial.len();
        if let Some(place) = buffer.get_mut(..kept) {
            place.copy_from_slice(&self.arriving.partial);
        }
        let length = match ready!(self.read_some(cx, buffer.get_mut(kept..).unwrap_or_default())) {
            Ok(0) => return Poll::Ready(Ok(())),
            Ok(length) => length,
            Err(reason) => return Poll::Ready(Err(reason)),
        };
        self.arriving.partial.clear();
        let bytes = buffer.get(..kept + length).unwrap_or_default();
        Poll::Ready(self.frames(bytes, scratch).map(|rest| self.keep(rest, bytes)))
    }

    /// Gathers a frame that is too long for the shared buffer; memory grows only as bytes come. Without a share of the
    /// budget it reads the header and no more.
    fn read_long(
        &mut self,
        cx: &mut Context<'_>,
        needed: usize,
        buffer: &mut [u8],
        scratch: &mut HeaderScratch,
    ) -> Poll<Result<(), String>> {
        let end = if self.arriving.share.is_some() {
            needed
        } else {
            header_end(&self.arriving.partial).unwrap_or(PREFIX_BYTES).min(needed)
        };
        let missing = end.saturating_sub(self.arriving.partial.len());
        if missing > 0 {
            let room = missing.min(buffer.len());
            let length = match ready!(self.read_some(cx, buffer.get_mut(..room).unwrap_or_default())) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(length) => length,
                Err(reason) => return Poll::Ready(Err(reason)),
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            self.arriving.partial.extend_from_slice(bytes);
            if length < missing {
                return Poll::Ready(Ok(()));
            }
        }
        if self.arriving.share.is_none() {
            return Poll::Ready(self.turn_away(needed, scratch));
        }
        let bytes = std::mem::take(&mut self.arriving.partial);
        // It has come: what has to wait of it is counted anew.
        self.arriving.share = None;
        Poll::Ready(self.frames(&bytes, scratch).map(|rest| self.keep(rest, &bytes)))
    }

    /// Refuses a send of which nothing but the header has come; a request of another kind is taken all the same.
    fn turn_away(&mut self, needed: usize, scratch: &mut HeaderScratch) -> Result<(), String> {
        match begun(&self.arriving.partial, scratch) {
            Ok(Begun::Header) => {}
            Ok(Begun::Other) => self.arriving.share = Some(self.io.budgets.waiting.share(needed)),
            Ok(Begun::Send(reply)) => {
                self.refuse(&reply, ResponseCode::SYSTEM_BUSY, &self.cause());
                self.arriving.skip = needed.saturating_sub(self.arriving.partial.len());
                self.arriving.partial = Vec::new();
                self.peer.begun.set(None);
            }
            Err(reason) => return Err(self.senseless(&reason)),
        }
        Ok(())
    }

    /// Reads what is left of a refused frame.
    fn pass_over(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<(), String>> {
        let room = self.arriving.skip.min(buffer.len());
        self.read_some(cx, buffer.get_mut(..room).unwrap_or_default())
            .map_ok(|length| self.arriving.skip -= length)
    }

    /// Reads into `room`; 0 bytes are the end of the stream, which ends the connection, at once or after what is owed.
    fn read_some(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<Result<usize, String>> {
        let mut target = ReadBuf::new(room);
        if let Err(error) = ready!(Pin::new(&mut *self.stream).poll_read(cx, &mut target)) {
            return Poll::Ready(Err(error.to_string()));
        }
        let length = target.filled().len();
        if length == 0 {
            self.half_closed = true;
        } else {
            self.peer.active.set(self.io.clock.monotonic());
        }
        Poll::Ready(Ok(length))
    }

    /// The time in which the broker does not read does not count against the frame that is arriving.
    pub(super) fn arriving_stands_still(&self) {
        if self.peer.begun.get().is_some() {
            self.peer.begun.set(Some(self.io.clock.monotonic()));
        }
    }

    /// Keeps the beginning of a frame, and notes when it came.
    fn keep(&mut self, rest: usize, bytes: &[u8]) {
        match bytes.get(rest..) {
            Some(left) if !left.is_empty() => {
                self.arriving.partial.extend_from_slice(left);
                if rest > 0 || self.peer.begun.get().is_none() {
                    self.peer.begun.set(Some(self.peer.active.get()));
                }
            }
            _ => {
                self.arriving.partial = Vec::new();
                self.peer.begun.set(None);
            }
        }
    }
}

/// What the beginning of a frame is.
enum Begun {
    /// Not even its header is complete.
    Header,
    /// A send, and how it is answered.
    Send(SendReply),
    /// Something else.
    Other,
}

fn begun(partial: &[u8], scratch: &mut HeaderScratch) -> Result<Begun, String> {
    // The frame is not complete; this checks the lengths and the codec in its prefix.
    frame::check(partial, frame::MAX_FRAME_BYTES).map_err(|error| error.to_string())?;
    let Some(header) = header_end(partial).and_then(|end| partial.get(PREFIX_BYTES..end)) else {
        return Ok(Begun::Header);
    };
    let codec = partial
        .get(4)
        .copied()
        .and_then(HeaderCodec::from_number)
        .unwrap_or_default();
    let view = header::parse(codec, header, scratch).map_err(|error| error.to_string())?;
    if view.is_response() || !is_send(RequestCode(view.code)) {
        return Ok(Begun::Other);
    }
    Ok(Begun::Send(SendReply {
        opaque: view.opaque,
        codec,
        oneway: view.is_oneway(),
        queue_id: 0,
        first: 0,
        records: 0,
    }))
}

/// The length of a frame's prefix and header, once the prefix has come.
fn header_end(partial: &[u8]) -> Option<usize> {
    let [_, _, _, _, _, high, middle, low] = *partial.first_chunk::<PREFIX_BYTES>()?;
    Some(PREFIX_BYTES + u32::from_be_bytes([0, high, middle, low]) as usize)
}
