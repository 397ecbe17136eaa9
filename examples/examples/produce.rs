//! Sends a message, waits until it is stored, and tells where.
//!
//! Run it: `cargo run -p cuemq-examples --example produce` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use anyhow::Result;
use cuemq_client::{Message, Producer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let producer = Producer::builder("greeters")
        .namesrv_addr(&names.address)
        .start()
        .await?;
    let message = Message::new("Greetings", "hello")
        .tags("en")
        .keys(["greeting-1"])
        .property("from", "Ada");
    let sent = producer.send(message).await?;
    println!(
        "stored: {:?} at {} of queue {}",
        sent.status, sent.queue_offset, sent.queue.queue_id
    );
    producer.shutdown().await;
    Ok(())
}
