//! Registers the broker with every name server: at the start, every 30 s, and at once when a topic is made, before its
//! sender is answered, so that the topic can be found by whoever hears of it (`BrokerOuterAPI` in Java). A name server's
//! answer names the order topics. An address server, where one is asked, names further name servers, at the start and every
//! two minutes.

#[cfg(test)]
mod rules_test;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, Recipient, ResponseFuture, WrapFuture};
use cuemq_net::body::{Body, KvTable, RegisterBrokerBody, TopicConfigTable, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use futures_util::FutureExt;

use crate::address_server::{self, AddressServer};
use crate::io::identity::Identity;
use crate::links::Links;
use crate::net::Net;
use crate::supervise::Context;
use crate::tls::server::TlsClient;
use crate::topic::actor::{ExportTopics, MarkOrderTopics, TopicsChanged};

/// How long one name server may take (`registerBrokerTimeoutMills`).
const TIMEOUT: Duration = Duration::from_secs(6);
/// How long a name server may take to tell a route.
const ROUTE_PATIENCE: Duration = Duration::from_secs(1);
/// How long the sender of a new topic's first message waits for the name servers at most.
const TOPIC_PATIENCE: Duration = Duration::from_secs(1);
/// How long after a connection was lost the broker registers again: the name server may be starting.
const AFTER_LOSS: Duration = Duration::from_millis(500);

/// Register now; how many name servers know the broker then. From the start, once, and from each new life of a name server
/// in this process or of the registrar.
#[derive(Message, Debug)]
#[rtype(result = "usize")]
pub struct RegisterNow;

/// Tell every name server that the broker goes. From the stop, once.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Unregister;

/// Say where the queues of a topic are, on whichever brokers; `None` when no name server knows. From connections, one of each
/// at a time.
#[derive(Message, Debug)]
#[rtype(result = "Option<TopicRouteData>")]
pub struct FindRoute {
    /// The topic.
    pub topic: String,
}

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
    servers: Rc<NameServers>,
}

/// Whom the registrar deals with.
struct NameServers {
    links: Rc<Links>,
    /// What the address server said last; empty before it has said anything.
    learned: RefCell<Vec<String>>,
    /// The broker goes: what is lost now is meant to be.
    leaving: Cell<bool>,
}

impl NameServers {
    /// The name servers that are given, and those that the address server told of.
    fn all(&self, given: &[String]) -> Vec<String> {
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
        // A name server forgets a broker with its connection.
        self.links.keep(&self.all(given));
        true
    }

    async fn tell(&self, server: &str, request: &Command) -> Option<Command> {
        let answer = match self.links.caller(server).await {
            // The name server has been told, or is about to be, that the broker goes.
            Ok(_) if self.leaving.get() && request.code != RequestCode::UNREGISTER_BROKER.0 => return None,
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
}

impl NameServers {
    /// The route of a topic from the first of these name servers that answers.
    async fn route(&self, servers: Vec<String>, topic: &str) -> Option<TopicRouteData> {
        let request = Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", topic);
        for server in servers {
            let answer = match self.links.caller(&server).await {
                Ok(caller) => caller
                    .request(&request, ROUTE_PATIENCE)
                    .await
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) if answer.code == ResponseCode::SUCCESS.0 => {
                    return TopicRouteData::decode(&answer.body).ok();
                }
                Ok(_) => return None,
                Err(error) => tracing::debug!(server, error, "a name server cannot be asked for a route"),
            }
        }
        None
    }
}

impl Registrar {
    /// A registrar without connections.
    #[must_use]
    pub fn new(parts: RegistrarParts) -> Self {
        let servers = Rc::new(NameServers {
            links: Links::new(Arc::clone(&parts.net), parts.tls.clone()),
            learned: RefCell::default(),
            leaving: Cell::default(),
        });
        Self { parts, servers }
    }

    /// Registers again soon after a connection has ended, since a name server forgets a broker with its connection. One
    /// that cannot be connected to waits for the next regular time.
    fn register_when_lost(&self) -> impl Future<Output = ()> + use<> {
        let (parts, servers) = (self.parts.clone(), Rc::clone(&self.servers));
        async move {
            loop {
                servers.links.lost().await;
                tokio::time::sleep(AFTER_LOSS).await;
                if servers.leaving.get() {
                    return;
                }
                if let Ok(topics) = parts.topics.send(ExportTopics).await {
                    parts.register(&servers, topics).await;
                }
            }
        }
    }

    /// Asks the address server again and again, and registers with whom it names anew.
    fn ask_on(&self) -> impl Future<Output = ()> + use<> {
        let (parts, servers) = (self.parts.clone(), Rc::clone(&self.servers));
        async move {
            while parts.address_server.is_some() && !servers.leaving.get() {
                tokio::time::sleep(address_server::EVERY).await;
                if parts.ask(&servers).await
                    && let Ok(topics) = parts.topics.send(ExportTopics).await
                {
                    parts.register(&servers, topics).await;
                }
            }
        }
    }

    /// Registers with the topics as they are now.
    fn register(&self) -> impl Future<Output = usize> + use<> {
        let (parts, servers) = (self.parts.clone(), Rc::clone(&self.servers));
        async move {
            if servers.learned.borrow().is_empty() {
                parts.ask(&servers).await;
            }
            match parts.topics.send(ExportTopics).await {
                Ok(topics) => parts.register(&servers, topics).await,
                Err(_) => 0,
            }
        }
    }
}

impl RegistrarParts {
    /// Asks the address server; whether it names others than before. One that does not answer changes nothing.
    async fn ask(&self, servers: &NameServers) -> bool {
        let Some(server) = &self.address_server else {
            return false;
        };
        match server.ask().await {
            Ok(known) => servers.learn(&self.name_servers, known),
            Err(error) => {
                let url = server.url();
                tracing::warn!(url, %error, "the address server tells no name servers; those known so far are kept");
                false
            }
        }
    }

    /// Registers with these topics. A broker that may not be read or written limits the permission of each, so that clients
    /// hear from the name servers what it refuses.
    async fn register(&self, servers: &NameServers, mut topics: TopicConfigTable) -> usize {
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
        let answers = self.tell_all(servers, &request).await;
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
    async fn tell_all(&self, servers: &NameServers, request: &Command) -> Vec<Command> {
        let all = servers.all(&self.name_servers);
        let calls = all.iter().map(|server| servers.tell(server, request));
        let told = futures_util::future::join_all(calls).await;
        told.into_iter().flatten().collect()
    }
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

impl Handler<FindRoute> for Registrar {
    type Result = ResponseFuture<Option<TopicRouteData>>;

    fn handle(&mut self, find: FindRoute, _: &mut Self::Context) -> Self::Result {
        let servers = Rc::clone(&self.servers);
        let all = servers.all(&self.parts.name_servers);
        Box::pin(async move { servers.route(all, &find.topic).await })
    }
}

impl Handler<TopicsChanged> for Registrar {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, changed: TopicsChanged, _: &mut Self::Context) -> Self::Result {
        let (parts, servers) = (self.parts.clone(), Rc::clone(&self.servers));
        let registering = async move { parts.register(&servers, changed.table.as_ref().clone()).await };
        Box::pin(async move {
            // A name server that is too slow, or cannot be reached, hears of it at the next registration.
            let _ = tokio::time::timeout(TOPIC_PATIENCE, registering).await;
        })
    }
}

impl Handler<Unregister> for Registrar {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Unregister, _: &mut Self::Context) -> Self::Result {
        self.servers.leaving.set(true);
        let (parts, servers) = (self.parts.clone(), Rc::clone(&self.servers));
        Box::pin(async move {
            let request = parts.about_us(RequestCode::UNREGISTER_BROKER);
            parts.tell_all(&servers, &request).await;
        })
    }
}
