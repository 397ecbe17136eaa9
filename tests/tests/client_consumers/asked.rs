//! What brokers ask of a consumer, for operators mostly.

use std::time::Duration;

use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Consumed, PushConsumer, ReceivedMessage};
use cuemq_net::body::{Body, ConsumeDirectlyResult, ConsumeResult, ConsumerRunningInfo, ConsumerStatus, ResetOffset};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;

use crate::{Got, Inbox, Stand, inbox, numbers, text};

async fn consumer(stand: &Stand, into: Inbox) -> PushConsumer {
    let often = stand
        .options()
        .persist_consumer_offset_interval(Duration::from_millis(20));
    let builder = PushConsumer::builder("g").client_options(often).subscribe("T", "TagA");
    let started =
        builder
            .consume_from_where(ConsumeFromWhere::FirstOffset)
            .start(move |messages: Vec<ReceivedMessage>| {
                let fails = &messages[0].body()[..] == b"fails";
                let panics = &messages[0].body()[..] == b"panics";
                into.take(messages);
                async move {
                    assert!(!panics, "the test wants it");
                    if fails { Consumed::Later } else { Consumed::Success }
                }
            });
    started.await.unwrap()
}

async fn send(stand: &Stand, numbers: std::ops::Range<i32>) {
    for number in numbers {
        stand.send_with("T", 0, &number.to_string(), "TAGS\u{1}TagA\u{2}").await;
    }
}

async fn consumed(stand: &Stand, got: &mut Got) -> PushConsumer {
    send(stand, 0..5).await;
    let (into, mine) = inbox();
    *got = mine;
    let consumer = consumer(stand, into).await;
    assert_eq!(got.bodies(5).await, numbers(0..5));
    consumer
}

#[tokio::test]
async fn an_operator_takes_the_group_back_and_its_messages_come_again() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    let mut got = inbox().1;
    let consumer = consumed(&stand, &mut got).await;
    let saved = async { while stand.committed("g", "T", 0).await != Some(5) {} };
    crate::soon("the broker knows", saved).await;
    let reset = Command::request(RequestCode::INVOKE_BROKER_TO_RESET_OFFSET)
        .with_field("topic", "T")
        .with_field("group", "g")
        .with_field("timestamp", 0)
        .with_field("isForce", true);
    let answer = stand.ask(reset).await;
    assert_eq!(ResetOffset::decode(&answer.body).unwrap().offset_table.len(), 1);
    assert_eq!(got.bodies(5).await, numbers(0..5));
    consumer.shutdown().await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(5));
}

#[tokio::test]
async fn an_operator_sees_how_far_the_consumer_has_come_and_what_it_runs() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    let mut got = inbox().1;
    let consumer = consumed(&stand, &mut got).await;
    let client_id = consumer.client().client_id().to_owned();
    let come_to = async || {
        let asks = Command::request(RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS)
            .with_field("topic", "T")
            .with_field("group", "g");
        let status = ConsumerStatus::decode(&stand.ask(asks).await.body).unwrap();
        status.consumer_table[&client_id].values().copied().next()
    };
    crate::soon("all count as consumed", async { while come_to().await != Some(5) {} }).await;
    let asks = Command::request(RequestCode::GET_CONSUMER_RUNNING_INFO)
        .with_field("consumerGroup", "g")
        .with_field("clientId", &client_id)
        .with_field("jstackEnable", false);
    let info = ConsumerRunningInfo::decode(&stand.ask(asks).await.body).unwrap();
    let queue = info.queues.iter().find(|(queue, _)| queue.topic == "T").unwrap().1;
    assert_eq!(
        (queue.commit_offset, queue.cached_msg_count, queue.dropped),
        (5, 0, false)
    );
    assert_eq!(info.properties["PROP_CONSUMEORDERLY"], "false");
    assert_eq!(info.properties["PROP_CONSUME_TYPE"], "CONSUME_PASSIVELY");
    assert_eq!(info.properties["PROP_THREADPOOL_CORE_SIZE"], "20");
    let topics: Vec<&str> = info.subscriptions.iter().map(|data| &*data.topic).collect();
    assert_eq!(topics, ["%RETRY%g", "T"]);
    assert!(info.statuses.contains_key("T"));
    consumer.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_operator_has_one_message_consumed_and_is_told_what_the_listener_said() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.create_topic("U", 1).await;
    let mut got = inbox().1;
    let consumer = consumed(&stand, &mut got).await;
    let said = async |body: &str| {
        let sent = stand.send_for_id("U", body).await;
        let asks = Command::request(RequestCode::CONSUME_MESSAGE_DIRECTLY)
            .with_field("consumerGroup", "g")
            .with_field("clientId", consumer.client().client_id())
            .with_field("msgId", sent);
        ConsumeDirectlyResult::decode(&stand.ask(asks).await.body).unwrap()
    };
    let result = said("fine").await;
    assert_eq!(
        (result.consume_result, result.order),
        (Some(ConsumeResult::Success), false)
    );
    assert_eq!(text(&got.next().await), "fine");
    assert_eq!(said("fails").await.consume_result, Some(ConsumeResult::Later));
    assert_eq!(said("panics").await.consume_result, Some(ConsumeResult::ThrowException));
    consumer.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_position_that_does_not_exist_is_left_for_the_one_that_the_broker_names() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    send(&stand, 0..3).await;
    let beyond = Command::request(RequestCode::UPDATE_CONSUMER_OFFSET)
        .with_field("consumerGroup", "g")
        .with_field("topic", "T")
        .with_field("queueId", 0)
        .with_field("commitOffset", 1000);
    stand.ask(beyond).await;
    let (into, mut got) = inbox();
    let consumer = consumer(&stand, into).await;
    // a broker that still has the queue's beginning names that
    assert_eq!(got.bodies(3).await, numbers(0..3));
    consumer.shutdown().await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(3));
}
