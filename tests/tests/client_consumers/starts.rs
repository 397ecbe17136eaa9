//! Where a group begins that has no offset yet. A broker tells a new group 0 for a queue that still lies in memory, so the
//! queues here are old: this broker takes nothing to be in memory.

use std::time::Duration;

use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Consumed, PushConsumer, PushConsumerBuilder};

use crate::{NOON_MS, Stand, inbox, soon, text};

/// Sends a message at noon, one an hour later and, once the consumer owns the queue, a third: gives those that come.
async fn come(settings: impl FnOnce(PushConsumerBuilder) -> PushConsumerBuilder) -> Vec<String> {
    let stand = Stand::with(|config| config.memory_bytes = Some(0));
    stand.create_topic("T", 1).await;
    stand.send("T", 0, "noon").await;
    stand.clock.advance(Duration::from_secs(3600));
    stand.send("T", 0, "one o'clock").await;
    let (into, mut got) = inbox();
    let builder = PushConsumer::builder("g")
        .client_options(stand.options())
        .subscribe("T", "*");
    let consumer = settings(builder)
        .start(move |messages| {
            into.take(messages);
            async { Consumed::Success }
        })
        .await
        .unwrap();
    soon("the queue is owned", async {
        while !consumer.owned_queues().iter().any(|queue| queue.topic == "T") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stand.send("T", 0, "later").await;
    let mut came = Vec::new();
    while came.last().is_none_or(|last| last != "later") {
        came.push(text(&got.next().await));
    }
    consumer.shutdown().await.unwrap();
    came
}

#[tokio::test]
async fn a_new_group_begins_at_the_end() {
    assert_eq!(come(|builder| builder).await, ["later"]);
}

#[tokio::test]
async fn a_new_group_begins_at_the_beginning_where_it_is_told_so() {
    let came = come(|builder| builder.consume_from_where(ConsumeFromWhere::FirstOffset)).await;
    assert_eq!(came, ["noon", "one o'clock", "later"]);
}

#[tokio::test]
async fn a_new_group_begins_at_a_time_where_it_is_told_one() {
    let quarter_to_one = i64::try_from(NOON_MS).unwrap() + 45 * 60 * 1000;
    let came = come(|builder| {
        builder
            .consume_from_where(ConsumeFromWhere::Timestamp)
            .consume_timestamp_ms(quarter_to_one)
    });
    assert_eq!(came.await, ["one o'clock", "later"]);
}
