//! What retention asks of a queue: where it begins now, and that files which point only at deleted segments go.

use super::files::Probe;
use super::queue::ConsumeQueue;
use super::unit::Unit;
use crate::error::Result;
use crate::position::{PhysicalOffset, QueueOffset};

impl ConsumeQueue {
    /// Sets the queue's minimum to the first message that begins at or behind `log_min`, the beginning of the commit
    /// log; to its end when none does.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn correct_min(&mut self, log_min: PhysicalOffset) -> Result<QueueOffset> {
        let is_gone = |unit: Option<Unit>| unit.is_some_and(|unit| unit.is_filler() || unit.physical_offset < log_min);
        let from = self.view.extent().start;
        let mut probe = Probe::new(&self.view);
        // Mostly nothing is gone: one look then tells.
        let min = if from < self.end && is_gone(probe.unit(from)?) {
            probe.partition_point(from + 1, self.end, is_gone)?
        } else {
            from
        };
        self.view.publish_min(min);
        Ok(QueueOffset(min))
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
        let extent = self.view.extent();
        let units_per_file = self.view.units_per_file;
        let mut keep_from = extent.start;
        let mut probe = Probe::new(&self.view);
        while keep_from + units_per_file < extent.end {
            let last = probe.unit(keep_from + units_per_file - 1)?;
            if !last.is_some_and(|unit| unit.is_filler() || unit.physical_offset < log_min) {
                break;
            }
            keep_from += units_per_file;
        }
        self.correct_min(log_min)?;
        self.delete_extension_before_min()?;
        let old = self.view.retain_files(keep_from..u64::MAX);
        let count = old.len();
        self.remove(old)?;
        Ok(count)
    }
}
