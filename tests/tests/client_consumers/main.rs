//! The client library against a whole broker of ours, in one process: the network, the disk and where needed the clock are
//! values of the test.
//!
//! Here: the stand on which a test plays. The tests are sorted by subject: `push` (concurrent listeners), `orderly`,
//! `sharing` (several consumers of a group), `broadcast`, `retries`, `starts`, `asked` (what brokers ask of consumers).
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]

mod asked;
mod broadcast;
mod lite;
mod namespaces;
mod orderly;
mod pulls;
mod push;
mod restarts;
mod retries;
mod sharing;
mod starts;
mod streams;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::config::BrokerConfig;
use cuemq_actors::testing::{ManualClock, MemoryDisk, MemoryNet, TestBroker};
use cuemq_client::network::{BoxFuture, Network, Stream};
use cuemq_client::{Client, ClientOptions, ReceivedMessage};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::request::{CreateTopic, SendHeader};
use cuemq_net::transport::{self, Caller, Settings};
use tokio::sync::mpsc;

/// How long anything may take; far longer than anything does, so that a loaded machine fails no test.
const PATIENCE: Duration = Duration::from_secs(30);

const NOON_MS: u64 = 1_700_000_000_000;

/// Waits for something, but not for ever.
async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, event).await {
        Ok(happened) => happened,
        Err(_) => panic!("{what}: not within {} s", PATIENCE.as_secs()),
    }
}

/// The broker's network, as the client sees it.
struct ClientsNet(MemoryNet);

impl Network for ClientsNet {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let address = address.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
            Ok(Box::new(self.0.dial(address)?) as Box<dyn Stream>)
        })
    }

    fn own_address<'a>(&'a self, _toward: &'a str) -> BoxFuture<'a, IpAddr> {
        Box::pin(std::future::ready(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }
}

/// A broker with what it runs on, and a connection to it without any library.
struct Stand {
    broker: TestBroker,
    net: MemoryNet,
    disk: MemoryDisk,
    clock: Arc<ManualClock>,
    raw: Caller,
}

impl Stand {
    fn start() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let clock = Arc::new(ManualClock::new(NOON_MS));
        Self::on(MemoryNet::new(), MemoryDisk::new(1), clock, change)
    }

    fn on(net: MemoryNet, disk: MemoryDisk, clock: Arc<ManualClock>, change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let broker = TestBroker::builder()
            .config(|config| config.delays_interval = Duration::from_millis(10))
            .config(change)
            .memory_net(&net)
            .memory_disk(&disk)
            .clock(clock.clone())
            .start()
            .unwrap();
        let (raw, _asked, driver) = transport::over(broker.connect(), Settings::default());
        drop(tokio::spawn(driver.run()));
        Self {
            broker,
            net,
            disk,
            clock,
            raw,
        }
    }

    /// Loses the process, and starts another one on its disk and at its addresses.
    fn restart_after_a_crash(self) -> Self {
        let Self {
            broker,
            net,
            disk,
            clock,
            ..
        } = self;
        let (name_server_port, port) = (broker.name_server().port(), broker.broker().port());
        broker.kill();
        disk.kill();
        Self::on(net, disk, clock, |config| {
            config.name_server_port = name_server_port;
            config.port = port;
        })
    }

    fn options(&self) -> ClientOptions {
        ClientOptions::new()
            .namesrv_addr(self.broker.name_server().to_string())
            .network(Arc::new(ClientsNet(self.net.clone())))
    }

    async fn client(&self) -> Client {
        self.options().start().await.unwrap()
    }

    /// Asks the broker itself.
    async fn ask(&self, request: Command) -> Command {
        let answer = self.raw.request(&request, PATIENCE).await.unwrap();
        assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
        answer
    }

    async fn create_topic(&self, topic: &str, queues: i32) {
        self.create_topic_with(topic, queues, 6).await;
    }

    async fn create_topic_with(&self, topic: &str, queues: i32, perm: i32) {
        let header = CreateTopic {
            topic,
            default_topic: "TBW102",
            read_queue_nums: queues,
            write_queue_nums: queues,
            perm,
            topic_filter_type: "SINGLE_TAG",
            ..CreateTopic::default()
        };
        let code = RequestCode::UPDATE_AND_CREATE_TOPIC;
        self.ask(Command::request(code).with_header(|fields| header.write(fields)))
            .await;
    }

    async fn send(&self, topic: &str, queue_id: i32, body: &str) {
        self.send_with(topic, queue_id, body, "").await;
    }

    async fn send_with(&self, topic: &str, queue_id: i32, body: &str, properties: &str) -> Command {
        let header = SendHeader {
            producer_group: "producers",
            topic,
            default_topic: "TBW102",
            default_topic_queue_nums: 4,
            queue_id,
            born_timestamp: 1,
            properties: Some(properties),
            ..SendHeader::default()
        };
        let code = RequestCode::SEND_MESSAGE_V2;
        let request = Command::request(code).with_header(|fields| header.write(fields));
        self.ask(request.with_body(body.to_owned())).await
    }

    /// Sends `0`, `1` … to the queues of a topic in turn.
    async fn send_numbers(&self, topic: &str, queues: i32, numbers: std::ops::Range<i32>) {
        for number in numbers {
            self.send(topic, number % queues, &number.to_string()).await;
        }
    }

    /// How far a group has come in a queue, by the broker's own word.
    async fn committed(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        let request = Command::request(RequestCode::QUERY_CONSUMER_OFFSET)
            .with_field("consumerGroup", group)
            .with_field("topic", topic)
            .with_field("queueId", queue_id)
            .with_field("setZeroIfNotFound", false);
        let answer = self.raw.request(&request, PATIENCE).await.unwrap();
        answer.fields.get("offset").map(|offset| offset.parse().unwrap())
    }
}

impl Stand {
    /// Sends a message, and gives the id by which the broker finds it.
    async fn send_for_id(&self, topic: &str, body: &str) -> String {
        let answer = self.send_with(topic, 0, body, "").await;
        answer.fields.get("msgId").unwrap().to_owned()
    }

    /// The position behind the last message of a queue.
    async fn max_offset(&self, topic: &str, queue_id: i32) -> i64 {
        let request = Command::request(RequestCode::GET_MAX_OFFSET)
            .with_field("topic", topic)
            .with_field("queueId", queue_id);
        let answer = self.ask(request).await;
        answer.fields.get("offset").unwrap().parse().unwrap()
    }
}

/// Where a listener puts what it gets.
#[derive(Clone)]
struct Inbox(mpsc::UnboundedSender<ReceivedMessage>);

/// What listeners got.
struct Got(mpsc::UnboundedReceiver<ReceivedMessage>);

fn inbox() -> (Inbox, Got) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Inbox(sender), Got(receiver))
}

impl Inbox {
    fn take(&self, messages: Vec<ReceivedMessage>) {
        for message in messages {
            self.0.send(message).unwrap();
        }
    }
}

fn text(message: &ReceivedMessage) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

impl Got {
    async fn next(&mut self) -> ReceivedMessage {
        soon("a message", self.0.recv()).await.unwrap()
    }

    /// The next bodies, sorted: how often each came.
    async fn bodies(&mut self, many: usize) -> BTreeMap<String, usize> {
        let mut bodies = BTreeMap::new();
        for _ in 0..many {
            *bodies.entry(text(&self.next().await)).or_default() += 1;
        }
        bodies
    }

    /// The next bodies, in the order in which they came.
    async fn in_order(&mut self, many: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        for _ in 0..many {
            bodies.push(text(&self.next().await));
        }
        bodies
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn numbers(range: std::ops::Range<i32>) -> BTreeMap<String, usize> {
    range.map(|number| (number.to_string(), 1)).collect()
}
