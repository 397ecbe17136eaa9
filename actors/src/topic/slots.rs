//! The slots of a topic's queues in the commit log's table, once they are known: every send names its queue by one.

use std::sync::atomic::{AtomicU32, Ordering};

/// Stands for a slot that has not been looked for, or not found.
const UNKNOWN: u32 = u32::MAX;
/// So many queues are remembered, those with the lowest numbers; a topic has seldom more, and each costs 4 bytes.
const REMEMBERED: usize = 16;

/// The slots that senders have found. A queue that has a slot keeps it for as long as the process lives, even if its topic
/// is deleted and made again.
#[derive(Debug)]
pub struct KnownSlots([AtomicU32; REMEMBERED]);

impl Default for KnownSlots {
    fn default() -> Self {
        Self([const { AtomicU32::new(UNKNOWN) }; REMEMBERED])
    }
}

impl KnownSlots {
    /// The slot of a queue: as it was found before, or as `find` finds it now.
    pub fn slot(&self, queue_id: u32, find: impl FnOnce() -> Option<u32>) -> Option<u32> {
        let Some(known) = self.0.get(queue_id as usize) else {
            return find();
        };
        match known.load(Ordering::Relaxed) {
            UNKNOWN => find().inspect(|slot| known.store(*slot, Ordering::Relaxed)),
            slot => Some(slot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_looked_for_until_it_is_found_and_those_of_high_numbers_each_time() {
        let slots = KnownSlots::default();
        assert_eq!(slots.slot(3, || None), None, "the queue has had no message yet");
        assert_eq!(slots.slot(3, || Some(7)), Some(7));
        assert_eq!(slots.slot(3, || unreachable!("it is known")), Some(7));
        assert_eq!(slots.slot(4, || Some(8)), Some(8));
        for slot in [9, 10] {
            assert_eq!(slots.slot(REMEMBERED as u32, || Some(slot)), Some(slot));
        }
    }
}
