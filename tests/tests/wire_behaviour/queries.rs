//! Messages by key and by the position that the id of a send holds.

use std::time::Instant;

use cuemq_actors::testing::TestBroker;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::record::records;

use crate::{Connection, PATIENCE, number, refused, send_to};

const TOPIC: &str = "Asked";
const NONE: &str = "can not find message, maybe time range not correct";

fn keyed(keys: &str, unique_key: &str) -> Command {
    let properties = format!("KEYS\u{1}{keys}\u{2}UNIQ_KEY\u{1}{unique_key}\u{2}");
    send_to(TOPIC).with_field("i", properties)
}

fn by_key(key: &str) -> Command {
    Command::request(RequestCode::QUERY_MESSAGE)
        .with_field("topic", TOPIC)
        .with_field("key", key)
        .with_field("maxNum", 64)
        .with_field("beginTimestamp", 0)
        .with_field("endTimestamp", i64::MAX)
}

/// Asks until the index has the messages: a send does not wait for it.
fn found(client: &mut Connection, query: &Command, count: usize) -> Command {
    let began = Instant::now();
    loop {
        let answer = client.ask(query.clone());
        if answer.code == 0 && records(&answer.body).count() >= count {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{answer:?}");
    }
}

fn physical_offsets(answer: &Command) -> Vec<i64> {
    let offset =
        |record: Result<cuemq_net::message::record::Record<'_>, _>| record.map(|record| record.physical_offset());
    let offsets: Result<Vec<u64>, _> = records(&answer.body).map(offset).collect();
    offsets
        .unwrap()
        .into_iter()
        .map(|offset| offset.cast_signed())
        .collect()
}

#[test]
fn a_key_leads_to_its_messages_in_the_order_of_the_log() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    for (keys, unique_key) in [("red blue", "U1"), ("blue", "U2"), ("green", "U3")] {
        number(&client.ask(keyed(keys, unique_key)), "queueOffset");
    }
    let blue = found(&mut client, &by_key("blue"), 2);
    let offsets = physical_offsets(&blue);
    assert_eq!(offsets.len(), 2);
    assert!(offsets[0] == 0 && offsets[1] > 0, "{offsets:?}");
    let green = physical_offsets(&found(&mut client, &by_key("green"), 1));
    assert_eq!(number(&blue, "indexLastUpdatePhyoffset").max(green[0]), green[0]);
    assert!(number(&blue, "indexLastUpdateTimestamp") > 0);
    let unique = by_key("U2")
        .with_field("_UNIQUE_KEY_QUERY", "true")
        .with_field("maxNum", 0);
    assert_eq!(physical_offsets(&found(&mut client, &unique, 1)), offsets[1..]);
    let one = by_key("blue").with_field("maxNum", 1);
    assert_eq!(physical_offsets(&client.ask(one)), offsets[1..], "the newest");
    broker.stop().unwrap();
}

#[test]
fn what_no_message_has_or_none_of_the_time_is_answered_with_22() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(keyed("red", "U1")), "queueOffset");
    found(&mut client, &by_key("red"), 1);
    for query in [
        by_key("grey"),
        by_key("red").with_field("topic", "Other"),
        by_key("red").with_field("endTimestamp", 1000),
        by_key("red").with_field("maxNum", -1),
    ] {
        let answer = client.ask(query);
        assert_eq!(refused(&answer, ResponseCode::QUERY_NOT_FOUND), NONE);
        assert_eq!(answer.fields.get("indexLastUpdatePhyoffset"), Some("0"), "{answer:?}");
    }
    broker.stop().unwrap();
}

#[test]
fn without_an_index_no_key_is_found_and_the_store_is_left_in_order() {
    let broker = TestBroker::builder()
        .config(|config| config.index = None)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(keyed("red", "U1")), "queueOffset");
    assert_eq!(refused(&client.ask(by_key("red")), ResponseCode::QUERY_NOT_FOUND), NONE);
    broker.stop().unwrap();
}

#[test]
fn the_id_of_a_send_leads_to_its_message_and_no_other_position_does() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to(TOPIC)), "queueOffset");
    let sent = client.ask(send_to(TOPIC));
    let id: OffsetMessageId = sent.fields.get("msgId").unwrap().parse().unwrap();
    let at = id.physical_offset.cast_signed();
    let view = |at: i64| Command::request(RequestCode::VIEW_MESSAGE_BY_ID).with_field("offset", at);
    assert_eq!(physical_offsets(&client.ask(view(at))), [at]);
    assert_eq!(physical_offsets(&client.ask(view(0))), [0]);
    for nowhere in [at + 1, at - 1, -1, i64::MAX, 1 << 40] {
        let remark = format!("can not find message by the offset, {nowhere}");
        assert_eq!(refused(&client.ask(view(nowhere)), ResponseCode::SYSTEM_ERROR), remark);
    }
    broker.stop().unwrap();
}
