//! Pulls: what is checked in which order, what comes of each state of a queue, waiting, and committing on the way.

use std::time::Duration;

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{Body, ConsumerData, HeartbeatData, MessageModel, SubscriptionData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::message::record::Record;

use crate::sends::batch_of;
use crate::{Connection, arrived, number, pull_from, refused, send_to};

/// Bits of a pull's sysFlag.
pub(crate) const COMMIT: i32 = 1;
pub(crate) const SUSPEND: i32 = 2;
pub(crate) const SUBSCRIPTION: i32 = 4;

/// The four positions that every pull answer from 0 on carries.
pub(crate) fn positions(answer: &Command) -> (i32, [i64; 4]) {
    let field = |name| answer.fields.get(name).expect(name).parse().unwrap();
    let names = ["suggestWhichBrokerId", "nextBeginOffset", "minOffset", "maxOffset"];
    (answer.code, names.map(field))
}

fn sent(broker: &TestBroker, topic: &str, count: i64) -> Connection {
    let mut client = Connection::to(broker.broker());
    for _ in 0..count {
        number(&client.ask(send_to(topic)), "queueOffset");
    }
    arrived(&mut client, topic, count);
    client
}

/// The bodies of the records in an answer.
pub(crate) fn bodies(answer: &Command) -> Vec<Vec<u8>> {
    let (mut rest, mut found) = (&answer.body[..], Vec::new());
    while !rest.is_empty() {
        let record = Record::parse(rest).unwrap();
        found.push(record.body().to_vec());
        rest = &rest[record.total_size()..];
    }
    found
}

#[test]
fn the_port_two_below_takes_sends_and_refuses_pulls() {
    let broker = TestBroker::start();
    let mut fast = broker.broker();
    fast.set_port(fast.port() - 2);
    let mut client = Connection::to(fast);
    assert_eq!(number(&client.ask(send_to("Fast")), "queueOffset"), 0);
    arrived(&mut Connection::to(broker.broker()), "Fast", 1);
    let answer = client.ask(pull_from("Fast", 0));
    refused(&answer, ResponseCode::SYSTEM_ERROR);
    let found = Connection::to(broker.broker()).ask(pull_from("Fast", 0));
    assert_eq!(bodies(&found), [b"body"]);
}

#[test]
fn each_state_of_a_queue_has_its_code_and_all_four_positions() {
    let broker = TestBroker::start();
    let mut client = sent(&broker, "States", 3);
    let (success, not_found, moved) = (0, ResponseCode::PULL_NOT_FOUND.0, ResponseCode::PULL_OFFSET_MOVED.0);
    let empty = |offset| pull_from("States", offset).with_field("queueId", 1);
    for (request, code, expected, state) in [
        (pull_from("States", 0), success, [0, 3, 0, 3], "found"),
        (pull_from("States", 3), not_found, [0, 3, 0, 3], "just behind the last"),
        (pull_from("States", 9), moved, [0, 0, 0, 3], "far behind the last"),
        (pull_from("States", -1), moved, [0, 0, 0, 3], "before the first"),
        (empty(0), not_found, [0, 0, 0, 0], "empty"),
        (empty(7), moved, [0, 0, 0, 0], "empty, and asked for more"),
    ] {
        assert_eq!(positions(&client.ask(request)), (code, expected), "{state}");
    }
}

#[test]
fn no_message_with_the_tag_is_answered_with_20_and_where_to_go_on() {
    let broker = TestBroker::start();
    let mut client = sent(&broker, "Tags", 2);
    let blue = send_to("Tags")
        .with_field("i", "TAGS\u{1}blue\u{2}")
        .with_body("sky".as_bytes().to_vec());
    number(&client.ask(blue), "queueOffset");
    arrived(&mut client, "Tags", 3);
    let of_tag = |tag: &str| pull_from("Tags", 0).with_field("subscription", tag);
    assert_eq!(bodies(&client.ask(of_tag("red || blue"))), [b"sky"]);
    for waits in [0, SUSPEND] {
        let none = client.ask(of_tag("red").with_field("sysFlag", waits | SUBSCRIPTION));
        assert_eq!(positions(&none), (ResponseCode::PULL_RETRY_IMMEDIATELY.0, [0, 3, 0, 3]));
    }
}

#[test]
fn a_lite_pull_is_a_pull() {
    let broker = TestBroker::start();
    let mut client = sent(&broker, "Lite", 1);
    let lite = Command {
        code: RequestCode::LITE_PULL_MESSAGE.0,
        ..pull_from("Lite", 0)
    };
    assert_eq!(bodies(&client.ask(lite)), [b"body"]);
}

#[test]
fn one_pull_brings_no_more_than_it_asks_for_and_never_more_than_32() {
    let broker = TestBroker::start();
    let mut client = sent(&broker, "Many", 40);
    for (asked, given) in [(5, 5), (1000, 32)] {
        let answer = client.ask(pull_from("Many", 0).with_field("maxMsgNums", asked));
        assert_eq!(bodies(&answer).len(), given);
        assert_eq!(number(&answer, "nextBeginOffset"), i64::try_from(given).unwrap());
    }
}

#[test]
fn one_pull_brings_256_kib_or_one_message_that_is_longer() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    for body_bytes in [100_000, 100_000, 100_000, 300_000] {
        let long = send_to("Long").with_body(vec![7; body_bytes]);
        number(&client.ask(long), "queueOffset");
    }
    arrived(&mut client, "Long", 4);
    for (from, given) in [(0, 2), (2, 1), (3, 1)] {
        let answer = client.ask(pull_from("Long", from));
        assert_eq!(bodies(&answer).len(), given, "from {from} on");
    }
}

#[test]
fn one_pull_looks_at_800_messages_for_those_of_its_tag() {
    // A pull never looks beyond the file of the queue in which it begins.
    let broker = TestBroker::builder()
        .config(|config| config.queue_file_bytes = 1000 * 20)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Rare")), "queueOffset");
    number(&client.ask(batch_of("Rare", &["common"; 899])), "queueOffset");
    arrived(&mut client, "Rare", 900);
    let next = ResponseCode::PULL_RETRY_IMMEDIATELY.0;
    for (from, behind) in [(0, 800), (800, 900)] {
        let answer = client.ask(pull_from("Rare", from).with_field("subscription", "rare"));
        assert_eq!(positions(&answer), (next, [0, behind, 0, 900]), "from {from} on");
    }
}

/// Each request breaks a rule and all the later ones that it can, so that the answer shows which is looked at first.
#[test]
fn pulls_are_checked_in_javas_order() {
    let broker = TestBroker::builder()
        .config(|config| config.auto_create_group = false)
        .start()
        .unwrap();
    let mut client = sent(&broker, "Checks", 1);
    let broken = || {
        pull_from("NoTopic", 0)
            .with_field("queueId", 9)
            .with_field("subscription", "a||||b && c")
            .with_field("expressionType", "SQL92")
    };
    let unknown = client.ask(broken());
    let remark = refused(&unknown, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    assert!(
        remark.starts_with("subscription group [consumers] does not exist"),
        "{remark}"
    );
    let known = || broken().with_field("consumerGroup", "TOOLS_CONSUMER");
    let no_topic = client.ask(known());
    assert!(refused(&no_topic, ResponseCode::TOPIC_NOT_EXIST).starts_with("topic[NoTopic] not exist"));
    let no_queue = client.ask(known().with_field("topic", "Checks"));
    let remark = refused(&no_queue, ResponseCode::SYSTEM_ERROR);
    assert!(remark.starts_with("queueId[9] is illegal, topic:[Checks]"), "{remark}");
    let sql = client.ask(known().with_field("topic", "Checks").with_field("queueId", 0));
    let remark = refused(&sql, ResponseCode::SYSTEM_ERROR);
    assert_eq!(
        remark,
        "The broker does not support consumer to filter message by SQL92"
    );
}

#[test]
fn a_broker_that_may_not_be_read_says_so_first() {
    let broker = TestBroker::builder()
        .config(|config| config.permission = 2)
        .start()
        .unwrap();
    let answer = Connection::to(broker.broker()).ask(pull_from("Nothing", 0));
    let remark = refused(&answer, ResponseCode::NO_PERMISSION);
    assert_eq!(remark, "the broker[127.0.0.1] pulling message is forbidden");
}

/// A data folder in which the broker finds this table.
fn home_with(table: &str, text: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join(table), text).unwrap();
    home
}

/// A data folder in which the broker finds the consumers' group with these settings, and RocketMQ's for the others.
fn home_with_group(settings: &str) -> tempfile::TempDir {
    let group = format!(r#"{{"groupName":"consumers",{settings}}}"#);
    let table =
        format!(r#"{{"dataVersion":{{"counter":1,"timestamp":1}},"subscriptionGroupTable":{{"consumers":{group}}}}}"#);
    home_with("subscriptionGroup.json", &table)
}

#[test]
fn a_topic_that_may_not_be_read_refuses_pulls_and_takes_sends() {
    let home = home_with(
        "topics.json",
        r#"{"dataVersion":{"counter":1,"timestamp":1},"topicConfigTable":{"Closed":{"order":false,"perm":2,
        "readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"Closed","topicSysFlag":0,"writeQueueNums":4}}}"#,
    );
    let broker = TestBroker::builder().data(home.path()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Closed")), "queueOffset");
    let answer = client.ask(pull_from("Closed", 0));
    let remark = refused(&answer, ResponseCode::NO_PERMISSION);
    assert_eq!(remark, "the topic[Closed] pulling message is forbidden");
    broker.stop().unwrap();
}

/// A heartbeat of a member of the group `consumers`, and its answer.
fn subscribe(member: &mut Connection, topic: &str, message_model: MessageModel) {
    let subscription = SubscriptionData {
        topic: topic.to_owned(),
        sub_string: "*".to_owned(),
        sub_version: 5,
        ..SubscriptionData::default()
    };
    let consumer = ConsumerData {
        group_name: "consumers".to_owned(),
        message_model,
        subscriptions: vec![subscription],
        ..ConsumerData::default()
    };
    let data = HeartbeatData {
        client_id: "one".to_owned(),
        consumers: vec![consumer],
        ..HeartbeatData::default()
    };
    let heartbeat = Command::request(RequestCode::HEART_BEAT).with_body(data.encode(Style::Fastjson));
    let opaque = member.send(heartbeat);
    // Notices of the group's changes come on the same connection.
    let answer = std::iter::from_fn(|| member.next()).find(Command::is_response).unwrap();
    assert_eq!((answer.opaque, answer.code), (opaque, 0));
}

#[test]
fn without_a_subscription_in_the_pull_that_of_the_heartbeat_counts() {
    let broker = TestBroker::start();
    let mut client = sent(&broker, "Beats", 1);
    let mut member = Connection::to(broker.broker());
    let plain = |version: i64| {
        pull_from("Beats", 0)
            .with_field("sysFlag", 0)
            .with_field("subVersion", version)
    };
    let nobody = client.ask(plain(5));
    assert_eq!(
        refused(&nobody, ResponseCode::SUBSCRIPTION_NOT_EXIST),
        "the consumer's group info not exist"
    );
    let mut subscribe = |topic: &str| subscribe(&mut member, topic, MessageModel::Clustering);
    subscribe("Other");
    let other = client.ask(plain(5));
    assert_eq!(
        refused(&other, ResponseCode::SUBSCRIPTION_NOT_EXIST),
        "the consumer's subscription not exist"
    );
    subscribe("Beats");
    let newer = client.ask(plain(6));
    assert_eq!(
        refused(&newer, ResponseCode::SUBSCRIPTION_NOT_LATEST),
        "the consumer's subscription not latest"
    );
    assert_eq!(bodies(&client.ask(plain(5))), [b"body"]);
}

#[test]
fn a_group_that_may_not_broadcast_is_refused_while_its_heartbeats_say_that_it_does() {
    let home = home_with_group(r#""consumeBroadcastEnable":false"#);
    let broker = TestBroker::builder().data(home.path()).start().unwrap();
    let mut client = sent(&broker, "Shared", 1);
    let mut member = Connection::to(broker.broker());
    let plain = pull_from("Shared", 0)
        .with_field("sysFlag", 0)
        .with_field("subVersion", 5);
    // Java's order: this comes before the missing subscription.
    subscribe(&mut member, "Other", MessageModel::Broadcasting);
    assert_eq!(
        refused(&client.ask(plain.clone()), ResponseCode::NO_PERMISSION),
        "the consumer group[consumers] can not consume by broadcast way"
    );
    assert_eq!(
        bodies(&client.ask(pull_from("Shared", 0))),
        [b"body"],
        "a pull that brings its subscription is not asked for the heartbeat"
    );
    subscribe(&mut member, "Shared", MessageModel::Clustering);
    assert_eq!(bodies(&client.ask(plain)), [b"body"]);
    broker.stop().unwrap();
}

#[test]
fn a_pull_waits_until_a_message_comes_and_holds_nothing_else_up() {
    let broker = TestBroker::start();
    let mut consumer = sent(&broker, "Waits", 1);
    let waiting = consumer.send(pull_from("Waits", 1).with_field("sysFlag", SUSPEND | SUBSCRIPTION));
    assert_eq!(
        number(&consumer.ask(pull_from("Waits", 0)), "nextBeginOffset"),
        1,
        "others go on"
    );
    let mut producer = Connection::to(broker.broker());
    number(&producer.ask(send_to("Waits")), "queueOffset");
    let woken = consumer.receive();
    assert_eq!((woken.opaque, woken.code), (waiting, 0), "under its own opaque");
    assert_eq!(bodies(&woken), [b"body"]);
}

#[test]
fn a_pull_that_waited_in_vain_is_told_so() {
    let broker = TestBroker::builder()
        .config(|config| (config.long_polling, config.short_polling) = (false, Duration::from_millis(50)))
        .start()
        .unwrap();
    let mut client = sent(&broker, "Vain", 1);
    let answer = client.ask(pull_from("Vain", 1).with_field("sysFlag", SUSPEND | SUBSCRIPTION));
    assert_eq!(positions(&answer), (ResponseCode::PULL_NOT_FOUND.0, [0, 1, 0, 1]));
}

#[test]
fn a_consumer_far_behind_is_told_to_pull_where_its_group_says_if_that_is_switched_on() {
    let home = home_with_group(r#""brokerId":7,"whichBrokerWhenConsumeSlowly":3"#);
    let suggested = |memory_bytes, slave_read| {
        let broker = TestBroker::builder()
            .data(home.path())
            .config(move |config| (config.memory_bytes, config.slave_read) = (Some(memory_bytes), slave_read))
            .start()
            .unwrap();
        let mut client = sent(&broker, "Behind", 40);
        let mut suggested = |offset| number(&client.ask(pull_from("Behind", offset)), "suggestWhichBrokerId");
        let end = number(
            &Connection::to(broker.broker()).ask(pull_from("Behind", 0)),
            "maxOffset",
        );
        let suggested = (suggested(0), suggested(end - 1));
        broker.stop().unwrap();
        suggested
    };
    // 40 % of the memory counts: the last message fits 400 bytes, those before it do not.
    assert_eq!(suggested(1_000, true), (3, 7));
    assert_eq!(suggested(1 << 30, true), (7, 7));
    assert_eq!(suggested(1_000, false), (0, 0));
}

#[test]
fn a_pull_commits_an_offset_on_its_way_even_if_it_finds_nothing() {
    let broker = TestBroker::start();
    let mut client = sent(&broker, "Commits", 3);
    let committing = pull_from("Commits", 3)
        .with_field("sysFlag", COMMIT | SUBSCRIPTION)
        .with_field("commitOffset", 2);
    assert_eq!(client.ask(committing).code, ResponseCode::PULL_NOT_FOUND.0);
    let query = Command::request(RequestCode::QUERY_CONSUMER_OFFSET)
        .with_field("consumerGroup", "consumers")
        .with_field("topic", "Commits")
        .with_field("queueId", 0);
    assert_eq!(number(&client.ask(query), "offset"), 2);
}
