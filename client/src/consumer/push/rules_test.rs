//! What a push consumer says to servers, and when: against servers that are functions, in tokio's own time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cuemq_net::body::{Body, ConsumerList, LockBatch, LockedQueues};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::response::{OffsetResponse, PullResponse};

use crate::clock::{Clock, now};
use crate::consumer::pull::millis;
use crate::consumer::{ConsumeFromWhere, Consumed, ConsumedInOrder, PushConsumer, PushConsumerBuilder};
use crate::received::tests::stored;
use crate::subscription::MessageSelector;
use crate::testing::{FakeNetwork, name_server, yes};

const BROKER: &str = "a:10911";

/// A broker with one message in each queue of `T`, that knows one client.
fn broker(client_id: &'static str) -> impl Fn(&Command) -> Option<Command> {
    move |request| match RequestCode(request.code) {
        RequestCode::GET_CONSUMER_LIST_BY_GROUP => {
            let consumer_id_list = vec![client_id.to_owned()];
            Some(yes(request).with_body(ConsumerList { consumer_id_list }.encode(Style::Standard)))
        }
        RequestCode::QUERY_CONSUMER_OFFSET => {
            let header = OffsetResponse { queue_offset: 0 };
            Some(yes(request).with_header(|fields| header.write(fields)))
        }
        RequestCode::LOCK_BATCH_MQ => {
            let queues = LockBatch::decode(&request.body).unwrap().queues;
            Some(yes(request).with_body(LockedQueues { queues }.encode(Style::Standard)))
        }
        RequestCode::PULL_MESSAGE if request.fields.get("queueOffset") == Some("0") => {
            let header = PullResponse {
                next_begin_offset: 1,
                max_offset: 1,
                ..PullResponse::default()
            };
            let body = stored("T", b"UNIQ_KEY\x01ABC\x02", b"x", 0, 0);
            Some(yes(request).with_header(|fields| header.write(fields)).with_body(body))
        }
        // the broker waits for a message
        RequestCode::PULL_MESSAGE => None,
        _ => Some(yes(request)),
    }
}

/// The time of day goes with tokio's.
struct TokiosClock(tokio::time::Instant);

impl Clock for TokiosClock {
    fn now_ms(&self) -> i64 {
        millis(now().duration_since(self.0))
    }
}

const CLIENT_ID: &str = "10.0.0.9@me";

fn network() -> FakeNetwork {
    let network = FakeNetwork::default();
    network.serve("ns:9876", name_server("T", &["a"], 1));
    network.serve(BROKER, broker(CLIENT_ID));
    network
}

fn builder(network: &FakeNetwork) -> PushConsumerBuilder {
    PushConsumer::builder("g")
        .client_options(
            network
                .options()
                .instance_name("me")
                .clock(Arc::new(TokiosClock(now()))),
        )
        .subscribe("T", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
}

async fn until(network: &FakeNetwork, code: RequestCode, many: usize) -> Vec<Command> {
    loop {
        let asked = network.asked(BROKER, code);
        if asked.len() >= many {
            return asked;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_says_that_it_is_there_and_has_its_expression_checked_before_it_pulls() {
    let network = network();
    let mut watch = network.watch();
    let consumer = builder(&network)
        .subscribe("T", MessageSelector::by_sql("a > 5"))
        .start(async |_| Consumed::Success)
        .await
        .unwrap();
    until(&network, RequestCode::PULL_MESSAGE, 2).await;
    let mut codes = Vec::new();
    while let Ok((_, request)) = watch.try_recv() {
        codes.push(RequestCode(request.code));
    }
    let steps = [
        RequestCode::GET_ROUTEINTO_BY_TOPIC,
        RequestCode::CHECK_CLIENT_CONFIG,
        RequestCode::HEART_BEAT,
        RequestCode::GET_CONSUMER_LIST_BY_GROUP,
        RequestCode::QUERY_CONSUMER_OFFSET,
        // the queues have changed
        RequestCode::HEART_BEAT,
        RequestCode::PULL_MESSAGE,
    ];
    let mut left = codes.iter();
    for step in steps {
        assert!(
            left.any(|code| *code == step),
            "{step} is missing, or too early, in {codes:?}"
        );
    }
    consumer.shutdown().await.unwrap();
    assert_eq!(network.asked(BROKER, RequestCode::UNREGISTER_CLIENT).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn queues_are_shared_out_anew_every_twenty_seconds_and_when_the_broker_says_so() {
    let network = network();
    let consumer = builder(&network).start(async |_| Consumed::Success).await.unwrap();
    let asked = || network.asked(BROKER, RequestCode::GET_CONSUMER_LIST_BY_GROUP).len();
    until(&network, RequestCode::PULL_MESSAGE, 2).await;
    // the retry topic has no route here, so it is looked for after 1, 2, 4, 8 and 16 s, and then as often as the others
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = asked();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(asked() - before, 3);
    let caller = network.caller(BROKER);
    let told = Command::request(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED).with_field("consumerGroup", "g");
    let before = asked();
    caller.oneway(&told).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(asked() - before, 1);
    consumer.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn offsets_are_saved_every_five_seconds_and_at_the_end() {
    let network = network();
    let consumer = builder(&network).start(async |_| Consumed::Success).await.unwrap();
    let saved = until(&network, RequestCode::UPDATE_CONSUMER_OFFSET, 2).await;
    assert!(saved.iter().all(Command::is_oneway));
    assert!(
        saved
            .iter()
            .all(|request| request.fields.get("commitOffset") == Some("1"))
    );
    consumer.shutdown().await.unwrap();
    let saved = network.asked(BROKER, RequestCode::UPDATE_CONSUMER_OFFSET);
    assert!(!saved.last().unwrap().is_oneway(), "the last one is confirmed");
}

#[tokio::test(start_paused = true)]
async fn the_group_comes_further_with_the_next_pull_too() {
    let network = network();
    let consumer = builder(&network).start(async |_| Consumed::Success).await.unwrap();
    // the second one waits for 30 s and fails, so the third is sent after 3 s more
    let pulls = until(&network, RequestCode::PULL_MESSAGE, 3).await;
    let field = |pull: usize, name: &str| pulls[pull].fields.get(name).unwrap().to_owned();
    assert_eq!(
        (field(0, "sysFlag"), field(0, "commitOffset")),
        ("2".to_owned(), "0".to_owned())
    );
    assert_eq!(
        (field(2, "sysFlag"), field(2, "commitOffset")),
        ("3".to_owned(), "1".to_owned())
    );
    consumer.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_its_broker_does_not_take_back_is_sent_to_the_retry_topic() {
    let network = FakeNetwork::default();
    let knows = [name_server("T", &["a"], 1), name_server("%RETRY%g", &["a"], 1)];
    network.serve("ns:9876", move |request| {
        let answers = knows.iter().filter_map(|knows| knows(request));
        answers.reduce(|best, next| if best.code == 0 { best } else { next })
    });
    let others = broker(CLIENT_ID);
    network.serve(BROKER, move |request| match RequestCode(request.code) {
        RequestCode::CONSUMER_SEND_MSG_BACK => Some(Command::response_to(request, ResponseCode::SYSTEM_ERROR)),
        // nothing comes again here
        RequestCode::PULL_MESSAGE if request.fields.get("topic") == Some("%RETRY%g") => None,
        _ => others(request),
    });
    let consumer = builder(&network).start(async |_| Consumed::Later).await.unwrap();
    let sent = until(&network, RequestCode::SEND_MESSAGE_V2, 1).await.remove(0);
    let asked = network.asked(BROKER, RequestCode::CONSUMER_SEND_MSG_BACK).remove(0);
    for (name, value) in [
        ("offset", "1000"),
        ("group", "g"),
        ("delayLevel", "0"),
        ("originMsgId", "ABC"),
        ("originTopic", "T"),
        ("maxReconsumeTimes", "16"),
    ] {
        assert_eq!(asked.fields.get(name), Some(value), "{name}");
    }
    assert_eq!(sent.fields.get("a"), Some("CLIENT_INNER_PRODUCER"));
    assert_eq!(sent.fields.get("b"), Some("%RETRY%g"));
    assert_eq!((sent.fields.get("j"), sent.fields.get("l")), (Some("3"), Some("16")));
    consumer.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_no_broker_takes_back_stays_in_hand_and_comes_again_after_five_seconds() {
    let network = network();
    let others = broker(CLIENT_ID);
    network.serve(BROKER, move |request| match RequestCode(request.code) {
        RequestCode::CONSUMER_SEND_MSG_BACK => Some(Command::response_to(request, ResponseCode::SYSTEM_ERROR)),
        _ => others(request),
    });
    let (sender, mut times) = tokio::sync::mpsc::unbounded_channel();
    let started = builder(&network).start(move |messages: Vec<crate::ReceivedMessage>| {
        let times = messages[0].reconsume_times();
        sender.send((times, now())).unwrap();
        std::future::ready(if times == 2 { Consumed::Later } else { Consumed::Success })
    });
    let consumer = started.await.unwrap();
    let (first, begun) = times.recv().await.unwrap();
    let (again, later) = times.recv().await.unwrap();
    assert_eq!((first, again), (2, 3));
    assert!(later - begun >= Duration::from_secs(5));
    consumer.shutdown().await.unwrap();
    let saved = network.asked(BROKER, RequestCode::UPDATE_CONSUMER_OFFSET);
    let saved: Vec<_> = saved
        .iter()
        .map(|request| request.fields.get("commitOffset").unwrap())
        .collect();
    assert_eq!(saved.last(), Some(&"1"));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_a_listener_keeps_for_too_long_is_sent_back() {
    let network = network();
    let consumer = builder(&network)
        .consume_timeout(Duration::from_secs(60))
        .await_termination_when_shutdown(Duration::ZERO)
        .start(async |_| {
            std::future::pending::<()>().await;
            Consumed::Success
        })
        .await
        .unwrap();
    let asked = until(&network, RequestCode::CONSUMER_SEND_MSG_BACK, 1).await.remove(0);
    assert_eq!(asked.fields.get("delayLevel"), Some("3"));
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(
        network.asked(BROKER, RequestCode::CONSUMER_SEND_MSG_BACK).len(),
        1,
        "once is enough"
    );
    consumer.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_orderly_consumer_locks_before_it_pulls_renews_every_twenty_seconds_and_unlocks_at_the_end() {
    let network = network();
    let mut watch = network.watch();
    let consumer = builder(&network)
        .start_orderly(async |_| ConsumedInOrder::Success)
        .await
        .unwrap();
    until(&network, RequestCode::PULL_MESSAGE, 1).await;
    let mut first = None;
    while let Ok((_, request)) = watch.try_recv() {
        let code = RequestCode(request.code);
        if code == RequestCode::LOCK_BATCH_MQ || code == RequestCode::PULL_MESSAGE {
            first.get_or_insert(code);
        }
    }
    assert_eq!(first, Some(RequestCode::LOCK_BATCH_MQ));
    let locks = || network.asked(BROKER, RequestCode::LOCK_BATCH_MQ);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = locks().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(locks().len() - before, 3);
    let batch = LockBatch::decode(&locks()[0].body).unwrap();
    assert_eq!(
        (&*batch.client_id, &*batch.consumer_group, batch.queues.len()),
        (CLIENT_ID, "g", 1)
    );
    consumer.shutdown().await.unwrap();
    assert_eq!(network.asked(BROKER, RequestCode::UNLOCK_BATCH_MQ).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_listener_waits_while_the_lock_is_lost() {
    let network = network();
    let is_ours = Arc::new(AtomicBool::new(true));
    let (others, held) = (broker(CLIENT_ID), Arc::clone(&is_ours));
    network.serve(BROKER, move |request| match RequestCode(request.code) {
        RequestCode::LOCK_BATCH_MQ if !held.load(Ordering::SeqCst) => {
            Some(yes(request).with_body(LockedQueues::default().encode(Style::Standard)))
        }
        _ => others(request),
    });
    let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let started = builder(&network).start_orderly(move |_| {
        sender.send(now()).unwrap();
        std::future::ready(ConsumedInOrder::Suspend(Some(Duration::from_secs(5))))
    });
    let consumer = started.await.unwrap();
    calls.recv().await.unwrap();
    is_ours.store(false, Ordering::SeqCst);
    // the next renewal tells that it is lost
    tokio::time::sleep(Duration::from_secs(22)).await;
    while calls.try_recv().is_ok() {}
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(calls.try_recv().is_err());
    is_ours.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(22)).await;
    assert!(calls.try_recv().is_ok());
    consumer.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_has_not_heard_of_the_subscription_is_told_and_asked_again_at_once() {
    let network = network();
    let (others, refused) = (broker(CLIENT_ID), AtomicBool::new(false));
    network.serve(BROKER, move |request| match RequestCode(request.code) {
        RequestCode::PULL_MESSAGE if !refused.swap(true, Ordering::SeqCst) => {
            Some(Command::response_to(request, ResponseCode::SUBSCRIPTION_NOT_LATEST))
        }
        _ => others(request),
    });
    let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let begun = now();
    let started = builder(&network).start(move |_| {
        sender.send(now()).unwrap();
        std::future::ready(Consumed::Success)
    });
    let consumer = started.await.unwrap();
    let called = calls.recv().await.unwrap();
    assert!(called - begun < Duration::from_secs(1), "{:?}", called - begun);
    consumer.shutdown().await.unwrap();
}
