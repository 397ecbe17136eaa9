//! Which queue offset a consumer starts at that asks for a time (RocketMQ's `getOffsetInQueueByTime`).
//!
//! A consume queue holds no times, so the records tell them. As in Java the file is chosen first and searched alone:
//! the first whose last message was stored at or after the time, else the last file. (Java goes by the modification
//! times of the files, which a restored backup or a cut changes.) In the file the search is Java's step for step, since
//! messages of one millisecond make the answer depend on where it probes:
//!
//! - a message of exactly the time wins, whichever of several is met first;
//! - with only later ones the first of them, with only earlier ones the last of them;
//! - else the nearer neighbour, the earlier of two at the same distance.

use super::unit::Unit;
use super::view::QueueView;
use crate::error::Result;
use crate::position::{PhysicalOffset, QueueOffset};

/// The queue offset for `timestamp_ms`, for whoever may wait for the disk. `store_time_of` gives the store time of the
/// record at a position; none there makes the answer 0, as in Java. Units below `log_min` are passed over.
///
/// # Errors
/// When a file of the queue cannot be read, or what `store_time_of` says.
pub fn offset_by_time(
    view: &QueueView,
    timestamp_ms: i64,
    log_min: PhysicalOffset,
    store_time_of: impl Fn(PhysicalOffset) -> Result<Option<i64>>,
) -> Result<QueueOffset> {
    let (extent, end, min) = (view.extent(), view.max_offset().0, view.min_offset().0);
    let time_of = |unit: Unit| store_time_of(unit.physical_offset);
    let unit_at = |queue_offset| view.unit(QueueOffset(queue_offset));
    let mut start = extent.start;
    while start + view.units_per_file < end {
        let last = unit_at(start + view.units_per_file - 1)?.filter(|unit| unit.physical_offset >= log_min);
        let time = last.map(time_of).transpose()?.flatten();
        if time.is_some_and(|time| time >= timestamp_ms) {
            break;
        }
        start += view.units_per_file;
    }
    let (mut low, mut high) = (min.max(start), end.min(start + view.units_per_file));
    let (mut earlier, mut later) = (None, None);
    while low < high {
        // `high` is behind the last candidate: Java's middle of the first and the last, rounded down.
        let middle = low + (high - 1 - low) / 2;
        let Some(unit) = unit_at(middle)? else {
            return Ok(QueueOffset(0));
        };
        if unit.is_filler() || unit.physical_offset < log_min {
            low = middle + 1;
            continue;
        }
        match time_of(unit)? {
            None => return Ok(QueueOffset(0)),
            Some(time) if time == timestamp_ms => return Ok(QueueOffset(middle)),
            Some(time) if time > timestamp_ms => {
                later = Some((middle, time.abs_diff(timestamp_ms)));
                high = middle;
            }
            Some(time) => {
                earlier = Some((middle, time.abs_diff(timestamp_ms)));
                low = middle + 1;
            }
        }
    }
    Ok(QueueOffset(match (earlier, later) {
        (Some((earlier, before)), Some((later, after))) => {
            if before > after {
                later
            } else {
                earlier
            }
        }
        (Some((only, _)), None) | (None, Some((only, _))) => only,
        (None, None) => min,
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::consume_queue::{ConsumeQueue, Opening, QueuePlace};
    use crate::disk::memory::{Fault, Operation};
    use crate::disk::{Disk, MemoryDisk};
    use crate::error::StoreError;

    #[test]
    fn a_bad_sector_is_an_error_of_the_search() {
        let memory = MemoryDisk::new(1);
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let place = QueuePlace {
            root: Path::new("/store"),
            topic: "topic",
            queue_id: 3,
        };
        let (mut queue, _) = ConsumeQueue::open(&disk, place, 6000, Opening::Clean).unwrap();
        let unit = Unit {
            physical_offset: PhysicalOffset(0),
            size: 100,
            tags_code: 0,
        };
        queue.append(QueueOffset(0), &[unit], None).unwrap();
        queue.write_newest().unwrap();
        let search = || offset_by_time(&queue.view(), 5, PhysicalOffset(0), |_| Ok(Some(5)));
        assert_eq!(search().unwrap(), QueueOffset(0));
        memory.inject(Fault::new(Operation::Read));
        assert!(matches!(search(), Err(StoreError::Io { .. })));
    }
}
