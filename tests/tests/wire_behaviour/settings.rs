//! Settings that tools read and change while the broker runs.

use std::path::Path;

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{Body, DataVersion, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;

use crate::{Connection, number, refused, send_to};

fn change(text: &str) -> Command {
    Command::request(RequestCode::UPDATE_BROKER_CONFIG).with_body(text.as_bytes().to_vec())
}

/// The version of the settings, and their lines.
fn told(client: &mut Connection) -> (DataVersion, String) {
    let answer = client.ask(Command::request(RequestCode::GET_BROKER_CONFIG));
    assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
    let version = answer.fields.get("version").unwrap();
    let lines = std::str::from_utf8(&answer.body).unwrap().to_owned();
    (DataVersion::decode(version.as_bytes()).unwrap(), lines)
}

fn has(lines: &str, line: &str) -> bool {
    lines.lines().any(|told| told == line)
}

fn start(home: &Path) -> (TestBroker, Connection) {
    let broker = TestBroker::builder().data(home).start().unwrap();
    let client = Connection::to(broker.broker());
    (broker, client)
}

#[test]
fn settings_are_told_by_rocketmqs_names() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let (_, lines) = told(&mut client);
    let port = broker.broker().port();
    for line in [
        "flushDiskType=SYNC_FLUSH",
        "brokerPermission=6",
        &format!("listenPort={port}"),
    ] {
        assert!(has(&lines, line), "{line} is not in\n{lines}");
    }
}

#[test]
fn a_changed_setting_is_in_force_at_once_counted_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let (broker, mut client) = start(home.path());
    number(&client.ask(send_to("Before")), "queueOffset");
    let (before, _) = told(&mut client);
    let text = "traceOn=false\nmaxMessageSize=1024\nautoCreateTopicEnable=false\n";
    assert_eq!(client.ask(change(text)).code, 0);
    assert_eq!(told(&mut client).0.counter, before.counter + 1);
    let is_in_force = |client: &mut Connection| {
        assert!(has(&told(client).1, "maxMessageSize=1024"));
        let too_long = client.ask(send_to("Before").with_body(vec![b'b'; 1025]));
        assert_eq!(
            ResponseCode(too_long.code),
            ResponseCode::MESSAGE_ILLEGAL,
            "{too_long:?}"
        );
        let short = client.ask(send_to("Before"));
        assert_eq!(short.fields.get("TRACE_ON"), Some("false"), "{short:?}");
        let new = client.ask(send_to("New"));
        refused(&new, ResponseCode::TOPIC_NOT_EXIST);
    };
    is_in_force(&mut client);
    broker.stop().unwrap();
    let (broker, mut client) = start(home.path());
    is_in_force(&mut client);
    broker.stop().unwrap();
}

#[test]
fn name_servers_hear_of_a_changed_permission() {
    let broker = TestBroker::start();
    let (mut client, mut name_server) = (Connection::to(broker.broker()), Connection::to(broker.name_server()));
    number(&client.ask(send_to("T")), "queueOffset");
    assert_eq!(client.ask(change("brokerPermission=4")).code, 0);
    let route = Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", "T");
    let asked_at = std::time::Instant::now();
    loop {
        let route = TopicRouteData::decode(&name_server.ask(route.clone()).body).unwrap();
        if route.queue_datas[0].perm == 4 {
            break;
        }
        assert!(asked_at.elapsed() < crate::PATIENCE, "{route:?}");
    }
}

#[test]
fn what_cannot_be_changed_is_refused_with_the_next_step_and_nothing_is_changed() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let before = told(&mut client);
    let cases = [
        (
            "traceOn=false\nflushDiskType=ASYNC_FLUSH",
            "change it in the settings file and start the broker anew",
        ),
        ("traceon=false", "did you mean traceOn?"),
        ("brokerPermission=3", "nothing was changed"),
        ("brokerFastFailureEnable=false", "has no effect in this broker"),
    ];
    for (text, next_step) in cases {
        let answer = client.ask(change(text));
        let remark = refused(&answer, ResponseCode::SYSTEM_ERROR);
        assert!(remark.contains(next_step), "{text}: {remark}");
    }
    assert_eq!(told(&mut client), before);
    assert!(!broker.data().join("cuemq/live.properties").exists());
}
