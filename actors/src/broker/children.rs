//! Starts the children, in the order in which they are stopped backwards: what writes files last of all, then the commit
//! log, then what feeds it. The consume queues, started on demand, stop first.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use actix::{Actor, Addr};
use cuemq_storage::commit_log::{CommitLog as Log, LogView, QueueName};
use cuemq_storage::consume_queue::{QueuePlace, QueueView};
use cuemq_storage::index::{Index as IndexFiles, Opening};
use cuemq_storage::log_state::FlushMode;
use cuemq_storage::position::FlushEpoch;
use cuemq_storage::queue_directory::{QueueDirectory, QueueHandle};
use cuemq_storage::recovery::{self, StoreLayout};

use super::Seams;
use super::store::OpenStore;
use super::system::{SharedNursery, with_nursery};
use super::wiring::{BrokerChildren, Pending, Wiring};
use crate::allocator::Allocator;
use crate::cold_reads::{ColdReads, QueueFlusher};
use crate::commit_log::{CommitLog, Neighbours, SendGate};
use crate::config::BrokerConfig;
use crate::consume_queue::{ConsumeQueue, NewHandle, QueueActors, QueueNeighbours};
use crate::flusher::Flusher;
use crate::group::actor::Groups;
use crate::group::{AutoCreate, GroupView};
use crate::hold::actor::{Hold, HoldLimits};
use crate::hold::queue_ends::Ends;
use crate::index::{Index, IndexFeed, IndexParts};
use crate::io::budget::Budget;
use crate::io::egress::Egress;
use crate::io::identity::Identity;
use crate::io::state::{BrokerSide, IoParts, IoState};
use crate::metrics::Metrics;
use crate::namesrv::{Desk, KvFile, NameServer, Settings};
use crate::offset::actor::Offsets;
use crate::placement::Thread;
use crate::rebalance::MembershipView;
use crate::rebalance::actor::{ConnectionsOfThread, Neighbours as Members, Rebalance, RebalanceSettings};
use crate::registrar::{Registrar, RegistrarParts};
use crate::retention::{Retention, RetentionParts};
use crate::router::{BrokerActors, Router};
use crate::supervise::{Cause, ChildSpec, Context};
use crate::table_file::TableFile;
use crate::topic::actor::Topics;
use crate::topic::{SystemTopics, TopicView};

/// Messages that an actor's mailbox holds for each of its senders.
const CAPACITY: usize = 1024;

/// What all children of a broker are made from.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) config: Arc<BrokerConfig>,
    pub(super) seams: Seams,
    pub(super) identity: Arc<Identity>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) budget: Arc<Budget>,
    pub(super) nursery: SharedNursery,
    pub(super) wiring: Pending,
    pub(super) topics: TopicView,
    pub(super) groups: GroupView,
    pub(super) membership: MembershipView,
}

/// The parts of the store that many share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) layout: StoreLayout,
    pub(super) view: Arc<LogView>,
    pub(super) directory: Arc<QueueDirectory>,
    pub(super) gate: Arc<SendGate>,
    pub(super) segment_bytes: u64,
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

    /// Starts everything and completes the wiring.
    pub(super) fn start_all(&self, store: Option<(OpenStore, Shared)>, name_server: Option<Settings>) -> Wiring {
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
        };
        self.wiring.complete(wiring.clone());
        wiring
    }

    fn start_name_server(&self, settings: Settings) -> Addr<NameServer> {
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

    fn start_broker(&self, store: OpenStore, shared: &Shared) -> BrokerChildren {
        let (topics, groups, offsets) = self.start_tables(shared);
        self.start_retention(shared);
        let metrics = Arc::clone(&self.metrics);
        let clock = Arc::clone(&self.seams.clock);
        let flusher = self.start(ChildSpec::new("flusher", Thread::Flusher), move |_| {
            Ok(Flusher::new(Arc::clone(&clock), Arc::clone(&metrics)))
        });
        let (disk, directory) = (Arc::clone(&self.seams.disk), shared.layout.commit_log.clone());
        let segment_bytes = shared.segment_bytes;
        let allocator = self.start(ChildSpec::new("allocator", Thread::Files), move |_| {
            Ok(Allocator::new(Arc::clone(&disk), directory.clone(), segment_bytes))
        });
        let queue_flusher = self.start(ChildSpec::new("queue flusher", Thread::Files), |_| Ok(QueueFlusher));
        let wiring = self.wiring.clone();
        let cold_reads = self.start(ChildSpec::new("cold reads", Thread::ColdReads), move |_| {
            Ok(ColdReads::new(
                wiring
                    .wait()
                    .egress
                    .iter()
                    .map(|egress| egress.clone().recipient())
                    .collect(),
            ))
        });
        let waiting = Arc::new(AtomicUsize::new(0));
        let (index, log) = self.start_log(store, shared, &waiting);
        let rebalance = self.start_rebalance();
        let registrar = self.start_registrar();
        let holds = (0..self.seams.placement.io_threads())
            .map(|thread| self.start_hold(thread, shared))
            .collect();
        BrokerChildren {
            topics,
            groups,
            offsets,
            rebalance,
            registrar,
            flusher,
            allocator,
            queue_flusher,
            cold_reads,
            index,
            log,
            holds,
        }
    }

    fn start_tables(&self, shared: &Shared) -> (Addr<Topics>, Addr<Groups>, Addr<Offsets>) {
        let ground = self.clone();
        let topics = self.start(ChildSpec::new("topics", Thread::Files), move |_| {
            let system = SystemTopics {
                cluster_name: ground.config.cluster_name.clone(),
                broker_name: ground.config.broker_name.clone(),
                auto_create: ground.config.auto_create_topic,
                default_queue_nums: ground.config.default_topic_queue_nums,
                ..SystemTopics::default()
            };
            let registrar = ground.wiring.broker().registrar.clone().recipient();
            let clock = Arc::clone(&ground.seams.clock);
            Topics::open(
                ground.file("topics.json"),
                system,
                ground.topics.clone(),
                clock,
                Some(registrar),
            )
        });
        let ground = self.clone();
        let groups = self.start(ChildSpec::new("groups", Thread::Files), move |_| {
            let auto = if ground.config.auto_create_group {
                AutoCreate::Yes
            } else {
                AutoCreate::SystemOnly
            };
            let clock = Arc::clone(&ground.seams.clock);
            Groups::open(
                ground.file("subscriptionGroup.json"),
                auto,
                ground.groups.clone(),
                clock,
            )
        });
        let (ground, directory) = (self.clone(), Arc::clone(&shared.directory));
        let offsets = self.start(ChildSpec::new("offsets", Thread::Files), move |_| {
            let queue_end = |topic: &str, queue_id: i32| {
                let queue = directory.find(topic, u32::try_from(queue_id).ok()?)?;
                i64::try_from(queue.view().max_offset().0).ok()
            };
            Offsets::open(
                ground.file("consumerOffset.json"),
                ground.config.offsets_interval,
                queue_end,
            )
        });
        (topics, groups, offsets)
    }

    fn start_retention(&self, shared: &Shared) {
        let (ground, shared) = (self.clone(), shared.clone());
        let needed = self.config.free_bytes.max(if self.config.free_bytes == 0 {
            0
        } else {
            2 * shared.segment_bytes
        });
        self.start(ChildSpec::new("retention", Thread::Files), move |_| {
            Ok(Retention::open(RetentionParts {
                disk: Arc::clone(&ground.seams.disk),
                layout: shared.layout.clone(),
                log: Arc::clone(&shared.view),
                queues: Arc::clone(&shared.directory),
                gate: Arc::clone(&shared.gate),
                poison: ground.wiring.broker().log.clone().recipient(),
                free_bytes: needed,
                interval: ground.config.checkpoint_interval,
            })?)
        });
    }

    /// The log before the index, so that it is there to hear what the index makes durable at the end.
    fn start_log(
        &self,
        store: OpenStore,
        shared: &Shared,
        waiting: &Arc<AtomicUsize>,
    ) -> (Option<Addr<Index>>, Addr<CommitLog>) {
        let found: Vec<(QueueName, Arc<QueueHandle>)> = store
            .queues
            .into_iter()
            .map(|(name, handle, _)| (name, handle))
            .collect();
        let mut first = Some((store.log, found));
        let mut life = 0;
        let (ground, log_shared, log_waiting) = (self.clone(), shared.clone(), Arc::clone(waiting));
        let log = self.start(ChildSpec::new("commit log", Thread::Log), move |_| {
            life += 1;
            let (log, found, again) = match first.take() {
                Some((log, found)) => (log, found, Vec::new()),
                None => ground.resume_log(&log_shared, life)?,
            };
            let interval = (ground.config.flush == FlushMode::Async).then_some(ground.config.flush_interval);
            let neighbours = ground.neighbours_of_log(&log_shared, &log_waiting, found);
            Ok(CommitLog::new(
                log,
                neighbours,
                Arc::clone(&ground.seams.clock),
                interval,
                again,
            ))
        });
        let index = store.index.map(|files| self.start_index(files, shared, waiting));
        (index, log)
    }

    /// Builds the commit log anew, under the view and the slots that its readers and queues know.
    fn resume_log(&self, shared: &Shared, life: u64) -> Result<ResumedLog, Cause> {
        let mut found: Vec<(QueueName, Arc<QueueHandle>)> = Vec::new();
        shared.directory.for_each(|topic, queue_id, handle| {
            found.push((
                QueueName {
                    topic: Arc::clone(topic),
                    queue_id,
                },
                Arc::clone(handle),
            ));
        });
        found.sort_unstable_by_key(|(_, handle)| handle.slot());
        let known = found
            .iter()
            .map(|(name, handle)| (name.clone(), handle.view().max_offset()))
            .collect();
        let resumed = recovery::resume(&self.seams.disk, &shared.layout, &shared.view, known)?;
        let (end, last_ms) = (
            resumed.end,
            resumed.last_store_timestamp_ms.max(shared.view.last_store_ms()),
        );
        let log = Log::new(
            self.config.flush,
            FlushEpoch(life),
            resumed.files,
            resumed.table,
            end,
            last_ms,
        );
        Ok((log, found, resumed.again))
    }

    fn neighbours_of_log(
        &self,
        shared: &Shared,
        waiting: &Arc<AtomicUsize>,
        found: Vec<(QueueName, Arc<QueueHandle>)>,
    ) -> Neighbours {
        let wiring = self.wiring.wait();
        let broker = self.wiring.broker();
        let queue_neighbours = Arc::new(QueueNeighbours {
            disk: Arc::clone(&self.seams.disk),
            root: shared.layout.root.clone(),
            file_bytes: shared.layout.queue_file_bytes,
            levels: shared.layout.levels.clone(),
            log: Arc::clone(&shared.view),
            syncer: broker.queue_flusher.clone().recipient(),
            holds: broker.holds.iter().map(|hold| hold.clone().recipient()).collect(),
            confirmed: broker.log.clone().recipient(),
            poison: broker.log.clone().recipient(),
            idle: broker.log.clone().recipient(),
            sync_interval: self.config.checkpoint_interval,
        });
        let ground = self.clone();
        let start = Box::new(move |name: QueueName, handle: Arc<QueueHandle>| {
            let neighbours = Arc::clone(&queue_neighbours);
            let spec = ChildSpec::new(format!("consume queue {}/{}", name.topic, name.queue_id), Thread::Log);
            let spec = spec.under("commit log").on_demand();
            let reopen = move |_: &mut Context<ConsumeQueue>| {
                ConsumeQueue::reopen(name.clone(), Arc::clone(&handle), Arc::clone(&neighbours))
            };
            ground.start(spec, reopen).recipient()
        });
        let index = broker
            .index
            .as_ref()
            .map(|index| IndexFeed::new(index.clone().recipient(), Arc::clone(waiting)));
        Neighbours {
            flusher: broker.flusher.clone().recipient(),
            allocator: broker.allocator.clone().recipient(),
            egress: wiring.egress.iter().map(|egress| egress.clone().recipient()).collect(),
            queues: QueueActors::new(found, Arc::clone(&shared.directory), start, self.new_handle(shared)),
            index,
        }
    }

    /// Makes the handle of a queue that has its first message.
    fn new_handle(&self, shared: &Shared) -> NewHandle {
        let (disk, layout) = (Arc::clone(&self.seams.disk), shared.layout.clone());
        Box::new(move |slot, name| {
            let place = QueuePlace {
                root: &layout.root,
                topic: &name.topic,
                queue_id: name.queue_id,
            };
            let view = QueueView::unopened(Arc::clone(&disk), place, layout.queue_file_bytes);
            let view = view.unwrap_or_else(|error| panic!("a topic's name was checked when it was made: {error}"));
            Arc::new(QueueHandle::new(slot, Arc::new(view)))
        })
    }

    fn start_index(&self, files: IndexFiles, shared: &Shared, waiting: &Arc<AtomicUsize>) -> Addr<Index> {
        let (ground, shared, waiting) = (self.clone(), shared.clone(), Arc::clone(waiting));
        let mut first = Some(files);
        self.start(ChildSpec::new("index", Thread::Files), move |_| {
            let files = match (first.take(), shared.layout.index) {
                (Some(files), _) => files,
                (None, Some(sizes)) => {
                    let opening = Opening::AfterCrash(shared.view.confirmed());
                    IndexFiles::open(&ground.seams.disk, &shared.layout.root, sizes, opening)?.0
                }
                (None, None) => return Err("the index is switched off".into()),
            };
            let log = ground.wiring.broker().log.clone();
            Ok(Index::new(IndexParts {
                files,
                log: Arc::clone(&shared.view),
                waiting: Arc::clone(&waiting),
                confirmed: log.clone().recipient(),
                poison: log.recipient(),
                flush_interval: ground.config.checkpoint_interval,
            }))
        })
    }

    fn start_rebalance(&self) -> Addr<Rebalance> {
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

    fn start_registrar(&self) -> Addr<Registrar> {
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

    fn start_hold(&self, thread: u16, shared: &Shared) -> Addr<Hold> {
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

    fn start_egress(&self, thread: u16, shared: Option<Shared>) -> Addr<Egress> {
        let ground = self.clone();
        self.start(
            ChildSpec::new(format!("egress {thread}"), Thread::Io(thread)),
            move |ctx| {
                use actix::AsyncContext;
                let wiring = ground.wiring.wait();
                let broker = wiring.broker.as_ref().zip(shared.as_ref());
                let name_server = wiring.name_server.as_ref();
                let router = Router::new(
                    broker.map(|(children, _)| ground.broker_actors(children, thread)),
                    name_server.map(|server| (server.clone().recipient(), server.clone().recipient())),
                );
                let parts = IoParts {
                    thread,
                    identity: Arc::clone(&ground.identity),
                    clock: Arc::clone(&ground.seams.clock),
                    entropy: Arc::clone(&ground.seams.entropy),
                    broker: broker.map(|(children, shared)| ground.broker_side(children, shared, thread)),
                    router,
                    metrics: Arc::clone(&ground.metrics),
                    lost: ctx.address().recipient(),
                    idle_limit: ground.config.idle_limit,
                    budget: Arc::clone(&ground.budget),
                };
                Ok(Egress::new(IoState::new(parts)))
            },
        )
    }

    fn broker_side(&self, children: &BrokerChildren, shared: &Shared, thread: u16) -> BrokerSide {
        let hold = children.holds.get(usize::from(thread)).or(children.holds.first());
        BrokerSide {
            topics: self.topics.clone(),
            groups: self.groups.clone(),
            membership: self.membership.clone(),
            log: Arc::clone(&shared.view),
            queues: Arc::clone(&shared.directory),
            gate: Arc::clone(&shared.gate),
            append: children.log.clone().recipient(),
            hold: hold.map_or_else(|| panic!("each I/O thread has a hold"), |hold| hold.clone().recipient()),
            cold: children.cold_reads.clone().recipient(),
        }
    }

    fn broker_actors(&self, children: &BrokerChildren, thread: u16) -> BrokerActors {
        let hold = children.holds.get(usize::from(thread)).or(children.holds.first());
        BrokerActors {
            create_on_send: children.topics.clone().recipient(),
            create_dead_letters: children.topics.clone().recipient(),
            groups: children.groups.clone().recipient(),
            auto_create_group: self.config.auto_create_group,
            commit: children.offsets.clone().recipient(),
            offsets: children.offsets.clone().recipient(),
            heartbeat: children.rebalance.clone().recipient(),
            leave: children.rebalance.clone().recipient(),
            gone: children.rebalance.clone().recipient(),
            forget: hold.map_or_else(|| panic!("each I/O thread has a hold"), |hold| hold.clone().recipient()),
        }
    }
}

/// A commit log that was built anew, with the queues that are known and what is dispatched once more.
type ResumedLog = (
    Log<crate::io::send_context::SendContext>,
    Vec<(QueueName, Arc<QueueHandle>)>,
    Vec<cuemq_storage::commit_log::Dispatch>,
);
