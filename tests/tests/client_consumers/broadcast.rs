//! A push consumer that gets all messages, and keeps its offsets in a file.

use std::path::Path;

use cuemq_client::consumer::{ConsumeFromWhere, MessageModel};
use cuemq_client::{Client, Consumed, PushConsumer};

use crate::{Inbox, Stand, inbox, numbers};

async fn consumer(client: &Client, directory: &Path, into: Inbox) -> PushConsumer {
    let builder = PushConsumer::builder("g").client(client).subscribe("T", "*");
    let started = builder
        .message_model(MessageModel::Broadcasting)
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .local_offset_store_dir(directory)
        .start(move |messages| {
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
