//! Connections: unknown codes, senseless bytes, idleness, and frames that come in pieces or many at once.

use std::net::{Shutdown, TcpListener};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{Body, RegisterBrokerBody, TopicConfigTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::HeaderCodec;

use crate::{Connection, PATIENCE, number, refused, send_to};

#[test]
fn an_unknown_code_is_answered_with_3_on_every_port() {
    let broker = TestBroker::start();
    let mut fast = broker.broker();
    fast.set_port(fast.port() - 2);
    for address in [broker.broker(), fast, broker.name_server()] {
        let answer = Connection::to(address).ask(Command::request(RequestCode::from_i32(9999)));
        let remark = refused(&answer, ResponseCode::REQUEST_CODE_NOT_SUPPORTED);
        assert!(
            remark.starts_with(" request type 9999 not supported"),
            "{address}: {remark}"
        );
    }
}

/// Codes of peers that are not served yet: a tool's user sees which one it was.
#[test]
fn a_code_that_is_not_served_yet_is_answered_with_3_and_its_name() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    for code in [RequestCode::POP_MESSAGE, RequestCode::RESUME_CHECK_HALF_MESSAGE] {
        let answer = client.ask(Command::request(code));
        let remark = refused(&answer, ResponseCode::REQUEST_CODE_NOT_SUPPORTED);
        assert!(remark.contains(code.name().unwrap()), "{remark}");
    }
}

#[test]
fn every_code_of_the_table_is_served_or_refused_with_a_reason() {
    let broker = TestBroker::start();
    let is_served = |answer: &Command| answer.code != ResponseCode::REQUEST_CODE_NOT_SUPPORTED.0;
    let is_in_order = |code: &&RequestCode| {
        let by_broker = Connection::to(broker.broker()).ask(Command::request(**code));
        let by_name_server = Connection::to(broker.name_server()).ask(Command::request(**code));
        let name = format!("({}): ", code.name().unwrap());
        let reason = by_broker.remark.as_deref().and_then(|remark| remark.split_once(&name));
        match reason {
            Some((_, reason)) if reason.starts_with("name servers") => is_served(&by_name_server),
            Some((_, reason)) => !reason.is_empty(),
            None => is_served(&by_broker),
        }
    };
    let lost: Vec<_> = RequestCode::ALL.iter().filter(|code| !is_in_order(code)).collect();
    assert_eq!(lost, [&RequestCode(0); 0], "neither served nor refused with a reason");
}

#[test]
fn a_missing_field_is_named() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let answer = client.ask(Command::request(RequestCode::GET_MAX_OFFSET).with_field("topic", "T"));
    assert!(
        refused(&answer, ResponseCode::SYSTEM_ERROR).contains("queueId"),
        "{answer:?}"
    );
}

#[test]
fn senseless_bytes_end_their_connection_alone_and_are_counted() {
    let broker = TestBroker::start();
    let mut witness = Connection::to(broker.broker());
    number(&witness.ask(send_to("Witness")), "queueOffset");
    let senseless: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        // 2 GiB announced
        &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        // a header longer than its frame
        &[0, 0, 0, 8, 0, 0, 0xff, 0, 0, 0, 0, 0],
        // a header that is no JSON
        &[0, 0, 0, 8, 0, 0, 0, 4, b'{', b'{', b'}', b'x'],
    ];
    for bytes in senseless {
        let mut client = Connection::to(broker.broker());
        client.write(bytes);
        assert!(client.next().is_none(), "{bytes:?}");
    }
    assert_eq!(broker.metrics().frames_refused.get(), 4);
    assert_eq!(number(&witness.ask(send_to("Witness")), "queueOffset"), 1);
}

#[test]
fn frames_may_come_byte_by_byte_or_many_at_once() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Pieces")), "queueOffset");
    let mut frames = Vec::new();
    for opaque in 1..=3 {
        let request = Command {
            opaque,
            ..send_to("Pieces")
        };
        request.encode(&mut frames).unwrap();
    }
    for byte in &frames {
        client.write(&[*byte]);
    }
    client.write(&frames);
    let mut opaques: Vec<i32> = (0..6).map(|_| client.receive().opaque).collect();
    opaques.sort_unstable();
    assert_eq!(opaques, [1, 1, 2, 2, 3, 3]);
}

#[test]
fn what_was_sent_before_the_end_of_a_connection_is_still_answered() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let sent = [client.send(send_to("Last")), client.send(send_to("Last"))];
    client.stream.shutdown(Shutdown::Write).unwrap();
    let answered = [client.receive(), client.receive()];
    assert!(
        answered
            .iter()
            .all(|answer| answer.code == 0 && sent.contains(&answer.opaque)),
        "{answered:?}"
    );
    assert!(client.next().is_none());
}

/// It is looked for every 5 s.
#[test]
fn an_idle_connection_is_closed_at_its_limit_or_up_to_5_s_later() {
    const IDLE_LIMIT: Duration = Duration::from_secs(1);
    let latest = IDLE_LIMIT + Duration::from_secs(5);
    let slack = Duration::from_secs(3);
    let broker = TestBroker::builder()
        .config(|config| config.idle_limit = IDLE_LIMIT)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    let asked_at = Instant::now();
    number(&client.ask(send_to("Idle")), "queueOffset");
    let answered_at = Instant::now();
    assert!(client.next().is_none());
    let (since_asked, since_answered) = (asked_at.elapsed(), answered_at.elapsed());
    assert!(since_asked >= IDLE_LIMIT, "closed {since_asked:?} after it was used");
    assert!(
        since_answered < latest + slack,
        "closed {since_answered:?} after it was used"
    );
}

#[test]
fn connections_beyond_the_limit_are_closed_at_once_and_counted() {
    let broker = TestBroker::builder()
        .config(|config| config.connections_max = 2)
        .start()
        .unwrap();
    let refused = || broker.metrics().connections_refused.get();
    // The broker's own registration goes to the name server's door, which has a limit of its own.
    let mut kept = [Connection::to(broker.broker()), Connection::to(broker.broker())];
    for client in &mut kept {
        number(&client.ask(send_to("Kept")), "queueOffset");
    }
    assert!(Connection::to(broker.broker()).next().is_none());
    assert_eq!(refused(), 1);
    assert_eq!(number(&kept[0].ask(send_to("Kept")), "queueOffset"), 2);
}

#[test]
fn the_fields_of_an_access_control_signature_are_accepted() {
    let broker = TestBroker::start();
    for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
        let signed = send_to("Signed")
            .with_field("AccessKey", "someone")
            .with_field("Signature", "dGVzdA==")
            .with_field("SecurityToken", "token");
        number(
            &Connection::to(broker.broker()).speaking(codec).ask(signed),
            "queueOffset",
        );
    }
}

/// An answer from a client that nobody waits for is dropped; requests and answers have opaques of their own.
#[test]
fn a_clients_answer_with_the_opaque_of_a_request_is_no_request() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let request = Command::request(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED);
    client.send(Command::response_to(&request, ResponseCode::SUCCESS));
    assert_eq!(number(&client.ask(send_to("Both")), "queueOffset"), 0);
}

#[test]
fn a_broker_registers_with_its_name_servers_again_and_again() {
    let (_broker, mut name_server) = broker_with_name_server();
    for _ in 0..3 {
        registered(&mut name_server, "");
    }
}

/// A broker that registers every 50 ms, and what its second name server has to answer.
fn broker_with_name_server() -> (TestBroker, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connection) = mpsc::channel();
    std::thread::spawn(move || accepted.send(Connection::over(listener.accept().unwrap().0)));
    let broker = TestBroker::builder().config(|config| {
        config.name_servers = vec![address.to_string()];
        config.register_interval = Duration::from_millis(50);
    });
    let broker = broker.start().unwrap();
    let connection = connection.recv_timeout(PATIENCE);
    (broker, connection.expect("the broker comes to its name server"))
}

/// Takes a registration, answers it with `order`, and gives the broker's topics.
fn registered(name_server: &mut Connection, order: &str) -> TopicConfigTable {
    let request = name_server.receive();
    assert_eq!(RequestCode(request.code), RequestCode::REGISTER_BROKER);
    let success = Command::response_to(&request, ResponseCode::SUCCESS).with_body(order.as_bytes().to_vec());
    let mut answer = Vec::new();
    success.encode(&mut answer).unwrap();
    name_server.write(&answer);
    RegisterBrokerBody::decode(&request.body).unwrap().topics
}

/// The order configuration comes as the body of the answer to 103.
#[test]
fn a_broker_marks_the_order_topics_that_its_name_servers_name_and_no_others() {
    let (_broker, mut name_server) = broker_with_name_server();
    let mut order_topics = |order: &str, expected: &[&str]| {
        let is_order = |table: TopicConfigTable| -> Vec<String> {
            let topics = table.topic_config_table.into_iter();
            topics.filter(|(_, topic)| topic.order).map(|(name, _)| name).collect()
        };
        // The registration under way knows nothing of the answer, nor do those that were on their way.
        let seen = (0..100).map(|_| is_order(registered(&mut name_server, order)));
        assert!(seen.skip(1).any(|topics| topics == expected), "{order}");
    };
    order_topics(
        r#"{"table":{"TBW102":"broker-a:8","Unknown":"broker-a:1"}}"#,
        &["TBW102"],
    );
    order_topics("", &["TBW102"]);
    order_topics("no table", &["TBW102"]);
    order_topics(r#"{"table":{"SELF_TEST_TOPIC":"broker-a:1"}}"#, &["SELF_TEST_TOPIC"]);
    order_topics(r#"{"table":{}}"#, &[]);
}
