//! Reading: the frame that is still arriving, and the memory that it may take.
//!
//! A short frame is completed in the thread's read buffer. A long one is gathered, and once its header is there, what has
//! come of it is counted: a send's bytes in the budget of what waits, those of other requests in theirs. So 20,000
//! connections cannot make the broker hold 16 MiB each, and whoever wants others to find a budget spent has to send as much.
//! When a budget stays spent, the request is refused and the rest of it passed over.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::frame::{self, HeaderCodec, PREFIX_BYTES};
use cuemq_net::header::{self, HeaderScratch};
use tokio::io::ReadBuf;

use super::parked::overload;
use super::request::reply_to;
use super::{Connection, is_send};
use crate::io::budget::Share;
use crate::io::send_context::SendReply;
use crate::io::state::READ_BYTES;
use crate::tls::server::Speech;

/// A frame of up to this length is read with what follows it; what has come of it is at most this much.
const SHORT_BYTES: usize = READ_BYTES / 2;

/// What has come of a frame whose end has not.
#[derive(Default)]
pub(super) struct Arriving {
    partial: Vec<u8>,
    /// What a long frame whose header is there has of its budget: what has come of it.
    share: Option<Share>,
    /// Bytes of a refused frame that are still to come.
    skip: usize,
}

impl Arriving {
    /// The length of a frame that is too long for the read buffer.
    fn long(&self) -> Option<usize> {
        frame::needed(&self.partial).filter(|needed| *needed > SHORT_BYTES)
    }

    /// Bytes of it that no budget counts by themselves.
    pub(super) fn short_bytes(&self) -> usize {
        self.share.as_ref().map_or(self.partial.capacity(), |_| 0)
    }

    /// Bytes of it that its budget counts.
    pub(super) fn long_bytes(&self) -> usize {
        self.share.as_ref().map_or(0, Share::bytes)
    }

    /// Whether the beginning of a frame is there that no budget counts by itself.
    fn is_short(&self) -> bool {
        self.share.is_none() && !self.partial.is_empty()
    }

    /// Whether its budget has no room for more of the frame. One frame alone always has, so that each can come to its end.
    fn lacks_room(&self) -> bool {
        self.share.as_ref().is_some_and(Share::is_crowded)
    }
}

impl Connection {
    /// Whether the rest of a frame is not read until there is room. Where patience has ended it is, and refused if it is long.
    pub(super) fn arriving_waits(&self) -> bool {
        let crowd = || self.peer.is_newcomer() && self.arriving.is_short() && self.idle.is_overdrawn();
        !self.parked.is_busy() && (self.arriving.lacks_room() || crowd())
    }

    /// Notes since when a newcomer's frame waits for room: in the kernel it takes memory as well.
    pub(super) fn note_unread(&self) {
        let unread = &self.peer.unread;
        match (self.peer.is_newcomer() && self.arriving_waits(), unread.get()) {
            (true, None) => unread.set(Some(self.io.clock.monotonic())),
            (false, Some(_)) => unread.set(None),
            _ => {}
        }
    }

    /// Reads once and handles all whole frames.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let (mut buffer, mut scratch) = self.io.take_buffers();
        let outcome = self.read_into(cx, &mut buffer, &mut scratch);
        let outcome = outcome.map(|read| read.and_then(|()| self.weigh(&mut scratch)));
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
        let missing = frame::needed(&self.arriving.partial).map_or(0, |needed| needed.saturating_sub(kept));
        let room = self.appetite.room(missing).min(buffer.len().saturating_sub(kept));
        let length = match ready!(self.read_some(cx, buffer.get_mut(kept..kept + room).unwrap_or_default())) {
            Ok(0) => return Poll::Ready(Ok(())),
            Ok(length) => length,
            Err(reason) => return Poll::Ready(Err(reason)),
        };
        self.appetite.has_read(length);
        self.arriving.partial.clear();
        let bytes = buffer.get(..kept + length).unwrap_or_default();
        Poll::Ready(self.frames(bytes, scratch).map(|rest| self.keep(rest, bytes)))
    }

    /// Gathers a frame that is too long for the shared buffer; memory grows only as bytes come. Before it is counted it reads
    /// the header and no more.
    fn read_long(
        &mut self,
        cx: &mut Context<'_>,
        needed: usize,
        buffer: &mut [u8],
        scratch: &mut HeaderScratch,
    ) -> Poll<Result<(), String>> {
        if self.parked.is_busy() && self.arriving.lacks_room() {
            return Poll::Ready(self.turn_away(needed, scratch));
        }
        let end = if self.arriving.share.is_some() {
            needed
        } else {
            header_end(&self.arriving.partial).unwrap_or(PREFIX_BYTES).min(needed)
        };
        let room = end.saturating_sub(self.arriving.partial.len()).min(buffer.len());
        let length = match ready!(self.read_some(cx, buffer.get_mut(..room).unwrap_or_default())) {
            Ok(0) => return Poll::Ready(Ok(())),
            Ok(length) => length,
            Err(reason) => return Poll::Ready(Err(reason)),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        self.arriving.partial.extend_from_slice(bytes);
        if let Some(share) = &mut self.arriving.share {
            share.grow(length);
        }
        if self.arriving.partial.len() < needed {
            return Poll::Ready(Ok(()));
        }
        let bytes = std::mem::take(&mut self.arriving.partial);
        // It has come: what has to wait of it is counted anew.
        self.arriving.share = None;
        Poll::Ready(self.frames(&bytes, scratch).map(|rest| self.keep(rest, &bytes)))
    }

    /// Begins to count a long frame whose header has just come.
    fn weigh(&mut self, scratch: &mut HeaderScratch) -> Result<(), String> {
        let arriving = &mut self.arriving;
        if arriving.partial.is_empty() {
            return Ok(());
        }
        if self.peer.begun.get().is_none() {
            self.peer.begun.set(Some(self.peer.active.get()));
        }
        let (Some(needed), None) = (arriving.long(), &arriving.share) else {
            return Ok(());
        };
        let (budgets, has_come) = (&self.io.budgets, arriving.partial.len());
        match begun(&arriving.partial, scratch) {
            Ok(None) => {}
            Ok(Some(Begun::Send(_))) => arriving.share = Some(budgets.waiting.share(has_come)),
            Ok(Some(Begun::Other(_))) => arriving.share = Some(budgets.controls.share(has_come)),
            Ok(Some(Begun::Response(opaque))) if self.io.questions.waits_for(self.peer.key, opaque) => {
                arriving.share = Some(budgets.controls.share(has_come));
            }
            // Nobody waits for it.
            Ok(Some(Begun::Response(_))) => self.skip_rest(needed),
            Err(reason) => return Err(self.senseless(&reason)),
        }
        Ok(())
    }

    /// Refuses a request of which not all has come.
    fn turn_away(&mut self, needed: usize, scratch: &mut HeaderScratch) -> Result<(), String> {
        let since = self.peer.begun.get().unwrap_or(self.peer.active.get());
        match begun(&self.arriving.partial, scratch) {
            Ok(Some(Begun::Send(reply))) => self.refuse(&reply, since, (ResponseCode::SYSTEM_BUSY, &self.cause())),
            Ok(Some(Begun::Other(reply))) => {
                let used = self.io.budgets.controls.used();
                let cause = overload(&format!("{used} bytes of requests are being worked on"));
                self.refuse(&reply, since, (ResponseCode::SYSTEM_BUSY, &cause));
            }
            Ok(Some(Begun::Response(opaque))) => self.io.questions.refuse_answer(self.peer.key, opaque),
            Ok(None) => {}
            Err(reason) => return Err(self.senseless(&reason)),
        }
        self.skip_rest(needed);
        Ok(())
    }

    /// Lets go of a long frame, whose rest is passed over.
    fn skip_rest(&mut self, needed: usize) {
        let has_come = self.arriving.partial.len();
        self.arriving = Arriving {
            skip: needed.saturating_sub(has_come),
            ..Arriving::default()
        };
        self.peer.begun.set(None);
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
        if self.speech.is_none() && length > 0 {
            match self.greet(target.filled()) {
                Ok(Speech::Plain) => {}
                Ok(Speech::Tls) => return self.read_some(cx, room),
                Err(reason) => return Poll::Ready(Err(reason)),
            }
        }
        if length == 0 {
            self.half_closed = true;
        } else {
            self.peer.active.set(self.io.clock.monotonic());
        }
        Poll::Ready(Ok(length))
    }

    /// The time in which the broker does not read does not count against the frame that is arriving.
    pub(super) fn arriving_stands_still(&self) {
        self.peer.begun.set(None);
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
    /// A send, and how it is answered.
    Send(SendReply),
    /// Another request.
    Other(SendReply),
    /// An answer, to the question with this number.
    Response(i32),
}

/// Reads the beginning of a frame that is not complete; `None` where not even its header is.
fn begun(partial: &[u8], scratch: &mut HeaderScratch) -> Result<Option<Begun>, String> {
    // This checks the lengths and the codec in its prefix.
    frame::check(partial, frame::MAX_FRAME_BYTES).map_err(|error| error.to_string())?;
    let Some(header) = header_end(partial).and_then(|end| partial.get(PREFIX_BYTES..end)) else {
        return Ok(None);
    };
    let codec = partial.get(4).copied().and_then(HeaderCodec::from_number);
    let codec = codec.unwrap_or_default();
    let view = header::parse(codec, header, scratch).map_err(|error| error.to_string())?;
    Ok(Some(if view.is_response() {
        Begun::Response(view.opaque)
    } else if is_send(RequestCode(view.code)) {
        Begun::Send(reply_to(&view, codec))
    } else {
        Begun::Other(reply_to(&view, codec))
    }))
}

/// The length of a frame's prefix and header, once the prefix has come.
fn header_end(partial: &[u8]) -> Option<usize> {
    let [_, _, _, _, _, high, middle, low] = *partial.first_chunk::<PREFIX_BYTES>()?;
    Some(PREFIX_BYTES + u32::from_be_bytes([0, high, middle, low]) as usize)
}
