//! `/healthz` and `/metrics`, read by a plain HTTP/1.1 client.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuemq_actors::testing::{ManualClock, MemoryDisk, TestBroker, TestBrokerBuilder};
use cuemq_net::body::{Body, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::version::Version;
use cuemq_storage::disk::memory::{Fault, Operation};
use serde_json::Value;

use crate::pulls::{SUBSCRIPTION, SUSPEND};
use crate::{Connection, PATIENCE, arrived, number, pull_from, refused, send_to};

/// What came back over HTTP.
struct Page {
    status: u16,
    head: String,
    body: String,
}

/// Sends what need not be HTTP, and reads until the server closes the connection.
fn exchange(address: SocketAddr, request: &str) -> Page {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Page {
        status: status.unwrap_or_else(|| panic!("no status: {text:?}")),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

fn get(address: SocketAddr, path: &str) -> Page {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
}

fn with_http() -> TestBrokerBuilder {
    TestBroker::builder().config(|config| config.http = Some("127.0.0.1:0".parse().unwrap()))
}

/// The values of a scrape, by name with labels.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Reads a scrape, and asserts that it is well formed: each value belongs to a family that has help and type.
    fn of(broker: &TestBroker) -> Self {
        let page = get(broker.http(), "/metrics");
        assert_eq!(page.status, 200);
        assert!(
            page.head
                .contains("content-type: application/openmetrics-text; version=1.0.0")
        );
        let (mut helped, mut typed) = (BTreeSet::new(), BTreeMap::new());
        let mut values = BTreeMap::new();
        let (text, end) = page.body.split_at(page.body.len() - "# EOF\n".len());
        assert_eq!(end, "# EOF\n");
        for line in text.lines() {
            if let Some(said) = line.strip_prefix("# HELP ") {
                let (name, help) = said.split_once(' ').unwrap();
                assert!(help.len() > 10, "{line}");
                assert!(helped.insert(name.to_owned()), "{name} comes twice");
            } else if let Some(said) = line.strip_prefix("# TYPE ") {
                let (name, kind) = said.split_once(' ').unwrap();
                typed.insert(name.to_owned(), kind.to_owned());
            } else {
                let (what, value) = line.rsplit_once(' ').unwrap();
                let name = what.split('{').next().unwrap();
                let of = |suffix: &str| name.strip_suffix(suffix).and_then(|family| typed.get(family));
                let counter = of("_total").is_some_and(|kind| kind == "counter");
                let mut parts = ["_sum", "_count", "_bucket"].iter();
                let histogram = parts.any(|part| of(part).is_some_and(|kind| kind == "histogram"));
                let gauge = typed.get(name).is_some_and(|kind| kind == "gauge");
                assert!(counter || histogram || gauge, "no type for {line}");
                let before = values.insert(what.to_owned(), value.parse().unwrap());
                assert_eq!(before, None, "{what} comes twice");
            }
        }
        assert!(typed.keys().eq(helped.iter()), "each family has help and type");
        Self(values)
    }

    /// The sum of the values of a name whose labels contain these.
    #[track_caller]
    fn value(&self, name: &str, labels: &[&str]) -> f64 {
        let is_it = |what: &str| {
            let (of, told) = what.split_once('{').unwrap_or((what, ""));
            of == name && labels.iter().all(|label| told.contains(label))
        };
        let found: Vec<_> = self.0.iter().filter(|(what, _)| is_it(what)).collect();
        let named: Vec<_> = self.0.keys().filter(|what| what.starts_with(name)).collect();
        assert!(!found.is_empty(), "no {name} with {labels:?} in {named:?}");
        found.into_iter().map(|(_, value)| value).sum()
    }
}

fn heartbeat(group: &str, topic: &str) -> Command {
    let body = format!(
        r#"{{"clientID":"c-{group}","consumerDataSet":[{{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"{group}","messageModel":"CLUSTERING","subscriptionDataSet":[{{"subString":"*","subVersion":1,"topic":"{topic}"}}]}}],"producerDataSet":[{{"groupName":"p-{group}"}}]}}"#
    );
    Command::request(RequestCode::HEART_BEAT).with_body(body.into_bytes())
}

fn commit(group: &str, topic: &str, offset: i64) -> Command {
    Command::request(RequestCode::UPDATE_CONSUMER_OFFSET)
        .with_field("consumerGroup", group)
        .with_field("topic", topic)
        .with_field("queueId", 0)
        .with_field("commitOffset", offset)
}

fn succeed(line: &mut Connection, request: Command) {
    let answer = line.ask(request);
    assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
}

#[test]
fn values_move_with_sends_pulls_and_commits() {
    let broker = with_http().start().unwrap();
    let mut line = Connection::to(broker.broker());
    for _ in 0..5 {
        succeed(&mut line, send_to("Measured"));
    }
    let mut member = Connection::to(broker.broker());
    member.send(heartbeat("readers", "Measured"));
    // It may be told first that its group has changed.
    while !member.receive().is_response() {}
    arrived(&mut line, "Measured", 5);
    succeed(&mut line, commit("readers", "Measured", 2));
    let scrape = Scrape::of(&broker);
    let topic = "topic=\"Measured\"";
    let node = [
        "cluster=\"DefaultCluster\"",
        "node_type=\"broker\"",
        "node_id=\"broker-a\"",
        topic,
    ];
    let kind = ["message_type=\"normal\"", "is_system=\"false\"", topic];
    assert_eq!(scrape.value("rocketmq_messages_in_total", &node), 5.0);
    let bytes = scrape.value("rocketmq_throughput_in_total", &kind);
    assert!(bytes > 5.0 * 91.0, "{bytes} bytes of five records");
    assert_eq!(scrape.value("rocketmq_message_size_bucket", &["le=\"1024.0\""]), 5.0);
    assert_eq!(scrape.value("rocketmq_message_size_sum", &[]), bytes);
    assert_eq!(scrape.value("rocketmq_messages_out_total", &[topic]), 5.0);
    assert_eq!(scrape.value("rocketmq_throughput_out_total", &[topic]), bytes);
    let group = [topic, "consumer_group=\"readers\"", "is_retry=\"false\""];
    assert_eq!(scrape.value("rocketmq_consumer_lag_messages", &group), 3.0);
    let age = scrape.value("rocketmq_consumer_lag_latency", &group);
    assert!((0.0..60_000.0).contains(&age), "{age}");
    let consumers = ["consumer_group=\"readers\"", "consume_mode=\"push\""];
    assert_eq!(scrape.value("rocketmq_consumer_connections", &consumers), 1.0);
    assert_eq!(scrape.value("rocketmq_producer_connections", &[]), 1.0);
    assert_eq!(scrape.value("rocketmq_broker_permission", &[]), 6.0);

    let group = [topic, "group=\"readers\""];
    assert_eq!(scrape.value("rocketmq_message_accumulation", &group), 3.0);
    assert_eq!(scrape.value("rocketmq_consumer_offset", &group), 2.0);
    assert_eq!(scrape.value("rocketmq_producer_offset", &[topic]), 5.0);
    assert_eq!(
        scrape.value("rocketmq_group_diff", &[topic, "countOfOnlineConsumers=\"1\""]),
        3.0
    );
    assert!(scrape.value("rocketmq_producer_tps", &[topic]) > 0.0);
    assert!(scrape.value("rocketmq_consumer_tps", &[topic, "group=\"TOOLS_CONSUMER\""]) > 0.0);

    assert_eq!(scrape.value("cuemq_healthy", &[]), 1.0);
    assert_eq!(scrape.value("cuemq_connections", &["service=\"broker\""]), 2.0);
    assert_eq!(scrape.value("cuemq_actor_health", &[]), 0.0);
    assert!(scrape.value("cuemq_mailbox_handled_total", &["actor=\"commit log\""]) > 0.0);
    assert!(scrape.value("cuemq_flush_seconds_count", &[]) > 0.0);
    assert_eq!(scrape.value("cuemq_name_server_brokers", &[]), 1.0);

    succeed(&mut line, commit("readers", "Measured", 5));
    let scrape = Scrape::of(&broker);
    assert_eq!(scrape.value("rocketmq_consumer_lag_messages", &[topic]), 0.0);
    assert_eq!(scrape.value("rocketmq_consumer_lag_latency", &[topic]), 0.0);
    broker.stop().unwrap();
}

#[test]
fn requests_are_timed_by_what_was_asked_and_answered() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let broker = with_http().clock(clock.clone()).start().unwrap();
    let mut line = Connection::to(broker.broker());
    for _ in 0..3 {
        succeed(&mut line, send_to("Timed"));
    }
    arrived(&mut line, "Timed", 3);
    line.send(send_to("Timed").oneway());
    arrived(&mut line, "Timed", 4);
    let unknown = line.ask(Command::request(RequestCode(9_999)));
    refused(&unknown, ResponseCode::REQUEST_CODE_NOT_SUPPORTED);
    let nowhere = line.ask(pull_from("Nowhere", 0));
    refused(&nowhere, ResponseCode::TOPIC_NOT_EXIST);

    let parked = || Scrape::of(&broker).value("cuemq_pulls_parked_total", &[]);
    let (before, deadline) = (parked(), Instant::now() + PATIENCE);
    let mut waiting = Connection::to(broker.broker());
    waiting.send(pull_from("Timed", 4).with_field("sysFlag", SUSPEND | SUBSCRIPTION));
    while parked() == before {
        assert!(Instant::now() < deadline, "the pull does not wait");
    }
    clock.advance(Duration::from_millis(2500));
    succeed(&mut line, send_to("Timed"));
    assert_eq!(waiting.receive().code, 0);

    let scrape = Scrape::of(&broker);
    let of = |part: &str, request: &str, response: &str, more: &[&str]| {
        let (request, response) = (
            format!("request_code=\"{request}\""),
            format!("response_code=\"{response}\""),
        );
        let labels = [&["protocol_type=\"remoting\"", &request, &response], more].concat();
        scrape.value(&format!("rocketmq_rpc_latency_{part}"), &labels)
    };
    let answered = [
        "is_long_polling=\"false\"",
        "result=\"success\"",
        "node_type=\"broker\"",
    ];
    assert_eq!(of("count", "send_message_v2", "success", &answered), 4.0);
    assert_eq!(of("sum", "send_message_v2", "success", &answered), 0.0);
    assert_eq!(of("count", "send_message_v2", "success", &["result=\"oneway\""]), 1.0);
    assert_eq!(of("count", "other", "request_code_not_supported", &answered), 1.0);
    assert_eq!(of("count", "pull_message", "topic_not_exist", &answered), 1.0);
    // Those of `arrived` may have waited too, but in no time.
    let waited = ["is_long_polling=\"true\""];
    assert_eq!(of("sum", "pull_message", "success", &waited), 2500.0);
    let up_to = |le: &str| {
        of(
            "bucket",
            "pull_message",
            "success",
            &[waited[0], &format!("le=\"{le}\"")],
        )
    };
    assert_eq!(up_to("3000.0") - up_to("2000.0"), 1.0);
    assert_eq!(up_to("3000.0"), up_to("+Inf"));
    broker.stop().unwrap();
}

#[test]
fn a_request_is_counted_while_it_is_under_way() {
    let broker = with_http().start().unwrap();
    let mut member = Connection::to(broker.broker());
    let heartbeat = Command {
        version: Version(409),
        ..heartbeat("asked", "Any")
    };
    member.send(heartbeat);
    while !member.receive().is_response() {}
    let mut tool = Connection::to(broker.broker());
    tool.send(
        Command::request(RequestCode::GET_CONSUMER_RUNNING_INFO)
            .with_field("consumerGroup", "asked")
            .with_field("clientId", "c-asked"),
    );
    let question = loop {
        let question = member.receive();
        if question.code == RequestCode::GET_CONSUMER_RUNNING_INFO.0 {
            break question;
        }
    };
    let watermark = |labels: &[&str]| Scrape::of(&broker).value("rocketmq_processor_watermark", labels);
    assert_eq!(watermark(&["processor=\"admin\""]), 1.0);
    assert_eq!(watermark(&[]), 1.0, "nothing else is under way");
    let mut answer = Vec::new();
    Command::response_to(&question, ResponseCode::SUCCESS)
        .encode(&mut answer)
        .unwrap();
    member.write(&answer);
    assert_eq!(tool.receive().code, 0);
    succeed(&mut tool, send_to("Any"));
    assert_eq!(watermark(&[]), 0.0);
    broker.stop().unwrap();
}

#[test]
fn what_a_group_has_in_hand_and_before_it_is_told_while_it_is_online() {
    let broker = with_http().start().unwrap();
    let mut line = Connection::to(broker.broker());
    let send = |line: &mut Connection, number: usize, count: i64| {
        (0..number).for_each(|_| succeed(line, send_to("Held")));
        arrived(line, "Held", count);
    };
    send(&mut line, 5, 5);
    let mut member = Connection::to(broker.broker());
    member.send(heartbeat("holders", "Held"));
    while !member.receive().is_response() {}
    let pull = |from: i64, most: i32| {
        pull_from("Held", from)
            .with_field("consumerGroup", "holders")
            .with_field("maxMsgNums", most)
    };
    let told = || {
        let scrape = Scrape::of(&broker);
        let labels = [
            "consumer_group=\"holders\"",
            "topic=\"Held\"",
            "is_retry=\"false\"",
            "is_system=\"false\"",
        ];
        let value = |name: &str| scrape.value(&format!("rocketmq_consumer_{name}"), &labels);
        assert!((0.0..60_000.0).contains(&value("queueing_latency")));
        assert!(
            !scrape
                .0
                .keys()
                .any(|what| what.contains("inflight") && what.contains("TOOLS_CONSUMER"))
        );
        (value("inflight_messages"), value("ready_messages"))
    };
    succeed(&mut line, pull(0, 32));
    assert_eq!(told(), (0.0, 0.0), "it has committed nothing");
    succeed(&mut line, commit("holders", "Held", 2));
    assert_eq!(told(), (3.0, 0.0));
    send(&mut line, 2, 7);
    assert_eq!(told(), (3.0, 2.0));
    succeed(&mut line, pull(1, 3));
    assert_eq!(told(), (2.0, 3.0), "it has gone back");
    succeed(&mut line, commit("holders", "Held", 7));
    assert_eq!(told(), (0.0, 3.0));
    let leave = Command::request(RequestCode::UNREGISTER_CLIENT)
        .with_field("clientID", "c-holders")
        .with_field("consumerGroup", "holders");
    succeed(&mut member, leave);
    let scrape = Scrape::of(&broker);
    assert!(
        !scrape
            .0
            .keys()
            .any(|what| what.contains("inflight") && what.contains("holders"))
    );
    broker.stop().unwrap();
}

/// What `/healthz` says: the status, and the object.
fn health(broker: &TestBroker) -> (u16, Value) {
    let page = get(broker.http(), "/healthz");
    assert!(page.head.contains("content-type: application/json"));
    (page.status, serde_json::from_str(&page.body).unwrap())
}

/// Asks for the health until it is as it is wanted.
fn health_once(broker: &TestBroker, is_wanted: impl Fn(u16, &Value) -> bool) -> Value {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let (status, told) = health(broker);
        if is_wanted(status, &told) {
            return told;
        }
        assert!(std::time::Instant::now() < deadline, "{status} {told}");
    }
}

fn reasons(told: &Value) -> String {
    let reasons = told["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|reason| reason.as_str().unwrap())
        .collect::<Vec<_>>()
        .join("; ")
}

#[test]
fn a_full_disk_is_told_and_that_there_is_room_again() {
    let disk = MemoryDisk::new(1);
    let config = with_http().config(|config| {
        config.free_bytes = 8 << 20;
        config.checkpoint_interval = Duration::from_millis(20);
    });
    let broker = config.memory_disk(&disk).start().unwrap();
    let (status, told) = health(&broker);
    assert_eq!((status, &told["accepting_sends"]), (200, &Value::Bool(true)), "{told}");
    assert_eq!(told["name_server"]["brokers"], 1, "{told}");
    disk.set_capacity(4 << 20);
    let told = health_once(&broker, |status, _| status == 503);
    assert_eq!(told["accepting_sends"], false);
    assert!(reasons(&told).contains("bytes are free where"), "{told}");
    disk.set_capacity(1 << 30);
    health_once(&broker, |status, _| status == 200);
    broker.stop().unwrap();
}

#[test]
fn a_store_that_has_failed_is_told_with_the_error() {
    let disk = MemoryDisk::new(1);
    let broker = with_http().memory_disk(&disk).start().unwrap();
    let _ = disk.inject(Fault::new(Operation::SyncData).on("commitlog"));
    let answer = Connection::to(broker.broker()).ask(send_to("Lost"));
    assert_ne!(ResponseCode(answer.code), ResponseCode::SUCCESS);
    let (status, told) = health(&broker);
    assert_eq!(status, 503, "{told}");
    let reasons = reasons(&told);
    assert!(reasons.contains("the store has failed: "), "{told}");
    assert!(reasons.contains("commitlog"), "the file is named: {told}");
    let scrape = Scrape::of(&broker);
    assert_eq!(scrape.value("cuemq_healthy", &[]), 0.0);
}

#[test]
fn nothing_but_a_get_of_the_two_pages_is_answered() {
    let broker = with_http().start().unwrap();
    let address = broker.http();
    assert_eq!(get(address, "/").status, 404);
    let post = "POST /metrics HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody";
    assert_eq!(exchange(address, post).status, 405);
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(exchange(address, &long).status, 431);
    // One that says nothing takes no place from others; it is closed in time by itself.
    let silent: Vec<_> = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert_eq!(get(address, "/healthz").status, 200);
    drop(silent);
    broker.stop().unwrap();
}

#[test]
fn an_address_in_use_is_an_error_of_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let started = TestBroker::builder()
        .config(|config| config.http = Some(address))
        .start();
    let error = started.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(&format!("cannot listen on {address}")), "{error}");
}

#[test]
fn a_client_that_is_given_no_name_server_is_told_which_there_are() {
    let broker = with_http()
        .config(|config| config.name_servers = vec!["127.0.0.1:1".to_owned()])
        .start()
        .unwrap();
    let page = get(broker.http(), "/rocketmq/nsaddr");
    assert_eq!(
        (page.status, page.body),
        (200, format!("{};127.0.0.1:1", broker.name_server()))
    );
    broker.stop().unwrap();
}

#[test]
fn a_name_server_of_a_test_environment_finds_the_routes_of_the_product_environment() {
    let product = with_http().start().unwrap();
    number(&Connection::to(product.broker()).ask(send_to("Sold")), "queueOffset");
    let test = TestBroker::builder()
        .config(|config| {
            config.cluster_test = true;
            config.address_server = product.http().to_string();
        })
        .start()
        .unwrap();
    number(&Connection::to(test.broker()).ask(send_to("Tried")), "queueOffset");
    let route = |of: &TestBroker, topic: &str| {
        let question = Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", topic);
        Connection::to(of.name_server()).ask(question)
    };
    let broker_of = |topic: &str| {
        let data = TopicRouteData::decode(&route(&test, topic).body).unwrap();
        data.broker_datas[0].broker_addrs[&0].clone()
    };
    assert_eq!(broker_of("Sold"), product.broker().to_string());
    assert_eq!(broker_of("Tried"), test.broker().to_string());
    assert_eq!(route(&test, "Nowhere").code, ResponseCode::TOPIC_NOT_EXIST.0);
    assert_eq!(
        route(&product, "Tried").code,
        ResponseCode::TOPIC_NOT_EXIST.0,
        "not the other way round"
    );
}
