//! What retention asks of a queue: where it begins now, and that files which lead only to deleted messages go.
//!
//! Three steps, so that the queue's owner neither reads nor removes a file itself: [`QueueView::trim_to`] finds out, where
//! the disk may be waited for; [`ConsumeQueue::trim`] is the owner's, and touches memory alone; [`OldFiles::remove`]
//! removes, again where the disk may be waited for.

use std::sync::Arc;

use super::extension::ExtensionFiles;
use super::file_path;
use super::files::{Probe, parse_name};
use super::queue::ConsumeQueue;
use super::unit::{UNIT_BYTES, Unit};
use super::view::QueueView;
use crate::disk::list;
use crate::error::{Result, StoreError};
use crate::position::{PhysicalOffset, QueueOffset};

/// Where a queue begins after messages were deleted, found out for its owner.
pub struct Trim {
    view: Arc<QueueView>,
    /// How often the queue had begun anew when this was found out.
    begun: u64,
    min: u64,
}

/// Files of a queue that nobody is shown any more. Until they are removed, their owner must not begin the queue anew.
pub struct OldFiles {
    view: Arc<QueueView>,
    /// The first unit whose file stays.
    keep_from: u64,
    /// Its extension, with the first unit that stays.
    extension: Option<(Arc<ExtensionFiles>, QueueOffset)>,
}

impl QueueView {
    /// Finds out where the queue begins when the log begins at `log_min`: at the first message there or behind it, or at its
    /// end when none is; `None` when that is where it begins now. Waits for the disk.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn trim_to(self: &Arc<Self>, log_min: PhysicalOffset) -> Result<Option<Trim>> {
        let begun = self.begun();
        let is_gone = |unit: Option<Unit>| unit.is_some_and(|unit| unit.is_filler() || unit.physical_offset < log_min);
        let from = self.min_offset().0.max(self.extent().start);
        let end = self.max_offset().0;
        let mut probe = Probe::new(self);
        // Mostly nothing is gone: one look then tells.
        let min = if from < end && is_gone(probe.unit(from)?) {
            probe.partition_point(from + 1, end, is_gone)?
        } else {
            from
        };
        let view = Arc::clone(self);
        Ok((min > self.min_offset().0).then_some(Trim { view, begun, min }))
    }
}

impl Trim {
    /// Where the queue begins then.
    #[must_use]
    pub fn min_offset(&self) -> QueueOffset {
        QueueOffset(self.min)
    }

    /// How many messages from `from` on are in front of that.
    #[must_use]
    pub fn messages_from(&self, from: QueueOffset) -> u64 {
        self.min.saturating_sub(from.0.max(self.view.min_offset().0))
    }
}

impl ConsumeQueue {
    /// Lets the queue begin where it was found to, unless it has begun anew since, and gives the files that are to be removed,
    /// if there are any. The newest file stays in any case, and so does the one in front of a file that a crash could
    /// take: the names tell the queue offset that comes next.
    pub fn trim(&mut self, trim: &Trim) -> Option<OldFiles> {
        if !Arc::ptr_eq(&trim.view, &self.view) || trim.begun != self.view.begun() {
            return None;
        }
        let min = trim.min.max(self.view.min_offset().0).min(self.end);
        self.view.publish_min(min);
        let units_per_file = self.view.units_per_file;
        let extent = self.view.extent();
        let newest = extent.end.saturating_sub(units_per_file);
        let unsafe_from = self.unsynced.files.new_file().unwrap_or(u64::MAX);
        let keep_from = (min - min % units_per_file)
            .min(newest)
            .min(unsafe_from.saturating_sub(units_per_file));
        let extension = self.view.extension.load_full();
        let extension = extension.map(|files| (files, QueueOffset(min)));
        let has_old = keep_from > extent.start;
        if has_old {
            self.view.retain_files(keep_from..u64::MAX);
        }
        (has_old || extension.is_some()).then(|| OldFiles {
            view: self.view(),
            keep_from,
            extension,
        })
    }

    /// Sets the queue's minimum to the first message that begins at or behind `log_min`, the beginning of the commit
    /// log; to its end when none does.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn correct_min(&mut self, log_min: PhysicalOffset) -> Result<QueueOffset> {
        if let Some(trim) = self.view.trim_to(log_min)? {
            self.view.publish_min(trim.min);
        }
        Ok(self.view.min_offset())
    }

    /// Removes the files (never the newest) whose last message begins below `log_min`, corrects the minimum, and gives
    /// the number of files removed. Readers of a removed file go on undisturbed.
    ///
    /// # Errors
    /// When a file cannot be read or removed.
    pub fn delete_before(&mut self, log_min: PhysicalOffset) -> Result<usize> {
        if self.unsynced.files.new_file().is_some() {
            // A crash could take the newest file, and the next queue offset with it, when it is the only one left.
            self.sync()?;
        }
        let view = self.view();
        let trim = view.trim_to(log_min)?.unwrap_or(Trim {
            begun: view.begun(),
            min: view.min_offset().0,
            view,
        });
        self.trim(&trim).map_or(Ok(0), OldFiles::remove)
    }
}

impl OldFiles {
    /// Removes the files, the oldest first, each durably before the next; also what an earlier attempt has left. Gives the
    /// number of those of the queue itself.
    ///
    /// # Errors
    /// When a file cannot be removed: then it and those behind it stay for the next attempt.
    pub fn remove(self) -> Result<usize> {
        let Self { view, keep_from, .. } = &self;
        if let Some((files, first)) = &self.extension {
            files.delete_in_front(view, *first)?;
        }
        let mut removed = 0;
        for entry in list(view.disk.as_ref(), &view.directory)? {
            let start = parse_name(&entry.name).filter(|_| !entry.is_directory);
            let Some(start) = start
                .map(|first_byte| first_byte / UNIT_BYTES)
                .filter(|start| start < keep_from)
            else {
                continue;
            };
            let path = file_path(&view.directory, start);
            let gone = view.disk.remove_file(&path);
            gone.map_err(|error| StoreError::io("remove", &path, error))?;
            view.sync_directory()?;
            removed += 1;
        }
        Ok(removed)
    }
}
