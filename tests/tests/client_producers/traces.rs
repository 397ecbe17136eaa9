//! What happened to a message is told to the topic of traces, and found there by the message's id.

use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::testing::TestBroker;
use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::producer::ListenerError;
use cuemq_client::{
    Admin, Consumed, LocalTransactionState, Message, Producer, PushConsumer, ReceivedMessage, TraceDispatcher,
    TransactionListener,
};

use crate::{PATIENCE, options};

const TRACES: &str = "RMQ_SYS_TRACE_TOPIC";

/// The lines that traces hold of a message, each as its fields.
async fn traced(admin: &Admin, msg_id: &str, many: usize) -> Vec<Vec<String>> {
    let look = async {
        loop {
            let found = admin
                .query_message(TRACES, msg_id, 64, 0, i64::MAX)
                .await
                .unwrap_or_default();
            let text = |message: &ReceivedMessage| String::from_utf8_lossy(message.body()).into_owned();
            let text: String = found.iter().map(text).collect();
            let lines = text.split('\u{2}').filter(|line| line.contains(msg_id));
            let lines: Vec<Vec<_>> = lines
                .map(|line| line.split('\u{1}').map(str::to_owned).collect())
                .collect();
            if lines.len() >= many {
                return lines;
            }
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap()
}

#[tokio::test]
async fn a_sent_message_is_traced_in_javas_fields() {
    let broker = TestBroker::builder()
        .config(|config| config.trace_topic = true)
        .start()
        .unwrap();
    let client = options(&broker).start().await.unwrap();
    let producer = Producer::builder("p")
        .client(&client)
        .enable_msg_trace(true)
        .start()
        .await
        .unwrap();
    let sent = producer
        .send(Message::new("T", "hello").tags("A").keys(["k1", "k2"]))
        .await
        .unwrap();
    let delayed = producer.send(Message::new("T", "b").delay_time_level(1)).await.unwrap();
    let admin = Admin::new(&client);
    let line = traced(&admin, &sent.msg_id, 1).await.remove(0);
    let address = broker.broker().to_string();
    assert_eq!(line.len(), 14, "{line:?}");
    let expected = [
        "Pub",
        "DefaultRegion",
        "p",
        "T",
        &sent.msg_id,
        "A",
        "k1 k2",
        &address,
        "5",
        "0",
        &sent.offset_msg_id,
        "true",
    ];
    let without_times = [0, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13].map(|at: usize| line[at].as_str());
    assert_eq!(without_times, expected);
    let line = traced(&admin, &delayed.msg_id, 1).await.remove(0);
    assert_eq!((line[6].as_str(), line[11].as_str()), ("null", "3"));
    producer.shutdown().await;
    client.shutdown().await;
}

/// Commits whatever it is.
struct Commits;

impl TransactionListener for Commits {
    async fn execute(&self, _message: &Message, _id: &str) -> Result<LocalTransactionState, ListenerError> {
        Ok(LocalTransactionState::Commit)
    }

    async fn check(&self, _message: ReceivedMessage) -> Result<LocalTransactionState, ListenerError> {
        Ok(LocalTransactionState::Commit)
    }
}

#[tokio::test]
async fn a_transaction_is_traced_with_its_end_and_the_end_of_the_producer_waits_for_that() {
    let broker = TestBroker::builder()
        .config(|config| config.trace_topic = true)
        .start()
        .unwrap();
    let builder = Producer::builder("p")
        .client_options(options(&broker))
        .enable_msg_trace(true);
    let producer = builder.start_transactional(Commits).await.unwrap();
    let result = producer.send_in_transaction(Message::new("T", "b")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), producer.shutdown())
        .await
        .unwrap();
    let client = options(&broker).start().await.unwrap();
    let lines = traced(&Admin::new(&client), &result.sent.msg_id, 2).await;
    let kinds: Vec<_> = lines.iter().map(|line| line[0].as_str()).collect();
    assert!(kinds.contains(&"Pub") && kinds.contains(&"EndTransaction"), "{kinds:?}");
    let half = lines.iter().find(|line| line[0] == "Pub").unwrap();
    assert_eq!(half[11], "1");
    let end = lines.iter().find(|line| line[0] == "EndTransaction").unwrap();
    assert_eq!((end[11].as_str(), end[12].as_str()), ("COMMIT_MESSAGE", "false"));
    client.shutdown().await;
}

#[tokio::test]
async fn what_a_listener_did_is_traced_before_and_after() {
    let broker = TestBroker::start();
    let client = options(&broker).start().await.unwrap();
    let producer = Producer::builder("p").client(&client).start().await.unwrap();
    let sent = producer.send(Message::new("T", "b").keys(["k1"])).await.unwrap();
    let trace = TraceDispatcher::of_consumers(&client, "g", None).await.unwrap();
    let consumer = PushConsumer::builder("g")
        .client(&client)
        .subscribe("T", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .consume_message_hook(Arc::clone(&trace) as Arc<_>)
        .start(async |_messages: Vec<ReceivedMessage>| Consumed::Success)
        .await
        .unwrap();
    let lines = traced(&Admin::new(&client), &sent.msg_id, 2).await;
    let before = lines.iter().find(|line| line[0] == "SubBefore").unwrap();
    let after = lines.iter().find(|line| line[0] == "SubAfter").unwrap();
    assert_eq!((before.len(), after.len()), (8, 9), "{lines:?}");
    assert_eq!(
        [before[3].as_str(), &before[5], &before[6], &before[7]],
        ["g", sent.msg_id.as_str(), "0", "k1"]
    );
    assert_eq!(
        [&after[2], &after[4], &after[5], &after[6], &after[8]],
        [sent.msg_id.as_str(), "true", "k1", "0", "g"]
    );
    assert_eq!(before[4], after[1], "one call has one name");
    consumer.shutdown().await.unwrap();
    trace.flush().await;
    producer.shutdown().await;
    client.shutdown().await;
}
