//! The factories of what each I/O thread has, and of the thread that reads cold data for them.

use std::sync::Arc;

use actix::{Addr, AsyncContext};

use super::{Ground, Shared};
use crate::broker::wiring::BrokerChildren;
use crate::cold_reads::ColdReads;
use crate::hold::actor::{Hold, HoldLimits};
use crate::hold::queue_ends::Ends;
use crate::io::egress::Egress;
use crate::io::look_up::Limits;
use crate::io::state::{BrokerSide, IoParts, IoState};
use crate::placement::Thread;
use crate::router::{BrokerActors, ClientsOfThread, Owners, Router};
use crate::supervise::ChildSpec;
use crate::tls::stream::Handshakes;

impl Ground {
    pub(super) fn start_cold_reads(&self, shared: &Shared) -> Addr<ColdReads> {
        let (log, queues) = (Arc::clone(&shared.view), Arc::clone(&shared.directory));
        let limits = Limits::of_memory(self.config.hot_bytes);
        let ground = self.clone();
        self.start(ChildSpec::new("cold reads", Thread::ColdReads), move |_| {
            let measures = (Arc::clone(&ground.seams.clock), Arc::clone(&ground.metrics));
            Ok(ColdReads::new(Arc::clone(&log), Arc::clone(&queues), limits, measures))
        })
    }

    pub(super) fn start_hold(&self, thread: u16, shared: &Shared) -> Addr<Hold> {
        let (ground, directory) = (self.clone(), Arc::clone(&shared.directory));
        self.start(
            ChildSpec::new(format!("hold {thread}"), Thread::Io(thread)),
            move |_| {
                let egress = ground
                    .wiring
                    .wait()
                    .egress
                    .get(usize::from(thread))
                    .cloned()
                    .ok_or("no such I/O thread")?;
                let ends = Box::new(Ends::new(Arc::clone(&directory)));
                Ok(Hold::new(
                    HoldLimits::default(),
                    ends,
                    Arc::clone(&ground.seams.clock),
                    egress.recipient(),
                ))
            },
        )
    }

    pub(super) fn start_egress(&self, thread: u16, shared: Option<Shared>) -> Addr<Egress> {
        let ground = self.clone();
        let generations = Arc::default();
        self.start(
            ChildSpec::new(format!("egress {thread}"), Thread::Io(thread)),
            move |ctx| {
                let wiring = ground.wiring.wait();
                let broker = wiring.broker.as_ref().zip(shared.as_ref());
                let name_server = wiring.name_server.as_ref();
                let router = Router::new(
                    broker.map(|(children, shared)| ground.broker_actors(children, shared, thread)),
                    name_server.map(|server| (server.clone().recipient(), server.clone().recipient())),
                );
                let parts = IoParts {
                    thread,
                    generations: Arc::clone(&generations),
                    identity: Arc::clone(&ground.identity),
                    clock: Arc::clone(&ground.seams.clock),
                    entropy: Arc::clone(&ground.seams.entropy),
                    broker: broker.map(|(children, shared)| ground.broker_side(children, shared, thread)),
                    router,
                    metrics: Arc::clone(&ground.metrics),
                    traffic: ground.traffic.of_thread(thread),
                    lost: ctx.address().recipient(),
                    looked_up: ctx.address().recipient(),
                    idle_limit: ground.config.idle_limit,
                    budgets: ground.budgets.clone(),
                    handshakes: Handshakes::new(Arc::clone(&ground.tls.server), Arc::clone(&ground.metrics)),
                };
                Ok(Egress::new(IoState::new(parts)))
            },
        )
    }

    fn broker_side(&self, children: &BrokerChildren, shared: &Shared, thread: u16) -> BrokerSide {
        BrokerSide {
            topics: self.topics.clone(),
            system_topics: self.system_topics(),
            groups: self.groups.clone(),
            membership: self.membership.clone(),
            filters: self.filters.clone(),
            log: Arc::clone(&shared.view),
            queues: Arc::clone(&shared.directory),
            index_backlog: Arc::clone(&shared.index_backlog),
            gate: Arc::clone(&shared.gate),
            append: children.log.clone().recipient(),
            hold: hold(children, thread).clone().recipient(),
            store_replies: self.config.store_replies,
            limits: Limits::of_memory(self.config.hot_bytes),
            cold: children.cold_reads.clone().recipient(),
            levels: shared.layout.levels.clone(),
            timers: self.config.timers,
            in_memory_bytes: self.config.in_memory_bytes(),
        }
    }

    fn broker_actors(&self, children: &BrokerChildren, shared: &Shared, thread: u16) -> BrokerActors {
        BrokerActors {
            create_on_send: children.topics.clone().recipient(),
            create_retry: children.topics.clone().recipient(),
            create_dead_letters: children.topics.clone().recipient(),
            groups: children.groups.clone().recipient(),
            auto_create_group: self.identity.live.auto_create_group.clone(),
            commit: children.offsets.clone().recipient(),
            offsets: children.offsets.clone().recipient(),
            heartbeat: children.rebalance.clone().recipient(),
            leave: children.rebalance.clone().recipient(),
            gone: children.rebalance.clone().recipient(),
            lock: children.rebalance.clone().recipient(),
            unlock: children.rebalance.clone().recipient(),
            cold: children.cold_reads.clone(),
            index: children.index.as_ref().map(|index| index.clone().recipient()),
            forget: hold(children, thread).clone().recipient(),
            clients: self.wiring.wait().egress.iter().map(clients_of).collect(),
            reappender: self.reappender(children, shared),
            owners: Owners {
                topics: children.topics.clone(),
                groups: children.groups.clone(),
                offsets: children.offsets.clone(),
                delays: children.schedule.clone().recipient(),
                producers: children.rebalance.clone().recipient(),
                forget_topics: children.log.clone().recipient(),
                delete_expired: children.retention.clone().recipient(),
                follow_log: children.retention.clone().recipient(),
                change_settings: children.settings.clone().recipient(),
                tell_settings: children.settings.clone().recipient(),
                find_route: children.registrar.clone().recipient(),
                find_figure: children.statistics.clone().recipient(),
                tell_store: children.statistics.clone().recipient(),
            },
        }
    }
}

fn clients_of(egress: &Addr<Egress>) -> ClientsOfThread {
    ClientsOfThread {
        ask: egress.clone().recipient(),
        tell: egress.clone().recipient(),
    }
}

/// The hold of an I/O thread.
fn hold(children: &BrokerChildren, thread: u16) -> &Addr<Hold> {
    let hold = children.holds.get(usize::from(thread)).or(children.holds.first());
    hold.unwrap_or_else(|| panic!("each I/O thread has a hold"))
}
