//! A push consumer with a concurrent listener.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cuemq_client::consumer::{ConsumeFromWhere, ConsumeMessageHook, ConsumeReturnType, Consuming};
use cuemq_client::{Consumed, MessageSelector, PushConsumer, ReceivedMessage};
use tokio::sync::{Notify, Semaphore};

use crate::{Stand, inbox, numbers, soon, text};

#[tokio::test]
async fn all_messages_come_those_that_were_there_and_those_that_come_later() {
    let stand = Stand::start();
    stand.create_topic("T", 4).await;
    stand.send_numbers("T", 4, 0..10).await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let consumer = PushConsumer::builder("g")
        .client(&client)
        .subscribe("T", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages| {
            into.take(messages);
            async { Consumed::Success }
        })
        .await
        .unwrap();
    assert_eq!(got.bodies(10).await, numbers(0..10));
    stand.send_numbers("T", 4, 10..20).await;
    assert_eq!(got.bodies(10).await, numbers(10..20));
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
    for queue_id in 0..4 {
        assert_eq!(stand.committed("g", "T", queue_id).await, Some(5));
    }
    assert!(got.is_empty());
}

#[tokio::test]
async fn a_consumer_goes_on_where_the_last_one_of_its_group_ended() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..5).await;
    for round in 0..3 {
        let (client, (into, mut got)) = (stand.client().await, inbox());
        let consumer = PushConsumer::builder("g")
            .client(&client)
            .subscribe("T", "*")
            .consume_from_where(ConsumeFromWhere::FirstOffset)
            .start(move |messages| {
                into.take(messages);
                async { Consumed::Success }
            })
            .await
            .unwrap();
        assert_eq!(got.bodies(5).await, numbers(5 * round..5 * (round + 1)));
        consumer.shutdown().await.unwrap();
        client.shutdown().await;
        assert!(got.is_empty());
        stand.send_numbers("T", 1, 5 * (round + 1)..5 * (round + 2)).await;
    }
}

#[tokio::test]
async fn only_what_the_subscription_chooses_comes_and_the_rest_counts_as_consumed() {
    let stand = Stand::with(|config| config.filters.sql = true);
    stand.create_topic("T", 1).await;
    stand.create_topic("S", 1).await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let consumer = PushConsumer::builder("g")
        .client(&client)
        .subscribe("T", "Aa || TagB")
        .subscribe("S", MessageSelector::by_sql("price > 5"))
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages| {
            into.take(messages);
            async { Consumed::Success }
        })
        .await
        .unwrap();
    // BB has the hash of Aa
    for tag in ["Aa", "BB", "TagB", "TagC", "BB"] {
        stand.send_with("T", 0, tag, &format!("TAGS\u{1}{tag}\u{2}")).await;
    }
    for price in ["4", "6"] {
        stand.send_with("S", 0, price, &format!("price\u{1}{price}\u{2}")).await;
    }
    let mut bodies: Vec<String> = got.bodies(3).await.into_keys().collect();
    bodies.sort();
    assert_eq!(bodies, ["6", "Aa", "TagB"]);
    consumer.shutdown().await.unwrap();
    assert!(got.is_empty());
    client.shutdown().await;
}

#[tokio::test]
async fn an_expression_that_the_broker_does_not_understand_ends_the_start() {
    let stand = Stand::with(|config| config.filters.sql = true);
    stand.create_topic("T", 1).await;
    let client = stand.client().await;
    let start = |expression: &str| {
        let selector = MessageSelector::by_sql(expression);
        let consumer = PushConsumer::builder("g").client(&client).subscribe("T", selector);
        consumer.start(|_| async { Consumed::Success })
    };
    let refused = start("price >").await.err().unwrap();
    assert!(matches!(refused, cuemq_client::Error::Fix(_)), "{refused}");
    // nothing of it is left, so the group is free
    start("price > 5").await.unwrap().shutdown().await.unwrap();
    client.shutdown().await;
}

#[tokio::test]
async fn pulling_waits_while_too_many_messages_are_in_hand() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send_numbers("T", 1, 0..60).await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let consumer = PushConsumer::builder("g")
        .client(&client)
        .subscribe("T", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .pull_batch_size(8)
        .pull_threshold_for_queue(10)
        .consume_concurrency(2)
        .start(move |messages| {
            let (gate, into) = (Arc::clone(&opened), into.clone());
            async move {
                gate.acquire().await.unwrap().forget();
                into.take(messages);
                Consumed::Success
            }
        })
        .await
        .unwrap();
    let most = AtomicUsize::new(0);
    let in_hand = || {
        let held = consumer.running_info().queues;
        let of_t = held.iter().find(|(queue, _)| queue.topic == "T");
        let count = of_t.map_or(0, |(_, info)| info.cached_msg_count);
        most.fetch_max(count, Ordering::Relaxed);
        count
    };
    soon("two pulls", async {
        while in_hand() < 16 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for number in 0..60 {
        gate.add_permits(1);
        let _ = got.next().await;
        let held = in_hand();
        assert!(held <= 10 + 8, "{held} in hand after {number}");
    }
    assert!(most.load(Ordering::Relaxed) > 10);
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
}

#[tokio::test]
async fn so_many_calls_run_at_a_time_as_there_may_and_that_can_be_changed() {
    let stand = Stand::start();
    stand.create_topic("T", 4).await;
    stand.send_numbers("T", 4, 0..40).await;
    let client = stand.client().await;
    let (running, gate, entered) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Semaphore::new(0)),
        Arc::new(Notify::new()),
    );
    let counts = (Arc::clone(&running), Arc::clone(&gate), Arc::clone(&entered));
    let consumer = PushConsumer::builder("g")
        .client(&client)
        .subscribe("T", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .consume_concurrency(3)
        .start(move |_| {
            let (running, gate, entered) = counts.clone();
            async move {
                running.fetch_add(1, Ordering::SeqCst);
                entered.notify_one();
                gate.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                Consumed::Success
            }
        })
        .await
        .unwrap();
    let until = async |many: usize| {
        soon("so many calls", async {
            while running.load(Ordering::SeqCst) < many {
                entered.notified().await;
            }
        })
        .await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(running.load(Ordering::SeqCst), many);
    };
    until(3).await;
    consumer.update_consume_concurrency(5).unwrap();
    until(5).await;
    assert!(consumer.update_consume_concurrency(0).is_err());
    gate.add_permits(40);
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
}

#[tokio::test]
async fn a_suspended_consumer_gets_nothing_until_it_is_resumed() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let consumer = PushConsumer::builder("g")
        .client(&client)
        .subscribe("T", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages| {
            into.take(messages);
            async { Consumed::Success }
        })
        .await
        .unwrap();
    stand.send("T", 0, "before").await;
    assert_eq!(text(&got.next().await), "before");
    consumer.suspend();
    // the pull that waits at the broker already is still answered
    stand.send("T", 0, "on its way").await;
    assert_eq!(text(&got.next().await), "on its way");
    stand.send("T", 0, "while suspended").await;
    assert!(
        tokio::time::timeout(Duration::from_millis(200), got.next())
            .await
            .is_err()
    );
    consumer.resume();
    assert_eq!(text(&got.next().await), "while suspended");
    consumer.shutdown().await.unwrap();
    client.shutdown().await;
}

#[tokio::test]
async fn topics_are_subscribed_to_and_left_while_it_runs() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.create_topic("U", 1).await;
    let (client, (into, mut got)) = (stand.client().await, inbox());
    let consumer = PushConsumer::builder("g")
        .client(&client)
        .subscribe("T", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages| {
            into.take(messages);
            async { Consumed::Success }
        })
        .await
        .unwrap();
    stand.send("T", 0, "t").await;
    assert_eq!(text(&got.next().await), "t");
    consumer.subscribe("U", "*").await.unwrap();
    stand.send("U", 0, "u").await;
    assert_eq!(got.next().await.topic(), "U");
    consumer.unsubscribe("T").await;
    soon("the queue of T is given up", async {
        while consumer.owned_queues().iter().any(|queue| queue.topic == "T") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stand.send("T", 0, "nobody wants it").await;
    stand.send("U", 0, "u again").await;
    assert_eq!(text(&got.next().await), "u again");
    consumer.shutdown().await.unwrap();
    assert!(got.is_empty());
    client.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_waits_for_calls_that_run_and_counts_what_they_did() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    stand.send("T", 0, "slow").await;
    let client = stand.client().await;
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let seen = (Arc::clone(&begun), Arc::clone(&end));
    let consumer = PushConsumer::builder("g")
        .client(&client)
        .subscribe("T", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |_: Vec<ReceivedMessage>| {
            let (begun, end) = seen.clone();
            async move {
                begun.notify_one();
                end.notified().await;
                Consumed::Success
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

#[tokio::test]
async fn a_dropped_consumer_leaves_no_task_and_its_group_is_free() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    let client = stand.client().await;
    let held = Arc::new(());
    let inside = Arc::clone(&held);
    let consumer = PushConsumer::builder("g")
        .client(&client)
        .subscribe("T", "*")
        .start(move |_| {
            let _held = Arc::clone(&inside);
            async { Consumed::Success }
        })
        .await
        .unwrap();
    assert_eq!(Arc::strong_count(&held), 2);
    drop(consumer);
    soon("the tasks are gone", async {
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let again = PushConsumer::builder("g")
        .client(&client)
        .subscribe("T", "*")
        .start(|_| async { Consumed::Success });
    again.await.unwrap().shutdown().await.unwrap();
    client.shutdown().await;
}

/// Keeps how each call ended.
#[derive(Default)]
struct Endings(Mutex<Vec<(String, ConsumeReturnType)>>);

impl ConsumeMessageHook for Endings {
    fn after(&self, consuming: &Consuming<'_>, ended: ConsumeReturnType, _took: Duration) {
        assert_eq!((consuming.group, &*consuming.queue.topic), ("g", "T"));
        self.0.lock().unwrap().push((text(&consuming.messages[0]), ended));
    }
}

#[tokio::test]
async fn a_hook_is_told_how_each_call_of_the_listener_ended() {
    let stand = Stand::start();
    stand.create_topic("T", 1).await;
    let endings = Arc::new(Endings::default());
    let consumer = PushConsumer::builder("g")
        .client_options(stand.options())
        .subscribe("T", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .consume_timeout(Duration::from_millis(100))
        .consume_message_hook(Arc::clone(&endings) as _)
        .start(async |messages: Vec<ReceivedMessage>| match &*text(&messages[0]) {
            "panics" => panic!("the test wants it"),
            "fails" => Consumed::Later,
            "is slow" => {
                tokio::time::sleep(Duration::from_millis(150)).await;
                Consumed::Success
            }
            _ => Consumed::Success,
        })
        .await
        .unwrap();
    let all = [
        ("fails", ConsumeReturnType::Failed),
        ("is slow", ConsumeReturnType::TimeOut),
        ("panics", ConsumeReturnType::Exception),
        ("works", ConsumeReturnType::Success),
    ];
    for (body, _) in all {
        stand.send("T", 0, body).await;
    }
    soon("four calls", async {
        while endings.0.lock().unwrap().len() < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut ended = endings.0.lock().unwrap().clone();
    ended.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(ended, all.map(|(body, ending)| (body.to_owned(), ending)));
    consumer.shutdown().await.unwrap();
}
