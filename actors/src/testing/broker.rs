//! A whole broker with its name server for tests, on a thread of its own: real sockets on the loopback interface, ports
//! that the kernel picks, files in a directory that goes with it. All of that can be replaced by what the test holds: with
//! a [`MemoryNet`], a [`MemoryDisk`] and a [`ManualClock`](super::ManualClock), every actor runs as it does in a server, and
//! neither a socket nor a file is opened.
//!
//! All calls are plain and block, so a test uses it in the same way from a tokio runtime of any flavour, from a
//! `LocalSet`, from actix or from no runtime at all. A broker that is dropped is stopped.
//!
//! ```
//! use cuemq_actors::testing::TestBroker;
//!
//! let broker = TestBroker::start();
//! // Hand `broker.name_server()` to a client under test.
//! assert!(broker.tree().contains("commit log"));
//! broker.stop().expect("everything is on disk");
//! ```
//!
//! Without sockets, the test talks to it over a [`MemoryStream`], by typed requests or by bytes of its own:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use cuemq_actors::testing::{ManualClock, MemoryDisk, MemoryNet, TestBroker};
//! use cuemq_net::code::RequestCode;
//! use cuemq_net::request::MaxOffset;
//! use cuemq_net::transport::{self, Settings};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let broker = TestBroker::builder()
//!     .memory_net(&MemoryNet::new())
//!     .memory_disk(&MemoryDisk::new(1))
//!     .clock(Arc::new(ManualClock::new(1_700_000_000_000)))
//!     .start()
//!     .expect("a broker needs no more than that");
//! let (caller, _told, driver) = transport::over(broker.connect(), Settings::default());
//! let driving = tokio::spawn(driver.run());
//! let asked = MaxOffset { topic: "TBW102", queue_id: 0, committed: None };
//! let answer = caller.call(RequestCode::GET_MAX_OFFSET, |fields| asked.write(fields), b"", Duration::from_secs(5));
//! assert_eq!(answer.await.expect("an answer").fields.get("offset"), Some("0"));
//! # drop(caller);
//! # driving.await.unwrap().unwrap();
//! # });
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cuemq_storage::clock::{Clock, RealClock};
use cuemq_storage::disk::{Disk, MemoryDisk, RealDisk};
use cuemq_storage::interrupt::Interrupt;

use super::PATIENCE;
use super::broker_thread::{BrokerThread, End, Recipe};
use super::memory_net::{MemoryNet, MemoryStream};
use crate::broker::{Standing, SystemError};
use crate::config::BrokerConfig;
use crate::metrics::Metrics;
use crate::net::{Net, TcpNet};
use crate::placement::Layout;
use crate::supervise::{Faults, Health};

/// A broker that runs for a test.
pub struct TestBroker {
    thread: BrokerThread,
    faults: Faults,
    data: PathBuf,
    memory_net: Option<MemoryNet>,
    clock: Arc<dyn Clock>,
    /// Dropped after the thread, which has fields above this one.
    _directory: Option<tempfile::TempDir>,
}

/// What a [`TestBroker`] is to be like.
pub struct TestBrokerBuilder {
    config: BrokerConfig,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    layout: Layout,
    faults: Faults,
    interrupt: Interrupt,
    data: Option<PathBuf>,
    in_memory: bool,
    memory_net: Option<MemoryNet>,
}

impl TestBrokerBuilder {
    /// Changes settings; they begin as [`BrokerConfig::for_test`].
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut BrokerConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Keeps the files below `data`, which outlives the broker.
    #[must_use]
    pub fn data(mut self, data: impl Into<PathBuf>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Keeps the files on a simulated disk. The broker gets [`MemoryDisk::process`] of it: after a crash or kill of the
    /// disk this broker can do no more harm, and another one can be started on what is left.
    #[must_use]
    pub fn memory_disk(mut self, disk: &MemoryDisk) -> Self {
        self.disk = Arc::new(disk.process());
        self.in_memory = true;
        self
    }

    /// Listens on a network without sockets, and looks for name servers there. Ports are still picked and told.
    #[must_use]
    pub fn memory_net(mut self, net: &MemoryNet) -> Self {
        self.memory_net = Some(net.clone());
        self
    }

    /// Takes the time from `clock`. Timers still run by tokio's time.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Spreads the actors over these threads; two I/O threads by default, as on a machine with two cores.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Lets faults strike that were armed before the broker starts.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Ends the start when it is asked to.
    #[must_use]
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Starts the broker; when this returns it accepts sends.
    ///
    /// # Errors
    /// What a broker does not start for.
    pub fn start(mut self) -> Result<TestBroker, SystemError> {
        let directory = match (&self.data, self.in_memory) {
            (Some(data), _) => {
                self.config.data.clone_from(data);
                None
            }
            (None, true) => {
                self.config.data = PathBuf::from("/data");
                None
            }
            (None, false) => {
                let settings = |error| SystemError::Settings(format!("no directory for the test's files: {error}"));
                let directory = tempfile::tempdir().map_err(settings)?;
                self.config.data = directory.path().join("data");
                Some(directory)
            }
        };
        let data = self.config.data.clone();
        let net: Arc<dyn Net> = match &self.memory_net {
            Some(net) => Arc::new(net.clone()),
            None => Arc::new(TcpNet),
        };
        let with_http = self.config.http.is_some();
        let recipe = Recipe {
            config: self.config,
            disk: self.disk,
            clock: Arc::clone(&self.clock),
            net,
            layout: if with_http {
                self.layout.with_http()
            } else {
                self.layout
            },
            faults: self.faults.clone(),
            interrupt: self.interrupt,
        };
        Ok(TestBroker {
            thread: BrokerThread::start(recipe)?,
            faults: self.faults,
            data,
            memory_net: self.memory_net,
            clock: self.clock,
            _directory: directory,
        })
    }
}

impl TestBroker {
    /// A broker with small files in a directory that goes with it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        match Self::builder().start() {
            Ok(broker) => broker,
            Err(error) => panic!("the broker does not start: {error}"),
        }
    }

    /// A broker to be changed before it starts.
    #[must_use]
    pub fn builder() -> TestBrokerBuilder {
        TestBrokerBuilder {
            config: BrokerConfig::for_test(),
            disk: Arc::new(RealDisk),
            clock: Arc::new(RealClock::new()),
            layout: Layout::for_cores(2),
            faults: Faults::default(),
            interrupt: Interrupt::default(),
            data: None,
            in_memory: false,
            memory_net: None,
        }
    }

    pub(super) fn memory_net(&self) -> Option<&MemoryNet> {
        self.memory_net.as_ref()
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Where the name server listens.
    #[must_use]
    pub fn name_server(&self) -> SocketAddr {
        self.thread.name_server
    }

    /// Where the broker listens.
    #[must_use]
    pub fn broker(&self) -> SocketAddr {
        self.thread.broker
    }

    /// Where `/healthz` and `/metrics` are served.
    ///
    /// # Panics
    /// When the configuration names no address for them.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        match self.thread.http {
            Some(address) => address,
            None => panic!("no address was given: set config.http"),
        }
    }

    /// A connection to the broker on its [`MemoryNet`]; to its other ports, or from other threads, dial the net.
    ///
    /// # Panics
    /// When the broker listens on real sockets.
    #[must_use]
    pub fn connect(&self) -> MemoryStream {
        let net = self.memory_net.as_ref();
        match net.map(|net| net.dial(self.broker())) {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => panic!("the broker does not listen any more: {error}"),
            None => panic!("the broker listens on real sockets; start it with a memory_net"),
        }
    }

    /// Where the name server and the broker listen.
    #[must_use]
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.name_server(), self.broker())
    }

    /// The data directory, on the disk that the broker was given.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Lets actors fail by name; [`TestBroker::tree`] shows the names.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The broker's counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.thread.metrics
    }

    /// The tree of actors as it is now.
    #[must_use]
    pub fn tree(&self) -> String {
        self.thread
            .ask(Duration::ZERO, |running| Box::pin(async move { running.tree().await }))
    }

    /// How a child is, by its name; `None` when there is none.
    #[must_use]
    pub fn health_of(&self, name: &str) -> Option<Health> {
        let name = name.to_owned();
        self.thread.ask(Duration::ZERO, |running| {
            Box::pin(async move { running.health_of(&name).await })
        })
    }

    /// How all children do.
    #[must_use]
    pub fn health(&self) -> Standing {
        self.thread.standing()
    }

    /// Waits until the standing fits and gives it; `None` when it does not within `limit`.
    #[must_use]
    pub fn wait_for(&self, limit: Duration, fits: impl FnMut(&Standing) -> bool + Send + 'static) -> Option<Standing> {
        self.thread.ask(limit, move |running| {
            Box::pin(async move {
                let mut standing = running.standing();
                let waited = tokio::time::timeout(limit, standing.wait_for(fits)).await;
                waited.ok()?.ok().map(|standing| standing.clone())
            })
        })
    }

    /// Waits until a child has failed for good, and says which and why.
    ///
    /// # Panics
    /// When none does within [`PATIENCE`].
    #[must_use]
    pub fn failed(&self) -> String {
        let failed = self.wait_for(PATIENCE, |standing| standing.failed.is_some());
        match failed.and_then(|standing| standing.failed) {
            Some(failed) => failed,
            None => panic!("nothing failed within {} s:\n{}", PATIENCE.as_secs(), self.tree()),
        }
    }

    /// Ends the broker in order. Its directory is removed, unless it was given.
    ///
    /// # Errors
    /// When not everything could be brought to disk.
    pub fn stop(mut self) -> Result<(), SystemError> {
        self.thread.end(End::InOrder)
    }

    /// Ends the broker as `kill -9` would, as far as that is possible within one process: nothing is flushed or said, the
    /// connections break, and the store is left as it is, with its abort file.
    pub fn kill(mut self) {
        let _ = self.thread.end(End::AtOnce);
    }
}
