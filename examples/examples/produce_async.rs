//! Sends many messages at a time: the application goes on while so many at most are on their way.
//!
//! Run it: `cargo run -p cuemq-examples --example produce_async` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use anyhow::Result;
use cuemq_client::{Message, Producer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let producer = Producer::builder("counters")
        .namesrv_addr(&names.address)
        .send_window(16)
        .start()
        .await?;
    let mut pending = Vec::new();
    for number in 0..100 {
        // waits only while 16 are on their way
        pending.push(producer.send_async(Message::new("Numbers", number.to_string())).await?);
    }
    let mut stored = 0;
    for sent in pending {
        sent.await?;
        stored += 1;
    }
    println!("stored: {stored} messages");
    producer.shutdown().await;
    Ok(())
}
