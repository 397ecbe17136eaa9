//! A connection's stream from its TLS hello on, and a stream to a name server.
//!
//! The handshake is part of reading: a connection reads, and gets its first bytes once the handshake is done. It has a
//! deadline. What costs time in it is the server's signature; each I/O thread makes one in a turn, so that a flood of hellos
//! leaves the connections that are open their turns.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, Empty, ReadBuf};
use tokio::sync::Semaphore;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

use super::server::{Speech, TlsServer};
use crate::metrics::Metrics;
use crate::net::Stream;

/// How long a client may take for its part of a handshake.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// What the handshakes of one I/O thread share.
pub struct Handshakes {
    server: Arc<TlsServer>,
    /// One signature in a turn.
    turns: Rc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Handshakes {
    /// Those of a thread.
    #[must_use]
    pub fn new(server: Arc<TlsServer>, metrics: Arc<Metrics>) -> Self {
        Self {
            server,
            turns: Rc::new(Semaphore::new(1)),
            metrics,
        }
    }

    /// How a connection whose first byte is this one speaks.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, first: u8) -> Result<Speech, &'static str> {
        let admitted = self.server.admit(first);
        admitted.inspect_err(|_| self.metrics.tls_refused.add(1))
    }

    /// A stream that does the handshake which begins with `hello`, when it is read.
    #[must_use]
    pub fn accept(&self, stream: Box<dyn Stream>, hello: &[u8]) -> Box<dyn Stream> {
        let (peer, local) = (stream.peer_addr(), stream.local_addr());
        let stream = Replayed {
            before: hello.to_vec(),
            at: 0,
            stream,
        };
        let remote = peer.as_ref().ok().copied();
        let (server, turns, metrics) = (
            Arc::clone(&self.server),
            Rc::clone(&self.turns),
            Arc::clone(&self.metrics),
        );
        let shaking = async move {
            let shaken = tokio::time::timeout(HANDSHAKE_LIMIT, shake(stream, &server, &turns)).await;
            let shaken = shaken.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, late())));
            match &shaken {
                Ok(_) => metrics.tls_handshakes.add(1),
                Err(error) => {
                    metrics.tls_refused.add(1);
                    if let Some(left_out) = metrics.handshakes_told.due(server.now()) {
                        let remote = Shown(remote);
                        tracing::warn!(%remote, %error, left_out, "closing a connection whose TLS handshake has failed");
                    }
                }
            }
            shaken
        };
        Box::new(Accepted {
            state: State::Shaking(Box::pin(shaking)),
            peer,
            local,
        })
    }
}

fn late() -> String {
    format!("it did not come to its end within {} s", HANDSHAKE_LIMIT.as_secs())
}

/// A peer's address, as far as it is known.
struct Shown(Option<SocketAddr>);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("a peer that has gone"),
        }
    }
}

async fn shake(stream: Replayed, server: &TlsServer, turns: &Semaphore) -> io::Result<TlsStream<Replayed>> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let turn = turns.acquire().await;
    let config = server.config().map_err(io::Error::other)?;
    let accepting = hello.into_stream(config);
    // The next signature is made when everybody else has had a turn.
    tokio::task::yield_now().await;
    drop(turn);
    Ok(accepting.await?.into())
}

/// Does the client's part of a handshake with `host`.
///
/// # Errors
/// When the other side speaks no TLS, or its certificate is not trusted.
pub async fn connect(
    stream: Box<dyn Stream>,
    host: &str,
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> io::Result<Box<dyn Stream>> {
    let name = ServerName::try_from(host.to_owned()).unwrap_or_else(|_| ServerName::from(address.ip()));
    let stream = Replayed {
        before: Vec::new(),
        at: 0,
        stream,
    };
    let connected = TlsConnector::from(config).connect(name, stream).await?;
    Ok(Box::new(TlsStream::from(connected)))
}

/// A stream whose first bytes have been read already.
struct Replayed {
    before: Vec<u8>,
    at: usize,
    stream: Box<dyn Stream>,
}

impl AsyncRead for Replayed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = self.before.get(self.at..).unwrap_or_default();
        if left.is_empty() {
            self.before = Vec::new();
            return Pin::new(&mut *self.stream).poll_read(cx, buffer);
        }
        let taken = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..taken).unwrap_or_default());
        self.at += taken;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}

impl Stream for TlsStream<Replayed> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().0.stream.peer_addr()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().0.stream.local_addr()
    }

    fn forget_unsent(&self) {
        self.get_ref().0.stream.forget_unsent();
    }

    fn widen(&self) {
        self.get_ref().0.stream.widen();
    }
}

/// Stands for a stream that was handed on.
impl Stream for Empty {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::NotConnected.into())
    }
}

/// A connection from its hello on.
struct Accepted {
    state: State,
    peer: io::Result<SocketAddr>,
    local: io::Result<SocketAddr>,
}

enum State {
    Shaking(LocalBoxFuture<'static, io::Result<TlsStream<Replayed>>>),
    Open(Box<TlsStream<Replayed>>),
    Failed,
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.state {
                State::Shaking(shaking) => {
                    self.state = match ready!(shaking.as_mut().poll(cx)) {
                        Ok(stream) => State::Open(Box::new(stream)),
                        Err(error) => {
                            self.state = State::Failed;
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                State::Open(stream) => return Pin::new(stream).poll_read(cx, buffer),
                State::Failed => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
    }
}

impl AsyncWrite for Accepted {
    /// Nothing before the handshake is done: who reads is woken by it, and writes then.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Shaking(_) => Poll::Pending,
            State::Open(stream) => Pin::new(stream).poll_write(cx, bytes),
            State::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Shaking(_) => Poll::Pending,
            State::Open(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            State::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Open(stream) => Pin::new(stream).poll_flush(cx),
            State::Shaking(_) | State::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Open(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Shaking(_) | State::Failed => Poll::Ready(Ok(())),
        }
    }
}

impl Stream for Accepted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        copied(&self.peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        copied(&self.local)
    }

    fn forget_unsent(&self) {
        if let State::Open(stream) = &self.state {
            stream.forget_unsent();
        }
    }

    fn widen(&self) {
        if let State::Open(stream) = &self.state {
            stream.widen();
        }
    }
}

fn copied(address: &io::Result<SocketAddr>) -> io::Result<SocketAddr> {
    address.as_ref().copied().map_err(|error| error.kind().into())
}

#[cfg(test)]
mod tests {
    use cuemq_storage::clock::RealClock;
    use cuemq_storage::disk::RealDisk;
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::BrokerConfig;
    use crate::net::Net;
    use crate::testing::MemoryNet;
    use crate::tls::server::Tls;

    /// The client's and the server's end of a connection.
    async fn ends() -> (Box<dyn Stream>, Box<dyn Stream>) {
        let net = MemoryNet::new();
        let mut listener = net.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let client = net.dial(listener.local_addr().unwrap()).unwrap();
        (
            Box::new(client),
            listener.accept().await.unwrap().into_stream().unwrap(),
        )
    }

    /// A server with a self-signed certificate, and a client that takes any.
    fn both() -> (Handshakes, Arc<ClientConfig>) {
        let mut config = BrokerConfig::for_test();
        config.tls_client.enable = Some(true);
        let tls = Tls::open(&config, &RealDisk, &(Arc::new(RealClock::new()) as _)).unwrap();
        (
            Handshakes::new(tls.server, Arc::default()),
            tls.client.unwrap().config(),
        )
    }

    async fn connected(stream: Box<dyn Stream>, config: Arc<ClientConfig>) -> io::Result<Box<dyn Stream>> {
        connect(stream, "localhost", ([127, 0, 0, 1], 1).into(), config).await
    }

    /// Reads the first bytes, and hands them on with the stream.
    async fn greeted(handshakes: &Handshakes, mut stream: Box<dyn Stream>) -> Box<dyn Stream> {
        let mut first = [0; 64];
        let read = stream.read(&mut first).await.unwrap();
        assert_eq!(handshakes.admit(first[0]), Ok(Speech::Tls));
        handshakes.accept(stream, &first[..read])
    }

    #[tokio::test]
    async fn what_was_read_before_the_handshake_is_part_of_it() {
        let (handshakes, config) = both();
        let (client, server) = ends().await;
        let asking = async {
            let mut client = connected(client, config).await.unwrap();
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answering = async {
            let mut server = greeted(&handshakes, server).await;
            assert_eq!(server.peer_addr().unwrap().ip().to_string(), "127.0.0.1");
            let mut question = String::new();
            server.read_to_string(&mut question).await.unwrap();
            server.write_all(question.to_uppercase().as_bytes()).await.unwrap();
            server.shutdown().await.unwrap();
        };
        let (answer, ()) = tokio::join!(asking, answering);
        assert_eq!(answer, "QUESTION");
        assert_eq!(handshakes.metrics.tls_handshakes.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_does_not_go_on_is_given_up_at_its_deadline() {
        let (handshakes, _) = both();
        let (mut client, server) = ends().await;
        client.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
        let mut server = greeted(&handshakes, server).await;
        let mut byte = [0; 1];
        let mut reading = Box::pin(server.read(&mut byte));
        let before = HANDSHAKE_LIMIT - Duration::from_millis(10);
        let early = tokio::time::timeout(before, &mut reading).await;
        assert!(early.is_err(), "it has its time");
        let ended = tokio::time::timeout(Duration::from_millis(20), reading).await;
        assert_eq!(ended.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(handshakes.metrics.tls_refused.get(), 1);
        assert!(server.read(&mut [0; 1]).await.is_err(), "and it stays so");
    }

    #[tokio::test]
    async fn a_signature_waits_for_the_turn_of_the_one_before_it() {
        let (handshakes, config) = both();
        let (client, server) = ends().await;
        let mut connecting = Box::pin(connected(client, config));
        assert!((&mut connecting).now_or_never().is_none(), "it has sent its hello");
        let mut server = greeted(&handshakes, server).await;
        let other = handshakes.turns.acquire().await.unwrap();
        let mut byte = [0; 1];
        {
            let mut reading = Box::pin(server.read(&mut byte));
            for _ in 0..100 {
                assert!((&mut reading).now_or_never().is_none());
                assert!(
                    (&mut connecting).now_or_never().is_none(),
                    "there is no answer to the hello"
                );
            }
        }
        drop(other);
        let writing = async {
            let mut client = connecting.await.unwrap();
            client.write_all(b"x").await.unwrap();
            client
        };
        let (_client, read) = tokio::join!(writing, server.read_exact(&mut byte));
        assert_eq!((read.unwrap(), byte), (1, *b"x"));
    }
}
