//! A push consumer that gets all messages, and keeps its offsets in a file.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cuemq_client::consumer::PullConsumer;
use cuemq_client::consumer::{ConsumeFromWhere, MessageModel};
use cuemq_client::{Client, Consumed, ConsumedInOrder, Error, LitePullConsumer, PushConsumer, PushConsumerBuilder};

use crate::{Inbox, Stand, inbox, numbers};

fn builder(client: &Client, directory: &Path) -> PushConsumerBuilder {
    let builder = PushConsumer::builder("g").client(client).subscribe("T", "*");
    builder
        .message_model(MessageModel::Broadcasting)
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .local_offset_store_dir(directory)
}

async fn consumer(client: &Client, directory: &Path, into: Inbox) -> PushConsumer {
    let started = builder(client, directory).start(move |messages| {
        into.take(messages);
        // what fails does not come again
        async { Consumed::Later }
    });
    started.await.unwrap()
}

#[tokio::test]
async fn each_consumer_gets_all_messages_and_goes_on_by_its_own_file() {
    let stand = Stand::start();
    let directory = tempfile::tempdir().unwrap();
    stand.create_topic("T", 2).await;
    let client = async |name: &str| stand.options().instance_name(name).start().await.unwrap();
    stand.send_numbers("T", 2, 0..6).await;
    for round in 0..2 {
        let clients = [client("a").await, client("b").await];
        let mut consumers = Vec::new();
        let mut inboxes = Vec::new();
        for client in &clients {
            let (into, got) = inbox();
            consumers.push(consumer(client, directory.path(), into).await);
            inboxes.push(got);
        }
        for got in &mut inboxes {
            assert_eq!(got.bodies(6).await, numbers(6 * round..6 * (round + 1)));
        }
        for consumer in consumers {
            consumer.shutdown().await.unwrap();
        }
        for client in clients {
            client.shutdown().await;
        }
        assert!(inboxes.iter().all(crate::Got::is_empty));
        stand.send_numbers("T", 2, 6 * (round + 1)..6 * (round + 2)).await;
    }
    let file = directory.path().join("127.0.0.1@a").join("g").join("offsets.json");
    #[expect(
        clippy::disallowed_methods,
        reason = "the test looks at the file that a Java consumer would read"
    )]
    let text = std::fs::read_to_string(file).unwrap();
    let text: String = text.split_whitespace().collect();
    assert_eq!(
        text,
        r#"{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:6,{"brokerName":"broker-a","queueId":1,"topic":"T"}:6}}"#
    );
    assert_eq!(stand.committed("g", "T", 0).await, None, "the broker is told nothing");
}

#[tokio::test]
async fn an_orderly_listener_gets_each_queue_in_order_and_locks_none() {
    let stand = Stand::start();
    let directory = tempfile::tempdir().unwrap();
    stand.create_topic("T", 1).await;
    let clients = [
        stand.options().instance_name("a").start().await.unwrap(),
        stand.options().instance_name("b").start().await.unwrap(),
    ];
    stand.send_numbers("T", 1, 0..20).await;
    for round in 0..2 {
        let mut consumers = Vec::new();
        for client in &clients {
            let (into, got) = inbox();
            let started = builder(client, directory.path()).start_orderly(move |messages| {
                into.take(messages);
                async { ConsumedInOrder::Success }
            });
            consumers.push((started.await.unwrap(), got));
        }
        // one queue that somebody locked would come to one of them alone, as long as that one is there
        let numbers: Vec<_> = (20 * round..20 * (round + 1))
            .map(|number| number.to_string())
            .collect();
        for (_, got) in &mut consumers {
            assert_eq!(got.in_order(20).await, numbers);
        }
        for (consumer, got) in consumers {
            consumer.shutdown().await.unwrap();
            assert!(got.is_empty());
        }
        stand.send_numbers("T", 1, 20 * (round + 1)..20 * (round + 2)).await;
    }
    assert_eq!(stand.committed("g", "T", 0).await, None, "the broker is told nothing");
}

#[tokio::test]
async fn what_is_suspended_comes_again_to_an_orderly_listener_that_broadcasts() {
    let stand = Stand::start();
    let directory = tempfile::tempdir().unwrap();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..3).await;
    let client = stand.client().await;
    let (into, mut got) = inbox();
    let refusals = AtomicUsize::new(2);
    let started = builder(&client, directory.path()).start_orderly(move |messages| {
        into.take(messages);
        let is_refused = refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        async move {
            match is_refused {
                Ok(_) => ConsumedInOrder::Suspend(Some(Duration::from_millis(10))),
                Err(_) => ConsumedInOrder::Success,
            }
        }
    });
    let consumer = started.await.unwrap();
    assert_eq!(got.in_order(5).await, ["0", "0", "0", "1", "2"]);
    consumer.shutdown().await.unwrap();
}

/// Clients without a name are all Java's `DEFAULT` to the files of their consumers, so that these are found after a restart.
#[tokio::test]
async fn of_two_consumers_without_a_name_that_broadcast_in_one_group_the_second_is_refused_until_the_first_ends() {
    let stand = Stand::start();
    let directory = tempfile::tempdir().unwrap();
    stand.create_topic("T", 1).await;
    let clients = [stand.client().await, stand.client().await];
    let first = consumer(&clients[0], directory.path(), inbox().0).await;
    let second = builder(&clients[1], directory.path()).start(async |_| Consumed::Success);
    let refused = [
        second.await.err(),
        LitePullConsumer::builder("g")
            .client(&clients[1])
            .message_model(MessageModel::Broadcasting)
            .local_offset_store_dir(directory.path())
            .start()
            .await
            .err(),
        PullConsumer::builder("g")
            .client(&clients[1])
            .message_model(MessageModel::Broadcasting)
            .local_offset_store_dir(directory.path())
            .start()
            .await
            .err(),
    ];
    for error in refused.map(Option::unwrap) {
        assert!(
            matches!(error, Error::Fix(_)) && error.to_string().contains("instance_name"),
            "{error}"
        );
    }
    first.shutdown().await.unwrap();
    let second = consumer(&clients[1], directory.path(), inbox().0).await;
    drop(second);
}
