//! One for each I/O thread: serves the thread's connections and brings them what other actors have for them.
//!
//! Everything that is ready for a connection goes into its outbox; its task writes it once per turn, so that all replies
//! of a tick go out in one call. Messages here carry batches, never single replies of sends.

use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, MessageResult, ResponseFuture};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_storage::commit_log::Answer;
use cuemq_storage::log_state::Outcome;

use super::connection;
use super::look_up::Found;
use super::peer_table::{Again, Peer};
use super::questions::{self, Unanswered};
use super::send_answer;
use super::send_context::{SendContext, SendReply};
use super::state::IoState;
use super::{pressure, pull};
use crate::hold::ParkedPull;
use crate::hold::actor::Resume;
use crate::net::Accepted;
use crate::peer::{ClosePeer, PeerKey};
use crate::rebalance::actor::{ClosePeers, NotifyMembers, RecallPeers};
use crate::rpc_times::{Sends, ms_between};
use crate::supervise::Context;

/// How often connections are looked at for idleness and stalls.
const SWEEP: Duration = Duration::from_secs(5);
/// A connection that takes nothing of what waits for it, or brings nothing of what it has begun, is closed after this time.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Which service a connection was made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The broker's port.
    Broker,
    /// The broker's port less 2: everything but pulls.
    Fast,
    /// The name server's port.
    NameServer,
}

/// Serve this connection. From `Listener`, bounded by its limit of connections.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Serve {
    /// The connection.
    pub accepted: Box<dyn Accepted>,
    /// Where it came in.
    pub door: Door,
    /// Given back when it ends.
    pub permit: crate::listener::Permit,
}

/// Batches have their outcome. From `CommitLog`, one for each tick, bounded by the budget of their bytes.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Completed {
    /// The batches of this thread's connections.
    pub answers: Vec<Answer<SendContext>>,
}

/// A batch was lost on its way. From its own drop.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Lost {
    /// The connection.
    pub peer: PeerKey,
    /// When its first request was read, by the monotonic clock.
    pub read: Duration,
    /// What the requests in it are.
    pub sends: Sends,
    /// The requests in it.
    pub replies: Vec<SendReply>,
    /// What it took of the budget.
    pub bytes: usize,
    /// What they are told.
    pub outcome: Outcome,
}

/// What was found for a pull of old messages. From `ColdReads`, bounded by pulls under way.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct LookedUp {
    /// The connection.
    pub peer: PeerKey,
    /// The pull.
    pub pull: Box<ParkedPull>,
    /// What there is for it.
    pub found: Found,
}

/// Ask a client, and give its answer or why there is none. From connections of any thread, one or a few for each of their
/// requests under way; at most [`questions::QUESTIONS_MAX`] wait on a thread.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Command, Unanswered>")]
pub struct AskClient {
    /// The client's connection.
    pub peer: PeerKey,
    /// The question; its number is set by the thread.
    pub command: Command,
    /// How long to wait for the answer.
    pub patience: Duration,
}

/// Tell these clients something that they do not answer. From connections of any thread, one for each thread and each of
/// their requests under way.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub struct TellClients {
    /// The clients' connections.
    pub peers: Vec<PeerKey>,
    /// What they are told, oneway.
    pub command: Command,
}

/// Close all connections once their outboxes are empty. From `BrokerSystem`, once.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct CloseAll;

/// The actor.
pub struct Egress {
    io: Rc<IoState>,
    /// Where message ids are put together.
    ids: Vec<u8>,
}

impl Egress {
    /// Serves connections with this state.
    #[must_use]
    pub fn new(io: Rc<IoState>) -> Self {
        Self { io, ids: Vec::new() }
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        for peer in self.io.peers.borrow().iter() {
            peer.close("its I/O thread starts anew");
        }
    }
}

impl Actor for Egress {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SWEEP, |egress, _| egress.sweep());
        self.relieve(ctx);
    }
}

impl Handler<Serve> for Egress {
    type Result = ();

    fn handle(&mut self, serve: Serve, _: &mut Self::Context) {
        connection::spawn(Rc::clone(&self.io), serve);
    }
}

impl Handler<Completed> for Egress {
    type Result = ();

    fn handle(&mut self, completed: Completed, _: &mut Self::Context) {
        let now = self.io.clock.monotonic();
        for mut answer in completed.answers {
            answer.batch.context.settle();
            let context = &answer.batch.context;
            self.io.left_the_log(context.bytes, context.replies.len());
            self.count(&answer, now);
            if let Some(peer) = self.peer(answer.batch.context.peer) {
                peer.sends_answered(answer.batch.context.bytes);
                let identity = &self.io.identity;
                peer.outbox
                    .borrow_mut()
                    .append(|out| send_answer::write(out, identity, &answer, &mut self.ids));
                peer.wake();
            }
            self.io.recycle(answer.batch);
        }
        self.io.relieve();
    }
}

impl Handler<Lost> for Egress {
    type Result = ();

    fn handle(&mut self, lost: Lost, _: &mut Self::Context) {
        // One that was not handed to the log yet was not counted there.
        let counted = if lost.bytes > 0 { lost.replies.len() } else { 0 };
        self.io.left_the_log(lost.bytes, counted);
        let took_ms = ms_between(lost.read, self.io.clock.monotonic());
        let code = send_answer::refusal_code(lost.outcome);
        self.io.traffic.rpcs.note_sends(&lost.sends, code, took_ms);
        if let Some(peer) = self.peer(lost.peer) {
            peer.in_flight.set(peer.in_flight.get().saturating_sub(lost.bytes));
            let identity = &self.io.identity;
            let mut outbox = peer.outbox.borrow_mut();
            outbox.append(|out| {
                for reply in &lost.replies {
                    send_answer::write_refusal(out, identity, reply, lost.outcome);
                }
            });
            drop(outbox);
            peer.wake();
        }
    }
}

impl Handler<Resume> for Egress {
    type Result = ();

    fn handle(&mut self, resume: Resume, _: &mut Self::Context) {
        for (key, pull) in resume.pulls {
            if let Some(peer) = self.peer(key) {
                peer.pulls.set(peer.pulls.get().saturating_sub(1));
                peer.again.borrow_mut().push_back(Again::Pull(pull));
                peer.wake();
            }
        }
    }
}

impl Handler<LookedUp> for Egress {
    type Result = ();

    fn handle(&mut self, looked_up: LookedUp, _: &mut Self::Context) {
        let LookedUp { peer, pull, found } = looked_up;
        if let (Some(peer), Some(broker)) = (self.peer(peer), &self.io.broker) {
            peer.controls.set(peer.controls.get().saturating_sub(1));
            pull::conclude(&self.io, broker, &peer, pull, found);
            peer.wake();
        }
    }
}

impl Handler<ClosePeer> for Egress {
    type Result = ();

    fn handle(&mut self, close: ClosePeer, _: &mut Self::Context) {
        if let Some(peer) = self.peer(close.peer) {
            peer.close("closed by the broker");
        }
    }
}

impl Handler<RecallPeers> for Egress {
    type Result = MessageResult<RecallPeers>;

    fn handle(&mut self, _: RecallPeers, _: &mut Self::Context) -> Self::Result {
        let kept = |peer: &Rc<Peer>| Some((peer.key, peer.kept()?));
        MessageResult(self.io.peers.borrow().iter().filter_map(kept).collect())
    }
}

impl Handler<NotifyMembers> for Egress {
    type Result = ();

    fn handle(&mut self, notify: NotifyMembers, _: &mut Self::Context) {
        let command = Command::request(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED)
            .with_field("consumerGroup", &notify.group)
            .oneway();
        for peer in notify.peers.into_iter().filter_map(|key| self.peer(key)) {
            connection::send_command(&peer, &command);
        }
    }
}

impl Handler<AskClient> for Egress {
    type Result = ResponseFuture<Result<Command, Unanswered>>;

    fn handle(&mut self, ask: AskClient, _: &mut Self::Context) -> Self::Result {
        let io = Rc::clone(&self.io);
        Box::pin(async move { questions::ask(&io, ask).await })
    }
}

impl Handler<TellClients> for Egress {
    type Result = ();

    fn handle(&mut self, tell: TellClients, _: &mut Self::Context) {
        for peer in tell.peers.into_iter().filter_map(|key| self.peer(key)) {
            if peer.outbox.borrow().is_full() {
                let (remote, code) = (peer.remote, tell.command.code);
                tracing::warn!(%remote, code, "a client is not told, since it takes nothing of what waits for it");
            } else {
                connection::send_command(&peer, &tell.command);
            }
        }
    }
}

impl Handler<ClosePeers> for Egress {
    type Result = ();

    fn handle(&mut self, close: ClosePeers, _: &mut Self::Context) {
        for peer in close.peers.into_iter().filter_map(|key| self.peer(key)) {
            peer.close("silent for too long");
        }
    }
}

impl Handler<CloseAll> for Egress {
    type Result = ();

    fn handle(&mut self, _: CloseAll, _: &mut Self::Context) {
        self.io.stopping.set(true);
        // No answer is read any more.
        self.io.questions.end();
        for peer in self.io.peers.borrow().iter() {
            peer.wake();
        }
    }
}

impl Egress {
    /// Takes memory back where it is wanted, now and from now on.
    fn relieve(&mut self, ctx: &mut Context<Self>) {
        let again = pressure::relieve(&self.io, self.io.clock.monotonic());
        ctx.run_later(again, Self::relieve);
    }

    fn peer(&self, key: PeerKey) -> Option<Rc<Peer>> {
        self.io.peers.borrow().get(key).map(Rc::clone)
    }

    /// Counts what a batch has brought and how long it took, and says where the time went when that was too long.
    fn count(&self, answer: &Answer<SendContext>, now: Duration) {
        let context = &answer.batch.context;
        if answer.outcome == Outcome::Stored {
            context.brings.count(&self.io.traffic);
        }
        let times = context.times;
        let (code, took_ms) = (send_answer::code(answer.outcome), ms_between(times.read, now));
        self.io.traffic.rpcs.note_sends(&context.brings.sends, code, took_ms);
        let took = now.saturating_sub(times.read);
        self.io.metrics.send_times.note(took);
        let Some(left_out) = self.io.metrics.slow_sends.note(took, now) else {
            return;
        };
        let ms = |from: Duration, to: Duration| to.saturating_sub(from).as_millis();
        tracing::warn!(
            remote = self.peer(context.peer).map(|peer| tracing::field::display(peer.remote)),
            messages = answer.batch.records.len(),
            bytes = context.bytes,
            took_ms = took.as_millis(),
            waited_for_the_log_ms = ms(times.read, times.taken),
            in_the_log_ms = ms(times.taken, times.released),
            of_which_the_last_flush_ms = times.flush.min(times.released.saturating_sub(times.taken)).as_millis(),
            way_back_ms = ms(times.released, now),
            left_out,
            "a slow send"
        );
    }

    fn sweep(&self) {
        let now = self.io.clock.monotonic();
        for peer in self.io.peers.borrow().iter() {
            if peer
                .stalled
                .get()
                .is_some_and(|since| now.saturating_sub(since) > STALL_LIMIT)
            {
                peer.close("it takes nothing of what is sent to it");
            } else if now.saturating_sub(peer.active.get()) > self.io.idle_limit {
                peer.close("idle");
            } else if peer.begun.get().is_some_and(|since| {
                now.saturating_sub(since) > self.io.idle_limit
                    || now.saturating_sub(since.max(peer.active.get())) > STALL_LIMIT
            }) {
                peer.close("a frame of it does not come to its end");
            }
        }
    }
}
