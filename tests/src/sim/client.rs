//! A client of the broker over the simulated network: it asks the name server where the broker is, connects, makes
//! calls, and connects anew when a connection has ended or a call had no answer.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result};
use cuemq_actors::net::Net;
use cuemq_net::body::{Body, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::request::RouteInfo;
use cuemq_net::transport::{CallError, Caller, Settings, over};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use crate::sim_net::SimNet;

/// The port of the name server.
pub(super) const NAME_SERVER_PORT: u16 = 9876;
/// The topic that new topics inherit from, which every broker has.
pub(super) const DEFAULT_TOPIC: &str = "TBW102";

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(2);

/// One connection to the broker.
#[derive(Clone)]
pub(super) struct Link {
    caller: Caller,
    /// Which of its host's connections it is.
    pub(super) number: u64,
}

impl Link {
    /// Connects to the broker; also gives what the broker asks on that connection.
    ///
    /// # Errors
    /// When it, or the name server that knows where it is, cannot be reached.
    pub(super) async fn open() -> Result<(Self, mpsc::Receiver<Command>)> {
        let (caller, requests) = connect(&route().await?).await?;
        Ok((Self { caller, number: 0 }, requests))
    }

    /// Makes a call. Without an answer, the connection is given up.
    ///
    /// # Errors
    /// When the connection has ended (nothing was sent then) or the broker does not answer.
    pub(super) async fn call(&self, request: &Command) -> Result<Command, CallError> {
        let answer = self.caller.request(request, ANSWER).await;
        if answer.is_err() {
            self.close();
        }
        answer
    }

    /// Gives the connection up.
    pub(super) fn close(&self) {
        self.caller.close();
    }
}

/// A connection to the broker that the tasks of a host share.
#[derive(Default)]
pub(super) struct Client {
    link: RefCell<Option<Link>>,
    connecting: Mutex<()>,
}

impl Client {
    /// Makes a call. Without an answer, its connection is given up.
    ///
    /// # Errors
    /// When the broker cannot be reached (nothing was sent then) or does not answer.
    pub(super) async fn call(&self, request: &Command) -> Result<Command, CallError> {
        let link = self.link().await.map_err(|_| CallError::Closed)?;
        link.call(request).await
    }

    /// The connection, made anew when it has ended.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub(super) async fn link(&self) -> Result<Link> {
        // One task connects, the others wait for what it gets.
        let _connecting = self.connecting.lock().await;
        let last = self.link.borrow().clone();
        let number = last.as_ref().map_or(0, |link| link.number);
        if let Some(link) = last.filter(|link| !link.caller.is_closed()) {
            return Ok(link);
        }
        let (link, _) = Link::open().await?;
        let link = Link {
            number: number + 1,
            ..link
        };
        self.link.replace(Some(link.clone()));
        Ok(link)
    }
}

/// Asks the name server for the address of the broker.
async fn route() -> Result<String> {
    let (name_server, _) = connect(&format!("broker:{NAME_SERVER_PORT}")).await?;
    let header = RouteInfo {
        topic: DEFAULT_TOPIC,
        accept_standard_json_only: false,
    };
    let request = Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_header(|fields| header.write(fields));
    let answer = name_server.request(&request, ANSWER).await;
    name_server.close();
    let answer = answer?;
    anyhow::ensure!(answer.code == ResponseCode::SUCCESS.0, "no route: {:?}", answer.remark);
    let route = TopicRouteData::decode(&answer.body)?;
    let broker = route.broker_datas.first().context("no broker has the topic")?;
    broker.broker_addrs.get(&0).cloned().context("no master")
}

async fn connect(address: &str) -> Result<(Caller, mpsc::Receiver<Command>)> {
    let address = *SimNet.resolve(address).await?.first().context("no address")?;
    let stream = timeout(CONNECT, SimNet.connect(address)).await??;
    let (caller, requests, driver) = over(stream, Settings::default());
    tokio::task::spawn_local(driver.run());
    Ok((caller, requests))
}
