//! What retention asks of an extension: files go to which no entry leads that is still there.

use super::files::ExtensionFiles;
use super::place_of;
use crate::consume_queue::view::QueueView;
use crate::error::Result;
use crate::position::QueueOffset;

impl ExtensionFiles {
    /// Removes the files (never the newest) that end at or before `place`, the oldest first.
    fn delete_before(&self, place: u64) -> Result<()> {
        let mut starts: Vec<u64> = self.list()?.into_iter().map(|(start, _)| start).collect();
        starts.pop();
        self.remove(starts.into_iter().take_while(|start| start + self.file_bytes <= place))
    }

    /// Removes the files in front of the unit that the queue's entry at `first` leads to, where it leads to one.
    pub(in crate::consume_queue) fn delete_in_front(&self, queue: &QueueView, first: QueueOffset) -> Result<()> {
        let entries = queue.copy(first, 1)?;
        match entries.first().and_then(|entry| place_of(entry.tags_code)) {
            Some(place) => self.delete_before(place),
            None => Ok(()),
        }
    }
}
