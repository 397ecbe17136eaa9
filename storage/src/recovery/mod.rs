//! Opens a store directory, whoever wrote it and however its last run ended (`DefaultMessageStore.load` and `recover`).
//!
//! 1. Find the log's files; all have one length, without gaps.
//! 2. Choose where to begin (`start`): our own note, or RocketMQ's checkpoint rules.
//! 3. Open the consume queues and the index. After a crash they keep only what was confirmed before the start. Where another
//!    program's index may lack older keys, the log is read for them alone (`lost_keys`).
//! 4. Walk the log from the start; each valid record is fed to queues and index, which skip what they have. A queue with a
//!    gap sends the walk back to the log's first record.
//! 5. Refuse to open when the walk ended below what is known to have been on disk: the log is cut only where a crash can
//!    have torn it.
//! 6. After a crash: write the walked region again with the same bytes and sync it, so that what is served is on disk and
//!    not only in a page cache that lied; zero everything behind the last valid record; delete later files; sync.
//!
//! Nothing that follows a cut can come back to life: the bytes are gone before the first append.

mod assemble;
mod cut;
mod destination;
mod directories;
mod find;
mod foreign;
pub mod inspect;
mod lost_keys;
mod misplaced;
mod note;
mod refeed;
mod refill;
mod rescue;
mod resume;
mod scan;
mod start;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use note::{Progress, note_progress};
pub use refill::refill;
pub use resume::resume;

use self::note::{LogNote, times_of};
use self::refeed::{Refeed, WalkError};
use self::scan::{Checks, FoundLog, ScanEnd};
use self::start::Start;
use crate::checkpoint::Checkpoint;
use crate::commit_log::{CommitLog, LogFiles, LogParts, QueueTable};
use crate::consume_queue::{self, ConsumeQueue, Opening};
use crate::delay_level::DelayLevels;
use crate::deletions::Deletions;
use crate::disk::{Disk, sync_file_system};
use crate::error::{Result, StoreError};
use crate::index::{self, Index};
use crate::interrupt::Interrupt;
use crate::log_state::FlushMode;
use crate::marker;
use crate::position::{FlushEpoch, PhysicalOffset};
use crate::steps::Stage;

/// RocketMQ's file length of the commit log (`mappedFileSizeCommitLog`).
pub const DEFAULT_SEGMENT_BYTES: u64 = 1 << 30;

/// Where a store lies and how its files are made.
#[derive(Clone, Debug)]
pub struct StoreLayout {
    /// The store's directory (`storePathRootDir`).
    pub root: PathBuf,
    /// The commit log's directory (`storePathCommitLog`).
    pub commit_log: PathBuf,
    /// The length of a commit log file in bytes; `None` takes it from the files found, or 1 GiB.
    pub segment_bytes: Option<u64>,
    /// The length of a new consume queue file in bytes (`mappedFileSizeConsumeQueue`).
    pub queue_file_bytes: u64,
    /// The length of a file of the consume queues' extensions in bytes (`mappedFileSizeConsumeQueueExt`); `None` writes
    /// none (`enableConsumeQueueExt=false`).
    pub extension_file_bytes: Option<u64>,
    /// The sizes of an index file; `None` for no index (`messageIndexEnable=false`).
    pub index: Option<index::Layout>,
    /// Whether bodies are checked against their CRC (`checkCRCOnRecover`).
    pub check_crc: bool,
    /// The delay levels.
    pub levels: DelayLevels,
}

impl StoreLayout {
    /// RocketMQ's layout and sizes below `root`.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            commit_log: root.join("commitlog"),
            segment_bytes: None,
            queue_file_bytes: consume_queue::DEFAULT_FILE_BYTES,
            extension_file_bytes: None,
            index: Some(index::Layout::DEFAULT),
            check_crc: true,
            levels: DelayLevels::default(),
        }
    }

    fn note_path(&self) -> PathBuf {
        self.root.join("cuemq").join("log")
    }
}

/// What recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether the last run ended in order.
    pub clean: bool,
    /// Where the walk began.
    pub from: PhysicalOffset,
    /// Behind the last valid record.
    pub end: PhysicalOffset,
    /// How many records were walked.
    pub records: u64,
    /// What stood behind the last valid record and was cut, in words.
    pub damage: Option<String>,
    /// How many bytes other than zero were cut from the log.
    pub cut_bytes: u64,
    /// How many units the consume queues lost, to be fed again.
    pub cut_units: u64,
    /// How many records name a queue that cannot be, and are in the log alone.
    pub unplaced: u64,
    /// How many whole records were cut, where no crash of ours can have torn them.
    pub lost_records: u64,
    /// Where a copy of such bytes is kept.
    pub copy: Option<PathBuf>,
}

/// A store that is open, before anybody uses it.
pub struct Recovered {
    /// The log's files.
    pub files: LogFiles,
    /// The length of each in bytes.
    pub segment_bytes: u64,
    /// The queues' names and next offsets; the slots are the places in `queues`.
    pub table: QueueTable,
    /// The consume queues.
    pub queues: Vec<ConsumeQueue>,
    /// The index, unless it is switched off.
    pub index: Option<Index>,
    /// Whether the queues keep tags codes in extensions.
    pub extended: bool,
    /// The end of the log.
    pub end: PhysicalOffset,
    /// The store time of the last record, 0 if there is none.
    pub last_store_timestamp_ms: i64,
    /// What was found and done.
    pub report: Report,
}

impl Recovered {
    /// The commit log, its queues and its index, ready for their owners.
    #[must_use]
    pub fn into_log<C>(self, mode: FlushMode, epoch: FlushEpoch) -> (CommitLog<C>, Vec<ConsumeQueue>, Option<Index>) {
        let parts = LogParts {
            last_store_timestamp_ms: self.last_store_timestamp_ms,
            indexed: self.index.is_some(),
            extended: self.extended,
            ..LogParts::of(self.files, self.table, self.end)
        };
        (CommitLog::new(mode, epoch, parts), self.queues, self.index)
    }
}

/// Opens the store and puts it in order. The caller holds the store's lock, knows from the `abort` file whether the last
/// run was `aborted`, and has read RocketMQ's `checkpoint`.
///
/// # Errors
/// When a file cannot be read or written or does not fit the layout, or the log is damaged below what was on disk; the log
/// is then as it was. [`StoreError::Interrupted`] when that was asked for.
pub fn open(
    disk: &Arc<dyn Disk>,
    layout: &StoreLayout,
    aborted: bool,
    checkpoint: Checkpoint,
    interrupt: &Interrupt,
) -> Result<Recovered> {
    foreign::refuse_files(disk.as_ref(), &layout.root)?;
    directories::sync(disk.as_ref(), layout, aborted)?;
    let found = find::log(disk.as_ref(), layout)?;
    let start = begin(disk, layout, &found, aborted, checkpoint)?;
    let (mut refeed, mut end) = walk_as_far_back_as_needed(disk, layout, &found, start, checkpoint, interrupt)?;
    if start.foreign && !start.clean {
        refeed.each_end(|name, end| foreign::refuse_unread(disk.as_ref(), &layout.root, name, end))?;
    }
    rescue::look_behind(disk.as_ref(), &found, &refeed.queues, &mut end)?;
    rescue::refuse_hole(&found, start, &end)?;
    let lost = if end.damage.is_some() && (start.clean || start.foreign) {
        rescue::keep(disk.as_ref(), layout, &found, &end)?
    } else {
        rescue::Rescued::default()
    };
    if start.clean {
        cut_to(disk, layout, &mut refeed, end.position)?;
    }
    let cut_bytes = if start.clean && end.damage.is_none() {
        0
    } else {
        cut::settle(disk.as_ref(), &found, start.from, end.position, interrupt)?
    };
    Deletions::cut(disk.as_ref(), &layout.root, end.position)?;
    // What was fed just now counts as confirmed from here on, so it has to be on disk.
    for queue in &mut refeed.queues {
        interrupt.check()?;
        queue.correct_min(PhysicalOffset(found.minimum()))?;
    }
    consume_queue::sync_all(disk.as_ref(), &layout.root, &mut refeed.queues, interrupt)?;
    if let Some(index) = &mut refeed.index {
        index.flush()?;
    }
    // From here on the store is ours, also when it crashes before the first checkpoint.
    let settled = Start {
        from: end.position,
        durable: end.position.0,
        foreign: false,
        queue_units: None,
        stored_ms: start.stored_ms.max(end.last_store_timestamp_ms),
        ..start
    };
    note_start(disk.as_ref(), layout, settled, checkpoint)?;
    let report = Report {
        clean: start.clean,
        from: start.from,
        end: end.position,
        records: end.records,
        damage: end.damage.clone(),
        cut_bytes,
        cut_units: refeed.cut_units,
        unplaced: refeed.unplaced.count(),
        lost_records: lost.records,
        copy: lost.copy,
    };
    assemble::assemble(disk, &found, refeed, &end, start.stored_ms, report)
}

/// Finds out where to begin, and notes it where the store is not yet ours or not in order.
fn begin(
    disk: &Arc<dyn Disk>,
    layout: &StoreLayout,
    found: &FoundLog,
    aborted: bool,
    checkpoint: Checkpoint,
) -> Result<Start> {
    let note = LogNote::read(disk.as_ref(), layout)?;
    let start = Start::find(disk.as_ref(), found, note, checkpoint, aborted)?;
    let keys_from = lost_keys::begin(disk, layout, found, start, checkpoint)?;
    let start = Start { keys_from, ..start };
    if start.foreign && start.clean {
        foreign::refuse_queues(disk, layout)?;
        marker::mark_in_use(disk.as_ref(), &layout.root)?;
    }
    if start.foreign || !start.clean {
        // Before anything is cut or fed behind it, so that no later start begins behind what is.
        note_start(disk.as_ref(), layout, start, checkpoint)?;
    }
    Ok(start)
}

/// Notes durably that the store is good up to where recovery begins, and no further.
fn note_start(disk: &dyn Disk, layout: &StoreLayout, start: Start, checkpoint: Checkpoint) -> Result<()> {
    let note = LogNote {
        durable: start.durable,
        confirmed: start.from.0,
        queue_units: start.queue_units,
        checkpoint: times_of(checkpoint),
        foreign: start.foreign,
        former: None,
        stored_ms: start.stored_ms,
    };
    note.write(disk, layout)
}

/// Walks from the start, or from the log's first record when a consume queue lacks something from before.
fn walk_as_far_back_as_needed(
    disk: &Arc<dyn Disk>,
    layout: &StoreLayout,
    found: &FoundLog,
    start: Start,
    checkpoint: Checkpoint,
    interrupt: &Interrupt,
) -> Result<(Refeed, ScanEnd)> {
    let walked = match walk(disk, layout, found, start, interrupt) {
        Err(WalkError::Gap) => {
            tracing::warn!(
                "a consume queue lacks records from before the last checkpoint, or has what the log never had; rebuilding \
                 all from the log"
            );
            // A crash on the way must not leave half a queue that a later start takes for good.
            marker::mark_in_use(disk.as_ref(), &layout.root)?;
            let all = start.at_the_first(found);
            note_start(disk.as_ref(), layout, all, checkpoint)?;
            walk(disk, layout, found, all, interrupt)
        }
        walked => walked,
    };
    walked.map_err(|error| match error {
        WalkError::Store(error) => error,
        WalkError::Gap => StoreError::Damaged {
            path: layout.root.join("consumequeue"),
            position: 0,
            reason: "a consume queue cannot be rebuilt from the log".to_owned(),
        },
    })
}

/// Cuts queues and index that were left in order and yet know more than the log has.
fn cut_to(disk: &Arc<dyn Disk>, layout: &StoreLayout, refeed: &mut Refeed, end: PhysicalOffset) -> Result<()> {
    for queue in &mut refeed.queues {
        if queue.end_physical() > end {
            refeed.cut_units += queue.truncate_to(end)?.units;
        }
    }
    let knows_more = |index: &Index| index.newest().is_some_and(|newest| newest >= end);
    if let Some(sizes) = layout.index
        && refeed.index.as_ref().is_some_and(knows_more)
    {
        // It holds all that comes before: its newest record lies behind what was fed.
        refeed.index = None;
        refeed.index = Some(open_index(disk, layout, sizes, index::Opening::AfterCrash(end))?);
    }
    Ok(())
}

/// Opens queues and index, walks the log and feeds them.
fn walk(
    disk: &Arc<dyn Disk>,
    layout: &StoreLayout,
    found: &FoundLog,
    start: Start,
    interrupt: &Interrupt,
) -> std::result::Result<(Refeed, ScanEnd), WalkError> {
    let folder = layout.root.join(consume_queue::FOLDER);
    let opening = match start.opening() {
        Opening::AfterCrash(limit) if sync_file_system(disk.as_ref(), &folder)? => Opening::AfterCrashTogether(limit),
        other => other,
    };
    let index = match layout.index {
        Some(sizes) => Some(open_index(disk, layout, sizes, start.index_opening())?),
        None => None,
    };
    let queues = consume_queue::discover(disk.as_ref(), &layout.root, opening)?;
    for odd in &queues.odd {
        tracing::warn!(path = %odd.display(), "not a consume queue; left alone");
    }
    let queue_file_bytes = queues.file_bytes.unwrap_or(layout.queue_file_bytes);
    let mut refeed = Refeed::new(disk, layout, queue_file_bytes, opening, index);
    refeed.deletions = Deletions::read(disk.as_ref(), &layout.root)?;
    refeed.from_the_first = start.from.0 == found.minimum();
    let total = queues.queues.len() as u64;
    for (done, queue) in (0..).zip(queues.queues) {
        interrupt.reached(Stage::OpeningQueues, done, total)?;
        refeed.open(&queue.topic, queue.queue_id)?;
    }
    if let Opening::AfterCrashTogether(_) = opening {
        sync_file_system(disk.as_ref(), &folder)?;
    }
    lost_keys::feed(disk.as_ref(), found, start, &mut refeed, interrupt)?;
    let units = refeed.queues.iter().map(|queue| queue.end().0).sum::<u64>();
    if start.queue_units.is_some_and(|noted| noted != units) {
        return Err(WalkError::Gap);
    }
    let checks = Checks {
        body_crc: layout.check_crc,
        torn_from: start.torn_from(),
    };
    let total = found.end().saturating_sub(start.from.0);
    let end = found.walk(disk.as_ref(), start.from, checks, |record| {
        let done = record.physical_offset().saturating_sub(start.from.0);
        interrupt.reached(Stage::ReadingLog, done, total)?;
        refeed.feed(record)
    })?;
    refeed.finish()?;
    let knows_more = |queue: &ConsumeQueue| queue.end_physical() > end.position;
    if start.has_whole_log(&end) && refeed.queues.iter().any(knows_more) {
        // It is the queue that is damaged.
        return Err(WalkError::Gap);
    }
    refeed.unplaced.tell();
    Ok((refeed, end))
}

/// Opens the index.
fn open_index(
    disk: &Arc<dyn Disk>,
    layout: &StoreLayout,
    sizes: index::Layout,
    opening: index::Opening,
) -> Result<Index> {
    let (index, cut) = Index::open(disk, &layout.root, sizes, opening)?;
    if cut.entries > 0 || cut.files > 0 {
        tracing::info!(
            entries = cut.entries,
            files = cut.files,
            "the index was cut, to be fed again"
        );
    }
    Ok(index)
}
