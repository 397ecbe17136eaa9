//! What is asked before a load begins, one request after the other on a plain connection: the route, the server's
//! identity, whether a topic takes messages, where queues begin and end.
//!
//! All of it goes out as JSON but for the first messages, which are like those of the load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use cuemq_net::body::{Body, KvTable, QueueData, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::{self, MAX_FRAME_BYTES};
use cuemq_net::request::{CreateTopic, DeleteTopic, MaxOffset, MinOffset, RouteInfo};
use cuemq_storage::clock::{Clock, RealClock};
use serde::Serialize;

use super::arguments::LoadArguments;
use super::engine::{Moment, Work};
use super::pull::Queue;
use super::send::{Message, Sends};
use super::template::FIRST_OPAQUE;

/// How long connecting or one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests in flight on a caller's connection when it asks the same of many topics.
const PIPELINED: usize = 64;
/// What may be done with a topic that is made here.
const READ_AND_WRITE: i32 = 4 | 2;
/// The topic that every broker has which makes topics on first use.
const DEFAULT_TOPIC: &str = "TBW102";
/// The settings of a broker that say what its figures mean.
const TELLING: [&str; 4] = [
    "flushDiskType",
    "brokerRole",
    "mappedFileSizeCommitLog",
    "mapedFileSizeCommitLog",
];

/// What is known of a server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Server {
    /// Where it is.
    pub(super) address: SocketAddr,
    /// What it calls itself: language and number of the release it announces.
    pub(super) language: Option<String>,
    /// The number of the release that it announces.
    pub(super) version: i32,
    /// The release by name, where it tells.
    pub(super) release: Option<String>,
    /// Settings that say what its figures mean, where it tells.
    pub(super) settings: Vec<(String, String)>,
}

impl Server {
    /// One of the settings.
    pub(super) fn setting(&self, key: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// A connection that has one request in flight at a time.
pub(super) struct Caller {
    socket: TcpStream,
}

impl Caller {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let socket = connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket })
    }

    pub(super) fn call(&mut self, request: &Command) -> Result<Command> {
        let mut bytes = Vec::new();
        request.encode(&mut bytes)?;
        self.exchange(&bytes)
    }

    /// Sends a frame and reads one.
    fn exchange(&mut self, request: &[u8]) -> Result<Command> {
        self.socket.write_all(request).context("sending a request")?;
        self.receive()
    }

    fn receive(&mut self) -> Result<Command> {
        let mut answer = vec![0; frame::PREFIX_BYTES];
        self.socket.read_exact(&mut answer).context("waiting for an answer")?;
        // checks the length before it is believed
        frame::check(&answer, MAX_FRAME_BYTES)?;
        let total = frame::needed(&answer).context("an answer of no sensible length")?;
        answer.resize(total, 0);
        self.socket
            .read_exact(&mut answer[frame::PREFIX_BYTES..])
            .context("reading an answer")?;
        Ok(Command::decode(&Bytes::from(answer))?)
    }

    /// What the server tells of itself.
    pub(super) fn identity(&mut self, address: SocketAddr) -> Result<Server> {
        let runtime = self.call(&Command::request(RequestCode::GET_BROKER_RUNTIME_INFO))?;
        let figures = KvTable::decode(&runtime.body).unwrap_or_default();
        let config = self.call(&Command::request(RequestCode::GET_BROKER_CONFIG))?;
        let text = String::from_utf8_lossy(&config.body);
        let settings = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .filter(|(key, _)| TELLING.contains(key))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Ok(Server {
            address,
            language: runtime.language.map(|language| language.name().to_owned()),
            version: runtime.version.0,
            release: figures.table.get("brokerVersionDesc").cloned(),
            settings,
        })
    }

    /// Sends one message to each topic, which makes those that are not there yet.
    pub(super) fn make_topics(&mut self, message: &Message, topics: &[String], queues: u32, run: u64) -> Result<()> {
        let mut sends = Sends::new(message, topics, queues, run)?;
        let moment = Moment {
            at_ns: 0,
            wall_ms: RealClock::new().now_ms(),
        };
        // the first requests go to the first queue of each topic in turn
        let request = |opaque| {
            let mut request = Vec::new();
            sends.ask(0, opaque, moment, &mut request);
            Ok(request)
        };
        self.call_for_each(topics, PIPELINED, request, "the first message to")
    }

    /// Has topics made with so many queues each, by request and not by messages.
    pub(super) fn create_topics(&mut self, topics: &[String], queues: u32) -> Result<()> {
        let queues = i32::try_from(queues)?;
        let mut names = topics.iter();
        let request = |opaque| {
            let header = CreateTopic {
                topic: names.next().map_or("", String::as_str),
                default_topic: DEFAULT_TOPIC,
                read_queue_nums: queues,
                write_queue_nums: queues,
                perm: READ_AND_WRITE,
                topic_filter_type: "SINGLE_TAG",
                topic_sys_flag: Some(0),
                order: false,
                attributes: None,
            };
            let request = Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC);
            frame_of(request.with_header(|fields| header.write(fields)), opaque)
        };
        self.call_for_each(topics, PIPELINED, request, "the request to make")
    }

    /// Has topics deleted, by a broker (215) or a name server (216).
    pub(super) fn delete_topics(&mut self, code: RequestCode, topics: &[String], pipelined: usize) -> Result<()> {
        let mut names = topics.iter();
        let request = |opaque| {
            let header = DeleteTopic {
                topic: names.next().map_or("", String::as_str),
                cluster_name: None,
            };
            frame_of(
                Command::request(code).with_header(|fields| header.write(fields)),
                opaque,
            )
        };
        self.call_for_each(topics, pipelined, request, "the request to delete")
    }

    /// Bytes of stored messages that are not in their queues yet; `None` for a broker that does not tell.
    pub(super) fn behind(&mut self) -> Result<Option<i64>> {
        let runtime = self.call(&Command::request(RequestCode::GET_BROKER_RUNTIME_INFO))?;
        let figures = KvTable::decode(&runtime.body).unwrap_or_default();
        let behind = figures.table.get("dispatchBehindBytes");
        Ok(behind.and_then(|bytes| bytes.parse().ok()))
    }

    /// Asks the same of each topic, with some requests in flight at a time. All have to succeed.
    fn call_for_each(
        &mut self,
        topics: &[String],
        pipelined: usize,
        mut request: impl FnMut(i32) -> Result<Vec<u8>>,
        what: &str,
    ) -> Result<()> {
        let mut opaques = FIRST_OPAQUE..;
        let (mut asked, mut answered) = (0, 0);
        while answered < topics.len() {
            while asked < topics.len() && asked - answered < pipelined {
                let frame = request(opaques.next().unwrap_or_default())?;
                self.socket.write_all(&frame).context("sending a request")?;
                asked += 1;
            }
            let answer = self.receive()?;
            answered += 1;
            let number = usize::try_from(answer.opaque - FIRST_OPAQUE).ok();
            let topic = number.and_then(|number| topics.get(number));
            let remark = answer.remark.unwrap_or_default();
            let code = ResponseCode(answer.code);
            ensure!(
                code == ResponseCode::SUCCESS,
                "{what} {} was answered {code}: {remark}",
                topic.map_or("a topic", String::as_str)
            );
        }
        Ok(())
    }

    /// Sends a message to a queue, and tells how it was answered.
    pub(super) fn send_one(&mut self, sends: &mut Sends) -> Result<ResponseCode> {
        let moment = Moment {
            at_ns: 0,
            wall_ms: RealClock::new().now_ms(),
        };
        let mut request = Vec::new();
        sends.ask(0, FIRST_OPAQUE, moment, &mut request);
        Ok(ResponseCode(self.exchange(&request)?.code))
    }

    /// Where the queues of a topic begin and end.
    pub(super) fn queues(&mut self, topic: &str, count: u32) -> Result<Vec<Queue>> {
        let mut queues = Vec::new();
        for queue_id in 0..i32::try_from(count)? {
            let min = MinOffset { topic, queue_id };
            let max = MaxOffset {
                topic,
                queue_id,
                committed: None,
            };
            let min = Command::request(RequestCode::GET_MIN_OFFSET).with_header(|fields| min.write(fields));
            let max = Command::request(RequestCode::GET_MAX_OFFSET).with_header(|fields| max.write(fields));
            queues.push(Queue {
                topic: topic.to_owned(),
                queue_id,
                min: self.position(&min)?,
                max: self.position(&max)?,
            });
        }
        Ok(queues)
    }

    fn position(&mut self, request: &Command) -> Result<u64> {
        let answer = self.call(request)?;
        let code = ResponseCode(answer.code);
        let remark = answer.remark.as_deref().unwrap_or_default();
        ensure!(
            code == ResponseCode::SUCCESS,
            "the broker does not tell where a queue begins and ends: {code} {remark}"
        );
        let position: i64 = answer
            .fields
            .get("offset")
            .context("an answer without a position")?
            .parse()?;
        Ok(u64::try_from(position).unwrap_or_default())
    }

    /// The master that has a topic, or the one where it would be made.
    fn route(&mut self, wanted: &str) -> Result<(String, Option<QueueData>)> {
        for topic in [wanted, DEFAULT_TOPIC] {
            let header = RouteInfo {
                topic,
                accept_standard_json_only: true,
            };
            let request =
                Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_header(|fields| header.write(fields));
            let answer = self.call(&request)?;
            if ResponseCode(answer.code) == ResponseCode::SUCCESS {
                let route = TopicRouteData::decode(&answer.body).context("the name server's answer")?;
                let mut brokers = route.broker_datas.iter();
                let (broker, master) = brokers
                    .find_map(|broker| Some((broker, broker.broker_addrs.get(&0)?)))
                    .context("the name server knows no master of the topic")?;
                let mut queues = route.queue_datas.into_iter();
                let queues = queues.find(|queues| topic == wanted && queues.broker_name == broker.broker_name);
                return Ok((master.clone(), queues));
            }
        }
        bail!("the name server knows no broker that has {wanted} or makes topics on first use: name one with --broker")
    }
}

fn frame_of(mut command: Command, opaque: i32) -> Result<Vec<u8>> {
    command.opaque = opaque;
    let mut frame = Vec::new();
    command.encode(&mut frame)?;
    Ok(frame)
}

/// Where a topic is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    /// Queues to read; `None` when the topic is not there yet.
    pub(super) read_queues: Option<u32>,
    /// Queues to write; `None` when the topic is not there yet.
    pub(super) write_queues: Option<u32>,
}

/// Connects, with a limit on the time it takes.
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let socket =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("cannot connect to {address}"))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// The broker that the command line names, or that the name server does.
pub(super) fn broker(load: &LoadArguments) -> Result<SocketAddr> {
    if let Some(broker) = &load.broker {
        return resolve(broker);
    }
    Ok(place(load, &format!("{}-0", load.topic_prefix))?.address)
}

/// Where a topic is, as the name server tells it.
pub(super) fn place(load: &LoadArguments, topic: &str) -> Result<Place> {
    let namesrv = load
        .namesrv
        .as_deref()
        .context("neither --broker nor --namesrv is given")?;
    let mut caller = Caller::connect(resolve(namesrv)?)?;
    let (master, queues) = caller.route(topic)?;
    Ok(Place {
        address: resolve(&master)?,
        read_queues: queues.as_ref().map(|queues| queues.read_queue_nums),
        write_queues: queues.map(|queues| queues.write_queue_nums),
    })
}

pub(super) fn resolve(name_and_port: &str) -> Result<SocketAddr> {
    let mut found = name_and_port
        .to_socket_addrs()
        .with_context(|| format!("{name_and_port} is no HOST:PORT that is known"))?;
    found.next().with_context(|| format!("{name_and_port} has no address"))
}
