//! The bitmaps of new messages (`CommitLogDispatcherCalcBitMap` in Java): each is tried on all filters of its topic before its
//! consume queue takes it, and the bits of those are set that want it.

use std::sync::Arc;

use cuemq_net::filter::Bloom;
use cuemq_net::message::properties::Properties;
use cuemq_net::message::record::Record;
use cuemq_storage::commit_log::{LogView, QueueUnits};

use super::FilterView;

/// Makes the bitmaps.
#[derive(Clone, Debug)]
pub struct BitMaps {
    /// The filters of all groups.
    pub filters: FilterView,
    /// The length of a bitmap.
    pub bloom: Bloom,
}

/// The bits of one group's filter, as they stand in the bitmaps of messages that came after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Messages that were stored later have its bits, in milliseconds since 1970.
    pub born_ms: i64,
    /// The bits of a bitmap.
    pub bits: u32,
    /// Its own.
    pub positions: Arc<[u32]>,
}

impl BitMaps {
    /// Gives the records of a topic's units their bitmaps, where the topic has filters and the queue an extension.
    pub fn mark(&self, topic: &str, units: &mut QueueUnits, log: &LogView) {
        let Some(of_topic) = self.filters.of_topic(topic) else {
            return;
        };
        let Some(stored) = units.stored.as_mut() else { return };
        let stored = Arc::make_mut(stored);
        for unit in &units.units {
            let marked = log.read(unit.physical_offset, unit.size, |bytes| {
                let record = Record::parse(bytes).ok()?;
                let properties = Properties::new(record.properties());
                let mut bitmap = vec![0; self.bloom.bits() as usize / 8];
                for filter in of_topic.values().filter(|filter| filter.sql().matches(properties)) {
                    set(&mut bitmap, &filter.positions);
                }
                Some(bitmap)
            });
            if let Some(bitmap) = marked.flatten() {
                stored.mark(unit.physical_offset, bitmap.into());
            }
        }
    }
}

fn set(bitmap: &mut [u8], positions: &[u32]) {
    for position in positions {
        if let Some(byte) = bitmap.get_mut(*position as usize / 8) {
            *byte |= 1 << (position % 8);
        }
    }
}

impl Marks {
    /// Whether the filter may want a message with this bitmap. It says nothing of one that came before it, or was marked by
    /// other settings.
    #[must_use]
    pub fn may_want(&self, stored_ms: i64, bitmap: &[u8]) -> bool {
        if stored_ms <= self.born_ms || bitmap.len() * 8 != self.bits as usize {
            return true;
        }
        let is_set = |position: &u32| {
            let byte = bitmap.get(*position as usize / 8);
            byte.is_none_or(|byte| byte & 1 << (position % 8) != 0)
        };
        self.positions.iter().all(is_set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_all_bits_of_a_filter_is_not_wanted_if_it_came_later_and_its_bitmap_is_as_long() {
        let marks = Marks {
            born_ms: 100,
            bits: 16,
            positions: [3, 11].into(),
        };
        let bitmap = |positions: &[u32]| {
            let mut bitmap = vec![0; 2];
            set(&mut bitmap, positions);
            bitmap
        };
        assert_eq!(bitmap(&[3, 11]), [0b1000, 0b1000]);
        assert!(marks.may_want(101, &bitmap(&[3, 5, 11])));
        for too_few in [&[][..], &[3], &[11, 5]] {
            assert!(!marks.may_want(101, &bitmap(too_few)), "{too_few:?}");
        }
        assert!(marks.may_want(100, &bitmap(&[])), "it came before the filter");
        assert!(marks.may_want(101, &[0; 3]), "it was marked by other settings");
    }
}
