//! The strategies as values that a consumer is given, and the trait for strategies of one's own
//! (`AllocateMessageQueueStrategy` in Java).

use cuemq_net::body::MessageQueue;

use super::{
    AllocationError, MachineRooms, Share, VIRTUAL_NODES, averagely, averagely_by_circle, by_configuration,
    by_consistent_hash, by_machine_room, to_nearest_machine_room,
};

/// Says which queues of a topic a consumer takes.
///
/// All consumers of a group ask with the same sorted queues and consumers, each with its own id; every queue must be taken by
/// one of them, and by no two, so the answer may depend on nothing else.
pub trait AllocateMessageQueueStrategy: Send + Sync + 'static {
    /// The queues that `me` takes; none where it is not among the consumers.
    ///
    /// # Errors
    /// When there is nothing to share out, or nobody to share it out to: the consumer then keeps what it has.
    fn allocate(
        &self,
        me: &str,
        queues: &[MessageQueue],
        consumers: &[&str],
    ) -> Result<Vec<MessageQueue>, AllocationError>;
}

/// [`averagely`], which consumers do by default (`AllocateMessageQueueAveragely` in Java).
#[derive(Debug, Clone, Copy, Default)]
pub struct Averagely;

/// [`averagely_by_circle`] (`AllocateMessageQueueAveragelyByCircle` in Java).
#[derive(Debug, Clone, Copy, Default)]
pub struct AveragelyByCircle;

/// [`by_configuration`]: always these queues (`AllocateMessageQueueByConfig` in Java).
#[derive(Debug, Clone, Default)]
pub struct ByConfiguration(pub Vec<MessageQueue>);

/// [`by_machine_room`], with the names of the rooms (`AllocateMessageQueueByMachineRoom` in Java).
#[derive(Debug, Clone, Default)]
pub struct ByMachineRoom(pub Vec<String>);

/// [`by_consistent_hash`], with the number of places on the ring (`AllocateMessageQueueConsistentHash` in Java).
#[derive(Debug, Clone, Copy)]
pub struct ByConsistentHash(pub u32);

/// [`to_nearest_machine_room`], with another strategy within the rooms (`AllocateMachineRoomNearby` in Java).
#[derive(Debug, Clone)]
pub struct ToNearestMachineRoom<R> {
    /// Who knows the rooms.
    pub rooms: R,
    /// How queues are shared out within a room.
    pub share: Share,
}

impl Default for ByConsistentHash {
    fn default() -> Self {
        Self(VIRTUAL_NODES)
    }
}

type Taken = Result<Vec<MessageQueue>, AllocationError>;

impl AllocateMessageQueueStrategy for Averagely {
    fn allocate(&self, me: &str, queues: &[MessageQueue], consumers: &[&str]) -> Taken {
        averagely(me, queues, consumers)
    }
}

impl AllocateMessageQueueStrategy for AveragelyByCircle {
    fn allocate(&self, me: &str, queues: &[MessageQueue], consumers: &[&str]) -> Taken {
        averagely_by_circle(me, queues, consumers)
    }
}

impl AllocateMessageQueueStrategy for ByConfiguration {
    fn allocate(&self, _me: &str, _queues: &[MessageQueue], _consumers: &[&str]) -> Taken {
        Ok(by_configuration(&self.0))
    }
}

impl AllocateMessageQueueStrategy for ByMachineRoom {
    fn allocate(&self, me: &str, queues: &[MessageQueue], consumers: &[&str]) -> Taken {
        let rooms: Vec<&str> = self.0.iter().map(String::as_str).collect();
        by_machine_room(me, queues, consumers, &rooms)
    }
}

impl AllocateMessageQueueStrategy for ByConsistentHash {
    fn allocate(&self, me: &str, queues: &[MessageQueue], consumers: &[&str]) -> Taken {
        by_consistent_hash(me, queues, consumers, self.0)
    }
}

impl<R: MachineRooms + Send + Sync + 'static> AllocateMessageQueueStrategy for ToNearestMachineRoom<R> {
    fn allocate(&self, me: &str, queues: &[MessageQueue], consumers: &[&str]) -> Taken {
        to_nearest_machine_room(me, queues, consumers, &self.rooms, self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(count: i32) -> Vec<MessageQueue> {
        let queue = |queue_id| MessageQueue {
            topic: "T".to_owned(),
            broker_name: "room1@b".to_owned(),
            queue_id,
        };
        (0..count).map(queue).collect()
    }

    struct OneRoom;

    impl MachineRooms for OneRoom {
        fn of_queue(&self, _queue: &MessageQueue) -> String {
            "room1".to_owned()
        }

        fn of_consumer(&self, _client_id: &str) -> String {
            "room1".to_owned()
        }
    }

    #[test]
    fn each_strategy_shares_out_every_queue_once() {
        let strategies: [Box<dyn AllocateMessageQueueStrategy>; 5] = [
            Box::new(Averagely),
            Box::new(AveragelyByCircle),
            Box::new(ByMachineRoom(vec!["room1".to_owned()])),
            Box::new(ByConsistentHash::default()),
            Box::new(ToNearestMachineRoom {
                rooms: OneRoom,
                share: averagely,
            }),
        ];
        for strategy in strategies {
            let mut taken: Vec<_> = ["a", "b", "c"]
                .iter()
                .flat_map(|me| strategy.allocate(me, &queues(8), &["a", "b", "c"]).unwrap())
                .collect();
            taken.sort();
            assert_eq!(taken, queues(8));
        }
        let told = ByConfiguration(queues(2));
        assert_eq!(told.allocate("a", &queues(8), &["a"]).unwrap(), queues(2));
    }
}
