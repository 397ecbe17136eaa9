//! Requests of one application to another: the reply goes to the client that waits for it, and is stored.

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{Body, HeartbeatData, ProducerData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::message::properties::Properties;
use cuemq_net::message::record::records;

use crate::{Connection, arrived, number, pull_from, refused, send_to};

const REPLY_TOPIC: &str = "DefaultCluster_REPLY_TOPIC";

fn producer(broker: &TestBroker, client_id: &str) -> Connection {
    let mut connection = Connection::to(broker.broker());
    let data = HeartbeatData {
        client_id: client_id.to_owned(),
        producers: vec![ProducerData {
            group_name: "requesters".to_owned(),
        }],
        ..HeartbeatData::default()
    };
    let heartbeat = Command::request(RequestCode::HEART_BEAT).with_body(data.encode(Style::Fastjson));
    assert_eq!(connection.ask(heartbeat).code, 0);
    connection
}

fn reply(properties: &str) -> Command {
    Command {
        code: RequestCode::SEND_REPLY_MESSAGE_V2.0,
        ..send_to(REPLY_TOPIC)
            .with_field("c", "TBW102")
            .with_field("i", format!("MSG_TYPE\u{1}reply\u{2}{properties}UNIQ_KEY\u{1}0B\u{2}"))
            .with_body("the answer".as_bytes().to_vec())
    }
}

fn answer(client: &mut Connection, question: &Command, code: ResponseCode) {
    let mut bytes = Vec::new();
    Command::response_to(question, code).encode(&mut bytes).unwrap();
    client.write(&bytes);
}

/// The properties of the only message in a topic's first queue.
fn stored(client: &mut Connection, topic: &str) -> String {
    arrived(client, topic, 1);
    let pulled = client.ask(pull_from(topic, 0).with_field("consumerGroup", "TOOLS_CONSUMER"));
    let record = records(&pulled.body).next().unwrap().unwrap();
    String::from_utf8(record.properties().to_vec()).unwrap()
}

#[test]
fn a_reply_reaches_the_client_that_waits_for_it_and_is_stored_then() {
    let broker = TestBroker::start();
    let mut requester = producer(&broker, "requester");
    let mut replier = Connection::to(broker.broker());
    let opaque = replier.send(reply("REPLY_TO_CLIENT\u{1}requester\u{2}CORRELATION_ID\u{1}7\u{2}"));
    let pushed = requester.receive();
    assert_eq!(RequestCode(pushed.code), RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT);
    assert_eq!(
        (&*pushed.body, pushed.fields.get("topic")),
        (&b"the answer"[..], Some(REPLY_TOPIC))
    );
    assert_eq!(pushed.fields.get("bornTimestamp"), Some("1700000000000"));
    assert_eq!(
        pushed.fields.get("storeHost"),
        Some(broker.broker().to_string().as_str())
    );
    let properties = Properties::from(pushed.fields.get("properties").unwrap());
    assert_eq!(properties.get("CORRELATION_ID"), Some("7"));
    assert!(properties.get("PUSH_REPLY_TIME").is_some());
    answer(&mut requester, &pushed, ResponseCode::SUCCESS);
    let answered = replier.receive();
    assert_eq!((answered.opaque, number(&answered, "queueOffset")), (opaque, 0));
    assert!(answered.fields.get("msgId").unwrap().len() == 32 && answered.fields.get("MSG_REGION").is_some());
    let kept = stored(&mut replier, REPLY_TOPIC);
    assert!(
        !kept.contains("PUSH_REPLY_TIME") && !kept.contains("CLUSTER"),
        "{kept:?}"
    );
}

#[test]
fn a_reply_that_nobody_takes_is_refused_with_javas_words_and_stored_all_the_same() {
    let broker = TestBroker::start();
    let mut requester = producer(&broker, "requester");
    let mut replier = Connection::to(broker.broker());
    let nobody = replier.ask(reply("REPLY_TO_CLIENT\u{1}nobody\u{2}"));
    assert_eq!(
        refused(&nobody, ResponseCode::SYSTEM_ERROR),
        "push reply message fail, channel of <nobody> not found."
    );
    assert!(nobody.fields.get("MSG_REGION").is_some() && nobody.fields.get("TRACE_ON").is_some());
    stored(&mut replier, REPLY_TOPIC);
    let nameless = replier.ask(reply(""));
    assert_eq!(
        refused(&nameless, ResponseCode::SYSTEM_ERROR),
        "reply message properties[REPLY_TO_CLIENT] is null"
    );
    replier.send(reply("REPLY_TO_CLIENT\u{1}requester\u{2}"));
    let pushed = requester.receive();
    answer(&mut requester, &pushed, ResponseCode::SYSTEM_ERROR);
    assert_eq!(
        refused(&replier.receive(), ResponseCode::SYSTEM_ERROR),
        "push reply message to requesterfail."
    );
    arrived(&mut replier, REPLY_TOPIC, 3);
}

#[test]
fn where_replies_are_not_stored_the_answer_has_zeros() {
    let broker = TestBroker::builder()
        .config(|config| config.store_replies = false)
        .start()
        .unwrap();
    let mut requester = producer(&broker, "requester");
    let mut replier = Connection::to(broker.broker());
    replier.send(reply("REPLY_TO_CLIENT\u{1}requester\u{2}"));
    let pushed = requester.receive();
    answer(&mut requester, &pushed, ResponseCode::SUCCESS);
    let answered = replier.receive();
    assert_eq!(
        (number(&answered, "queueOffset"), answered.fields.get("msgId")),
        (0, Some("0"))
    );
    let end = Command::request(RequestCode::GET_MAX_OFFSET)
        .with_field("topic", REPLY_TOPIC)
        .with_field("queueId", 0);
    assert_eq!(number(&replier.ask(end), "offset"), 0);
}

#[test]
fn a_reply_that_no_topic_takes_reaches_nobody() {
    let broker = TestBroker::builder()
        .config(|config| config.auto_create_topic = false)
        .start()
        .unwrap();
    let mut requester = producer(&broker, "requester");
    let mut replier = Connection::to(broker.broker());
    let properties = "REPLY_TO_CLIENT\u{1}requester\u{2}";
    let nowhere = replier.ask(reply(properties).with_field("b", "Nowhere"));
    assert!(refused(&nowhere, ResponseCode::TOPIC_NOT_EXIST).contains("Nowhere"));
    let no_queue = replier.ask(reply(properties).with_field("e", 9));
    assert!(refused(&no_queue, ResponseCode::SYSTEM_ERROR).starts_with("request queueId[9] is illegal"));
    // Nothing was pushed: what comes next is the answer to the question.
    let list = Command::request(RequestCode::GET_ALL_PRODUCER_INFO);
    assert_eq!(requester.ask(list).code, 0);
}

#[test]
fn a_request_is_stored_with_its_cluster_and_an_ordinary_message_as_it_came() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let sent = "REPLY_TO_CLIENT\u{1}requester\u{2}CORRELATION_ID\u{1}7\u{2}";
    number(&client.ask(send_to("Requests").with_field("i", sent)), "queueOffset");
    assert_eq!(
        stored(&mut client, "Requests"),
        format!("{sent}CLUSTER\u{1}DefaultCluster\u{2}")
    );
    number(
        &client.ask(send_to("Ordinary").with_field("i", "TAGS\u{1}a")),
        "queueOffset",
    );
    assert_eq!(stored(&mut client, "Ordinary"), "TAGS\u{1}a");
}
