//! What admin tools do: makes a topic, and asks where its messages are.
//!
//! Run it: `cargo run -p cuemq-examples --example admin` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use anyhow::{Context, Result};
use cuemq_client::{Admin, ClientOptions, Message, Producer};
use cuemq_examples::NameServer;
use cuemq_net::body::TopicConfig;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let client = ClientOptions::new().namesrv_addr(&names.address).start().await?;
    let admin = Admin::new(&client);
    let cluster = admin.examine_cluster().await?;
    let name = cluster.cluster_addr_table.keys().next().context("no cluster")?;
    let broker = admin.masters_of(name).await?.into_iter().next().context("no broker")?;
    let topic = TopicConfig {
        topic_name: "Invoices".to_owned(),
        read_queue_nums: 2,
        write_queue_nums: 2,
        ..TopicConfig::default()
    };
    admin.create_and_update_topic(&broker, &topic).await?;
    let producer = Producer::builder("office").client(&client).start().await?;
    let sent = producer
        .send(Message::new("Invoices", "17 EUR").keys(["invoice-1"]))
        .await?;
    let queues = admin.examine_topic_stats("Invoices").await?.offset_table;
    println!(
        "queues: {}, messages: {}",
        queues.len(),
        queues.values().map(|queue| queue.max_offset).sum::<i64>()
    );
    let found = admin.view_message_at(&sent.offset_msg_id).await?;
    println!("found: {}", String::from_utf8_lossy(found.body()));
    producer.shutdown().await;
    client.shutdown().await;
    Ok(())
}
