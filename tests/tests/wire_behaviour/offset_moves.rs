//! A consumer that asks for what is not there is told where to go on, and a message in `OFFSET_MOVED_EVENT` tells of it.

use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::testing::{ManualClock, TestBroker};
use cuemq_net::body::{Body, OffsetMovedEvent};
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::message::properties::Properties;
use cuemq_net::message::record::Record;

use crate::pulls::bodies;
use crate::{Connection, arrived, number, pull_from, send_to};

const EVENTS: &str = "OFFSET_MOVED_EVENT";
const TOPIC: &str = "Moved";

fn moved(client: &mut Connection, pull: Command) {
    let answer = client.ask(pull);
    assert_eq!(ResponseCode(answer.code), ResponseCode::PULL_OFFSET_MOVED, "{answer:?}");
}

/// The events, of which there are `count`, when they have come.
fn events(client: &mut Connection, count: i64) -> Vec<OffsetMovedEvent> {
    arrived(client, EVENTS, count);
    let found = client.ask(pull_from(EVENTS, 0));
    let events = bodies(&found)
        .iter()
        .map(|body| OffsetMovedEvent::decode(body).unwrap())
        .collect();
    assert_eq!(number(&found, "maxOffset"), count, "{events:?}");
    events
}

#[test]
fn a_consumer_beyond_the_last_message_is_told_of_with_its_group_as_tag_and_key() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to(TOPIC)), "queueOffset");
    arrived(&mut client, TOPIC, 1);
    moved(&mut client, pull_from(TOPIC, 7));
    arrived(&mut client, EVENTS, 1);
    let found = client.ask(pull_from(EVENTS, 0).with_field("subscription", "consumers"));
    let record = Record::parse(&found.body).unwrap();
    let properties: Vec<_> = Properties::new(record.properties()).iter().collect();
    assert_eq!(
        properties,
        [("KEYS", "consumers"), ("DELAY", "0"), ("TAGS", "consumers")]
    );
    let told = OffsetMovedEvent::decode(record.body()).unwrap();
    let broker_name = told.message_queue.broker_name;
    assert!(!broker_name.is_empty());
    let expected = format!(
        r#"{{"consumerGroup":"consumers","messageQueue":{{"brokerName":"{broker_name}","queueId":0,"topic":"Moved"}},"offsetNew":0,"offsetRequest":7}}"#
    );
    assert_eq!(std::str::from_utf8(record.body()).unwrap(), expected);
    broker.stop().unwrap();
}

#[test]
fn a_client_that_does_not_heed_its_answers_is_told_of_once_in_ten_seconds() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to(TOPIC)), "queueOffset");
    arrived(&mut client, TOPIC, 1);
    for asked in 5..200 {
        moved(&mut client, pull_from(TOPIC, asked));
    }
    moved(&mut client, pull_from(TOPIC, 6).with_field("consumerGroup", "others"));
    moved(&mut client, pull_from(TOPIC, 7).with_field("queueId", 1));
    let said = |events: Vec<OffsetMovedEvent>| -> Vec<(String, i32, i64)> {
        let short = |event: OffsetMovedEvent| {
            (
                event.consumer_group,
                event.message_queue.queue_id,
                event.asked_queue_offset,
            )
        };
        events.into_iter().map(short).collect()
    };
    let told = said(events(&mut client, 3));
    let first = [("consumers", 0, 5), ("others", 0, 6), ("consumers", 1, 7)]
        .map(|(group, queue, at)| (group.to_owned(), queue, at));
    assert_eq!(told, first);
    clock.advance(Duration::from_secs(10));
    moved(&mut client, pull_from(TOPIC, 8));
    assert_eq!(said(events(&mut client, 4))[3], ("consumers".to_owned(), 0, 8));
    broker.stop().unwrap();
}
