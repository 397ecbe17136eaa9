//! Tells whoever watches over consumers that one of them asked for what is not there, behind the first message or beyond
//! the last, and was sent elsewhere (code 21): by a message in the topic `OFFSET_MOVED_EVENT`, as RocketMQ does
//! (`PullMessageProcessor.generateOffsetMovedEvent`).
//!
//! Nobody waits for that message. It goes to the log like a send of the connection that pulled, counted in the same
//! budgets, and is left out where the log has no room at once. A client that does not heed its answers pulls as fast as it
//! can: there is one message in `EVERY` for each group, topic and queue, and one I/O thread remembers `MOST` of them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::{Body, MessageQueue, OffsetMovedEvent};
use cuemq_net::dialect::Style;
use cuemq_net::message::properties::{self, name};
use cuemq_net::message::record::{self, RecordFields};
use cuemq_storage::commit_log::RecordBatch;
use cuemq_storage::hash::Map;
use cuemq_storage::log_state::Acknowledge;

use super::peer_table::Peer;
use super::send;
use super::send_context::{SendBatch, SendContext};
use super::state::{BrokerSide, IoState};
use crate::commit_log::AppendBatch;
use crate::hold::ParkedPull;

/// The topic of the messages.
const TOPIC: &str = "OFFSET_MOVED_EVENT";
/// How long a consumer that was told of is not told of again.
const EVERY: Duration = Duration::from_secs(10);
/// How many are remembered; while there are more, the others are not told of.
const MOST: usize = 1024;

/// Who was told of: group, topic and queue.
type Told = (Arc<str>, Arc<str>, u32);

/// The consumers that one I/O thread has told of lately, and when that was.
#[derive(Debug, Default)]
pub struct OffsetMoves {
    told: Map<Told, Duration>,
}

impl OffsetMoves {
    /// Whether a consumer is to be told of now; then it is not for the next `EVERY`.
    fn is_news(&mut self, who: Told, now: Duration) -> bool {
        let lasts = |at: &Duration| now.saturating_sub(*at) < EVERY;
        if self.told.get(&who).is_some_and(lasts) {
            return false;
        }
        if self.told.len() >= MOST {
            self.told.retain(|_, at| lasts(at));
        }
        let has_room = self.told.len() < MOST;
        if has_room {
            self.told.insert(who, now);
        }
        has_room
    }
}

/// Has a message written that tells of this pull, which is answered with `next_queue_offset`.
pub(super) fn note(io: &IoState, broker: &BrokerSide, peer: &Rc<Peer>, pull: &ParkedPull, next_queue_offset: i64) {
    let has_room = !io.budgets.log.is_spent() && broker.gate.refusal(|| io.clock.now_ms()).is_none();
    let who = (Arc::clone(&pull.group.name), Arc::clone(&pull.topic), pull.queue_id);
    if !has_room || !io.offset_moves.borrow_mut().is_news(who, io.clock.monotonic()) {
        return;
    }
    let event = OffsetMovedEvent {
        consumer_group: pull.group.name.to_string(),
        message_queue: MessageQueue {
            topic: pull.topic.to_string(),
            broker_name: io.identity.broker_name.clone(),
            queue_id: i32::try_from(pull.queue_id).unwrap_or(i32::MAX),
        },
        next_queue_offset,
        asked_queue_offset: pull.queue_offset.cast_signed(),
    };
    tracing::warn!(
        group = event.consumer_group,
        topic = event.message_queue.topic,
        queue = event.message_queue.queue_id,
        from = event.asked_queue_offset,
        to = next_queue_offset,
        "a consumer asked for what is not there and is sent elsewhere; not told again for {} s",
        EVERY.as_secs()
    );
    if let Some(batch) = batch(io, broker, peer, &event) {
        append(io, broker, peer, batch);
    }
}

/// The message, in a batch that nobody waits for.
fn batch(io: &IoState, broker: &BrokerSide, peer: &Rc<Peer>, event: &OffsetMovedEvent) -> Option<SendBatch> {
    let topic = broker.topics.get(TOPIC)?;
    let (group, body) = (event.consumer_group.as_str(), event.encode(Style::Fastjson));
    let mut properties = Vec::new();
    for (name, value) in [(name::KEYS, group), (name::DELAY, "0"), (name::TAGS, group)] {
        properties::push(&mut properties, name, value).ok()?;
    }
    let fields = RecordFields {
        body: &body,
        body_crc: record::body_crc(&body),
        topic: &topic.name,
        properties: &properties,
        queue_id: 0,
        flag: 0,
        system_flag: 0,
        born_timestamp_ms: io.clock.now_ms().cast_signed(),
        born_host: io.identity.store_host,
        store_host: io.identity.store_host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
    };
    let mut batch = RecordBatch::new(SendContext::new(peer.key, io.lost.clone()));
    batch.context.times.read = io.clock.monotonic();
    let slot = broker.queues.slot(fields.topic, 0);
    send::push(
        broker,
        &mut batch,
        &fields,
        slot,
        (&properties::known(&properties), false),
    )
    .ok()?;
    let brought = (1, batch.bytes.len());
    let brings = &mut batch.context.brings;
    brings.note(&io.traffic, &topic.name, brought, |topic| broker.topics.contains(topic));
    Some(batch)
}

/// Hands it to the log; where that has no room, it is left out.
fn append(io: &IoState, broker: &BrokerSide, peer: &Rc<Peer>, mut batch: SendBatch) {
    let bytes = batch.bytes.len();
    batch.context.bytes = bytes;
    io.budgets.log.take(bytes);
    peer.in_flight.set(peer.in_flight.get() + bytes);
    let acknowledge = Acknowledge::Flushed;
    // One that finds no room is dropped, and gives its bytes back by that.
    drop(broker.append.try_send(AppendBatch { batch, acknowledge }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(group: usize) -> Told {
        (group.to_string().into(), "T".into(), 0)
    }

    #[test]
    fn a_flood_of_groups_is_not_remembered_without_end_and_the_first_are_told_of_again_in_time() {
        let (mut moves, later) = (OffsetMoves::default(), EVERY.saturating_sub(Duration::from_millis(1)));
        let told = (0..2 * MOST)
            .filter(|group| moves.is_news(who(*group), Duration::ZERO))
            .count();
        assert_eq!((told, moves.told.len()), (MOST, MOST));
        assert!(!moves.is_news(who(0), later) && !moves.is_news(who(MOST), later));
        assert!(moves.is_news(who(MOST), EVERY) && moves.is_news(who(0), EVERY));
        assert_eq!(moves.told.len(), 2);
    }
}
