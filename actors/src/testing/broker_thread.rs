//! The thread that a [`super::TestBroker`] runs on: an actix system of its own with the broker's threads beside it, and a
//! way to ask the running system something from any other thread.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self as blocking, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use cuemq_storage::clock::Clock;
use cuemq_storage::disk::Disk;
use cuemq_storage::entropy::SeededEntropy;
use cuemq_storage::interrupt::Interrupt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::broker::{self, Running, Seams, Services, Standing, SystemError};
use crate::config::BrokerConfig;
use crate::metrics::Metrics;
use crate::net::Net;
use crate::placement::{Layout, Threads};
use crate::supervise::{Faults, install_panic_hook};

use super::PATIENCE;

/// How long a broker may take to come up, with the recovery of a large store.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long the broker's threads may take to end.
const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// What a broker is made of.
pub(super) struct Recipe {
    pub(super) config: BrokerConfig,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) net: Arc<dyn Net>,
    pub(super) layout: Layout,
    pub(super) faults: Faults,
    pub(super) interrupt: Interrupt,
}

/// How a broker ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// As by a signal.
    InOrder,
    /// As by `kill -9`.
    AtOnce,
}

/// Something to be done on the broker's thread.
type Job = Box<dyn FnOnce(Rc<Running>) -> LocalBoxFuture<'static, ()> + Send>;

enum Order {
    Run(Job),
    End(End),
}

/// What a broker that came up tells of itself.
struct Up {
    name_server: SocketAddr,
    broker: SocketAddr,
    http: Option<SocketAddr>,
    metrics: Arc<Metrics>,
    standing: watch::Receiver<Standing>,
}

/// A thread with a broker.
pub(super) struct BrokerThread {
    pub(super) name_server: SocketAddr,
    pub(super) broker: SocketAddr,
    pub(super) http: Option<SocketAddr>,
    pub(super) metrics: Arc<Metrics>,
    standing: watch::Receiver<Standing>,
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<Result<(), SystemError>>>,
}

impl BrokerThread {
    #[expect(clippy::disallowed_methods, reason = "what a test's thread must not be blocked by")]
    pub(super) fn start(recipe: Recipe) -> Result<Self, SystemError> {
        let (orders, taken) = mpsc::unbounded_channel();
        let (up, is_up) = blocking::channel();
        let thread = std::thread::Builder::new()
            .name("test-broker".to_owned())
            .spawn(move || run(recipe, &up, taken))
            .map_err(|error| SystemError::Settings(format!("no thread for the broker: {error}")))?;
        match is_up.recv_timeout(START_LIMIT) {
            Ok(up) => Ok(Self {
                name_server: up.name_server,
                broker: up.broker,
                http: up.http,
                metrics: up.metrics,
                standing: up.standing,
                orders,
                thread: Some(thread),
            }),
            Err(RecvTimeoutError::Timeout) => Err(SystemError::Settings(format!(
                "the broker did not come up within {START_LIMIT:?}"
            ))),
            // It ended before it was up, and says why.
            Err(RecvTimeoutError::Disconnected) => Err(match thread.join() {
                Ok(Err(error)) => error,
                Ok(Ok(())) => SystemError::NotClosed("it ended before it was up".to_owned()),
                Err(panic) => std::panic::resume_unwind(panic),
            }),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Does something on the broker's thread, which takes `limit` at most by itself, and gives what comes of it.
    ///
    /// # Panics
    /// When the thread is gone, or when nothing has come [`PATIENCE`] after the limit.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        limit: Duration,
        question: impl FnOnce(Rc<Running>) -> LocalBoxFuture<'static, T> + Send + 'static,
    ) -> T {
        let (answer, answered) = blocking::channel();
        let job: Job = Box::new(move |running| {
            Box::pin(async move {
                // Whoever asked waits, or has panicked.
                let _ = answer.send(question(running).await);
            })
        });
        // One that is not taken is dropped, and with it the way to answer.
        let _ = self.orders.send(Order::Run(job));
        match answered.recv_timeout(limit + PATIENCE) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => panic!("the broker's thread does not answer"),
            Err(RecvTimeoutError::Disconnected) => panic!("the broker's thread has ended"),
        }
    }

    /// Ends the broker, if that was not done yet.
    pub(super) fn end(&mut self, end: End) -> Result<(), SystemError> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        // A thread that has panicked takes no orders; that comes out below.
        let _ = self.orders.send(Order::End(end));
        match thread.join() {
            Ok(ended) => ended,
            Err(panic) if std::thread::panicking() => {
                drop(panic);
                Ok(())
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for BrokerThread {
    fn drop(&mut self) {
        if let Err(error) = self.end(End::InOrder) {
            tracing::warn!(%error, "a test's broker did not end in order");
        }
    }
}

fn run(recipe: Recipe, up: &blocking::Sender<Up>, orders: mpsc::UnboundedReceiver<Order>) -> Result<(), SystemError> {
    install_panic_hook();
    let settings = |error: &dyn std::fmt::Display| SystemError::Settings(error.to_string());
    let system = actix_rt::System::new();
    let threads = system.block_on(async { Threads::start(recipe.layout) });
    let threads = threads.map_err(|error| settings(&error))?;
    let seams = Seams {
        disk: recipe.disk,
        clock: recipe.clock,
        entropy: Arc::new(SeededEntropy::from_system().map_err(|error| settings(&error))?),
        net: recipe.net,
        placement: threads.placement(),
        faults: recipe.faults,
        interrupt: recipe.interrupt,
    };
    let ended = system.block_on(serve(recipe.config, seams, up, orders));
    let joined = system.block_on(threads.join(JOIN_LIMIT));
    ended.and(joined.map_err(|error| settings(&error)))
}

async fn serve(
    config: BrokerConfig,
    seams: Seams,
    up: &blocking::Sender<Up>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) -> Result<(), SystemError> {
    let services = Services {
        broker: true,
        name_server: true,
    };
    let running = Rc::new(broker::start(config, services, seams).await?);
    let (Some(name_server), Some(broker)) = (running.name_server, running.broker) else {
        return Err(SystemError::Settings("a test broker has both services".to_owned()));
    };
    let _ = up.send(Up {
        name_server,
        broker,
        http: running.http,
        metrics: Arc::clone(&running.metrics),
        standing: running.standing(),
    });
    let mut jobs = JoinSet::new();
    let end = loop {
        match orders.recv().await {
            Some(Order::Run(job)) => drop(jobs.spawn_local(job(Rc::clone(&running)))),
            Some(Order::End(end)) => break end,
            None => break End::InOrder,
        }
        while jobs.try_join_next().is_some() {}
    };
    jobs.shutdown().await;
    match (end, Rc::try_unwrap(running)) {
        (End::InOrder, Ok(running)) => running.stop().await,
        (End::InOrder, Err(_)) => Err(SystemError::NotClosed("something still uses the broker".to_owned())),
        (End::AtOnce, _) => Ok(()),
    }
}
