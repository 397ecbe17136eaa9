//! Where the figures come from: what actors and tables publish anyway, to be read from any thread.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use cuemq_storage::clock::Clock;
use cuemq_storage::commit_log::LogView;
use cuemq_storage::disk::Disk;
use cuemq_storage::queue_directory::QueueDirectory;
use tokio::sync::watch;

use super::rates::Rates;
use crate::broker::Standing;
use crate::commit_log::SendGate;
use crate::group::GroupView;
use crate::index::Backlog;
use crate::io::budget::Budgets;
use crate::io::identity::Identity;
use crate::listener::ConnectionLimit;
use crate::metrics::Metrics;
use crate::namesrv::RouteFigures;
use crate::offset::OffsetView;
use crate::rebalance::MembershipView;
use crate::supervise::Child;
use crate::topic::TopicView;
use crate::traffic::Traffic;

/// Shows the list of children to whoever reads it.
pub type Children = Box<dyn Fn(&mut dyn FnMut(&Child)) + Send + Sync>;

/// The limits of connections, by service.
pub type Limits = Vec<(&'static str, Arc<ConnectionLimit>)>;

/// What there is from the beginning.
pub struct Sources {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The broker's counters.
    pub metrics: Arc<Metrics>,
    /// What has passed by topic and group.
    pub traffic: Traffic,
    /// How all children do.
    pub standing: watch::Receiver<Standing>,
    /// The children, one by one.
    pub children: Children,
    /// The connections of each service that runs, as soon as they are served.
    pub connections: OnceLock<Limits>,
    /// The name servers that clients are to ask, as `host:port`, as soon as they are known.
    pub name_servers: OnceLock<Vec<String>>,
    /// What a name server knows, where one runs.
    pub name_server: Option<Arc<RouteFigures>>,
    /// Whether a broker is to run.
    pub with_broker: bool,
    /// The broker, as soon as its store is open.
    pub broker: OnceLock<BrokerSources>,
    /// What had passed some time ago.
    pub(super) rates: Mutex<Rates>,
}

/// What there is of a broker.
pub struct BrokerSources {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// The topics.
    pub topics: TopicView,
    /// The groups.
    pub groups: GroupView,
    /// Who is online.
    pub membership: MembershipView,
    /// What groups have committed.
    pub offsets: OffsetView,
    /// The commit log.
    pub log: Arc<LogView>,
    /// The consume queues.
    pub queues: Arc<QueueDirectory>,
    /// How far the index is behind.
    pub index_backlog: Arc<Backlog>,
    /// Whether sends are accepted.
    pub gate: Arc<SendGate>,
    /// The bytes under way.
    pub budgets: Budgets,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The data directory.
    pub root: PathBuf,
}

impl Sources {
    /// What is read of a system in which nothing has passed yet.
    #[must_use]
    pub fn new(
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        traffic: Traffic,
        standing: watch::Receiver<Standing>,
        children: Children,
    ) -> Self {
        Self {
            clock,
            metrics,
            traffic,
            standing,
            children,
            connections: OnceLock::new(),
            name_servers: OnceLock::new(),
            name_server: None,
            with_broker: false,
            broker: OnceLock::new(),
            rates: Mutex::default(),
        }
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}
