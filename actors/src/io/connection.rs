//! One connection: a task, not an actor. Steps 1, 2, 4 and 8 of a send: reads what is there, cuts it into frames, lets sends
//! and pulls be handled on the spot and hands the rest to the router; writes what its outbox holds, once per turn.
//!
//! Sends that the log has no room for are held back (`parked`), while everything else is still read and served. When more
//! of them wait than a connection may hold, it is not read: the client then feels TCP's back-pressure. An idle connection
//! holds no buffer.

mod appetite;
mod arriving;
#[cfg(test)]
mod bounds_test;
mod greeting;
mod parked;
mod request;
mod standing;
mod window;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix::prelude::SendError;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::{self, Frame, MAX_FRAME_BYTES};
use cuemq_net::header::{self, HeaderScratch};

use self::appetite::Appetite;
use self::arriving::Arriving;
use self::parked::{GONE, ParkedSends, overload};
use self::request::Request;
use self::standing::Standing;
use self::window::Window;
use super::budget::Share;
use super::egress::{Door, Serve};
use super::peer_table::{Again, HeldFrame, Peer};
use super::pressure;
use super::send::{self, Refusal, SendRequest};
use super::send_context::{SendBatch, SendReply};
use super::state::{BrokerSide, IoState};
use super::turns::Place;
use super::{pull, questions, send_answer, turns};
use crate::commit_log::AppendBatch;
use crate::net::Stream;
use crate::router::Control;
use crate::supervise::Guarded;
use crate::tls::server::Speech;
use crate::under_way::Processor;

/// Requests of one connection that other actors may be working on, and their bytes.
const CONTROLS_MAX: usize = 1024;
const CONTROL_BYTES_MAX: usize = 1 << 20;
/// What a request costs beside its bytes while it is worked on.
const CONTROL_COST: usize = 1 << 10;
/// How often a connection reads in one turn before others get theirs.
const READS_PER_TURN: usize = 4;

/// Starts the task of a connection.
pub fn spawn(io: Rc<IoState>, serve: Serve) {
    drop(actix_rt::spawn(async move {
        let Serve { accepted, door, permit } = serve;
        match accepted
            .into_stream()
            .and_then(|stream| Ok((stream.peer_addr()?, stream)))
        {
            Ok((remote, stream)) => attend(&io, stream, remote, door).await,
            Err(error) => tracing::warn!(%error, "an accepted connection cannot be served"),
        }
        io.metrics.connections_closed.add(1);
        drop(permit);
    }));
}

/// Serves a connection to its end.
async fn attend(io: &Rc<IoState>, stream: Box<dyn Stream>, remote: SocketAddr, door: Door) {
    let peer = io.peers.borrow_mut().insert(remote, io.clock.monotonic());
    tracing::debug!(%remote, ?door, "connected");
    // Boxed once: a future that takes its state by value keeps room for it twice.
    let connection = Box::new(Connection::new(Rc::clone(io), Rc::clone(&peer), stream, door));
    let reason = match Guarded::new(connection.run()).await {
        Ok(reason) => reason,
        Err(panicked) => {
            tracing::error!(%remote, %panicked, "a connection has failed");
            panicked.to_string()
        }
    };
    tracing::debug!(%remote, ?door, %reason, "disconnected");
    io.peers.borrow_mut().remove(peer.key);
    peer.place.set(Place::Outside);
    peer.answers.end();
    io.questions.gone(peer.key);
    io.router.peer_closed(peer.key, door);
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
    arriving: Arriving,
    /// Sends that wait for room in the log.
    parked: ParkedSends,
    /// How many bytes of sends it may have under way.
    window: Window,
    /// The other side has ended its half; what is owed is still written.
    half_closed: bool,
    /// Known from its first byte on.
    speech: Option<Speech>,
    /// What was written may not have left the process.
    unflushed: bool,
    /// What waits for the client to go on.
    idle: Share,
    /// How much it reads in a turn.
    appetite: Appetite,
    /// How much is written at once.
    standing: Standing,
}

impl Connection {
    fn new(io: Rc<IoState>, peer: Rc<Peer>, stream: Box<dyn Stream>, door: Door) -> Self {
        let now = io.clock.monotonic();
        Self {
            window: Window::new(now),
            idle: io.budgets.idle.share(0),
            appetite: Appetite::default(),
            standing: Standing::new(now),
            io,
            peer,
            stream,
            door,
            arriving: Arriving::default(),
            parked: ParkedSends::default(),
            half_closed: false,
            speech: None,
            unflushed: false,
        }
    }

    async fn run(mut self: Box<Self>) -> String {
        poll_fn(|cx| {
            self.peer.register(cx.waker());
            if !self.goes_first() && !turns::admits(&self.io, &self.peer) {
                return Poll::Pending;
            }
            match self.turn(cx) {
                Turn::Rest => Poll::Pending,
                Turn::Yield => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Turn::End(reason) => {
                    self.say_goodbye(cx);
                    Poll::Ready(reason)
                }
            }
        })
        .await
    }

    /// Whether it has its turn before those of whom nothing is known. One that is to end makes room.
    fn goes_first(&self) -> bool {
        let peer = &self.peer;
        let is_known = peer.proven.get() || self.appetite.brings_messages() || peer.closing().is_some();
        is_known || peer.stalled.get().is_none() && self.standing.has_settled(self.io.clock.monotonic())
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        if let Some(reason) = self.peer.closing() {
            if self.peer.stalled.get().is_some() {
                self.stream.forget_unsent();
            }
            return Turn::End(reason.to_owned());
        }
        self.hand_on();
        self.take_up_again();
        let mut more = true;
        for _ in 0..READS_PER_TURN {
            if let Err(error) = self.write(cx) {
                return Turn::End(error.to_string());
            }
            if !self.may_read() {
                self.arriving_stands_still();
                more = false;
                break;
            }
            match self.read(cx) {
                Poll::Pending => {
                    more = false;
                    break;
                }
                Poll::Ready(Err(reason)) => return Turn::End(reason),
                Poll::Ready(Ok(())) if self.appetite.is_over() => break,
                Poll::Ready(Ok(())) => {}
            }
        }
        self.note_unread();
        more |= self.wait_for_room(cx);
        if let Err(error) = self.write(cx) {
            return Turn::End(error.to_string());
        }
        self.appetite.has_answered(self.peer.outbox.borrow().is_empty());
        self.peer.outbox.borrow_mut().shrink();
        self.count_idle();
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
        let owed = self.peer.in_flight.get() > 0 || self.peer.controls.get() > 0 || !self.parked.is_empty();
        (self.half_closed || self.io.stopping.get()) && !owed && !self.unflushed && self.peer.outbox.borrow().is_empty()
    }

    /// Counts what waits for the client: answers that it has not taken, here and in the kernel, and the beginning of a frame.
    fn count_idle(&mut self) {
        let in_kernel = pressure::in_kernel(&self.peer);
        let idle = self.peer.outbox.borrow().memory() + self.arriving.short_bytes() + in_kernel;
        if idle != self.idle.bytes() {
            self.idle.set(idle);
            self.peer.idle.set(idle);
        }
        self.peer.arriving.set(self.arriving.long_bytes());
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
                Some(Again::Frame(held)) => {
                    self.peer.topic_made(&held);
                    self.again(&held, false);
                }
            }
        }
        self.submit(true);
    }

    /// Takes up a send that waited; it was read once before, so it is sound. One that is `admitted` is not asked to wait once
    /// more: other threads spend and free the log's budget meanwhile, so that a second look would part what is one decision.
    fn again(&mut self, held: &HeldFrame, admitted: bool) {
        let (io, mut scratch) = (Rc::clone(&self.io), HeaderScratch::new());
        let (Some(broker), Some((view, frame))) = (&io.broker, held.read(&mut scratch)) else {
            return;
        };
        let request = Request::new(&view, &frame, held.bytes(), held.read_at);
        if admitted {
            self.send_now(&io, broker, request);
        } else {
            self.send(&io, broker, request);
        }
        self.submit(false);
    }

    fn may_read(&self) -> bool {
        let (peer, io) = (&self.peer, &self.io);
        if self.half_closed || io.stopping.get() {
            return false;
        }
        let outbox = peer.outbox.borrow();
        if outbox.is_ahead() || !outbox.is_empty() && io.budgets.idle.is_spent() {
            return false;
        }
        let controls = peer.controls.get();
        if controls > CONTROLS_MAX
            || peer.control_bytes.get() > CONTROL_BYTES_MAX
            || controls > 0 && io.budgets.controls.is_spent()
        {
            return false;
        }
        !self.parked.is_full(&io.budgets.waiting) && !self.arriving_waits()
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut outbox = self.peer.outbox.borrow_mut();
        while !outbox.is_empty() {
            let written = Pin::new(&mut *self.stream).poll_write_vectored(cx, &outbox.slices(self.standing.most()))?;
            let now = self.io.clock.monotonic();
            match written {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => {
                    outbox.advance(written);
                    if self.standing.has_written(written) {
                        self.peer.proven.set(true);
                        self.stream.widen();
                    }
                    self.unflushed = self.speech == Some(Speech::Tls);
                    self.peer.answers.taken(&outbox);
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
        drop(outbox);
        self.flush(cx)
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
        if let Some(left_out) = self.io.metrics.senseless_told.due(self.io.clock.monotonic()) {
            let remote = self.peer.remote;
            tracing::warn!(%remote, reason, left_out, "closing a connection that sent a senseless frame");
        }
        reason.to_owned()
    }

    fn frame(&mut self, bytes: &[u8], frame: &Frame, scratch: &mut HeaderScratch) -> Result<(), String> {
        let whole = bytes.get(..frame.total).unwrap_or_default();
        let header = whole.get(frame.header.clone()).unwrap_or_default();
        let view = match header::parse(frame.codec, header, scratch) {
            Ok(view) => view,
            Err(error) => return Err(self.senseless(&error.to_string())),
        };
        if view.is_response() {
            let body = whole.get(frame.body.clone()).unwrap_or_default();
            questions::answered(&self.io, self.peer.key, &view, body);
            return Ok(());
        }
        let request = Request::new(&view, frame, whole, self.peer.active.get());
        let io = Rc::clone(&self.io);
        match (RequestCode(view.code), &io.broker) {
            (code, Some(broker)) if is_send(code) && self.door != Door::NameServer => {
                self.appetite.sends();
                self.send(&io, broker, request);
            }
            (RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE, Some(broker)) if self.door == Door::Broker => {
                pull::take(&io, broker, &self.peer, &view, frame.codec);
            }
            _ => self.control(request),
        }
        Ok(())
    }

    /// Hands a request to the actor whose business it is.
    fn control(&self, request: Request<'_, '_>) {
        let budget = &self.io.budgets.controls;
        if budget.is_spent() {
            let remark = overload(&format!("{} bytes of requests are being worked on", budget.used()));
            return self.refuse_request(&request, ResponseCode::SYSTEM_BUSY, &remark);
        }
        let control = Control {
            view: request.view,
            codec: request.codec,
            body: request.body,
            door: self.door,
            bytes: request.whole.len() + CONTROL_COST,
        };
        self.io.router.take(&self.io, &self.peer, control);
    }

    fn send(&mut self, io: &IoState, broker: &BrokerSide, request: Request<'_, '_>) {
        if !self.parked.is_empty() || !self.has_room() {
            return self.park(request);
        }
        self.send_now(io, broker, request);
    }

    fn send_now(&self, io: &IoState, broker: &BrokerSide, request: Request<'_, '_>) {
        let send = SendRequest {
            view: request.view,
            codec: request.codec,
            body: request.body,
            peer: self.peer.key,
            remote: self.peer.remote,
            read_at: request.read_at,
        };
        let taken = send::take(io, broker, send, &mut io.batches.borrow_mut());
        match taken {
            Ok(()) => {}
            Err(Refusal::NeedsTopic(_)) if io.budgets.waiting.is_spent() => {
                let used = io.budgets.waiting.used();
                let remark = overload(&format!("{used} bytes of sends wait"));
                self.refuse_request(&request, ResponseCode::SYSTEM_BUSY, &remark);
            }
            Err(Refusal::NeedsTopic(wanted)) => {
                let held = self.hold(&request);
                self.peer.topic_wanted(&held);
                io.router
                    .make_topic(&self.io, &self.peer, wanted, request.reply(), held);
            }
            Err(Refusal::Code(code, remark)) => self.refuse_request(&request, code, &remark),
        }
    }

    /// Copies a send out of the read buffer that has to wait.
    fn hold(&self, request: &Request<'_, '_>) -> HeldFrame {
        let counted = self.io.traffic.under_way.count(Processor::Send);
        HeldFrame::new(request.whole, request.read_at, &self.io.budgets.waiting, counted)
    }

    fn refuse_request(&self, request: &Request<'_, '_>, code: ResponseCode, remark: &str) {
        self.refuse(&request.reply(), request.read_at, (code, remark));
    }

    /// Answers a request that was read at this time, by the monotonic clock.
    fn refuse(&self, reply: &SendReply, read_at: Duration, (code, remark): (ResponseCode, &str)) {
        if self.door != Door::NameServer {
            self.io.note_refusal(reply, read_at, code);
        }
        let mut outbox = self.peer.outbox.borrow_mut();
        outbox.append(|out| send_answer::write_error(out, &self.io.identity, reply, code, remark));
    }

    /// Hands the batches on: all of them, or the full ones.
    fn submit(&mut self, all: bool) {
        let ready = self.io.batches.borrow_mut().take(all);
        for (mut batch, acknowledge) in ready.into_iter().flatten() {
            if batch.context.peer != self.peer.key {
                // Left by a connection that failed in the middle of its turn: its senders hear of it by the drop.
                continue;
            }
            if batch.records.is_empty() {
                self.io.recycle(settled(batch));
                continue;
            }
            let bytes = batch.bytes.len();
            batch.context.bytes = bytes;
            self.io.enters_the_log(bytes, batch.context.replies.len());
            self.peer.in_flight.set(self.peer.in_flight.get() + bytes);
            self.append(AppendBatch { batch, acknowledge });
        }
    }

    /// Hands a batch to the log, behind those that found no room there.
    fn append(&mut self, append: AppendBatch) {
        let Some(broker) = &self.io.broker else { return };
        if self.parked.has_batches() {
            return self.parked.keep(append);
        }
        match broker.append.try_send(append) {
            Ok(()) => {}
            Err(SendError::Full(append)) => self.parked.keep(append),
            Err(SendError::Closed(append)) => {
                self.refuse_batch(append, ResponseCode::SERVICE_NOT_AVAILABLE, GONE);
            }
        }
    }

    fn refuse_batch(&self, refused: AppendBatch, code: ResponseCode, remark: &str) {
        let bytes = refused.batch.context.bytes;
        self.io.left_the_log(bytes, refused.batch.context.replies.len());
        self.peer.in_flight.set(self.peer.in_flight.get().saturating_sub(bytes));
        let batch = settled(refused.batch);
        for reply in &batch.context.replies {
            self.refuse(reply, batch.context.times.read, (code, remark));
        }
        self.io.recycle(batch);
    }
}

fn is_send(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE
    )
}

fn settled(mut batch: SendBatch) -> SendBatch {
    batch.context.settle();
    batch
}
