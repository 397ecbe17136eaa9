//! Consumers that pull by themselves, and that are called to pull.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cuemq_client::consumer::{MessageModel, PULL_NEXT_DELAY, PullConsumer, PullStatus, PullTask};
use cuemq_client::{Cause, LitePullConsumer, MessageSelector, ReceivedMessage};
use cuemq_net::body::MessageQueue;

use crate::{Stand, inbox, numbers, soon, text};

fn queue(topic: &str, queue_id: i32) -> MessageQueue {
    MessageQueue {
        topic: topic.to_owned(),
        broker_name: "broker-a".to_owned(),
        queue_id,
    }
}

fn bodies(messages: &[ReceivedMessage]) -> Vec<String> {
    messages.iter().map(text).collect()
}

async fn consumer(stand: &Stand) -> PullConsumer {
    let builder = PullConsumer::builder("g").client_options(stand.options());
    builder.start().await.unwrap()
}

#[tokio::test]
async fn a_pull_brings_what_there_is_from_a_position_on() {
    let stand = Stand::with(|config| config.filters.sql = true);
    stand.create_topic("T", 1).await;
    for (number, tag) in ["a", "b", "a"].iter().enumerate() {
        let properties = format!("TAGS\u{1}{tag}\u{2}number\u{1}{number}\u{2}");
        stand.send_with("T", 0, &number.to_string(), &properties).await;
    }
    let consumer = consumer(&stand).await;
    let queues = consumer.fetch_subscribe_message_queues("T").await.unwrap();
    assert_eq!(queues, BTreeSet::from([queue("T", 0)]));
    let queue = queue("T", 0);
    let all = consumer.pull(&queue, "*", 0, 32).await.unwrap();
    assert_eq!(
        (all.status, bodies(&all.messages)),
        (PullStatus::Found, ["0", "1", "2"].map(str::to_owned).to_vec())
    );
    assert_eq!((all.next_begin_offset, all.min_offset, all.max_offset), (3, 0, 3));
    let two = consumer.pull(&queue, "*", 1, 1).await.unwrap();
    assert_eq!(
        (bodies(&two.messages), two.next_begin_offset),
        (vec!["1".to_owned()], 2)
    );
    let tagged = consumer.pull(&queue, "a", 0, 32).await.unwrap();
    assert_eq!(bodies(&tagged.messages), ["0", "2"]);
    let by_sql = consumer
        .pull(&queue, MessageSelector::by_sql("number > 1"), 0, 32)
        .await
        .unwrap();
    assert_eq!(bodies(&by_sql.messages), ["2"]);
    let none = consumer.pull(&queue, "c", 0, 32).await.unwrap();
    assert_eq!((none.status, none.next_begin_offset), (PullStatus::NoMatchedMessage, 3));
    let end = consumer.pull(&queue, "*", 3, 32).await.unwrap();
    assert_eq!((end.status, end.next_begin_offset), (PullStatus::NoNewMessage, 3));
    let beyond = consumer.pull(&queue, "*", 1000, 32).await.unwrap();
    assert_eq!(beyond.status, PullStatus::OffsetIllegal);
    assert!(consumer.pull(&queue, "*", -1, 32).await.is_err());
    assert_eq!(consumer.admin().max_offset(&queue).await.unwrap(), 3);
    consumer.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_pull_may_wait_for_a_message() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    let consumer = consumer(&stand).await;
    let queue = queue("T", 0);
    let waits = consumer.pull_block_if_not_found(&queue, "*", 0, 32);
    tokio::pin!(waits);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut waits)
            .await
            .is_err()
    );
    stand.send("T", 0, "here").await;
    let found = soon("the message", waits).await.unwrap();
    assert_eq!(bodies(&found.messages), ["here"]);
    consumer.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_application_says_how_far_it_came_and_asks_for_it_after_a_restart() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..3).await;
    let queue = queue("T", 0);
    let first = consumer(&stand).await;
    first.update_consume_offset(&queue, 2);
    assert_eq!(first.fetch_consume_offset(&queue).await.unwrap(), Some(2));
    // also back
    first.update_consume_offset(&queue, 1);
    first.shutdown().await.unwrap();
    let second = consumer(&stand).await;
    assert_eq!(second.fetch_consume_offset(&queue).await.unwrap(), Some(1));
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_sent_back_comes_by_the_retry_topic() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send("T", 0, "again").await;
    let consumer = consumer(&stand).await;
    let found = consumer.pull(&queue("T", 0), "*", 0, 32).await.unwrap();
    consumer.send_message_back(&found.messages[0], 1).await.unwrap();
    let again = soon("the message", async {
        loop {
            stand.clock.advance(Duration::from_secs(1));
            let pulled = consumer.pull(&queue("%RETRY%g", 0), "*", 0, 32).await;
            if let Some(message) = pulled.ok().and_then(|mut pulled| pulled.messages.pop()) {
                return message;
            }
        }
    })
    .await;
    assert_eq!((again.topic(), again.reconsume_times()), ("T", 1));
    consumer.shutdown().await.unwrap();
}

type Told = Arc<Mutex<Vec<usize>>>;

#[tokio::test]
async fn queues_are_shared_out_in_the_group_and_a_listener_is_told() {
    let stand = Stand::start();
    stand.create_topic("T", 4).await;
    let told = Told::default();
    let start = async |told: Option<Told>| {
        let builder = PullConsumer::builder("g").client_options(stand.options());
        let builder = builder.register_topic("T");
        let builder = match told {
            Some(told) => builder.message_queue_listener(
                move |topic: &str, all: &BTreeSet<MessageQueue>, ours: &BTreeSet<MessageQueue>| {
                    assert_eq!((topic, all.len()), ("T", 4));
                    told.lock().unwrap().push(ours.len());
                },
            ),
            None => builder,
        };
        builder.start().await.unwrap()
    };
    let first = start(Some(Arc::clone(&told))).await;
    assert_eq!(first.fetch_message_queues_in_balance("T").await.unwrap().len(), 4);
    let second = start(None).await;
    let share = async {
        loop {
            let first = first.fetch_message_queues_in_balance("T").await.unwrap();
            let second = second.fetch_message_queues_in_balance("T").await.unwrap();
            if (first.len(), second.len()) == (2, 2) {
                assert!(first.is_disjoint(&second));
                return;
            }
        }
    };
    soon("the queues are shared out", share).await;
    second.shutdown().await.unwrap();
    let back = async { while first.fetch_message_queues_in_balance("T").await.unwrap().len() != 4 {} };
    soon("the queues are back", back).await;
    first.shutdown().await.unwrap();
    assert_eq!(*told.lock().unwrap(), [4, 2, 4]);
}

/// Pulls once from where the consumer came to, and notes where to go on.
async fn pull_on(task: &PullTask) -> Vec<ReceivedMessage> {
    let (consumer, queue) = (task.consumer(), task.queue());
    let begin = consumer.fetch_consume_offset(queue).await.unwrap().unwrap_or(0);
    let pulled = consumer.pull(queue, "*", begin, 32).await.unwrap();
    consumer.update_consume_offset(queue, pulled.next_begin_offset);
    pulled.messages
}

#[tokio::test]
async fn a_callback_is_called_for_each_queue_again_and_again() {
    let stand = Stand::start();
    stand.create_topic("T", 2).await;
    stand.send_numbers("T", 2, 0..10).await;
    let (into, mut got) = inbox();
    let panics = Arc::new(AtomicBool::new(true));
    let service = PullConsumer::builder("g")
        .client_options(stand.options())
        .schedule("T", move |task| {
            let (into, panics) = (into.clone(), Arc::clone(&panics));
            async move {
                assert!(!panics.swap(false, Ordering::SeqCst), "the test wants it");
                into.take(pull_on(&task).await);
                Duration::from_millis(10)
            }
        })
        .await
        .unwrap();
    assert_eq!(got.bodies(10).await, numbers(0..10));
    stand.send_numbers("T", 2, 10..20).await;
    assert_eq!(got.bodies(10).await, numbers(10..20));
    service.shutdown().await.unwrap();
    assert_eq!(stand.committed("g", "T", 0).await, Some(10));
    assert!(
        service
            .register_pull_task_callback("U", async |_| PULL_NEXT_DELAY)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_queue_that_goes_to_another_consumer_is_called_for_no_more() {
    let stand = Stand::start();
    stand.create_topic("T", 2).await;
    let called = Arc::new(Mutex::new([BTreeSet::new(), BTreeSet::new()]));
    let start = async |who: usize| {
        let called = Arc::clone(&called);
        let builder = PullConsumer::builder("g").client_options(stand.options());
        let started = builder
            .message_model(MessageModel::Clustering)
            .schedule("T", move |task: PullTask| {
                called.lock().unwrap()[who].insert(task.queue().queue_id);
                std::future::ready(Duration::from_millis(1))
            });
        started.await.unwrap()
    };
    let until = async |first: usize, second: usize| {
        soon("the calls are shared out", async {
            loop {
                *called.lock().unwrap() = [BTreeSet::new(), BTreeSet::new()];
                tokio::time::sleep(Duration::from_millis(50)).await;
                let called = called.lock().unwrap().clone();
                if (called[0].len(), called[1].len()) == (first, second) {
                    assert!(called[0].is_disjoint(&called[1]));
                    return;
                }
            }
        })
        .await;
    };
    let first = start(0).await;
    until(2, 0).await;
    let second = start(1).await;
    until(1, 1).await;
    first.shutdown().await.unwrap();
    until(0, 2).await;
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_topic_that_can_only_be_written_has_no_queues_to_read_and_says_so() {
    let stand = Stand::start();
    stand.create_topic_with("T", 1, 2).await;
    let pulls = consumer(&stand).await;
    let polls = LitePullConsumer::builder("l").client_options(stand.options());
    let polls = polls.start().await.unwrap();
    for refused in [
        pulls.fetch_subscribe_message_queues("T").await,
        polls.fetch_message_queues("T").await,
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error.trouble().cause, Cause::NoQueue), "{error}");
        assert_eq!(error.trouble().topic.as_deref(), Some("T"));
    }
}
