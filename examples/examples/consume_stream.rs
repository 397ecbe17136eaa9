//! Consumes messages as a stream, each to be acknowledged, and polls for some.
//!
//! Run it: `cargo run -p cuemq-examples --example consume_stream` starts a broker for itself;
//! `… --example consume_stream 127.0.0.1:9876` uses the name server there, CueMQ's or Apache's.

use anyhow::{Context, Result, ensure};
use cuemq_actors::testing::TestBroker;
use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{LitePullConsumer, Message, Producer, PushConsumer};

const TOPIC: &str = "Readings";
const MANY: usize = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let given = std::env::args().nth(1);
    let own = given.is_none().then(TestBroker::start);
    let own_name_server = own.as_ref().map(|broker| broker.name_server().to_string());
    let name_server = given.or(own_name_server).context("no name server")?;
    let producer = Producer::builder("meters").namesrv_addr(&name_server).start().await?;
    for number in 0..MANY {
        producer.send(Message::new(TOPIC, format!("reading {number}"))).await?;
    }
    producer.shutdown().await;

    let mut messages = PushConsumer::builder("accounts")
        .namesrv_addr(&name_server)
        .subscribe(TOPIC, "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start_stream()
        .await?;
    for _ in 0..MANY {
        let delivery = messages.recv().await.context("the stream ended")?;
        println!("as a stream: {}", String::from_utf8_lossy(delivery.message().body()));
        // a delivery that is dropped without a word comes again
        delivery.ack();
    }
    messages.shutdown().await?;

    let consumer = LitePullConsumer::builder("statistics")
        .namesrv_addr(&name_server)
        .subscribe(TOPIC, "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start()
        .await?;
    let mut polled = 0;
    while polled < MANY {
        let messages = consumer.poll().await;
        ensure!(!messages.is_empty(), "nothing to poll");
        polled += messages.len();
        println!("polled: {} messages", messages.len());
    }
    consumer.shutdown().await?;
    if let Some(broker) = own {
        broker.stop()?;
    }
    Ok(())
}
