//! The factories of those who deal with other machines: the name server, membership, registration.

use std::sync::Arc;

use actix::Addr;

use super::Ground;
use crate::namesrv::{Desk, KvFile, NameServer, Settings};
use crate::placement::Thread;
use crate::rebalance::actor::{ConnectionsOfThread, Neighbours as Members, Rebalance, RebalanceSettings};
use crate::registrar::{Registrar, RegistrarParts};
use crate::supervise::ChildSpec;

impl Ground {
    pub(super) fn start_name_server(&self, settings: Settings) -> Addr<NameServer> {
        let ground = self.clone();
        let path = self.config.kv_config_path();
        self.start(ChildSpec::new("name server", Thread::Files), move |_| {
            let file = KvFile::new(Arc::clone(&ground.seams.disk), path.clone());
            let desk = Desk::open(file, settings.clone())?;
            let closers = ground
                .wiring
                .wait()
                .egress
                .iter()
                .map(|egress| egress.clone().recipient())
                .collect();
            Ok(NameServer::new(desk, Arc::clone(&ground.seams.clock), closers))
        })
    }

    pub(super) fn start_rebalance(&self) -> Addr<Rebalance> {
        let ground = self.clone();
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
            };
            let settings = RebalanceSettings {
                notifies: ground.config.notify_ids_changed,
                ..RebalanceSettings::default()
            };
            let clock = Arc::clone(&ground.seams.clock);
            Ok(Rebalance::new(settings, ground.membership.clone(), clock, neighbours))
        })
    }

    pub(super) fn start_registrar(&self) -> Addr<Registrar> {
        let ground = self.clone();
        self.start(ChildSpec::new("registrar", Thread::Io(0)), move |_| {
            Ok(Registrar::new(RegistrarParts {
                net: Arc::clone(&ground.seams.net),
                name_servers: ground.config.name_servers.clone(),
                identity: Arc::clone(&ground.identity),
                topics: ground.wiring.broker().topics.clone().recipient(),
                interval: ground.config.register_interval,
            }))
        })
    }
}
