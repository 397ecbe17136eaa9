//! A push consumer with an orderly listener.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Client, ConsumedInOrder, PushConsumer, PushConsumerBuilder, ReceivedMessage};
use tokio::sync::Notify;

use crate::{Stand, inbox, numbers, soon, text};

fn orderly(client: &Client) -> PushConsumerBuilder {
    let builder = PushConsumer::builder("g").client(client).subscribe("T", "*");
    builder.consume_from_where(ConsumeFromWhere::FirstOffset)
}

#[tokio::test]
async fn each_queue_comes_in_its_order_and_one_call_at_a_time() {
    let stand = Stand::start();
    stand.create_topic("T", 3).await;
    stand.send_numbers("T", 3, 0..60).await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let running = Arc::new([const { AtomicI32::new(0) }; 3]);
    let consumer = orderly(&client)
        .start_orderly(move |messages: Vec<ReceivedMessage>| {
            let (running, into) = (Arc::clone(&running), into.clone());
            async move {
                let queue_id = usize::try_from(messages[0].queue().queue_id).unwrap();
                assert_eq!(
                    running[queue_id].fetch_add(1, Ordering::SeqCst),
                    0,
                    "two calls for one queue"
                );
                tokio::task::yield_now().await;
                running[queue_id].fetch_sub(1, Ordering::SeqCst);
                into.take(messages);
                ConsumedInOrder::Success
            }
        })
        .await
        .unwrap();
    let mut orders: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for _ in 0..60 {
        let message = got.next().await;
        let order = orders.entry(message.queue().queue_id).or_default();
        order.push(text(&message).parse().unwrap());
    }
    for (queue_id, order) in orders {
        let expected: Vec<i32> = (0..20).map(|turn| turn * 3 + queue_id).collect();
        assert_eq!(order, expected);
    }
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
    for queue_id in 0..3 {
        assert_eq!(stand.committed("g", "T", queue_id).await, Some(20));
    }
}

#[tokio::test]
async fn a_queue_that_is_suspended_brings_the_same_message_again_and_none_behind_it() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..3).await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let consumer = orderly(&client)
        .suspend_current_queue_time(Duration::from_millis(10))
        .start_orderly(move |messages: Vec<ReceivedMessage>| {
            let is_first = messages[0].reconsume_times() == 0;
            let panics = is_first && messages[0].body() == "1";
            into.take(messages);
            async move {
                assert!(!panics, "the test wants it");
                match is_first {
                    true => ConsumedInOrder::Suspend(None),
                    false => ConsumedInOrder::Success,
                }
            }
        })
        .await
        .unwrap();
    let mut came = Vec::new();
    for _ in 0..6 {
        let message = got.next().await;
        came.push((text(&message), message.reconsume_times()));
    }
    let twice = |body: &str| [(body.to_owned(), 0), (body.to_owned(), 1)];
    assert_eq!(came, [twice("0"), twice("1"), twice("2")].concat());
    consumer.shutdown().await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(3));
    client.shutdown().await;
}

#[tokio::test]
async fn a_message_that_came_too_often_becomes_a_dead_letter_and_the_queue_goes_on() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send("T", 0, "poison").await;
    stand.send("T", 0, "fine").await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let consumer = orderly(&client)
        .max_reconsume_times(Some(2))
        .suspend_current_queue_time(Duration::from_millis(10))
        .start_orderly(move |messages: Vec<ReceivedMessage>| {
            let is_fine = messages[0].body() == "fine";
            into.take(messages);
            async move { if is_fine { Ok(()) } else { Err("poison") } }
        })
        .await
        .unwrap();
    let mut came = Vec::new();
    for _ in 0..4 {
        came.push(text(&got.next().await));
    }
    assert_eq!(came, ["poison", "poison", "poison", "fine"]);
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
    assert_eq!(stand.max_offset("%DLQ%g", 0).await, 1);
    assert_eq!(stand.committed("g", "T", 0).await, Some(2));
}

#[tokio::test]
async fn what_is_rolled_back_comes_again_and_a_commit_counts_for_all_before_it() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..3).await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let calls = Arc::new(AtomicI32::new(0));
    let consumer = orderly(&client)
        .auto_commit(false)
        .suspend_current_queue_time(Duration::from_millis(10))
        .start_orderly(move |messages| {
            into.take(messages);
            let call = calls.fetch_add(1, Ordering::SeqCst);
            async move {
                match call {
                    1 => ConsumedInOrder::Rollback,
                    3 => ConsumedInOrder::Commit,
                    _ => ConsumedInOrder::Success,
                }
            }
        })
        .await
        .unwrap();
    let mut came = Vec::new();
    for _ in 0..5 {
        came.push(text(&got.next().await));
    }
    assert_eq!(came, ["0", "1", "0", "1", "2"]);
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
    assert_eq!(
        stand.committed("g", "T", 0).await,
        Some(2),
        "the last one was not committed"
    );
}

#[tokio::test]
async fn a_queue_goes_to_another_consumer_only_when_the_listener_is_done_and_nothing_comes_twice() {
    let stand = Stand::start();
    stand.create_topic("T", 2).await;
    let (into, mut got) = inbox();
    let (first_client, second_client) = (stand.client().await, stand.client().await);
    let start = async |client: &Client| {
        let into = into.clone();
        let builder = orderly(client).rebalance_interval(Duration::from_millis(50));
        let started = builder.start_orderly(move |messages| {
            into.take(messages);
            async { ConsumedInOrder::Success }
        });
        started.await.unwrap()
    };
    let first = start(&first_client).await;
    stand.send_numbers("T", 2, 0..40).await;
    let second = start(&second_client).await;
    stand.send_numbers("T", 2, 40..80).await;
    assert_eq!(got.bodies(80).await, numbers(0..80));
    soon("the queues are shared out", async {
        while first.owned_queues().len() + second.owned_queues().len() != 3 || second.owned_queues().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    second.shutdown().await.unwrap();
    second_client.shutdown().await;
    stand.send_numbers("T", 2, 80..100).await;
    assert_eq!(got.bodies(20).await, numbers(80..100));
    first.shutdown().await.unwrap();
    first_client.shutdown().await;
    assert!(got.is_empty());
}

#[tokio::test]
async fn a_shutdown_waits_for_the_listener_and_counts_what_it_did() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send("T", 0, "slow").await;
    let client = stand.client().await;
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let seen = (Arc::clone(&begun), Arc::clone(&end));
    let consumer = orderly(&client)
        .start_orderly(move |_| {
            let (begun, end) = seen.clone();
            async move {
                begun.notify_one();
                end.notified().await;
                ConsumedInOrder::Success
            }
        })
        .await
        .unwrap();
    soon("the call", begun.notified()).await;
    let shutdown = consumer.shutdown();
    tokio::pin!(shutdown);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut shutdown)
            .await
            .is_err()
    );
    end.notify_one();
    soon("the shutdown", shutdown).await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(1));
    client.shutdown().await;
}
