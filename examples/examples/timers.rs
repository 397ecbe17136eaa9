//! A timed message, and one that is taken back before its time.
//!
//! Run it: `cargo run -p cuemq-examples --example timers` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use std::time::Duration;

use anyhow::{Context, Result};
use cuemq_client::{Message, Producer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let producer = Producer::builder("reminders")
        .namesrv_addr(&names.address)
        .start()
        .await?;
    let forty_days = Duration::from_secs(40 * 86_400);
    let sent = producer
        .send(Message::new("Reminders", "water the cactus").delay_time(forty_days))
        .await?;
    let handle = sent.recall_handle.clone().context("the broker has no timers")?;
    let recalled = producer.recall_message("Reminders", &handle).await?;
    println!("taken back: {}", sent.msg_id == recalled);
    producer.shutdown().await;
    Ok(())
}
