//! The factories of those who keep messages that are not delivered yet: delayed ones and open transactions.

use std::sync::Arc;

use actix::Addr;
use cuemq_net::message::id::UniqueIds;

use super::{Ground, Shared};
use crate::broker::wiring::BrokerChildren;
use crate::placement::Thread;
use crate::reappend::Reappender;
use crate::schedule::actor::{Schedule, ScheduleParts};
use crate::schedule::{Levels, Progress};
use crate::supervise::ChildSpec;
use crate::timer::TimerWriter;
use crate::timer::actor::{Timers, TimersParts, WakeTimers};
use crate::timer::index::IndexPlace;
use crate::transaction::actor::TransactionChecker;
use crate::transaction::{RoundParts, Rules};

impl Ground {
    /// The way to the log for whoever writes messages of the broker's own.
    pub(super) fn reappender(&self, children: &BrokerChildren, shared: &Shared) -> Reappender {
        let number = u32::try_from(self.seams.entropy.below(u64::from(u32::MAX))).unwrap_or(0);
        Reappender {
            log: children.log.clone().recipient(),
            gate: Arc::clone(&shared.gate),
            queues: Arc::clone(&shared.directory),
            levels: shared.layout.levels.clone(),
            clock: Arc::clone(&self.seams.clock),
            store_host: self.identity.store_host,
            ids: Arc::new(UniqueIds::new(self.identity.store_host.ip(), 0, number)),
            topics: self.topics.clone(),
            traffic: self.traffic.of_broker(),
        }
    }

    pub(super) fn start_schedule(&self, shared: &Shared) -> Addr<Schedule> {
        let (ground, shared) = (self.clone(), shared.clone());
        self.start(ChildSpec::new("schedule", Thread::Waiting), move |_| {
            let progress = Progress::open(ground.file("delayOffset.json"))?;
            let delivered = &progress.table().offset_table;
            let levels = Levels::new(shared.layout.levels.clone(), Arc::clone(&shared.directory), delivered);
            Ok(Schedule::new(ScheduleParts {
                levels,
                progress,
                log: Arc::clone(&shared.view),
                reappender: ground.reappender(ground.wiring.broker(), &shared),
                mark: shared.pending.delays.clone(),
                save_interval: ground.config.delays_interval,
            }))
        })
    }

    /// Starts the owner of messages with a time of their own, and who writes its index.
    pub(super) fn start_timers(&self, shared: &Shared) -> Addr<Timers> {
        let writer = self.start(ChildSpec::new("timer index", Thread::Upkeep), |_| Ok(TimerWriter));
        let place = IndexPlace::new(Arc::clone(&self.seams.disk), &shared.layout.root);
        let (ground, shared) = (self.clone(), shared.clone());
        self.start(ChildSpec::new("timers", Thread::Waiting), move |_| {
            Ok(Timers::new(TimersParts {
                queues: Arc::clone(&shared.directory),
                log: Arc::clone(&shared.view),
                reappender: ground.reappender(ground.wiring.broker(), &shared),
                place: place.clone(),
                writer: writer.clone().recipient(),
                mark: shared.pending.timers.clone(),
                asked: Arc::clone(&shared.timers_asked),
                save_interval: ground.config.delays_interval,
            }))
        })
    }

    /// Tells that owner what came.
    pub(super) fn wake_timers(&self, children: &BrokerChildren, shared: &Shared) -> WakeTimers {
        WakeTimers::new(children.timers.clone().recipient(), Arc::clone(&shared.timers_asked))
    }

    pub(super) fn start_transactions(&self, shared: &Shared) -> Addr<TransactionChecker> {
        let (ground, shared) = (self.clone(), shared.clone());
        self.start(ChildSpec::new("transactions", Thread::Waiting), move |_| {
            let children = ground.wiring.broker();
            let settings = ground.config.transactions;
            let tell = ground.wiring.wait().egress.iter();
            let parts = RoundParts {
                log: Arc::clone(&shared.view),
                reappender: ground.reappender(children, &shared),
                rules: Rules {
                    timeout_ms: i64::try_from(settings.timeout.as_millis()).unwrap_or(i64::MAX),
                    check_max: settings.check_max,
                },
                commit: children.offsets.clone().recipient(),
                find: children.offsets.clone().recipient(),
                membership: ground.membership.clone(),
                tell: tell.map(|egress| egress.clone().recipient()).collect(),
                mark: shared.pending.halves.clone(),
            };
            let topics = children.topics.clone().recipient();
            Ok(TransactionChecker::new(parts, settings.check_interval, topics))
        })
    }
}
