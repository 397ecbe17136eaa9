//! What consumers did with messages, as lines of a trace (`ConsumeMessageTraceHookImpl`).
//!
//! | kind | fields |
//! |---|---|
//! | `SubBefore` | time, region, group, request, id, times it came before, keys |
//! | `SubAfter` | request, id, cost, success, keys, how the call ended, time, group |
//!
//! A request is one call of a listener; both kinds have a line for each of its messages.

use std::time::Duration;

use cuemq_net::message::properties::name;

use super::{TraceDispatcher, TraceRecord, or_null};
use crate::consumer::{ConsumeMessageHook, ConsumeReturnType, Consuming};
use crate::received::ReceivedMessage;

/// The number of Java's `ConsumeReturnType`.
fn number(ended: ConsumeReturnType) -> u8 {
    match ended {
        ConsumeReturnType::Success => 0,
        ConsumeReturnType::TimeOut => 1,
        ConsumeReturnType::Exception => 2,
        ConsumeReturnType::Failed => 4,
    }
}

/// A call's name: its first message's place, which no other call has at the same time.
fn request(consuming: &Consuming<'_>) -> String {
    let queue = consuming.queue;
    let first = consuming.messages.first().map_or(-1, ReceivedMessage::queue_offset);
    let times = consuming.messages.first().map_or(0, ReceivedMessage::reconsume_times);
    format!(
        "{}-{}-{}-{first}-{times}",
        queue.broker_name, queue.topic, queue.queue_id
    )
}

impl TraceDispatcher {
    fn traced<'a>(&self, consuming: &Consuming<'a>) -> impl Iterator<Item = &'a ReceivedMessage> + use<'a> {
        let is_own = self.is_own(&consuming.queue.topic);
        let traced = |message: &&ReceivedMessage| message.property(name::TRACE_ON) != Some("false");
        consuming.messages.iter().filter(traced).filter(move |_| !is_own)
    }
}

impl ConsumeMessageHook for TraceDispatcher {
    fn before(&self, consuming: &Consuming<'_>) {
        let request = request(consuming);
        for message in self.traced(consuming) {
            let (id, keys) = (message.message_id(), or_null(message.property(name::KEYS)));
            self.tell(TraceRecord::new(
                &[
                    &"SubBefore",
                    &self.now_ms(),
                    &or_null(message.property(name::MSG_REGION)),
                    &consuming.group,
                    &request,
                    &id,
                    &message.reconsume_times(),
                    &keys,
                ],
                &id,
                keys,
            ));
        }
    }

    fn after(&self, consuming: &Consuming<'_>, ended: ConsumeReturnType, took: Duration) {
        let request = request(consuming);
        let of_one = took.as_millis() / consuming.messages.len().max(1) as u128;
        for message in self.traced(consuming) {
            let (id, keys) = (message.message_id(), or_null(message.property(name::KEYS)));
            self.tell(TraceRecord::new(
                &[
                    &"SubAfter",
                    &request,
                    &id,
                    &of_one,
                    &(ended == ConsumeReturnType::Success),
                    &keys,
                    &number(ended),
                    &self.now_ms(),
                    &consuming.group,
                ],
                &id,
                keys,
            ));
        }
    }
}
