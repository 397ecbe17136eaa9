//! Has the way of a message told to the trace topic, and looks it up there.
//!
//! Run it: `cargo run -p cuemq-examples --example trace` starts a broker for itself; with `HOST:PORT` it uses the name server
//! there.

use anyhow::Result;
use cuemq_client::{Admin, Message, Producer};
use cuemq_examples::NameServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names = NameServer::given_or_own()?;
    let builder = Producer::builder("shop")
        .namesrv_addr(&names.address)
        .enable_msg_trace(true);
    let producer = builder.start().await?;
    let sent = producer
        .send(Message::new("Orders", "one book").keys(["order-17"]))
        .await?;
    let admin = Admin::new(producer.client());
    loop {
        // traces are sent in the background, and indexed a moment later
        let found = admin
            .query_message("RMQ_SYS_TRACE_TOPIC", &sent.msg_id, 8, 0, i64::MAX)
            .await;
        if let Some(trace) = found.unwrap_or_default().first() {
            let text = String::from_utf8_lossy(trace.body()).into_owned();
            let fields: Vec<_> = text.split('\u{1}').collect();
            println!("traced: {} of group {} to {}", fields[0], fields[3], fields[4]);
            break;
        }
        tokio::task::yield_now().await;
    }
    producer.shutdown().await;
    Ok(())
}
