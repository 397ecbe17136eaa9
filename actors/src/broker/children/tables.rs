//! The factories of what owns a table in `config/`, and of `Retention`, which watches over the disk that they share.

use std::sync::Arc;

use actix::Addr;
use arc_swap::ArcSwap;

use super::{Ground, Shared};
use crate::config::BrokerConfig;
use crate::filter::RegistrySettings;
use crate::filter::actor::{FilterParts, Filters};
use crate::group::Protection;
use crate::group::actor::Groups;
use crate::offset::actor::Offsets;
use crate::placement::Thread;
use crate::retention::{Cleaner, CleanerParts, Retention, RetentionParts};
use crate::settings::{Settings, SettingsParts};
use crate::statistics::actor::Statistics;
use crate::supervise::ChildSpec;
use crate::topic::SystemTopics;
use crate::topic::actor::Topics;

impl Ground {
    pub(super) fn start_topics(&self) -> Addr<Topics> {
        let ground = self.clone();
        self.start(ChildSpec::new("topics", Thread::Files), move |_| {
            let registrar = ground.wiring.broker().registrar.clone().recipient();
            let clock = Arc::clone(&ground.seams.clock);
            Topics::open(
                ground.file("topics.json"),
                ground.system_topics(),
                ground.topics.clone(),
                clock,
                Some(registrar),
            )
        })
    }

    pub(super) fn system_topics(&self) -> SystemTopics {
        SystemTopics {
            cluster_name: self.config.cluster_name.clone(),
            broker_name: self.config.broker_name.clone(),
            auto_create: self.identity.live.auto_create_topic.clone(),
            default_queue_nums: self.config.default_topic_queue_nums,
            trace_topic: self.config.trace_topic.then(|| self.config.trace_topic_name.clone()),
            ..SystemTopics::default()
        }
    }

    pub(super) fn start_groups(&self, shared: &Shared) -> Addr<Groups> {
        let ground = self.clone();
        let protection = self.config.slow_consumers.disable.then(|| Protection {
            offsets: self.offsets.clone(),
            membership: self.membership.clone(),
            queues: Arc::clone(&shared.directory),
            log: Arc::clone(&shared.view),
            most_behind: self.config.slow_consumers.most_behind,
            interval: self.config.slow_consumers.interval,
        });
        self.start(ChildSpec::new("groups", Thread::Files), move |_| {
            let auto = ground.identity.live.auto_create_group.clone();
            let clock = Arc::clone(&ground.seams.clock);
            let file = ground.file("subscriptionGroup.json");
            let groups = Groups::open(file, auto, ground.groups.clone(), clock)?;
            Ok(groups.protected(protection.clone()))
        })
    }

    pub(super) fn start_offsets(&self, shared: &Shared) -> Addr<Offsets> {
        let (ground, directory) = (self.clone(), Arc::clone(&shared.directory));
        self.start(ChildSpec::new("offsets", Thread::Files), move |_| {
            let queue_end = |topic: &str, queue_id: i32| {
                let queue = directory.find(topic, u32::try_from(queue_id).ok()?)?;
                i64::try_from(queue.view().max_offset().0).ok()
            };
            Offsets::open(
                ground.file("consumerOffset.json"),
                ground.config.offsets_interval,
                ground.offsets.clone(),
                queue_end,
            )
        })
    }

    pub(super) fn start_filters(&self, shared: &Shared) -> Addr<Filters> {
        let (ground, log) = (self.clone(), Arc::clone(&shared.view));
        self.start(ChildSpec::new("filters", Thread::Files), move |_| {
            let config = &ground.config.filters;
            let settings = RegistrySettings {
                bloom: config.bloom().ok_or("the settings make no bitmaps")?,
                keep_dead_ms: i64::try_from(config.keep_dead.as_millis()).unwrap_or(i64::MAX),
                ..RegistrySettings::default()
            };
            Filters::open(FilterParts {
                file: ground.file("consumerFilter.json"),
                settings,
                view: ground.filters.clone(),
                clock: Arc::clone(&ground.seams.clock),
                marked: ground.config.makes_bitmaps().then(|| Arc::clone(&log)),
            })
        })
    }

    pub(super) fn start_settings(&self) -> Addr<Settings> {
        let ground = self.clone();
        let config = Arc::new(ArcSwap::from_pointee(BrokerConfig {
            port: ground.identity.store_host.port(),
            ..ground.config.as_ref().clone()
        }));
        self.start(ChildSpec::new("settings", Thread::Files), move |_| {
            Settings::open(SettingsParts {
                config: Arc::clone(&config),
                live: ground.identity.live.clone(),
                disk: Arc::clone(&ground.seams.disk),
                clock: Arc::clone(&ground.seams.clock),
                topics: ground.wiring.broker().topics.clone().recipient(),
            })
        })
    }

    pub(super) fn start_statistics(&self) -> Addr<Statistics> {
        let ground = self.clone();
        self.start(ChildSpec::new("statistics", Thread::Upkeep), move |_| {
            let (traffic, clock) = (ground.traffic.clone(), Arc::clone(&ground.seams.clock));
            Ok(Statistics::new(traffic, clock, ground.identity.cluster_name.clone()))
        })
    }

    pub(super) fn start_retention(&self, shared: &Shared) -> Addr<Retention> {
        let (ground, shared) = (self.clone(), shared.clone());
        let needed = self.config.free_bytes.max(if self.config.free_bytes == 0 {
            0
        } else {
            2 * shared.segment_bytes
        });
        self.start(ChildSpec::new("retention", Thread::Upkeep), move |_| {
            let parts = RetentionParts {
                disk: Arc::clone(&ground.seams.disk),
                layout: shared.layout.clone(),
                log: Arc::clone(&shared.view),
                queues: Arc::clone(&shared.directory),
                gate: Arc::clone(&shared.gate),
                poison: ground.wiring.broker().log.clone().recipient(),
                free_bytes: needed,
                interval: ground.config.checkpoint_interval,
            };
            Ok(Retention::open(parts, ground.cleaner(&shared))?)
        })
    }

    fn cleaner(&self, shared: &Shared) -> Cleaner {
        let broker = self.wiring.broker();
        Cleaner::new(CleanerParts {
            disk: Arc::clone(&self.seams.disk),
            clock: Arc::clone(&self.seams.clock),
            layout: shared.layout.clone(),
            config: self.config.retention,
            live: self.identity.live.clone(),
            log: Arc::clone(&shared.view),
            queues: Arc::clone(&shared.directory),
            drop: broker.log.clone().recipient(),
            trim: broker.log.clone().recipient(),
            keys: broker.index.as_ref().map(|index| index.clone().recipient()),
            offsets: broker.offsets.clone().recipient(),
            metrics: Arc::clone(&self.metrics),
            pending: shared.pending.clone(),
            make_way: broker.timers.clone().recipient(),
        })
    }
}
