//! Sends one message and receives it, over the protocol that Java clients speak.
//!
//! Run it: `cargo run -p cuemq-examples --example first_message` starts a broker for itself;
//! `… --example first_message 127.0.0.1:10911` uses the one that runs there.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use cuemq_actors::testing::TestBroker;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::message::record::records;
use cuemq_net::request::{PullHeader, SendHeader};
use cuemq_net::transport::{Caller, Settings, over};

const TOPIC: &str = "FirstMessage";
const PATIENCE: Duration = Duration::from_secs(3);

#[actix::main]
async fn main() -> anyhow::Result<()> {
    let given: Option<SocketAddr> = std::env::args().nth(1).map(|address| address.parse()).transpose()?;
    let own = given.is_none().then(TestBroker::start);
    let address = given.or(own.as_ref().map(TestBroker::broker)).context("no broker")?;
    let caller = connect(address).await?;

    let queue_offset = send(&caller, b"Hello, CueMQ!").await?;
    println!("sent to {TOPIC}, queue 0, offset {queue_offset}: on disk");
    println!("received: {}", receive(&caller, queue_offset).await?);
    Ok(())
}

#[expect(clippy::disallowed_types, reason = "a client brings its own connection")]
async fn connect(address: SocketAddr) -> anyhow::Result<Caller> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (caller, _requests_of_the_broker, driver) = over(stream, Settings::default());
    drop(actix::spawn(driver.run()));
    Ok(caller)
}

/// Sends a message to queue 0, whose topic is made by it; gives its place in the queue.
async fn send(caller: &Caller, body: &[u8]) -> anyhow::Result<i64> {
    let header = SendHeader {
        producer_group: "first_producers",
        topic: TOPIC,
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id: 0,
        ..SendHeader::default()
    };
    let code = RequestCode::SEND_MESSAGE_V2;
    let answer = caller.call(code, |fields| header.write(fields), body, PATIENCE).await?;
    ensure!(answer.code == ResponseCode::SUCCESS.0, "not sent: {:?}", answer.remark);
    Ok(answer.fields.get("queueOffset").context("no queue offset")?.parse()?)
}

/// Pulls the message at a place of queue 0.
async fn receive(caller: &Caller, queue_offset: i64) -> anyhow::Result<String> {
    let header = PullHeader {
        consumer_group: "first_consumers",
        topic: TOPIC,
        queue_id: 0,
        queue_offset,
        max_msg_nums: 1,
        // Waits for a message when there is none yet, and brings its subscription.
        sys_flag: 0b110,
        commit_offset: 0,
        suspend_timeout_millis: 1000,
        subscription: Some("*"),
        ..PullHeader::default()
    };
    let code = RequestCode::PULL_MESSAGE;
    let answer = caller.call(code, |fields| header.write(fields), b"", PATIENCE).await?;
    ensure!(
        answer.code == ResponseCode::SUCCESS.0,
        "not received: {:?}",
        answer.remark
    );
    let record = records(&answer.body).next().context("no message")??;
    Ok(String::from_utf8_lossy(record.body()).into_owned())
}
