//! Opens the store of a broker: its lock, its markers, recovery, and what readers share.

use std::sync::Arc;

use cuemq_storage::checkpoint::CheckpointFile;
use cuemq_storage::commit_log::{CommitLog, LogView, QueueName};
use cuemq_storage::consume_queue::ConsumeQueue;
use cuemq_storage::disk::{Disk, DiskLock, probe};
use cuemq_storage::index::Index;
use cuemq_storage::interrupt::Interrupt;
use cuemq_storage::position::FlushEpoch;
use cuemq_storage::queue_directory::{QueueDirectory, QueueHandle};
use cuemq_storage::recovery::{self, Report, StoreLayout};
use cuemq_storage::{Result, StoreError, marker};

use crate::config::BrokerConfig;
use crate::io::send_context::SendContext;

/// A store that is open and locked.
pub(super) struct OpenStore {
    pub(super) layout: StoreLayout,
    pub(super) segment_bytes: u64,
    pub(super) log: CommitLog<SendContext>,
    pub(super) view: Arc<LogView>,
    pub(super) directory: Arc<QueueDirectory>,
    /// The queues with their owners' sides, in the order of their slots.
    pub(super) queues: Vec<(QueueName, Arc<QueueHandle>, ConsumeQueue)>,
    pub(super) index: Option<Index>,
    /// Taken out by whoever keeps it for as long as the system runs.
    pub(super) lock: Option<Box<dyn DiskLock>>,
}

/// Opens the store. Nothing on the disk changes before the lock is held.
pub(super) fn open(disk: &Arc<dyn Disk>, config: &BrokerConfig, interrupt: &Interrupt) -> Result<OpenStore> {
    let layout = config.layout();
    for directory in [&layout.root, &layout.commit_log] {
        disk.create_directory(directory)
            .map_err(|error| StoreError::io("make", directory, error))?;
    }
    let lock = marker::lock(disk.as_ref(), &layout.root)?;
    probe(disk.as_ref(), &layout.root)?;
    let aborted = marker::was_aborted(disk.as_ref(), &layout.root)?;
    let checkpoint = CheckpointFile::open(disk.as_ref(), &layout.root)?.read();
    let recovered = recovery::open(disk, &layout, aborted, checkpoint, interrupt)?;
    marker::mark_in_use(disk.as_ref(), &layout.root)?;
    tell(&recovered.report);
    let segment_bytes = recovered.segment_bytes;
    let (mut log, queues, index) = recovered.into_log(config.flush, FlushEpoch(0));
    let directory = Arc::new(QueueDirectory::default());
    let mut found = Vec::new();
    for (slot, queue) in (0..).zip(queues) {
        if let Some(name) = log.queues().name(slot).cloned() {
            let handle = Arc::new(QueueHandle::new(slot, queue.view()));
            directory.insert(&name.topic, name.queue_id, Arc::clone(&handle));
            found.push((name, handle, queue));
        }
    }
    let view = Arc::clone(log.view());
    Ok(OpenStore {
        layout,
        segment_bytes,
        log,
        view,
        directory,
        queues: found,
        index,
        lock: Some(lock),
    })
}

fn tell(report: &Report) {
    let (from, end, records) = (report.from, report.end, report.records);
    if report.clean {
        tracing::info!(%end, records, "store opened");
    } else {
        let (cut_bytes, cut_units) = (report.cut_bytes, report.cut_units);
        tracing::warn!(%from, %end, records, cut_bytes, cut_units, damage = report.damage, "store recovered after a crash");
    }
}
