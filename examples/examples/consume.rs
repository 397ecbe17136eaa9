//! Consumes messages by a listener: many at a time, in any order, and those that fail come again.
//!
//! Run it: `cargo run -p cuemq-examples --example consume` starts a broker for itself and sends ten messages;
//! `… --example consume 127.0.0.1:9876 Orders billing 10` takes ten of topic `Orders` as group `billing` by the name server there,
//! be it CueMQ's or Apache's.

use anyhow::{Context, Result};
use cuemq_actors::testing::TestBroker;
use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Consumed, Message, Producer, PushConsumer, ReceivedMessage};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut given = std::env::args().skip(1);
    let (name_server, own) = match given.next() {
        Some(name_server) => (name_server, None),
        None => {
            let broker = TestBroker::start();
            (broker.name_server().to_string(), Some(broker))
        }
    };
    let topic = given.next().unwrap_or_else(|| "Orders".to_owned());
    let group = given.next().unwrap_or_else(|| "billing".to_owned());
    let many: usize = given.next().map_or(Ok(10), |many| many.parse())?;
    if own.is_some() {
        send(&name_server, &topic, many).await?;
    }

    let (done, mut consumed) = mpsc::unbounded_channel();
    let consumer = PushConsumer::builder(group)
        .namesrv_addr(name_server)
        .subscribe(topic, "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages: Vec<ReceivedMessage>| {
            let done = done.clone();
            async move {
                for message in messages {
                    // an error here, or a panic, has the message come again
                    let _ = done.send(message);
                }
                Consumed::Success
            }
        })
        .await?;
    for _ in 0..many {
        let message = consumed.recv().await.context("the consumer ended")?;
        let body = String::from_utf8_lossy(message.body());
        println!(
            "queue {} offset {}: {body}",
            message.queue().queue_id,
            message.queue_offset()
        );
    }
    // waits for calls of the listener that run, and saves what they did
    consumer.shutdown().await?;
    Ok(())
}

async fn send(name_server: &str, topic: &str, many: usize) -> Result<()> {
    let producer = Producer::builder("shop").namesrv_addr(name_server).start().await?;
    for number in 0..many {
        producer.send(Message::new(topic, format!("order {number}"))).await?;
    }
    producer.shutdown().await;
    Ok(())
}
