//! Queues that the broker shares out for clients of release 5.

use std::time::Instant;

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{
    Body, ConsumerData, HeartbeatData, MessageModel, MessageRequestMode, QueryAssignment, QueueAssignments,
    SetMessageRequestMode,
};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;

use crate::{Connection, PATIENCE, number, refused, send_to};

fn member(broker: &TestBroker, client_id: &str) -> Connection {
    let mut connection = Connection::to(broker.broker());
    let data = HeartbeatData {
        client_id: client_id.to_owned(),
        consumers: vec![ConsumerData {
            group_name: "g".to_owned(),
            ..ConsumerData::default()
        }],
        ..HeartbeatData::default()
    };
    connection.send(Command::request(RequestCode::HEART_BEAT).with_body(data.encode(Style::Fastjson)));
    let come = [connection.receive(), connection.receive()];
    assert!(come.iter().any(Command::is_response), "{come:?}");
    connection
}

fn question(client_id: &str, strategy: &str, message_model: MessageModel) -> Command {
    let body = QueryAssignment {
        client_id: client_id.to_owned(),
        consumer_group: "g".to_owned(),
        message_model,
        strategy_name: Some(strategy.to_owned()),
        topic: "Shared".to_owned(),
    };
    Command::request(RequestCode::QUERY_ASSIGNMENT).with_body(body.encode(Style::Fastjson))
}

/// The queues that a consumer gets; `None` where the broker cannot tell.
fn assigned(tool: &mut Connection, question: Command) -> Option<Vec<i32>> {
    let answer = tool.ask(question);
    assert_eq!(answer.code, 0, "{answer:?}");
    let assignments = QueueAssignments::decode(&answer.body)
        .unwrap()
        .message_queue_assignments?;
    assert!(
        assignments
            .iter()
            .all(|assignment| assignment.mode == MessageRequestMode::Pull)
    );
    Some(
        assignments
            .iter()
            .map(|assignment| assignment.message_queue.queue_id)
            .collect(),
    )
}

#[test]
fn queues_are_shared_out_by_the_strategies_that_need_no_settings_of_the_client() {
    let broker = TestBroker::start();
    let mut tool = Connection::to(broker.broker());
    let ask = |tool: &mut Connection, me: &str, by: &str| assigned(tool, question(me, by, MessageModel::Clustering));
    assert_eq!(ask(&mut tool, "one", "AVG"), None, "there is no such topic");
    number(&tool.ask(send_to("Shared")), "queueOffset");
    assert_eq!(ask(&mut tool, "one", "AVG"), None, "nobody of the group is there");
    let (_one, _two) = (member(&broker, "one"), member(&broker, "two"));
    let began = Instant::now();
    while ask(&mut tool, "one", "AVG").is_none() {
        assert!(began.elapsed() < PATIENCE, "the name server knows no route");
    }
    assert_eq!(ask(&mut tool, "one", "AVG").unwrap(), [0, 1]);
    assert_eq!(ask(&mut tool, "two", "AVG").unwrap(), [2, 3]);
    assert_eq!(ask(&mut tool, "two", "AVG_BY_CIRCLE").unwrap(), [1, 3]);
    assert_eq!(
        ask(&mut tool, "three", "AVG").unwrap(),
        [0; 0],
        "who is no member gets none"
    );
    let mut hashed = ask(&mut tool, "one", "CONSISTENT_HASH").unwrap();
    hashed.extend(ask(&mut tool, "two", "CONSISTENT_HASH").unwrap());
    hashed.sort_unstable();
    assert_eq!(hashed, [0, 1, 2, 3]);
    let all = assigned(&mut tool, question("one", "AVG", MessageModel::Broadcasting));
    assert_eq!(all.unwrap(), [0, 1, 2, 3]);
    let by_room = tool.ask(question("one", "MACHINE_ROOM", MessageModel::Clustering));
    let remark = refused(&by_room, ResponseCode::SYSTEM_ERROR);
    assert!(remark.ends_with("let the client do it"), "{remark}");
}

#[test]
fn pop_mode_is_refused_by_name() {
    let broker = TestBroker::start();
    let mut tool = Connection::to(broker.broker());
    let set = |topic: &str, mode| {
        let body = SetMessageRequestMode {
            consumer_group: "g".to_owned(),
            mode,
            topic: topic.to_owned(),
            ..SetMessageRequestMode::default()
        };
        Command::request(RequestCode::SET_MESSAGE_REQUEST_MODE).with_body(body.encode(Style::Fastjson))
    };
    assert_eq!(tool.ask(set("T", MessageRequestMode::Pull)).code, 0);
    let pop = tool.ask(set("T", MessageRequestMode::Pop));
    assert!(refused(&pop, ResponseCode::NO_PERMISSION).contains("pop"));
    let retry = tool.ask(set("%RETRY%g", MessageRequestMode::Pull));
    assert_eq!(
        refused(&retry, ResponseCode::NO_PERMISSION),
        "retry topic is not allowed to set mode"
    );
}
