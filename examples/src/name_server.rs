//! Where an example finds a name server.

use std::time::Duration;

use anyhow::Result;
use cuemq_actors::testing::TestBroker;

/// A name server and, where it is the example's own, the broker behind it.
pub struct NameServer {
    /// Its address, `host:port`.
    pub address: String,
    _own: Option<TestBroker>,
}

impl NameServer {
    /// The name server that the command line names, else one of a broker that ends with the example.
    ///
    /// # Errors
    /// When a broker cannot be started.
    pub fn given_or_own() -> Result<Self> {
        if let Some(address) = std::env::args().nth(1) {
            return Ok(Self { address, _own: None });
        }
        let broker = TestBroker::builder().config(|config| {
            config.filters.sql = true;
            config.delays_interval = Duration::from_millis(10);
        });
        let broker = broker.start()?;
        Ok(Self {
            address: broker.name_server().to_string(),
            _own: Some(broker),
        })
    }
}
