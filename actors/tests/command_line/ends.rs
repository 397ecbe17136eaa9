//! Signals: the first one ends the program in order, the second one at once.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::{Home, Running, send};

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
