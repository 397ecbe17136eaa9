//! The addresses of all children, for their factories: set once, in the same moment in which the last child is started,
//! and waited for by factories that run on other threads. It is handed to factories alone; an actor gets its own
//! neighbours out of it and nothing else.

use std::sync::{Arc, OnceLock};

use actix::Addr;

use crate::allocator::Allocator;
use crate::cold_reads::ColdReads;
use crate::commit_log::CommitLog;
use crate::filter::actor::Filters;
use crate::flusher::Flusher;
use crate::group::actor::Groups;
use crate::hold::actor::Hold;
use crate::index::Index;
use crate::io::egress::Egress;
use crate::namesrv::NameServer;
use crate::offset::actor::Offsets;
use crate::queue_flusher::QueueFlusher;
use crate::rebalance::actor::Rebalance;
use crate::rebalance::lock_file::LockFile;
use crate::registrar::Registrar;
use crate::retention::Retention;
use crate::schedule::actor::Schedule;
use crate::settings::Settings;
use crate::statistics::actor::Statistics;
use crate::timer::actor::Timers;
use crate::tls::watch::Watch;
use crate::topic::actor::Topics;

/// The broker's children.
#[derive(Clone)]
pub(super) struct BrokerChildren {
    pub(super) topics: Addr<Topics>,
    pub(super) groups: Addr<Groups>,
    pub(super) offsets: Addr<Offsets>,
    pub(super) filters: Addr<Filters>,
    pub(super) settings: Addr<Settings>,
    pub(super) statistics: Addr<Statistics>,
    pub(super) retention: Addr<Retention>,
    pub(super) lock_file: Addr<LockFile>,
    pub(super) rebalance: Addr<Rebalance>,
    pub(super) registrar: Addr<Registrar>,
    pub(super) flusher: Addr<Flusher>,
    pub(super) allocator: Addr<Allocator>,
    pub(super) queue_flusher: Addr<QueueFlusher>,
    pub(super) cold_reads: Addr<ColdReads>,
    pub(super) index: Option<Addr<Index>>,
    pub(super) log: Addr<CommitLog>,
    pub(super) schedule: Addr<Schedule>,
    pub(super) timers: Addr<Timers>,
    pub(super) holds: Vec<Addr<Hold>>,
}

/// All children.
#[derive(Clone)]
pub(super) struct Wiring {
    pub(super) egress: Vec<Addr<Egress>>,
    pub(super) broker: Option<BrokerChildren>,
    pub(super) name_server: Option<Addr<NameServer>>,
    /// Where TLS has files.
    pub(super) tls_watch: Option<Addr<Watch>>,
}

/// A wiring that may not be complete yet.
#[derive(Clone, Default)]
pub(super) struct PendingWiring(Arc<OnceLock<Wiring>>);

impl PendingWiring {
    /// Completes it.
    pub(super) fn complete(&self, wiring: Wiring) {
        assert!(self.0.set(wiring).is_ok(), "a system is wired once");
    }

    /// Waits until it is complete; factories alone call this.
    pub(super) fn wait(&self) -> &Wiring {
        self.0.wait()
    }

    /// The broker's part of it.
    pub(super) fn broker(&self) -> &BrokerChildren {
        match &self.wait().broker {
            Some(broker) => broker,
            None => panic!("a broker's child runs only where a broker runs"),
        }
    }
}
