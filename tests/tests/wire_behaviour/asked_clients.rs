//! What tools have clients tell or do, each over the client's own connection: 307, 309, 223, and 222 for those online.

use std::collections::BTreeMap;

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{
    Body, ConsumerData, ConsumerOffsetTable, ConsumerStatus, CorrectionOffsets, HeartbeatData, MessageQueue,
    ResetOffset, ResetOffsetList,
};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::language::Language;
use cuemq_net::message::record::Record;
use cuemq_net::version::Version;

use crate::{Connection, arrived, number, refused, send_to};

const GROUP: &str = "consumers";
const TOPIC: &str = "Asked";

/// A consumer that is online.
struct Consumer {
    connection: Connection,
    client_id: String,
}

impl Consumer {
    fn of(broker: &TestBroker, client_id: &str, language: Language, version: i32) -> Self {
        let mut connection = Connection::to(broker.broker());
        let consumer = ConsumerData {
            group_name: GROUP.to_owned(),
            ..ConsumerData::default()
        };
        let data = HeartbeatData {
            client_id: client_id.to_owned(),
            consumers: vec![consumer],
            ..HeartbeatData::default()
        };
        let heartbeat = Command {
            language: Some(language),
            version: Version(version),
            ..Command::request(RequestCode::HEART_BEAT).with_body(data.encode(Style::Fastjson))
        };
        connection.send(heartbeat);
        // Its answer, and the notice that it has come, in either order.
        let come = [connection.receive(), connection.receive()];
        assert!(
            come.iter().any(|command| command.is_response() && command.code == 0),
            "{come:?}"
        );
        Self {
            connection,
            client_id: client_id.to_owned(),
        }
    }

    fn java(broker: &TestBroker, client_id: &str) -> Self {
        Self::of(broker, client_id, Language::Java, 409)
    }

    /// The next request of the broker's but notices.
    fn asked(&mut self) -> Command {
        loop {
            let request = self.connection.receive();
            assert!(!request.is_response(), "{request:?}");
            if request.code != RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0 {
                return request;
            }
        }
    }

    fn answer(&mut self, request: &Command, code: ResponseCode, body: &str) {
        let answer = Command::response_to(request, code)
            .with_remark("as it said")
            .with_field("extra", "7")
            .with_body(body.as_bytes().to_vec());
        let mut bytes = Vec::new();
        answer.encode(&mut bytes).unwrap();
        self.connection.write(&bytes);
    }
}

fn running_info(client_id: &str) -> Command {
    Command::request(RequestCode::GET_CONSUMER_RUNNING_INFO)
        .with_field("consumerGroup", GROUP)
        .with_field("clientId", client_id)
        .with_field("jstackEnable", true)
}

fn reset(timestamp: i64, force: bool) -> Command {
    Command::request(RequestCode::INVOKE_BROKER_TO_RESET_OFFSET)
        .with_field("topic", TOPIC)
        .with_field("group", GROUP)
        .with_field("timestamp", timestamp)
        .with_field("isForce", force)
}

fn queue(queue_id: i32) -> MessageQueue {
    MessageQueue {
        topic: TOPIC.to_owned(),
        broker_name: "broker-a".to_owned(),
        queue_id,
    }
}

fn commit(tool: &mut Connection, group: &str, topic: &str, queue_id: i32, offset: i64) {
    let commit = Command::request(RequestCode::UPDATE_CONSUMER_OFFSET)
        .with_field("consumerGroup", group)
        .with_field("topic", topic)
        .with_field("queueId", queue_id)
        .with_field("commitOffset", offset);
    assert_eq!(tool.ask(commit).code, 0);
}

/// What a group has committed on a topic, by queue.
fn committed(tool: &mut Connection, group: &str, topic: &str) -> BTreeMap<i32, i64> {
    let answer = tool.ask(Command::request(RequestCode::GET_ALL_CONSUMER_OFFSET));
    let mut table = ConsumerOffsetTable::decode(&answer.body).unwrap().offset_table;
    table.remove(&format!("{topic}@{group}")).unwrap_or_default()
}

/// A topic with four queues, the first of which has so many messages, and a group that has committed the end of all.
fn filled(broker: &TestBroker, count: i64) -> Connection {
    let mut tool = Connection::to(broker.broker());
    for _ in 0..count {
        number(&tool.ask(send_to(TOPIC)), "queueOffset");
    }
    arrived(&mut tool, TOPIC, count);
    commit(&mut tool, GROUP, TOPIC, 0, count);
    for queue_id in 1..4 {
        commit(&mut tool, GROUP, TOPIC, queue_id, 0);
    }
    tool
}

#[test]
fn what_a_client_says_of_itself_is_passed_on_as_it_is() {
    let broker = TestBroker::start();
    let (mut one, _two) = (Consumer::java(&broker, "one"), Consumer::java(&broker, "two"));
    let mut tool = Connection::to(broker.broker());
    let opaque = tool.send(running_info(&one.client_id));
    let question = one.asked();
    let fields: BTreeMap<_, _> = question.fields.iter().collect();
    let expected = [("consumerGroup", GROUP), ("clientId", "one"), ("jstackEnable", "true")];
    assert_eq!(fields, BTreeMap::from(expected));
    assert!(!question.is_oneway());
    let long = "x".repeat(1 << 20);
    one.answer(&question, ResponseCode::SUCCESS, &long);
    let answer = tool.receive();
    assert_eq!((answer.opaque, answer.code), (opaque, 0));
    assert_eq!(
        (answer.remark.as_deref(), answer.fields.get("extra")),
        (Some("as it said"), Some("7"))
    );
    assert_eq!(answer.body.len(), long.len());
    tool.send(running_info("one"));
    let question = one.asked();
    one.answer(&question, ResponseCode::SYSTEM_ERROR, "");
    assert_eq!(refused(&tool.receive(), ResponseCode::SYSTEM_ERROR), "as it said");
}

#[test]
fn clients_that_cannot_be_asked_are_named() {
    let broker = TestBroker::start();
    let _old = Consumer::of(&broker, "old", Language::Java, 61);
    let leaving = Consumer::java(&broker, "leaving");
    let mut tool = Connection::to(broker.broker());
    let mut refusal =
        |client_id: &str| refused(&tool.ask(running_info(client_id)), ResponseCode::SYSTEM_ERROR).to_owned();
    assert_eq!(refusal("nobody"), "The Consumer <consumers> <nobody> not online");
    assert_eq!(
        refusal("old"),
        "The Consumer <old> Version <61> too low to finish, please upgrade it to V3_1_8_SNAPSHOT"
    );
    tool.send(running_info("leaving"));
    let mut leaving = leaving;
    leaving.asked();
    drop(leaving);
    assert_eq!(
        refused(&tool.receive(), ResponseCode::SYSTEM_ERROR),
        "invoke consumer <consumers> <leaving> Exception: its connection has ended"
    );
}

#[test]
fn a_client_consumes_the_message_of_an_id_when_a_tool_says_so() {
    let broker = TestBroker::start();
    let mut client = Consumer::java(&broker, "one");
    let mut tool = Connection::to(broker.broker());
    let sent = tool.ask(send_to(TOPIC));
    let id = sent.fields.get("msgId").unwrap();
    arrived(&mut tool, TOPIC, 1);
    let consume = |id: &str| {
        Command::request(RequestCode::CONSUME_MESSAGE_DIRECTLY)
            .with_field("consumerGroup", GROUP)
            .with_field("clientId", "one")
            .with_field("msgId", id)
    };
    let opaque = tool.send(consume(id));
    let question = client.asked();
    assert_eq!(question.fields.get("brokerName"), Some("broker-a"));
    let record = Record::parse(&question.body).unwrap();
    assert_eq!((record.topic().unwrap(), record.body()), (TOPIC, &b"body"[..]));
    client.answer(&question, ResponseCode::SUCCESS, r#"{"consumeResult":"CR_SUCCESS"}"#);
    let answer = tool.receive();
    assert_eq!(
        (answer.opaque, &*answer.body),
        (opaque, &br#"{"consumeResult":"CR_SUCCESS"}"#[..])
    );
    let nothing_there = tool.ask(consume("7F00000100002A9F00000000000FFFFF"));
    assert_eq!(
        refused(&nothing_there, ResponseCode::SYSTEM_ERROR),
        "can not find message by the offset, 1048575"
    );
    assert!(refused(&tool.ask(consume("no id")), ResponseCode::SYSTEM_ERROR).contains("no id"));
}

#[test]
fn how_far_each_client_has_come_is_told_in_one_table() {
    let broker = TestBroker::start();
    let mut tool = Connection::to(broker.broker());
    let status = |client: &str| {
        Command::request(RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS)
            .with_field("topic", TOPIC)
            .with_field("group", GROUP)
            .with_field("clientAddr", client)
    };
    assert_eq!(
        refused(&tool.ask(status("")), ResponseCode::SYSTEM_ERROR),
        "No Any Consumer online in the consumer group: [consumers]"
    );
    let (mut one, mut two) = (Consumer::java(&broker, "one"), Consumer::java(&broker, "two"));
    let table = r#"{"consumerTable":{},"messageQueueTable":{{"brokerName":"broker-a","queueId":0,"topic":"Asked"}:4}}"#;
    for (only, expected) in [("", vec!["one", "two"]), ("two", vec!["two"])] {
        tool.send(status(only));
        for client in [&mut one, &mut two] {
            if expected.contains(&client.client_id.as_str()) {
                let question = client.asked();
                assert_eq!(RequestCode(question.code), RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT);
                let fields: Vec<_> = question.fields.iter().collect();
                assert_eq!(fields, [("topic", TOPIC), ("group", GROUP)]);
                client.answer(&question, ResponseCode::SUCCESS, table);
            }
        }
        let told = ConsumerStatus::decode(&tool.receive().body).unwrap().consumer_table;
        assert_eq!(told.keys().map(String::as_str).collect::<Vec<_>>(), expected);
        assert!(told.values().all(|queues| *queues == BTreeMap::from([(queue(0), 4)])));
    }
}

#[test]
fn a_group_that_is_online_is_sent_elsewhere_each_client_in_its_own_form() {
    let broker = TestBroker::start();
    let mut tool = filled(&broker, 3);
    let mut java = Consumer::java(&broker, "java");
    let mut cpp = Consumer::of(&broker, "c++", Language::Cpp, 409);
    let expected = |of_first: i64| {
        (0..4)
            .map(|id| (queue(id), if id == 0 { of_first } else { 0 }))
            .collect()
    };
    // To the beginning; to the end, which without force is where the group stands; back without force.
    for (timestamp, force, of_first) in [(0, true, 0), (-1, true, 3), (-1, false, 3), (0, false, 0)] {
        let answer = tool.ask(reset(timestamp, force));
        let table: BTreeMap<MessageQueue, i64> = expected(of_first);
        assert_eq!(ResetOffset::decode(&answer.body).unwrap().offset_table, table);
        let told = java.asked();
        assert!(told.is_oneway());
        assert_eq!(RequestCode(told.code), RequestCode::RESET_CONSUMER_CLIENT_OFFSET);
        assert_eq!(told.fields.get("isForce"), Some("false"), "as Java's brokers say it");
        assert_eq!(ResetOffset::decode(&told.body).unwrap().offset_table, table);
        let list = ResetOffsetList::decode(&cpp.asked().body).unwrap().offset_table;
        let offsets: Vec<i64> = list.iter().map(|queue| queue.queue_offset).collect();
        assert_eq!(offsets, [of_first, 0, 0, 0]);
    }
    assert_eq!(
        committed(&mut tool, GROUP, TOPIC)[&0],
        3,
        "clients commit by themselves"
    );
}

#[test]
fn one_queue_is_reset_as_tools_of_release_5_ask_for_it() {
    let broker = TestBroker::start();
    let mut tool = filled(&broker, 3);
    let of_queue = |queue_id: i32, offset: i64| {
        reset(0, true)
            .with_field("queueId", queue_id)
            .with_field("offset", offset)
    };
    // Offline: the broker commits, as those of release 5 do.
    let answer = tool.ask(of_queue(0, 2));
    let only_first = BTreeMap::from([(queue(0), 2)]);
    assert_eq!(ResetOffset::decode(&answer.body).unwrap().offset_table, only_first);
    assert_eq!(
        committed(&mut tool, GROUP, TOPIC),
        BTreeMap::from([(0, 2), (1, 0), (2, 0), (3, 0)])
    );
    assert_eq!(
        refused(&tool.ask(of_queue(0, 4)), ResponseCode::SYSTEM_ERROR),
        "Target offset 4 not in consume queue range [0-3]"
    );
    assert!(refused(&tool.ask(of_queue(9, 0)), ResponseCode::SYSTEM_ERROR).starts_with("queueId[9] is illegal"));
    let mut java = Consumer::java(&broker, "java");
    let by_time = tool.ask(of_queue(0, -1));
    assert_eq!(
        ResetOffset::decode(&by_time.body).unwrap().offset_table,
        BTreeMap::from([(queue(0), 0)])
    );
    assert_eq!(
        ResetOffset::decode(&java.asked().body).unwrap().offset_table,
        BTreeMap::from([(queue(0), 0)])
    );
    assert_eq!(
        committed(&mut tool, GROUP, TOPIC)[&0],
        2,
        "the client commits when it is there"
    );
}

#[test]
fn a_reset_that_cannot_be_is_refused_with_javas_words() {
    let broker = TestBroker::start();
    let mut tool = filled(&broker, 1);
    let offline = tool.ask(reset(7, true));
    assert_eq!(
        refused(&offline, ResponseCode::CONSUMER_NOT_ONLINE),
        "Consumer not online, so can not reset offset, Group: consumers Topic: Asked Timestamp: 7"
    );
    let nowhere = tool.ask(reset(7, true).with_field("topic", "Nowhere"));
    assert_eq!(
        refused(&nowhere, ResponseCode::SYSTEM_ERROR),
        "[reset-offset] reset offset failed, no topic in this broker. topic=Nowhere"
    );
    let stranger = tool.ask(reset(7, true).with_field("group", "strangers"));
    assert_eq!(
        refused(&stranger, ResponseCode::SYSTEM_ERROR),
        "THe consumer group <strangers> not exist"
    );
    let _old = Consumer::of(&broker, "old", Language::Java, 27);
    assert_eq!(
        refused(&tool.ask(reset(7, true)), ResponseCode::SYSTEM_ERROR),
        "the client does not support this feature. version=27"
    );
}

#[test]
fn offsets_are_copied_from_group_to_group_on_one_topic_or_on_all() {
    let broker = TestBroker::start();
    let mut tool = filled(&broker, 3);
    number(&tool.ask(send_to("Other")), "queueOffset");
    commit(&mut tool, GROUP, "Other", 0, 1);
    let clone = |to: &str| {
        Command::request(RequestCode::CLONE_GROUP_OFFSET)
            .with_field("srcGroup", GROUP)
            .with_field("destGroup", to)
            .with_field("offline", true)
    };
    assert_eq!(tool.ask(clone("of-one").with_field("topic", TOPIC)).code, 0);
    assert_eq!(committed(&mut tool, "of-one", TOPIC)[&0], 3);
    assert!(committed(&mut tool, "of-one", "Other").is_empty());
    assert_eq!(tool.ask(clone("of-all")).code, 0);
    assert_eq!(committed(&mut tool, "of-all", TOPIC)[&0], 3);
    assert_eq!(committed(&mut tool, "of-all", "Other"), BTreeMap::from([(0, 1)]));
    assert_eq!(tool.ask(clone("of-none").with_field("topic", "Nowhere")).code, 0);
    assert!(committed(&mut tool, "of-none", "Nowhere").is_empty());
}

#[test]
fn a_correction_is_the_least_that_others_have_and_takes_nothing_from_those_left_out() {
    let broker = TestBroker::start();
    let mut tool = filled(&broker, 3);
    commit(&mut tool, "behind", TOPIC, 0, 1);
    commit(&mut tool, "between", TOPIC, 0, 2);
    let mut correction = |left_out: &str, compared: &str| {
        let question = Command::request(RequestCode::QUERY_CORRECTION_OFFSET)
            .with_field("filterGroups", left_out)
            .with_field("compareGroup", compared)
            .with_field("topic", TOPIC);
        CorrectionOffsets::decode(&tool.ask(question).body)
            .unwrap()
            .correction_offsets[&0]
    };
    assert_eq!(correction("", GROUP), 1);
    assert_eq!(correction("behind", GROUP), 2);
    assert_eq!(correction("behind,between", GROUP), 3);
    assert_eq!(
        correction("behind", "behind"),
        i64::MAX,
        "the compared group has less than all others"
    );
    assert_eq!(correction("", GROUP), 1, "those that were left out have what they had");
}
