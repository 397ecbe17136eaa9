//! Sends: codes 10, 310 and 320, what is checked in which order, and what every answer carries.

use std::fs;

use cuemq_actors::supervise::Health;
use cuemq_actors::testing::{Site, TestBroker};
use cuemq_net::body::{Body, KvTable, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::HeaderCodec;
use cuemq_net::message::batch::{self, BatchEntry};

use crate::{Connection, PATIENCE, arrived, number, pull_from, refused, send_to};

const MESSAGE_MAX: u32 = 64 * 1024;

/// The header of code 10, which has the long names.
fn long_header(topic: &str) -> Command {
    let short = send_to(topic);
    let names = [
        ("a", "producerGroup"),
        ("b", "topic"),
        ("c", "defaultTopic"),
        ("d", "defaultTopicQueueNums"),
        ("e", "queueId"),
        ("f", "sysFlag"),
        ("g", "bornTimestamp"),
        ("h", "flag"),
        ("i", "properties"),
        ("j", "reconsumeTimes"),
        ("k", "unitMode"),
    ];
    let long = Command::request(RequestCode::SEND_MESSAGE).with_body(short.body.clone());
    names.iter().fold(long, |command, (from, to)| {
        command.with_field(to, short.fields.get(from).unwrap())
    })
}

pub(crate) fn batch_of(topic: &str, bodies: &[&str]) -> Command {
    let mut body = Vec::new();
    for text in bodies {
        let entry = BatchEntry {
            flag: 0,
            body: text.as_bytes(),
            properties: b"",
        };
        batch::encode(&entry, &mut body).unwrap();
    }
    let single = send_to(topic).with_field("m", true).with_body(body);
    Command {
        code: RequestCode::SEND_BATCH_MESSAGE.0,
        ..single
    }
}

#[test]
fn codes_10_310_and_320_are_stored_in_turn_and_told_where() {
    let broker = TestBroker::start();
    for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
        let topic = format!("Where-{codec:?}");
        let mut client = Connection::to(broker.broker()).speaking(codec);
        let requests = [long_header(&topic), send_to(&topic), batch_of(&topic, &["one", "two"])];
        for (request, queue_offset) in requests.into_iter().zip([0, 1, 2]) {
            let answer = client.ask(request);
            assert_eq!(
                (number(&answer, "queueId"), number(&answer, "queueOffset")),
                (0, queue_offset)
            );
        }
        arrived(&mut client, &topic, 4);
    }
}

#[test]
fn the_answer_to_a_batch_has_an_id_for_each_message() {
    let broker = TestBroker::start();
    let answer = Connection::to(broker.broker()).ask(batch_of("Batches", &["a", "b", "c"]));
    assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
    let ids: Vec<&str> = answer.fields.get("msgId").unwrap().split(',').collect();
    assert_eq!(ids.len(), 3);
    assert!(
        ids.iter().all(|id| id.len() == 32) && ids[0] < ids[1] && ids[1] < ids[2],
        "{ids:?}"
    );
}

#[test]
fn every_answer_carries_msg_region_and_trace_on() {
    let broker = TestBroker::builder()
        .config(|config| (config.region, config.trace_on) = ("North".to_owned(), false))
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    for request in [
        send_to("Region"),
        send_to("TBW102"),
        send_to("Region").with_field("e", 99),
    ] {
        let answer = client.ask(request);
        let told = (answer.fields.get("MSG_REGION"), answer.fields.get("TRACE_ON"));
        assert_eq!(told, (Some("North"), Some("false")), "{answer:?}");
    }
}

/// Each request breaks a rule and all the later ones that it can, so that the answer shows which is looked at first.
#[test]
fn sends_are_checked_in_javas_order() {
    let broker = TestBroker::builder()
        .config(|config| config.transactions.reject = true)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    let prepared = "TRAN_MSG\u{1}true\u{2}";
    let broken = |topic: &str| send_to(topic).with_field("e", 99).with_field("i", prepared);

    let reserved = client.ask(broken("SELF_TEST_TOPIC"));
    assert_eq!(
        refused(&reserved, ResponseCode::NO_PERMISSION),
        "Sending message to topic[SELF_TEST_TOPIC] is forbidden."
    );
    let unknown = client.ask(broken("Order").with_field("c", "NoSuchDefault"));
    assert!(
        refused(&unknown, ResponseCode::TOPIC_NOT_EXIST).starts_with("topic[Order] not exist, apply first please!")
    );
    let beyond = client.ask(broken("Order"));
    let remark = refused(&beyond, ResponseCode::SYSTEM_ERROR);
    assert!(remark.starts_with("request queueId[99] is illegal, "), "{remark}");
    let transaction = client.ask(broken("Order").with_field("e", 0));
    refused(&transaction, ResponseCode::NO_PERMISSION);
    let sound = client.ask(send_to("Order"));
    assert_eq!(
        number(&sound, "queueOffset"),
        0,
        "nothing of what was refused is stored"
    );
}

#[test]
fn a_queue_below_zero_means_any_that_may_be_written() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    for _ in 0..16 {
        let answer = client.ask(send_to("Any").with_field("e", -1));
        assert!((0..4).contains(&number(&answer, "queueId")), "{answer:?}");
    }
}

#[test]
fn a_topic_is_made_on_its_first_send_with_the_queues_that_the_sender_asks_for() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    for (topic, default, asked, made) in [
        ("Three", "TBW102", 3, 3),
        ("Of430", "AUTO_CREATE_TOPIC_KEY", 2, 2),
        ("TooMany", "TBW102", 99, 8),
    ] {
        number(
            &client.ask(send_to(topic).with_field("c", default).with_field("d", asked)),
            "queueOffset",
        );
        let last = client.ask(send_to(topic).with_field("e", made - 1));
        number(&last, "queueOffset");
        let beyond = client.ask(send_to(topic).with_field("e", made));
        refused(&beyond, ResponseCode::SYSTEM_ERROR);
    }
}

#[test]
fn what_is_too_long_is_answered_with_13_and_the_longest_is_taken() {
    let broker = TestBroker::builder()
        .config(|config| config.max_message_size = MESSAGE_MAX)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Long")), "queueOffset");
    arrived(&mut client, "Long", 1);
    let first = client.ask(pull_from("Long", 0)).body;
    let beside_body = first.len() - "body".len();
    let longest = MESSAGE_MAX as usize - beside_body;
    let beyond = client.ask(send_to("Long").with_body(vec![7; longest + 1]));
    let remark = refused(&beyond, ResponseCode::MESSAGE_ILLEGAL);
    assert!(remark.starts_with("the message is illegal, "), "{remark}");
    number(&client.ask(send_to("Long").with_body(vec![7; longest])), "queueOffset");
    arrived(&mut client, "Long", 2);
    let found = client.ask(pull_from("Long", 1));
    assert_eq!(
        found.body.len(),
        MESSAGE_MAX as usize,
        "the limit is that of the whole record"
    );
}

#[test]
fn a_properties_string_beyond_its_length_field_is_answered_with_13() {
    let broker = TestBroker::start();
    let long = format!("KEYS\u{1}{}\u{2}", "k".repeat(32_768));
    let answer = Connection::to(broker.broker()).ask(send_to("Long").with_field("i", long));
    refused(&answer, ResponseCode::MESSAGE_ILLEGAL);
}

#[test]
fn nothing_is_accepted_before_the_time_that_is_set() {
    // Noon of the first day of the year 9000 in UTC, some hour of it or of the next day in other places.
    let opens: u64 = 221_845_435_205_123;
    let broker = TestBroker::builder()
        .config(|config| config.accept_sends_from_ms = opens)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    let answer = client.ask(send_to("TBW102"));
    let remark = refused(&answer, ResponseCode::SYSTEM_ERROR);
    let until = remark.strip_prefix("broker unable to service, until ");
    let until = until.unwrap_or_else(|| panic!("it comes before all other checks: {remark}"));
    assert!(until.starts_with("9000-01-0") && until.ends_with(":05,123"), "{until}");
    let answer = client.ask(Command::request(RequestCode::GET_BROKER_RUNTIME_INFO));
    let told = &KvTable::decode(&answer.body).unwrap().table["startAcceptSendRequestTimeStamp"];
    assert_eq!(*told, opens.to_string());
}

#[test]
fn name_servers_hear_that_a_broker_may_not_be_written() {
    for (own, routed) in [(4, 4), (6, 6)] {
        let broker = TestBroker::builder()
            .config(move |config| config.permission = own)
            .start()
            .unwrap();
        number(&Connection::to(broker.broker()).ask(send_to("Routed")), "queueOffset");
        let route = Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", "Routed");
        let answer = Connection::to(broker.name_server()).ask(route);
        assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
        let route = TopicRouteData::decode(&answer.body).unwrap();
        let permissions: Vec<u32> = route.queue_datas.iter().map(|queues| queues.perm).collect();
        assert_eq!(permissions, [routed]);
        broker.stop().unwrap();
    }
}

#[test]
fn a_broker_without_write_permission_refuses_order_topics_alone() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config");
    fs::create_dir_all(&config).unwrap();
    let topics = r#"{"dataVersion":{"counter":1,"timestamp":1},"topicConfigTable":{"Ordered":{"order":true,"perm":6,
        "readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"Ordered","topicSysFlag":0,"writeQueueNums":4}}}"#;
    fs::write(config.join("topics.json"), topics).unwrap();
    let broker = TestBroker::builder()
        .data(home.path())
        .config(|config| config.permission = 4)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    let ordered = client.ask(send_to("Ordered"));
    let remark = refused(&ordered, ResponseCode::NO_PERMISSION);
    assert_eq!(remark, "the broker[127.0.0.1] sending message is forbidden");
    number(&client.ask(send_to("Plain")), "queueOffset");
    broker.stop().unwrap();
}

#[test]
fn a_oneway_send_is_stored_or_refused_without_an_answer() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Silent")), "queueOffset");
    client.send(send_to("Silent").oneway());
    client.send(send_to("Silent").with_field("e", 99).oneway());
    client.send(send_to("Unknown").with_field("c", "NoSuchDefault").oneway());
    client.send(Command::request(RequestCode::from_i32(9999)).oneway());
    let answer = client.ask(send_to("Silent"));
    assert_eq!(
        number(&answer, "queueOffset"),
        2,
        "the good one was stored, and this is the first answer"
    );
}

#[test]
fn a_consumers_own_retry_goes_to_its_topic_and_after_too_many_to_the_dead_letters() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let retry = |times: i32| send_to("%RETRY%again").with_field("j", times);
    assert_eq!(number(&client.ask(retry(1)), "queueOffset"), 0);
    assert_eq!(number(&client.ask(retry(15)), "queueOffset"), 1);
    assert_eq!(
        number(&client.ask(retry(16)), "queueOffset"),
        0,
        "16 times is the limit of a new group"
    );
    assert_eq!(number(&client.ask(retry(1)), "queueOffset"), 2);
    let in_batch = batch_of("%RETRY%again", &["a"]);
    refused(&client.ask(in_batch), ResponseCode::MESSAGE_ILLEGAL);
}

/// What nobody indexes, nobody owes: else each later start would begin at the first message that has a key.
#[test]
fn a_broker_without_index_closes_its_store_in_order_after_sends_with_keys() {
    for panics in [false, true] {
        let broker = TestBroker::builder().config(|config| config.index = None);
        let broker = broker.start().unwrap();
        let mut client = Connection::to(broker.broker());
        number(&client.ask(send_to("NoIndex")), "queueOffset");
        if panics {
            broker.faults().arm("commit log", Site::Handler, 1);
            client.ask(send_to("NoIndex"));
            let again = broker.wait_for(PATIENCE, |standing| {
                standing.restarts == 1 && standing.health == Health::Running
            });
            assert!(again.is_some(), "{}", broker.tree());
            number(&client.ask(send_to("NoIndex")), "queueOffset");
        }
        broker.stop().unwrap();
    }
}
