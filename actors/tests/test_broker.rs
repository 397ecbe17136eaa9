//! [`TestBroker`] in the hands of tests of every kind: without a runtime, in a tokio runtime of either flavour, on disks
//! that last longer than a broker, on a network within the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cuemq_actors::placement::Layout;
use cuemq_actors::supervise::Health;
use cuemq_actors::testing::{MemoryDisk, MemoryNet, MemoryStream, Site, TestBroker};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::transport::{self, Settings};
use cuemq_storage::clock::{Clock, RealClock};
use cuemq_storage::log_state::FlushMode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(5);

/// Asks the broker for its runtime info over a real connection.
#[expect(clippy::disallowed_types, reason = "a client of the broker, as any other")]
#[expect(clippy::unwrap_used, reason = "part of the tests below")]
async fn asks_for_runtime_info(broker: &TestBroker) {
    asks_over(tokio::net::TcpStream::connect(broker.broker()).await.unwrap()).await;
}

#[expect(clippy::unwrap_used, reason = "part of the tests below")]
async fn asks_over(stream: impl AsyncRead + AsyncWrite + Send + 'static) {
    let (caller, _requests, driver) = transport::over(stream, Settings::default());
    let driving = tokio::spawn(driver.run());
    let answer = caller
        .call(RequestCode::GET_BROKER_RUNTIME_INFO, |_| {}, b"", SOON)
        .await
        .unwrap();
    assert_eq!(answer.code, ResponseCode::SUCCESS.0, "{:?}", answer.remark);
    drop(caller);
    driving.await.unwrap().unwrap();
}

#[test]
fn without_a_runtime_it_starts_is_asked_and_stops_leaving_nothing() {
    let broker = TestBroker::start();
    let data = broker.data().to_owned();
    assert!(data.join("commitlog").is_dir());
    let tree = broker.tree();
    assert!(tree.contains("commit log") && tree.contains("name server"), "{tree}");
    assert_eq!(broker.health_of("commit log"), Some(Health::Running));
    assert_eq!(broker.health().health, Health::Running);
    broker.stop().unwrap();
    assert!(!data.exists());
}

#[tokio::test(flavor = "current_thread")]
async fn it_serves_a_test_on_one_thread() {
    let broker = TestBroker::start();
    asks_for_runtime_info(&broker).await;
    broker.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_memory_net_it_is_reached_by_a_stream_and_two_brokers_may_share_the_net() {
    let net = MemoryNet::new();
    let started = || TestBroker::builder().memory_net(&net).start().unwrap();
    let (one, other) = (started(), started());
    assert_ne!(one.addresses(), other.addresses());
    asks_over(one.connect()).await;
    asks_over(net.dial(other.broker()).unwrap()).await;
    let address = one.broker();
    one.stop().unwrap();
    assert!(net.dial(address).is_err(), "a broker that has stopped does not listen");
    asks_over(other.connect()).await;
    other.stop().unwrap();
}

/// A clock that can hold the second I/O thread at the gate of sends, which asks it for the hour.
#[derive(Default)]
struct Doorkeeper {
    time: RealClock,
    /// How often that thread has asked.
    asked: AtomicU32,
    /// How often it may pass before it is held, and what lets it go on.
    hold: Mutex<Option<(u32, Receiver<()>)>>,
}

#[expect(clippy::unwrap_used, reason = "part of the test below")]
impl Clock for Doorkeeper {
    fn now_ms(&self) -> u64 {
        if rustix::thread::name().is_ok_and(|name| name.to_bytes() == b"cuemq-io-1") {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let hold = self.hold.lock().unwrap().take();
            match hold {
                Some((0, go_on)) => drop(go_on.recv_timeout(SOON)),
                Some((passes, go_on)) => *self.hold.lock().unwrap() = Some((passes - 1, go_on)),
                None => {}
            }
        }
        self.time.now_ms()
    }

    fn monotonic(&self) -> Duration {
        self.time.monotonic()
    }
}

/// Two sends in one piece.
#[expect(clippy::unwrap_used, reason = "part of the test below")]
fn two_sends() -> Vec<u8> {
    let send = Command::request(RequestCode::SEND_MESSAGE_V2)
        .with_field("a", "producers")
        .with_field("b", "TBW102")
        .with_field("c", "TBW102")
        .with_field("d", 4)
        .with_field("e", 0)
        .with_field("f", 0)
        .with_field("g", 1_700_000_000_000_i64)
        .with_field("h", 0)
        .with_field("i", "")
        .with_field("j", 0)
        .with_field("k", false);
    let mut bytes = Vec::new();
    send.encode(&mut bytes).unwrap();
    bytes.repeat(2)
}

/// The code of the next answer.
#[expect(clippy::unwrap_used, reason = "part of the test below")]
async fn answer(stream: &mut MemoryStream) -> ResponseCode {
    let next = async {
        let mut frame = vec![0; 4];
        stream.read_exact(&mut frame).await.unwrap();
        let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        frame.resize(4 + length, 0);
        stream.read_exact(&mut frame[4..]).await.unwrap();
        ResponseCode(Command::decode(&frame.into()).unwrap().code)
    };
    tokio::time::timeout(SOON, next).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of the test, which is no part of the broker"
)]
async fn a_send_that_had_passed_the_gate_when_the_broker_stops_is_stored_and_the_store_is_closed() {
    let clock = Arc::new(Doorkeeper::default());
    let builder = TestBroker::builder()
        .memory_net(&MemoryNet::new())
        .memory_disk(&MemoryDisk::new(1));
    let builder = builder.clock(clock.clone()).layout(Layout::new(2, true));
    // Nothing but the stop flushes what comes late.
    let builder = builder.config(|config| {
        (config.flush, config.flush_interval) = (FlushMode::Async, Duration::from_secs(600));
        config.accept_sends_from_ms = 1;
    });
    let broker = builder.start().unwrap();
    let mut by_thread = BTreeMap::new();
    for mut stream in [broker.connect(), broker.connect()] {
        let before = clock.asked.load(Ordering::SeqCst);
        stream.write_all(&two_sends()).await.unwrap();
        assert_eq!(answer(&mut stream).await, ResponseCode::SUCCESS);
        assert_eq!(answer(&mut stream).await, ResponseCode::SUCCESS);
        by_thread.insert(clock.asked.load(Ordering::SeqCst) > before, stream);
    }
    let (Some(mut rests), Some(mut late)) = (by_thread.remove(&false), by_thread.remove(&true)) else {
        panic!("connections are dealt out to the threads in turn");
    };

    // One send is past the gate, and its thread is held before it can hand it on.
    let (go_on, held) = channel();
    clock.hold.lock().unwrap().replace((1, held));
    late.write_all(&two_sends()).await.unwrap();
    let stopped = std::thread::Builder::new().spawn(move || broker.stop()).unwrap();
    let end = tokio::time::timeout(SOON, rests.read(&mut [0])).await;
    assert_eq!(end.unwrap().unwrap(), 0, "the stop has come to the connections");
    go_on.send(()).unwrap();
    assert_eq!(answer(&mut late).await, ResponseCode::SERVICE_NOT_AVAILABLE);
    assert_eq!(answer(&mut late).await, ResponseCode::SUCCESS);
    stopped.join().unwrap().unwrap();
}

#[test]
fn it_serves_a_test_on_many_threads_and_stops_when_it_is_dropped() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let data = runtime.block_on(async {
        let broker = TestBroker::start();
        asks_for_runtime_info(&broker).await;
        broker.data().to_owned()
    });
    assert!(!data.exists());
}

#[test]
fn on_a_memory_disk_a_second_broker_finds_what_a_killed_one_left() {
    let disk = MemoryDisk::new(1);
    TestBroker::builder().memory_disk(&disk).start().unwrap().kill();
    disk.kill();
    let broker = TestBroker::builder().memory_disk(&disk).start().unwrap();
    assert_eq!(broker.health().health, Health::Running);
    broker.stop().unwrap();
}

#[test]
fn a_data_directory_that_is_in_use_is_an_error() {
    let first = TestBroker::start();
    let second = TestBroker::builder().data(first.data()).start();
    assert!(second.err().is_some_and(|error| error.to_string().contains("lock")));
}

#[test]
fn a_fault_can_be_armed_and_its_end_be_waited_for() {
    let broker = TestBroker::start();
    broker.faults().arm("hold 0", Site::Task, 1);
    let again = broker.wait_for(SOON, |standing| {
        standing.restarts == 1 && standing.health == Health::Running
    });
    assert!(again.is_some(), "{}", broker.tree());
}
