//! What is logged, and where.

use std::path::Path;

use cuemq_net::code::RequestCode;
use cuemq_net::command::Command as Frame;

use crate::{Home, Running, ask, message, run};

/// In bodies alone.
const MARKER: &str = "Zwiebelfisch";

/// All that was logged into the files of a name.
fn logged(home: &Path, name: &str) -> String {
    let files = std::fs::read_dir(home).unwrap().map(Result::unwrap);
    let files = files.filter(|file| !file.file_type().unwrap().is_symlink());
    let of_log = files.filter(|file| file.file_name().to_string_lossy().starts_with(name));
    of_log
        .map(|file| std::fs::read_to_string(file.path()).unwrap())
        .collect()
}

fn heartbeat(group: &str) -> Frame {
    let body = format!(
        r#"{{"clientID":"c","consumerDataSet":[{{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"{group}","messageModel":"CLUSTERING","subscriptionDataSet":[]}}],"producerDataSet":[]}}"#
    );
    Frame::request(RequestCode::HEART_BEAT).with_body(body.into_bytes())
}

fn pull(topic: &str) -> Frame {
    Frame::request(RequestCode::PULL_MESSAGE)
        .with_field("consumerGroup", "readers")
        .with_field("topic", topic)
        .with_field("queueId", 0)
        .with_field("queueOffset", 0)
        .with_field("maxMsgNums", 32)
        .with_field("sysFlag", 4)
        .with_field("commitOffset", 0)
        .with_field("suspendTimeoutMillis", 0)
        .with_field("subscription", "*")
        .with_field("subVersion", 1)
        .with_field("expressionType", "TAG")
}

#[test]
fn connections_groups_and_slow_sends_have_lines_and_no_body_is_ever_logged() {
    let home = Home::new();
    let mut settings = crate::SETTINGS.to_owned();
    settings.push_str("\n[log]\nslow_send = \"0s\"\nslow_flush = \"0s\"\n");
    std::fs::write(home.path().join("small.toml"), settings).unwrap();
    let mut command = home.command("server");
    command.env("RUST_LOG", "trace").args(["--log-file", "broker.log"]);
    let server = Running::start(command);
    let broker = server.address("broker");
    let marked = |topic: &str| message(topic).with_body(MARKER.as_bytes().to_vec());
    let sent = ask(broker, &marked("Told"));
    assert_eq!(sent.code, 0, "{sent:?}");
    let refused = ask(broker, &marked("No such name!"));
    assert_ne!(refused.code, 0);
    let unknown = Frame::request(RequestCode(9_999)).with_body(MARKER.as_bytes().to_vec());
    assert_ne!(ask(broker, &unknown).code, 0);
    let garbled = Frame::request(RequestCode::HEART_BEAT).with_body(MARKER.as_bytes().to_vec());
    assert_ne!(ask(broker, &garbled).code, 0);
    // A send may be answered a moment before its queue has it.
    while !String::from_utf8_lossy(&ask(broker, &pull("Told")).body).contains(MARKER) {}
    ask(broker, &heartbeat("readers"));
    server.stop();

    let log = logged(home.path(), "broker.log");
    let is_there = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    for words in [
        ["DEBUG", " connected", "remote=127.0.0.1:"],
        ["DEBUG", "disconnected", "reason=closed by the other side"],
        ["INFO", "the first member of a consumer group has come", "group=readers"],
        ["INFO", "the last member of a consumer group has left", "group=readers"],
        ["WARN", "a slow send", "of_which_the_last_flush_ms="],
        ["WARN", "a slow write", "took_ms="],
        ["WARN", "a slow flush", "took_ms="],
    ] {
        assert!(is_there(&words), "{words:?} in\n{log}");
    }
    let told: Vec<&str> = log.lines().filter(|line| line.contains(MARKER)).collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn a_log_file_is_dated_the_newest_has_a_link_and_old_ones_go() {
    let home = Home::new();
    for day in 10..15 {
        std::fs::write(home.path().join(format!("broker.log.2020-01-{day}")), "old\n").unwrap();
    }
    let mut command = home.command("server");
    command.args(["--log-file", "broker.log", "--log-keep", "3"]);
    let (_, said, status) = {
        let server = Running::start(command);
        server.signal(rustix::process::Signal::TERM);
        server.end()
    };
    assert!(status.success() && said.is_empty(), "{said:?}");
    let newest = std::fs::read_to_string(home.path().join("broker.log")).unwrap();
    assert!(newest.contains(" starting ") && newest.contains("data="), "{newest}");
    let files = std::fs::read_dir(home.path()).unwrap();
    let dated = files.filter(|file| {
        file.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("broker.log.")
    });
    assert_eq!(dated.count(), 3);
}

#[test]
fn a_log_file_is_begun_anew_at_its_length_and_the_ones_before_are_numbered() {
    let home = Home::new();
    let mut command = home.command("server");
    command
        .env("RUST_LOG", "trace")
        .args(["--log-file", "broker.log", "--log-size", "1 KiB", "--log-keep", "3"]);
    let server = Running::start(command);
    for number in 0..20 {
        ask(server.address("broker"), &message(&format!("T{number}")));
    }
    server.signal(rustix::process::Signal::TERM);
    let (_, said, status) = server.end();
    assert!(status.success() && said.is_empty(), "{said:?}");
    let bytes = |name: &str| std::fs::metadata(home.path().join(name)).unwrap().len();
    for full in ["broker.log.1", "broker.log.2"] {
        // The line that comes to the length is written out.
        assert!((1 << 10..5 << 10).contains(&bytes(full)), "{full}: {}", bytes(full));
    }
    assert!(bytes("broker.log") <= 5 << 10);
    assert!(!home.path().join("broker.log.3").exists());
    let all: String = ["broker.log.2", "broker.log.1", "broker.log"]
        .map(|name| std::fs::read_to_string(home.path().join(name)).unwrap())
        .concat();
    let times: Vec<&str> = all.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(times.is_sorted(), "the lines follow one another over the files");
    let mut command = home.command("server");
    command.args([
        "--log-file",
        "broker.log",
        "--log-size",
        "4 KiB",
        "--log-rotate",
        "daily",
    ]);
    let (_, said, status) = run(command);
    assert_eq!(status.code(), Some(2), "{said}");
}

#[test]
fn a_log_file_that_cannot_be_made_is_a_mistake() {
    let home = Home::new();
    let mut command = home.command("server");
    command.args(["--log-file", "small.toml/broker.log"]);
    let (_, said, status) = run(command);
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(
        said.contains("the log file small.toml/broker.log cannot be made"),
        "{said}"
    );
    assert!(!home.data().exists());
}
