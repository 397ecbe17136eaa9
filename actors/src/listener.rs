//! Accepts connections on one service's ports and spreads them over the I/O threads. Built anew after a failure, it binds
//! the same ports again; connections that are open do not notice.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Recipient, WrapFuture};
use cuemq_storage::clock::Clock;
use tokio::sync::{Notify, SetOnce, mpsc};

use crate::io::egress::{Door, Serve};
use crate::metrics::Metrics;
use crate::net::{Listener as Socket, Net};
use crate::supervise::Context;

/// Old clients send to the broker's port less this.
const FAST_DISTANCE: u16 = 2;
/// How often a pair of ports is tried when the kernel picks.
const TRIES: usize = 64;
/// How long a listener rests when the process has no descriptor to spare.
const REST: Duration = Duration::from_millis(100);
/// So many are accepted before those that are there have their turn.
const ACCEPTED_AT_ONCE: usize = 8;

/// Which ports a listener binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The broker's port and that port less 2.
    Broker,
    /// The name server's port.
    NameServer,
}

/// A port that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; stop what uses the port, or choose another one")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: std::io::Error,
}

/// Counts the open connections of a service.
#[derive(Debug)]
pub struct ConnectionLimit {
    open: AtomicUsize,
    most: usize,
    /// Of all services of the process, which share its open files.
    all: Arc<AtomicUsize>,
    all_most: usize,
    closed: Notify,
}

/// The right of one connection to be open; given back when it is dropped.
#[derive(Debug)]
pub struct Permit(Arc<ConnectionLimit>);

impl ConnectionLimit {
    /// A limit of `most` connections.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Self::sharing(most, Arc::default(), usize::MAX)
    }

    /// A limit of `most` connections, and of `all_most` together with those that share `all`.
    #[must_use]
    pub fn sharing(most: usize, all: Arc<AtomicUsize>, all_most: usize) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            most,
            all,
            all_most,
            closed: Notify::new(),
        })
    }

    /// Takes a permit, if one is left.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Option<Permit> {
        // Given back by the drop, also where it is not handed out.
        let (open, all) = (
            self.open.fetch_add(1, Ordering::AcqRel),
            self.all.fetch_add(1, Ordering::AcqRel),
        );
        let permit = Permit(Arc::clone(self));
        (open < self.most && all < self.all_most).then_some(permit)
    }

    /// Waits until no connection is open.
    pub async fn drained(&self) {
        loop {
            let closed = self.closed.notified();
            if self.open() == 0 {
                return;
            }
            closed.await;
        }
    }

    /// How many may be open.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.all.fetch_sub(1, Ordering::AcqRel);
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.closed.notify_waiters();
    }
}

/// What a listener works with.
#[derive(Clone)]
pub struct ListenerParts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The network.
    pub net: Arc<dyn Net>,
    /// Which ports.
    pub ports: Ports,
    /// The address to listen on; port 0 lets the kernel pick.
    pub address: SocketAddr,
    /// The address that was had first, which a listener that was built anew takes again.
    pub taken: Arc<OnceLock<SocketAddr>>,
    /// Serve the connections, one for each I/O thread; until they are there, connections wait in the kernel.
    pub egress: Arc<SetOnce<Vec<Recipient<Serve>>>>,
    /// How many may be open.
    pub limit: Arc<ConnectionLimit>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Is told the real address, or why there is none, each time the ports are bound.
    pub bound: mpsc::UnboundedSender<Result<SocketAddr, BindError>>,
}

/// The actor.
pub struct Listener {
    parts: ListenerParts,
}

impl Listener {
    /// A listener that binds when it starts.
    #[must_use]
    pub fn new(parts: ListenerParts) -> Self {
        Self { parts }
    }
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let parts = self.parts.clone();
        let address = parts.taken.get().copied().unwrap_or(parts.address);
        let binding = async move {
            match parts.ports {
                Ports::Broker => bind_pair(parts.net.as_ref(), address).await,
                Ports::NameServer => bind_one(parts.net.as_ref(), address)
                    .await
                    .map(|one| vec![(one, Door::NameServer)]),
            }
        };
        ctx.wait(binding.into_actor(self).map(|bound, listener, ctx| match bound {
            Ok(sockets) => listener.serve(sockets, ctx),
            Err(error) => {
                // Whoever waits for the first binding decides; a later one is tried again by the policy.
                let again = error.to_string();
                let _ = listener.parts.bound.send(Err(error));
                ctx.fail(again);
            }
        }));
    }
}

impl Listener {
    fn serve(&mut self, sockets: Vec<(Box<dyn Socket>, Door)>, ctx: &mut Context<Self>) {
        if let Some((main, _)) = sockets.first()
            && let Ok(address) = main.local_addr()
        {
            let _ = self.parts.taken.set(address);
            let _ = self.parts.bound.send(Ok(address));
        }
        let turn = Rc::new(std::cell::Cell::new(0));
        for (socket, door) in sockets {
            let parts = self.parts.clone();
            ctx.spawn(accept(parts, socket, door, Rc::clone(&turn)).into_actor(self));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "bounded by the limit of connections")]
async fn accept(parts: ListenerParts, mut socket: Box<dyn Socket>, door: Door, turn: Rc<std::cell::Cell<usize>>) {
    let egress = parts.egress.wait().await;
    let mut at_once = 0;
    loop {
        at_once += 1;
        if at_once > ACCEPTED_AT_ONCE {
            at_once = 1;
            tokio::task::yield_now().await;
        }
        let accepted = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "connections cannot be accepted now");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let Some(permit) = parts.limit.take() else {
            parts.metrics.connections_refused.add(1);
            if let Some(left_out) = parts.metrics.refusals_told.due(parts.clock.monotonic()) {
                let open = parts.limit.open();
                tracing::warn!(open, left_out, "too many connections: one was closed at once");
            }
            continue;
        };
        parts.metrics.connections_opened.add(1);
        let next = turn.get();
        turn.set(next.wrapping_add(1));
        if let Some(egress) = egress.get(next % egress.len().max(1)) {
            egress.do_send(Serve { accepted, door, permit });
        }
    }
}

async fn bind_one(net: &dyn Net, address: SocketAddr) -> Result<Box<dyn Socket>, BindError> {
    net.bind(address).await.map_err(|source| BindError { address, source })
}

/// Binds P and P − 2. Where the kernel picks P, both are tried until both are free.
async fn bind_pair(net: &dyn Net, address: SocketAddr) -> Result<Vec<(Box<dyn Socket>, Door)>, BindError> {
    let ip: IpAddr = address.ip();
    let mut tries = if address.port() == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let main = bind_one(net, address).await?;
        let port = main
            .local_addr()
            .map_err(|source| BindError { address, source })?
            .port();
        let fast = SocketAddr::new(ip, port.saturating_sub(FAST_DISTANCE));
        match bind_one(net, fast).await {
            Ok(fast) => return Ok(vec![(main, Door::Broker), (fast, Door::Fast)]),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_a_process_share_its_files_and_a_refusal_takes_none() {
        let all = Arc::default();
        let (broker, names) = (
            ConnectionLimit::sharing(2, Arc::clone(&all), 3),
            ConnectionLimit::sharing(2, all, 3),
        );
        let (first, _second) = (broker.take(), broker.take());
        assert!(broker.take().is_none(), "it has its own limit");
        let _third = names.take();
        assert!(names.take().is_none(), "three are open in all");
        drop(first);
        assert!(names.take().is_some());
        assert_eq!((broker.open(), names.open()), (1, 1));
    }
}
