//! Consumes the messages of each order in the order in which they were sent: all of an order go to one queue, and a queue has
//! one call of the listener at a time, in one consumer of the group.
//!
//! Run it: `cargo run -p cuemq-examples --example consume_in_order` starts a broker for itself;
//! `… --example consume_in_order 127.0.0.1:9876` uses the name server there, CueMQ's or Apache's.

use anyhow::{Context, Result, ensure};
use cuemq_actors::testing::TestBroker;
use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{ConsumedInOrder, Message, Producer, PushConsumer, ReceivedMessage};
use tokio::sync::mpsc;

const TOPIC: &str = "OrderSteps";
const STEPS: [&str; 3] = ["ordered", "paid", "sent"];
const ORDERS: usize = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let given = std::env::args().nth(1);
    let own = given.is_none().then(TestBroker::start);
    let own_name_server = own.as_ref().map(|broker| broker.name_server().to_string());
    let name_server = given.or(own_name_server).context("no name server")?;
    let producer = Producer::builder("shop").namesrv_addr(&name_server).start().await?;
    for step in STEPS {
        for order in 0..ORDERS {
            let message = Message::new(TOPIC, step).keys([format!("{order}")]);
            producer
                .send_by(message, |queues| queues.get(order % queues.len()))
                .await?;
        }
    }
    producer.shutdown().await;

    let (done, mut consumed) = mpsc::unbounded_channel();
    let consumer = PushConsumer::builder("warehouse")
        .namesrv_addr(&name_server)
        .subscribe(TOPIC, "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start_orderly(move |messages: Vec<ReceivedMessage>| {
            let done = done.clone();
            async move {
                for message in messages {
                    let _ = done.send(message);
                }
                // Suspend would have the same messages come again, before any other of the queue
                ConsumedInOrder::Success
            }
        })
        .await?;
    let mut steps = vec![Vec::new(); ORDERS];
    for _ in 0..ORDERS * STEPS.len() {
        let message = consumed.recv().await.context("the consumer ended")?;
        let order: usize = message.keys().next().context("no key")?.parse()?;
        let step = String::from_utf8(message.body().to_vec())?;
        println!("order {order}: {step}");
        steps.get_mut(order).context("no such order")?.push(step);
    }
    ensure!(steps.iter().all(|steps| steps == &STEPS), "out of order: {steps:?}");
    consumer.shutdown().await?;
    if let Some(broker) = own {
        broker.stop()?;
    }
    Ok(())
}
