//! The loads from their command lines to their reports, against a broker on loopback.

use clap::Parser;
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command as Request;
use serde_json::Value;

use super::arguments::{Arguments, Command};
use super::ask::{self, Caller};
use super::{loads, suite, tools};
use crate::testing::{MemoryDisk, TestBroker};

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

fn command(line: &str) -> Command {
    let words = std::iter::once("bench").chain(line.split_ascii_whitespace());
    Program::try_parse_from(words).unwrap().arguments.command
}

/// Measures the latency with more flags.
fn latency(broker: &TestBroker, flags: &str) -> Value {
    let line = format!(
        "latency --broker {} --connections 2 --seconds 0.3 --warm-up 0.1 {flags}",
        broker.broker()
    );
    let Command::Latency(arguments) = command(&line) else {
        panic!("not a latency");
    };
    let report = loads::latency(&arguments).unwrap();
    assert!(report.is_sound(), "{}", report.text());
    serde_json::to_value(report).unwrap()
}

#[test]
fn every_message_that_was_due_in_the_measured_time_is_received_and_timed() {
    let broker = TestBroker::start();
    for header in ["json", "binary"] {
        let json = latency(
            &broker,
            &format!("--rate 200 --topics 2 --queues 3 --header {header} --body 16"),
        );
        let receipt = &json["receipt"];
        assert_eq!(
            (&receipt["messages"], &receipt["missing"], &json["answers"]),
            (&60.into(), &0.into(), &60.into()),
            "{json}"
        );
        let p50 = |of: &Value| of["latency_us"]["p50"].as_f64().unwrap();
        assert!(p50(receipt) > 0.0 && p50(&json) > 0.0, "{json}");
        assert!(
            receipt["latency_us"]["max"].as_f64() < Some(60e6),
            "the time that a message carries is of this run's clock: {json}"
        );
    }
}

/// A report of a load that the client library made.
fn by_ours(line: &str) -> Value {
    let report = match command(&format!("{line} --client ours --seconds 0.3 --warm-up 0.1")) {
        Command::Send(arguments) => loads::send(&arguments),
        Command::Pull(arguments) => loads::pull(&arguments),
        Command::Latency(arguments) => loads::latency(&arguments),
        other => panic!("no load of the client library: {other:?}"),
    };
    let report = report.unwrap();
    assert!(report.is_sound(), "{}", report.text());
    serde_json::to_value(report).unwrap()
}

#[test]
fn the_client_library_makes_the_same_loads() {
    let broker = TestBroker::start();
    let names = broker.name_server();
    let json = by_ours(&format!(
        "send --namesrv {names} --connections 2 --in-flight 4 --queues 2 --keys"
    ));
    assert_eq!(json["messages"], json["answers"]);
    let json = by_ours(&format!(
        "pull --namesrv {names} --connections 1 --in-flight 2 --queues 2"
    ));
    assert!(json["messages"].as_u64() > json["answers"].as_u64(), "{json}");
    let json = by_ours(&format!(
        "latency --namesrv {names} --connections 1 --rate 200 --topic-prefix late --queues 2"
    ));
    let counts = (
        &json["receipt"]["messages"],
        &json["receipt"]["missing"],
        &json["answers"],
    );
    assert_eq!(counts, (&60.into(), &0.into(), &60.into()), "{json}");
}

#[test]
fn a_listener_that_has_read_all_before_the_time_is_over_measured_nothing() {
    let broker = TestBroker::start();
    let names = broker.name_server();
    by_ours(&format!(
        "send --namesrv {names} --connections 1 --in-flight 1 --queues 1"
    ));
    let line = format!("pull --namesrv {names} --queues 1 --client ours --push --seconds 60 --warm-up 0");
    let Command::Pull(arguments) = command(&line) else {
        panic!("not a pull");
    };
    let told = loads::pull(&arguments).unwrap_err().to_string();
    assert!(told.contains("were read before the time was over"), "{told}");
}

#[test]
fn the_rate_of_a_latency_is_1000_a_second_unless_it_is_told() {
    let json = latency(&TestBroker::start(), "--queues 4 --consumers 3");
    assert_eq!((&json["load"]["rate"], &json["answers"]), (&1000.into(), &300.into()));
}

#[test]
fn the_producer_makes_the_topic_and_prints_rocketmqs_line() {
    let broker = TestBroker::start();
    let line = format!(
        "producer -n {} -t Lines -w 4 -s 20 -k true --seconds 0.7 --every 0.1",
        broker.name_server()
    );
    let Command::Producer(arguments) = command(&line) else {
        panic!("not a producer");
    };
    let mut out = Vec::new();
    let report = tools::producer(&arguments, &mut out).unwrap();
    assert!(report.is_sound(), "{}", report.text());
    let lines = String::from_utf8(out).unwrap();
    let first = lines.lines().next().expect("a line before the end");
    let words: Vec<_> = first.split_ascii_whitespace().collect();
    assert_eq!(
        (&words[..2], &words[3..5]),
        (&["Send", "TPS:"][..], &["Max", "RT:"][..])
    );
    assert!(words[2].parse::<u64>().unwrap() > 0, "{first}");
    assert!(first.ends_with("Send Failed: 0 Response Failed: 0"), "{first}");
}

#[test]
fn the_consumer_polls_every_queue_of_the_topic_and_prints_rocketmqs_line() {
    let broker = TestBroker::start();
    let name_server = broker.name_server();
    let producer = |seconds: &str| {
        let line = format!("producer -n {name_server} -t Both -w 4 --seconds {seconds}");
        let Command::Producer(arguments) = command(&line) else {
            panic!("not a producer");
        };
        tools::producer(&arguments, &mut Vec::new()).unwrap();
    };
    producer("0.05");
    let line = format!("consumer -n {name_server} -t Both -g G -w 3 --seconds 1.5 --every 0.1");
    let Command::Consumer(arguments) = command(&line) else {
        panic!("not a consumer");
    };
    let mut out = Vec::new();
    let report = std::thread::scope(|scope| {
        let sending = scope.spawn(|| producer("1"));
        let report = tools::consumer(&arguments, &mut out).unwrap();
        sending.join().unwrap();
        report
    });
    assert!(report.is_sound(), "{}", report.text());
    let json = serde_json::to_value(report).unwrap();
    assert_eq!(
        (&json["load"]["queues"], &json["load"]["connections"]),
        (&8.into(), &2.into())
    );
    let lines = String::from_utf8(out).unwrap();
    let brought = lines.lines().find(|line| !line.starts_with("Consume TPS: 0 "));
    let brought = brought.unwrap_or_else(|| panic!("no message in\n{lines}"));
    assert!(
        brought.contains(" Average(B2C) RT: ") && brought.contains(" MAX(S2C) RT: "),
        "{brought}"
    );
}

#[test]
fn a_topic_that_is_not_there_cannot_be_consumed() {
    let broker = TestBroker::start();
    let Command::Consumer(arguments) = command(&format!("consumer -n {} -t Absent", broker.name_server())) else {
        panic!("not a consumer");
    };
    let error = tools::consumer(&arguments, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("there is no topic Absent to read yet"), "{error}");
}

#[test]
fn a_suite_measures_every_load_on_each_system_and_compares_them() {
    // without the disk of this machine, so that it takes the same time everywhere
    let start = |seed| {
        TestBroker::builder()
            .memory_disk(&MemoryDisk::new(seed))
            .start()
            .unwrap()
    };
    let (ours, theirs) = (start(1), start(2));
    let pid = std::process::id();
    let line = format!(
        "suite --ours {},pid={pid} --against other={},pid={pid} --rounds 2 --seconds 0.2 --warm-up 0 \
         --rows 16x1-binary,hot-pull,latency-1000",
        ours.broker(),
        theirs.broker()
    );
    let Command::Suite(arguments) = command(&line) else {
        panic!("not a suite");
    };
    let comparison = suite::measure(&arguments).unwrap();
    let text = comparison.text();
    assert!(comparison.is_sound(), "{text}");
    let json = serde_json::to_value(&comparison).unwrap();
    let entries = json["entries"].as_array().unwrap();
    let order: Vec<_> = entries
        .iter()
        .map(|entry| {
            format!(
                "{} {}",
                entry["load"].as_str().unwrap(),
                entry["system"].as_str().unwrap()
            )
        })
        .collect();
    let expected = [
        "16x1-binary ours",
        "16x1-binary other",
        "hot-pull ours",
        "hot-pull other",
        "latency-1000 ours",
        "latency-1000 other",
    ];
    assert_eq!(order, expected);
    for (number, entry) in entries.iter().enumerate() {
        assert_eq!(entry["runs"].as_array().unwrap().len(), 2);
        assert!(entry["flush"].as_str().unwrap().ends_with("_FLUSH"), "{entry}");
        assert!(entry["anonymous_megabytes"]["median"].as_f64() > Some(0.0), "{entry}");
        assert_eq!(entry["ours_to_theirs"].is_null(), number % 2 == 0, "{entry}");
    }
    assert!(!topics(&ours).contains("cuemq-bench-"), "topics of loads go with them");
    let figure = |number: usize, of: &str| entries[number][of]["median"].as_f64().unwrap();
    let ratio = |number: usize| entries[number]["ours_to_theirs"].as_f64().unwrap();
    assert_eq!(
        ratio(1),
        figure(0, "messages_per_second") / figure(1, "messages_per_second")
    );
    assert_eq!(ratio(5), figure(4, "p50_us") / figure(5, "p50_us"));
    for word in [
        "ours/theirs",
        "anonymous MB",
        "mapped MB",
        "CPU us/msg",
        "latency-1000",
        "_FLUSH",
    ] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
}

/// The settings of all topics.
fn topics(broker: &TestBroker) -> String {
    let mut caller = Caller::connect(ask::resolve(&broker.broker().to_string()).unwrap()).unwrap();
    let answer = caller
        .call(&Request::request(RequestCode::GET_ALL_TOPIC_CONFIG))
        .unwrap();
    assert_eq!(answer.code, 0, "{answer:?}");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[test]
fn a_load_that_fails_leaves_the_others_their_figures() {
    let broker = TestBroker::builder().memory_disk(&MemoryDisk::new(1)).start().unwrap();
    let line = format!(
        "suite --ours {} --disk /nowhere --rounds 1 --seconds 0.2 --warm-up 0 --rows fdatasync-4k,1x1-json",
        broker.broker()
    );
    let Command::Suite(arguments) = command(&line) else {
        panic!("not a suite");
    };
    let comparison = suite::measure(&arguments).unwrap();
    let text = comparison.text();
    assert!(
        !comparison.is_sound() && text.contains("fdatasync-4k on disk failed: cannot make /nowhere"),
        "{text}"
    );
    assert!(text.contains("1x1-json"), "{text}");
}

#[test]
fn a_backlog_is_read_whole_beside_sends_and_what_was_not_measured_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let broker = TestBroker::builder().memory_disk(&MemoryDisk::new(1)).start().unwrap();
    let line = format!(
        "suite --ours {} --disk {} --rounds 1 --seconds 0.5 --warm-up 0 --backlog-mib 1 --steady-mb 1 \
         --rows catch-up,steady,fdatasync-4k,restart-kill",
        broker.broker(),
        directory.path().display()
    );
    let Command::Suite(arguments) = command(&line) else {
        panic!("not a suite");
    };
    let comparison = suite::measure(&arguments).unwrap();
    let text = comparison.text();
    assert!(comparison.is_sound(), "{text}");
    let json = serde_json::to_value(&comparison).unwrap();
    let [catch_up, steady, disk] = &json["entries"].as_array().unwrap()[..] else {
        panic!("not three entries: {text}");
    };
    let run = &catch_up["runs"][0];
    assert!(run["mebibytes"].as_f64() >= Some(1.0), "{run}");
    assert_eq!(
        run["beside"]["load"]["rate"], run["before"]["load"]["rate"],
        "the same load beside the reading as before"
    );
    assert!(
        run["sustained_per_second"].as_f64() > run["beside"]["load"]["rate"].as_f64(),
        "{run}"
    );
    assert!(
        catch_up["catch_up"]["p99_to_before"]["median"].as_f64() > Some(0.0),
        "{catch_up}"
    );
    assert_eq!(steady["runs"][0]["load"]["rate"], 244, "1 MB/s in bodies of 4 KiB");
    assert_eq!((&disk["system"], &disk["flush"]), (&"disk".into(), &"fdatasync".into()));
    for words in [
        "MiB/s read",
        "restart-kill was not measured: --start tells",
        "sends refused",
    ] {
        assert!(text.contains(words), "{words} is missing in\n{text}");
    }
    assert!(
        !topics(&broker).contains("cuemq-bench-"),
        "topics of loads go with them"
    );
}
