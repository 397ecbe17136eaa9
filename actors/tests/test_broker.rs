//! [`TestBroker`] in the hands of tests of every kind: without a runtime, in a tokio runtime of either flavour, on disks
//! that last longer than a broker, on a network within the process.

use std::time::Duration;

use cuemq_actors::supervise::Health;
use cuemq_actors::testing::{MemoryDisk, MemoryNet, Site, TestBroker};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::transport::{self, Settings};
use tokio::io::{AsyncRead, AsyncWrite};

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
