//! A consumer that wants only what an expression over the properties chooses; the broker has to have SQL filters on.
//!
//! Run it: `cargo run -p cuemq-examples --example consume_filtered` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use anyhow::{Context, Result};
use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Message, MessageSelector, Producer, PushConsumer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let producer = Producer::builder("shop").namesrv_addr(&names.address).start().await?;
    for (thing, cents) in [("a pencil", "90"), ("a globe", "4900"), ("a rubber", "60")] {
        producer
            .send(Message::new("Sales", thing).property("cents", cents))
            .await?;
    }
    let mut messages = PushConsumer::builder("luxuries")
        .namesrv_addr(&names.address)
        .subscribe("Sales", MessageSelector::by_sql("cents > 1000"))
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start_stream()
        .await?;
    let delivery = messages.recv().await.context("the stream ended")?;
    println!("worth telling: {}", String::from_utf8_lossy(delivery.message().body()));
    delivery.ack();
    messages.shutdown().await?;
    producer.shutdown().await;
    Ok(())
}
