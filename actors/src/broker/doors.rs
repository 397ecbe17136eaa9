//! The ports of a system: bound before its store is opened, so that a port in use changes nothing on the disk, and served
//! once every actor is up; connections that come between wait in the kernel.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use actix::Recipient;
use tokio::sync::{SetOnce, mpsc};

use super::system::{SharedNursery, with_nursery};
use super::{Seams, Services};
use crate::config::BrokerConfig;
use crate::http::{HttpParts, HttpServer, Sources};
use crate::io::egress::Serve;
use crate::listener::{BindError, ConnectionLimit, Listener, ListenerParts, Ports};
use crate::metrics::Metrics;
use crate::placement::Thread;
use crate::supervise::{ChildSpec, Policy};

/// The ports of a service, bound and not yet served.
pub(super) struct Door {
    pub(super) address: SocketAddr,
    pub(super) limit: Arc<ConnectionLimit>,
}

/// The doors of both services, as far as they run.
pub(super) struct Doors {
    pub(super) name_server: Option<Door>,
    pub(super) broker: Option<Door>,
}

impl Doors {
    /// The limits of connections, by service.
    pub(super) fn limits(&self) -> Vec<(&'static str, Arc<ConnectionLimit>)> {
        let all = [("name server", &self.name_server), ("broker", &self.broker)];
        let running = all.into_iter().filter_map(|(name, door)| Some((name, door.as_ref()?)));
        running.map(|(name, door)| (name, Arc::clone(&door.limit))).collect()
    }
}

/// An address to connect to for what listens on `address`.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What binding needs.
pub(super) struct Opening<'a> {
    pub(super) config: &'a BrokerConfig,
    pub(super) seams: &'a Seams,
    pub(super) nursery: &'a SharedNursery,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) opened: Arc<SetOnce<Vec<Recipient<Serve>>>>,
    /// Open ones of all services.
    pub(super) connections: Arc<AtomicUsize>,
}

impl Opening<'_> {
    /// Binds what the services need.
    pub(super) async fn bind_all(&self, services: Services) -> Result<Doors, BindError> {
        let mut doors = Doors {
            name_server: None,
            broker: None,
        };
        if services.name_server {
            let (name, port) = ("listener of the name server", self.config.name_server_port);
            doors.name_server = Some(self.bind(Ports::NameServer, name, port).await?);
        }
        if services.broker {
            let (name, port) = ("listener of the broker", self.config.port);
            doors.broker = Some(self.bind(Ports::Broker, name, port).await?);
        }
        Ok(doors)
    }

    /// Binds what operators read, before everything else: it tells that the broker starts, and at the end that it stops.
    pub(super) async fn bind_http(&self, sources: Arc<Sources>) -> Result<Option<SocketAddr>, BindError> {
        let Some(address) = self.config.http else {
            return Ok(None);
        };
        let (bound, mut binding) = mpsc::unbounded_channel();
        let mut parts = Some(HttpParts {
            net: Arc::clone(&self.seams.net),
            address,
            sources,
            bound,
        });
        // Without it the broker goes on as well as with it.
        let spec = ChildSpec::new("http", Thread::Http).policy(Policy::Never);
        with_nursery(self.nursery, |nursery| {
            nursery.start(spec, move |_| {
                Ok(HttpServer::new(parts.take().ok_or("it is started once")?))
            })
        });
        match binding.recv().await {
            Some(bound) => bound.map(Some),
            None => Err(BindError {
                address,
                source: std::io::ErrorKind::BrokenPipe.into(),
            }),
        }
    }

    /// How many connections all services may have: four fifths of what the process may have open, since the store needs files
    /// as well.
    fn most_connections(&self) -> usize {
        let files = self.seams.disk.open_files_limit();
        usize::try_from(files / 5 * 4).unwrap_or(usize::MAX).max(1)
    }

    /// How many a service may have of them.
    fn connections_of(&self, name: &str) -> usize {
        let (files, configured) = (self.seams.disk.open_files_limit(), self.config.connections_max);
        let most = self.most_connections();
        if most < configured {
            tracing::warn!(
                files,
                configured,
                most,
                "{name}: limits.connections needs more open files than the process may have; raise that by `ulimit -n` or \
                 systemd's LimitNOFILE"
            );
        }
        most.min(configured)
    }

    async fn bind(&self, ports: Ports, name: &str, port: u16) -> Result<Door, BindError> {
        let (bound, mut binding) = mpsc::unbounded_channel();
        let limit = ConnectionLimit::sharing(
            self.connections_of(name),
            Arc::clone(&self.connections),
            self.most_connections(),
        );
        let address = SocketAddr::new(self.config.listen, port);
        let parts = ListenerParts {
            clock: Arc::clone(&self.seams.clock),
            net: Arc::clone(&self.seams.net),
            ports,
            address,
            taken: Arc::default(),
            egress: Arc::clone(&self.opened),
            limit: Arc::clone(&limit),
            metrics: Arc::clone(self.metrics),
            bound,
        };
        let spec = ChildSpec::new(name, Thread::Io(0));
        with_nursery(self.nursery, |nursery| {
            nursery.start(spec, move |_| Ok(Listener::new(parts.clone())))
        });
        match binding.recv().await {
            Some(Ok(address)) => Ok(Door { address, limit }),
            Some(Err(error)) => Err(error),
            None => Err(BindError {
                address,
                source: std::io::ErrorKind::BrokenPipe.into(),
            }),
        }
    }
}
