//! Tests of the registrar against name servers and address servers that are made here.

use std::io;
use std::net::SocketAddr;

use actix::Addr;
use cuemq_net::transport::call::{Settings, over};
use futures_util::future::{LocalBoxFuture, pending, ready};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::*;
use crate::config::BrokerConfig;
use crate::net::{Accepted, Listener, Stream, TcpNet};
use crate::testing::{PATIENCE, Probe, Stage};

/// A name server that takes everything and tells what came: the number of the connection and the code.
struct Server {
    address: String,
    heard: UnboundedReceiver<(usize, RequestCode)>,
}

impl Server {
    async fn start() -> Self {
        let mut listener = TcpNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, heard) = unbounded_channel();
        drop(actix_rt::spawn(async move {
            for number in 1.. {
                let accepted = listener.accept().await.unwrap();
                drop(actix_rt::spawn(serve(accepted, number, tell.clone())));
            }
        }));
        Self { address, heard }
    }

    async fn next(&mut self) -> (usize, RequestCode) {
        tokio::time::timeout(PATIENCE, self.heard.recv())
            .await
            .unwrap()
            .unwrap()
    }
}

async fn serve(accepted: Box<dyn Accepted>, number: usize, tell: UnboundedSender<(usize, RequestCode)>) {
    let (caller, mut requests, driver) = over(accepted.into_stream().unwrap(), Settings::default());
    drop(actix_rt::spawn(driver.run()));
    while let Some(request) = requests.recv().await {
        tell.send((number, RequestCode(request.code))).unwrap();
        let answer = Command::response_to(&request, ResponseCode::SUCCESS);
        caller.respond(&request, &answer).await.unwrap();
    }
}

fn start(stage: &mut Stage, server: &Server, interval: Duration) -> Addr<Registrar> {
    start_with(stage, vec![server.address.clone()], None, interval)
}

fn start_with(
    stage: &mut Stage,
    name_servers: Vec<String>,
    address_server: Option<AddressServer>,
    interval: Duration,
) -> Addr<Registrar> {
    let topics = Probe::<ExportTopics>::new().recipient();
    let parts = RegistrarParts {
        net: Arc::new(TcpNet),
        name_servers,
        address_server,
        identity: Arc::new(Identity::new(&BrokerConfig::for_test(), 10_911, 1 << 20)),
        topics,
        order_topics: Probe::answering(|_: &MarkOrderTopics| Ok(false)).recipient(),
        tls: None,
        interval,
    };
    stage.start("registrar", move |_| Ok(Registrar::new(parts.clone())))
}

const NEVER: Duration = Duration::from_secs(3600);

#[actix::test]
async fn registrations_that_come_together_share_a_connection() {
    let (mut stage, mut server) = (Stage::new(), Server::start().await);
    let registrar = start(&mut stage, &server, NEVER);
    let changed = TopicsChanged { table: Arc::default() };
    let (known, told) = futures_util::future::join(registrar.send(RegisterNow), registrar.send(changed)).await;
    assert_eq!((known.unwrap(), told.unwrap()), (1, ()));
    for _ in 0..2 {
        assert_eq!(server.next().await, (1, RequestCode::REGISTER_BROKER));
    }
}

#[actix::test]
async fn a_broker_that_goes_does_not_register_once_more() {
    let (mut stage, mut server) = (Stage::new(), Server::start().await);
    let registrar = start(&mut stage, &server, NEVER);
    registrar.send(Unregister).await.unwrap();
    assert_eq!(registrar.send(RegisterNow).await.unwrap(), 0);
    assert_eq!(server.next().await.1, RequestCode::UNREGISTER_BROKER);
    assert!(server.heard.try_recv().is_err());
}

/// An address server that gives these lists, one to each who asks, and then says nothing of use.
async fn address_server(lists: Vec<String>) -> AddressServer {
    let mut listener = TcpNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let domain = listener.local_addr().unwrap().to_string();
    drop(actix_rt::spawn(async move {
        for list in lists.into_iter().chain(std::iter::repeat("?".to_owned())) {
            let mut stream = listener.accept().await.unwrap().into_stream().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            let answer = format!("HTTP/1.0 200 OK\r\n\r\n{list}\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }));
    AddressServer::new(Arc::new(TcpNet), &domain, "nsaddr")
}

#[actix::test]
async fn an_address_server_says_with_whom_to_register_and_what_is_no_list_is_passed_over() {
    let (mut stage, mut first, mut second) = (Stage::new(), Server::start().await, Server::start().await);
    let lists = vec![first.address.clone(), second.address.clone()];
    let registrar = start_with(&mut stage, Vec::new(), Some(address_server(lists).await), NEVER);
    assert_eq!(registrar.send(RegisterNow).await.unwrap(), 1);
    assert_eq!(first.next().await, (1, RequestCode::REGISTER_BROKER));
    // Nothing is under way on a socket now, so that time may pass at once.
    tokio::time::pause();
    tokio::time::advance(address_server::EVERY).await;
    tokio::time::resume();
    assert_eq!(second.next().await, (1, RequestCode::REGISTER_BROKER));
    assert_eq!(registrar.send(RegisterNow).await.unwrap(), 1, "the first is left");
    assert!(first.heard.try_recv().is_err());
    tokio::time::pause();
    tokio::time::advance(address_server::EVERY).await;
    tokio::time::resume();
    assert_eq!(registrar.send(RegisterNow).await.unwrap(), 1, "the second is kept");
}

/// A network that takes every call for a connection and answers none.
struct SilentNet;

impl Net for SilentNet {
    fn bind(&self, _: SocketAddr) -> LocalBoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(ready(Err(io::ErrorKind::Unsupported.into())))
    }

    fn connect(&self, _: SocketAddr) -> LocalBoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(pending())
    }

    fn resolve<'a>(&'a self, name_and_port: &'a str) -> LocalBoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let address = name_and_port.parse().map_err(io::Error::other);
        Box::pin(ready(address.map(|address| vec![address])))
    }
}

#[actix::test]
async fn a_name_server_that_takes_no_connection_is_given_up_after_three_seconds() {
    tokio::time::pause();
    let (mut stage, topics) = (Stage::new(), Probe::<ExportTopics>::new());
    let parts = RegistrarParts {
        net: Arc::new(SilentNet),
        name_servers: vec!["127.0.0.1:9876".to_owned(), "127.0.0.1:9877".to_owned()],
        address_server: None,
        identity: Arc::new(Identity::new(&BrokerConfig::for_test(), 10911, 1 << 20)),
        topics: topics.recipient(),
        order_topics: Probe::answering(|_: &MarkOrderTopics| Ok(false)).recipient(),
        tls: None,
        interval: Duration::from_secs(3600),
    };
    let registrar = stage.start("registrar", move |_| Ok(Registrar::new(parts.clone())));
    let mut knows = Box::pin(registrar.send(RegisterNow));
    let early = timeout(Duration::from_millis(2990), &mut knows).await;
    assert!(early.is_err(), "it has its time");
    let late = timeout(Duration::from_millis(20), knows).await;
    assert_eq!(late.unwrap().unwrap(), 0, "and both have the same");
}
