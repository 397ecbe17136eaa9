//! Gives one consume queue what the log has and it lacks, while the broker runs.

use cuemq_net::message::properties;
use cuemq_net::message::record::Record;

use super::destination::{Destination, destination_of};
use crate::commit_log::derive::queue_tags_code;
use crate::commit_log::{LogView, QueueName};
use crate::consume_queue::{AppendError, ConsumeQueue, StoreTimes, Unit};
use crate::delay_level::DelayLevels;
use crate::position::PhysicalOffset;

/// Reads the log from `from`, the beginning of a record, and appends this queue's records. Gives up to where it holds
/// them all now.
///
/// # Errors
/// When the queue cannot be written or lacks something from before `from`, or the log cannot be read to its end.
pub fn refill(
    queue: &mut ConsumeQueue,
    name: &QueueName,
    log: &LogView,
    levels: &DelayLevels,
    from: PhysicalOffset,
) -> std::result::Result<PhysicalOffset, AppendError> {
    let mut failure = None;
    let end = log.walk(from, |record| match refill_one(queue, name, record, levels) {
        Ok(()) => true,
        Err(error) => {
            failure = Some(error);
            false
        }
    })?;
    failure.map_or(Ok(end), Err)
}

fn refill_one(
    queue: &mut ConsumeQueue,
    name: &QueueName,
    record: &Record<'_>,
    levels: &DelayLevels,
) -> std::result::Result<(), AppendError> {
    match destination_of(record) {
        Destination::Queue { topic, queue_id, at } if topic == &*name.topic && queue_id == name.queue_id => {
            let unit = unit_of(record, levels);
            let mut stored = StoreTimes::default();
            stored.note(unit.physical_offset, record.store_timestamp_ms());
            queue.append(at, &[unit], Some(&stored)).map(|_| ())
        }
        _ => Ok(()),
    }
}

/// A record's unit in its consume queue.
pub(super) fn unit_of(record: &Record<'_>, levels: &DelayLevels) -> Unit {
    let known = properties::known(record.properties());
    let topic = record.topic().unwrap_or_default();
    Unit {
        physical_offset: PhysicalOffset(record.physical_offset()),
        size: u32::try_from(record.total_size()).unwrap_or(u32::MAX),
        tags_code: queue_tags_code(topic, &known, record.store_timestamp_ms(), levels),
    }
}
