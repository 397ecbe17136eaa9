//! The client library's producers against a whole broker on real sockets, in this process: what applications do with them, and
//! what they find at the broker then.
//!
//! Here: the broker, and a look at what it stored that goes past the library. `sends` and
//! `transactions` are what producers do, `finding` is queries and replies, `tools` and `operators` what admin tools ask,
//! `traces` what is told of messages, `reaching` how servers are found and spoken to.
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test prepares files that a broker finds, and is its own client"
)]

mod finding;
mod operators;
mod reaching;
mod sends;
mod tools;
mod traces;
mod transactions;

use std::time::Duration;

use bytes::Bytes;
use cuemq_actors::testing::TestBroker;
use cuemq_client::{ClientOptions, Producer};
use cuemq_net::code::RequestCode;
use cuemq_net::message::record::{Record, records};
use cuemq_net::request::PullHeader;
use cuemq_net::transport::{Caller, Settings, over};

/// How long anything may take; far longer than anything does, so that a loaded machine fails no test.
const PATIENCE: Duration = Duration::from_secs(30);

/// Options of a client of this broker.
fn options(broker: &TestBroker) -> ClientOptions {
    ClientOptions::new().namesrv_addr(broker.name_server().to_string())
}

/// A producer with a client of its own.
async fn producer(broker: &TestBroker, group: &str) -> Producer {
    Producer::builder(group)
        .client_options(options(broker))
        .start()
        .await
        .unwrap()
}

/// A connection past the library.
async fn connect(broker: &TestBroker) -> Caller {
    let stream = tokio::net::TcpStream::connect(broker.broker()).await.unwrap();
    let (caller, _requests, driver) = over(stream, Settings::default());
    tokio::spawn(driver.run());
    caller
}

/// The records of a queue from its beginning; waits until there are so many.
async fn stored(broker: &TestBroker, topic: &str, queue_id: i32, many: usize) -> Vec<Bytes> {
    let caller = connect(broker).await;
    let mut found = Vec::new();
    while found.len() < many {
        let header = PullHeader {
            consumer_group: "looks_on",
            topic,
            queue_id,
            queue_offset: i64::try_from(found.len()).unwrap(),
            max_msg_nums: 32,
            // waits for a message when there is none yet, and brings its subscription
            sys_flag: 0b110,
            suspend_timeout_millis: 15_000,
            subscription: Some("*"),
            ..PullHeader::default()
        };
        let answer = caller
            .call(RequestCode::PULL_MESSAGE, |fields| header.write(fields), b"", PATIENCE)
            .await
            .unwrap();
        assert!(answer.code == 0 || answer.code == 19, "{:?}", answer.remark);
        let all = records(&answer.body).map(|record| answer.body.slice_ref(record.unwrap().as_bytes()));
        found.extend(all);
    }
    found
}

/// The bodies of records.
fn bodies(records: &[Bytes]) -> Vec<String> {
    let body = |record: &Bytes| String::from_utf8_lossy(Record::parse(record).unwrap().body()).into_owned();
    records.iter().map(body).collect()
}
