//! Several consumers of a group share out its queues, and hand them over.

use std::collections::BTreeSet;
use std::time::Duration;

use cuemq_client::allocation::AveragelyByCircle;
use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Client, Consumed, PushConsumer};
use cuemq_net::body::MessageQueue;

use crate::{Inbox, Stand, inbox, numbers, soon};

async fn consumer(client: &Client, into: Inbox) -> PushConsumer {
    let builder = PushConsumer::builder("g").client(client).subscribe("T", "*");
    let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset);
    let builder = builder.allocate_message_queue_strategy(AveragelyByCircle);
    let started = builder.start(move |messages| {
        into.take(messages);
        async { Consumed::Success }
    });
    started.await.unwrap()
}

fn owned(consumer: &PushConsumer) -> BTreeSet<i32> {
    let of_t = |queue: MessageQueue| (queue.topic == "T").then_some(queue.queue_id);
    consumer.owned_queues().into_iter().filter_map(of_t).collect()
}

async fn own(consumers: &[&PushConsumer], queues: &[usize]) {
    let many = || {
        consumers
            .iter()
            .map(|consumer| owned(consumer).len())
            .collect::<Vec<_>>()
    };
    soon("the queues are shared out", async {
        while many() != queues {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_consumer_that_comes_takes_its_share_and_one_that_goes_leaves_it_to_the_others() {
    let stand = Stand::start();
    stand.create_topic("T", 4).await;
    let (into, mut got) = inbox();
    let saves = stand
        .options()
        .persist_consumer_offset_interval(Duration::from_millis(20));
    let (first_client, second_client) = (saves.start().await.unwrap(), stand.client().await);
    let first = consumer(&first_client, into.clone()).await;
    own(&[&first], &[4]).await;
    stand.send_numbers("T", 4, 0..20).await;
    assert_eq!(got.bodies(20).await, numbers(0..20));
    // what a listener still has comes again to who gets its queue
    for queue_id in 0..4 {
        let saved = async { while stand.committed("g", "T", queue_id).await != Some(5) {} };
        soon("how far the group came is saved", saved).await;
    }
    let second = consumer(&second_client, into).await;
    own(&[&first, &second], &[2, 2]).await;
    let both: BTreeSet<i32> = owned(&first).union(&owned(&second)).copied().collect();
    assert_eq!(both, BTreeSet::from([0, 1, 2, 3]));
    // by circle, not by ranges
    assert!(owned(&first) == BTreeSet::from([0, 2]) || owned(&first) == BTreeSet::from([1, 3]));
    stand.send_numbers("T", 4, 20..40).await;
    assert_eq!(got.bodies(20).await, numbers(20..40));
    second.shutdown().await.unwrap();
    second_client.shutdown().await;
    own(&[&first], &[4]).await;
    stand.send_numbers("T", 4, 40..60).await;
    // each once: what was consumed was handed over
    assert_eq!(got.bodies(20).await, numbers(40..60));
    first.shutdown().await.unwrap();
    first_client.shutdown().await;
    assert!(got.is_empty());
}

#[tokio::test]
async fn nothing_is_lost_while_consumers_come_and_go() {
    let stand = Stand::start();
    stand.create_topic("T", 4).await;
    let (into, mut got) = inbox();
    let client = stand.client().await;
    let stays = consumer(&client, into.clone()).await;
    let sends = async {
        for number in 0..200 {
            stand.send("T", number % 4, &number.to_string()).await;
        }
    };
    let comes_and_goes = async {
        for _ in 0..3 {
            let other = stand.client().await;
            let passing = consumer(&other, into.clone()).await;
            own(&[&stays, &passing], &[2, 2]).await;
            passing.shutdown().await.unwrap();
            other.shutdown().await;
            own(&[&stays], &[4]).await;
        }
    };
    tokio::join!(sends, comes_and_goes);
    let mut seen = BTreeSet::new();
    while seen.len() < 200 {
        let message = got.next().await;
        seen.insert(crate::text(&message));
    }
    stays.shutdown().await.unwrap();
    client.shutdown().await;
}
