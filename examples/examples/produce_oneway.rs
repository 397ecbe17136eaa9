//! Sends without waiting for an answer, where a lost message does no harm.
//!
//! Run it: `cargo run -p cuemq-examples --example produce_oneway` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use anyhow::Result;
use cuemq_client::{Admin, Message, Producer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let producer = Producer::builder("meters").namesrv_addr(&names.address).start().await?;
    // makes the topic, and waits for that
    let first = producer.send(Message::new("Readings", "20.1")).await?;
    producer
        .send_oneway_to(Message::new("Readings", "20.2"), &first.queue)
        .await?;
    let admin = Admin::new(producer.client());
    while admin.max_offset(&first.queue).await? < first.queue_offset + 2 {
        tokio::task::yield_now().await;
    }
    println!("both readings are there");
    producer.shutdown().await;
    Ok(())
}
