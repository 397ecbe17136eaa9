//! Filters by properties: what a pull with an expression brings, which answer each lack of one has, waiting for what is wanted
//! alone, the check that consumers ask for, retried messages, and the file that keeps filters.

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{
    Body, CheckClient, ConsumerData, ConsumerFilterTable, HeartbeatData, SubscriptionData, TopicRouteData,
};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;

use crate::pulls::{SUBSCRIPTION, SUSPEND, bodies, positions};
use crate::{Connection, arrived, number, pull_from, refused, send_to};

const GROUP: &str = "consumers";
const NOT_SUPPORTED: &str = "The broker does not support consumer to filter message by SQL92";

fn with_filters() -> TestBroker {
    let builder = TestBroker::builder().config(|config| config.filters.sql = true);
    builder.start().unwrap()
}

/// Sends messages with the property `a`, whose values are their bodies.
pub(crate) fn send_values(client: &mut Connection, topic: &str, values: &[&str]) {
    for value in values {
        let send = send_to(topic).with_field("i", format!("a\u{1}{value}\u{2}"));
        number(&client.ask(send.with_body(value.as_bytes().to_vec())), "queueOffset");
    }
}

/// A pull that brings its expression along.
pub(crate) fn pull_by(expression: &str, topic: &str, queue_offset: i64) -> Command {
    let pull = pull_from(topic, queue_offset);
    pull.with_field("subscription", expression)
        .with_field("expressionType", "SQL92")
}

/// A pull for what the group has subscribed to.
pub(crate) fn pull_subscribed(topic: &str, version: i64) -> Command {
    let pull = pull_from(topic, 0);
    pull.with_field("sysFlag", 0).with_field("subVersion", version)
}

pub(crate) fn subscription(topic: &str, expression: &str, version: i64) -> SubscriptionData {
    SubscriptionData {
        topic: topic.to_owned(),
        sub_string: expression.to_owned(),
        expression_type: "SQL92".to_owned(),
        sub_version: version,
        ..SubscriptionData::default()
    }
}

pub(crate) fn subscribe(client: &mut Connection, subscriptions: &[SubscriptionData]) {
    subscribe_as(client, GROUP, subscriptions);
}

pub(crate) fn subscribe_as(client: &mut Connection, group: &str, subscriptions: &[SubscriptionData]) {
    let consumer = ConsumerData {
        group_name: group.to_owned(),
        subscriptions: subscriptions.to_vec(),
        ..ConsumerData::default()
    };
    let data = HeartbeatData {
        client_id: "c".to_owned(),
        consumers: vec![consumer],
        ..HeartbeatData::default()
    };
    let heartbeat = Command::request(RequestCode::HEART_BEAT).with_body(data.encode(Style::Fastjson));
    let opaque = client.send(heartbeat);
    // The first one is told of the change in its group as well.
    let answer = std::iter::from_fn(|| client.next()).find(Command::is_response).unwrap();
    assert_eq!((answer.opaque, answer.code), (opaque, 0), "{answer:?}");
}

fn check(subscription_data: SubscriptionData) -> Command {
    let body = CheckClient {
        client_id: "c".to_owned(),
        group: GROUP.to_owned(),
        subscription_data,
    };
    Command::request(RequestCode::CHECK_CLIENT_CONFIG).with_body(body.encode(Style::Fastjson))
}

fn change(text: &str) -> Command {
    Command::request(RequestCode::UPDATE_BROKER_CONFIG).with_body(text.as_bytes().to_vec())
}

#[test]
fn without_the_setting_every_way_to_filter_by_properties_is_refused_and_with_it_each_works_at_once() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    send_values(&mut client, "Off", &["1", "2"]);
    arrived(&mut client, "Off", 2);
    subscribe(&mut client, &[subscription("Off", "a = 2", 1)]);
    let ways = || {
        [
            pull_by("a = 2", "Off", 0),
            pull_subscribed("Off", 1),
            check(subscription("Off", "a = 2", 1)),
        ]
    };
    for way in ways() {
        assert_eq!(refused(&client.ask(way), ResponseCode::SYSTEM_ERROR), NOT_SUPPORTED);
    }
    assert_eq!(client.ask(change("enablePropertyFilter=true")).code, 0);
    let [brought, subscribed, checked] = ways().map(|way| client.ask(way));
    assert_eq!(
        (bodies(&brought), bodies(&subscribed)),
        (vec![b"2".to_vec()], vec![b"2".to_vec()])
    );
    assert_eq!(checked.code, 0);
}

#[test]
fn a_pull_brings_what_its_expression_is_true_for_and_goes_past_the_rest() {
    let broker = with_filters();
    let mut client = Connection::to(broker.broker());
    send_values(&mut client, "Sql", &["1", "5", "x", "7", "6"]);
    number(&client.ask(send_to("Sql")), "queueOffset");
    arrived(&mut client, "Sql", 6);
    let found = client.ask(pull_by("a BETWEEN 5 AND 6", "Sql", 0));
    assert_eq!(bodies(&found), [b"5", b"6"]);
    assert_eq!(positions(&found), (0, [0, 6, 0, 6]));
    assert_eq!(bodies(&client.ask(pull_by("a IS NULL", "Sql", 0))), [b"body"]);
    assert_eq!(
        bodies(&client.ask(pull_by("a <> '5' AND UNIQ_KEY IS NULL", "Sql", 0))).len(),
        4
    );
    for waits in [0, SUSPEND] {
        let none = client.ask(pull_by("a = 99", "Sql", 2).with_field("sysFlag", waits | SUBSCRIPTION));
        assert_eq!(positions(&none), (ResponseCode::PULL_RETRY_IMMEDIATELY.0, [0, 6, 0, 6]));
    }
}

#[test]
fn an_expression_that_is_none_is_refused_with_the_parsers_words() {
    let broker = with_filters();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Wrong")), "queueOffset");
    let reason = "java.lang.RuntimeException: Value ''x'' cannot be compared.";
    let checked = client.ask(check(subscription("Wrong", "a > 'x'", 1)));
    assert_eq!(refused(&checked, ResponseCode::SUBSCRIPTION_PARSE_FAILED), reason);
    let pulled = client.ask(pull_by("a > 'x'", "Wrong", 0));
    let remark = refused(&pulled, ResponseCode::SUBSCRIPTION_PARSE_FAILED);
    assert_eq!(remark, format!("parse the consumer's subscription failed: {reason}"));
    for wrong in [
        pull_by("", "Wrong", 0),
        pull_by("a = 1", "Wrong", 0).with_field("expressionType", "GROOVY"),
        check(SubscriptionData {
            expression_type: "GROOVY".to_owned(),
            ..subscription("Wrong", "a = 1", 1)
        }),
    ] {
        refused(&client.ask(wrong), ResponseCode::SUBSCRIPTION_PARSE_FAILED);
    }
    let by_tag = SubscriptionData {
        sub_string: "a > 'x'".to_owned(),
        ..SubscriptionData::default()
    };
    assert_eq!(client.ask(check(by_tag)).code, 0, "what is no expression may be a tag");
}

#[test]
fn each_lack_of_a_subscription_has_its_code() {
    let broker = with_filters();
    let mut client = Connection::to(broker.broker());
    send_values(&mut client, "Codes", &["1", "2"]);
    arrived(&mut client, "Codes", 2);
    let (missing, old) = (
        ResponseCode::SUBSCRIPTION_NOT_EXIST,
        ResponseCode::SUBSCRIPTION_NOT_LATEST,
    );
    assert_eq!(
        refused(&client.ask(pull_subscribed("Codes", 1)), missing),
        "the consumer's group info not exist"
    );
    subscribe(&mut client, &[subscription("Other", "a = 2", 1)]);
    assert_eq!(
        refused(&client.ask(pull_subscribed("Codes", 1)), missing),
        "the consumer's subscription not exist"
    );
    subscribe(&mut client, &[subscription("Codes", "a =", 1)]);
    assert_eq!(
        refused(
            &client.ask(pull_subscribed("Codes", 1)),
            ResponseCode::FILTER_DATA_NOT_EXIST
        ),
        "The broker's consumer filter data is not exist!Your expression may be wrong!"
    );
    subscribe(&mut client, &[subscription("Codes", "a = 2", 2)]);
    assert_eq!(bodies(&client.ask(pull_subscribed("Codes", 2))), [b"2"]);
    assert_eq!(
        refused(&client.ask(pull_subscribed("Codes", 3)), old),
        "the consumer's subscription not latest"
    );
    // An empty expression is a subscription and no filter, so that the filter before stays.
    subscribe(&mut client, &[subscription("Codes", "", 3)]);
    assert_eq!(
        refused(
            &client.ask(pull_subscribed("Codes", 3)),
            ResponseCode::FILTER_DATA_NOT_LATEST
        ),
        "the consumer's consumer filter data not latest"
    );
}

#[test]
fn a_pull_waits_on_past_messages_that_it_does_not_want() {
    let broker = with_filters();
    let (mut waiting, mut client) = (Connection::to(broker.broker()), Connection::to(broker.broker()));
    send_values(&mut client, "Wait", &["1"]);
    arrived(&mut client, "Wait", 1);
    let wait = |timeout_ms: i64| {
        pull_by("a = 7", "Wait", 1)
            .with_field("sysFlag", SUSPEND | SUBSCRIPTION)
            .with_field("suspendTimeoutMillis", timeout_ms)
    };
    let (patient, hasty) = (waiting.send(wait(25_000)), waiting.send(wait(400)));
    send_values(&mut client, "Wait", &["2", "3", "4"]);
    let expired = waiting.receive();
    assert_eq!(expired.opaque, hasty);
    assert_eq!(
        positions(&expired),
        (ResponseCode::PULL_NOT_FOUND.0, [0, 4, 0, 4]),
        "it goes on behind what it does not want"
    );
    send_values(&mut client, "Wait", &["5", "7", "6"]);
    let found = waiting.receive();
    assert_eq!((found.opaque, bodies(&found)), (patient, vec![b"7".to_vec()]));
    assert!(number(&found, "nextBeginOffset") >= 6);
}

/// A record of a retry topic holds the topic that it came from.
fn retried(value: &str, origin: &str) -> Command {
    let properties = format!("a\u{1}{value}\u{2}RETRY_TOPIC\u{1}{origin}\u{2}");
    let send = send_to("%RETRY%consumers").with_field("i", properties);
    send.with_body(value.as_bytes().to_vec())
}

#[test]
fn retried_messages_are_filtered_as_their_topic_is_where_that_is_set() {
    let broker = with_filters();
    let mut client = Connection::to(broker.broker());
    let subscriptions = [
        subscription("%RETRY%consumers", "a > 0", 1),
        subscription("Origin", "a = 2", 1),
    ];
    subscribe(&mut client, &subscriptions);
    for retried in [
        retried("1", "Origin"),
        retried("2", "Origin"),
        retried("3", "Elsewhere"),
    ] {
        number(&client.ask(retried), "queueOffset");
    }
    arrived(&mut client, "%RETRY%consumers", 3);
    let pull = || pull_subscribed("%RETRY%consumers", 1);
    assert_eq!(bodies(&client.ask(pull())), [b"1", b"2", b"3"]);
    assert_eq!(client.ask(change("filterSupportRetry=true")).code, 0);
    assert_eq!(bodies(&client.ask(pull())), [b"2", b"3"]);
}

#[test]
fn filters_are_kept_in_the_file_of_javas_and_live_on_when_their_group_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let start = || {
        let builder = TestBroker::builder().data(home.path());
        builder.config(|config| config.filters.sql = true).start().unwrap()
    };
    let filter = || {
        let text = std::fs::read(home.path().join("config/consumerFilter.json")).unwrap();
        let table = ConsumerFilterTable::decode(&text).unwrap();
        table.filter_data_by_topic["Kept"].group_filter_data[GROUP].clone()
    };
    let broker = start();
    subscribe(
        &mut Connection::to(broker.broker()),
        &[subscription("Kept", "a = 1", 5)],
    );
    broker.stop().unwrap();
    let first = filter();
    assert_eq!((first.expression.as_str(), first.client_version), ("a = 1", 5));
    assert!(first.born_time > 1_700_000_000_000);

    let broker = start();
    subscribe(
        &mut Connection::to(broker.broker()),
        &[subscription("Kept", "a = 1", 6)],
    );
    broker.stop().unwrap();
    let second = filter();
    assert_eq!((second.born_time, second.client_version), (first.born_time, 6));
    assert!(!second.dead, "{second:?}");
}

#[test]
fn there_are_no_filter_servers() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    for code in [
        RequestCode::REGISTER_FILTER_SERVER,
        RequestCode::REGISTER_MESSAGE_FILTER_CLASS,
    ] {
        let answer = client.ask(Command::request(code));
        assert!(refused(&answer, ResponseCode::REQUEST_CODE_NOT_SUPPORTED).contains("no filter servers"));
    }
    number(&client.ask(send_to("Route")), "queueOffset");
    let route = Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", "Route");
    let answer = Connection::to(broker.name_server()).ask(route);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("\"filterServerTable\":{}"), "{text}");
    assert!(
        TopicRouteData::decode(&answer.body)
            .unwrap()
            .filter_server_table
            .is_empty()
    );
}
