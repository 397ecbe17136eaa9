//! Polls queues that the application assigns to itself, goes back in them, and commits.
//!
//! Run it: `cargo run -p cuemq-examples --example lite_pull` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use anyhow::Result;
use cuemq_client::{LitePullConsumer, Message, Producer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let producer = Producer::builder("meters").namesrv_addr(&names.address).start().await?;
    let sent = producer.send(Message::new("Readings", "20.1")).await?;
    producer.shutdown().await;

    let builder = LitePullConsumer::builder("auditors")
        .namesrv_addr(&names.address)
        .auto_commit(false);
    let consumer = builder.start().await?;
    consumer.assign([(*sent.queue).clone()]).await?;
    for time in ["first", "second"] {
        consumer.seek(&sent.queue, sent.queue_offset).await?;
        let mut polled = Vec::new();
        while polled.is_empty() {
            polled = consumer.poll().await;
        }
        println!("polled the {time} time: {}", String::from_utf8_lossy(polled[0].body()));
    }
    consumer.commit().await?;
    println!("committed: {:?}", consumer.committed(&sent.queue).await?);
    consumer.shutdown().await?;
    Ok(())
}
