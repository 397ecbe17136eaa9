//! One side's view of a connection: calls go out, answers come back in any order, and the peer may ask in turn
//! (Java's `NettyRemotingAbstract`).
//!
//! [`over`] turns a stream into three parts. The [`Caller`] makes calls and can be cloned. The channel brings what the
//! peer asks; when it is full, a request is refused as SYSTEM_BUSY and a oneway one dropped, so that answers never wait
//! behind requests. The [`Driver`] moves the bytes: its owner spawns [`Driver::run`], and when that ends or is dropped,
//! every call fails. The connection also ends once the last `Caller` is gone and what it sent is written.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};

use super::answer::Answer;
use super::io::{ReadError, read_frame};
use super::outbox::Outbox;
use super::pending::Pending;
use crate::code::{RequestCode, ResponseCode};
use crate::command::Command;
use crate::error::{DecodeError, FrameError};
use crate::frame::{self, HeaderCodec, MAX_FRAME_BYTES};
use crate::header::{self, FLAG_ONEWAY, FieldWriter, HeaderScratch};
use crate::request::{self, RequestHead};

/// So many frames are handed out in one turn. Who waited for them may send again before the rest is handed out, so that the
/// peer has work meanwhile: otherwise each side stands still while the other one works.
const FRAMES_IN_A_TURN: usize = 16;

/// The bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The encoding of the headers that [`Caller::call`] writes.
    pub codec: HeaderCodec,
    /// The longest frame that the peer may send, in bytes.
    pub max_frame_bytes: usize,
    /// How many calls may wait for their answer.
    pub max_pending: usize,
    /// How many frames may wait to be written; a call waits for room within its time.
    pub max_outbox: usize,
    /// How many requests of the peer may wait to be served.
    pub max_requests: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            codec: HeaderCodec::Json,
            max_frame_bytes: MAX_FRAME_BYTES,
            max_pending: 4096,
            max_outbox: 256,
            max_requests: 256,
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The connection had ended before: nothing was sent.
    #[error("the connection is closed")]
    Closed,
    /// The connection ended while the call waited: whether the peer acted is unknown.
    #[error("the connection ended before the answer came")]
    Lost,
    /// The time is over: whether the peer acted, or will, is unknown.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// Too many calls wait already: nothing was sent.
    #[error("{limit} calls are waiting for their answers already")]
    TooManyPending {
        /// How many may wait.
        limit: usize,
    },
    /// The request is longer than any peer takes: nothing was sent.
    #[error(transparent)]
    TooLarge(#[from] FrameError),
}

/// Why a connection ended other than by the will of either side.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The peer's bytes could not be read as frames.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A frame could not be read as a command.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The stream did not take what was to be sent.
    #[error("writing failed")]
    Write(#[source] std::io::Error),
}

/// Turns a stream into its caller, the requests of the peer, and the driver that has to be run.
pub fn over<S>(stream: S, settings: Settings) -> (Caller, mpsc::Receiver<Command>, Driver<S>)
where
    S: AsyncRead + AsyncWrite,
{
    let pending = Pending::new(settings.max_pending);
    let closing = Arc::new(Notify::new());
    let outbox = Outbox::new(settings.max_outbox);
    let (requests, incoming) = mpsc::channel(settings.max_requests);
    let inbox = Inbox {
        pending: Arc::clone(&pending),
        requests,
        outbox: Arc::clone(&outbox),
        scratch: HeaderScratch::new(),
        fields: BytesMut::new(),
    };
    let driver = Driver {
        stream,
        settings,
        inbox,
        closing: Arc::clone(&closing),
    };
    (
        Caller(Arc::new(Calling {
            pending,
            outbox,
            closing,
            codec: settings.codec,
        })),
        incoming,
        driver,
    )
}

/// Makes calls over one connection.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Calling>);

#[derive(Debug)]
struct Calling {
    pending: Arc<Pending>,
    outbox: Arc<Outbox>,
    closing: Arc<Notify>,
    codec: HeaderCodec,
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.outbox.finish();
    }
}

impl Caller {
    /// Asks and waits for the answer, whatever its code. `fields` writes the typed header.
    pub async fn call(
        &self,
        code: RequestCode,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<Command, CallError> {
        whole(self.ask(code, fields, body, timeout).await?)
    }

    /// The same, with the answer as it came.
    pub async fn ask(
        &self,
        code: RequestCode,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let codec = self.0.codec;
        let write = |opaque, out: &mut Vec<u8>| {
            request::write(out, codec, RequestHead::new(code, opaque), fields, body.len())?;
            out.extend_from_slice(body);
            Ok(())
        };
        self.exchange(write, timeout).await
    }

    /// Sends a request under an opaque of its own and waits for the answer, whatever its code.
    pub async fn request(&self, command: &Command, timeout: Duration) -> Result<Command, CallError> {
        let write = |opaque, out: &mut Vec<u8>| command.encode_as(opaque, 0, out);
        whole(self.exchange(write, timeout).await?)
    }

    /// Sends a request that nobody answers; done when it is on its way to the stream.
    pub async fn oneway(&self, command: &Command) -> Result<(), CallError> {
        let opaque = self.0.pending.opaque();
        let room = self.0.outbox.room().await?;
        room.fill(|out| command.encode_as(opaque, FLAG_ONEWAY, out))
    }

    /// Sends the answer to a request of the peer; nothing if that was oneway.
    pub async fn respond(&self, request: &Command, answer: &Command) -> Result<(), CallError> {
        if request.is_oneway() {
            return Ok(());
        }
        self.0.outbox.room().await?.fill(|out| answer.encode(out))
    }

    /// Ends the connection; what waits for an answer fails.
    pub fn close(&self) {
        self.0.pending.close();
        self.0.closing.notify_one();
    }

    /// Whether the connection has ended, or is about to.
    pub fn is_closed(&self) -> bool {
        self.0.pending.is_closed() || self.0.outbox.is_closed()
    }

    /// Whether it was the peer that ended the connection, by closing it or by bytes that cannot be read.
    pub fn was_ended_by_peer(&self) -> bool {
        self.0.pending.is_peers_end()
    }

    /// How many answers have come from the peer: where that number stands still while a call waits, what is sent may not
    /// reach the peer any more, whatever the peer itself asks.
    pub fn heard(&self) -> u64 {
        self.0.pending.heard()
    }

    /// How many calls wait for their answer.
    pub fn pending(&self) -> usize {
        self.0.pending.len()
    }

    async fn exchange(
        &self,
        write: impl FnOnce(i32, &mut Vec<u8>) -> Result<(), FrameError>,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let mut ticket = self.0.pending.enter()?;
        let opaque = ticket.opaque;
        let exchange = async {
            self.0.outbox.room().await?.fill(|out| write(opaque, out))?;
            ticket.answer().await
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Timeout(timeout)),
        }
    }
}

/// An answer in memory of its own. A header that cannot be read ends the connection before anybody gets its answer.
fn whole(answer: Answer) -> Result<Command, CallError> {
    answer.into_command().map_err(|_| CallError::Lost)
}

/// Moves a connection's bytes.
#[derive(Debug)]
pub struct Driver<S> {
    stream: S,
    settings: Settings,
    inbox: Inbox,
    closing: Arc<Notify>,
}

impl<S> Driver<S>
where
    S: AsyncRead + AsyncWrite,
{
    /// Runs until either side ends the connection, or it fails.
    pub async fn run(self) -> Result<(), EndError> {
        let Self {
            stream,
            settings,
            mut inbox,
            closing,
        } = self;
        let outbox = Arc::clone(&inbox.outbox);
        let (reader, writer) = tokio::io::split(stream);
        // sending first: it stops by itself when calls wait for answers, while a peer that never stops would use up all
        // that a task may do in one turn
        let (ended, is_peers) = tokio::select! {
            biased;
            () = closing.notified() => (Ok(()), false),
            ended = send(writer, &outbox) => {
                let is_peers = ended.is_err();
                (ended.map_err(EndError::Write), is_peers)
            }
            ended = receive(reader, &mut inbox, settings.max_frame_bytes) => (ended, true),
        };
        if is_peers {
            inbox.pending.note_peers_end();
        }
        ended
    }
}

/// Where received commands go. Dropped with the driver, it fails all calls.
#[derive(Debug)]
struct Inbox {
    pending: Arc<Pending>,
    requests: mpsc::Sender<Command>,
    /// For refusals.
    outbox: Arc<Outbox>,
    scratch: HeaderScratch,
    /// Room for the fields of answers.
    fields: BytesMut,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.outbox.close();
        self.pending.close();
    }
}

impl Inbox {
    fn take(&mut self, frame: &Bytes) -> Result<(), DecodeError> {
        let Some(parts) = frame::check(frame, MAX_FRAME_BYTES)? else {
            return Err(DecodeError::Incomplete { had: frame.len() });
        };
        let header = frame.get(parts.header.clone()).unwrap_or_default();
        let view = header::parse(parts.codec, header, &mut self.scratch)?;
        if view.is_response() {
            self.pending.hear();
            let opaque = view.opaque;
            let answer = Answer::new(frame.clone(), parts.body, &view, &mut self.fields);
            if !self.pending.answer(opaque, answer) {
                tracing::debug!(opaque, "dropped an answer that nobody waits for");
            }
            return Ok(());
        }
        let request = Command::from_view(parts.codec, &view, frame.slice(parts.body));
        self.serve(request);
        Ok(())
    }

    fn serve(&self, command: Command) {
        match self.requests.try_send(command) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(request)) => {
                self.refuse(&request, ResponseCode::SYSTEM_BUSY, "too many requests are waiting");
            }
            Err(mpsc::error::TrySendError::Closed(request)) => {
                self.refuse(
                    &request,
                    ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
                    "requests are not served here",
                );
            }
        }
    }

    fn refuse(&self, request: &Command, code: ResponseCode, why: &str) {
        tracing::debug!(request = %RequestCode(request.code), oneway = request.is_oneway(), why, "refused a request");
        if request.is_oneway() {
            return;
        }
        let answer = Command::response_to(request, code).with_remark(why);
        // no room means that the peer does not read; it will not miss this answer
        if let Some(room) = self.outbox.room_now() {
            let _ = room.fill(|out| answer.encode(out));
        }
    }
}

async fn receive<R>(mut reader: R, inbox: &mut Inbox, max_frame_bytes: usize) -> Result<(), EndError>
where
    R: AsyncRead + Unpin,
{
    let mut buffer = BytesMut::new();
    let mut in_turn = 0;
    while let Some(frame) = read_frame(&mut reader, &mut buffer, max_frame_bytes).await? {
        inbox.take(&frame)?;
        in_turn += 1;
        if in_turn == FRAMES_IN_A_TURN {
            in_turn = 0;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

async fn send<W>(mut writer: W, outbox: &Outbox) -> std::io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let mut bytes = Vec::new();
    loop {
        let frames = outbox.take(&mut bytes).await;
        if frames == 0 {
            return writer.shutdown().await;
        }
        writer.write_all(&bytes).await?;
        writer.flush().await?;
        outbox.written(frames, &mut bytes);
    }
}
