//! The `Net` seam on turmoil's simulated TCP: what a simulated host gives its broker.
//!
//! Virtual time, seeded delays, partitions and lost hosts come from the simulation that the host runs in; nothing here
//! works outside of one. A simulated host can listen on `0.0.0.0` (or its loopback) alone.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use cuemq_actors::net::{Accepted, Listener, Net, Stream};
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The network of the simulated host that uses it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimNet;

impl Net for SimNet {
    fn bind(&self, address: SocketAddr) -> LocalBoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let socket = turmoil::net::TcpListener::bind(address).await?;
            Ok(Box::new(SimListener { socket }) as Box<dyn Listener>)
        })
    }

    fn connect(&self, address: SocketAddr) -> LocalBoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let socket = turmoil::net::TcpStream::connect(address).await?;
            Ok(Box::new(SimStream { socket }) as Box<dyn Stream>)
        })
    }

    fn resolve<'a>(&'a self, name_and_port: &'a str) -> LocalBoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let no_address = || io::Error::new(io::ErrorKind::InvalidInput, "a name and a port are needed");
            let (name, port) = name_and_port.rsplit_once(':').ok_or_else(no_address)?;
            let port: u16 = port.parse().map_err(|_| no_address())?;
            Ok(vec![SocketAddr::new(turmoil::lookup(name), port)])
        })
    }
}

struct SimListener {
    socket: turmoil::net::TcpListener,
}

impl Listener for SimListener {
    fn accept(&mut self) -> LocalBoxFuture<'_, io::Result<Box<dyn Accepted>>> {
        Box::pin(async move {
            let (socket, _) = self.socket.accept().await?;
            Ok(Box::new(SimStream { socket }) as Box<dyn Accepted>)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A simulated connection. All of a host lives on one thread, so an accepted one is a stream already.
struct SimStream {
    socket: turmoil::net::TcpStream,
}

impl Accepted for SimStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    fn into_stream(self: Box<Self>) -> io::Result<Box<dyn Stream>> {
        Ok(self)
    }
}

impl Stream for SimStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl AsyncRead for SimStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::time::Duration;

    use actix::{Actor, Handler, Message};
    use cuemq_actors::placement::{Placement, Thread};
    use cuemq_actors::supervise::{Backoff, ChildReport, ChildSpec, Context, Nursery, Policy};
    use cuemq_actors::testing::{Faults, ManualClock, Probe, Site};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Doubles a byte.
    #[derive(Message)]
    #[rtype(result = "u8")]
    struct Double(u8);

    struct Doubler;

    impl Actor for Doubler {
        type Context = Context<Self>;
    }

    impl Handler<Double> for Doubler {
        type Result = u8;

        fn handle(&mut self, Double(byte): Double, _: &mut Context<Self>) -> u8 {
            byte.wrapping_mul(2)
        }
    }

    /// Supervised actors, tasks and sockets as a broker has them, all on one simulated host.
    async fn serve() -> turmoil::Result {
        let reports = Probe::<ChildReport>::new();
        let (clock, faults) = (Arc::new(ManualClock::new(0)), Faults::default());
        let placement = Placement::local();
        let mut nursery = Nursery::new("host", placement.clone(), clock, faults.clone(), reports.recipient());
        let backoff = Backoff {
            step: Duration::from_secs(1),
            most: Duration::from_secs(1),
        };
        let policy = Policy::Restart {
            limit: 9,
            window: Duration::from_secs(60),
            backoff,
        };
        let doubler = nursery.start(ChildSpec::new("doubler", Thread::Log).policy(policy), |_| Ok(Doubler));
        // Two bytes are lost with the values that handled them; the third waits for the value built after a pause.
        faults.arm("doubler", Site::Handler, 2);
        let mut listener = SimNet.bind((Ipv4Addr::UNSPECIFIED, 10911).into()).await?;
        loop {
            let accepted = listener.accept().await?;
            let doubler = doubler.clone();
            placement.run(Thread::Io(0), "connection", move || async move {
                let mut stream = accepted.into_stream().unwrap();
                while let Ok(byte) = stream.read_u8().await {
                    let answer = doubler.send(Double(byte)).await.unwrap_or(0);
                    stream.write_u8(answer).await.unwrap();
                }
            });
        }
    }

    #[test]
    fn a_simulated_host_runs_supervised_actors_behind_its_sockets() {
        let mut sim = turmoil::Builder::new()
            .rng_seed(7)
            .simulation_duration(Duration::from_secs(60))
            .build();
        sim.host("server", serve);
        sim.client("client", async {
            let address = SimNet.resolve("server:10911").await?[0];
            let mut stream = SimNet.connect(address).await?;
            stream.write_all(&[1, 2, 3]).await?;
            let mut answers = [9; 3];
            stream.read_exact(&mut answers).await?;
            assert_eq!(answers, [0, 0, 6]);
            assert!(
                turmoil::elapsed() > Duration::from_secs(1),
                "the pause passed in virtual time"
            );
            assert_eq!(stream.peer_addr()?, address);
            Ok(())
        });
        sim.run().unwrap();
    }
}
