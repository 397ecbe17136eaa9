//! Tests a whole broker with all its actors, without a socket and without a file: its network, its disk and its clock
//! are values that the test holds. Here it loses its process right after a send was acknowledged.
//!
//! Run it: `cargo run -p cuemq-examples --example test_whole_broker`. In a crate of yours, `main` would be a
//! `#[tokio::test]` function. One actor alone is tested in `test_one_actor`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use cuemq_actors::testing::{ManualClock, MemoryDisk, MemoryNet, TestBroker};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::header::FieldWriter;
use cuemq_net::request::{EarliestStoreTime, SendHeader};
use cuemq_net::transport::{CallError, Settings, over};

const TOPIC: &str = "Orders";
const PATIENCE: Duration = Duration::from_secs(3);
const NOON_MS: u64 = 1_700_000_000_000;

/// Asks over a connection of its own, which is bytes in memory.
async fn ask(
    broker: &TestBroker,
    code: RequestCode,
    fields: impl FnOnce(&mut FieldWriter<'_>),
    body: &[u8],
) -> Result<Command, CallError> {
    let (caller, _requests_of_the_broker, driver) = over(broker.connect(), Settings::default());
    drop(actix::spawn(driver.run()));
    caller.call(code, fields, body, PATIENCE).await
}

#[actix::main]
async fn main() -> anyhow::Result<()> {
    let (net, disk) = (MemoryNet::new(), MemoryDisk::new(1));
    let clock = Arc::new(ManualClock::new(NOON_MS));
    let start = || {
        TestBroker::builder()
            .memory_net(&net)
            .memory_disk(&disk)
            .clock(clock.clone())
            .start()
    };

    let broker = start()?;
    let message = SendHeader {
        producer_group: "shop",
        topic: TOPIC,
        default_topic: "TBW102",
        default_topic_queue_nums: 1,
        queue_id: 0,
        ..SendHeader::default()
    };
    let sent = ask(
        &broker,
        RequestCode::SEND_MESSAGE_V2,
        |fields| message.write(fields),
        b"one tea",
    )
    .await?;
    ensure!(
        sent.fields.get("queueOffset") == Some("0"),
        "not sent: {:?}",
        sent.remark
    );
    println!("acknowledged by a broker without sockets");
    print!("{}", broker.tree());

    broker.kill();
    disk.kill();
    clock.advance(Duration::from_secs(3600));
    println!("the process is gone, and an hour later another one starts on its disk");

    let broker = start()?;
    let first = EarliestStoreTime {
        topic: TOPIC,
        queue_id: 0,
    };
    let found = ask(
        &broker,
        RequestCode::GET_EARLIEST_MSG_STORETIME,
        |fields| first.write(fields),
        b"",
    )
    .await?;
    ensure!(
        found.fields.get("timestamp") == Some(NOON_MS.to_string().as_str()),
        "lost: {found:?}"
    );
    println!("what was acknowledged is there, stored at noon");
    broker.stop()?;
    Ok(())
}
