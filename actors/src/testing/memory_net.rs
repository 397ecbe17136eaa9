//! The `Net` seam within the process: connections are pairs of buffers, and no socket is opened.
//!
//! Whoever holds a [`MemoryNet`] connects to what listens on it by [`MemoryNet::dial`]. Clones are the same network, so a
//! broker and a name server that run apart, or two brokers, find each other on it. Addresses are given as to real
//! programs, and two networks know nothing of each other's.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;

use crate::net::{Accepted, Listener, Net, Stream};

/// Bytes that either side may write before the other one reads: about what the kernel keeps for a socket.
const BUFFER_BYTES: usize = 128 * 1024;
/// How many connections may wait to be accepted.
const BACKLOG: usize = 1024;
/// The first port that is given where any will do.
const FIRST_PORT: u16 = 20_000;

/// A network without sockets.
#[derive(Clone, Debug, Default)]
pub struct MemoryNet {
    switchboard: Arc<Mutex<Switchboard>>,
}

#[derive(Debug, Default)]
struct Switchboard {
    /// What listens, and where its connections go.
    listeners: BTreeMap<SocketAddr, mpsc::Sender<MemoryStream>>,
    /// How many ports were given to whoever asked for any.
    given: u16,
}

impl MemoryNet {
    /// A network that nobody is on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects to what listens on `address`; bytes may be written at once.
    ///
    /// # Errors
    /// `ConnectionRefused` when nothing listens there, or too many wait already.
    pub fn dial(&self, address: SocketAddr) -> io::Result<MemoryStream> {
        let mut switchboard = self.switchboard();
        let local = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), switchboard.next_port());
        let listener = switchboard.listeners.get(&address);
        let (near, far) = duplex(BUFFER_BYTES);
        let (near, far) = (
            MemoryStream::new(near, local, address),
            MemoryStream::new(far, address, local),
        );
        match listener.map(|listener| listener.try_send(far)) {
            Some(Ok(())) => Ok(near),
            Some(Err(_)) | None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    fn switchboard(&self) -> MutexGuard<'_, Switchboard> {
        self.switchboard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, mut address: SocketAddr) -> io::Result<MemoryListener> {
        let mut switchboard = self.switchboard();
        if address.port() == 0 {
            address.set_port(switchboard.next_port());
        }
        if switchboard.listeners.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, incoming) = mpsc::channel(BACKLOG);
        switchboard.listeners.insert(address, sender);
        Ok(MemoryListener {
            net: self.clone(),
            address,
            incoming,
        })
    }
}

impl Switchboard {
    fn next_port(&mut self) -> u16 {
        self.given = self.given.wrapping_add(1) % (u16::MAX - FIRST_PORT);
        FIRST_PORT + self.given
    }
}

impl Net for MemoryNet {
    fn bind(&self, address: SocketAddr) -> LocalBoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move { Ok(Box::new(self.listen(address)?) as Box<dyn Listener>) })
    }

    fn connect(&self, address: SocketAddr) -> LocalBoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move { Ok(Box::new(self.dial(address)?) as Box<dyn Stream>) })
    }

    /// Knows numbers alone.
    fn resolve<'a>(&'a self, name_and_port: &'a str) -> LocalBoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let no_address = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
            Ok(vec![name_and_port.parse().map_err(no_address)?])
        })
    }
}

/// What listens on a [`MemoryNet`], until it is dropped.
struct MemoryListener {
    net: MemoryNet,
    address: SocketAddr,
    incoming: mpsc::Receiver<MemoryStream>,
}

impl Listener for MemoryListener {
    fn accept(&mut self) -> LocalBoxFuture<'_, io::Result<Box<dyn Accepted>>> {
        Box::pin(async move {
            let stream = self.incoming.recv().await;
            // The sender stands on the switchboard as long as this listens.
            let stream = stream.ok_or(io::ErrorKind::NotConnected)?;
            Ok(Box::new(stream) as Box<dyn Accepted>)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.net.switchboard().listeners.remove(&self.address);
    }
}

/// One end of a connection on a [`MemoryNet`]. It belongs to no thread and no runtime.
#[derive(Debug)]
pub struct MemoryStream {
    bytes: DuplexStream,
    local: SocketAddr,
    peer: SocketAddr,
}

impl MemoryStream {
    fn new(bytes: DuplexStream, local: SocketAddr, peer: SocketAddr) -> Self {
        Self { bytes, local, peer }
    }
}

impl Accepted for MemoryStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }

    fn into_stream(self: Box<Self>) -> io::Result<Box<dyn Stream>> {
        Ok(self)
    }
}

impl Stream for MemoryStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(cx, buffer)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn any_port() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_either_side_sees_the_end_of_the_other() {
        let net = MemoryNet::new();
        let mut listener = net.bind(any_port()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut near = net.dial(address).unwrap();
        near.write_all(b"question").await.unwrap();
        near.shutdown().await.unwrap();
        let mut far = listener.accept().await.unwrap().into_stream().unwrap();
        assert_eq!(far.peer_addr().unwrap(), near.local);
        assert_eq!((near.peer, far.local_addr().unwrap()), (address, address));
        let mut text = String::new();
        far.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "question");
        far.write_all(b"answer").await.unwrap();
        drop(far);
        near.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "questionanswer");
    }

    #[tokio::test]
    async fn who_writes_more_than_is_read_waits() {
        let net = MemoryNet::new();
        let mut listener = net.bind(any_port()).await.unwrap();
        let mut near = net.dial(listener.local_addr().unwrap()).unwrap();
        let mut far = listener.accept().await.unwrap().into_stream().unwrap();
        let bytes = vec![7; BUFFER_BYTES + 1];
        let mut writing = Box::pin(near.write_all(&bytes));
        assert!((&mut writing).now_or_never().is_none());
        far.read_exact(&mut [0; 1]).await.unwrap();
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn an_address_is_had_once_and_free_again_when_its_listener_goes() {
        let net = MemoryNet::new();
        assert_eq!(
            net.dial(any_port()).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        let listener = net.bind(any_port()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let error = net.bind(address).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(MemoryNet::new().bind(address).await.is_ok(), "another network");
        drop(listener);
        assert_eq!(net.dial(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert!(net.bind(address).await.is_ok());
    }

    #[tokio::test]
    async fn numbers_alone_resolve() {
        let net = MemoryNet::new();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9876));
        assert_eq!(net.resolve("127.0.0.1:9876").await.unwrap(), [address]);
        assert!(net.resolve("somewhere:9876").await.is_err());
    }
}
