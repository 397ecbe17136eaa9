//! What operators do: RocketMQ's names of the program, its papers, SIGHUP, and what a service manager hears.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use rustix::process::Signal;

use crate::ends::Obstacle;
use crate::roles::knows_broker;
use crate::{Home, PATIENCE, Running, SETTINGS, ask, cuemq, message, program, run, send};

/// The program under another name.
fn called(home: &Home, name: &str) -> Command {
    let path = home.path().join(name);
    symlink(env!("CARGO_BIN_EXE_cuemq"), &path).unwrap();
    let mut command = program(&path);
    command.current_dir(home.path());
    command
}

#[test]
fn rocketmqs_names_start_name_server_and_broker_and_stop_them() {
    let home = Home::new();
    std::fs::write(home.path().join("namesrv.conf"), "listenPort=0\n").unwrap();
    let mut mqnamesrv = called(&home, "mqnamesrv");
    mqnamesrv.args(["-c", "namesrv.conf", "--listen", "127.0.0.1", "--data", "names"]);
    let namesrv = Running::start(mqnamesrv);
    let name_server = namesrv.address("name server").to_string();

    let conf = "listenPort=0\nbrokerName=b\nbrokerIP1=127.0.0.1\nflushDiskType=SYNC_FLUSH\nstorePathRootDir=store\n\
                mapedFileSizeCommitLog=1048576\nmaxHashSlotNum=500\nmaxIndexNum=2000\n";
    std::fs::write(home.path().join("broker.conf"), conf).unwrap();
    let mut mqbroker = called(&home, "mqbroker");
    mqbroker.args(["-c", "broker.conf", "-n", &name_server, "--listen", "127.0.0.1"]);
    let broker = Running::start(mqbroker);
    assert!(knows_broker(name_server.parse().unwrap(), broker.address("broker")));

    let shutdown = |arguments: &[&str]| {
        let mut command = cuemq(["shutdown"]);
        command.args(arguments).current_dir(home.path());
        run(command)
    };
    let process = broker.child.id();
    let (out, said, status) = shutdown(&["broker", "-c", "broker.conf"]);
    assert!(status.success(), "{said}");
    assert!(
        out.contains(&format!("The broker on store (process {process}) is told to stop."))
            && out.ends_with("It has ended."),
        "{out}"
    );
    assert!(broker.end().2.success(), "in order");
    assert!(!home.path().join("store/abort").exists());

    let (_, said, status) = shutdown(&["broker", "-c", "broker.conf"]);
    assert_eq!(status.code(), Some(2));
    assert!(
        said.contains("no broker runs on store: name its data directory"),
        "{said}"
    );

    let mut mqshutdown = called(&home, "mqshutdown");
    mqshutdown.args(["namesrv", "--data", "names"]);
    let (out, said, status) = run(mqshutdown);
    assert!(
        status.success() && out.contains("The name server on names"),
        "{out} {said}"
    );
    assert!(namesrv.end().2.success());
}

#[test]
fn m_prints_the_important_settings_alone() {
    let home = Home::new();
    let mut mqbroker = called(&home, "mqbroker");
    mqbroker.args(["-m", "--data", "data"]);
    let (out, said, status) = run(mqbroker);
    assert!(status.success(), "{said}");
    let is_there = |name: &str| out.lines().any(|line| line.starts_with(&format!("{name} ")));
    assert!(
        is_there("data") && is_there("broker.name") && is_there("retention.age"),
        "{out}"
    );
    assert!(!is_there("broker.trace") && !is_there("limits.idle"), "{out}");
    assert!(!home.data().exists(), "nothing was started");
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    for (shell, words) in [
        ("bash", "complete -F _cuemq"),
        ("zsh", "#compdef cuemq"),
        ("fish", "complete -c cuemq"),
    ] {
        // A script is longer than a pipe holds.
        let ended = cuemq(["completions", shell]).output().unwrap();
        assert!(ended.status.success());
        let out = String::from_utf8(ended.stdout).unwrap();
        assert!(
            out.contains(words) && out.contains("shutdown") && out.contains("namesrv-port"),
            "{shell}"
        );
    }
    let (page, said, status) = run(cuemq(["man"]));
    assert!(
        status.success() && page.contains(".TH cuemq 1") && page.contains("SUBCOMMANDS"),
        "{said}"
    );
    let home = Home::new();
    let mut all = cuemq(["man", "pages/man1"]);
    all.current_dir(home.path());
    let (_, said, status) = run(all);
    assert!(status.success(), "{said}");
    for name in [
        "cuemq",
        "cuemq-server",
        "cuemq-broker",
        "cuemq-namesrv",
        "cuemq-bench-send",
    ] {
        let page = home.path().join("pages/man1").join(format!("{name}.1"));
        assert!(std::fs::read_to_string(page).unwrap().contains(".TH "), "{name}");
    }
}

/// Writes the settings file anew, and has it read.
fn reload(home: &Home, server: &mut Running, more: &str, answered: &str) -> String {
    std::fs::write(home.path().join("small.toml"), format!("{more}{SETTINGS}")).unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log(answered)
}

#[test]
fn a_hangup_puts_changed_settings_in_force_and_says_which_need_a_restart() {
    let home = Home::new();
    let mut server = home.start("server");
    let broker = server.address("broker");
    let code_of = |topic: &str| ask(broker, &message(topic)).code;
    assert_eq!(code_of("First"), 0);

    let more = "[limits]\nmessage_bytes = 1024\nconnections = 77\n[topics]\nauto_create = false\n";
    let line = reload(&home, &mut server, more, "needs a restart");
    assert!(
        line.contains("WARN") && line.contains("limits.connections: 20000 -> 77"),
        "{line}"
    );
    let long = message("First").with_body(vec![b'x'; 2000]);
    assert_eq!(ask(broker, &long).code, 13, "too long now");
    assert_ne!(code_of("Second"), 0, "no topic is made any more");

    let broken = "[limits]\nmessage_bytes = \"much\"\n[topics]\nauto_create = true\n";
    let line = reload(&home, &mut server, broken, "nothing was changed");
    assert!(line.contains("ERROR") && line.contains("small.toml:2"), "{line}");
    assert_ne!(code_of("Second"), 0, "as before");

    let line = reload(&home, &mut server, "", "changed: topics.auto_create");
    assert!(line.contains("changed: topics.auto_create: false -> true"), "{line}");
    assert_eq!(code_of("Second"), 0);
    assert_eq!(ask(broker, &long).code, 0);
    server.signal(Signal::HUP);
    server.wait_for_log("no setting has changed");
    server.stop();
}

#[test]
fn what_a_tool_has_changed_counts_over_a_file_that_is_read_again_and_a_line_says_so() {
    let home = Home::new();
    let mut server = home.start("server");
    let change = cuemq_net::command::Command::request(cuemq_net::code::RequestCode::UPDATE_BROKER_CONFIG)
        .with_body(b"autoCreateTopicEnable=false\n".to_vec());
    let answer = ask(server.address("broker"), &change);
    assert_eq!(answer.code, 0, "{answer:?}");
    let line = reload(&home, &mut server, "[topics]\nauto_create = true\n", "live.properties");
    assert!(line.contains("counts, not what small.toml:2 says"), "{line}");
    assert_ne!(ask(server.address("broker"), &message("New")).code, 0);
    server.stop();
}

#[test]
fn a_hangup_has_a_log_file_that_was_moved_away_opened_again() {
    let home = Home::new();
    let mut command = home.command("server");
    command.args(["--log-file", "broker.log", "--log-rotate", "never"]);
    let server = Running::start(command);
    let (log, moved) = (home.path().join("broker.log"), home.path().join("broker.log.1"));
    std::fs::rename(&log, &moved).unwrap();
    server.signal(Signal::HUP);
    // Each turn is a request; one that never ends is ended with the server.
    while !log.exists() {
        send(server.address("broker"), "Waiting");
    }
    server.stop();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("a signal to read the settings again"), "{text}");
    let text = std::fs::read_to_string(&moved).unwrap();
    assert!(
        text.contains(" starting ") && !text.contains("read the settings again"),
        "{text}"
    );
}

#[test]
fn a_service_manager_hears_that_a_start_goes_on_that_it_is_ready_and_that_it_stops() {
    let home = Home::new();
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut text = [0; 1024];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let mut command = home.command("server");
    command.env("NOTIFY_SOCKET", &path);
    let obstacle = Obstacle::lay(&home);
    let mut server = Running::starting(command);
    let mut heard = hear();
    assert_eq!(
        heard.trim_end(),
        "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=opening the store, for 0 s now"
    );
    let _held = obstacle.clear();
    server.line = server.out.next().unwrap().unwrap();
    // A start that takes long says so again.
    while heard.starts_with("EXTEND_TIMEOUT_USEC") {
        heard = hear();
    }
    assert_eq!(heard.trim_end(), format!("READY=1\nSTATUS={}", server.line));
    server.stop();
    assert!(hear().starts_with("STOPPING=1\nSTATUS=stopping"), "{heard}");
}
