//! A client among servers that are functions: what it asks whom and when, what it does when they fail, and how it ends. Time
//! is tokio's and stands still while anything can be done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cuemq_net::body::{Body, HeartbeatData};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::transport::CallError;
use tokio::sync::mpsc;

use super::{Asked, Client, Group, Member};
use crate::clock;
use crate::error::{Cause, Error, Outcome};
use crate::network::BoxFuture;
use crate::testing::{FakeNetwork, name_server, yes, yes_to_all};

const BROKER: &str = "a:10911";
const SECOND: Duration = Duration::from_secs(1);

/// A producer that tells what it is asked, and 0 when it is time to save.
struct Told(mpsc::UnboundedSender<i32>);

impl Member for Told {
    fn group(&self) -> Group {
        Group::Producing("p".to_owned())
    }

    fn topics(&self) -> Vec<String> {
        vec!["T".to_owned()]
    }

    fn persist(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _ = self.0.send(0);
        })
    }

    fn serve(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Option<Command>> {
        Box::pin(async move {
            let _ = self.0.send(asked.request.code);
            Some(yes(&asked.request))
        })
    }
}

fn network() -> FakeNetwork {
    let network = FakeNetwork::default();
    network.serve("ns:9876", name_server("T", &["a"], 2));
    network.serve(BROKER, yes_to_all);
    network
}

async fn joined(client: &Client) -> (Arc<dyn Member>, mpsc::UnboundedReceiver<i32>) {
    let (sender, told) = mpsc::unbounded_channel();
    let member: Arc<dyn Member> = Arc::new(Told(sender));
    client.join(&member).await.unwrap();
    (member, told)
}

/// Waits for a request to a server.
async fn until(watch: &mut mpsc::UnboundedReceiver<(String, Command)>, address: &str, code: RequestCode) -> Command {
    let wait = async {
        loop {
            let (whom, what) = watch.recv().await.unwrap();
            if whom == address && what.code == code.0 {
                return what;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(600), wait).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn brokers_are_told_at_once_and_every_thirty_seconds_who_is_there_and_at_the_end_that_it_left() {
    let network = network();
    let client = network.options().start().await.unwrap();
    client.route("T").await.unwrap();
    let begun = clock::now();
    let mut watch = network.watch();
    let (member, _told) = joined(&client).await;
    let beat = until(&mut watch, BROKER, RequestCode::HEART_BEAT).await;
    let data = HeartbeatData::decode(&beat.body).unwrap();
    assert_eq!((data.client_id.as_str(), data.producers.len()), (client.client_id(), 1));
    assert!(client.client_id().starts_with("10.0.0.9@"));
    while clock::now() - begun < Duration::from_secs(29) {
        until(&mut watch, BROKER, RequestCode::HEART_BEAT).await;
    }
    assert!(clock::now() - begun < Duration::from_secs(31));
    drop(member);
    let (_member, _told) = joined(&client).await;
    client.shutdown().await;
    let left = network.asked(BROKER, RequestCode::UNREGISTER_CLIENT);
    assert_eq!(left[0].fields.get("producerGroup"), Some("p"));
    assert_eq!(left[0].fields.get("clientID"), Some(client.client_id()));
}

/// What a partition or a machine that was switched off leaves behind: a connection that takes everything and says nothing.
#[tokio::test(start_paused = true)]
async fn a_connection_over_which_nothing_comes_is_given_up_and_one_that_is_slow_is_kept() {
    let network = network();
    network.serve(BROKER, |request| {
        let is_slow = request.code == RequestCode::GET_BROKER_CONFIG.0;
        (!is_slow).then(|| yes(request))
    });
    let client = network.options().start().await.unwrap();
    client.route("T").await.unwrap();
    let slow = Command::request(RequestCode::GET_BROKER_CONFIG);
    let quick = Command::request(RequestCode::GET_MAX_OFFSET);
    let call = |request, time| client.call(BROKER, request, time);
    let (before, second) = (network.connected(BROKER), Duration::from_secs(1));
    call(&quick, second).await.unwrap();
    let meanwhile = async {
        tokio::time::sleep(second).await;
        call(&quick, second).await.unwrap();
    };
    let (unanswered, ()) = tokio::join!(call(&slow, 3 * second), meanwhile);
    unanswered.unwrap_err();
    call(&quick, second).await.unwrap();
    assert_eq!(network.connected(BROKER), before + 1, "it was slow, and is kept");
    call(&slow, 3 * second).await.unwrap_err();
    call(&quick, second).await.unwrap();
    assert_eq!(network.connected(BROKER), before + 2, "it was silent, and is given up");
    let asks = async {
        tokio::time::sleep(second).await;
        let question = Command::request(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED).oneway();
        network.caller(BROKER).oneway(&question).await.unwrap();
    };
    let (unanswered, ()) = tokio::join!(call(&slow, 3 * second), asks);
    unanswered.unwrap_err();
    call(&quick, second).await.unwrap();
    assert_eq!(network.connected(BROKER), before + 3, "it asked, and answered nothing");
    client.shutdown().await;
}

/// What a server does that wants TLS and is spoken to without.
#[tokio::test(start_paused = true)]
async fn a_server_that_ends_a_connection_before_any_answer_is_said_to_want_tls() {
    let network = network();
    let ends = Command::request(RequestCode::GET_BROKER_CONFIG);
    let server = network.clone();
    network.serve(BROKER, move |request| {
        if request.code != RequestCode::GET_BROKER_CONFIG.0 {
            return Some(yes(request));
        }
        server.caller(BROKER).close();
        None
    });
    let client = network.options().start().await.unwrap();
    let error = client.call(BROKER, &ends, SECOND).await.unwrap_err();
    assert!(
        matches!(error.trouble().cause, Cause::Unanswered { is_secure: false, .. }),
        "{error}"
    );
    let said = error.to_string();
    for words in [
        BROKER,
        "before it answered anything",
        "may want TLS",
        "ClientOptions::network",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert!(error.is_retry());
    assert_eq!(error.trouble().outcome(), Outcome::Unknown);
    let answered = Command::request(RequestCode::GET_MAX_OFFSET);
    client.call(BROKER, &answered, SECOND).await.unwrap();
    let error = client.call(BROKER, &ends, SECOND).await.unwrap_err();
    assert!(matches!(error.trouble().cause, Cause::Call(CallError::Lost)), "{error}");
    client.shutdown().await;
}

/// What an operator asks a broker by its address.
#[tokio::test(start_paused = true)]
async fn a_call_outlasts_the_leaving_of_brokers_that_are_in_no_route() {
    let network = network();
    network.serve("elsewhere:10911", |_| None);
    let client = network.options().start().await.unwrap();
    let request = Command::request(RequestCode::GET_BROKER_CONFIG);
    let call = client.call("elsewhere:10911", &request, Duration::from_secs(40));
    let cause = call.await.unwrap_err().trouble().cause.to_string();
    assert_eq!(cause, "no answer within 40000 ms", "brokers are left every 30 s");
    client.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_next_name_server_is_asked_when_one_fails_and_stays_the_one() {
    let network = network();
    let options = network.options().namesrv_addr("away:1;ns:9876");
    for seed in 0..4 {
        let client = options.clone().seed(seed).start().await.unwrap();
        assert_eq!(client.route("T").await.unwrap().publish.len(), 2);
        let refused = network.refused();
        client.refresh_route("T").await.unwrap();
        assert_eq!(network.refused(), refused, "it asked the one that is away again");
        assert!(
            matches!(client.route("U").await, Err(Error::GiveUp(trouble)) if matches!(trouble.cause, Cause::NoRoute))
        );
        client.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn routes_are_asked_for_again_every_thirty_seconds() {
    let network = network();
    let client = network.options().start().await.unwrap();
    let (_member, _told) = joined(&client).await;
    let mut watch = network.watch();
    network.serve("ns:9876", name_server("T", &["a", "b"], 2));
    network.serve("b:10911", yes_to_all);
    until(&mut watch, "ns:9876", RequestCode::GET_ROUTEINTO_BY_TOPIC).await;
    until(&mut watch, "b:10911", RequestCode::HEART_BEAT).await;
    assert_eq!(client.known_route("T").unwrap().publish.len(), 4);
    client.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_in_no_route_any_more_is_left() {
    let network = network();
    network.serve("ns:9876", name_server("T", &["a", "b"], 2));
    network.serve("b:10911", yes_to_all);
    let client = network.options().start().await.unwrap();
    client.route("T").await.unwrap();
    let (_member, _told) = joined(&client).await;
    assert_eq!(client.shared.connections.addresses(), [BROKER, "b:10911", "ns:9876"]);
    network.serve("ns:9876", name_server("T", &["a"], 2));
    let mut watch = network.watch();
    while client.shared.connections.addresses().len() == 3 {
        until(&mut watch, BROKER, RequestCode::HEART_BEAT).await;
    }
    assert_eq!(client.shared.connections.addresses(), [BROKER, "ns:9876"]);
    client.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_comes_back_is_told_again_soon() {
    let network = network();
    let client = network.options().start().await.unwrap();
    client.route("T").await.unwrap();
    let (_member, _told) = joined(&client).await;
    let begun = clock::now();
    let mut watch = network.watch();
    network.stop(BROKER);
    tokio::time::sleep(SECOND / 2).await;
    network.serve(BROKER, yes_to_all);
    until(&mut watch, BROKER, RequestCode::HEART_BEAT).await;
    assert!(clock::now() - begun < 5 * SECOND, "{:?}", clock::now() - begun);
    client.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn brokers_that_are_silent_keep_nobody_from_the_others() {
    let network = network();
    network.serve("ns:9876", name_server("T", &["a", "b", "c"], 2));
    network.serve("b:10911", |_| None);
    network.serve(BROKER, |_| None);
    network.serve("c:10911", yes_to_all);
    let client = network.options().start().await.unwrap();
    client.route("T").await.unwrap();
    let begun = clock::now();
    let (_member, _told) = joined(&client).await;
    assert_eq!(clock::now() - begun, 3 * SECOND, "one after the other they take six");
    assert!(!network.asked("c:10911", RequestCode::HEART_BEAT).is_empty());
    client.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_connection_is_left_alone_for_longer_and_longer() {
    let network = network();
    let client = network.options().start().await.unwrap();
    let begun = clock::now();
    let request = Command::request(RequestCode::HEART_BEAT);
    for _ in 0..10 {
        let error = client.call("away:1", &request, 60 * SECOND).await.unwrap_err();
        assert!(matches!(error.trouble().cause, Cause::Connect(_)));
        assert_eq!(error.trouble().address.as_deref(), Some("away:1"));
    }
    // 50, 100, … 1600 ms, then 2 s each
    let waited = clock::now() - begun;
    assert!((9 * SECOND..10 * SECOND).contains(&waited), "{waited:?}");
    let error = client.call("away:1", &request, SECOND).await.unwrap_err();
    assert!(matches!(error.trouble().cause, Cause::ConnectTimeout(SECOND)));
    network.serve("away:1", yes_to_all);
    client.call("away:1", &request, 60 * SECOND).await.unwrap();
    client.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_goes_to_the_group_that_it_names_and_is_answered() {
    let network = network();
    let client = network.options().start().await.unwrap();
    client.route("T").await.unwrap();
    let (_member, mut told) = joined(&client).await;
    let broker = network.caller(BROKER);
    let answer = broker
        .request(&Command::request(RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT), SECOND)
        .await
        .unwrap();
    assert_eq!(answer.code, 0);
    assert_eq!(told.recv().await, Some(326));
    let running = Command::request(RequestCode::GET_CONSUMER_RUNNING_INFO).with_field("consumerGroup", "nobody");
    let answer = broker.request(&running, SECOND).await.unwrap();
    assert_eq!(answer.code, 1);
    assert!(answer.remark.unwrap().contains("nobody in this client"));
    client.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn members_save_every_five_seconds() {
    let client = network().options().start().await.unwrap();
    let (_member, mut told) = joined(&client).await;
    let begun = clock::now();
    for time in 1..4 {
        assert_eq!(told.recv().await, Some(0));
        assert_eq!(clock::now() - begun, 5 * time * SECOND);
    }
    client.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_is_in_a_client_once() {
    let client = network().options().start().await.unwrap();
    let (member, _told) = joined(&client).await;
    let other: Arc<dyn Member> = Arc::new(Told(mpsc::unbounded_channel().0));
    assert!(matches!(client.join(&other).await, Err(Error::Fix(_))));
    drop(member);
    client.join(&other).await.unwrap();
    client.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn no_task_is_left_after_the_end_and_calls_that_wait_fail() {
    let network = network();
    network.serve(BROKER, |_| None);
    let client = network.options().start().await.unwrap();
    let has_ended = Arc::new(AtomicBool::new(false));
    let guard = SetOnDrop(Arc::clone(&has_ended));
    client.spawn(async move {
        std::future::pending::<()>().await;
        drop(guard);
    });
    let waits = client.clone();
    let call = tokio::spawn(async move {
        waits
            .call(BROKER, &Command::request(RequestCode::HEART_BEAT), 600 * SECOND)
            .await
    });
    let mut watch = network.watch();
    until(&mut watch, BROKER, RequestCode::HEART_BEAT).await;
    client.shutdown().await;
    assert!(has_ended.load(Ordering::Acquire));
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error.trouble().cause, Cause::Call(CallError::Lost)), "{error}");
    let late = client
        .call(BROKER, &Command::request(RequestCode::HEART_BEAT), SECOND)
        .await
        .unwrap_err();
    assert!(matches!(late.trouble().cause, Cause::ShutDown));
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
