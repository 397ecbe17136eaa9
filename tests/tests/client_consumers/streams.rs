//! Messages as a stream, each to be acknowledged.

use std::time::Duration;

use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Delivery, MessageStream, PushConsumer};
use futures_util::StreamExt;

use crate::{Stand, soon, text};

async fn stream(stand: &Stand, at_a_time: usize) -> MessageStream {
    let builder = PushConsumer::builder("g")
        .client_options(stand.options())
        .subscribe("T", "*");
    let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset);
    builder.consume_concurrency(at_a_time).start_stream().await.unwrap()
}

async fn next(stream: &mut MessageStream) -> Delivery {
    soon("a message", stream.recv()).await.unwrap()
}

#[tokio::test]
async fn messages_count_as_consumed_once_they_are_acknowledged() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..5).await;
    let mut messages = stream(&stand, 1).await;
    for number in 0..3 {
        let delivery = next(&mut messages).await;
        assert_eq!(text(delivery.message()), number.to_string());
        delivery.ack();
    }
    messages.shutdown().await.unwrap();
    assert!(messages.next().await.is_none());
    assert_eq!(stand.committed("g", "T", 0).await, Some(3));
    // what was not taken comes to the next one, as if nobody had had it
    let mut messages = stream(&stand, 20).await;
    let left = [next(&mut messages).await, next(&mut messages).await];
    let mut left = left.map(|delivery| {
        let came = (text(delivery.message()), delivery.message().reconsume_times());
        delivery.ack();
        came
    });
    left.sort();
    assert_eq!(left, [("3".to_owned(), 0), ("4".to_owned(), 0)]);
    messages.shutdown().await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(5));
}

#[tokio::test]
async fn so_many_messages_are_with_the_application_as_it_may_have() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..5).await;
    let mut messages = stream(&stand, 2).await;
    let (first, second) = (next(&mut messages).await, next(&mut messages).await);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), messages.recv())
            .await
            .is_err()
    );
    first.ack();
    next(&mut messages).await.ack();
    second.ack();
    messages.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_dropped_or_refused_comes_again() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..2).await;
    let mut messages = stream(&stand, 1).await;
    drop(next(&mut messages).await);
    next(&mut messages).await.later_at(1);
    for _ in 0..2 {
        let again = soon("a message that comes again", async {
            loop {
                if let Ok(delivery) = tokio::time::timeout(Duration::from_millis(20), messages.recv()).await {
                    return delivery.unwrap();
                }
                stand.clock.advance(Duration::from_secs(1));
            }
        });
        let again = again.await;
        assert_eq!(again.message().reconsume_times(), 1);
        again.ack();
    }
    messages.shutdown().await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(2));
}

#[tokio::test]
async fn a_shutdown_waits_for_what_the_application_still_has() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send("T", 0, "slow").await;
    let mut messages = stream(&stand, 1).await;
    let delivery = next(&mut messages).await;
    let shutdown = messages.shutdown();
    tokio::pin!(shutdown);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut shutdown)
            .await
            .is_err()
    );
    delivery.ack();
    soon("the shutdown", shutdown).await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(1));
}
