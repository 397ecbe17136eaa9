//! Messages that are delivered later: after one of the broker's levels, and after any time.
//!
//! Run it: `cargo run -p cuemq-examples --example produce_delayed` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use std::time::Duration;

use anyhow::{Context, Result};
use cuemq_client::{Message, Producer, PushConsumer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let producer = Producer::builder("cooks").namesrv_addr(&names.address).start().await?;
    let mut messages = PushConsumer::builder("eaters")
        .namesrv_addr(&names.address)
        .subscribe("Dishes", "*")
        .consume_from_where(cuemq_client::consumer::ConsumeFromWhere::FirstOffset)
        .start_stream()
        .await?;
    producer
        .send(Message::new("Dishes", "tea, after a second").delay_time_level(1))
        .await?;
    let soon = Duration::from_millis(300);
    producer
        .send(Message::new("Dishes", "an egg, after 300 ms").delay_time(soon))
        .await?;
    for _ in 0..2 {
        let delivery = messages.recv().await.context("the stream ended")?;
        println!("served: {}", String::from_utf8_lossy(delivery.message().body()));
        delivery.ack();
    }
    messages.shutdown().await?;
    producer.shutdown().await;
    Ok(())
}
