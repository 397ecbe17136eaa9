//! One connection: a task, not an actor. Send path, step 2 of 7, and step 7: reads what is there, cuts it into frames, lets
//! sends and pulls be handled on the spot and hands the rest to the router; writes what its outbox holds, once per turn.
//!
//! It stops reading while too many of its bytes are under way: the client then feels TCP's back-pressure. An idle
//! connection holds no buffer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::{self, Frame, MAX_FRAME_BYTES};
use cuemq_net::header::{self, HeaderScratch, HeaderView};
use tokio::io::ReadBuf;
use tokio::time::{Sleep, sleep};

use super::egress::{Door, Serve};
use super::peer_table::{Again, Peer};
use super::send::{self, Refusal, SendRequest};
use super::send_context::{SendBatch, SendReply};
use super::state::{BrokerSide, IoState, READ_BYTES};
use super::{pull, send_answer};
use crate::commit_log::AppendBatch;
use crate::net::Stream;
use crate::supervise::Guarded;

/// Bytes of sends that one connection may have under way.
const IN_FLIGHT_MAX: usize = 16 << 20;
/// Requests of one connection that other actors may be working on.
const CONTROLS_MAX: usize = 1024;
/// While more than this waits to be written, nothing is read.
const OUTBOX_MAX: usize = 4 << 20;
/// How long TCP's back-pressure lasts before a sender is told that the broker is busy: a quarter of a client's 3 s.
const PATIENCE: Duration = Duration::from_millis(750);
/// How often a connection that the budget holds back looks whether other threads have given some of it back.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often a connection reads in one turn before others get theirs.
const READS_PER_TURN: usize = 4;

/// Starts the task of a connection.
pub fn spawn(io: Rc<IoState>, serve: Serve) {
    drop(actix_rt::spawn(async move {
        let Serve { accepted, door, permit } = serve;
        let stream = match accepted.into_stream() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "an accepted connection cannot be served");
                return;
            }
        };
        let Ok(remote) = stream.peer_addr() else { return };
        let peer = io.peers.borrow_mut().insert(remote, io.clock.monotonic());
        tracing::debug!(%remote, ?door, "connected");
        // Boxed once: a future that takes its state by value keeps room for it twice.
        let connection = Box::new(Connection::new(Rc::clone(&io), Rc::clone(&peer), stream, door));
        let reason = match Guarded::new(connection.run()).await {
            Ok(reason) => reason,
            Err(panicked) => {
                tracing::error!(%remote, %panicked, "a connection has failed");
                panicked.to_string()
            }
        };
        tracing::debug!(%remote, ?door, %reason, "disconnected");
        io.peers.borrow_mut().remove(peer.key);
        io.metrics.connections_closed.add(1);
        io.router.peer_closed(peer.key, door);
        drop(permit);
    }));
}

/// Queues a command for a connection.
pub fn send_command(peer: &Peer, command: &Command) {
    let encoded = peer.outbox.borrow_mut().append(|out| command.encode(out));
    if let Err(error) = encoded {
        tracing::error!(code = command.code, %error, "a command does not fit a frame");
    }
    peer.wake();
}

/// How a turn ended.
enum Turn {
    /// Nothing more can be done now.
    Rest,
    /// There is more to do, but others have their turn first.
    Yield,
    /// The connection is over, for this reason.
    End(String),
}

/// The state of a connection's task.
struct Connection {
    io: Rc<IoState>,
    peer: Rc<Peer>,
    stream: Box<dyn Stream>,
    door: Door,
    /// The beginning of a frame whose rest has not come.
    partial: Vec<u8>,
    /// Since when the budget holds the connection back.
    held_back: Option<Duration>,
    /// Wakes a connection that is held back.
    look_again: Option<Pin<Box<Sleep>>>,
    /// Whether sends are refused because the budget has been spent for too long.
    busy: bool,
    /// The other side has ended its half; what is owed is still written.
    half_closed: bool,
}

impl Connection {
    fn new(io: Rc<IoState>, peer: Rc<Peer>, stream: Box<dyn Stream>, door: Door) -> Self {
        let partial = Vec::new();
        Self {
            io,
            peer,
            stream,
            door,
            partial,
            held_back: None,
            look_again: None,
            busy: false,
            half_closed: false,
        }
    }

    async fn run(mut self: Box<Self>) -> String {
        poll_fn(|cx| {
            self.peer.register(cx.waker());
            match self.turn(cx) {
                Turn::Rest => Poll::Pending,
                Turn::Yield => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Turn::End(reason) => Poll::Ready(reason),
            }
        })
        .await
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        if let Some(reason) = self.peer.closing() {
            return Turn::End(reason.to_owned());
        }
        self.take_up_again();
        let mut more = true;
        for _ in 0..READS_PER_TURN {
            if let Err(error) = self.write(cx) {
                return Turn::End(error.to_string());
            }
            if !self.may_read(cx) {
                more = false;
                break;
            }
            match self.read(cx) {
                Poll::Pending => {
                    more = false;
                    break;
                }
                Poll::Ready(Err(reason)) => return Turn::End(reason),
                Poll::Ready(Ok(())) => {}
            }
        }
        if let Err(error) = self.write(cx) {
            return Turn::End(error.to_string());
        }
        self.peer.outbox.borrow_mut().shrink();
        if self.is_over() {
            return Turn::End(
                if self.half_closed {
                    "closed by the other side"
                } else {
                    "the broker stops"
                }
                .to_owned(),
            );
        }
        if more { Turn::Yield } else { Turn::Rest }
    }

    /// Whether nothing is owed any more to a connection that is to end.
    fn is_over(&self) -> bool {
        let owed = self.peer.in_flight.get() > 0 || self.peer.controls.get() > 0;
        (self.half_closed || self.io.stopping.get()) && !owed && self.peer.outbox.borrow().is_empty()
    }

    fn take_up_again(&mut self) {
        loop {
            let next = self.peer.again.borrow_mut().pop_front();
            match next {
                None => break,
                Some(Again::Pull(waited)) => {
                    if let Some(broker) = &self.io.broker {
                        pull::resume(&self.io, broker, &self.peer, waited);
                    }
                }
                Some(Again::Frame(bytes)) => {
                    self.peer.controls.set(self.peer.controls.get().saturating_sub(1));
                    let mut scratch = HeaderScratch::new();
                    if let Ok(Some(frame)) = frame::check(&bytes, MAX_FRAME_BYTES) {
                        // It was read once before, so it is sound; its header was checked then.
                        let _ = self.frame(&bytes, &frame, &mut scratch);
                    }
                }
            }
        }
        self.submit(true);
    }

    fn may_read(&mut self, cx: &mut Context<'_>) -> bool {
        let peer = &self.peer;
        if self.half_closed || self.io.stopping.get() || peer.outbox.borrow().waiting() > OUTBOX_MAX {
            return false;
        }
        if peer.in_flight.get() > IN_FLIGHT_MAX || peer.controls.get() > CONTROLS_MAX {
            return false;
        }
        if !self.io.budget.is_spent() {
            (self.held_back, self.look_again, self.busy) = (None, None, false);
            return true;
        }
        let now = self.io.clock.monotonic();
        let since = *self.held_back.get_or_insert(now);
        self.busy = now.saturating_sub(since) > PATIENCE;
        if !self.busy {
            self.io.hold_back(peer.key);
            self.wait_for_budget(cx);
        }
        self.busy
    }

    /// Lets the task run again soon: budget that another thread gives back wakes nobody here.
    fn wait_for_budget(&mut self, cx: &mut Context<'_>) {
        let mut pause = self.look_again.take().unwrap_or_else(|| Box::pin(sleep(LOOK_AGAIN)));
        while pause.as_mut().poll(cx).is_ready() {
            pause = Box::pin(sleep(LOOK_AGAIN));
        }
        self.look_again = Some(pause);
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut outbox = self.peer.outbox.borrow_mut();
        while !outbox.is_empty() {
            let written = Pin::new(&mut *self.stream).poll_write_vectored(cx, &outbox.slices())?;
            let now = self.io.clock.monotonic();
            match written {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => {
                    outbox.advance(written);
                    self.peer.active.set(now);
                    self.peer.stalled.set(None);
                }
                Poll::Pending => {
                    if self.peer.stalled.get().is_none() {
                        self.peer.stalled.set(Some(now));
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// Reads once and handles all whole frames.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
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
        if frame::needed(&self.partial).is_some_and(|needed| needed > READ_BYTES / 2) {
            return self.read_long(cx, buffer, scratch);
        }
        let kept = self.partial.len();
        if let Some(place) = buffer.get_mut(..kept) {
            place.copy_from_slice(&self.partial);
        }
        let mut target = ReadBuf::new(buffer.get_mut(kept..).unwrap_or_default());
        let read = Pin::new(&mut *self.stream).poll_read(cx, &mut target);
        let length = target.filled().len();
        match self.note_read(read, length) {
            Poll::Ready(Ok(true)) => {}
            Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(reason)) => return Poll::Ready(Err(reason)),
            Poll::Pending => return Poll::Pending,
        }
        self.partial.clear();
        let bytes = buffer.get(..kept + length).unwrap_or_default();
        Poll::Ready(self.frames(bytes, scratch).map(|rest| self.keep(rest, bytes)))
    }

    /// Gathers a frame that is too long for the shared buffer; memory grows only as bytes come.
    fn read_long(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        scratch: &mut HeaderScratch,
    ) -> Poll<Result<(), String>> {
        let missing = frame::needed(&self.partial)
            .unwrap_or(0)
            .saturating_sub(self.partial.len());
        let room = missing.min(buffer.len());
        let mut target = ReadBuf::new(buffer.get_mut(..room).unwrap_or_default());
        let read = Pin::new(&mut *self.stream).poll_read(cx, &mut target);
        let length = target.filled().len();
        match self.note_read(read, length) {
            Poll::Ready(Ok(true)) => {}
            Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(reason)) => return Poll::Ready(Err(reason)),
            Poll::Pending => return Poll::Pending,
        }
        self.partial.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if length < missing {
            return Poll::Ready(Ok(()));
        }
        let bytes = std::mem::take(&mut self.partial);
        Poll::Ready(self.frames(&bytes, scratch).map(|rest| self.keep(rest, &bytes)))
    }

    /// Whether something was read; the end of the stream ends the connection, at once or after what is owed.
    fn note_read(&mut self, read: Poll<io::Result<()>>, length: usize) -> Poll<Result<bool, String>> {
        match read {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.to_string())),
            Poll::Ready(Ok(())) if length == 0 => {
                self.half_closed = true;
                Poll::Ready(Ok(false))
            }
            Poll::Ready(Ok(())) => {
                self.peer.active.set(self.io.clock.monotonic());
                Poll::Ready(Ok(true))
            }
        }
    }

    fn keep(&mut self, rest: usize, bytes: &[u8]) {
        match bytes.get(rest..) {
            Some(rest) if !rest.is_empty() => self.partial.extend_from_slice(rest),
            _ => self.partial = Vec::new(),
        }
    }

    /// Handles the whole frames at the beginning of `bytes`; gives where the rest begins.
    fn frames(&mut self, bytes: &[u8], scratch: &mut HeaderScratch) -> Result<usize, String> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match frame::check(rest, MAX_FRAME_BYTES) {
                Ok(None) => return Ok(at),
                Ok(Some(frame)) => {
                    self.frame(rest, &frame, scratch)?;
                    at += frame.total;
                    self.submit(false);
                }
                Err(error) => return Err(self.senseless(&error.to_string())),
            }
        }
    }

    /// A frame that makes no sense ends this connection, and only this one.
    fn senseless(&self, reason: &str) -> String {
        self.io.metrics.frames_refused.add(1);
        tracing::warn!(remote = %self.peer.remote, reason, "closing a connection that sent a senseless frame");
        reason.to_owned()
    }

    fn frame(&mut self, bytes: &[u8], frame: &Frame, scratch: &mut HeaderScratch) -> Result<(), String> {
        let whole = bytes.get(..frame.total).unwrap_or_default();
        let header = whole.get(frame.header.clone()).unwrap_or_default();
        let body = whole.get(frame.body.clone()).unwrap_or_default();
        let view = match header::parse(frame.codec, header, scratch) {
            Ok(view) => view,
            Err(error) => return Err(self.senseless(&error.to_string())),
        };
        if view.is_response() {
            self.io.router.answered(self.peer.key, &view);
            return Ok(());
        }
        let io = Rc::clone(&self.io);
        match (RequestCode(view.code), &io.broker) {
            (
                RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE,
                Some(broker),
            ) if self.door != Door::NameServer => self.send(&io, broker, &view, frame, body, whole),
            (RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE, Some(broker)) if self.door == Door::Broker => {
                pull::take(&io, broker, &self.peer, &view, frame.codec);
            }
            _ => io.router.take(&io, &self.peer, self.door, &view, frame.codec, body),
        }
        Ok(())
    }

    fn send(
        &mut self,
        io: &IoState,
        broker: &BrokerSide,
        view: &HeaderView<'_>,
        frame: &Frame,
        body: &[u8],
        whole: &[u8],
    ) {
        let request = SendRequest {
            view,
            codec: frame.codec,
            body,
            peer: self.peer.key,
            remote: self.peer.remote,
        };
        let refusal = if self.busy {
            let used = io.budget.used();
            Refusal::Code(
                ResponseCode::SYSTEM_BUSY,
                format!("[OVERLOAD]system busy, start flow control for a while: {used} bytes of sends are under way")
                    .into(),
            )
        } else {
            match send::take(io, broker, request, &mut io.batches.borrow_mut()) {
                Ok(()) => return,
                Err(refusal) => refusal,
            }
        };
        match refusal {
            Refusal::NeedsTopic(wanted) => {
                self.peer.controls.set(self.peer.controls.get() + 1);
                let reply = reply_to(view, frame);
                io.router
                    .make_topic(&self.io, &self.peer, wanted, reply, whole.to_vec());
            }
            Refusal::Code(code, remark) => {
                let identity = &io.identity;
                let reply = reply_to(view, frame);
                let mut outbox = self.peer.outbox.borrow_mut();
                outbox.append(|out| send_answer::write_error(out, identity, &reply, code, &remark));
            }
        }
    }

    /// Hands the batches on: all of them, or the full ones.
    fn submit(&mut self, all: bool) {
        let Some(broker) = &self.io.broker else { return };
        let ready: smallvec::SmallVec<[_; 2]> = self.io.batches.borrow_mut().take(all).collect();
        for (batch, acknowledge) in ready {
            if batch.records.is_empty() {
                self.io.recycle(settled(batch));
                continue;
            }
            let bytes = batch.context.bytes;
            self.io.metrics.messages_in.add(batch.records.len() as u64);
            self.io.budget.take(bytes);
            self.peer.in_flight.set(self.peer.in_flight.get() + bytes);
            if let Err(full) = broker.append.try_send(AppendBatch { batch, acknowledge }) {
                self.refuse_busy(full.into_inner(), bytes);
            }
        }
    }

    fn refuse_busy(&self, refused: AppendBatch, bytes: usize) {
        self.io.release(bytes);
        self.peer.in_flight.set(self.peer.in_flight.get().saturating_sub(bytes));
        let batch = settled(refused.batch);
        let remark = "[OVERLOAD]system busy, start flow control for a while: the commit log's mailbox is full";
        let mut outbox = self.peer.outbox.borrow_mut();
        outbox.append(|out| {
            for reply in &batch.context.replies {
                send_answer::write_error(out, &self.io.identity, reply, ResponseCode::SYSTEM_BUSY, remark);
            }
        });
    }
}

fn settled(mut batch: SendBatch) -> SendBatch {
    batch.context.settle();
    batch
}

fn reply_to(view: &HeaderView<'_>, frame: &Frame) -> SendReply {
    let (opaque, oneway) = (view.opaque, view.is_oneway());
    SendReply {
        opaque,
        codec: frame.codec,
        oneway,
        queue_id: 0,
        first: 0,
        records: 0,
    }
}
