//! Every consumer of a broadcasting group gets every message.
//!
//! Run it: `cargo run -p cuemq-examples --example consume_broadcast` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use anyhow::{Context, Result};
use cuemq_client::consumer::{ConsumeFromWhere, MessageModel};
use cuemq_client::{ClientOptions, Message, Producer, PushConsumer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    // each consumer keeps its own offsets in a file below this folder
    let offsets = tempfile::tempdir()?;
    let producer = Producer::builder("news").namesrv_addr(&names.address).start().await?;
    producer.send(Message::new("News", "it rains")).await?;
    for name in ["kitchen", "garden"] {
        let options = ClientOptions::new().namesrv_addr(&names.address).instance_name(name);
        let mut messages = PushConsumer::builder("radios")
            .client_options(options)
            .subscribe("News", "*")
            .message_model(MessageModel::Broadcasting)
            .local_offset_store_dir(offsets.path())
            .consume_from_where(ConsumeFromWhere::FirstOffset)
            .start_stream()
            .await?;
        let delivery = messages.recv().await.context("the stream ended")?;
        println!("{name}: {}", String::from_utf8_lossy(delivery.message().body()));
        delivery.ack();
        messages.shutdown().await?;
    }
    producer.shutdown().await;
    Ok(())
}
