//! What goes over a connection with TLS: much at once, to who reads late, and the end.

use std::io::Read;

use cuemq_actors::testing::TestBroker;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;

use crate::{Connection, Secure, log, secure, send_to, takes_any};

const MESSAGES: usize = 24;
const BODY_BYTES: usize = 1 << 20;

/// A body that no two messages share.
fn body(number: usize) -> Vec<u8> {
    let pattern = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    pattern.to_le_bytes().repeat(BODY_BYTES / 8)
}

fn client(broker: &TestBroker) -> Connection<Secure> {
    secure(broker.broker(), "localhost", &takes_any()).unwrap()
}

/// A pull of the message at a place that waits for it.
fn pull(place: usize) -> Command {
    Command::request(RequestCode::PULL_MESSAGE)
        .with_field("consumerGroup", "TOOLS_CONSUMER")
        .with_field("topic", "Large")
        .with_field("queueId", 0)
        .with_field("queueOffset", place)
        .with_field("maxMsgNums", 1)
        .with_field("sysFlag", 6)
        .with_field("commitOffset", 0)
        .with_field("suspendTimeoutMillis", 15_000)
        .with_field("subscription", "*")
        .with_field("subVersion", 1)
        .with_field("expressionType", "TAG")
}

#[test]
fn messages_of_a_mebibyte_go_in_and_come_out_also_to_who_reads_late() {
    log::listen();
    let broker = TestBroker::builder().config(|config| config.segment_bytes = Some(64 << 20));
    let broker = broker.start().unwrap();
    let mut sender = client(&broker);
    for number in 0..MESSAGES {
        let answer = sender.ask(send_to("Large", body(number))).unwrap();
        assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
    }
    let mut reader = client(&broker);
    // All are asked for before anything is read: far more than sockets and TLS keep between them.
    for place in 0..MESSAGES {
        reader.send(pull(place)).unwrap();
    }
    let mut found = vec![false; MESSAGES];
    for _ in 0..MESSAGES {
        let answer = reader.next().expect("the broker keeps the connection");
        assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
        let place = usize::try_from(answer.opaque).unwrap() - 1;
        let expected = body(place);
        assert!(
            answer
                .body
                .windows(64)
                .position(|window| window == &expected[..64])
                .is_some_and(|at| { answer.body.get(at..at + BODY_BYTES) == Some(&expected[..]) }),
            "message {place} came otherwise"
        );
        found[place] = true;
    }
    assert!(found.iter().all(|found| *found), "{found:?}");
}

#[test]
fn a_broker_that_stops_ends_tls_in_order() {
    log::listen();
    let broker = TestBroker::start();
    let mut client = client(&broker);
    assert!(client.is_served());
    broker.stop().unwrap();
    // Without the alert that says so, rustls reports the end as a possible truncation.
    assert_eq!(client.stream.read(&mut [0; 1]).unwrap(), 0);
}
