//! Messages that a concurrent listener wants again.

use std::time::Duration;

use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Client, Consumed, PushConsumer, PushConsumerBuilder, ReceivedMessage};

use crate::{Got, PATIENCE, Stand, inbox, text};

fn builder(client: &Client) -> PushConsumerBuilder {
    let builder = PushConsumer::builder("g").client(client).subscribe("T", "*");
    builder.consume_from_where(ConsumeFromWhere::FirstOffset)
}

/// Lets the broker's time pass until a message comes.
pub(crate) async fn later(stand: &Stand, got: &mut Got) -> ReceivedMessage {
    let waits = async {
        loop {
            if let Ok(message) = tokio::time::timeout(Duration::from_millis(20), got.0.recv()).await {
                return message.unwrap();
            }
            stand.clock.advance(Duration::from_secs(1));
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.unwrap()
}

#[tokio::test]
async fn a_failed_message_comes_again_later_and_later_until_it_is_a_dead_letter() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_with("T", 0, "poison", "UNIQ_KEY\u{1}ABC\u{2}").await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let consumer = builder(&client)
        .max_reconsume_times(Some(2))
        .start(move |messages| {
            into.take(messages);
            async { Err::<(), _>("no room") }
        })
        .await
        .unwrap();
    for times in 0..3 {
        let message = later(&stand, &mut got).await;
        assert_eq!((message.topic(), &*text(&message)), ("T", "poison"));
        assert_eq!((message.reconsume_times(), &*message.message_id()), (times, "ABC"));
        let pulled_from = if times == 0 { "T" } else { "%RETRY%g" };
        assert_eq!(message.queue().topic, pulled_from);
    }
    crate::soon("the dead letter", async {
        while stand.max_offset("%DLQ%g", 0).await < 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
    assert_eq!(
        stand.committed("g", "T", 0).await,
        Some(1),
        "what was sent back counts as consumed"
    );
}

#[tokio::test]
async fn of_a_batch_that_is_done_in_part_only_the_rest_comes_again() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..4).await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let consumer = builder(&client)
        .consume_message_batch_max_size(4)
        .start(move |messages: Vec<ReceivedMessage>| {
            let done = if messages.len() == 4 {
                Consumed::Partly(3)
            } else {
                Consumed::Success
            };
            into.take(messages);
            async move { done }
        })
        .await
        .unwrap();
    for number in ["0", "1", "2", "3", "3"] {
        assert_eq!(text(&later(&stand, &mut got).await), number);
    }
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
    assert!(got.is_empty());
}

#[tokio::test]
async fn a_listener_that_panics_gets_its_message_again_and_the_consumer_lives() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send("T", 0, "x").await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let consumer = builder(&client)
        .start(move |messages: Vec<ReceivedMessage>| {
            let is_first = messages[0].reconsume_times() == 0;
            into.take(messages);
            async move {
                assert!(!is_first, "the test wants it");
                Consumed::Success
            }
        })
        .await
        .unwrap();
    assert_eq!(later(&stand, &mut got).await.reconsume_times(), 0);
    assert_eq!(later(&stand, &mut got).await.reconsume_times(), 1);
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
}

#[tokio::test]
async fn a_listener_may_say_when_a_message_comes_again_or_that_it_never_does() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let consumer = builder(&client)
        .start(move |messages: Vec<ReceivedMessage>| {
            let says = match (&*text(&messages[0]), messages[0].reconsume_times()) {
                ("never", _) => Consumed::LaterAt(-1),
                ("in a second", 0) => Consumed::LaterAt(1),
                _ => Consumed::Success,
            };
            into.take(messages);
            async move { says }
        })
        .await
        .unwrap();
    stand.send("T", 0, "never").await;
    stand.send("T", 0, "in a second").await;
    let first = [text(&got.next().await), text(&got.next().await)];
    assert!(first.contains(&"never".to_owned()) && first.contains(&"in a second".to_owned()));
    crate::soon("the dead letter", async {
        while stand.max_offset("%DLQ%g", 0).await < 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let again = later(&stand, &mut got).await;
    assert_eq!(
        (text(&again), again.property("DELAY")),
        ("in a second".to_owned(), Some("1"))
    );
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
}
