//! Sharing out by consistent hash (`AllocateMessageQueueConsistentHash` and `ConsistentHashRouter` in Java).
//!
//! Each consumer stands on a ring at the hashes of `<id>-0`, `<id>-1`, …; a queue goes to the first consumer at or behind
//! its own hash. The hash is that of Java's default: the first four bytes of the MD5 of the text, big-endian. A queue's text
//! is what Java prints of it.

use std::collections::BTreeMap;

use cuemq_net::body::MessageQueue;
use md5::{Digest, Md5};

use super::{AllocationError, place};

/// How many places each consumer has on the ring, unless it is told otherwise.
pub const VIRTUAL_NODES: u32 = 10;

/// Gives a consumer the queues that lie before its places on the ring. All of a group must have as many places.
///
/// # Errors
/// When there is nothing to share out, or nobody to share it out to.
pub fn by_consistent_hash(
    me: &str,
    queues: &[MessageQueue],
    consumers: &[&str],
    virtual_nodes: u32,
) -> Result<Vec<MessageQueue>, AllocationError> {
    if place(me, queues, consumers)?.is_none() {
        return Ok(Vec::new());
    }
    let ring = ring(consumers, virtual_nodes);
    let is_mine = |queue: &&MessageQueue| {
        let from = hash(&text(queue));
        let owner = ring.range(from..).next().or_else(|| ring.first_key_value());
        owner.is_some_and(|(_, owner)| *owner == me)
    };
    Ok(queues.iter().filter(is_mine).cloned().collect())
}

/// The consumers by their places. Where two have the same, the later one counts; one that is named twice has twice as many.
fn ring<'a>(consumers: &[&'a str], virtual_nodes: u32) -> BTreeMap<u32, &'a str> {
    let mut named: BTreeMap<&str, u32> = BTreeMap::new();
    let mut ring = BTreeMap::new();
    for consumer in consumers {
        let first = named.entry(consumer).or_default();
        for number in *first..first.saturating_add(virtual_nodes) {
            ring.insert(hash(&format!("{consumer}-{number}")), *consumer);
        }
        *first = first.saturating_add(virtual_nodes);
    }
    ring
}

fn text(queue: &MessageQueue) -> String {
    let MessageQueue {
        topic,
        broker_name,
        queue_id,
    } = queue;
    format!("MessageQueue [topic={topic}, brokerName={broker_name}, queueId={queue_id}]")
}

fn hash(text: &str) -> u32 {
    let digest = Md5::digest(text.as_bytes());
    digest.iter().take(4).fold(0, |hash, byte| hash << 8 | u32::from(*byte))
}
