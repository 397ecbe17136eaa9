//! One I/O thread with its egress, whose neighbours answer when the test lets them.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::channel::channel;
use actix::fut::wrap_future;
use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use cuemq_net::body::{DelayOffsetTable, ProducerTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::{self, MAX_FRAME_BYTES};
use cuemq_storage::clock::Clock;
use cuemq_storage::commit_log::{Answer, LogView};
use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::disk::RealDisk;
use cuemq_storage::entropy::SeededEntropy;
use cuemq_storage::log_state::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cold_reads::ColdReads;
use crate::commit_log::{AppendBatch, ForgetTopics, SendGate};
use crate::config::live::Switch;
use crate::config::{BrokerConfig, TlsMode};
use crate::filter::FilterView;
use crate::group::GroupView;
use crate::group::actor::FindOrCreateGroup;
use crate::hold::actor::Park;
use crate::io::budget::{Budget, Budgets};
use crate::io::egress::{Completed, Door, Egress, Serve};
use crate::io::identity::Identity;
use crate::io::look_up::Limits;
use crate::io::peer_table::Peer;
use crate::io::state::{BrokerSide, IoParts, IoState};
use crate::listener::ConnectionLimit;
use crate::net::{Accepted, Stream};
use crate::offset::actor::{CommitOffsets, FindOffset};
use crate::reappend::Reappender;
use crate::rebalance::actor::{ExportProducers, Heartbeat, LockQueues, PeerClosed, Unregister};
use crate::rebalance::{MembershipView, TooMuch};
use crate::registrar::FindRoute;
use crate::retention::{DeleteExpired, FollowLog};
use crate::router::{BrokerActors, ClientsOfThread, Owners, Router};
use crate::schedule::actor::ExportDelays;
use crate::settings::{ChangeSettings, TellSettings};
use crate::statistics::StoreFigures;
use crate::statistics::actor::{FindFigure, TellStore};
use crate::table_file::NotSaved;
use crate::testing::{PATIENCE, Probe, Stage};
use crate::timer::TimerRules;
use crate::tls::server::Tls;
use crate::tls::stream::Handshakes;
use crate::topic::actor::{CreateDeadLetterTopic, CreateRetryTopic, CreateTopicOnSend, TopicError};
use crate::topic::{OnSend, SystemTopics, Topic, TopicTable, TopicView, with_queues};

/// An actor that takes nothing before its gate is opened, and so many messages into its mailbox meanwhile.
pub(super) struct Gated<M: Message> {
    answer: Box<dyn FnMut(M) -> M::Result>,
}

impl<M: Message + 'static> Actor for Gated<M> {
    type Context = actix::Context<Self>;
}

impl<M: Message + 'static> Handler<M> for Gated<M> {
    type Result = MessageResult<M>;

    fn handle(&mut self, message: M, _: &mut Self::Context) -> Self::Result {
        MessageResult((self.answer)(message))
    }
}

pub(super) fn gated<M>(
    capacity: usize,
    answer: impl FnMut(M) -> M::Result + 'static,
) -> (Recipient<M>, oneshot::Sender<()>)
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    let (open, opened) = oneshot::channel();
    let actor = Gated::create(move |ctx| {
        ctx.set_mailbox_capacity(capacity);
        ctx.wait(wrap_future(async move {
            let _ = opened.await;
        }));
        Gated {
            answer: Box::new(answer),
        }
    });
    (actor.recipient(), open)
}

/// What a test may change before the thread starts.
pub(super) struct Plan {
    pub(super) budgets: Budgets,
    /// How many batches the log's mailbox holds before its gate is opened.
    pub(super) log_capacity: usize,
    /// The log's actor has ended.
    pub(super) log_ended: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            budgets: Budgets::new(256 << 20),
            log_capacity: 1024,
            log_ended: false,
        }
    }
}

impl Plan {
    pub(super) fn log_bytes(mut self, bytes: usize) -> Self {
        self.budgets.log = Arc::new(Budget::new(bytes));
        self
    }

    pub(super) fn waiting_bytes(mut self, bytes: usize) -> Self {
        self.budgets.waiting = Arc::new(Budget::new(bytes));
        self
    }

    pub(super) fn answer_bytes(mut self, bytes: usize) -> Self {
        self.budgets.answers = Arc::new(Budget::new(bytes));
        self
    }

    pub(super) fn idle_bytes(mut self, bytes: usize) -> Self {
        self.budgets.idle = Arc::new(Budget::new(bytes));
        self
    }

    pub(super) fn log_batches(mut self, batches: usize) -> Self {
        self.log_capacity = batches;
        self
    }

    pub(super) fn control_bytes(mut self, bytes: usize) -> Self {
        self.budgets.controls = Arc::new(Budget::new(bytes));
        self
    }
}

/// Gates; each is opened by being dropped.
#[derive(Default)]
pub(super) struct Gates {
    pub(super) log: Option<oneshot::Sender<()>>,
    pub(super) topics: Option<oneshot::Sender<()>>,
    pub(super) members: Option<oneshot::Sender<()>>,
}

pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) io: Rc<IoState>,
    pub(super) egress: Addr<Egress>,
    /// What reached the log.
    pub(super) log: UnboundedReceiver<AppendBatch>,
    pub(super) gates: Gates,
    pub(super) topics_made: Rc<RefCell<Vec<String>>>,
    pub(super) heartbeats: Rc<RefCell<usize>>,
    pub(super) gone: Probe<PeerClosed>,
    pub(super) hold: Probe<Park>,
}

thread_local! {
    /// The way from the egress' factory, which must be `Send`, to the test.
    static STATE: RefCell<Option<Rc<IoState>>> = const { RefCell::new(None) };
}

/// A table of topics that makes what a send asks for, and nothing that is called `Refused…`.
fn topics(
    made: Rc<RefCell<Vec<String>>>,
) -> (
    TopicView,
    impl FnMut(CreateTopicOnSend) -> Result<Arc<Topic>, TopicError>,
) {
    let view = TopicView::new();
    let mut table = TopicTable::load(None, SystemTopics::default(), view.clone(), 0).unwrap();
    table.update("T", with_queues(4), 0).unwrap();
    table.publish();
    let make = move |create: CreateTopicOnSend| {
        made.borrow_mut().push(create.topic.clone());
        let wanted = OnSend {
            topic: &create.topic,
            default_topic: if create.topic.starts_with("Refused") {
                "none"
            } else {
                "TBW102"
            },
            queue_nums: 4,
            unit: false,
        };
        let topic = table.create_on_send(wanted, 0).map_err(TopicError::Refused);
        table.publish();
        topic
    };
    (view, make)
}

/// Counts heartbeats, and takes none.
fn members(heartbeats: Rc<RefCell<usize>>) -> (Recipient<Heartbeat>, oneshot::Sender<()>) {
    gated(1024, move |_: Heartbeat| {
        *heartbeats.borrow_mut() += 1;
        Err(TooMuch::Names)
    })
}

impl Scene {
    /// A thread whose neighbours are open.
    pub(super) async fn open(plan: Plan) -> Self {
        let mut scene = Self::new(plan).await;
        scene.gates = Gates::default();
        scene
    }

    /// A thread whose neighbours take nothing before the test drops their gates.
    pub(super) async fn new(plan: Plan) -> Self {
        let mut stage = Stage::new();
        let topics_made = Rc::new(RefCell::default());
        let heartbeats = Rc::new(RefCell::new(0));
        let (append, log): (UnboundedSender<AppendBatch>, _) = unbounded_channel();
        let (view, make) = topics(Rc::clone(&topics_made));
        let (append, log_gate) = gated(plan.log_capacity, move |batch| drop(append.send(batch)));
        let (create_on_send, topics_gate) = gated(1024, make);
        let (heartbeat, members_gate) = members(Rc::clone(&heartbeats));
        let (gone, hold) = (Probe::new(), Probe::new());
        let actors = BrokerActors {
            create_on_send,
            create_retry: Probe::answering(|_: &CreateRetryTopic| Err(NotSaved::Unknown.into())).recipient(),
            create_dead_letters: gated(1, |_: CreateDeadLetterTopic| Err(NotSaved::Unknown.into())).0,
            groups: Probe::answering(|_: &FindOrCreateGroup| Err(NotSaved::Unknown.into())).recipient(),
            auto_create_group: Switch::new(true),
            commit: Probe::answering(|_: &CommitOffsets| Ok(())).recipient(),
            offsets: Probe::answering(|_: &FindOffset| None).recipient(),
            heartbeat,
            leave: Probe::answering(|_: &Unregister| None).recipient(),
            gone: gone.recipient(),
            forget: Probe::new().recipient(),
            cold: stage.start("cold reads", |_| Ok(no_reads())),
            index: None,
            lock: Probe::answering(|_: &LockQueues| Vec::new()).recipient(),
            unlock: Probe::new().recipient(),
            // Those of its own thread, once that is there.
            clients: Vec::new(),
            reappender: Reappender::for_test(Probe::new().recipient()),
            owners: owners(),
        };
        let side = side(view, append, hold.recipient());
        let side = if plan.log_ended { without_log(side) } else { side };
        let egress = start_egress(&mut stage, plan.budgets, actors, side);
        stage.all_up().await.unwrap();
        let io = STATE.take().expect("the egress is up");
        Self {
            stage,
            io,
            egress,
            log,
            gates: Gates {
                log: Some(log_gate),
                topics: Some(topics_gate),
                members: Some(members_gate),
            },
            topics_made,
            heartbeats,
            gone,
            hold,
        }
    }

    /// A client with a connection to the broker's port.
    pub(super) async fn client(&self) -> Client {
        let (near, far) = duplex(64 * 1024);
        self.serve(far).await;
        Client {
            stream: near,
            read: BytesMut::new(),
            opaque: 0,
        }
    }

    pub(super) async fn serve(&self, stream: impl Stream + Send) {
        let limit = ConnectionLimit::new(1);
        let serve = Serve {
            accepted: Box::new(End(stream)),
            door: Door::Broker,
            permit: limit.take().unwrap(),
        };
        self.egress.send(serve).await.unwrap();
    }

    /// The only connection, as the thread sees it.
    pub(super) fn peer(&self) -> Rc<Peer> {
        Rc::clone(self.io.peers.borrow().iter().next().expect("a connection is open"))
    }

    /// The next batch that reaches the log.
    pub(super) async fn batch(&mut self) -> AppendBatch {
        let batch = tokio::time::timeout(PATIENCE, self.log.recv()).await;
        batch.expect("a batch in time").expect("the log goes on")
    }

    /// The log has stored a batch.
    pub(super) async fn stored(&self, append: AppendBatch) {
        let answer = Answer {
            batch: append.batch,
            outcome: Outcome::Stored,
        };
        self.egress.send(Completed { answers: vec![answer] }).await.unwrap();
    }

    /// Lets everything run that can, until what is asked for has come.
    pub(super) async fn until(&self, what: &str, mut has_come: impl FnMut(&IoState) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !has_come(&self.io) {
                tokio::task::yield_now().await;
            }
        });
        assert!(waited.await.is_ok(), "not in time: {what}");
    }
}

/// The broker's side of the thread: an empty store.
fn side(topics: TopicView, append: Recipient<AppendBatch>, hold: Recipient<Park>) -> BrokerSide {
    let records = Arc::new(LogView::new(Vec::new()));
    BrokerSide {
        topics,
        system_topics: SystemTopics::default(),
        groups: GroupView::new(),
        membership: MembershipView::new(),
        filters: FilterView::default(),
        gate: Arc::new(SendGate::new(Arc::clone(&records), 0)),
        log: records,
        queues: Arc::default(),
        append,
        hold,
        store_replies: true,
        limits: Limits::of_memory(u64::MAX),
        cold: Probe::new().recipient(),
        levels: DelayLevels::default(),
        timers: TimerRules::default(),
        in_memory_bytes: u64::MAX,
        index_backlog: Arc::default(),
    }
}

fn without_log(side: BrokerSide) -> BrokerSide {
    BrokerSide {
        append: ended::<Gated<AppendBatch>>().recipient(),
        ..side
    }
}

/// Nobody asks for what administrators do.
fn owners() -> Owners {
    Owners {
        topics: ended(),
        groups: ended(),
        offsets: ended(),
        delays: Probe::answering(|_: &ExportDelays| DelayOffsetTable::default()).recipient(),
        producers: Probe::answering(|_: &ExportProducers| ProducerTable::default()).recipient(),
        delete_expired: Probe::answering(|_: &DeleteExpired| ()).recipient(),
        follow_log: Probe::answering(|_: &FollowLog| Vec::new()).recipient(),
        forget_topics: Probe::answering(|_: &ForgetTopics| Ok(())).recipient(),
        change_settings: Probe::answering(|_: &ChangeSettings| Ok(())).recipient(),
        tell_settings: Probe::answering(|_: &TellSettings| Default::default()).recipient(),
        find_route: Probe::answering(|_: &FindRoute| None).recipient(),
        find_figure: Probe::answering(|_: &FindFigure| None).recipient(),
        tell_store: Probe::answering(|_: &TellStore| StoreFigures::default()).recipient(),
    }
}

fn ended<A: Actor>() -> Addr<A> {
    Addr::new(channel(1).0)
}

/// Nothing lies on a disk here.
fn no_reads() -> ColdReads {
    let measures: (Arc<dyn Clock>, _) = (Arc::new(crate::testing::ManualClock::new(0)), Arc::default());
    let log = Arc::new(LogView::new(Vec::new()));
    ColdReads::new(log, Arc::default(), Limits::of_memory(0), measures)
}

/// Nobody speaks TLS here.
fn handshakes(clock: &Arc<dyn Clock>) -> Handshakes {
    let mut config = BrokerConfig::for_test();
    config.tls.mode = TlsMode::Disabled;
    let tls = Tls::open(&config, &RealDisk, clock).unwrap();
    Handshakes::new(tls.server, Arc::default())
}

fn start_egress(stage: &mut Stage, budgets: Budgets, actors: BrokerActors, side: BrokerSide) -> Addr<Egress> {
    let clock: Arc<dyn Clock> = stage.clock.clone();
    let mut neighbours = Some((actors, side));
    stage.start("egress", move |ctx: &mut crate::supervise::Context<Egress>| {
        let (mut actors, side) = neighbours
            .take()
            .ok_or("a connection is not to bring its thread down")?;
        actors.clients.push(ClientsOfThread {
            ask: ctx.address().recipient(),
            tell: ctx.address().recipient(),
        });
        let io = IoState::new(IoParts {
            thread: 0,
            generations: Arc::default(),
            identity: Arc::new(Identity::new(&BrokerConfig::for_test(), 10_911, 1 << 30)),
            clock: Arc::clone(&clock),
            entropy: Arc::new(SeededEntropy::new(1)),
            broker: Some(side),
            router: Router::new(Some(actors), None),
            metrics: Arc::default(),
            traffic: Arc::default(),
            lost: ctx.address().recipient(),
            looked_up: ctx.address().recipient(),
            idle_limit: IDLE,
            budgets: budgets.clone(),
            handshakes: handshakes(&clock),
        });
        STATE.set(Some(Rc::clone(&io)));
        Ok(Egress::new(io))
    })
}

/// How long a connection may be idle.
pub(super) const IDLE: Duration = Duration::from_secs(120);

/// The broker's end of a connection.
struct End<S>(S);

impl<S: Stream + Send> Accepted for End<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    fn into_stream(self: Box<Self>) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.0))
    }
}

impl Stream for DuplexStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 9)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 10_911)))
    }
}

/// A client without a library.
pub(super) struct Client {
    pub(super) stream: DuplexStream,
    read: BytesMut,
    opaque: i32,
}

impl Client {
    /// Writes requests, numbered on, as fast as the broker takes them.
    pub(super) async fn send(&mut self, requests: impl IntoIterator<Item = Command>) {
        for request in requests {
            self.opaque += 1;
            let bytes = encoded(&request, self.opaque);
            let written = tokio::time::timeout(PATIENCE, self.stream.write_all(&bytes)).await;
            written.expect("the broker reads").unwrap();
        }
    }

    /// Writes while the test goes on; gives the client back when all is written.
    pub(super) fn writing(mut self, bytes: Vec<u8>) -> JoinHandle<Self> {
        actix_rt::spawn(async move {
            self.stream.write_all(&bytes).await.unwrap();
            self
        })
    }

    /// The next answer, which refuses with this code: number and remark.
    pub(super) async fn refusal(&mut self, code: ResponseCode) -> (i32, String) {
        let answer = self.next().await;
        assert_eq!(ResponseCode(answer.code), code, "{:?}", answer.remark);
        (answer.opaque, answer.remark.unwrap())
    }

    /// The next answer: number and code.
    pub(super) async fn answer(&mut self) -> (i32, ResponseCode) {
        let answer = self.next().await;
        (answer.opaque, ResponseCode(answer.code))
    }

    pub(super) async fn next(&mut self) -> Command {
        let next = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(found) = frame::check(&self.read, MAX_FRAME_BYTES).unwrap() {
                    let whole: Bytes = self.read.split_to(found.total).freeze();
                    return Command::decode(&whole).unwrap();
                }
                let read = self.stream.read_buf(&mut self.read).await.unwrap();
                assert!(read > 0, "the broker closed the connection");
            }
        });
        next.await.expect("an answer in time")
    }

    /// Waits until the broker has closed the connection.
    pub(super) async fn closed(&mut self) {
        let end = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
        assert_eq!(end.expect("an end in time").unwrap_or(0), 0);
    }
}

pub(super) fn encoded(request: &Command, opaque: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let request = Command {
        opaque,
        ..request.clone()
    };
    request.encode(&mut bytes).unwrap();
    bytes
}

/// A send of a body of so many bytes.
pub(super) fn send_to(topic: &str, body_bytes: usize) -> Command {
    Command::request(RequestCode::SEND_MESSAGE_V2)
        .with_field("a", "producers")
        .with_field("b", topic)
        .with_field("c", "TBW102")
        .with_field("d", 4)
        .with_field("e", 0)
        .with_field("f", 0)
        .with_field("g", 1_700_000_000_000_i64)
        .with_field("h", 0)
        .with_field("i", "")
        .with_field("j", 0)
        .with_field("k", false)
        .with_body(vec![b'x'; body_bytes])
}

/// A heartbeat with an id of so many bytes.
pub(super) fn heartbeat(id_bytes: usize) -> Command {
    let id = "i".repeat(id_bytes);
    let body = format!(r#"{{"clientID":"{id}","consumerDataSet":[],"producerDataSet":[{{"groupName":"p"}}]}}"#);
    Command::request(RequestCode::HEART_BEAT).with_body(body.into_bytes())
}

/// A pull that brings its expression along; it waits where it is told to.
pub(super) fn pull(expression: &str, waits: bool) -> Command {
    Command::request(RequestCode::PULL_MESSAGE)
        .with_field("consumerGroup", "consumers")
        .with_field("topic", "T")
        .with_field("queueId", 0)
        .with_field("queueOffset", 0)
        .with_field("maxMsgNums", 32)
        .with_field("sysFlag", if waits { 6 } else { 4 })
        .with_field("commitOffset", 0)
        .with_field("suspendTimeoutMillis", 15_000)
        .with_field("subscription", expression)
        .with_field("subVersion", 1)
        .with_field("expressionType", "TAG")
}

/// A commit of a consumer.
pub(super) fn commit() -> Command {
    Command::request(RequestCode::UPDATE_CONSUMER_OFFSET)
        .with_field("consumerGroup", "consumers")
        .with_field("topic", "T")
        .with_field("queueId", 0)
        .with_field("commitOffset", 1)
}
