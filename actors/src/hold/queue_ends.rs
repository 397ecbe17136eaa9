//! The ends of the broker's queues, for its holds.

use std::sync::Arc;

use cuemq_storage::position::QueueOffset;
use cuemq_storage::queue_directory::{QueueDirectory, QueueHandle};

use super::actor::{QueueEnds, QueueWatch};

/// The queues of a broker.
pub struct Ends {
    directory: Arc<QueueDirectory>,
}

impl Ends {
    /// The queues in this directory.
    #[must_use]
    pub fn new(directory: Arc<QueueDirectory>) -> Self {
        Self { directory }
    }
}

struct Watch(Arc<QueueHandle>);

impl QueueEnds for Ends {
    fn watch(&self, topic: &str, queue_id: u32) -> Option<Box<dyn QueueWatch>> {
        let handle = self.directory.find(topic, queue_id)?;
        handle.park();
        Some(Box::new(Watch(handle)))
    }
}

impl QueueWatch for Watch {
    fn end(&self) -> QueueOffset {
        self.0.view().max_offset()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.unpark();
    }
}
