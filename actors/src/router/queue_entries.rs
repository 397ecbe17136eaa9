//! The entries of a consume queue, for tools (code 321): as they are, with what the queue's extension holds of them, and which
//! of these the filter of a group may want (`queryConsumeQueue` of Java's `AdminBrokerProcessor`).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cuemq_net::body::{Body, ConsumeQueueEntry, ConsumeQueueExtension, ConsumeQueuePart};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::request::QueryConsumeQueue;
use cuemq_storage::consume_queue::{Extension, Unit};
use cuemq_storage::position::QueueOffset;

use super::broker_requests::{Asked, Refusal, again, read, refused, unread};
use crate::cold_reads::ReadUnits;
use crate::filter::{MessageFilter, RegisteredFilter, is_by_tag};
use crate::rebalance::Subscription;

/// The most entries that one answer brings.
const ENTRIES_MAX: usize = 32_768;
/// The length of a unit of an extension without its bitmap.
const EXTENSION_BYTES: usize = 20;
/// Behind so many bytes of a bitmap, counted from its end, a line ends.
const LINE_BYTES: usize = 8;

impl Asked<'_> {
    /// Entries of a consume queue, and what a group subscribes to.
    pub(super) async fn consume_queue_entries(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(QueryConsumeQueue::read(&view))?;
        let (topic, queue_id) = (header.topic, header.queue_id);
        let queue = self.queue(topic, queue_id);
        let queue = queue.ok_or_else(|| refused(format!("{queue_id}@{topic} is not exist!")))?;
        let mut part = ConsumeQueuePart {
            max_queue_index: queue.view().max_offset().signed(),
            min_queue_index: queue.view().min_offset().signed(),
            ..ConsumeQueuePart::default()
        };
        let group = header.consumer_group.filter(|group| !group.is_empty());
        let filter = group.and_then(|group| self.filter_of(group, topic, &mut part));
        let count = usize::try_from(header.count).unwrap_or(0).min(ENTRIES_MAX);
        let units = match u64::try_from(header.index) {
            Ok(first) => {
                let first = QueueOffset(first);
                let read = self.actors.cold.send(ReadUnits { queue, first, count });
                read.await.map_err(again)?.map_err(unread)?
            }
            Err(_) => Vec::new(),
        };
        let index = header.index;
        let remark = format!("Index {index} of {queue_id}@{topic} is not exist!");
        let is_empty = units.is_empty();
        let entries = units.into_iter();
        part.queue_data = (!is_empty).then(|| entries.map(|unit| entry(unit, filter.as_deref())).collect());
        let answer = self.success().with_body(part.encode(Style::Fastjson));
        Ok(if is_empty { answer.with_remark(remark) } else { answer })
    }

    /// What a group wants of a topic, if it is online; told in the answer as well.
    fn filter_of(&self, group: &str, topic: &str, part: &mut ConsumeQueuePart) -> Option<Arc<MessageFilter>> {
        let online = self.side.membership.with_consumer_group(group, |online| {
            let subscription = online.subscription(topic);
            subscription.cloned()
        });
        let Some(subscription) = online.flatten() else {
            part.filter_data = Some(format!("{group}@{topic} is not online!"));
            return None;
        };
        let registered = self.side.filters.get(topic, group);
        part.filter_data = Some(text_of(registered.as_deref()));
        part.subscription_data = Some(subscription.data().clone());
        Some(wanted(&subscription, registered.as_deref()))
    }
}

/// A registered filter as tools show it.
fn text_of(registered: Option<&RegisteredFilter>) -> String {
    let text = registered.map(|filter| filter.export().encode(Style::Pretty));
    text.map_or_else(|| "null".to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
}

/// By what it is said whether a group may want a message.
fn wanted(subscription: &Subscription, registered: Option<&RegisteredFilter>) -> Arc<MessageFilter> {
    match registered {
        Some(registered) if !is_by_tag(subscription.expression_type()) && !subscription.data().class_filter_mode => {
            Arc::clone(&registered.filter)
        }
        _ => Arc::clone(subscription.tags()),
    }
}

fn entry((unit, extension): (Unit, Extension), filter: Option<&MessageFilter>) -> ConsumeQueueEntry {
    let plain = ConsumeQueueEntry {
        physic_offset: unit.physical_offset.signed(),
        physic_size: i32::try_from(unit.size).unwrap_or(i32::MAX),
        tags_code: unit.tags_code,
        ..ConsumeQueueEntry::default()
    };
    match extension {
        Extension::None => plain,
        Extension::Missing => ConsumeQueueEntry {
            msg: Some(format!("Cq extend not exist!addr: {}", unit.tags_code)),
            ..plain
        },
        Extension::Unit {
            tags_code,
            stored_ms,
            bitmap,
        } => {
            let data = ConsumeQueueExtension {
                filter_bit_map: (!bitmap.is_empty()).then(|| STANDARD.encode(&bitmap)),
                msg_store_time: stored_ms,
                size: i64::try_from(EXTENSION_BYTES + bitmap.len()).unwrap_or(i64::MAX),
                tags_code,
            };
            let data = data.encode(Style::Fastjson);
            ConsumeQueueEntry {
                bit_map: (!bitmap.is_empty()).then(|| bits(&bitmap)),
                eval: filter.is_some_and(|filter| filter.may_want_extended(tags_code, stored_ms, &bitmap)),
                extend_data_json: Some(String::from_utf8_lossy(&data).into_owned()),
                ..plain
            }
        }
    }
}

/// A bitmap for people, as Java's `BitsArray` prints it.
fn bits(bitmap: &[u8]) -> String {
    let mut text = String::with_capacity(bitmap.len() * 8 + bitmap.len().div_ceil(LINE_BYTES));
    for (at, byte) in bitmap.iter().enumerate().rev() {
        text.extend((0..8).rev().map(|bit| if byte & 1 << bit == 0 { '0' } else { '1' }));
        if at % LINE_BYTES == 0 {
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_is_printed_from_its_last_byte_on_in_lines() {
        assert_eq!(bits(&[0b1000_0001]), "10000001\n");
        let mut bitmap = [0; 10];
        (bitmap[0], bitmap[8], bitmap[9]) = (1, 2, 4);
        let lines = ["0000010000000010", &("0".repeat(63) + "1"), ""];
        assert_eq!(bits(&bitmap), lines.join("\n"));
    }
}
