//! The name server's actor: a [`Desk`] behind a mailbox, with a clock and a tick.
//!
//! It writes a file when keys and values change, so it belongs on a thread that may block.

use super::desk::Desk;
use super::product::ProductEnvironment;
use crate::peer::{ClosePeer, PeerKey};
use crate::supervise::Context;
use actix::{Actor, AsyncContext, Handler, Message, Recipient, Response, WrapFuture};
use cuemq_net::command::Command;
use cuemq_storage::clock::Clock;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A request and who sent it; the result is the answer, also for a request that wants none. From a connection, one at a time,
/// bounded by the budget for control requests.
#[derive(Debug, Message)]
#[rtype(result = "Command")]
pub struct NameServerRequest {
    /// The connection.
    pub peer: PeerKey,
    /// The request.
    pub command: Command,
}

/// A connection has closed. From the I/O thread, one for each connection that sent a [`NameServerRequest`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PeerClosed {
    /// The connection.
    pub peer: PeerKey,
}

/// How much a name server knows, for whoever asks from another thread.
#[derive(Debug, Default)]
pub struct RouteFigures {
    /// Brokers that are alive.
    pub brokers: AtomicUsize,
    /// Topics that have a route.
    pub topics: AtomicUsize,
}

/// When silent brokers are looked for first.
const FIRST_SCAN: Duration = Duration::from_secs(5);
/// How often silent brokers are looked for.
const SCAN_INTERVAL: Duration = Duration::from_secs(10);

/// Answers brokers, clients and tools; forgets brokers that are gone.
pub struct NameServer {
    desk: Desk,
    clock: Arc<dyn Clock>,
    io_threads: Vec<Recipient<ClosePeer>>,
    figures: Arc<RouteFigures>,
    product: Option<Rc<ProductEnvironment>>,
}

impl NameServer {
    /// Puts the desk behind a mailbox; the I/O threads, by number, are told which of their connections to close. `product` is
    /// asked for the routes that the desk does not have.
    pub fn new(
        desk: Desk,
        clock: Arc<dyn Clock>,
        io_threads: Vec<Recipient<ClosePeer>>,
        figures: Arc<RouteFigures>,
        product: Option<Rc<ProductEnvironment>>,
    ) -> Self {
        let server = NameServer {
            desk,
            clock,
            io_threads,
            figures,
            product,
        };
        server.publish();
        server
    }

    /// Shows how much it knows.
    fn publish(&self) {
        let (brokers, topics) = self.desk.figures();
        self.figures.brokers.store(brokers, Ordering::Relaxed);
        self.figures.topics.store(topics, Ordering::Relaxed);
    }

    fn scan(&mut self) {
        for peer in self.desk.remove_silent(self.clock.monotonic()) {
            // A connection that cannot be told now is closed as idle by its I/O thread.
            let thread = self.io_threads.get(usize::from(peer.thread));
            if let Some(Err(error)) = thread.map(|thread| thread.try_send(ClosePeer { peer })) {
                tracing::debug!(?peer, %error, "a silent broker's connection stays open for now");
            }
        }
        self.publish();
    }
}

impl Actor for NameServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(product) = &self.product {
            ctx.spawn(Rc::clone(product).ask_on().into_actor(self));
        }
        ctx.run_later(FIRST_SCAN, |server, ctx| {
            server.scan();
            ctx.run_interval(SCAN_INTERVAL, |server, _| server.scan());
        });
    }
}

impl Handler<NameServerRequest> for NameServer {
    type Result = Response<Command>;

    fn handle(&mut self, request: NameServerRequest, _: &mut Context<Self>) -> Self::Result {
        let NameServerRequest { peer, command } = request;
        let answer = self.desk.answer(peer, &command, self.clock.monotonic());
        self.publish();
        match &self.product {
            Some(product) if ProductEnvironment::is_asked(&command, &answer) => {
                Response::fut(Rc::clone(product).route(command, answer))
            }
            _ => Response::reply(answer),
        }
    }
}

impl Handler<PeerClosed> for NameServer {
    type Result = ();

    fn handle(&mut self, PeerClosed { peer }: PeerClosed, _: &mut Context<Self>) {
        self.desk.peer_closed(peer);
        self.publish();
    }
}

#[cfg(test)]
mod tests {
    use super::super::kv::KvFile;
    use super::super::settings::Settings;
    use super::*;
    use crate::placement::{Placement, Thread};
    use crate::supervise::{ChildReport, ChildSpec, Faults, Nursery};
    use crate::testing::Probe;
    use cuemq_net::body::{Body, TopicList};
    use cuemq_net::code::RequestCode;
    use cuemq_storage::clock::ManualClock;
    use cuemq_storage::disk::RealDisk;

    const PEER: PeerKey = PeerKey {
        thread: 1,
        slot: 5,
        generation: 2,
    };

    fn desk(root: &tempfile::TempDir) -> Desk {
        let file = KvFile::new(Arc::new(RealDisk), root.path().join("kvConfig.json"));
        Desk::open(file, Settings::for_test()).unwrap()
    }

    fn registration() -> NameServerRequest {
        let command = Command::request(RequestCode::REGISTER_BROKER)
            .with_field("brokerName", "a")
            .with_field("brokerAddr", "a:1")
            .with_field("clusterName", "C")
            .with_field("haServerAddr", "a:2")
            .with_field("brokerId", 0)
            .with_body(r#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"T":{"topicName":"T"}}}}"#);
        NameServerRequest { peer: PEER, command }
    }

    fn all_topics() -> NameServerRequest {
        let command = Command::request(RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER);
        NameServerRequest { peer: PEER, command }
    }

    #[actix::test]
    async fn a_brokers_topics_are_there_until_its_connection_closes() {
        let root = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(0));
        let reports = Probe::<ChildReport>::new();
        let (placement, recipient) = (Placement::local(), reports.recipient());
        let mut nursery = Nursery::new("test", placement, Arc::clone(&clock), Faults::default(), recipient);
        let mut desk = Some(desk(&root));
        let spec = ChildSpec::new("name server", Thread::Files);
        let server = nursery.start(spec, move |_| {
            Ok(NameServer::new(
                desk.take().unwrap(),
                Arc::clone(&clock),
                Vec::new(),
                Arc::default(),
                None,
            ))
        });
        assert_eq!(server.send(registration()).await.unwrap().code, 0);
        let topics = async || {
            TopicList::decode(&server.send(all_topics()).await.unwrap().body)
                .unwrap()
                .topic_list
        };
        assert_eq!(topics().await, ["T".to_owned()].into());
        server.send(PeerClosed { peer: PEER }).await.unwrap();
        assert!(topics().await.is_empty());
    }

    #[actix::test]
    async fn the_connection_of_a_silent_broker_is_closed_by_its_own_thread() {
        let root = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(0));
        let (other, mut own) = (Probe::<ClosePeer>::new(), Probe::<ClosePeer>::new());
        let io_threads = vec![other.recipient(), own.recipient()];
        let mut server = NameServer::new(
            desk(&root),
            Arc::<ManualClock>::clone(&clock),
            io_threads,
            Arc::default(),
            None,
        );
        let NameServerRequest { peer, command } = registration();
        server.desk.answer(peer, &command, clock.monotonic());
        clock.advance(Duration::from_secs(121));
        server.scan();
        assert_eq!(own.next().await, ClosePeer { peer: PEER });
        assert_eq!(
            server.desk.answer(peer, &all_topics().command, clock.monotonic()).body,
            r#"{"topicList":[]}"#
        );
    }
}
