//! The consumer that is polled.

use std::collections::BTreeSet;
use std::time::Duration;

use cuemq_client::consumer::{ConsumeFromWhere, LitePullConsumer, LitePullConsumerBuilder};
use cuemq_net::body::MessageQueue;

use crate::{NOON_MS, Stand, soon, text};

fn queue(queue_id: i32) -> MessageQueue {
    MessageQueue {
        topic: "T".to_owned(),
        broker_name: "broker-a".to_owned(),
        queue_id,
    }
}

fn builder(stand: &Stand) -> LitePullConsumerBuilder {
    let builder = LitePullConsumer::builder("g").client_options(stand.options());
    builder.consume_from_where(ConsumeFromWhere::FirstOffset)
}

/// Polls until there are so many messages, and gives their bodies.
async fn polled(consumer: &LitePullConsumer, many: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    let all = async {
        while bodies.len() < many {
            bodies.extend(consumer.poll().await.iter().map(text));
        }
    };
    soon("messages", all).await;
    bodies
}

fn sorted(mut bodies: Vec<String>) -> Vec<String> {
    bodies.sort_by_key(|body| body.parse::<i32>().unwrap());
    bodies
}

fn texts(range: std::ops::Range<i32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

async fn nothing(consumer: &LitePullConsumer) {
    assert!(consumer.poll_for(Duration::from_millis(200)).await.is_empty());
}

#[tokio::test]
async fn a_poll_gives_what_is_there_and_the_group_goes_on_behind_it() {
    let stand = Stand::start();
    stand.create_topic("T", 2).await;
    stand.send_numbers("T", 2, 0..30).await;
    let first = builder(&stand).subscribe("T", "*").start().await.unwrap();
    assert_eq!(sorted(polled(&first, 30).await), texts(0..30));
    nothing(&first).await;
    assert_eq!(first.assignment(), BTreeSet::from([queue(0), queue(1)]));
    first.shutdown().await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(15));
    stand.send_numbers("T", 2, 30..40).await;
    let second = builder(&stand).subscribe("T", "*").start().await.unwrap();
    assert_eq!(sorted(polled(&second, 10).await), texts(30..40));
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn without_a_commit_messages_come_again_where_the_application_is_to_commit() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..3).await;
    let start = async || {
        let builder = builder(&stand).auto_commit(false).pull_batch_size(1);
        builder.subscribe("T", "*").start().await.unwrap()
    };
    let first = start().await;
    assert_eq!(polled(&first, 2).await, texts(0..2));
    first.commit().await.unwrap();
    assert_eq!(first.committed(&queue(0)).await.unwrap(), Some(2));
    assert_eq!(polled(&first, 1).await, texts(2..3));
    first.shutdown().await.unwrap();
    let second = start().await;
    assert_eq!(polled(&second, 1).await, texts(2..3));
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn queues_can_be_named_by_hand_whatever_the_group_does() {
    let stand = Stand::start();
    stand.create_topic("T", 4).await;
    stand.send_numbers("T", 4, 0..8).await;
    let consumer = builder(&stand).start().await.unwrap();
    consumer.assign([queue(1), queue(2)]).await.unwrap();
    assert_eq!(sorted(polled(&consumer, 4).await), ["1", "2", "5", "6"]);
    consumer.assign([queue(2), queue(3)]).await.unwrap();
    assert_eq!(consumer.assignment(), BTreeSet::from([queue(2), queue(3)]));
    assert_eq!(sorted(polled(&consumer, 2).await), ["3", "7"]);
    stand.send("T", 1, "nobody's").await;
    nothing(&consumer).await;
    assert!(consumer.subscribe("T", "*").await.is_err(), "one consumer does either");
    consumer.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_application_goes_to_any_position() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..5).await;
    stand.clock.advance(Duration::from_secs(3600));
    stand.send_numbers("T", 1, 5..10).await;
    let consumer = builder(&stand).start().await.unwrap();
    consumer.assign([queue(0)]).await.unwrap();
    assert_eq!(polled(&consumer, 10).await, texts(0..10));
    consumer.seek(&queue(0), 7).await.unwrap();
    assert_eq!(polled(&consumer, 3).await, texts(7..10));
    consumer.seek_to_begin(&queue(0)).await.unwrap();
    assert_eq!(polled(&consumer, 10).await, texts(0..10));
    let minute_to_one = i64::try_from(NOON_MS).unwrap() + 59 * 60 * 1000;
    let there = consumer.offset_for_timestamp(&queue(0), minute_to_one).await.unwrap();
    consumer.seek(&queue(0), there).await.unwrap();
    assert_eq!(polled(&consumer, 5).await, texts(5..10));
    consumer.seek_to_begin(&queue(0)).await.unwrap();
    consumer.seek_to_end(&queue(0)).await.unwrap();
    nothing(&consumer).await;
    for (queue, queue_offset) in [(queue(0), 11), (queue(0), -1), (queue(3), 0)] {
        assert!(consumer.seek(&queue, queue_offset).await.is_err());
    }
    consumer.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_paused_queue_is_pulled_from_no_more_until_it_is_resumed() {
    let stand = Stand::start();
    stand.create_topic("T", 2).await;
    let consumer = builder(&stand).start().await.unwrap();
    consumer.assign([queue(0), queue(1)]).await.unwrap();
    consumer.pause([&queue(0)]);
    // the pulls that wait at the broker already are still answered
    stand.send_numbers("T", 2, 0..2).await;
    assert_eq!(sorted(polled(&consumer, 2).await), texts(0..2));
    stand.send_numbers("T", 2, 2..4).await;
    assert_eq!(polled(&consumer, 1).await, ["3"]);
    nothing(&consumer).await;
    consumer.resume([&queue(0)]);
    assert_eq!(polled(&consumer, 1).await, ["2"]);
    consumer.shutdown().await.unwrap();
}

#[tokio::test]
async fn consumers_of_a_group_share_what_they_poll() {
    let stand = Stand::start();
    stand.create_topic("T", 2).await;
    let first = builder(&stand).subscribe("T", "*").start().await.unwrap();
    let second = builder(&stand).subscribe("T", "*").start().await.unwrap();
    soon("the queues are shared out", async {
        while (first.assignment().len(), second.assignment().len()) != (1, 1) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stand.send_numbers("T", 2, 0..10).await;
    let (a, b) = tokio::join!(polled(&first, 5), polled(&second, 5));
    assert_eq!(sorted([a, b].concat()), texts(0..10));
    second.unsubscribe("T").await;
    assert!(second.assignment().is_empty());
    second.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
}
