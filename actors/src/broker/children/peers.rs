//! The factories of those who deal with other machines: the name server, membership, registration.

use std::rc::Rc;
use std::sync::Arc;

use actix::Addr;

use super::Ground;
use crate::address_server::AddressServer;
use crate::namesrv::{Desk, KvFile, NameServer, ProductEnvironment, Settings};
use crate::placement::Thread;
use crate::rebalance::QueueLocks;
use crate::rebalance::actor::{ConnectionsOfThread, Neighbours as Members, Rebalance, RebalanceSettings};
use crate::rebalance::lock_file::LockFile;
use crate::registrar::{RegisterNow, Registrar, RegistrarParts};
use crate::supervise::ChildSpec;
use crate::tls::watch::Watch;

impl Ground {
    pub(super) fn start_name_server(&self, settings: Settings) -> Addr<NameServer> {
        let ground = self.clone();
        let path = self.config.kv_config_path();
        let mut is_first = true;
        self.start(ChildSpec::new("name server", Thread::Files), move |_| {
            let file = KvFile::new(Arc::clone(&ground.seams.disk), path.clone());
            let desk = Desk::open(file, settings.clone())?;
            if !std::mem::take(&mut is_first) {
                ground.register_again();
            }
            let closers = ground
                .wiring
                .wait()
                .egress
                .iter()
                .map(|egress| egress.clone().recipient())
                .collect();
            let (clock, figures) = (Arc::clone(&ground.seams.clock), Arc::clone(&ground.route_figures));
            let product = ground.config.cluster_test.then(|| ground.product_environment());
            Ok(NameServer::new(desk, clock, closers, figures, product))
        })
    }

    /// A name server that was built anew knows no broker, and a registrar that failed has lost the connections by which
    /// name servers know it: the broker does not wait for its next regular time.
    #[expect(clippy::disallowed_methods, reason = "once for each restart")]
    fn register_again(&self) {
        if let Some(broker) = &self.wiring.wait().broker {
            broker.registrar.do_send(RegisterNow);
        }
    }

    pub(super) fn start_lock_file(&self) -> Addr<LockFile> {
        let ground = self.clone();
        self.start(ChildSpec::new("lock file", Thread::Files), move |_| {
            Ok(ground.lock_file())
        })
    }

    fn lock_file(&self) -> LockFile {
        LockFile::new(Arc::clone(&self.seams.disk), &self.config.data)
    }

    /// The queue locks as an earlier life of the broker has left them.
    fn locks(&self) -> QueueLocks {
        let (lock_time, now_ms) = (self.config.queue_lock_time, self.seams.clock.monotonic_ms());
        match self.lock_file().read() {
            Ok(kept) => QueueLocks::restored(lock_time, kept, now_ms),
            Err(error) => {
                tracing::warn!(%error, "who holds which queue is not known: no queue is locked for anybody for a while");
                QueueLocks::unknown(lock_time, now_ms)
            }
        }
    }

    pub(super) fn start_rebalance(&self) -> Addr<Rebalance> {
        let ground = self.clone();
        // What one life has granted, the next one keeps.
        let locks = self.locks();
        self.start(ChildSpec::new("rebalance", Thread::Io(0)), move |_| {
            let broker = ground.wiring.broker();
            let threads = ground.wiring.wait().egress.iter().map(|egress| ConnectionsOfThread {
                recall: egress.clone().recipient(),
                notify: egress.clone().recipient(),
                close: egress.clone().recipient(),
            });
            let neighbours = Members {
                threads: threads.collect(),
                group_view: ground.groups.clone(),
                topic_view: ground.topics.clone(),
                groups: broker.groups.clone().recipient(),
                topics: broker.topics.clone().recipient(),
                filter_view: ground.filters.clone(),
                filters: broker.filters.clone().recipient(),
                leave_filters: broker.filters.clone().recipient(),
                lock_file: broker.lock_file.clone().recipient(),
            };
            let settings = RebalanceSettings {
                notifies: ground.config.notify_ids_changed,
                ..RebalanceSettings::default()
            };
            let clock = Arc::clone(&ground.seams.clock);
            let (view, locks) = (ground.membership.clone(), locks.clone());
            Ok(Rebalance::new(settings, view, locks, clock, neighbours))
        })
    }

    /// Watches the files of TLS, where there are any.
    pub(super) fn start_tls_watch(&self) -> Option<Addr<Watch>> {
        let (disk, sides) = (Arc::clone(&self.seams.disk), self.tls.with_files());
        let spec = ChildSpec::new("tls files", Thread::Upkeep);
        (!sides.is_empty()).then(|| self.start(spec, move |_| Ok(Watch::new(Arc::clone(&disk), &sides))))
    }

    pub(super) fn start_registrar(&self) -> Addr<Registrar> {
        let ground = self.clone();
        let mut is_first = true;
        // A registration holds all topics, and to encode ten thousand takes longer than an I/O thread may.
        self.start(ChildSpec::new("registrar", Thread::Files), move |_| {
            if !std::mem::take(&mut is_first) {
                ground.register_again();
            }
            Ok(Registrar::new(RegistrarParts {
                net: Arc::clone(&ground.seams.net),
                name_servers: ground.config.name_servers.clone(),
                address_server: ground.config.ask_address_server.then(|| ground.address_server()),
                identity: Arc::clone(&ground.identity),
                topics: ground.wiring.broker().topics.clone().recipient(),
                order_topics: ground.wiring.broker().topics.clone().recipient(),
                tls: ground.tls.client.clone(),
                interval: ground.config.register_interval,
            }))
        })
    }

    fn address_server(&self) -> AddressServer {
        let (domain, page) = (&self.config.address_server, &self.config.address_server_page);
        AddressServer::new(Arc::clone(&self.seams.net), domain, page)
    }

    /// Whom a name server of a test environment asks for the routes that it does not have.
    fn product_environment(&self) -> Rc<ProductEnvironment> {
        let address_server = self.address_server().of_unit(&self.config.product_environment);
        ProductEnvironment::new(Arc::clone(&self.seams.net), self.tls.client.clone(), address_server)
    }
}
