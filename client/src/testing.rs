//! A network for this crate's tests: servers that are functions from a request to an answer, on addresses that need not exist.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use cuemq_net::body::{Body, BrokerData, QueueData, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::transport::{self, Caller, Settings};
use tokio::sync::mpsc;

use crate::ClientOptions;
use crate::network::{BoxFuture, Network, Stream};

type Answer = Arc<dyn Fn(&Command) -> Option<Command> + Send + Sync>;

/// The servers by address, and what they were asked.
#[derive(Clone, Default)]
pub(crate) struct FakeNetwork(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    servers: BTreeMap<String, Answer>,
    asked: Vec<(String, Command)>,
    /// The servers' ends of the connections.
    callers: BTreeMap<String, Vec<Caller>>,
    refused: usize,
    watchers: Vec<mpsc::UnboundedSender<(String, Command)>>,
}

impl FakeNetwork {
    /// Puts a server at an address; one that gives `None` leaves a request without an answer.
    pub(crate) fn serve(&self, address: &str, answer: impl Fn(&Command) -> Option<Command> + Send + Sync + 'static) {
        self.0
            .lock()
            .unwrap()
            .servers
            .insert(address.to_owned(), Arc::new(answer));
    }

    /// Takes a server away: its connections end, and it takes none.
    pub(crate) fn stop(&self, address: &str) {
        let mut state = self.0.lock().unwrap();
        state.servers.remove(address);
        for caller in state.callers.remove(address).into_iter().flatten() {
            caller.close();
        }
    }

    /// What a server was asked with this code.
    pub(crate) fn asked(&self, address: &str, code: RequestCode) -> Vec<Command> {
        let state = self.0.lock().unwrap();
        let asked = state.asked.iter();
        let asked = asked.filter(|(whom, what)| whom == address && what.code == code.0);
        asked.map(|(_, what)| what.clone()).collect()
    }

    /// Everything that servers are asked from now on.
    pub(crate) fn watch(&self) -> mpsc::UnboundedReceiver<(String, Command)> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.lock().unwrap().watchers.push(sender);
        receiver
    }

    /// The server's end of the last connection to it, for what it asks.
    pub(crate) fn caller(&self, address: &str) -> Caller {
        self.0.lock().unwrap().callers[address].last().unwrap().clone()
    }

    /// How many connections a server was asked for and took.
    pub(crate) fn connected(&self, address: &str) -> usize {
        self.0.lock().unwrap().callers.get(address).map_or(0, Vec::len)
    }

    /// How many connections were refused.
    pub(crate) fn refused(&self) -> usize {
        self.0.lock().unwrap().refused
    }

    /// Options of a client in this network, with name server `ns:9876`.
    pub(crate) fn options(&self) -> ClientOptions {
        ClientOptions::new()
            .namesrv_addr("ns:9876")
            .network(Arc::new(self.clone()))
            .seed(1)
    }
}

impl Network for FakeNetwork {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let mut state = self.0.lock().unwrap();
            if !state.servers.contains_key(address) {
                state.refused += 1;
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let (caller, mut requests, driver) = transport::over(theirs, Settings::default());
            state
                .callers
                .entry(address.to_owned())
                .or_default()
                .push(caller.clone());
            tokio::spawn(driver.run());
            let (network, address) = (self.clone(), address.to_owned());
            tokio::spawn(async move {
                while let Some(request) = requests.recv().await {
                    let answer = {
                        let mut state = network.0.lock().unwrap();
                        state.asked.push((address.clone(), request.clone()));
                        let told = (address.clone(), request.clone());
                        state.watchers.retain(|watcher| watcher.send(told.clone()).is_ok());
                        state.servers.get(&address).map(Arc::clone)
                    };
                    if let Some(answer) = answer.and_then(|answer| answer(&request)) {
                        let _ = caller.respond(&request, &answer).await;
                    }
                }
            });
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }

    fn own_address<'a>(&'a self, _toward: &'a str) -> BoxFuture<'a, IpAddr> {
        Box::pin(std::future::ready(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9))))
    }
}

/// A good answer.
pub(crate) fn yes(request: &Command) -> Command {
    Command::response_to(request, ResponseCode::SUCCESS)
}

/// A broker's answer to what every client says.
pub(crate) fn yes_to_all(request: &Command) -> Option<Command> {
    Some(yes(request))
}

/// A name server that knows one topic, with so many queues on each of these brokers, whose addresses are `name:10911`.
pub(crate) fn name_server(
    topic: &'static str,
    brokers: &[&str],
    queues: u32,
) -> impl Fn(&Command) -> Option<Command> + use<> {
    let brokers: Vec<String> = brokers.iter().map(|name| (*name).to_owned()).collect();
    move |request| {
        if request.fields.get("topic") != Some(topic) {
            return Some(Command::response_to(request, ResponseCode::TOPIC_NOT_EXIST));
        }
        Some(yes(request).with_body(route(&brokers, queues).encode(Style::Standard)))
    }
}

/// A route over these brokers, with so many queues on each.
pub(crate) fn route(brokers: &[String], queues: u32) -> TopicRouteData {
    TopicRouteData {
        broker_datas: brokers.iter().map(|name| master(name)).collect(),
        queue_datas: brokers.iter().map(|name| open(name, queues)).collect(),
        ..TopicRouteData::default()
    }
}

fn master(name: &str) -> BrokerData {
    BrokerData {
        broker_name: name.to_owned(),
        broker_addrs: BTreeMap::from([(0, format!("{name}:10911"))]),
        cluster: "c".to_owned(),
        ..BrokerData::default()
    }
}

fn open(name: &str, queues: u32) -> QueueData {
    QueueData {
        broker_name: name.to_owned(),
        perm: 6,
        read_queue_nums: queues,
        write_queue_nums: queues,
        ..QueueData::default()
    }
}
