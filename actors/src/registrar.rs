//! Registers the broker with every name server: at the start, every 30 s, and at once when a topic is made, before its
//! sender is answered, so that the topic can be found by whoever hears of it (`BrokerOuterAPI` in Java). A name server's
//! answer names the order topics. An address server, where one is asked, names further name servers, at the start and every
//! two minutes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, Recipient, ResponseFuture, WrapFuture};
use cuemq_net::body::{Body, KvTable, RegisterBrokerBody, TopicConfigTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::transport::call::{Caller, Settings, over};
use cuemq_storage::hash::Map;
use futures_util::FutureExt;
use tokio::sync::{Mutex, Notify};

use crate::address_server::{self, AddressServer};
use crate::io::identity::Identity;
use crate::net::Net;
use crate::supervise::Context;
use crate::tls;
use crate::tls::server::TlsClient;
use crate::topic::actor::{ExportTopics, MarkOrderTopics, TopicsChanged};

/// How long one name server may take (`registerBrokerTimeoutMills`).
const TIMEOUT: Duration = Duration::from_secs(6);
/// How long the sender of a new topic's first message waits for the name servers at most.
const TOPIC_PATIENCE: Duration = Duration::from_secs(1);
/// How long after a connection was lost the broker registers again: the name server may be starting.
const AFTER_LOSS: Duration = Duration::from_millis(500);
/// How long a name server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Register now; how many name servers know the broker then. From the start, once, and from each new life of a name server
/// in this process or of the registrar.
#[derive(Message, Debug)]
#[rtype(result = "usize")]
pub struct RegisterNow;

/// Tell every name server that the broker goes. From the stop, once.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Unregister;

/// What a registrar works with.
#[derive(Clone)]
pub struct RegistrarParts {
    /// The network.
    pub net: Arc<dyn Net>,
    /// The name servers, as `host:port`.
    pub name_servers: Vec<String>,
    /// Tells more of them, where one is asked.
    pub address_server: Option<AddressServer>,
    /// Who the broker is.
    pub identity: Arc<Identity>,
    /// Tells the topics.
    pub topics: Recipient<ExportTopics>,
    /// Hears which topics are order topics.
    pub order_topics: Recipient<MarkOrderTopics>,
    /// TLS, where the connections are to have it.
    pub tls: Option<Arc<TlsClient>>,
    /// How often to register.
    pub interval: Duration,
}

/// The actor.
pub struct Registrar {
    parts: RegistrarParts,
    links: Links,
}

/// The connections to the name servers.
#[derive(Default)]
struct LinkTable {
    /// By their names.
    links: RefCell<Map<String, Rc<Link>>>,
    /// What the address server said last; empty before it has said anything.
    learned: RefCell<Vec<String>>,
    /// One of them has ended; its name server may have forgotten the broker with it.
    lost: Notify,
    /// The broker goes: what is lost now is meant to be.
    leaving: Cell<bool>,
}

type Links = Rc<LinkTable>;

/// The connection to one name server. Its lock is held while it is made, so that registrations that come together share it:
/// of two, the one that ends first could take the broker with it.
type Link = Mutex<Option<Caller>>;

impl LinkTable {
    fn of(&self, server: &str) -> Rc<Link> {
        Rc::clone(self.links.borrow_mut().entry(server.to_owned()).or_default())
    }

    /// The name servers that are given, and those that the address server told of.
    fn servers(&self, given: &[String]) -> Vec<String> {
        let learned = self.learned.borrow();
        let more = learned.iter().filter(|server| !given.contains(server));
        given.iter().chain(more).cloned().collect()
    }

    /// Takes over what the address server says, and leaves those that it names no longer; whether that is news.
    fn learn(&self, given: &[String], known: Vec<String>) -> bool {
        if *self.learned.borrow() == known {
            return false;
        }
        tracing::info!(
            name_servers = known.join(";"),
            "the address server names these name servers"
        );
        self.learned.replace(known);
        let servers = self.servers(given);
        self.links.borrow_mut().retain(|server, link| {
            let stays = servers.contains(server);
            if let (false, Ok(link)) = (stays, link.try_lock()) {
                // A name server forgets a broker with its connection.
                link.as_ref().inspect(|caller| caller.close());
            }
            stays
        });
        true
    }
}

impl Registrar {
    /// A registrar without connections.
    #[must_use]
    pub fn new(parts: RegistrarParts) -> Self {
        Self {
            parts,
            links: Links::default(),
        }
    }

    /// Registers again soon after a connection has ended, since a name server forgets a broker with its connection. One
    /// that cannot be connected to waits for the next regular time.
    fn register_when_lost(&self) -> impl Future<Output = ()> + use<> {
        let (parts, links) = (self.parts.clone(), Rc::clone(&self.links));
        async move {
            loop {
                links.lost.notified().await;
                tokio::time::sleep(AFTER_LOSS).await;
                if links.leaving.get() {
                    return;
                }
                if let Ok(topics) = parts.topics.send(ExportTopics).await {
                    parts.register(&links, topics).await;
                }
            }
        }
    }

    /// Asks the address server again and again, and registers with whom it names anew.
    fn ask_on(&self) -> impl Future<Output = ()> + use<> {
        let (parts, links) = (self.parts.clone(), Rc::clone(&self.links));
        async move {
            while parts.address_server.is_some() && !links.leaving.get() {
                tokio::time::sleep(address_server::EVERY).await;
                if parts.ask(&links).await
                    && let Ok(topics) = parts.topics.send(ExportTopics).await
                {
                    parts.register(&links, topics).await;
                }
            }
        }
    }

    /// Registers with the topics as they are now.
    fn register(&self) -> impl Future<Output = usize> + use<> {
        let (parts, links) = (self.parts.clone(), Rc::clone(&self.links));
        async move {
            if links.learned.borrow().is_empty() {
                parts.ask(&links).await;
            }
            match parts.topics.send(ExportTopics).await {
                Ok(topics) => parts.register(&links, topics).await,
                Err(_) => 0,
            }
        }
    }
}

impl RegistrarParts {
    /// Asks the address server; whether it names others than before. One that does not answer changes nothing.
    async fn ask(&self, links: &LinkTable) -> bool {
        let Some(server) = &self.address_server else {
            return false;
        };
        match server.ask().await {
            Ok(known) => links.learn(&self.name_servers, known),
            Err(error) => {
                let url = server.url();
                tracing::warn!(url, %error, "the address server tells no name servers; those known so far are kept");
                false
            }
        }
    }

    /// Registers with these topics. A broker that may not be read or written limits the permission of each, so that clients
    /// hear from the name servers what it refuses.
    async fn register(&self, links: &Links, mut topics: TopicConfigTable) -> usize {
        let own = self.identity.permission();
        if !own.is_readable() || !own.is_writeable() {
            topics
                .topic_config_table
                .values_mut()
                .for_each(|topic| topic.perm &= own.0);
        }
        let body = RegisterBrokerBody {
            filter_server_list: Some(Vec::new()),
            topics,
        };
        let request = self
            .about_us(RequestCode::REGISTER_BROKER)
            .with_field("haServerAddr", self.identity.store_host)
            .with_field("compressed", false)
            .with_field("bodyCrc32", 0)
            .with_body(body.encode(Style::Fastjson));
        let answers = self.tell_all(links, &request).await;
        self.mark_order_topics(&answers);
        answers.len()
    }

    /// Tells the topics what the name servers' order configuration says: that of the first which has one, in the order in
    /// which they are configured.
    #[expect(clippy::disallowed_methods, reason = "one for each registration")]
    fn mark_order_topics(&self, answers: &[Command]) {
        let Some(answer) = answers.iter().find(|answer| !answer.body.is_empty()) else {
            return;
        };
        match KvTable::decode(&answer.body) {
            Ok(order) => self.order_topics.do_send(MarkOrderTopics {
                topics: order.table.into_keys().collect(),
            }),
            Err(error) => {
                tracing::warn!(%error, "a name server's order configuration cannot be read; nothing is changed")
            }
        }
    }

    fn about_us(&self, code: RequestCode) -> Command {
        Command::request(code)
            .with_field("brokerName", &self.identity.broker_name)
            .with_field("brokerAddr", self.identity.store_host)
            .with_field("clusterName", &self.identity.cluster_name)
            .with_field("brokerId", self.identity.broker_id)
    }

    /// Sends a request to every name server at once; the answers of those that took it.
    async fn tell_all(&self, links: &Links, request: &Command) -> Vec<Command> {
        let servers = links.servers(&self.name_servers);
        let calls = servers.iter().map(|server| self.tell(links, server, request));
        let told = futures_util::future::join_all(calls).await;
        told.into_iter().flatten().collect()
    }

    async fn tell(&self, links: &Links, server: &str, request: &Command) -> Option<Command> {
        let answer = match self.link(links, server).await {
            // The name server has been told, or is about to be, that the broker goes.
            Ok(_) if links.leaving.get() && request.code != RequestCode::UNREGISTER_BROKER.0 => return None,
            Ok(caller) => {
                let answer = caller.request(request, TIMEOUT).await;
                answer
                    .inspect_err(|_| caller.close())
                    .map_err(|error| error.to_string())
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) if answer.code == ResponseCode::SUCCESS.0 => Some(answer),
            Ok(answer) => {
                tracing::warn!(server, code = answer.code, remark = ?answer.remark, "a name server refuses the broker");
                None
            }
            Err(error) => {
                tracing::warn!(
                    server,
                    error,
                    "a name server cannot be told about the broker; tried again soon"
                );
                None
            }
        }
    }

    async fn link(&self, links: &Links, server: &str) -> Result<Caller, String> {
        let link = links.of(server);
        let mut kept = link.lock().await;
        if let Some(caller) = kept.as_ref().filter(|caller| !caller.is_closed()) {
            return Ok(caller.clone());
        }
        let connecting = async {
            let addresses = self.net.resolve(server).await?;
            let address = addresses.first().copied().ok_or(std::io::ErrorKind::NotFound)?;
            let stream = self.net.connect(address).await?;
            match &self.tls {
                Some(tls) => tls::stream::connect(stream, host_of(server), address, tls.config()).await,
                None => Ok(stream),
            }
        };
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())),
        };
        let (caller, _, driver) = over(stream, Settings::default());
        let lost = Rc::downgrade(links);
        drop(actix_rt::spawn(async move {
            if let Err(error) = driver.run().await {
                tracing::debug!(%error, "the connection to a name server has ended");
            }
            if let Some(links) = lost.upgrade() {
                links.lost.notify_one();
            }
        }));
        Ok(kept.insert(caller).clone())
    }
}

/// The host of `host:port`, an IPv6 address without its brackets.
fn host_of(server: &str) -> &str {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

impl Actor for Registrar {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.parts.interval, |registrar, ctx| {
            let registering = registrar.register();
            ctx.spawn(registering.map(|_| ()).into_actor(registrar));
        });
        let watching = self.register_when_lost();
        ctx.spawn(watching.into_actor(self));
        let asking = self.ask_on();
        ctx.spawn(asking.into_actor(self));
    }
}

impl Handler<RegisterNow> for Registrar {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: RegisterNow, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.register())
    }
}

impl Handler<TopicsChanged> for Registrar {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, changed: TopicsChanged, _: &mut Self::Context) -> Self::Result {
        let (parts, links) = (self.parts.clone(), Rc::clone(&self.links));
        let registering = async move { parts.register(&links, changed.table.as_ref().clone()).await };
        Box::pin(async move {
            // A name server that is too slow, or cannot be reached, hears of it at the next registration.
            let _ = tokio::time::timeout(TOPIC_PATIENCE, registering).await;
        })
    }
}

impl Handler<Unregister> for Registrar {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Unregister, _: &mut Self::Context) -> Self::Result {
        self.links.leaving.set(true);
        let (parts, links) = (self.parts.clone(), Rc::clone(&self.links));
        Box::pin(async move {
            let request = parts.about_us(RequestCode::UNREGISTER_BROKER);
            parts.tell_all(&links, &request).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;

    use actix::Addr;
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
}
