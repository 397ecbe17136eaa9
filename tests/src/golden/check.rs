//! Holds a consume queue that was opened by ours against what its own release read from it.

use anyhow::{Context, Result, ensure};
use cuemq_net::message::tags::tags_code;
use cuemq_storage::consume_queue::{Boundary, QueueView, offset_by_boundary, offset_by_time};
use cuemq_storage::delay_level::SCHEDULE_TOPIC;
use cuemq_storage::position::{PhysicalOffset, QueueOffset};

use super::{Manifest, Queue};

/// Checks where the queue begins and ends, the unit of every message, and the tags that it tells or leads to.
///
/// # Errors
/// What differs first.
pub fn check_units(view: &QueueView, queue: &Queue) -> Result<()> {
    let bounds = (view.min_offset().0, view.max_offset().0);
    let expected = (queue.min_queue_offset, queue.max_queue_offset);
    ensure!(bounds == expected, "it holds {bounds:?} and not {expected:?}");
    let mut tags = view.tags();
    for message in &queue.messages {
        let unit = view.unit(QueueOffset(message.queue_offset))?.context("no unit")?;
        let place = (unit.physical_offset.0, unit.size as usize);
        ensure!(
            place == (message.physical_offset, message.store_size),
            "{unit:?} for {message:?}"
        );
        let code = tags.code(unit);
        let expected = message.properties.get("TAGS").map_or(0, |tags| tags_code(tags));
        // That of a delayed message is the time of its delivery.
        let is_right = if queue.topic == SCHEDULE_TOPIC {
            code.is_some_and(|code| code > message.store_timestamp_ms)
        } else {
            code == Some(expected)
        };
        ensure!(is_right, "{unit:?} tells {code:?} for {message:?}");
    }
    Ok(())
}

/// Checks what every search by time finds; `store_time_of` tells when the record at a position, of a length, was stored.
///
/// # Errors
/// What differs first.
pub fn check_times(
    view: &QueueView,
    queue: &Queue,
    manifest: &Manifest,
    store_time_of: impl Fn(PhysicalOffset) -> cuemq_storage::Result<Option<i64>>,
) -> Result<()> {
    let log_min = PhysicalOffset(manifest.min_physical_offset);
    for &(time, expected) in &queue.queue_offset_by_time {
        if manifest.server_version.starts_with('5') {
            let found = offset_by_boundary(view, time, Boundary::Lower, log_min, &store_time_of)?.0;
            ensure!(found == expected, "{time} leads to {found} and not to {expected}");
            continue;
        }
        let found = offset_by_time(view, time, log_min, &store_time_of)?.0;
        // Java chooses the file by its modification time, which its mapped writes leave behind; 4.9.7 was misled by that
        // in one store.
        let distance = |offset: u64| queue.messages[offset as usize].store_timestamp_ms.abs_diff(time);
        ensure!(
            found == expected || distance(found) < distance(expected),
            "{time} leads to {found} and not to {expected}"
        );
    }
    Ok(())
}
