//! A system that runs: how it comes up, and how it goes down in order.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, Addr, Recipient};
use cuemq_storage::disk::DiskLock;
use cuemq_storage::marker;
use futures_util::future::OptionFuture;
use tokio::sync::{SetOnce, oneshot, watch};

use super::children::{Ground, Shared};
use super::doors::{Doors, Opening, reachable};
use super::system::{BrokerSystem, Draw, GuardStore, HealthOf, SharedNursery, Standing, Summary, with_nursery};
use super::wiring::{PendingWiring, Wiring};
use super::{Seams, Services, SystemError, store};
use crate::commit_log::Settle;
use crate::config::{BrokerConfig, ConfigError, Difference};
use crate::consume_queue::open_files::OpenFiles;
use crate::filter::FilterView;
use crate::group::GroupView;
use crate::http::{Children, Sources};
use crate::io::budget::Budgets;
use crate::io::egress::{CloseAll, Serve};
use crate::io::identity::Identity;
use crate::listener::ConnectionLimit;
use crate::metrics::Metrics;
use crate::namesrv::Settings;
use crate::offset::OffsetView;
use crate::offset::actor::{Offsets, SaveOffsets};
use crate::rebalance::MembershipView;
use crate::registrar::{RegisterNow, Unregister};
use crate::schedule::actor::{SaveDelays, Schedule};
use crate::settings::FollowFile;
use crate::supervise::{Health, Nursery};
use crate::timer::actor::{SaveTimers, Timers};
use crate::tls::server::Tls;
use crate::tls::watch::TakeNow;
use crate::topic::TopicView;
use crate::traffic::Traffic;

/// How long the start waits for name servers to hear that the broker is there.
const GREETING: Duration = Duration::from_secs(1);
/// How long name servers may take to hear that the broker goes.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long connections may take to get what is owed to them.
const DRAIN: Duration = Duration::from_secs(3);
/// How long the disk may take to sync the log, the queues and the index: on a busy one a single sync can last seconds.
const SETTLE: Duration = Duration::from_secs(30);
/// How long all children may take to end.
const STOP: Duration = Duration::from_secs(30);

/// A running system.
pub struct Running {
    /// Where the name server listens.
    pub name_server: Option<SocketAddr>,
    /// Where the broker listens.
    pub broker: Option<SocketAddr>,
    /// Where `/healthz` and `/metrics` are served.
    pub http: Option<SocketAddr>,
    /// Its counters.
    pub metrics: Arc<Metrics>,
    /// What passes through its topics and to its groups.
    pub traffic: Traffic,
    system: Addr<BrokerSystem>,
    standing: watch::Receiver<Standing>,
    nursery: SharedNursery,
    wiring: Wiring,
    limits: Vec<Arc<ConnectionLimit>>,
    closing: Option<Closing>,
}

/// Why settings that were read again are not in force.
#[derive(Debug, thiserror::Error)]
pub enum NotReloaded {
    /// They do not go with those of the start.
    #[error(transparent)]
    Unusable(#[from] ConfigError),
    /// An actor is being built anew.
    #[error("the owner of the settings or of the TLS files does not answer ({0}); try again")]
    Busy(#[from] actix::MailboxError),
}

/// What is needed to leave the store in order.
struct Closing {
    shared: Shared,
    seams: Seams,
    _lock: Box<dyn DiskLock>,
}

/// Brings a system up. When this returns, sends are accepted.
///
/// # Errors
/// When something given is wrong, taken or damaged; nothing is left running.
pub async fn start(config: BrokerConfig, services: Services, seams: Seams) -> Result<Running, SystemError> {
    let nursery: SharedNursery = Arc::new(Mutex::new(None));
    let system = BrokerSystem::new(Arc::clone(&nursery));
    let standing = system.standing();
    let system = system.start();
    let reports = system.clone().recipient();
    let (placement, clock) = (seams.placement.clone(), Arc::clone(&seams.clock));
    let list = Nursery::new("broker", placement, clock, seams.faults.clone(), reports);
    *nursery.lock().unwrap_or_else(PoisonError::into_inner) = Some(list);
    let rising = Rising {
        traffic: Traffic::new(seams.placement.io_threads()),
        seams,
        nursery: Arc::clone(&nursery),
        metrics: Arc::new(Metrics::new(config.slow)),
        system,
        standing,
    };
    let risen = rising.bring_up(config, services).await;
    if risen.is_err() {
        let stopping = with_nursery(&nursery, |nursery| nursery.stop_all(STOP));
        if let Some(Err(error)) = OptionFuture::from(stopping).await {
            tracing::warn!(%error, "what had been started did not end in time");
        }
    }
    risen
}

/// The name servers as clients reach them: the one of this process by the announced address, and those that are given.
fn told_to_clients(config: &BrokerConfig, doors: &Doors) -> Vec<String> {
    let own = doors.name_server.as_ref();
    let own = own.map(|door| SocketAddr::new(config.announce, door.address.port()).to_string());
    own.into_iter().chain(config.name_servers.iter().cloned()).collect()
}

/// A system that is coming up.
struct Rising {
    seams: Seams,
    nursery: SharedNursery,
    metrics: Arc<Metrics>,
    traffic: Traffic,
    system: Addr<BrokerSystem>,
    standing: watch::Receiver<Standing>,
}

impl Rising {
    async fn bring_up(self, mut config: BrokerConfig, services: Services) -> Result<Running, SystemError> {
        let tls = Tls::open(&config, self.seams.disk.as_ref(), &self.seams.clock)?;
        // Not a watch channel: that wakes those who wait in a random order, and a simulation must repeat itself.
        let opened = Arc::new(SetOnce::new());
        let opening = Opening {
            config: &config,
            seams: &self.seams,
            nursery: &self.nursery,
            metrics: &self.metrics,
            opened: Arc::clone(&opened),
            connections: Arc::default(),
        };
        let sources = Arc::new(self.sources(services));
        let http = opening.bind_http(Arc::clone(&sources)).await?;
        let doors = opening.bind_all(services).await?;
        let _ = sources.name_servers.set(told_to_clients(&config, &doors));
        if let (Some(door), true) = (&doors.name_server, services.broker) {
            // Reached by the address that is listened on, whatever is announced.
            config.name_servers.push(reachable(door.address).to_string());
        }
        let mut store = match services.broker {
            true => Some(store::open(&self.seams.disk, &config, &self.seams.interrupt)?),
            false => None,
        };
        let lock = store.as_mut().and_then(|store| store.lock.take());
        let port = doors.broker.as_ref().map_or(0, |door| door.address.port());
        let segment_bytes = store.as_ref().map_or(0, |store| store.segment_bytes);
        let ground = self.ground(config, tls, (port, segment_bytes), &sources, &doors);
        let store = store.map(|store| {
            let shared = Shared::new(&store, ground.config.accept_sends_from_ms);
            (store, shared)
        });
        if let Some((_, shared)) = &store {
            let _ = sources.broker.set(ground.sources(shared));
        }
        let closing = store.as_ref().map(|(_, shared)| shared.clone()).zip(lock);
        let settings = doors.name_server.as_ref().map(|door| Settings {
            listen_port: door.address.port(),
            kv_config_path: ground.config.kv_config_path().display().to_string(),
            order_message_enable: ground.config.order_messages,
            cluster_test: ground.config.cluster_test,
            product_environment: ground.config.product_environment.clone(),
        });
        let wiring = ground.start_all(store, settings);
        self.guard_store(&wiring, closing.as_ref().map(|(shared, _)| shared))
            .await;
        if let Some(all_up) = with_nursery(&self.nursery, Nursery::all_up) {
            all_up.await?;
        }
        let serve: Vec<Recipient<Serve>> = wiring.egress.iter().map(|egress| egress.clone().recipient()).collect();
        let _ = sources.connections.set(doors.limits());
        // From here on connections are served; those that came before wait in the kernel.
        let _ = opened.set(serve);
        if let Some(broker) = &wiring.broker {
            // A name server that is slow or not there yet is told again soon.
            let _ = tokio::time::timeout(GREETING, broker.registrar.send(RegisterNow)).await;
        }
        Ok(Running {
            http,
            ..self.into_running(doors, wiring, closing)
        })
    }

    async fn guard_store(&self, wiring: &Wiring, shared: Option<&Shared>) {
        if let (Some(broker), Some(shared)) = (&wiring.broker, shared) {
            let (gate, poison) = (Arc::clone(&shared.gate), broker.log.clone().recipient());
            let _ = self.system.send(GuardStore { gate, poison }).await;
        }
    }

    fn into_running(self, doors: Doors, wiring: Wiring, closing: Option<(Shared, Box<dyn DiskLock>)>) -> Running {
        let limits = doors.limits().into_iter().map(|(_, limit)| limit).collect();
        let Doors { name_server, broker } = doors;
        Running {
            name_server: name_server.as_ref().map(|door| door.address),
            broker: broker.as_ref().map(|door| door.address),
            http: None,
            metrics: self.metrics,
            traffic: self.traffic,
            system: self.system,
            standing: self.standing,
            nursery: self.nursery,
            wiring,
            limits,
            closing: closing.map(|(shared, lock)| Closing {
                shared,
                seams: self.seams,
                _lock: lock,
            }),
        }
    }

    /// What is told of the system, from its beginning on.
    fn sources(&self, services: Services) -> Sources {
        let nursery = Arc::clone(&self.nursery);
        let children: Children = Box::new(move |each| {
            // A copy: whoever reports how a child does waits for no scrape.
            let children = with_nursery(&nursery, |nursery| nursery.tree().children().to_vec());
            children.iter().flatten().for_each(each);
        });
        let mut sources = Sources::new(
            Arc::clone(&self.seams.clock),
            Arc::clone(&self.metrics),
            self.traffic.clone(),
            self.standing.clone(),
            children,
        );
        sources.name_server = services.name_server.then(Arc::default);
        sources.with_broker = services.broker;
        sources
    }

    fn ground(
        &self,
        config: BrokerConfig,
        tls: Tls,
        (port, segment_bytes): (u16, u64),
        sources: &Sources,
        doors: &Doors,
    ) -> Ground {
        let connections = doors.limits().into_iter().map(|(_, limit)| limit).collect();
        let identity = Arc::new(Identity::new(&config, port, segment_bytes));
        let budgets = Budgets::new(config.in_flight_bytes);
        Ground {
            config: Arc::new(config),
            seams: self.seams.clone(),
            identity,
            metrics: Arc::clone(&self.metrics),
            traffic: self.traffic.clone(),
            budgets,
            tls,
            nursery: Arc::clone(&self.nursery),
            wiring: PendingWiring::default(),
            topics: TopicView::new(),
            groups: GroupView::new(),
            membership: MembershipView::new(),
            filters: FilterView::default(),
            offsets: OffsetView::default(),
            route_figures: sources.name_server.clone().unwrap_or_default(),
            open_files: OpenFiles::new(self.seams.disk.open_files_limit(), connections),
        }
    }
}

impl Running {
    /// The tree of actors as it is now.
    pub async fn tree(&self) -> String {
        self.system.send(Draw).await.unwrap_or_default()
    }

    /// How a child is, by its name.
    pub async fn health_of(&self, name: &str) -> Option<Health> {
        self.system.send(HealthOf(name.to_owned())).await.ok().flatten()
    }

    /// How all children are, and how often one was built anew.
    pub async fn summary(&self) -> (Health, u64) {
        self.system.send(Summary).await.unwrap_or((Health::Failed, 0))
    }

    /// How all children do; changes can be waited for.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Waits until a child has failed for good, and tells which and why. The store refuses sends from then on; only a
    /// restart of the process helps, which the program `cuemq` therefore ends.
    pub async fn failed(&self) -> String {
        let mut standing = self.standing.clone();
        match standing.wait_for(|standing| standing.failed.is_some()).await {
            Ok(standing) => standing.failed.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes up what changes without a restart: files of TLS as they are now, and of `read_again`, the settings as the next
    /// start would have them, those that a broker can change while it runs. Tells which of these are different now.
    ///
    /// # Errors
    /// When those settings do not go with the others, or their owner does not answer; none has changed then.
    pub async fn reload(&self, read_again: &BrokerConfig) -> Result<Vec<Difference>, NotReloaded> {
        if let Some(watch) = &self.wiring.tls_watch {
            watch.send(TakeNow).await?;
        }
        let Some(broker) = &self.wiring.broker else {
            return Ok(Vec::new());
        };
        let config = Box::new(read_again.clone());
        Ok(broker.settings.send(FollowFile { config }).await??)
    }

    /// Ends the system in order: the name servers hear of it, what is in flight is answered, everything is flushed, the
    /// checkpoint is written, the abort file goes.
    ///
    /// # Errors
    /// When something did not end in time or could not be written; the next start recovers the store.
    pub async fn stop(self) -> Result<(), SystemError> {
        if let Some(broker) = &self.wiring.broker {
            let farewell = tokio::time::timeout(FAREWELL, broker.registrar.send(Unregister)).await;
            if farewell.is_err() {
                tracing::warn!("a name server does not hear that the broker goes; it will notice");
            }
        }
        if let Some(closing) = &self.closing {
            closing.shared.gate.stop();
        }
        let close = self.wiring.egress.iter().map(|egress| egress.clone().recipient());
        drain(close.collect(), &self.limits).await;
        // Behind the last batch of the last connection: one that passed the gate before it was closed is owed its place too.
        let settled = match &self.wiring.broker {
            Some(broker) => settle(broker.log.clone().recipient()).await,
            None => true,
        };
        let offsets_saved = match &self.wiring.broker {
            Some(broker) => save_offsets(&broker.offsets).await,
            None => Ok(()),
        };
        if let Some(broker) = &self.wiring.broker {
            save_delays(&broker.schedule).await;
            save_timers(&broker.timers).await;
        }
        drop(self.wiring);
        let stopping = with_nursery(&self.nursery, |nursery| nursery.stop_all(STOP));
        if let Some(stopping) = stopping {
            stopping.await?;
        }
        let Some(closing) = self.closing else { return Ok(()) };
        let view = &closing.shared.view;
        if view.is_poisoned() {
            return Err(SystemError::NotClosed("a write or a sync has failed".to_owned()));
        }
        let (confirmed, visible) = (view.confirmed(), view.visible());
        if confirmed != visible {
            let late = if settled { "" } else { ", since the disk takes too long" };
            let reason = format!("queues and index have on disk what lies below {confirmed} of {visible}{late}");
            return Err(SystemError::NotClosed(reason));
        }
        if !settled {
            return Err(SystemError::NotClosed(format!(
                "the disk took longer than {} s",
                SETTLE.as_secs()
            )));
        }
        marker::mark_clean(closing.seams.disk.as_ref(), &closing.shared.layout.root)?;
        // The store is in order all the same.
        offsets_saved
    }
}

/// Closes the connections, as soon as each has what it is owed.
async fn drain(close: Vec<Recipient<CloseAll>>, limits: &[Arc<ConnectionLimit>]) {
    let closed = async {
        // All are told before one is waited for, since a thread may hang.
        for told in close.iter().map(|close| close.send(CloseAll)).collect::<Vec<_>>() {
            let _ = told.await;
        }
        for limit in limits {
            limit.drained().await;
        }
    };
    if tokio::time::timeout(DRAIN, closed).await.is_err() {
        let open: usize = limits.iter().map(|limit| limit.open()).sum();
        tracing::warn!(open, "connections are cut off that have not taken what is owed to them");
    }
}

/// Has the log flush and hand on what it has; whether it did. Where its thread hangs in the disk, it does not even take the
/// question.
async fn settle(log: Recipient<Settle>) -> bool {
    let (done, waited) = oneshot::channel();
    let settled = async { log.send(Settle { done }).await.is_ok() && waited.await.is_ok() };
    tokio::time::timeout(SETTLE, settled).await.unwrap_or(false)
}

/// Saves what was committed up to now: no connection commits any more.
async fn save_offsets(offsets: &Addr<Offsets>) -> Result<(), SystemError> {
    let reason = match tokio::time::timeout(STOP, offsets.send(SaveOffsets)).await {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(error)) => format!("their owner has failed: {error}"),
        Err(_) => format!("the disk has taken longer than {} s", STOP.as_secs()),
    };
    tracing::error!(reason, "the consumer offsets are not saved");
    Err(SystemError::OffsetsNotSaved(reason))
}

/// Saves how far delayed messages are delivered. Where that fails, the last ones are delivered again after the next start.
async fn save_delays(schedule: &Addr<Schedule>) {
    let saved = tokio::time::timeout(STOP, schedule.send(SaveDelays)).await;
    if !matches!(saved, Ok(Ok(Ok(())))) {
        tracing::error!(?saved, "how far delayed messages are delivered is not saved");
    }
}

/// Saves which messages with a time of their own are delivered. Where that fails, the last ones are delivered again.
async fn save_timers(timers: &Addr<Timers>) {
    let saved = tokio::time::timeout(STOP, timers.send(SaveTimers)).await;
    if !matches!(saved, Ok(Ok(Ok(())))) {
        tracing::error!(?saved, "which messages were delivered at their time is not saved");
    }
}

#[cfg(test)]
mod tests {
    use actix::fut::wrap_future;
    use actix::{AsyncContext, Context, Handler, Message};

    use super::*;

    /// An actor whose thread hangs in the disk, as far as others can see.
    struct Hanging;

    impl Actor for Hanging {
        type Context = Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            ctx.wait(wrap_future(std::future::pending()));
        }
    }

    impl<M: Message<Result = ()>> Handler<M> for Hanging {
        type Result = ();

        fn handle(&mut self, _: M, _: &mut Self::Context) {
            unreachable!("it takes nothing");
        }
    }

    #[actix::test]
    async fn a_stop_does_not_wait_for_ever_for_a_log_that_hangs() {
        tokio::time::pause();
        let waited = tokio::time::timeout(2 * SETTLE, settle(Hanging.start().recipient()));
        assert_eq!(waited.await, Ok(false), "and the store counts as not closed");
    }

    #[actix::test]
    async fn a_stop_does_not_wait_for_ever_for_a_connection_or_an_io_thread_that_hangs() {
        tokio::time::pause();
        let limits = [ConnectionLimit::new(1)];
        let _open = limits[0].take();
        let waited = tokio::time::timeout(2 * DRAIN, drain(vec![Hanging.start().recipient()], &limits));
        assert_eq!(waited.await, Ok(()));
    }
}
