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
use tokio::sync::Mutex;
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

/// One connection to the broker, shared by the tasks of a host.
#[derive(Default)]
pub(super) struct Client {
    caller: RefCell<Option<Caller>>,
    connecting: Mutex<()>,
}

impl Client {
    /// Makes a call. Without an answer, its connection is given up.
    ///
    /// # Errors
    /// When the broker cannot be reached (nothing was sent then) or does not answer.
    pub(super) async fn call(&self, request: &Command) -> Result<Command, CallError> {
        self.call_within(request, ANSWER).await
    }

    /// Makes a call whose answer may take `patience`.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub(super) async fn call_within(&self, request: &Command, patience: Duration) -> Result<Command, CallError> {
        let caller = self.caller().await.map_err(|_| CallError::Closed)?;
        let answer = caller.request(request, patience).await;
        if answer.is_err() {
            caller.close();
        }
        answer
    }

    async fn caller(&self) -> Result<Caller> {
        // One task connects, the others wait for what it gets.
        let _connecting = self.connecting.lock().await;
        let open = self.caller.borrow().clone().filter(|caller| !caller.is_closed());
        if let Some(caller) = open {
            return Ok(caller);
        }
        let broker = route().await?;
        let caller = connect(&broker).await?;
        self.caller.replace(Some(caller.clone()));
        Ok(caller)
    }
}

/// Asks the name server for the address of the broker.
async fn route() -> Result<String> {
    let name_server = connect(&format!("broker:{NAME_SERVER_PORT}")).await?;
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

async fn connect(address: &str) -> Result<Caller> {
    let address = *SimNet.resolve(address).await?.first().context("no address")?;
    let stream = timeout(CONNECT, SimNet.connect(address)).await??;
    let (caller, _, driver) = over(stream, Settings::default());
    tokio::task::spawn_local(driver.run());
    Ok(caller)
}
