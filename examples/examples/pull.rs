//! Pulls from a queue from a position of one's own choice; the application keeps how far it has come.
//!
//! Run it: `cargo run -p cuemq-examples --example pull` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use anyhow::Result;
use cuemq_client::{Message, Producer, PullConsumer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let producer = Producer::builder("meters").namesrv_addr(&names.address).start().await?;
    let first = producer.send(Message::new("Readings", "20.1")).await?;
    producer.send_to(Message::new("Readings", "20.2"), &first.queue).await?;
    producer.shutdown().await;

    let consumer = PullConsumer::builder("charts")
        .namesrv_addr(&names.address)
        .start()
        .await?;
    let mut next = first.queue_offset;
    while next < first.queue_offset + 2 {
        let pulled = consumer.pull_block_if_not_found(&first.queue, "*", next, 32).await?;
        for message in &pulled.messages {
            println!("pulled: {}", String::from_utf8_lossy(message.body()));
        }
        next = pulled.next_begin_offset;
    }
    consumer.update_consume_offset(&first.queue, next);
    consumer.shutdown().await?;
    Ok(())
}
