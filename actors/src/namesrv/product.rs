//! `clusterTest`: a name server of a test environment asks those of the product environment for the routes that it does not
//! have (`ClusterTestRequestProcessor` in Java), so that tests reach the product's topics. The address server tells which
//! name servers these are, as it does clients of that unit: at the start and every two minutes.
//!
//! A question that another such name server passed on is not passed on again: two that name each other, or one that names
//! itself, would ask for ever.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::{Body, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::request::RouteInfo;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::desk::route_style;
use crate::address_server::{self, AddressServer};
use crate::links::Links;
use crate::net::Net;
use crate::tls::server::TlsClient;

/// How long a question may take altogether: clients wait as long.
const LIMIT: Duration = Duration::from_secs(3);
/// How soon an address server that told nothing yet is asked again.
const SOON: Duration = Duration::from_secs(10);
/// Marks a question that was passed on.
const PASSED_ON: &str = "clusterTest";

/// The name servers of the product environment, as far as they are known.
pub struct ProductEnvironment {
    address_server: AddressServer,
    links: Rc<Links>,
    /// As the address server told; `None` until it was asked for the first time.
    servers: watch::Sender<Option<Vec<String>>>,
    /// The place in the list of the one that answered last: it is asked first.
    preferred: Cell<usize>,
}

impl ProductEnvironment {
    /// Knows none until it has asked, which the name server has it do from its start on. `address_server` is asked for its page for the environment.
    #[must_use]
    pub fn new(net: Arc<dyn Net>, tls: Option<Arc<TlsClient>>, address_server: AddressServer) -> Rc<Self> {
        Rc::new(Self {
            address_server,
            links: Links::new(net, tls),
            servers: watch::Sender::new(None),
            preferred: Cell::new(0),
        })
    }

    /// Asks the address server again and again; what is no list changes nothing.
    pub(super) async fn ask_on(self: Rc<Self>) {
        loop {
            let told = self.address_server.ask().await;
            let was = self.servers.borrow().clone().unwrap_or_default();
            let servers = told.unwrap_or_else(|error| {
                let url = self.address_server.url();
                tracing::warn!(url, %error, "the address server tells no name servers of the product environment");
                was.clone()
            });
            if servers != was {
                tracing::info!(
                    name_servers = servers.join(";"),
                    "the product environment has these name servers"
                );
                self.links.keep(&servers);
            }
            let pause = if servers.is_empty() {
                SOON
            } else {
                address_server::EVERY
            };
            self.servers.send_replace(Some(servers));
            sleep(pause).await;
        }
    }

    /// Whether the product environment is to be asked: this is a question for a route, no other such name server passed it
    /// on, and there is none here.
    pub(super) fn is_asked(request: &Command, answer: &Command) -> bool {
        request.code == RequestCode::GET_ROUTEINTO_BY_TOPIC.0
            && answer.code == ResponseCode::TOPIC_NOT_EXIST.0
            && request.fields.get(PASSED_ON).is_none()
    }

    /// The product environment's answer, or `none_here` where it has no route either or does not answer in time.
    pub(super) async fn route(self: Rc<Self>, request: Command, none_here: Command) -> Command {
        match timeout(LIMIT, self.find(&request)).await {
            Ok(Some(route)) => {
                let body = route.encode(route_style(&request));
                Command::response_to(&request, ResponseCode::SUCCESS).with_body(body)
            }
            Ok(None) => none_here,
            Err(_) => {
                tracing::info!("the product environment's name servers do not answer in time");
                none_here
            }
        }
    }

    /// Asks one name server after the other until one answers at all, beginning with the one that did so last.
    async fn find(&self, request: &Command) -> Option<TopicRouteData> {
        let mut known = self.servers.subscribe();
        let servers = known.wait_for(Option::is_some).await.ok()?.clone()?;
        let first = self.preferred.get();
        for place in (first..first + servers.len()).map(|place| place % servers.len()) {
            match self.ask(&servers[place], request).await {
                Ok(route) => {
                    self.preferred.set(place);
                    return route;
                }
                Err(error) => {
                    tracing::info!(
                        server = servers[place],
                        error,
                        "a name server of the product environment says nothing"
                    );
                }
            }
        }
        None
    }

    async fn ask(&self, server: &str, request: &Command) -> Result<Option<TopicRouteData>, String> {
        let view = request.view();
        let RouteInfo { topic, .. } = RouteInfo::read(&view).map_err(|error| error.to_string())?;
        let question = Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC)
            .with_field("topic", topic)
            .with_field(PASSED_ON, true);
        let caller = self.links.caller(server).await?;
        // A connection on which one question was not answered in time is made anew for the next.
        let answer = caller.request(&question, LIMIT).await.inspect_err(|_| caller.close());
        let answer = answer.map_err(|error| error.to_string())?;
        match ResponseCode(answer.code) {
            ResponseCode::SUCCESS => TopicRouteData::decode(&answer.body)
                .map(Some)
                .map_err(|error| error.to_string()),
            ResponseCode::TOPIC_NOT_EXIST => Ok(None),
            ResponseCode(code) => Err(format!("it answers {code}: {}", answer.remark.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::Addr;
    use cuemq_net::transport::call::{Settings as CallSettings, over};
    use cuemq_storage::clock::ManualClock;
    use cuemq_storage::disk::MemoryDisk;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::super::{Desk, KvFile, NameServer, NameServerRequest, Settings};
    use super::*;
    use crate::net::TcpNet;
    use crate::peer::PeerKey;
    use crate::testing::Stage;

    const PEER: PeerKey = PeerKey {
        thread: 0,
        slot: 0,
        generation: 0,
    };

    /// A name server of a product environment that has a route for the topic `P` alone, its address, and what it was asked.
    async fn product() -> (String, UnboundedReceiver<Command>) {
        let mut listener = TcpNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, asked) = unbounded_channel();
        drop(actix_rt::spawn(async move {
            while let Ok(accepted) = listener.accept().await {
                let (caller, mut requests, driver) = over(accepted.into_stream().unwrap(), CallSettings::default());
                let tell = tell.clone();
                drop(actix_rt::spawn(driver.run()));
                drop(actix_rt::spawn(async move {
                    while let Some(request) = requests.recv().await {
                        let answer = match request.fields.get("topic") {
                            Some("P") => Command::response_to(&request, ResponseCode::SUCCESS).with_body(
                                r#"{"brokerDatas":[{"brokerAddrs":{0:"p:1"},"brokerName":"p","cluster":"C"}],"queueDatas":[]}"#,
                            ),
                            _ => Command::response_to(&request, ResponseCode::TOPIC_NOT_EXIST),
                        };
                        caller.respond(&request, &answer).await.unwrap();
                        tell.send(request).unwrap();
                    }
                }));
            }
        }));
        (address, asked)
    }

    /// An address server that gives everybody this list, and the path that it was asked for last.
    async fn address_server(list: String) -> (AddressServer, UnboundedReceiver<String>) {
        let mut listener = TcpNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let domain = listener.local_addr().unwrap().to_string();
        let (tell, asked) = unbounded_channel();
        drop(actix_rt::spawn(async move {
            while let Ok(accepted) = listener.accept().await {
                let mut stream = accepted.into_stream().unwrap();
                let mut request = vec![0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                tell.send(text.split(' ').nth(1).unwrap().to_owned()).unwrap();
                let _ = stream
                    .write_all(format!("HTTP/1.0 200 OK\r\n\r\n{list}\n").as_bytes())
                    .await;
            }
        }));
        let server = AddressServer::new(Arc::new(TcpNet), &domain, "nsaddr");
        (server.of_unit("center"), asked)
    }

    /// A name server in test mode with the product's name servers at these addresses.
    async fn name_server(stage: &mut Stage, list: String) -> (Addr<NameServer>, UnboundedReceiver<String>) {
        let (address_server, paths) = address_server(list).await;
        let server = stage.start("name server", move |_| {
            let file = KvFile::new(Arc::new(MemoryDisk::new(1)), "/kv.json");
            let settings = Settings {
                cluster_test: true,
                ..Settings::for_test()
            };
            let desk = Desk::open(file, settings)?;
            let product = ProductEnvironment::new(Arc::new(TcpNet), None, address_server.clone());
            let clock = Arc::new(ManualClock::new(0));
            Ok(NameServer::new(desk, clock, Vec::new(), Arc::default(), Some(product)))
        });
        (server, paths)
    }

    async fn ask(server: &Addr<NameServer>, command: Command) -> Command {
        server.send(NameServerRequest { peer: PEER, command }).await.unwrap()
    }

    fn route(topic: &str) -> Command {
        Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", topic)
    }

    #[actix::test]
    async fn a_route_that_is_not_here_is_that_of_the_product_environment() {
        let (mut stage, (address, mut asked)) = (Stage::new(), product().await);
        // The first of the list takes no connection: the next is asked.
        let (server, mut paths) = name_server(&mut stage, format!("127.0.0.1:1;{address}")).await;
        let found = ask(&server, route("P")).await;
        assert_eq!(found.code, 0);
        let data = TopicRouteData::decode(&found.body).unwrap();
        assert_eq!(data.broker_datas[0].broker_addrs[&0], "p:1");
        assert_eq!(asked.recv().await.unwrap().fields.get("topic"), Some("P"));
        let none = ask(&server, route("Q")).await;
        assert_eq!(none.code, ResponseCode::TOPIC_NOT_EXIST.0);
        assert!(none.remark.unwrap().ends_with("for further details."), "its own words");
        assert_eq!(asked.recv().await.unwrap().fields.get("topic"), Some("Q"));
        assert_eq!(paths.recv().await.unwrap(), "/rocketmq/nsaddr-center?nofix=1");
    }

    #[actix::test]
    async fn a_route_that_is_here_and_a_question_that_was_passed_on_go_no_further() {
        let (mut stage, (address, mut asked)) = (Stage::new(), product().await);
        let (server, _paths) = name_server(&mut stage, address).await;
        let registration = Command::request(RequestCode::REGISTER_BROKER)
            .with_field("brokerName", "a")
            .with_field("brokerAddr", "a:1")
            .with_field("clusterName", "C")
            .with_field("haServerAddr", "a:2")
            .with_field("brokerId", 0)
            .with_body(r#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"P":{"topicName":"P"}}}}"#);
        assert_eq!(ask(&server, registration).await.code, 0);
        let kv = Command::request(RequestCode::PUT_KV_CONFIG)
            .with_field("namespace", "ORDER_TOPIC_CONFIG")
            .with_field("key", "P")
            .with_field("value", "a:4");
        assert_eq!(ask(&server, kv).await.code, 0);
        let data = TopicRouteData::decode(&ask(&server, route("P")).await.body).unwrap();
        assert_eq!(data.broker_datas[0].broker_addrs[&0], "a:1");
        assert_eq!(
            data.order_topic_conf.as_deref(),
            Some("a:4"),
            "told without orderMessageEnable"
        );
        let passed_on = route("Q").with_field(PASSED_ON, true);
        assert_eq!(ask(&server, passed_on).await.code, ResponseCode::TOPIC_NOT_EXIST.0);
        // What would have been asked came before this one.
        assert_eq!(ask(&server, route("R")).await.code, ResponseCode::TOPIC_NOT_EXIST.0);
        assert_eq!(asked.recv().await.unwrap().fields.get("topic"), Some("R"));
    }

    #[actix::test]
    async fn without_an_answer_from_the_product_environment_there_is_no_route_after_three_seconds() {
        let mut listener = TcpNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let silent = listener.local_addr().unwrap().to_string();
        let mut stage = Stage::new();
        let (server, mut paths) = name_server(&mut stage, silent).await;
        paths.recv().await.unwrap();
        let asking = ask(&server, route("P"));
        let (answer, accepted) = futures_util::future::join(asking, async {
            let accepted = listener.accept().await.unwrap();
            // Only time is waited for now.
            tokio::time::pause();
            accepted
        })
        .await;
        drop(accepted);
        assert_eq!(answer.code, ResponseCode::TOPIC_NOT_EXIST.0);
    }
}
