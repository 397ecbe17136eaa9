//! Ten thousand pulls that wait: one message wakes its pull at once, one queue's message all that wait for it.

use std::time::{Duration, Instant};

use cuemq_actors::testing::TestBroker;
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_storage::log_state::FlushMode;

use crate::{Connection, PATIENCE, arrived, number, pull_from, pulls, send_to};

const PULLS: i32 = 10_000;
const CONNECTIONS: i32 = 20;
/// What is asked of a release build: 2 ms and 200 ms. An unoptimised one on a loaded machine has this.
const ONE_LIMIT: Duration = Duration::from_millis(200);
const ALL_LIMIT: Duration = Duration::from_secs(10);

fn topic(tool: &mut Connection, name: &str, queues: i32) {
    let create = Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC)
        .with_field("topic", name)
        .with_field("defaultTopic", "TBW102")
        .with_field("readQueueNums", queues)
        .with_field("writeQueueNums", queues)
        .with_field("perm", 6)
        .with_field("topicFilterType", "SINGLE_TAG")
        .with_field("order", false);
    assert_eq!(tool.ask(create).code, 0);
}

fn waiting_pull(topic: &str, queue_id: i32, from: i64) -> Command {
    pull_from(topic, from)
        .with_field("queueId", queue_id)
        .with_field("consumerGroup", "TOOLS_CONSUMER")
        .with_field("sysFlag", pulls::SUSPEND | pulls::SUBSCRIPTION)
        .with_field("suspendTimeoutMillis", 120_000)
}

/// Parks the pulls, the same number on each connection, and waits until all are there: each connection's next question is
/// answered after its pulls were taken.
fn park(broker: &TestBroker, pull: impl Fn(i32) -> Command) -> Vec<Connection> {
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| Connection::to(broker.broker())).collect();
    for number in 0..PULLS {
        clients[(number % CONNECTIONS) as usize].send(pull(number));
    }
    let (parked, began) = (&broker.metrics().pulls_parked, Instant::now());
    while parked.get() < PULLS.unsigned_abs().into() {
        assert!(began.elapsed() < PATIENCE, "{} pulls wait", parked.get());
        std::thread::yield_now();
    }
    clients
}

fn broker() -> TestBroker {
    // What a disk takes for a flush is not what is measured.
    TestBroker::builder()
        .config(|config| config.flush = FlushMode::Async)
        .start()
        .unwrap()
}

#[test]
fn one_message_wakes_its_pull_among_ten_thousand_at_once() {
    let broker = broker();
    let mut tool = Connection::to(broker.broker());
    topic(&mut tool, "Many", PULLS);
    // Queues are made by their first message.
    let woken: Vec<i32> = (0..200).map(|turn| turn * 49).collect();
    for queue_id in &woken {
        number(&tool.ask(send_to("Many").with_field("e", *queue_id)), "queueOffset");
    }
    // A send may be answered a moment before its queue has it.
    for queue_id in &woken {
        let end = Command::request(RequestCode::GET_MAX_OFFSET)
            .with_field("topic", "Many")
            .with_field("queueId", *queue_id);
        let began = Instant::now();
        while number(&tool.ask(end.clone()), "offset") == 0 {
            assert!(began.elapsed() < PATIENCE, "queue {queue_id} has no message");
        }
    }
    let has_one = |queue_id: i32| i64::from(queue_id % 49 == 0 && queue_id < 200 * 49);
    let mut clients = park(&broker, |queue_id| waiting_pull("Many", queue_id, has_one(queue_id)));
    let mut took: Vec<Duration> = Vec::new();
    for queue_id in woken {
        let began = Instant::now();
        tool.send(send_to("Many").with_field("e", queue_id));
        let answer = clients[(queue_id % CONNECTIONS) as usize].receive();
        took.push(began.elapsed());
        assert_eq!(number(&answer, "nextBeginOffset"), 2);
        number(&tool.receive(), "queueOffset");
    }
    took.sort_unstable();
    let p99 = took[took.len() * 99 / 100];
    println!(
        "one of {PULLS}: median {:?}, p99 {p99:?}, from the send on",
        took[took.len() / 2]
    );
    assert!(p99 < ONE_LIMIT, "a pull is woken after {p99:?}");
}

#[test]
fn one_message_wakes_all_ten_thousand_that_wait_for_it() {
    let broker = broker();
    let mut tool = Connection::to(broker.broker());
    topic(&mut tool, "One", 1);
    number(&tool.ask(send_to("One")), "queueOffset");
    arrived(&mut tool, "One", 1);
    let before = broker.metrics().pulls_parked.get();
    assert!(before < 100, "few have waited yet");
    let mut clients = park(&broker, |_| waiting_pull("One", 0, 1));
    let began = Instant::now();
    number(&tool.ask(send_to("One")), "queueOffset");
    for client in &mut clients {
        for _ in 0..PULLS / CONNECTIONS {
            assert_eq!(number(&client.receive(), "nextBeginOffset"), 2);
        }
    }
    let took = began.elapsed();
    println!("all {PULLS}: {took:?} from the send on");
    assert!(took < ALL_LIMIT, "all have their message after {took:?}");
}
