//! Signals: the first one ends the program in order, also while it starts, the second one at once.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;

use cuemq_actors::broker::SystemError;
use cuemq_actors::testing::TestBroker;
use cuemq_storage::StoreError;
use cuemq_storage::interrupt::Interrupt;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::Signal;

use crate::{Home, Running, send};

/// A pipe in the place of a table that a start reads when the store is open: it waits until somebody writes.
pub(crate) struct Obstacle(PathBuf);

impl Obstacle {
    pub(crate) fn lay(home: &Home) -> Self {
        let config = home.data().join("config");
        std::fs::create_dir_all(&config).unwrap();
        let path = config.join("consumerOffset.json");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        Self(path)
    }

    /// Lets the start go on, with an empty table.
    pub(crate) fn clear(self) -> File {
        let writer = open(&self.0, OFlags::RDWR, Mode::empty()).unwrap();
        std::fs::remove_file(&self.0).unwrap();
        writer.into()
    }
}

#[test]
fn a_signal_stops_it_in_order() {
    let home = Home::new();
    for (signal, queue_offset) in [(Signal::TERM, 0), (Signal::INT, 1)] {
        let server = home.start("server");
        assert!(home.data().join("abort").exists(), "a store in use is marked");
        assert_eq!(send(server.address("broker"), "Kept"), queue_offset);
        server.signal(signal);
        let (_, log, status) = server.end();
        assert!(status.success(), "{signal:?}: {status}, {log:?}");
        assert!(!home.data().join("abort").exists(), "{signal:?}");
    }
    let mut server = home.start("server");
    server.wait_for_log("store opened");
    assert_eq!(send(server.address("broker"), "Kept"), 2);
    server.stop();
}

/// The farewell to a name server that never answers takes long enough for a second signal.
#[test]
fn a_second_signal_ends_it_at_once_and_the_store_recovers() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = Home::new();
    let mut command = home.command("broker");
    command.args(["-n", &silent.local_addr().unwrap().to_string()]);
    let mut broker = Running::start(command);
    assert_eq!(send(broker.address("broker"), "Kept"), 0);
    broker.signal(Signal::TERM);
    broker.wait_for_log("stopping");
    broker.signal(Signal::INT);
    let (_, log, status) = broker.end();
    assert_eq!(status.code(), Some(130), "{log:?}");
    assert!(home.data().join("abort").exists());

    let mut server = home.start("server");
    server.wait_for_log("store recovered after a crash");
    assert_eq!(
        send(server.address("broker"), "Kept"),
        1,
        "what was acknowledged is there"
    );
    server.stop();
}

#[test]
fn a_killed_one_leaves_a_store_that_recovers() {
    let home = Home::new();
    let server = home.start("server");
    for queue_offset in 0..20 {
        assert_eq!(send(server.address("broker"), "Kept"), queue_offset);
    }
    server.signal(Signal::KILL);
    let (_, _, status) = server.end();
    assert!(!status.success());
    let mut server = home.start("server");
    server.wait_for_log("store recovered after a crash");
    assert_eq!(send(server.address("broker"), "Kept"), 20);
    server.stop();
}

#[test]
fn a_signal_while_it_starts_ends_it_in_order_before_it_is_ready() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let obstacle = Obstacle::lay(&home);
        let mut server = Running::starting(home.command("server"));
        server.wait_for_log("store opened");
        server.signal(signal);
        server.wait_for_log("stopping");
        let _writer = obstacle.clear();
        let (out, log, status) = server.end();
        assert!(status.success(), "{status}: {log:?}");
        assert_eq!(out, [""; 0], "nobody is told that it is ready");
        assert!(!home.data().join("abort").exists(), "the store is closed in order");
    }
}

#[test]
fn a_second_signal_while_it_starts_ends_it_at_once() {
    let home = Home::new();
    let _obstacle = Obstacle::lay(&home);
    let mut server = Running::starting(home.command("server"));
    server.wait_for_log("store opened");
    server.signal(Signal::TERM);
    server.wait_for_log("stopping");
    server.signal(Signal::INT);
    let (_, log, status) = server.end();
    assert_eq!(status.code(), Some(130), "{log:?}");
    assert!(home.data().join("abort").exists());
}

#[test]
fn a_start_that_takes_longer_than_a_second_says_how_far_it_is() {
    let home = Home::new();
    let server = home.start("server");
    assert_eq!(send(server.address("broker"), "Kept"), 0);
    server.signal(Signal::KILL);
    server.end();
    let obstacle = Obstacle::lay(&home);
    let mut server = Running::starting(home.command("server"));
    server.wait_for_log("opening the store, for 1 s now: syncing consume queues, 1 of 1");
    let _held = obstacle.clear();
    server.line = server.out.next().unwrap().unwrap();
    server.stop();
}

#[test]
fn a_recovery_that_is_ended_leaves_a_store_that_recovers() {
    let home = Home::new();
    let server = home.start("server");
    for queue_offset in 0..20 {
        assert_eq!(send(server.address("broker"), "Kept"), queue_offset);
    }
    server.signal(Signal::KILL);
    assert!(!server.end().2.success());

    let ended = TestBroker::builder()
        .data(home.data())
        .interrupt(Interrupt::when(|| true))
        .start();
    let reason = ended.err().expect("it was to end");
    assert!(
        matches!(reason, SystemError::Store(StoreError::Interrupted)),
        "{reason}"
    );
    assert!(home.data().join("abort").exists());

    let mut server = home.start("server");
    server.wait_for_log("store recovered after a crash");
    assert_eq!(send(server.address("broker"), "Kept"), 20);
    server.stop();
}
