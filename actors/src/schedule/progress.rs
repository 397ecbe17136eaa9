//! `config/delayOffset.json`: how far each delay level has been delivered. What stands there is on disk in its own topic:
//! under asynchronous flush the file waits for the log, so that a power loss may have messages delivered twice, and never not
//! at all.

use std::collections::BTreeMap;

use cuemq_net::body::DelayOffsetTable;
use cuemq_storage::StoreError;
use cuemq_storage::position::PhysicalOffset;

use super::due::Levels;
use crate::table_file::TableFile;

/// By level: the next queue offset to deliver.
type Offsets = BTreeMap<i32, i64>;

/// The file, and what is to be written into it.
pub struct Progress {
    file: TableFile,
    table: DelayOffsetTable,
    /// What may be written once the log is durable up to a position.
    waiting: Option<(Offsets, PhysicalOffset)>,
}

impl Progress {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or is no table of offsets.
    pub fn open(file: TableFile) -> Result<Self, StoreError> {
        let table = file.read()?.unwrap_or_default();
        Ok(Self {
            file,
            table,
            waiting: None,
        })
    }

    /// What the file says.
    #[must_use]
    pub fn table(&self) -> &DelayOffsetTable {
        &self.table
    }

    /// Writes how far the levels have got, as far as what they delivered is below `durable`. `delivered_to` is the end of
    /// what was appended for them last.
    ///
    /// # Errors
    /// When the file cannot be written; it is tried again the next time.
    pub fn save(
        &mut self,
        levels: &Levels,
        delivered_to: PhysicalOffset,
        durable: PhysicalOffset,
    ) -> Result<(), StoreError> {
        if let Some((offsets, _)) = self.waiting.take_if(|(_, end)| *end <= durable) {
            self.write(offsets)?;
        }
        if self.waiting.is_none() {
            let offsets = levels.iter().filter_map(|level| {
                let next = i64::try_from(level.next.0).ok().filter(|next| *next > 0)?;
                Some((i32::try_from(level.number).ok()?, next))
            });
            let offsets: Offsets = offsets.collect();
            if delivered_to <= durable {
                self.write(offsets)?;
            } else {
                self.waiting = Some((offsets, delivered_to));
            }
        }
        Ok(())
    }

    fn write(&mut self, offsets: Offsets) -> Result<(), StoreError> {
        // A level that the table of levels has no more keeps its place, should it come back.
        let mut offset_table = self.table.offset_table.clone();
        offset_table.extend(offsets);
        if offset_table == self.table.offset_table {
            return Ok(());
        }
        let table = DelayOffsetTable {
            offset_table,
            extra: self.table.extra.clone(),
        };
        self.file.write(&table)?;
        self.table = table;
        Ok(())
    }
}
