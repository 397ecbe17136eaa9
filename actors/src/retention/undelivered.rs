//! How many messages groups lose that are deleted before their time.

use cuemq_net::body::ConsumerOffsetTable;
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::queue_directory::QueueDirectory;

/// How many messages in front of `log_min` groups have not got that have committed offsets, each group for itself.
pub(super) fn undelivered(offsets: &ConsumerOffsetTable, queues: &QueueDirectory, log_min: PhysicalOffset) -> u64 {
    let mut count = 0;
    for (topic_and_group, by_queue) in &offsets.offset_table {
        let topic = topic_and_group.split('@').next().unwrap_or_default();
        for (queue_id, offset) in by_queue {
            let queue = u32::try_from(*queue_id).ok();
            let Some(queue) = queue.and_then(|queue_id| queues.find(topic, queue_id)) else {
                continue;
            };
            // What cannot be read is no reason to keep the disk full; who looks after the queue will say so.
            if let Ok(Some(trim)) = queue.view().trim_to(log_min) {
                count += trim.messages_from(QueueOffset(u64::try_from(*offset).unwrap_or(0)));
            }
        }
    }
    count
}
