//! One for each I/O thread: serves the thread's connections and brings them what other actors have for them.
//!
//! Everything that is ready for a connection goes into its outbox; its task writes it once per turn, so that all replies
//! of a tick go out in one call. Messages here carry batches, never single replies of sends.

use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message};
use cuemq_net::command::Command;
use cuemq_storage::commit_log::Answer;
use cuemq_storage::log_state::Outcome;
use smallvec::SmallVec;

use super::connection;
use super::outbox::Slices;
use super::peer_table::{Again, Peer};
use super::pull::ParkedPull;
use super::send_answer;
use super::send_context::{SendContext, SendReply};
use super::state::IoState;
use crate::net::Accepted;
use crate::peer::PeerKey;
use crate::supervise::Context;

/// How often connections are looked at for idleness and stalls.
const SWEEP: Duration = Duration::from_secs(5);
/// How often connections that the budget holds back are let go on.
const RELIEF: Duration = Duration::from_millis(50);
/// A connection that takes nothing of what waits for it is closed after this time.
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
    /// The requests in it.
    pub replies: SmallVec<[SendReply; 8]>,
    /// What it took of the budget.
    pub bytes: usize,
    /// What they are told.
    pub outcome: Outcome,
}

/// Pulls that waited can be tried again. From `Hold`, bounded by what is parked.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Resume {
    /// The pulls, each with its connection.
    pub pulls: Vec<(PeerKey, Box<ParkedPull>)>,
}

/// A frame for a connection. From anybody, bounded by requests under way.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Deliver {
    /// The connection.
    pub peer: PeerKey,
    /// The command.
    pub command: Command,
}

/// Records that were made present for a pull. From `ColdReads`, bounded by pulls under way.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct DeliverRecords {
    /// The connection.
    pub peer: PeerKey,
    /// The frame up to its body.
    pub head: Vec<u8>,
    /// The body.
    pub records: Slices,
}

/// Close all connections once their outboxes are empty. From `BrokerSystem`, once.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct CloseAll;

/// The actor.
pub struct Egress {
    io: Rc<IoState>,
}

impl Egress {
    /// Serves connections with this state.
    #[must_use]
    pub fn new(io: Rc<IoState>) -> Self {
        Self { io }
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
        ctx.run_interval(RELIEF, |egress, _| egress.io.relieve());
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
        for mut answer in completed.answers {
            answer.batch.context.settle();
            self.io.release(answer.batch.context.bytes);
            if let Some(peer) = self.peer(answer.batch.context.peer) {
                peer.in_flight.set(peer.in_flight.get().saturating_sub(answer.batch.context.bytes));
                let identity = &self.io.identity;
                peer.outbox.borrow_mut().append(|out| send_answer::write(out, identity, &answer));
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
        self.io.release(lost.bytes);
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
                peer.again.borrow_mut().push_back(Again::Pull(pull));
                peer.wake();
            }
        }
    }
}

impl Handler<Deliver> for Egress {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Self::Context) {
        if let Some(peer) = self.peer(deliver.peer) {
            connection::send_command(&peer, &deliver.command);
        }
    }
}

impl Handler<DeliverRecords> for Egress {
    type Result = ();

    fn handle(&mut self, deliver: DeliverRecords, _: &mut Self::Context) {
        if let Some(peer) = self.peer(deliver.peer) {
            peer.controls.set(peer.controls.get().saturating_sub(1));
            let mut outbox = peer.outbox.borrow_mut();
            outbox.append(|out| out.extend_from_slice(&deliver.head));
            outbox.append_records(deliver.records);
            drop(outbox);
            peer.wake();
        }
    }
}

impl Handler<CloseAll> for Egress {
    type Result = ();

    fn handle(&mut self, _: CloseAll, _: &mut Self::Context) {
        self.io.stopping.set(true);
        for peer in self.io.peers.borrow().iter() {
            peer.wake();
        }
    }
}

impl Egress {
    fn peer(&self, key: PeerKey) -> Option<Rc<Peer>> {
        self.io.peers.borrow().get(key).map(Rc::clone)
    }

    fn sweep(&self) {
        let now = self.io.clock.monotonic();
        for peer in self.io.peers.borrow().iter() {
            if peer.stalled.get().is_some_and(|since| now.saturating_sub(since) > STALL_LIMIT) {
                peer.close("it takes nothing of what is sent to it");
            } else if now.saturating_sub(peer.active.get()) > self.io.idle_limit {
                peer.close("idle");
            }
        }
    }
}
