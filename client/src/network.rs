//! How the client reaches servers: the machine's TCP, or what a test or a simulation puts in its place.
#![expect(clippy::disallowed_types, reason = "this file is the seam")]

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A future that may go from thread to thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connection's stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// A network.
pub trait Network: Send + Sync + 'static {
    /// Connects to `host:port`. It may take as long as the peer's silence lasts; the client gives it a deadline.
    ///
    /// # Errors
    /// What the system says: refused, unreachable, no such host.
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>>;

    /// The address by which this machine reaches `host:port`: it becomes part of the client's id and of its messages' ids.
    fn own_address<'a>(&'a self, toward: &'a str) -> BoxFuture<'a, IpAddr>;

    /// Whether its connections speak TLS: where a server ends one before it has answered anything, the error says what it
    /// may miss.
    fn is_secure(&self) -> bool {
        false
    }
}

/// The machine's TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Network for Tcp {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    /// Asks the routing table by a datagram socket that sends nothing.
    fn own_address<'a>(&'a self, toward: &'a str) -> BoxFuture<'a, IpAddr> {
        Box::pin(async move {
            let ask = async {
                let socket = tokio::net::UdpSocket::bind("0.0.0.0:0").await?;
                socket.connect(toward).await?;
                Ok::<_, io::Error>(socket.local_addr()?.ip())
            };
            ask.await.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
        })
    }
}
