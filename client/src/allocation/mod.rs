//! Which queues of a topic a consumer of a group takes: RocketMQ's six strategies (`AllocateMessageQueueStrategy` in Java),
//! as functions of what each consumer sees.
//!
//! | function | Java's name | shares out |
//! |---|---|---|
//! | [`averagely`] | `AVG` | ranges of the same length |
//! | [`averagely_by_circle`] | `AVG_BY_CIRCLE` | one queue to each in turn |
//! | [`by_configuration`] | `CONFIG` | nothing: each takes what it is told |
//! | [`by_machine_room`] | `MACHINE_ROOM` | ranges of the queues in some rooms |
//! | [`by_consistent_hash`] | `CONSISTENT_HASH` | by the places of both on a ring, so that few queues move |
//! | [`to_nearest_machine_room`] | `MACHINE_ROOM_NEARBY-…` | to consumers in the queue's room, by another strategy |
//!
//! A consumer is given one of them, or one of the application's own, as an [`AllocateMessageQueueStrategy`].
//!
//! Queues and consumers come sorted, so that all consumers of a group share out alike without asking each other.

mod average;
mod consistent_hash;
mod machine_room;
mod strategy;

use cuemq_net::body::MessageQueue;

pub use average::{averagely, averagely_by_circle};
pub use consistent_hash::{VIRTUAL_NODES, by_consistent_hash};
pub use machine_room::{MachineRooms, by_machine_room, to_nearest_machine_room};
pub use strategy::{
    AllocateMessageQueueStrategy, Averagely, AveragelyByCircle, ByConfiguration, ByConsistentHash, ByMachineRoom,
    ToNearestMachineRoom,
};

/// Why queues cannot be shared out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    /// The consumer has no id.
    #[error("the consumer has no id: give the client one")]
    NoId,
    /// There are no queues.
    #[error("there are no queues to share out: ask for the topic's route first")]
    NoQueues,
    /// There are no consumers.
    #[error("there are no consumers to share out among: send a heartbeat first")]
    NoConsumers,
    /// Nobody knows where a queue's broker is.
    #[error("there is no machine room for queue {queue_id} of {topic} on {broker_name}: name one")]
    QueueWithoutRoom {
        /// The queue's topic.
        topic: String,
        /// The queue's broker.
        broker_name: String,
        /// The queue.
        queue_id: i32,
    },
    /// Nobody knows where a consumer is.
    #[error("there is no machine room for consumer {0}: name one")]
    ConsumerWithoutRoom(String),
}

/// One of the strategies, for [`to_nearest_machine_room`] to apply within a room.
pub type Share = fn(&str, &[MessageQueue], &[&str]) -> Result<Vec<MessageQueue>, AllocationError>;

/// The place of a consumer among all; `None` where it is not one of them, which happens right after it has joined: it then
/// takes nothing.
fn place(me: &str, queues: &[MessageQueue], consumers: &[&str]) -> Result<Option<usize>, AllocationError> {
    if me.is_empty() {
        return Err(AllocationError::NoId);
    }
    if queues.is_empty() {
        return Err(AllocationError::NoQueues);
    }
    if consumers.is_empty() {
        return Err(AllocationError::NoConsumers);
    }
    Ok(consumers.iter().position(|consumer| *consumer == me))
}

/// Takes what the consumer is told to take, whoever else there is.
#[must_use]
pub fn by_configuration(told: &[MessageQueue]) -> Vec<MessageQueue> {
    told.to_vec()
}
