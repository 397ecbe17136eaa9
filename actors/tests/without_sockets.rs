//! A whole broker on a `MemoryNet`, a `MemoryDisk` and a `ManualClock`: it does all that a broker does, and the process
//! has no socket of any network meanwhile. Nothing else is tested in this program, so that nothing else opens one.

#![expect(clippy::unwrap_used, reason = "a test that cannot do its work has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::testing::{ManualClock, MemoryDisk, MemoryNet, MemoryStream, TestBroker, TestBrokerBuilder};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::header::FieldWriter;
use cuemq_net::message::record::records;
use cuemq_net::request::{PullHeader, RouteInfo, SearchOffset, SendHeader};
use cuemq_net::transport::{self, Caller, Settings};

const SOON: Duration = Duration::from_secs(30);
const NOON: u64 = 1_700_000_000_000;
const WAITS: i32 = 2 | 4;

/// The sockets of this process that a network knows: TCP and UDP, of either family. What tokio wakes itself up with is
/// none of them.
#[expect(clippy::disallowed_methods, reason = "it asks the kernel about this process")]
fn sockets() -> usize {
    let inodes: BTreeSet<String> = ["tcp", "tcp6", "udp", "udp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/self/net/{table}")).ok())
        .flat_map(|table| {
            let inode = |line: &str| Some(format!("socket:[{}]", line.split_whitespace().nth(9)?));
            table.lines().filter_map(inode).collect::<Vec<_>>()
        })
        .collect();
    let ours = |entry: fs::DirEntry| fs::read_link(entry.path()).ok();
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| ours(entry.unwrap()))
        .filter(|target| inodes.contains(&target.to_string_lossy().into_owned()))
        .count()
}

struct Client(Caller);

impl Client {
    fn over(stream: MemoryStream) -> Self {
        let (caller, _told, driver) = transport::over(stream, Settings::default());
        drop(tokio::spawn(driver.run()));
        Self(caller)
    }

    async fn ask(&self, code: RequestCode, fields: impl FnOnce(&mut FieldWriter<'_>), body: &[u8]) -> Command {
        self.0.call(code, fields, body, SOON).await.unwrap()
    }

    async fn send(&self, body: &str) -> Command {
        let header = SendHeader {
            producer_group: "producers",
            topic: "Orders",
            default_topic: "TBW102",
            default_topic_queue_nums: 1,
            ..SendHeader::default()
        };
        let write = |fields: &mut FieldWriter<'_>| header.write(fields);
        self.ask(RequestCode::SEND_MESSAGE_V2, write, body.as_bytes()).await
    }

    /// A pull that waits up to a minute of the broker's time.
    async fn pull(&self, queue_offset: i64) -> Command {
        let header = PullHeader {
            consumer_group: "consumers",
            topic: "Orders",
            queue_id: 0,
            queue_offset,
            max_msg_nums: 32,
            sys_flag: WAITS,
            commit_offset: 0,
            suspend_timeout_millis: 60_000,
            subscription: Some("*"),
            ..PullHeader::default()
        };
        self.ask(RequestCode::PULL_MESSAGE, |fields| header.write(fields), b"")
            .await
    }
}

fn bodies(pulled: &Command) -> Vec<String> {
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
    records(&pulled.body)
        .map(|record| text(record.unwrap().body()))
        .collect()
}

fn builder(net: &MemoryNet, disk: &MemoryDisk, clock: &Arc<ManualClock>) -> TestBrokerBuilder {
    TestBroker::builder()
        .memory_net(net)
        .memory_disk(disk)
        .clock(clock.clone())
}

#[tokio::test]
async fn a_broker_does_its_work_without_a_socket() {
    let (net, disk, clock) = (MemoryNet::new(), MemoryDisk::new(7), Arc::new(ManualClock::new(NOON)));
    let broker = builder(&net, &disk, &clock).start().unwrap();
    let client = Client::over(broker.connect());

    assert_eq!(client.send("first").await.fields.get("queueOffset"), Some("0"));
    clock.advance(Duration::from_secs(3600));
    assert_eq!(client.send("an hour later").await.fields.get("queueOffset"), Some("1"));
    // A send may be answered a moment before its queue has it, or is there at all; these pulls wait for it.
    assert_eq!(bodies(&client.pull(0).await)[0], "first");
    assert_eq!(bodies(&client.pull(1).await), ["an hour later"]);
    assert_eq!(bodies(&client.pull(0).await), ["first", "an hour later"]);

    // The name server of the same process knows the new topic: the broker has registered over the net.
    let names = Client::over(net.dial(broker.name_server()).unwrap());
    let asked = RouteInfo {
        topic: "Orders",
        accept_standard_json_only: false,
    };
    let route = names
        .ask(RequestCode::GET_ROUTEINTO_BY_TOPIC, |fields| asked.write(fields), b"")
        .await;
    assert_eq!(route.code, ResponseCode::SUCCESS.0, "{:?}", route.remark);

    // Times are the clock's, and so are the deadlines of pulls that wait.
    // Nearer to the second message than to the first.
    let timestamp = i64::try_from(NOON + 3_000_000).unwrap();
    let asked = SearchOffset {
        topic: "Orders",
        queue_id: 0,
        timestamp,
        boundary_type: None,
    };
    let found = client
        .ask(
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP,
            |fields| asked.write(fields),
            b"",
        )
        .await;
    assert_eq!(found.fields.get("offset"), Some("1"));
    let parked = broker.metrics().pulls_parked.get();
    let waits = async {
        while broker.metrics().pulls_parked.get() == parked {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(60));
    };
    let both = async { tokio::join!(client.pull(2), waits) };
    let (pulled, ()) = tokio::time::timeout(SOON, both).await.unwrap();
    assert_eq!(pulled.code, ResponseCode::PULL_NOT_FOUND.0, "{:?}", pulled.remark);

    assert_eq!(sockets(), 0);

    // What was acknowledged outlives the process, on the disk that the test holds.
    broker.kill();
    disk.kill();
    let broker = builder(&net, &disk, &clock).start().unwrap();
    assert_eq!(
        bodies(&Client::over(broker.connect()).pull(0).await),
        ["first", "an hour later"]
    );
    assert_eq!(sockets(), 0);
    broker.stop().unwrap();

    let with_sockets = TestBroker::start();
    assert!(sockets() >= 3, "three ports, or the count above counts nothing");
    with_sockets.stop().unwrap();
}
