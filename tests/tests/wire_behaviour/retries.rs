//! A consumer gives messages back: they come again by the group's retry topic, and in the end rest among its dead letters.

use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::testing::{ManualClock, TestBroker};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::properties::Properties;
use cuemq_net::message::record::Record;

use crate::{Connection, arrived, number, pull_from, refused, send_to};

const RETRIES: &str = "%RETRY%consumers";
const DEAD_LETTERS: &str = "%DLQ%consumers";

fn back(physical_offset: u64, level: i32) -> Command {
    Command::request(RequestCode::CONSUMER_SEND_MSG_BACK)
        .with_field("offset", physical_offset)
        .with_field("group", "consumers")
        .with_field("delayLevel", level)
        .with_field("originMsgId", "id")
        .with_field("originTopic", "Hard")
        .with_field("unitMode", false)
        .with_field("maxReconsumeTimes", 1)
}

/// The record at `queue_offset` of queue 0: where it lies, how often it came back, and a property.
fn record(client: &mut Connection, topic: &str, queue_offset: i64, property: &str) -> (u64, i32, Option<String>) {
    arrived(client, topic, queue_offset + 1);
    let found = client.ask(pull_from(topic, queue_offset));
    let record = Record::parse(&found.body).unwrap();
    let value = Properties::new(record.properties()).get(property).map(str::to_owned);
    (record.physical_offset(), record.reconsume_times(), value)
}

fn success(answer: &Command) {
    assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
}

#[test]
fn a_message_that_comes_back_waits_and_after_the_last_retry_it_is_a_dead_letter() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Hard")), "queueOffset");
    let (at, times, _) = record(&mut client, "Hard", 0, "");
    assert_eq!(times, 0);
    success(&client.ask(back(at, 0)));
    clock.advance(Duration::from_secs(10));
    let (at, times, first) = record(&mut client, RETRIES, 0, "RETRY_TOPIC");
    assert_eq!(
        (times, first.as_deref()),
        (1, Some("Hard")),
        "after level 3, which is 10 s"
    );
    success(&client.ask(back(at, 0)));
    let (_, times, first) = record(&mut client, DEAD_LETTERS, 0, "RETRY_TOPIC");
    assert_eq!((times, first.as_deref()), (2, Some("Hard")), "at once");
    let counted = Command::request(RequestCode::VIEW_BROKER_STATS_DATA)
        .with_field("statsName", "SNDBCK_PUT_NUMS")
        .with_field("statsKey", "Hard@consumers");
    success(&client.ask(counted));
    broker.stop().unwrap();
}

#[test]
fn a_consumer_may_give_a_message_up_and_names_its_own_level() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Hard")), "queueOffset");
    let (at, ..) = record(&mut client, "Hard", 0, "");
    success(&client.ask(back(at, -1)));
    let (_, times, origin) = record(&mut client, DEAD_LETTERS, 0, "ORIGIN_MESSAGE_ID");
    assert_eq!(times, 1);
    assert_eq!(origin.unwrap().len(), 32, "the id of the record that was given back");
    success(&client.ask(back(at, 1)));
    clock.advance(Duration::from_secs(1));
    assert_eq!(record(&mut client, RETRIES, 0, "DELAY").2.as_deref(), Some("1"));
    broker.stop().unwrap();
}

#[test]
fn what_is_not_there_cannot_come_back() {
    let broker = TestBroker::builder()
        .config(|config| config.auto_create_group = false)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    let unknown = client.ask(back(0, 0));
    let remark = refused(&unknown, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    assert_eq!(remark, "subscription group not exist, consumers");
    let nothing = client.ask(back(4096, 0).with_field("group", "TOOLS_CONSUMER"));
    let remark = refused(&nothing, ResponseCode::SYSTEM_ERROR);
    assert_eq!(remark, "look message by offset failed, 4096");
    broker.stop().unwrap();
}
