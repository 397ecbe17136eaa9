//! Starts the children, in the order in which they are stopped backwards: what writes files last of all, then the commit
//! log, then what feeds it. The consume queues, started on demand, stop first.
//!
//! Here: what all are made from, and the order. The factories stand with their likes: `log` (the commit log, its queues
//! and its index), `waiting` (who keeps messages that are not delivered yet), `tables`, `peers` (who talks to other
//! machines) and `io`.

mod io;
mod log;
mod peers;
mod tables;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix::{Actor, Addr};
use cuemq_storage::commit_log::LogView;
use cuemq_storage::queue_directory::QueueDirectory;
use cuemq_storage::recovery::StoreLayout;

use super::Seams;
use super::store::OpenStore;
use super::system::{SharedNursery, with_nursery};
use super::wiring::{BrokerChildren, PendingWiring, Wiring};
use crate::commit_log::SendGate;
use crate::config::BrokerConfig;
use crate::consume_queue::open_files::OpenFiles;
use crate::filter::FilterView;
use crate::group::GroupView;
use crate::http::BrokerSources;
use crate::index::Backlog;
use crate::io::budget::Budgets;
use crate::io::identity::Identity;
use crate::metrics::Metrics;
use crate::namesrv::{RouteFigures, Settings};
use crate::offset::OffsetView;
use crate::pending::Pending;
use crate::rebalance::MembershipView;
use crate::supervise::{Cause, ChildSpec, Context};
use crate::table_file::TableFile;
use crate::tls::server::Tls;
use crate::topic::TopicView;
use crate::traffic::Traffic;

/// Messages that an actor's mailbox holds for each of its senders.
const CAPACITY: usize = 1024;

/// What all children of a broker are made from.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) config: Arc<BrokerConfig>,
    pub(super) seams: Seams,
    pub(super) identity: Arc<Identity>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) route_figures: Arc<RouteFigures>,
    pub(super) traffic: Traffic,
    pub(super) budgets: Budgets,
    pub(super) tls: Tls,
    pub(super) nursery: SharedNursery,
    pub(super) wiring: PendingWiring,
    pub(super) topics: TopicView,
    pub(super) groups: GroupView,
    pub(super) membership: MembershipView,
    pub(super) filters: FilterView,
    pub(super) offsets: OffsetView,
    pub(super) open_files: Arc<OpenFiles>,
}

/// The parts of the store that many share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) layout: StoreLayout,
    pub(super) view: Arc<LogView>,
    pub(super) directory: Arc<QueueDirectory>,
    pub(super) gate: Arc<SendGate>,
    pub(super) index_backlog: Arc<Backlog>,
    pub(super) pending: Pending,
    /// Whether the owner of messages with a time of their own was asked to look for new ones.
    pub(super) timers_asked: Arc<AtomicBool>,
    pub(super) segment_bytes: u64,
}

impl Shared {
    /// What is shared of a store whose sends are accepted from `accept_sends_from_ms` on.
    pub(super) fn new(store: &OpenStore, accept_sends_from_ms: u64) -> Self {
        Self {
            layout: store.layout.clone(),
            view: Arc::clone(&store.view),
            directory: Arc::clone(&store.directory),
            gate: Arc::new(SendGate::new(Arc::clone(&store.view), accept_sends_from_ms)),
            index_backlog: Arc::default(),
            pending: Pending::default(),
            timers_asked: Arc::default(),
            segment_bytes: store.segment_bytes,
        }
    }
}

impl Ground {
    fn start<A: Actor<Context = Context<A>>>(
        &self,
        spec: ChildSpec,
        factory: impl FnMut(&mut Context<A>) -> Result<A, Cause> + Send + 'static,
    ) -> Addr<A> {
        let started = with_nursery(&self.nursery, |nursery| nursery.start(spec.capacity(CAPACITY), factory));
        match started {
            Some(address) => address,
            None => panic!("the list of children is there as long as the system"),
        }
    }

    fn file(&self, name: &str) -> TableFile {
        TableFile::new(Arc::clone(&self.seams.disk), self.config.data.join("config").join(name))
    }

    /// What is told of the broker.
    pub(super) fn sources(&self, shared: &Shared) -> BrokerSources {
        BrokerSources {
            identity: Arc::clone(&self.identity),
            topics: self.topics.clone(),
            groups: self.groups.clone(),
            membership: self.membership.clone(),
            offsets: self.offsets.clone(),
            log: Arc::clone(&shared.view),
            queues: Arc::clone(&shared.directory),
            index_backlog: Arc::clone(&shared.index_backlog),
            gate: Arc::clone(&shared.gate),
            budgets: self.budgets.clone(),
            disk: Arc::clone(&self.seams.disk),
            root: shared.layout.root.clone(),
        }
    }

    /// Starts everything and completes the wiring.
    pub(super) fn start_all(&self, store: Option<(OpenStore, Shared)>, name_server: Option<Settings>) -> Wiring {
        let tls_watch = self.start_tls_watch();
        let name_server = name_server.map(|settings| self.start_name_server(settings));
        let shared = store.as_ref().map(|(_, shared)| shared.clone());
        let broker = store.map(|(store, shared)| self.start_broker(store, &shared));
        let io_threads = self.seams.placement.io_threads();
        let egress = (0..io_threads)
            .map(|thread| self.start_egress(thread, shared.clone()))
            .collect();
        let wiring = Wiring {
            egress,
            broker,
            name_server,
            tls_watch,
        };
        self.wiring.complete(wiring.clone());
        wiring
    }

    fn start_broker(&self, store: OpenStore, shared: &Shared) -> BrokerChildren {
        let (topics, groups) = (self.start_topics(), self.start_groups(shared));
        let (offsets, filters) = (self.start_offsets(shared), self.start_filters(shared));
        let settings = self.start_settings();
        let statistics = self.start_statistics();
        let retention = self.start_retention(shared);
        let (flusher, allocator) = (self.start_flusher(), self.start_allocator(shared));
        let (queue_flusher, cold_reads) = (self.start_queue_flusher(), self.start_cold_reads(shared));
        // The log before the index, so that it is there to hear what the index makes durable at the end.
        let log = self.start_log(store.log, store.queues, shared);
        let index = store.index.map(|files| self.start_index(files, shared));
        let (schedule, timers) = (self.start_schedule(shared), self.start_timers(shared));
        // It is told nothing: its addresses are its own timers.
        self.start_transactions(shared);
        let (lock_file, rebalance) = (self.start_lock_file(), self.start_rebalance());
        let registrar = self.start_registrar();
        let holds = (0..self.seams.placement.io_threads())
            .map(|thread| self.start_hold(thread, shared))
            .collect();
        BrokerChildren {
            topics,
            groups,
            offsets,
            filters,
            settings,
            statistics,
            retention,
            lock_file,
            rebalance,
            registrar,
            flusher,
            allocator,
            queue_flusher,
            cold_reads,
            index,
            log,
            schedule,
            timers,
            holds,
        }
    }
}
