//! Sends messages in batches that are not too long, each stored as a whole.
//!
//! Run it: `cargo run -p cuemq-examples --example produce_batch` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use anyhow::Result;
use cuemq_client::{Message, Producer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let producer = Producer::builder("counters")
        .namesrv_addr(&names.address)
        .max_message_size(4096)
        .start()
        .await?;
    let messages = (0..100)
        .map(|number| Message::new("Numbers", format!("number {number}")))
        .collect();
    for batch in producer.split(messages) {
        let sent = producer.send_batch(&batch).await?;
        println!("a batch of {} from {} of one queue on", batch.len(), sent.queue_offset);
    }
    producer.shutdown().await;
    Ok(())
}
