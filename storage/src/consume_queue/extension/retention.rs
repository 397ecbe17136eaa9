//! What retention asks of an extension: files go to which no entry leads that is still there.

use super::files::ExtensionFiles;
use super::place_of;
use crate::consume_queue::ConsumeQueue;
use crate::error::Result;

impl ExtensionFiles {
    /// Removes the files (never the newest) that end at or before `place`, the oldest first.
    fn delete_before(&self, place: u64) -> Result<()> {
        let mut starts: Vec<u64> = self.list()?.into_iter().map(|(start, _)| start).collect();
        starts.pop();
        self.remove(starts.into_iter().take_while(|start| start + self.file_bytes <= place))
    }
}

impl ConsumeQueue {
    /// Removes the extension's files in front of the queue's first entry, where that one has a unit.
    pub(in crate::consume_queue) fn delete_extension_before_min(&self) -> Result<()> {
        let Some(files) = self.view.extension.load_full() else {
            return Ok(());
        };
        let first = self.view.copy(self.view.min_offset(), 1)?;
        match first.first().and_then(|entry| place_of(entry.tags_code)) {
            Some(place) => files.delete_before(place),
            None => Ok(()),
        }
    }
}
