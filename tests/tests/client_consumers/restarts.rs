//! Consumers while their broker crashes and comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Consumed, ConsumedInOrder, PushConsumer, PushConsumerBuilder, ReceivedMessage};

use crate::{Stand, inbox, text};

fn builder(stand: &Stand) -> PushConsumerBuilder {
    let builder = PushConsumer::builder("g")
        .client_options(stand.options())
        .subscribe("T", "*");
    let builder = builder.pull_time_delay_when_exception(Duration::from_millis(100));
    builder.consume_from_where(ConsumeFromWhere::FirstOffset)
}

#[tokio::test]
async fn a_consumer_goes_on_when_its_broker_is_back_and_nothing_is_lost() {
    let mut stand = Stand::start();
    stand.create_topic("T", 2).await;
    let (into, mut got) = inbox();
    let consumer = builder(&stand)
        .start(move |messages| {
            into.take(messages);
            async { Consumed::Success }
        })
        .await
        .unwrap();
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        stand.send_numbers("T", 2, 10 * round..10 * (round + 1)).await;
        // some of this round may come again after the crash: its offsets were not saved
        while seen.len() < 10 * (usize::try_from(round).unwrap() + 1) {
            seen.insert(text(&got.next().await));
        }
        stand = stand.restart_after_a_crash();
    }
    stand.send("T", 0, "30").await;
    while !seen.contains("30") {
        seen.insert(text(&got.next().await));
    }
    consumer.shutdown().await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(16));
}

#[tokio::test]
async fn an_orderly_consumer_keeps_the_order_over_a_crash_of_its_broker() {
    let mut stand = Stand::start();
    stand.create_topic("T", 1).await;
    let (into, mut got) = inbox();
    let consumer = builder(&stand)
        .start_orderly(move |messages: Vec<ReceivedMessage>| {
            into.take(messages);
            async { ConsumedInOrder::Success }
        })
        .await
        .unwrap();
    let mut last = -1;
    for round in 0..2 {
        stand.send_numbers("T", 1, 10 * round..10 * (round + 1)).await;
        while last < 10 * (round + 1) - 1 {
            let number: i32 = text(&got.next().await).parse().unwrap();
            assert!(
                number <= last + 1,
                "{number} came after {last}: one between them is missing"
            );
            last = number;
        }
        stand = stand.restart_after_a_crash();
    }
    consumer.shutdown().await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(20));
}
