//! A load over the raw protocol that goes on through any failure of the broker: producers that own a queue each and send
//! numbers in ascending order, a consumer for each queue, and clients that use everything else. A connection that breaks is
//! made anew; a send whose outcome is unknown is not repeated, so that what is read can be compared exactly.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc as blocking;
use std::time::Duration;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::record::records;
use cuemq_net::request::{PullHeader, SendHeader};
use cuemq_net::transport::{Caller, Settings, over};
use tokio::sync::watch;

pub(crate) const TOPIC: &str = "Panics";
pub(crate) const QUEUES: i32 = 4;
/// A call that takes longer is given up: its outcome is unknown.
const CALL_LIMIT: Duration = Duration::from_millis(1500);
/// How long after a refusal or a broken connection the next try is made.
const PAUSE: Duration = Duration::from_millis(20);
/// How long after the last message a consumer may take to have read it; what it has not read then is missing.
const CATCH_UP: Duration = Duration::from_secs(10);
/// How often the clients on the side come.
const SIDE_PAUSE: Duration = Duration::from_millis(50);
/// Some file of the log is filled every few dozen messages.
const BODY_BYTES: usize = 4096;

/// What became of the sends into one queue: by number, the queue offset of each that was acknowledged.
pub(crate) type Acknowledged = BTreeMap<u64, i64>;
/// What was read from a queue: offset and number, in the order of reading.
pub(crate) type Consumed = Vec<(u64, u64)>;

/// What was sent and read, by queue.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) acknowledged: Vec<Acknowledged>,
    pub(crate) consumed: Vec<Consumed>,
}

/// A load that runs on a thread of its own.
pub(crate) struct Load {
    /// Each acknowledgement as it comes.
    pub(crate) progress: blocking::Receiver<()>,
    stop: watch::Sender<bool>,
    thread: std::thread::JoinHandle<History>,
}

impl Load {
    #[expect(clippy::disallowed_methods, reason = "a client runs beside the broker")]
    pub(crate) fn start(name_server: SocketAddr, broker: SocketAddr) -> Self {
        let (acknowledged, progress) = blocking::channel();
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::Builder::new().name("load".to_owned());
        let thread = thread
            .spawn(move || run(name_server, broker, &acknowledged, &stopped))
            .unwrap();
        Self { progress, stop, thread }
    }

    /// Waits for so many acknowledgements.
    pub(crate) fn advance(&self, by: usize) {
        for at in 0..by {
            let next = self.progress.recv_timeout(Duration::from_secs(10));
            assert!(next.is_ok(), "only {at} of {by} messages were acknowledged in 10 s");
        }
    }

    /// Stops the producers, lets the consumers read what was acknowledged, and gives what happened.
    pub(crate) fn finish(self) -> History {
        self.stop.send(true).unwrap();
        self.thread.join().unwrap()
    }
}

fn run(
    name_server: SocketAddr,
    broker: SocketAddr,
    progress: &blocking::Sender<()>,
    stop: &watch::Receiver<bool>,
) -> History {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let side = tokio::spawn(use_everything_else(name_server, broker));
        let queues = (0..QUEUES).map(|queue_id| {
            let (sent, known) = watch::channel(None);
            let producer = tokio::spawn(produce(broker, queue_id, progress.clone(), stop.clone(), sent));
            (producer, tokio::spawn(consume(broker, queue_id, known)))
        });
        let mut history = History::default();
        for (producer, consumer) in queues.collect::<Vec<_>>() {
            history.acknowledged.push(producer.await.unwrap());
            history.consumed.push(consumer.await.unwrap());
        }
        side.abort();
        history
    })
}

/// One client's connection, made when it is needed.
pub(crate) struct Client {
    address: SocketAddr,
    caller: Option<Caller>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, caller: None }
    }

    /// The answer; `None` when there was none, which leaves the outcome unknown and the connection closed.
    #[expect(clippy::disallowed_types, reason = "a client of the broker, as any other")]
    pub(crate) async fn call(&mut self, request: &Command) -> Option<Command> {
        if self.caller.is_none() {
            let connecting = tokio::net::TcpStream::connect(self.address);
            let stream = tokio::time::timeout(CALL_LIMIT, connecting).await.ok()?.ok()?;
            let (caller, _, driver) = over(stream, Settings::default());
            drop(tokio::spawn(driver.run()));
            self.caller = Some(caller);
        }
        let answer = self.caller.as_ref()?.request(request, CALL_LIMIT).await;
        if answer.is_err() {
            self.caller = None;
        }
        answer.ok()
    }
}

pub(crate) fn send(topic: &str, queue_id: i32, number: u64) -> Command {
    // Every fourth message waits for no flush; all have a key, so that the index has work.
    let wait = if number % 4 == 3 { "WAIT\u{1}false\u{2}" } else { "" };
    let properties = format!("{wait}UNIQ_KEY\u{1}{queue_id:08X}{number:024X}\u{2}KEYS\u{1}{number}\u{2}");
    let header = SendHeader {
        producer_group: "producers",
        topic,
        default_topic: "TBW102",
        default_topic_queue_nums: QUEUES,
        queue_id,
        properties: Some(&properties),
        reconsume_times: Some(0),
        ..SendHeader::default()
    };
    let mut body = number.to_be_bytes().to_vec();
    body.resize(BODY_BYTES, b'.');
    Command::request(RequestCode::SEND_MESSAGE_V2)
        .with_header(|fields| header.write(fields))
        .with_body(body)
}

async fn produce(
    broker: SocketAddr,
    queue_id: i32,
    progress: blocking::Sender<()>,
    stop: watch::Receiver<bool>,
    sent: watch::Sender<Option<i64>>,
) -> Acknowledged {
    let (mut client, mut acknowledged) = (Client::new(broker), Acknowledged::new());
    let mut number = 0;
    while !*stop.borrow() {
        let answer = client.call(&send(TOPIC, queue_id, number)).await;
        let stored = answer.filter(|answer| answer.code == ResponseCode::SUCCESS.0);
        match stored.and_then(|answer| answer.fields.get("queueOffset")?.parse().ok()) {
            Some(queue_offset) => {
                acknowledged.insert(number, queue_offset);
                let _ = progress.send(());
            }
            None => tokio::time::sleep(PAUSE).await,
        }
        number += 1;
    }
    // The consumer reads up to the last one; -1 when there is none.
    let _ = sent.send(Some(acknowledged.values().copied().max().unwrap_or(-1)));
    acknowledged
}

pub(crate) fn pull(group: &str, queue_id: i32, queue_offset: u64) -> Command {
    // Waits for a message, brings its subscription, and commits what was read.
    let sys_flag = 0b111;
    let header = PullHeader {
        consumer_group: group,
        topic: TOPIC,
        queue_id,
        queue_offset: queue_offset.cast_signed(),
        max_msg_nums: 32,
        sys_flag,
        commit_offset: queue_offset.cast_signed(),
        suspend_timeout_millis: 500,
        subscription: Some("*"),
        sub_version: Some(0),
        ..PullHeader::default()
    };
    Command::request(RequestCode::PULL_MESSAGE).with_header(|fields| header.write(fields))
}

/// Reads a queue up to its last message, or as far as it comes in [`CATCH_UP`] after that was sent.
async fn consume(broker: SocketAddr, queue_id: i32, last: watch::Receiver<Option<i64>>) -> Consumed {
    let mut consumed = Consumed::new();
    let mut known = last.clone();
    let too_late = async {
        let _ = known.wait_for(Option::is_some).await;
        tokio::time::sleep(CATCH_UP).await;
    };
    tokio::select! {
        () = read(broker, queue_id, &last, &mut consumed) => {}
        () = too_late => {}
    }
    consumed
}

async fn read(broker: SocketAddr, queue_id: i32, last: &watch::Receiver<Option<i64>>, consumed: &mut Consumed) {
    let (mut client, mut next) = (Client::new(broker), 0u64);
    while last.borrow().is_none_or(|last| next.cast_signed() <= last) {
        let answer = client.call(&pull("consumers", queue_id, next)).await;
        let Some(answer) = answer.filter(|answer| answer.code == ResponseCode::SUCCESS.0) else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        for record in records(&answer.body) {
            let record = record.unwrap();
            let number = u64::from_be_bytes(record.body()[..8].try_into().unwrap());
            consumed.push((record.queue_offset(), number));
            next = record.queue_offset() + 1;
        }
    }
}

/// Connects, makes topics and groups, beats, and asks the name server, again and again.
async fn use_everything_else(name_server: SocketAddr, broker: SocketAddr) {
    for turn in 0u64.. {
        let (mut client, mut routes) = (Client::new(broker), Client::new(name_server));
        let beat = format!(
            r#"{{"clientID":"beater","consumerDataSet":[{{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"group-{turn}","messageModel":"CLUSTERING","subscriptionDataSet":[],"unitMode":false}}],"producerDataSet":[]}}"#
        );
        for request in [
            Command::request(RequestCode::HEART_BEAT).with_body(beat),
            pull(&format!("puller-{turn}"), 0, 0),
            send(&format!("Topic-{turn}"), 0, turn),
        ] {
            let _ = client.call(&request).await;
        }
        let _ = routes.call(&route()).await;
        tokio::time::sleep(SIDE_PAUSE).await;
    }
}

/// Asks where the topic is.
pub(crate) fn route() -> Command {
    Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", TOPIC)
}
