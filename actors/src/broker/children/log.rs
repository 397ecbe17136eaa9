//! The factories of the commit log, of what it writes and flushes with, and of what it feeds: consume queues and index.

use std::sync::Arc;

use actix::Addr;
use cuemq_storage::commit_log::{CommitLog as Log, QueueName};
use cuemq_storage::consume_queue::{ConsumeQueue as QueueFiles, QueuePlace, QueueView};
use cuemq_storage::index::{Index as IndexFiles, Opening};
use cuemq_storage::log_state::FlushMode;
use cuemq_storage::position::FlushEpoch;
use cuemq_storage::queue_directory::QueueHandle;
use cuemq_storage::recovery;

use super::{Ground, Shared};
use crate::allocator::Allocator;
use crate::commit_log::{CommitLog, DeletionNote, Neighbours};
use crate::consume_queue::{self, FoundQueue, Heritage, NewHandle, QueueActors, QueueNeighbours};
use crate::filter::BitMaps;
use crate::flusher::Flusher;
use crate::index::{Index, IndexFeed, IndexParts};
use crate::io::send_context::SendContext;
use crate::placement::Thread;
use crate::queue_flusher::QueueFlusher;
use crate::supervise::{Cause, ChildSpec, Policy};

/// A commit log that was built anew, with the queues that are known.
type ResumedLog = (Log<SendContext>, Vec<FoundQueue>);

impl Ground {
    pub(super) fn start_flusher(&self) -> Addr<Flusher> {
        let metrics = Arc::clone(&self.metrics);
        let clock = Arc::clone(&self.seams.clock);
        let spec = ChildSpec::new("flusher", Thread::Flusher).policy(Policy::FailStop);
        self.start(spec, move |_| {
            Ok(Flusher::new(Arc::clone(&clock), Arc::clone(&metrics)))
        })
    }

    pub(super) fn start_allocator(&self, shared: &Shared) -> Addr<Allocator> {
        let (disk, directory) = (Arc::clone(&self.seams.disk), shared.layout.commit_log.clone());
        let segment_bytes = shared.segment_bytes;
        let spec = ChildSpec::new("allocator", Thread::Upkeep).policy(Policy::FailStop);
        self.start(spec, move |_| {
            Ok(Allocator::new(Arc::clone(&disk), directory.clone(), segment_bytes))
        })
    }

    pub(super) fn start_queue_flusher(&self) -> Addr<QueueFlusher> {
        self.start(ChildSpec::new("queue flusher", Thread::Upkeep), |_| Ok(QueueFlusher))
    }

    pub(super) fn start_log(
        &self,
        log: Log<SendContext>,
        queues: Vec<(QueueName, Arc<QueueHandle>, QueueFiles)>,
        shared: &Shared,
    ) -> Addr<CommitLog> {
        let found = queues.into_iter();
        let found = found.map(|(name, handle, files)| (name, handle, Some(files))).collect();
        let mut first = Some((log, found));
        let mut life = 0;
        let heritage = Heritage::default();
        let (ground, log_shared) = (self.clone(), shared.clone());
        self.start(ChildSpec::new("commit log", Thread::Log), move |_| {
            life += 1;
            let (log, found) = match first.take() {
                Some(first) => first,
                None => ground.resume_log(&log_shared, life)?,
            };
            let interval = (ground.config.flush == FlushMode::Async).then_some(ground.config.flush_interval);
            let neighbours = ground.neighbours_of_log(&log_shared, heritage.clone(), found);
            Ok(CommitLog::new(
                log,
                neighbours,
                Arc::clone(&ground.seams.clock),
                interval,
            ))
        })
    }

    /// Builds the commit log anew, under the view and the slots that its readers and queues know.
    fn resume_log(&self, shared: &Shared, life: u64) -> Result<ResumedLog, Cause> {
        if shared.view.is_poisoned() {
            return Err("the store has failed before: only a restart of the process can open it again".into());
        }
        let mut found: Vec<FoundQueue> = Vec::new();
        shared.directory.for_each(|topic, queue_id, handle| {
            found.push((
                QueueName {
                    topic: Arc::clone(topic),
                    queue_id,
                },
                Arc::clone(handle),
                None,
            ));
        });
        found.sort_unstable_by_key(|(_, handle, _)| handle.slot());
        let known = found
            .iter()
            .map(|(name, handle, _)| (name.clone(), handle.view().max_offset()))
            .collect();
        let resumed = recovery::resume(&self.seams.disk, &shared.layout, &shared.view, known)?;
        let log = Log::new(self.config.flush, FlushEpoch(life), resumed);
        Ok((log, found))
    }

    /// How messages are tried on filters when they come, if they are: an extension of their queue holds what comes of it.
    fn bitmaps(&self) -> Option<BitMaps> {
        let bloom = self.config.filters.bloom().filter(|_| self.config.makes_bitmaps())?;
        let filters = self.filters.clone();
        Some(BitMaps { filters, bloom })
    }

    fn neighbours_of_log(&self, shared: &Shared, heritage: Heritage, found: Vec<FoundQueue>) -> Neighbours {
        let wiring = self.wiring.wait();
        let broker = self.wiring.broker();
        let queue_neighbours = Arc::new(QueueNeighbours {
            disk: Arc::clone(&self.seams.disk),
            root: shared.layout.root.clone(),
            file_bytes: shared.layout.queue_file_bytes,
            extension_file_bytes: shared.layout.extension_file_bytes,
            bitmaps: self.bitmaps(),
            levels: shared.layout.levels.clone(),
            log: Arc::clone(&shared.view),
            syncer: broker.queue_flusher.clone().recipient(),
            remover: broker.queue_flusher.clone().recipient(),
            holds: broker.holds.iter().map(|hold| hold.clone().recipient()).collect(),
            confirmed: broker.log.clone().recipient(),
            poison: broker.log.clone().recipient(),
            gate: Arc::clone(&shared.gate),
            timers: self.wake_timers(broker, shared),
            idle: broker.log.clone().recipient(),
            sync_interval: self.config.checkpoint_interval,
            open_files: Arc::clone(&self.open_files),
        });
        let ground = self.clone();
        let start = Box::new(
            move |name: QueueName, handle: Arc<QueueHandle>, files: Option<QueueFiles>| {
                let neighbours = Arc::clone(&queue_neighbours);
                let spec = ChildSpec::new(format!("consume queue {}/{}", name.topic, name.queue_id), Thread::Log);
                let spec = spec.under("commit log").on_demand();
                ground.start(spec, consume_queue::build(name, handle, files, neighbours))
            },
        );
        let index = broker
            .index
            .as_ref()
            .map(|index| IndexFeed::new(index.clone().recipient(), Arc::clone(&shared.index_backlog)));
        Neighbours {
            flusher: broker.flusher.clone().recipient(),
            allocator: broker.allocator.clone().recipient(),
            paver: broker.allocator.clone().recipient(),
            egress: wiring.egress.iter().map(|egress| egress.clone().recipient()).collect(),
            queues: QueueActors::new(
                heritage,
                found,
                Arc::clone(&shared.directory),
                start,
                self.new_handle(shared),
            ),
            index,
            deletions: DeletionNote {
                disk: Arc::clone(&self.seams.disk),
                root: shared.layout.root.clone(),
            },
            metrics: Arc::clone(&self.metrics),
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

    pub(super) fn start_index(&self, files: IndexFiles, shared: &Shared) -> Addr<Index> {
        let (ground, shared) = (self.clone(), shared.clone());
        let mut first = Some(files);
        self.start(ChildSpec::new("index", Thread::Index), move |_| {
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
                backlog: Arc::clone(&shared.index_backlog),
                confirmed: log.clone().recipient(),
                poison: log.recipient(),
                gate: Arc::clone(&shared.gate),
                flush_interval: ground.config.checkpoint_interval,
            }))
        })
    }
}
