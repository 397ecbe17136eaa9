//! [`TestBroker`] in the hands of tests of every kind: without a runtime, in a tokio runtime of either flavour, on disks
//! that last longer than a broker, on a network within the process.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use cuemq_actors::supervise::Health;
use cuemq_actors::testing::{MemoryDisk, MemoryNet, MemoryStream, Site, TestBroker};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::{self, MAX_FRAME_BYTES};
use cuemq_net::transport::{self, Settings};
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

/// Sends with up to a hundred answers outstanding, until the connection breaks.
#[expect(clippy::unwrap_used, reason = "part of the test below")]
async fn sends_until_the_end(mut stream: MemoryStream) {
    let mut sends = Vec::new();
    for _ in 0..20 {
        let send = Command::request(RequestCode::SEND_MESSAGE_V2)
            .with_field("a", "producers")
            .with_field("b", "TBW102")
            .with_field("c", "TBW102")
            .with_field("d", 4)
            .with_field("e", 0)
            .with_field("f", 0)
            .with_field("g", 1_700_000_000_000_i64)
            .with_field("h", 0)
            .with_field("i", "KEYS\u{1}key\u{2}")
            .with_field("j", 0)
            .with_field("k", false)
            .with_body(&b"under way while the broker stops"[..]);
        send.encode(&mut sends).unwrap();
    }
    let (mut under_way, mut answers) = (0, BytesMut::new());
    while stream.write_all(&sends).await.is_ok() {
        under_way += 20;
        while under_way > 100 {
            match frame::check(&answers, MAX_FRAME_BYTES).unwrap() {
                Some(answer) => {
                    answers.advance(answer.total);
                    under_way -= 1;
                }
                None if matches!(stream.read_buf(&mut answers).await, Err(_) | Ok(0)) => return,
                None => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_leaves_the_store_in_order_under_either_flush() {
    for round in 0..12 {
        let flush = if round % 2 == 0 {
            FlushMode::Async
        } else {
            FlushMode::Sync
        };
        let broker = TestBroker::builder()
            .memory_net(&MemoryNet::new())
            .memory_disk(&MemoryDisk::new(round));
        let broker = broker.config(|config| config.flush = flush).start().unwrap();
        let senders: Vec<_> = (0..4)
            .map(|_| tokio::spawn(sends_until_the_end(broker.connect())))
            .collect();
        while broker.metrics().messages_in.get() < 1_000 {
            tokio::task::yield_now().await;
        }
        broker.stop().unwrap();
        for sender in senders {
            tokio::time::timeout(SOON, sender).await.unwrap().unwrap();
        }
    }
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
