//! What runs, what it prints on standard output, and how a broker finds its name servers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use cuemq_net::code::RequestCode;
use cuemq_net::command::Command as Frame;
use serde_json::Value;

use crate::{Home, PATIENCE, Running, SETTINGS, ask, cuemq, message, run, send};

/// Does the name server know the topic that every broker has?
pub(crate) fn knows_broker(name_server: std::net::SocketAddr, broker: std::net::SocketAddr) -> bool {
    let request = Frame::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", "TBW102");
    let answer = ask(name_server, &request);
    answer.code == 0 && String::from_utf8_lossy(&answer.body).contains(&broker.to_string())
}

#[test]
fn one_line_says_that_sends_are_accepted() {
    let home = Home::new();
    let server = home.start("server");
    let (name_server, broker) = (server.address("name server"), server.address("broker"));
    let data = home.path().canonicalize().unwrap().join("data");
    let expected = format!(
        "cuemq is ready: name server {name_server}, broker {broker}, data {}, flush sync, started in ",
        data.display()
    );
    let took = server
        .line
        .strip_prefix(&expected)
        .unwrap_or_else(|| panic!("{}", server.line));
    let ms: u64 = took.strip_suffix(" ms").unwrap().parse().unwrap();
    assert!(ms < 30_000);
    assert_eq!(send(broker, "First"), 0);
    assert!(knows_broker(name_server, broker));
    server.signal(rustix::process::Signal::TERM);
    let (out, _, status) = server.end();
    assert!(out.is_empty() && status.success(), "{out:?}");
}

#[test]
fn name_server_and_broker_run_apart() {
    let home = Home::new();
    let namesrv = home.start("namesrv");
    let name_server = namesrv.address("name server");
    let expected = format!("cuemq is ready: name server {name_server}, started in ");
    assert!(namesrv.line.starts_with(&expected), "{}", namesrv.line);

    let mut command = home.command("broker");
    command.args(["-n", &name_server.to_string()]);
    let broker = Running::start(command);
    assert!(
        broker.line.starts_with("cuemq is ready: broker 127.0.0.1:"),
        "{}",
        broker.line
    );
    assert!(broker.line.contains(", flush sync, started in "), "{}", broker.line);
    let address = broker.address("broker");
    assert!(knows_broker(name_server, address));
    assert_eq!(send(address, "Apart"), 0);
    broker.stop();
    assert!(!knows_broker(name_server, address), "it has said good-bye");
    namesrv.stop();
}

/// What is at a path of an HTTP server.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_name_server_alone_tells_its_own_health_and_figures() {
    let home = Home::new();
    let mut command = home.command("namesrv");
    command.args(["--http", "127.0.0.1:0"]);
    let mut namesrv = Running::start(command);
    let line = namesrv.wait_for_log("/healthz");
    let (_, address) = line.rsplit_once("http=").unwrap();
    let address: SocketAddr = address.trim().parse().unwrap();
    let health = get(address, "/healthz");
    assert!(health.starts_with("HTTP/1.1 200 OK"), "{health}");
    assert!(health.contains(r#""serving":true"#), "{health}");
    assert!(health.contains(r#""name_server":{"brokers":0,"topics":0}"#), "{health}");
    let metrics = get(address, "/metrics");
    assert!(metrics.contains("\ncuemq_name_server_brokers 0\n"), "{metrics}");
    assert!(
        metrics.contains("\ncuemq_connections{service=\"name server\"} 0\n"),
        "{metrics}"
    );
    assert!(!metrics.contains("rocketmq_"), "there is no broker: {metrics}");
    namesrv.stop();
}

#[test]
fn every_name_server_knows_the_broker_and_nothing_of_the_others() {
    let homes = [Home::new(), Home::new(), Home::new()];
    let namesrvs = [homes[0].start("namesrv"), homes[1].start("namesrv")];
    let [one, two] = [&namesrvs[0], &namesrvs[1]].map(|namesrv| namesrv.address("name server"));
    let mut command = homes[2].command("broker");
    command.args(["-n", &format!("{one};{two}")]);
    let broker = Running::start(command);
    let address = broker.address("broker");
    assert!(knows_broker(one, address) && knows_broker(two, address));
    let [first, second] = namesrvs;
    first.stop();
    assert!(knows_broker(two, address), "one goes on without the other");
    broker.stop();
    second.stop();
}

#[test]
fn a_name_server_that_comes_back_is_told_with_the_next_topic() {
    let (home, other) = (Home::new(), Home::new());
    let namesrv = home.start("namesrv");
    let name_server = namesrv.address("name server");
    let mut command = other.command("broker");
    command.args(["-n", &name_server.to_string()]);
    let broker = Running::start(command);
    namesrv.stop();
    let port = name_server.port().to_string();
    let mut again = cuemq(["namesrv", "--data", "data", "--namesrv-port", &port]);
    again.current_dir(home.path());
    let namesrv = Running::start(again);
    let address = broker.address("broker");
    assert_eq!(send(address, "New"), 0);
    assert!(knows_broker(name_server, address));
    broker.stop();
    namesrv.stop();
}

#[test]
fn the_environment_names_the_name_servers_and_a_flag_wins() {
    let home = Home::new();
    let namesrv = home.start("namesrv");
    let name_server = namesrv.address("name server");
    let mut command = home.command("broker");
    command.env("NAMESRV_ADDR", name_server.to_string());
    let broker = Running::start(command);
    assert!(knows_broker(name_server, broker.address("broker")));
    broker.stop();

    let mut command = home.command("broker");
    command
        .env("NAMESRV_ADDR", "127.0.0.1:1")
        .args(["-n", &name_server.to_string()]);
    let broker = Running::start(command);
    assert!(knows_broker(name_server, broker.address("broker")));
    broker.stop();
    namesrv.stop();
}

#[test]
fn settings_are_printed_with_where_each_comes_from() {
    let home = Home::new();
    let mut command = home.command("server");
    command.arg("-p");
    let (out, said, status) = run(command);
    assert!(status.success(), "{said}");
    let row = |name: &str| {
        let line = out.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name} in {out}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(row("data ").ends_with("--data"), "{}", row("data "));
    assert!(
        row("store.segment_bytes").contains("1 MiB small.toml"),
        "{}",
        row("store.segment_bytes")
    );
    assert!(row("limits.idle").ends_with("default"), "{}", row("limits.idle"));
    assert!(!home.data().exists(), "nothing was started");
}

#[test]
fn logs_are_for_people_or_for_machines() {
    let home = Home::new();
    let mut command = home.command("server");
    command.args(["--log", "json"]);
    let server = Running::start(command);
    server.signal(rustix::process::Signal::TERM);
    let (_, log, status) = server.end();
    assert!(status.success() && !log.is_empty(), "{status}: {log:?}");
    for line in &log {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            parsed["level"].is_string() && parsed["fields"]["message"].is_string(),
            "{line}"
        );
    }
    assert!(log.iter().any(|line| line.contains("stopping")), "{log:?}");

    let mut command = home.command("server");
    command.env("RUST_LOG", "off");
    let server = Running::start(command);
    server.signal(rustix::process::Signal::TERM);
    let (_, log, status) = server.end();
    assert!(status.success() && log.is_empty(), "{log:?}");
}

#[test]
fn when_sends_will_be_accepted_is_told_in_the_time_of_the_place() {
    let home = Home::new();
    let settings = format!("{SETTINGS}[broker]\naccept_sends_from_ms = 221_845_435_205_123\n");
    std::fs::write(home.path().join("small.toml"), settings).unwrap();
    let mut command = home.command("server");
    // Five and a half hours ahead of UTC.
    command.env("TZ", "PLACE-5:30");
    let server = Running::start(command);
    let answer = ask(server.address("broker"), &message("Early"));
    let remark = answer.remark.as_deref();
    assert_eq!(remark, Some("broker unable to service, until 9000-01-01 17:30:05,123"));
    server.stop();
}

#[test]
fn help_and_version_are_no_mistakes() {
    for (arguments, words) in [
        (["--version"].as_slice(), "cuemq "),
        (&["--help"], "namesrv"),
        (&["server", "--help"], "--namesrv-port"),
    ] {
        let (out, said, status) = run(cuemq(arguments));
        assert!(status.success() && said.is_empty(), "{said}");
        assert!(out.contains(words), "{out}");
    }
}
