//! A producer among brokers that are functions: whom it tries next, when it gives up, and what it says of it. Time is tokio's
//! and stands still while anything can be done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::header::FLAG_ONEWAY;

use super::{Producer, ProducerBuilder, SendMessageHook, Sending, Sent};
use crate::clock;
use crate::error::{Cause, Error, Outcome};
use crate::message::Message;
use crate::testing::{FakeNetwork, name_server, yes};

const SECOND: Duration = Duration::from_secs(1);

/// A broker's answer to a send.
fn stored(request: &Command) -> Command {
    let queue = request.fields.get("e").unwrap_or("0").to_owned();
    yes(request)
        .with_field("msgId", "7F00000100002A9F0000000000000000")
        .with_field("queueId", queue)
        .with_field("queueOffset", 5)
}

fn is_send(request: &Command) -> bool {
    [310, 320].contains(&request.code)
}

/// A broker that stores what it is sent, or says no with a code.
fn broker(code: ResponseCode) -> impl Fn(&Command) -> Option<Command> {
    move |request| {
        Some(match is_send(request) {
            true if code == ResponseCode::SUCCESS => stored(request),
            true => Command {
                code: code.0,
                ..stored(request)
            }
            .with_remark("no"),
            false => yes(request),
        })
    }
}

fn network(a: ResponseCode, b: ResponseCode) -> FakeNetwork {
    let network = FakeNetwork::default();
    network.serve("ns:9876", name_server("T", &["a", "b"], 2));
    network.serve("a:10911", broker(a));
    network.serve("b:10911", broker(b));
    network
}

fn builder(network: &FakeNetwork) -> ProducerBuilder {
    Producer::builder("p").client_options(network.options())
}

fn sends(network: &FakeNetwork, broker: &str) -> usize {
    network.asked(broker, RequestCode::SEND_MESSAGE_V2).len()
}

#[tokio::test(start_paused = true)]
async fn what_one_broker_refuses_for_now_the_other_gets_under_the_same_id() {
    let network = network(ResponseCode::SERVICE_NOT_AVAILABLE, ResponseCode::SUCCESS);
    let producer = builder(&network).start().await.unwrap();
    for _ in 0..8 {
        assert_eq!(
            producer.send(Message::new("T", "b")).await.unwrap().queue.broker_name,
            "b"
        );
    }
    let (refused, taken) = (
        network.asked("a:10911", RequestCode::SEND_MESSAGE_V2),
        sends(&network, "b:10911"),
    );
    assert!(!refused.is_empty());
    assert_eq!(taken, 8);
    let properties = refused[0].fields.get("i").unwrap();
    let again = network.asked("b:10911", RequestCode::SEND_MESSAGE_V2);
    assert!(again.iter().any(|request| request.fields.get("i") == Some(properties)));
    producer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn three_attempts_are_made_then_the_brokers_words_are_told() {
    let network = network(ResponseCode::SERVICE_NOT_AVAILABLE, ResponseCode::SERVICE_NOT_AVAILABLE);
    let producer = builder(&network).start().await.unwrap();
    let error = producer.send(Message::new("T", "b")).await.unwrap_err();
    assert!(error.is_retry() && error.to_string().contains("no"), "{error}");
    assert_eq!(error.trouble().topic.as_deref(), Some("T"));
    assert!(error.trouble().queue_id.is_some() && error.trouble().address.is_some());
    assert_eq!(sends(&network, "a:10911") + sends(&network, "b:10911"), 3);
    producer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_no_broker_will_take_is_sent_once() {
    for code in [ResponseCode::MESSAGE_ILLEGAL, ResponseCode::SYSTEM_BUSY] {
        let network = network(code, code);
        let producer = builder(&network).start().await.unwrap();
        let error = producer.send(Message::new("T", "b")).await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert_eq!(sends(&network, "a:10911") + sends(&network, "b:10911"), 1);
        producer.shutdown().await;
    }
}

/// A Java broker's access control answers as a broker that has failed, whose messages are tried again.
#[tokio::test(start_paused = true)]
async fn what_access_control_denies_is_sent_once() {
    let network = FakeNetwork::default();
    network.serve("ns:9876", name_server("T", &["a"], 4));
    network.serve("a:10911", |request| {
        let denied = Command::response_to(request, ResponseCode::SYSTEM_ERROR);
        is_send(request).then(|| denied.with_remark("org.apache.rocketmq.acl.common.AclException: No accessKey"))
    });
    let producer = builder(&network).start().await.unwrap();
    let error = producer.send(Message::new("T", "b")).await.unwrap_err();
    assert!(
        matches!(error, Error::GiveUp(_)) && error.to_string().contains("No accessKey"),
        "{error}"
    );
    assert_eq!(sends(&network, "a:10911"), 1);
    producer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_stored_less_safely_is_a_result_and_goes_to_another_broker_only_where_asked_for() {
    let network = network(ResponseCode::FLUSH_DISK_TIMEOUT, ResponseCode::FLUSH_DISK_TIMEOUT);
    let producer = builder(&network).start().await.unwrap();
    let result = producer.send(Message::new("T", "b")).await.unwrap();
    assert_eq!(result.status, super::SendStatus::FlushDiskTimeout);
    assert_eq!(result.queue_offset, 5);
    assert_eq!(sends(&network, "a:10911") + sends(&network, "b:10911"), 1);
    producer.shutdown().await;
    let producer = builder(&network)
        .retry_another_broker_when_not_store_ok(true)
        .start()
        .await
        .unwrap();
    producer.send(Message::new("T", "b")).await.unwrap();
    assert_eq!(sends(&network, "a:10911") + sends(&network, "b:10911"), 1 + 3);
    producer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_passed_over_and_one_that_is_silent_uses_up_the_time() {
    let network = network(ResponseCode::SUCCESS, ResponseCode::SUCCESS);
    let producer = builder(&network).start().await.unwrap();
    network.stop("a:10911");
    for _ in 0..4 {
        assert_eq!(
            producer.send(Message::new("T", "b")).await.unwrap().queue.broker_name,
            "b"
        );
    }
    network.serve("a:10911", |request| (!is_send(request)).then(|| yes(request)));
    network.stop("b:10911");
    let begun = clock::now();
    let error = producer.send(Message::new("T", "b")).await.unwrap_err();
    assert_eq!(clock::now() - begun, 3 * SECOND);
    assert_eq!(error.trouble().outcome(), Outcome::Unknown, "{error}");
    producer.shutdown().await;
}

/// The first attempt may have stored it, whatever becomes of the second.
#[tokio::test(start_paused = true)]
async fn a_send_that_an_attempt_may_have_stored_is_not_told_to_be_undone() {
    let network = network(ResponseCode::SYSTEM_ERROR, ResponseCode::SYSTEM_ERROR);
    let (served, answers) = (AtomicUsize::new(0), broker(ResponseCode::SYSTEM_ERROR));
    let answers = move |request: &Command| match is_send(request).then(|| served.fetch_add(1, Ordering::Relaxed)) {
        // the second broker says that it did nothing
        Some(1..) => Some(Command::response_to(request, ResponseCode::MESSAGE_ILLEGAL)),
        _ => answers(request),
    };
    let answers = Arc::new(answers);
    for address in ["a:10911", "b:10911"] {
        let answers = Arc::clone(&answers);
        network.serve(address, move |request| answers(request));
    }
    let producer = builder(&network).start().await.unwrap();
    let error = producer.send(Message::new("T", "b")).await.unwrap_err();
    assert_eq!(error.code(), Some(ResponseCode::MESSAGE_ILLEGAL));
    assert_eq!(error.trouble().outcome(), Outcome::Unknown);
    producer.shutdown().await;
}

/// It is stored at the first broker; that the second fails changes nothing of that.
#[tokio::test(start_paused = true)]
async fn a_message_stored_less_safely_stays_a_result_when_the_next_broker_fails() {
    let network = network(ResponseCode::FLUSH_DISK_TIMEOUT, ResponseCode::FLUSH_DISK_TIMEOUT);
    let producer = builder(&network)
        .retry_another_broker_when_not_store_ok(true)
        .start()
        .await
        .unwrap();
    producer.fetch_publish_message_queues("T").await.unwrap();
    network.serve("b:10911", broker(ResponseCode::MESSAGE_ILLEGAL));
    for _ in 0..4 {
        match producer.send(Message::new("T", "b")).await {
            Ok(sent) => assert_eq!(sent.status, super::SendStatus::FlushDiskTimeout),
            // the other one was asked first, and refused for good
            Err(error) => assert_eq!(error.trouble().outcome(), Outcome::NotDone),
        }
    }
    assert!(sends(&network, "a:10911") > 0 && sends(&network, "b:10911") > 0);
    producer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_broker_is_avoided_where_that_is_asked_for() {
    let network = network(ResponseCode::SERVICE_NOT_AVAILABLE, ResponseCode::SUCCESS);
    let producer = builder(&network).send_latency_fault_enable(true).start().await.unwrap();
    for _ in 0..20 {
        producer.send(Message::new("T", "b")).await.unwrap();
    }
    assert_eq!(sends(&network, "a:10911"), 1, "it failed once and was avoided then");
    tokio::time::sleep(600 * SECOND).await;
    for _ in 0..4 {
        producer.send(Message::new("T", "b")).await.unwrap();
    }
    assert_eq!(sends(&network, "a:10911"), 2);
    producer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_exist_is_sent_to_as_it_will_be_made() {
    let network = FakeNetwork::default();
    network.serve("ns:9876", name_server("TBW102", &["a"], 8));
    network.serve("a:10911", broker(ResponseCode::SUCCESS));
    let producer = builder(&network).start().await.unwrap();
    for _ in 0..8 {
        producer.send(Message::new("New", "b")).await.unwrap();
    }
    let sent = network.asked("a:10911", RequestCode::SEND_MESSAGE_V2);
    let mut queues: Vec<_> = sent.iter().filter_map(|request| request.fields.get("e")).collect();
    queues.sort_unstable();
    assert_eq!(queues, ["0", "0", "1", "1", "2", "2", "3", "3"]);
    assert_eq!(
        (sent[0].fields.get("c"), sent[0].fields.get("d")),
        (Some("TBW102"), Some("4"))
    );
    network.serve("ns:9876", name_server("New", &["a"], 1));
    let error = producer.send(Message::new("Other", "b")).await.unwrap_err();
    assert!(matches!(error.trouble().cause, Cause::NoRoute), "{error}");
    producer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_made_at_brokers_of_4_3_0_too_which_name_its_model_otherwise() {
    let network = FakeNetwork::default();
    network.serve("ns:9876", name_server("AUTO_CREATE_TOPIC_KEY", &["a"], 8));
    network.serve("a:10911", broker(ResponseCode::SUCCESS));
    let producer = builder(&network).start().await.unwrap();
    producer.send(Message::new("New", "b")).await.unwrap();
    let sent = network.asked("a:10911", RequestCode::SEND_MESSAGE_V2);
    assert_eq!(sent[0].fields.get("c"), Some("AUTO_CREATE_TOPIC_KEY"));
    producer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn sends_in_the_background_wait_for_room_in_the_window_and_each_tells_its_outcome() {
    let network = network(ResponseCode::SUCCESS, ResponseCode::SUCCESS);
    let silent = |request: &Command| (!is_send(request)).then(|| yes(request));
    network.serve("a:10911", silent);
    network.serve("b:10911", silent);
    let producer = builder(&network).send_window(2).start().await.unwrap();
    let begun = clock::now();
    let first = producer.send_async(Message::new("T", "1")).await.unwrap();
    drop(producer.send_async(Message::new("T", "2")).await.unwrap());
    assert_eq!(clock::now(), begun);
    let third = producer.send_async(Message::new("T", "3")).await.unwrap();
    assert_eq!(clock::now() - begun, 3 * SECOND, "it waited until another was given up");
    assert!(matches!(first.await, Err(Error::Retry(_))));
    assert!(matches!(third.await, Err(Error::Retry(_))));
    network.serve("a:10911", broker(ResponseCode::SUCCESS));
    network.serve("b:10911", broker(ResponseCode::SUCCESS));
    producer
        .send_async(Message::new("T", "4"))
        .await
        .unwrap()
        .await
        .unwrap();
    producer.shutdown().await;
    assert!(matches!(
        producer.send_async(Message::new("T", "5")).await,
        Err(Error::GiveUp(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final_for_a_send_in_the_background() {
    let network = network(ResponseCode::SERVICE_NOT_AVAILABLE, ResponseCode::SERVICE_NOT_AVAILABLE);
    let producer = builder(&network).start().await.unwrap();
    let error = producer
        .send_async(Message::new("T", "b"))
        .await
        .unwrap()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ResponseCode::SERVICE_NOT_AVAILABLE));
    assert_eq!(sends(&network, "a:10911") + sends(&network, "b:10911"), 1);
    producer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_oneway_message_wants_no_answer_and_a_chosen_queue_gets_its_message() {
    let network = network(ResponseCode::SUCCESS, ResponseCode::SUCCESS);
    let producer = builder(&network).start().await.unwrap();
    let queues = producer.fetch_publish_message_queues("T").await.unwrap();
    let mut watch = network.watch();
    producer
        .send_oneway_to(Message::new("T", "b"), &queues[3])
        .await
        .unwrap();
    let (address, request) = watch.recv().await.unwrap();
    assert_eq!((address.as_str(), request.fields.get("e")), ("b:10911", Some("1")));
    assert_eq!(request.flag, FLAG_ONEWAY);
    let sent = producer.send_to(Message::new("T", "b"), &queues[2]).await.unwrap();
    assert_eq!(*sent.queue, queues[2]);
    let by_key = |queues: &[_]| super::by_hash(queues, "order-17").cloned();
    let chosen = by_key(&queues).unwrap();
    for _ in 0..3 {
        let sent = producer.send_by(Message::new("T", "b"), |queues| super::by_hash(queues, "order-17"));
        assert_eq!(*sent.await.unwrap().queue, chosen);
    }
    assert!(matches!(
        producer.send_by(Message::new("T", "b"), |_| None).await,
        Err(Error::Fix(_))
    ));
    assert!(matches!(
        producer.send_to(Message::new("U", "b"), &queues[0]).await,
        Err(Error::Fix(_))
    ));
    producer.shutdown().await;
}

#[derive(Default)]
struct Noted {
    before: AtomicUsize,
    after: Mutex<Vec<String>>,
}

impl SendMessageHook for Noted {
    fn before(&self, sending: &Sending<'_>) {
        assert_eq!((sending.group, sending.messages.len()), ("p", 1));
        self.before.fetch_add(1, Ordering::Relaxed);
    }

    fn after(&self, sending: &Sending<'_>, sent: Sent<'_>, _took: Duration) {
        let outcome = match sent {
            Sent::Stored(result) => format!("stored {}", result.msg_id == sending.msg_id),
            Sent::Oneway => "oneway".to_owned(),
            Sent::Failed(_) => "failed".to_owned(),
        };
        self.after.lock().unwrap().push(outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_see_every_attempt_and_what_it_came_to() {
    let network = network(ResponseCode::SERVICE_NOT_AVAILABLE, ResponseCode::SERVICE_NOT_AVAILABLE);
    let noted = Arc::new(Noted::default());
    let producer = builder(&network)
        .send_message_hook(Arc::clone(&noted) as Arc<_>)
        .start()
        .await
        .unwrap();
    producer.send(Message::new("T", "b")).await.unwrap_err();
    network.serve("a:10911", broker(ResponseCode::SUCCESS));
    network.serve("b:10911", broker(ResponseCode::SUCCESS));
    producer.send(Message::new("T", "b")).await.unwrap();
    producer.send_oneway(Message::new("T", "b")).await.unwrap();
    assert_eq!(noted.before.load(Ordering::Relaxed), 5);
    let outcomes = ["failed", "failed", "failed", "stored true", "oneway"];
    assert_eq!(*noted.after.lock().unwrap(), outcomes);
    producer.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_together_leave_together_and_each_has_its_own_place() {
    let network = network(ResponseCode::SUCCESS, ResponseCode::SUCCESS);
    let batch_ids = |request: &Command| {
        let many = cuemq_net::message::batch::entries(&request.body).count();
        let ids: Vec<_> = (0..many).map(|n| format!("id{n}")).collect();
        Some(match request.code {
            320 => stored(request).with_field("msgId", ids.join(",")),
            310 => stored(request),
            _ => yes(request),
        })
    };
    network.serve("a:10911", batch_ids);
    network.serve("b:10911", batch_ids);
    let producer = builder(&network).auto_batch(SECOND, 1000).start().await.unwrap();
    let begun = clock::now();
    let send = |body: usize| {
        let producer = producer.clone();
        tokio::spawn(async move { producer.send(Message::new("T", vec![0; body])).await.unwrap() })
    };
    let sends: Vec<_> = (0..3).map(|_| send(100)).collect();
    let mut places = Vec::new();
    for sent in sends {
        let result = sent.await.unwrap();
        places.push((
            result.queue_offset,
            String::from(result.offset_msg_id),
            result.msg_id.len(),
        ));
    }
    let expected = [5, 6, 7].map(|place| (place, format!("id{}", place - 5), 32));
    assert_eq!(places, expected);
    assert_eq!(clock::now() - begun, SECOND, "they waited for company");
    // the second does not fit in with the first, which leaves at once
    let (first, second) = (send(600), send(600));
    second.await.unwrap();
    first.await.unwrap();
    producer
        .send(Message::new("T", "late").delay_time_level(1))
        .await
        .unwrap();
    assert_eq!(clock::now() - begun, 2 * SECOND, "what is delayed is sent by itself");
    let asked = |code| network.asked("a:10911", code).len() + network.asked("b:10911", code).len();
    assert_eq!(
        (
            asked(RequestCode::SEND_BATCH_MESSAGE),
            asked(RequestCode::SEND_MESSAGE_V2)
        ),
        (1, 3)
    );
    let waits = send(100);
    tokio::task::yield_now().await;
    producer.shutdown().await;
    waits.await.unwrap();
    assert_eq!(clock::now() - begun, 2 * SECOND, "the end sends what is gathered");
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_is_dropped_ends_its_client_and_all_of_its_tasks() {
    let network = network(ResponseCode::SUCCESS, ResponseCode::SUCCESS);
    let producer = builder(&network)
        .enable_msg_trace(true)
        .auto_batch(SECOND, 1000)
        .start()
        .await
        .unwrap();
    producer.send(Message::new("T", "b")).await.unwrap();
    drop(producer.send_async(Message::new("T", "b")).await.unwrap());
    drop(producer);
    tokio::time::sleep(10 * SECOND).await;
    let mut watch = network.watch();
    tokio::time::sleep(600 * SECOND).await;
    assert!(watch.try_recv().is_err(), "somebody still asks");
}
