//! What a client is to be like: Java's names (`ClientConfig`) in Rust's case, and Java's defaults.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::command::Command;

use super::Client;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::network::{Network, Tcp};

/// Sees every request before it leaves, and every answer (`RPCHook` in Java): it may add extension fields, as a signature.
pub trait RequestHook: Send + Sync + 'static {
    /// Called with a request that is about to go to `address`.
    fn before(&self, address: &str, request: &mut Command);

    /// Called with the answer, if there is one.
    fn after(&self, address: &str, request: &Command, answer: &Command) {
        let _ = (address, request, answer);
    }
}

/// The settings of a [`Client`].
///
/// ```no_run
/// # async fn start() -> Result<(), cuemq_client::Error> {
/// use cuemq_client::ClientOptions;
///
/// let client = ClientOptions::new().namesrv_addr("10.0.0.1:9876;10.0.0.2:9876").start().await?;
/// client.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ClientOptions {
    pub(crate) namesrv_addr: Option<String>,
    pub(crate) address_server: Option<String>,
    pub(crate) client_ip: Option<IpAddr>,
    pub(crate) instance_name: Option<String>,
    pub(crate) unit_name: Option<String>,
    pub(crate) process_id: u32,
    pub(crate) poll_name_server_interval: Duration,
    pub(crate) heartbeat_broker_interval: Duration,
    pub(crate) persist_consumer_offset_interval: Duration,
    pub(crate) mq_client_api_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_pending_calls: usize,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hooks: Vec<Arc<dyn RequestHook>>,
    pub(crate) seed: Option<u64>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            namesrv_addr: None,
            address_server: None,
            client_ip: None,
            instance_name: None,
            unit_name: None,
            process_id: std::process::id(),
            poll_name_server_interval: Duration::from_secs(30),
            heartbeat_broker_interval: Duration::from_secs(30),
            persist_consumer_offset_interval: Duration::from_secs(5),
            mq_client_api_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(3),
            max_pending_calls: 65_535,
            network: Arc::new(Tcp),
            clock: Arc::new(SystemClock),
            hooks: Vec::new(),
            seed: None,
        }
    }
}

impl ClientOptions {
    /// Java's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The name servers, `host:port` with `;` between. Without it they are those of `NAMESRV_ADDR` in the environment.
    #[must_use]
    pub fn namesrv_addr(mut self, addresses: impl Into<String>) -> Self {
        self.namesrv_addr = Some(addresses.into());
        self
    }

    /// Asks an address server, `host` or `host:port`, for the page `/rocketmq/nsaddr` (of a unit `/rocketmq/nsaddr-<unit>`)
    /// where no name servers are named, at the start and every 2 min.
    #[must_use]
    pub fn address_server(mut self, domain: impl Into<String>) -> Self {
        self.address_server = Some(domain.into());
        self
    }

    /// This machine's address in the client's id and in the ids of messages; by default the one that reaches the name server.
    #[must_use]
    pub fn client_ip(mut self, ip: IpAddr) -> Self {
        self.client_ip = Some(ip);
        self
    }

    /// Tells this client from others of the same machine, and becomes part of its id; by default the process's id and a number, so
    /// that every client has its own. Two clients that run at a time must not have the same.
    #[must_use]
    pub fn instance_name(mut self, name: impl Into<String>) -> Self {
        self.instance_name = Some(name.into());
        self
    }

    /// The unit of a deployment in several units, the last part of the client's id.
    #[must_use]
    pub fn unit_name(mut self, name: impl Into<String>) -> Self {
        self.unit_name = Some(name.into());
        self
    }

    /// The process's id in the client's id and in the ids of messages, for runs that are to repeat exactly; by default that of
    /// this process.
    #[must_use]
    pub fn process_id(mut self, id: u32) -> Self {
        self.process_id = id;
        self
    }

    /// How often the routes of all topics in use are asked for again: 30 s.
    #[must_use]
    pub fn poll_name_server_interval(mut self, interval: Duration) -> Self {
        self.poll_name_server_interval = interval;
        self
    }

    /// How often brokers are told that the client is there, and those that are in no route any more are left: 30 s.
    #[must_use]
    pub fn heartbeat_broker_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_broker_interval = interval;
        self
    }

    /// How often consumers save how far they have come: 5 s.
    #[must_use]
    pub fn persist_consumer_offset_interval(mut self, interval: Duration) -> Self {
        self.persist_consumer_offset_interval = interval;
        self
    }

    /// How long a server may take to answer what has no time limit of its own: 3 s.
    #[must_use]
    pub fn mq_client_api_timeout(mut self, timeout: Duration) -> Self {
        self.mq_client_api_timeout = timeout;
        self
    }

    /// How long a connection may take to be made: 3 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How many calls may wait for their answer on one connection: 65535.
    #[must_use]
    pub fn max_pending_calls(mut self, calls: usize) -> Self {
        self.max_pending_calls = calls;
        self
    }

    /// Reaches servers by another network than the machine's.
    #[must_use]
    pub fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = network;
        self
    }

    /// Takes the time of day from another clock. Delays are still measured by tokio's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Shows every request to a hook before it leaves; hooks are called in the order in which they were given.
    #[must_use]
    pub fn request_hook(mut self, hook: Arc<dyn RequestHook>) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Makes whatever the client chooses at random the same for the same seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts a client; it must run in a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// When no name server is named.
    pub async fn start(self) -> Result<Client, Error> {
        Client::start(self).await
    }
}
