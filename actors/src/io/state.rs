//! What the connections of one I/O thread share: tables they read, actors they send to, and buffers they take turns with.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use actix::Recipient;
use cuemq_net::code::ResponseCode;
use cuemq_net::header::HeaderScratch;
use cuemq_storage::clock::Clock;
use cuemq_storage::commit_log::LogView;
use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::entropy::Entropy;
use cuemq_storage::queue_directory::QueueDirectory;

use super::budget::Budgets;
use super::egress::{LookedUp, Lost};
use super::identity::Identity;
use super::look_up::Limits;
use super::offset_moves::OffsetMoves;
use super::peer_table::{Peer, PeerTable};
use super::questions::Questions;
use super::send::Batches;
use super::send_context::{SendBatch, SendReply};
use super::turns::Turns;
use crate::cold_reads::LookUp;
use crate::commit_log::{AppendBatch, SendGate};
use crate::filter::{Compiler, FilterView};
use crate::group::GroupView;
use crate::hold::actor::Park;
use crate::index::Backlog;
use crate::metrics::Metrics;
use crate::peer::PeerKey;
use crate::rebalance::MembershipView;
use crate::router::Router;
use crate::rpc_times::{Rpc, ms_between};
use crate::timer::TimerRules;
use crate::tls::stream::Handshakes;
use crate::topic::{SystemTopics, TopicView};
use crate::traffic::ThreadTraffic;

/// Bytes that one connection reads in one go.
pub const READ_BYTES: usize = 256 * 1024;
/// How many emptied batches are kept for the next ones.
const SPARE_BATCHES: usize = 64;

/// The broker's side of a thread: absent where only a name server runs.
pub struct BrokerSide {
    /// The topics.
    pub topics: TopicView,
    /// Which topics belong to the system.
    pub system_topics: SystemTopics,
    /// The consumer groups' settings.
    pub groups: GroupView,
    /// Who is online, and what it subscribes to.
    pub membership: MembershipView,
    /// What groups want by the properties of messages.
    pub filters: FilterView,
    /// The commit log.
    pub log: Arc<LogView>,
    /// The consume queues.
    pub queues: Arc<QueueDirectory>,
    /// How far the index is behind the log.
    pub index_backlog: Arc<Backlog>,
    /// Whether sends are accepted.
    pub gate: Arc<SendGate>,
    /// Takes batches of sends. One address for the whole thread: its clones would widen the mailbox.
    pub append: Recipient<AppendBatch>,
    /// Takes pulls that wait for a message.
    pub hold: Recipient<Park>,
    /// Whether replies to other applications' requests are stored once they are handed over.
    pub store_replies: bool,
    /// How much a pull gets.
    pub limits: Limits,
    /// Looks up what may not be in memory.
    pub cold: Recipient<LookUp>,
    /// How long the messages of each delay level wait.
    pub levels: DelayLevels,
    /// What of delivery times is taken.
    pub timers: TimerRules,
    /// The newest part of the log, in bytes, of which a new group is taken to want the beginning.
    pub in_memory_bytes: u64,
}

/// The shared state of one I/O thread.
pub struct IoState {
    /// The connections.
    pub peers: RefCell<PeerTable>,
    /// Who this broker is.
    pub identity: Arc<Identity>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub entropy: Arc<dyn Entropy>,
    /// The broker's side.
    pub broker: Option<BrokerSide>,
    /// Takes what is not sent or pulled.
    pub router: Router,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// What passes on this thread.
    pub traffic: Arc<ThreadTraffic>,
    /// Hears of batches that were dropped without an outcome.
    pub lost: Recipient<Lost>,
    /// Takes what was looked up on the disk.
    pub looked_up: Recipient<LookedUp>,
    /// How long a connection may be idle.
    pub idle_limit: Duration,
    /// The bytes that may be under way in the whole process.
    pub budgets: Budgets,
    /// What TLS handshakes share.
    pub handshakes: Handshakes,
    /// Whether connections end as soon as their outboxes are empty.
    pub stopping: Cell<bool>,
    /// Compiles the expressions that pulls bring along.
    pub compiler: RefCell<Compiler>,
    /// The batches that the connection whose turn it is fills; empty between turns.
    pub batches: RefCell<Batches>,
    /// What clients were asked and have not answered yet.
    pub questions: Questions,
    /// Which consumers were told of lately.
    pub offset_moves: RefCell<OffsetMoves>,
    /// Connections that wait for room in the log.
    held_back: RefCell<Vec<PeerKey>>,
    /// Those who do not go first.
    pub turns: Turns,
    /// The read buffer, taken by the connection whose turn it is.
    read_buffer: RefCell<Vec<u8>>,
    header_scratch: RefCell<HeaderScratch>,
    spare: RefCell<Vec<SendBatch>>,
}

/// What [`IoState`] is made of.
pub struct IoParts {
    /// The number of the thread.
    pub thread: u16,
    /// Numbers its connections, over all lives of its egress.
    pub generations: Arc<AtomicU32>,
    /// Who this broker is.
    pub identity: Arc<Identity>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub entropy: Arc<dyn Entropy>,
    /// The broker's side.
    pub broker: Option<BrokerSide>,
    /// Takes what is not sent or pulled.
    pub router: Router,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// What passes on this thread.
    pub traffic: Arc<ThreadTraffic>,
    /// Hears of batches that were dropped.
    pub lost: Recipient<Lost>,
    /// Takes what was looked up on the disk.
    pub looked_up: Recipient<LookedUp>,
    /// How long a connection may be idle.
    pub idle_limit: Duration,
    /// The process's budgets.
    pub budgets: Budgets,
    /// What TLS handshakes share.
    pub handshakes: Handshakes,
}

impl IoState {
    /// The state of a thread without connections.
    #[must_use]
    pub fn new(parts: IoParts) -> Rc<Self> {
        Rc::new(Self {
            peers: RefCell::new(PeerTable::new(parts.thread, parts.generations)),
            identity: parts.identity,
            clock: parts.clock,
            entropy: parts.entropy,
            broker: parts.broker,
            router: parts.router,
            metrics: parts.metrics,
            traffic: parts.traffic,
            lost: parts.lost,
            looked_up: parts.looked_up,
            idle_limit: parts.idle_limit,
            compiler: RefCell::new(Compiler::new(Arc::clone(&parts.budgets.filters))),
            budgets: parts.budgets,
            handshakes: parts.handshakes,
            stopping: Cell::new(false),
            batches: RefCell::default(),
            questions: Questions::default(),
            offset_moves: RefCell::default(),
            held_back: RefCell::default(),
            turns: Turns::default(),
            read_buffer: RefCell::default(),
            header_scratch: RefCell::default(),
            spare: RefCell::default(),
        })
    }

    /// Whether a connection has ended and was told of.
    #[must_use]
    pub fn has_lost(&self, peer: &Peer) -> bool {
        self.peers.borrow().get(peer.key).is_none()
    }

    /// The read buffer, [`READ_BYTES`] long. Give it back by [`IoState::return_buffers`].
    pub fn take_buffers(&self) -> (Vec<u8>, HeaderScratch) {
        let mut buffer = self.read_buffer.take();
        if buffer.len() < READ_BYTES {
            buffer.resize(READ_BYTES, 0);
        }
        (buffer, self.header_scratch.take())
    }

    /// Gives the buffers back.
    pub fn return_buffers(&self, buffer: Vec<u8>, scratch: HeaderScratch) {
        self.read_buffer.replace(buffer);
        self.header_scratch.replace(scratch);
    }

    /// An emptied batch, if one is at hand.
    pub fn spare_batch(&self) -> Option<SendBatch> {
        self.spare.borrow_mut().pop()
    }

    /// Keeps an emptied batch for later.
    pub fn recycle(&self, mut batch: SendBatch) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_BATCHES && batch.bytes.capacity() <= 4 * READ_BYTES {
            batch.bytes.clear();
            batch.records.clear();
            batch.keys.clear();
            batch.context.replies.clear();
            spare.push(batch);
        }
    }

    /// Counts a batch of so many bytes and requests that the log gets.
    pub fn enters_the_log(&self, bytes: usize, requests: usize) {
        self.budgets.log.take(bytes);
        self.traffic.in_log.add_alone(requests as u64);
    }

    /// Counts it no longer: it is answered, or was lost on its way.
    pub fn left_the_log(&self, bytes: usize, requests: usize) {
        self.budgets.log.release(bytes);
        self.traffic.in_log.take_alone(requests as u64);
    }

    /// Counts a request that is answered with an error and not worked on.
    pub fn note_refusal(&self, reply: &SendReply, read_at: Duration, response: ResponseCode) {
        let rpc = Rpc {
            oneway: reply.oneway,
            ..Rpc::new(reply.request, response)
        };
        self.traffic.rpcs.note(rpc, ms_between(read_at, self.clock.monotonic()));
    }

    /// Lets a connection wait for room in the log.
    pub fn hold_back(&self, peer: &Peer) {
        if !peer.held_back.replace(true) {
            self.held_back.borrow_mut().push(peer.key);
        }
    }

    /// Lets the connections go on that waited for room in the log; those that still have to wait come back.
    pub fn relieve(&self) {
        if self.held_back.borrow().is_empty() {
            return;
        }
        let peers = self.peers.borrow();
        for key in self.held_back.take() {
            if let Some(peer) = peers.get(key) {
                peer.held_back.set(false);
                peer.wake();
            }
        }
    }
}
