//! Sharing out by machine room (`AllocateMessageQueueByMachineRoom` and `AllocateMachineRoomNearby` in Java).

use std::collections::BTreeMap;

use cuemq_net::body::MessageQueue;

use super::{AllocationError, Share, place};

/// Says in which machine room something is; an empty text means that it does not know.
pub trait MachineRooms {
    /// The room of a queue's broker.
    fn of_queue(&self, queue: &MessageQueue) -> String;
    /// The room of a consumer.
    fn of_consumer(&self, client_id: &str) -> String;
}

/// Gives each consumer a range of the queues whose brokers are in one of these rooms, and those that are left one by one to
/// the first. A broker's room is what stands before the one `@` of its name.
///
/// # Errors
/// When there is nothing to share out, or nobody to share it out to.
pub fn by_machine_room(
    me: &str,
    queues: &[MessageQueue],
    consumers: &[&str],
    rooms: &[&str],
) -> Result<Vec<MessageQueue>, AllocationError> {
    let Some(place) = place(me, queues, consumers)? else {
        return Ok(Vec::new());
    };
    let in_rooms: Vec<&MessageQueue> = queues
        .iter()
        .filter(|queue| room_of(&queue.broker_name).is_some_and(|room| rooms.contains(&room)))
        .collect();
    let each = in_rooms.len() / consumers.len();
    let range = in_rooms.iter().skip(each * place).take(each);
    let left = in_rooms.get(each * consumers.len()..).unwrap_or_default();
    Ok(range.chain(left.get(place)).map(|queue| (*queue).clone()).collect())
}

/// The part of a broker's name that tells its room, if it has two parts.
fn room_of(broker_name: &str) -> Option<&str> {
    let (room, name) = broker_name.trim_end_matches('@').split_once('@')?;
    (!name.contains('@')).then_some(room)
}

/// Shares out the queues of each room among the consumers in it, and those of rooms without consumers among all.
///
/// # Errors
/// When there is nothing to share out, or nobody to share it out to, or somebody's room is not known.
pub fn to_nearest_machine_room(
    me: &str,
    queues: &[MessageQueue],
    consumers: &[&str],
    rooms: &dyn MachineRooms,
    share: Share,
) -> Result<Vec<MessageQueue>, AllocationError> {
    if place(me, queues, consumers)?.is_none() {
        return Ok(Vec::new());
    }
    let mut queues_of: BTreeMap<String, Vec<MessageQueue>> = BTreeMap::new();
    for queue in queues {
        let room = Some(rooms.of_queue(queue)).filter(|room| !room.is_empty());
        let room = room.ok_or_else(|| AllocationError::QueueWithoutRoom {
            topic: queue.topic.clone(),
            broker_name: queue.broker_name.clone(),
            queue_id: queue.queue_id,
        })?;
        queues_of.entry(room).or_default().push(queue.clone());
    }
    let mut consumers_of: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for consumer in consumers {
        let room = Some(rooms.of_consumer(consumer)).filter(|room| !room.is_empty());
        let room = room.ok_or_else(|| AllocationError::ConsumerWithoutRoom((*consumer).to_owned()))?;
        consumers_of.entry(room).or_default().push(consumer);
    }
    let mine = rooms.of_consumer(me);
    let mut taken = match (queues_of.remove(&mine), consumers_of.get(&mine)) {
        (Some(queues), Some(consumers)) => share(me, &queues, consumers)?,
        _ => Vec::new(),
    };
    for (room, queues) in queues_of {
        if !consumers_of.contains_key(&room) {
            taken.extend(share(me, &queues, consumers)?);
        }
    }
    Ok(taken)
}
