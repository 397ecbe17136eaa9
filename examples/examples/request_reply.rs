//! One program asks another over a topic, and waits for its reply.
//!
//! Run it: `cargo run -p cuemq-examples --example request_reply` starts a broker for itself;
//! `… --example request_reply 127.0.0.1:9876` uses the name server there.

use std::time::Duration;

use anyhow::{Context, ensure};
use cuemq_actors::testing::TestBroker;
use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{ClientOptions, Error, Message, Producer, PushConsumer, ReceivedMessage};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let given = std::env::args().nth(1);
    let own = given.is_none().then(TestBroker::start);
    let name_server = given
        .or(own.as_ref().map(|broker| broker.name_server().to_string()))
        .context("no broker")?;

    // the one that replies: a consumer and a producer over one client
    let client = ClientOptions::new().namesrv_addr(&name_server).start().await?;
    let replies = Producer::builder("calculators").client(&client).start().await?;
    let sender = replies.clone();
    let consumer = PushConsumer::builder("calculators")
        .client(&client)
        .subscribe("Sums", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages: Vec<ReceivedMessage>| {
            let sender = sender.clone();
            async move {
                for question in &messages {
                    let sum: i64 = String::from_utf8_lossy(question.body())
                        .split('+')
                        .flat_map(str::parse::<i64>)
                        .sum();
                    sender.send(Message::reply_to(question, sum.to_string())?).await?;
                }
                Ok::<_, Error>(())
            }
        })
        .await?;

    // the one that asks
    let asks = Producer::builder("pupils").namesrv_addr(&name_server).start().await?;
    let reply = asks
        .request(Message::new("Sums", "12+30"), Duration::from_secs(60))
        .await?;
    println!("12+30 is {}", String::from_utf8_lossy(reply.body()));
    ensure!(&reply.body()[..] == b"42", "it is not");

    asks.shutdown().await;
    consumer.shutdown().await?;
    replies.shutdown().await;
    client.shutdown().await;
    Ok(())
}
