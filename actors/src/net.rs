//! The `Net` seam: listening and connecting, so that the broker runs on the machine's TCP and on a simulated one.
//!
//! Streams and listeners belong to the thread that made them. What a listener accepts is not registered anywhere yet:
//! an [`Accepted`] may be sent to the I/O thread that is to serve it, and becomes a [`Stream`] there.
#![expect(clippy::disallowed_types, reason = "this file is the seam")]

use std::io;
use std::net::SocketAddr;

use futures_util::future::LocalBoxFuture;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};

/// How many connections the kernel holds for us that are not accepted yet.
const BACKLOG: i32 = 1024;

/// What the kernel takes of what a client's window has no room for yet. Without it that is as much as its send buffer, which
/// grows to megabytes: a thousand slow readers would hold gigabytes.
const UNSENT_BYTES: u32 = 128 << 10;
/// As much of a newcomer's, and the most that is written to it at once.
pub const NARROW_BYTES: usize = 16 << 10;

/// A network.
pub trait Net: Send + Sync + 'static {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// What the system says: the address is in use, is not ours, or needs more rights.
    fn bind(&self, address: SocketAddr) -> LocalBoxFuture<'_, io::Result<Box<dyn Listener>>>;

    /// Connects to an address. It takes as long as the peer's silence lasts: give it a deadline.
    ///
    /// # Errors
    /// What the system says: refused, unreachable.
    fn connect(&self, address: SocketAddr) -> LocalBoxFuture<'_, io::Result<Box<dyn Stream>>>;

    /// The addresses behind `name:port`.
    ///
    /// # Errors
    /// When the name is not known, or is no name and port.
    fn resolve<'a>(&'a self, name_and_port: &'a str) -> LocalBoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// A listening socket.
pub trait Listener: 'static {
    /// Waits for the next connection. Dropping the future loses none.
    ///
    /// # Errors
    /// When the process has no descriptor or memory to spare; the next call may do better. A peer that went away while it
    /// waited is passed over.
    fn accept(&mut self) -> LocalBoxFuture<'_, io::Result<Box<dyn Accepted>>>;

    /// The address it listens on, with the real port.
    ///
    /// # Errors
    /// What the system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A connection that was accepted and belongs to no thread yet.
pub trait Accepted: Send + 'static {
    /// Who connected.
    ///
    /// # Errors
    /// When it is no longer connected.
    fn peer_addr(&self) -> io::Result<SocketAddr>;

    /// Makes it a stream of this thread.
    ///
    /// # Errors
    /// When the socket cannot be registered; it is closed then.
    fn into_stream(self: Box<Self>) -> io::Result<Box<dyn Stream>>;
}

/// A connection's stream of bytes. Small writes leave at once (no delay to gather them).
pub trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// The other end's address.
    ///
    /// # Errors
    /// When it is no longer connected.
    fn peer_addr(&self) -> io::Result<SocketAddr>;

    /// This end's address.
    ///
    /// # Errors
    /// What the system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// What the other end has not taken is forgotten when this is dropped. The system would keep it for minutes, for a peer that
    /// takes nothing. A network that keeps nothing has nothing to do.
    fn forget_unsent(&self) {}

    /// Its client reads, so the system may take more of what is to be sent to it. A network that holds nothing has nothing to do.
    fn widen(&self) {}
}

/// The machine's TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpNet;

impl Net for TcpNet {
    fn bind(&self, address: SocketAddr) -> LocalBoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move { Ok(Box::new(TcpListener::bind(address)?) as Box<dyn Listener>) })
    }

    fn connect(&self, address: SocketAddr) -> LocalBoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn resolve<'a>(&'a self, name_and_port: &'a str) -> LocalBoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host(name_and_port).await?.collect()) })
    }
}

struct TcpListener {
    socket: tokio::net::TcpListener,
}

impl TcpListener {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // A restarted broker takes its port back while old connections linger.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            socket: tokio::net::TcpListener::from_std(socket.into())?,
        })
    }
}

impl Listener for TcpListener {
    fn accept(&mut self) -> LocalBoxFuture<'_, io::Result<Box<dyn Accepted>>> {
        Box::pin(async move {
            let (stream, peer) = loop {
                match self.socket.accept().await {
                    Err(error) if is_gone(&error) => {}
                    accepted => break accepted?,
                }
            };
            // Tokio ties it to this thread's event loop; the plain socket is free to go to another.
            let socket = stream.into_std()?;
            Ok(Box::new(AcceptedTcp { socket, peer }) as Box<dyn Accepted>)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Whether it was the peer that failed, before it was accepted.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

struct AcceptedTcp {
    socket: std::net::TcpStream,
    peer: SocketAddr,
}

impl Accepted for AcceptedTcp {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }

    fn into_stream(self: Box<Self>) -> io::Result<Box<dyn Stream>> {
        self.socket.set_nodelay(true)?;
        socket2::SockRef::from(&self.socket).set_tcp_notsent_lowat(NARROW_BYTES as u32)?;
        Ok(Box::new(tokio::net::TcpStream::from_std(self.socket)?))
    }
}

impl Stream for tokio::net::TcpStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.peer_addr()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn forget_unsent(&self) {
        // A socket that does not take the option is closed as any other.
        let _ = socket2::SockRef::from(self).set_linger(Some(std::time::Duration::ZERO));
    }

    fn widen(&self) {
        // It stays narrow otherwise, which is slower and right.
        let _ = socket2::SockRef::from(self).set_tcp_notsent_lowat(UNSENT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;
    use crate::placement::{Layout, Thread, Threads};
    use crate::testing::PATIENCE;

    fn any_port() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    #[actix::test]
    async fn an_accepted_connection_is_served_by_another_thread() {
        let threads = Threads::start(Layout::for_cores(2)).unwrap();
        let mut listener = TcpNet.bind(any_port()).await.unwrap();
        let mut client = TcpNet.connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = listener.accept().await.unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
        threads.placement().run(Thread::Io(1), "echo", move || async move {
            let mut stream = accepted.into_stream().unwrap();
            let mut word = [0; 4];
            stream.read_exact(&mut word).await.unwrap();
            stream.write_all(&word).await.unwrap();
        });
        client.write_all(b"echo").await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, client.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer, "echo");
        threads.join(PATIENCE).await.unwrap();
    }

    #[actix::test]
    async fn vectored_writes_leave_as_one() {
        let mut listener = TcpNet.bind(any_port()).await.unwrap();
        let mut client = TcpNet.connect(listener.local_addr().unwrap()).await.unwrap();
        let mut stream = listener.accept().await.unwrap().into_stream().unwrap();
        assert!(stream.is_write_vectored());
        let parts = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"body")];
        assert_eq!(stream.write_vectored(&parts).await.unwrap(), 8);
        let mut both = [0; 8];
        client.read_exact(&mut both).await.unwrap();
        assert_eq!(&both, b"headbody");
    }

    /// How much the kernel takes of one whose client reads nothing.
    async fn taken(stream: &mut Box<dyn Stream>) -> usize {
        let mut taken = 0;
        while let Some(written) = stream.write(&[0; NARROW_BYTES]).now_or_never() {
            taken += written.unwrap();
        }
        taken
    }

    #[actix::test]
    async fn the_kernel_takes_little_for_a_newcomer_that_reads_nothing_and_more_for_who_has_read() {
        let mut listener = TcpNet.bind(any_port()).await.unwrap();
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_recv_buffer_size(4 << 10).unwrap();
        client.connect(&listener.local_addr().unwrap().into()).unwrap();
        let mut stream = listener.accept().await.unwrap().into_stream().unwrap();
        let narrow = taken(&mut stream).await;
        assert!(narrow <= 4 * NARROW_BYTES, "{narrow} bytes");
        stream.widen();
        let more = tokio::time::timeout(PATIENCE, stream.write(&[0; NARROW_BYTES])).await;
        let wide = narrow + more.unwrap().unwrap() + taken(&mut stream).await;
        assert!(wide > narrow + UNSENT_BYTES as usize / 2, "{wide} bytes after {narrow}");
    }

    #[actix::test]
    async fn giving_up_an_accept_loses_no_connection() {
        let mut listener = TcpNet.bind(any_port()).await.unwrap();
        assert!(listener.accept().now_or_never().is_none());
        let client = TcpNet.connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = tokio::time::timeout(PATIENCE, listener.accept())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
    }

    #[actix::test]
    async fn a_taken_port_is_an_error() {
        let listener = TcpNet.bind(any_port()).await.unwrap();
        let error = TcpNet.bind(listener.local_addr().unwrap()).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[actix::test]
    async fn names_and_numbers_resolve() {
        assert_eq!(
            TcpNet.resolve("127.0.0.1:9876").await.unwrap(),
            [SocketAddr::from((Ipv4Addr::LOCALHOST, 9876))]
        );
        assert!(TcpNet.resolve("no port").await.is_err());
    }

    #[actix::test]
    async fn a_thread_that_ends_closes_its_connections() {
        let threads = Threads::start(Layout::for_cores(1)).unwrap();
        let mut listener = TcpNet.bind(any_port()).await.unwrap();
        let mut client = TcpNet.connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = listener.accept().await.unwrap();
        let (sender, held) = oneshot::channel();
        threads.placement().run(Thread::Io(0), "idle", move || async move {
            let _stream = accepted.into_stream().unwrap();
            sender.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        held.await.unwrap();
        threads.join(PATIENCE).await.unwrap();
        assert_eq!(
            tokio::time::timeout(PATIENCE, client.read(&mut [0; 1]))
                .await
                .unwrap()
                .unwrap(),
            0
        );
    }
}
