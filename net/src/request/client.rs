//! What a client says of itself, and what a broker asks of a client on the client's own connection.

use crate::header::field::fields;

fields! {
    /// Takes a client out of its groups: 35.
    pub struct Unregister<'a> {
        /// The client.
        client_id: &'a str = b"clientID",
        /// The producing group it leaves.
        producer_group: Option<&'a str> = b"producerGroup",
        /// The consuming group it leaves.
        consumer_group: Option<&'a str> = b"consumerGroup",
    }

    /// Asks which clients consume in a group: 38.
    pub struct ConsumerList<'a> {
        /// The consuming group.
        consumer_group: &'a str = b"consumerGroup",
    }

    /// Tells a client that its group changed: 40, oneway.
    pub struct ConsumersChanged<'a> {
        /// The consuming group.
        consumer_group: &'a str = b"consumerGroup",
    }

    /// Tells a client to go to the positions in the body: 220, oneway.
    pub struct ResetClientOffset<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The consuming group.
        group: &'a str = b"group",
        /// The time to go to, in ms since 1970.
        timestamp: i64 = b"timestamp",
        /// Whether to go forward too.
        is_force: bool = b"isForce",
    }

    /// Asks a client how far it has come: 221.
    pub struct ClientStatus<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The consuming group.
        group: &'a str = b"group",
        /// The client's id.
        client_addr: Option<&'a str> = b"clientAddr",
    }

    /// Asks a client what it runs: 307, from a tool to the broker and on to the client.
    pub struct RunningInfo<'a> {
        /// The consuming group.
        consumer_group: &'a str = b"consumerGroup",
        /// The client.
        client_id: &'a str = b"clientId",
        /// Whether to add the stacks of its threads.
        jstack_enable: bool = b"jstackEnable" or false,
    }

    /// Has a client consume one message at once: 309, from a tool to the broker and on to the client.
    pub struct ConsumeDirectly<'a> {
        /// The consuming group.
        consumer_group: &'a str = b"consumerGroup",
        /// The client; any of the group if missing.
        client_id: Option<&'a str> = b"clientId",
        /// The message's id by its position.
        msg_id: Option<&'a str> = b"msgId",
        /// The broker that has the message.
        broker_name: Option<&'a str> = b"brokerName",
    }
}
