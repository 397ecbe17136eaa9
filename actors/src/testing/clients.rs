//! The client library beside a broker of a test: on the broker's network and by its clock.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use cuemq_client::ClientOptions;
use cuemq_client::network::{BoxFuture, Network, Stream};
use cuemq_storage::clock::Clock;

use super::{MemoryNet, TestBroker};

impl Network for MemoryNet {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let address = address.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
            Ok(Box::new(self.dial(address)?) as Box<dyn Stream>)
        })
    }

    fn own_address<'a>(&'a self, _toward: &'a str) -> BoxFuture<'a, IpAddr> {
        Box::pin(std::future::ready(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }
}

/// The broker's clock, as its clients look at it.
struct SameClock(Arc<dyn Clock>);

impl cuemq_client::clock::Clock for SameClock {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.0.now_ms()).unwrap_or(i64::MAX)
    }
}

impl TestBroker {
    /// Options of a client of this broker: its name server, its network if that is a [`MemoryNet`], and its clock, so that a
    /// test that moves a [`ManualClock`](super::ManualClock) moves both. Intervals of the client run by tokio's time.
    #[must_use]
    pub fn client_options(&self) -> ClientOptions {
        let options = ClientOptions::new()
            .namesrv_addr(self.name_server().to_string())
            .clock(Arc::new(SameClock(self.clock())));
        match self.memory_net() {
            Some(net) => options.network(Arc::new(net.clone())),
            None => options,
        }
    }
}
