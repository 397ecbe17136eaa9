//! Consumers that are far behind, where the others are to be protected from them.

use std::time::{Duration, Instant};

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{Body, ConsumerData, HeartbeatData, SubscriptionGroupConfig};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;

use crate::{Connection, PATIENCE, arrived, number, pull_from, refused, send_to};

const TOPIC: &str = "Slow";
const MESSAGES: i64 = 40;

/// A connection that is a member of a group, which has committed so far.
fn member(broker: &TestBroker, group: &str, committed: i64) -> Connection {
    let mut connection = Connection::to(broker.broker());
    let data = HeartbeatData {
        client_id: group.to_owned(),
        consumers: vec![ConsumerData {
            group_name: group.to_owned(),
            ..ConsumerData::default()
        }],
        ..HeartbeatData::default()
    };
    connection.send(Command::request(RequestCode::HEART_BEAT).with_body(data.encode(Style::Fastjson)));
    let come = [connection.receive(), connection.receive()];
    assert!(come.iter().any(Command::is_response), "{come:?}");
    commit(&mut connection, group, committed);
    connection
}

fn commit(connection: &mut Connection, group: &str, offset: i64) {
    let commit = Command::request(RequestCode::UPDATE_CONSUMER_OFFSET)
        .with_field("consumerGroup", group)
        .with_field("topic", TOPIC)
        .with_field("queueId", 0)
        .with_field("commitOffset", offset);
    assert_eq!(connection.ask(commit).code, 0);
}

fn pull(connection: &mut Connection, group: &str) -> Command {
    connection.ask(pull_from(TOPIC, 0).with_field("consumerGroup", group))
}

#[test]
fn who_is_too_far_behind_is_not_served_until_somebody_allows_it_again() {
    let broker = TestBroker::builder()
        .config(|config| {
            config.slow_consumers.disable = true;
            config.slow_consumers.most_behind = 4096;
            config.slow_consumers.interval = Duration::from_millis(50);
        })
        .start()
        .unwrap();
    let mut tool = Connection::to(broker.broker());
    for _ in 0..MESSAGES {
        number(&tool.ask(send_to(TOPIC)), "queueOffset");
    }
    arrived(&mut tool, TOPIC, MESSAGES);
    commit(&mut tool, "offline", 0);
    let mut near = member(&broker, "near", MESSAGES - 2);
    let mut far = member(&broker, "far", 0);
    let began = Instant::now();
    let answer = loop {
        let answer = pull(&mut far, "far");
        if answer.code != 0 {
            break answer;
        }
        assert!(began.elapsed() < PATIENCE, "one that is far behind is served on");
    };
    assert_eq!(
        refused(&answer, ResponseCode::NO_PERMISSION),
        "subscription group no permission, far"
    );
    assert_eq!(pull(&mut near, "near").code, 0);
    assert_eq!(
        pull(&mut tool, "offline").code,
        0,
        "who is not there is in nobody's way"
    );
    commit(&mut far, "far", MESSAGES);
    let config = SubscriptionGroupConfig {
        group_name: "far".to_owned(),
        ..SubscriptionGroupConfig::default()
    };
    let allow = Command::request(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP);
    assert_eq!(tool.ask(allow.with_body(config.encode(Style::Fastjson))).code, 0);
    assert_eq!(pull(&mut far, "far").code, 0);
}
