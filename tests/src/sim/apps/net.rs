//! The client's seams of network and time in a simulation.

use std::io;
use std::net::{IpAddr, SocketAddr};

use cuemq_client::clock::Clock;
use cuemq_client::network::{BoxFuture, Network, Stream};

use crate::sim::clock::SimClock;

/// The network of the simulated host that uses it.
#[derive(Clone, Debug)]
pub(super) struct AppNet {
    /// The host's name.
    pub(super) host: String,
}

impl Network for AppNet {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let no_address = || io::Error::new(io::ErrorKind::InvalidInput, "a name and a port are needed");
            let (name, port) = address.rsplit_once(':').ok_or_else(no_address)?;
            let port: u16 = port.parse().map_err(|_| no_address())?;
            let address = SocketAddr::new(turmoil::lookup(name), port);
            let stream = turmoil::net::TcpStream::connect(address).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn own_address<'a>(&'a self, _toward: &'a str) -> BoxFuture<'a, IpAddr> {
        Box::pin(async move { turmoil::lookup(self.host.as_str()) })
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        cuemq_storage::clock::Clock::now_ms(self).cast_signed()
    }
}
