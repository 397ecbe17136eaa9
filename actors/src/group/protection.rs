//! Protection from consumers that are far behind (`disableConsumeIfConsumerReadSlowly`; `BrokerController.protectBroker` in
//! Java): what they read has to come from the disk, where it is in the way of all others.
//!
//! Where that is asked for, a group that is online and has, on any queue, more of the log in front of it than it may is not
//! served any more: its `consumeEnable` is switched off, as an administrator could, who also switches it on again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cuemq_storage::commit_log::LogView;
use cuemq_storage::position::QueueOffset;
use cuemq_storage::queue_directory::QueueDirectory;

use crate::offset::OffsetView;
use crate::rebalance::MembershipView;

/// Finds out who is too far behind.
#[derive(Clone)]
pub struct Protection {
    /// How far groups have come.
    pub offsets: OffsetView,
    /// Who is online.
    pub membership: MembershipView,
    /// Where the messages of the queues lie.
    pub queues: Arc<QueueDirectory>,
    /// The log.
    pub log: Arc<LogView>,
    /// How many bytes of the log a group may have in front of it.
    pub most_behind: u64,
    /// How often it is looked who has more.
    pub interval: Duration,
}

impl Protection {
    /// The groups that are too far behind, with the bytes of the log in front of each. Reads units from the disk.
    #[must_use]
    pub fn too_far_behind(&self) -> BTreeMap<Arc<str>, u64> {
        let mut behind = BTreeMap::new();
        self.offsets.for_each(|group, topic, queues| {
            if self.membership.with_consumer_group(group, |_| ()).is_none() {
                return;
            }
            let of_queues = queues
                .iter()
                .map(|(queue_id, offset)| self.behind(topic, *queue_id, *offset));
            let furthest = of_queues.max().unwrap_or(0);
            if furthest > self.most_behind {
                let known = behind.entry(Arc::clone(group)).or_insert(furthest);
                *known = furthest.max(*known);
            }
        });
        behind
    }

    /// How many bytes of the log lie behind the message that is consumed next.
    fn behind(&self, topic: &str, queue_id: i32, offset: i64) -> u64 {
        let queue = u32::try_from(queue_id)
            .ok()
            .and_then(|queue_id| self.queues.find(topic, queue_id));
        let Some(queue) = queue else { return 0 };
        let view = queue.view();
        let next = QueueOffset(u64::try_from(offset).unwrap_or(0)).max(view.min_offset());
        // What cannot be read, its reader will be told.
        match view.unit(next) {
            Ok(Some(unit)) => self.log.visible().0.saturating_sub(unit.physical_offset.0),
            Ok(None) | Err(_) => 0,
        }
    }
}
