//! Hands everything that is neither a send nor a pull to the actor whose business it is, and brings the answer back. None of
//! it waits behind a send.

mod assignments;
mod broker_requests;
mod broker_settings;
mod clients;
mod consumption;
mod filters;
mod groups;
mod locks;
mod long_answers;
mod members;
mod pending;
mod queries;
mod queue_entries;
mod queue_figures;
mod recall;
mod refusals;
mod replies;
mod resets;
mod runtime_info;
mod send_back;
mod statistics;
mod topics;
mod transactions;
mod wanted;

use actix::{Addr, Recipient};
use bytes::Bytes;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::HeaderCodec;
use cuemq_net::header::HeaderView;
use cuemq_net::request::{PullHeader, QueryOffset, UpdateOffset};
use std::rc::Rc;
use std::sync::Arc;

use crate::cold_reads::ColdReads;
use crate::commit_log::ForgetTopics;
use crate::config::live::Switch;
use crate::group::actor::{FindOrCreateGroup, Groups};
use crate::hold::actor::Forget;
use crate::index::Query;
use crate::io::connection::send_command;
use crate::io::egress::{AskClient, Door, TellClients};
use crate::io::peer_table::{Again, HeldFrame, Peer};
use crate::io::send_answer;
use crate::io::send_context::SendReply;
use crate::io::state::IoState;
use crate::namesrv::{NameServerRequest, PeerClosed};
use crate::offset::actor::{CommitOffsets, FindOffset, Offsets};
use crate::peer::PeerKey;
use crate::reappend::Reappender;
use crate::rebalance::actor::{
    ExportProducers, Heartbeat, LockQueues, PeerClosed as MemberClosed, UnlockQueues, Unregister,
};
use crate::registrar::FindRoute;
use crate::retention::{DeleteExpired, FollowLog};
use crate::rpc_times::{Rpc, ms_between};
use crate::schedule::actor::ExportDelays;
use crate::settings::{ChangeSettings, TellSettings};
use crate::statistics::actor::{FindFigure, TellStore};
use crate::table_file::ChangeError;
use crate::topic::actor::{CreateDeadLetterTopic, CreateRetryTopic, CreateTopicOnSend, Topics};
use crate::under_way::Processor;

use self::pending::{PendingCommits, PendingGroups};
pub(crate) use self::replies::stored_properties;
pub use self::wanted::TopicWanted;

/// The actors behind the broker's requests.
pub struct BrokerActors {
    /// Owns the topics: makes one on its first message.
    pub create_on_send: Recipient<CreateTopicOnSend>,
    /// Makes a group's retry topic.
    pub create_retry: Recipient<CreateRetryTopic>,
    /// Makes a group's topic of dead letters.
    pub create_dead_letters: Recipient<CreateDeadLetterTopic>,
    /// Owns the groups.
    pub groups: Recipient<FindOrCreateGroup>,
    /// Whether the first use makes a group.
    pub auto_create_group: Switch,
    /// Owns the consumer offsets.
    pub commit: Recipient<CommitOffsets>,
    /// Tells them.
    pub offsets: Recipient<FindOffset>,
    /// Owns the membership.
    pub heartbeat: Recipient<Heartbeat>,
    /// Hears who leaves.
    pub leave: Recipient<Unregister>,
    /// Hears who is gone.
    pub gone: Recipient<MemberClosed>,
    /// Locks queues.
    pub lock: Recipient<LockQueues>,
    /// Unlocks them.
    pub unlock: Recipient<UnlockQueues>,
    /// This thread's hold.
    pub forget: Recipient<Forget>,
    /// Answers what the disk may have to be asked for.
    pub cold: Addr<ColdReads>,
    /// Finds messages by key, unless the index is switched off.
    pub index: Option<Recipient<Query>>,
    /// The ways to the clients of each I/O thread, by number.
    pub clients: Vec<ClientsOfThread>,
    /// Writes messages again: those that come back, and those of transactions that are committed.
    pub reappender: Reappender,
    /// Do what administrators ask for.
    pub owners: Owners,
}

/// The ways to the clients of an I/O thread.
pub struct ClientsOfThread {
    /// Asks one, and waits for its answer.
    pub ask: Recipient<AskClient>,
    /// Tells some.
    pub tell: Recipient<TellClients>,
}

/// The owners of the broker's tables, for the requests of administrators.
pub struct Owners {
    /// Owns the topics.
    pub topics: Addr<Topics>,
    /// Owns the groups.
    pub groups: Addr<Groups>,
    /// Owns the consumer offsets.
    pub offsets: Addr<Offsets>,
    /// Knows how far delayed messages are delivered.
    pub delays: Recipient<ExportDelays>,
    /// Knows the producers.
    pub producers: Recipient<ExportProducers>,
    /// Empties the queues of deleted topics.
    pub forget_topics: Recipient<ForgetTopics>,
    /// Deletes what is old enough.
    pub delete_expired: Recipient<DeleteExpired>,
    /// Has the consume queues begin where the log begins.
    pub follow_log: Recipient<FollowLog>,
    /// Changes settings.
    pub change_settings: Recipient<ChangeSettings>,
    /// Tells them.
    pub tell_settings: Recipient<TellSettings>,
    /// Finds where a topic's queues are.
    pub find_route: Recipient<FindRoute>,
    /// Tells what topics and groups had in the last minute, hour and day.
    pub find_figure: Recipient<FindFigure>,
    /// Tells the rates and totals of all.
    pub tell_store: Recipient<TellStore>,
}

/// A request as it lies in the read buffer.
#[derive(Clone, Copy)]
pub struct Control<'a, 'h> {
    /// Its header.
    pub view: &'a HeaderView<'h>,
    /// The header's encoding.
    pub codec: HeaderCodec,
    /// Its body.
    pub body: &'a [u8],
    /// Where it came in.
    pub door: Door,
    /// The length of its frame.
    pub bytes: usize,
}

/// One I/O thread's way to the other actors.
pub struct Router {
    broker: Option<BrokerActors>,
    commits: Option<Rc<PendingCommits>>,
    groups: Option<Rc<PendingGroups>>,
    name_server: Option<(Recipient<NameServerRequest>, Recipient<PeerClosed>)>,
}

impl Router {
    /// A router to what runs in this process.
    #[must_use]
    pub fn new(
        broker: Option<BrokerActors>,
        name_server: Option<(Recipient<NameServerRequest>, Recipient<PeerClosed>)>,
    ) -> Self {
        let commits = broker.as_ref().map(|broker| PendingCommits::new(broker.commit.clone()));
        let groups = broker.as_ref().map(|broker| PendingGroups::new(broker.groups.clone()));
        Self {
            broker,
            commits,
            groups,
            name_server,
        }
    }

    /// Takes a request from a connection.
    pub fn take(&self, io: &Rc<IoState>, peer: &Rc<Peer>, control: Control<'_, '_>) {
        let Control { door, bytes, .. } = control;
        let code = RequestCode(control.view.code);
        let read_at = peer.active.get();
        let request = Command::from_view(control.codec, control.view, Bytes::copy_from_slice(control.body));
        let (io, peer) = (Rc::clone(io), Rc::clone(peer));
        let share = io.budgets.controls.share(bytes);
        // Name servers of RocketMQ tell no figures.
        let is_counted = door != Door::NameServer && io.broker.is_some();
        let counted = is_counted.then(|| io.traffic.under_way.count(Processor::of(code)));
        peer.control_begins(bytes);
        let number = peer.number_request();
        drop(actix_rt::spawn(async move {
            let may_be_long = long_answers::may_be_long(door, request.code);
            let turn = match may_be_long {
                true => peer.answers.next(&peer.outbox).await,
                false => None,
            };
            if io.has_lost(&peer) {
                // Its connection was read for the last time and has ended since: nobody must hear of it now.
                return;
            }
            let answer = match door {
                Door::NameServer => io.router.ask_name_server(&peer, request.clone()).await,
                Door::Broker | Door::Fast => broker_requests::answer(&io, &peer, door, &request, number).await,
            };
            let oneway = request.is_oneway();
            let (answer, long) = answer.map(|answer| long_answers::admit(&io, &request, answer)).unzip();
            if let Some(answer) = answer.as_ref().filter(|_| is_counted) {
                let rpc = Rpc {
                    oneway,
                    ..Rpc::new(code, ResponseCode(answer.code))
                };
                io.traffic.rpcs.note(rpc, ms_between(read_at, io.clock.monotonic()));
            }
            drop((request, share, counted));
            peer.control_ends(bytes);
            if io.has_lost(&peer) {
                // A full mailbox may have let the end of the connection pass its last words.
                io.router.peer_closed(peer.key, door);
            }
            match answer {
                Some(answer) if !oneway => send_command(&peer, &answer),
                _ => peer.wake(),
            }
            if turn.is_some() && !oneway {
                long_answers::taken(&peer, long.flatten()).await;
            }
        }));
    }

    async fn ask_name_server(&self, peer: &Peer, request: Command) -> Option<Command> {
        let refusal = Command::response_to(&request, ResponseCode::SYSTEM_ERROR);
        let Some((name_server, _)) = &self.name_server else {
            return Some(refusal);
        };
        match name_server
            .send(NameServerRequest {
                peer: peer.key,
                command: request,
            })
            .await
        {
            Ok(answer) => Some(answer),
            Err(error) => Some(refusal.with_remark(format!("the name server is starting anew, ask again: {error}"))),
        }
    }

    fn broker(&self) -> Option<&BrokerActors> {
        self.broker.as_ref()
    }

    /// A connection has ended.
    #[expect(clippy::disallowed_methods, reason = "once for each connection")]
    pub fn peer_closed(&self, peer: PeerKey, door: Door) {
        match (door, &self.broker, &self.name_server) {
            (Door::NameServer, _, Some((_, closed))) => closed.do_send(PeerClosed { peer }),
            (Door::Broker | Door::Fast, Some(broker), _) => {
                broker.forget.do_send(Forget(peer));
                // Also of one that never was a member: its first heartbeat may still be on its way.
                broker.gone.do_send(MemberClosed(peer));
            }
            _ => {}
        }
    }

    /// Commits an offset that came with a pull.
    pub fn commit_with_pull(&self, header: &PullHeader<'_>) {
        if let Some(commits) = &self.commits {
            commits.add(header);
        }
    }

    /// What a client's pull has just committed, on its way to `Offsets`.
    fn on_its_way(&self, header: &QueryOffset<'_>) -> Option<i64> {
        let commits = self.commits.as_ref()?;
        commits.gathered(header.consumer_group, header.topic, header.queue_id)
    }

    /// A client commits by itself: what its pulls said before counts no more.
    fn overtakes(&self, header: &UpdateOffset<'_>) {
        if let Some(commits) = &self.commits {
            commits.overtaken(header.consumer_group, header.topic, header.queue_id);
        }
    }

    /// Has a group made on its first use; whether it will be. The pull that uses it goes on with the settings that it will
    /// have.
    pub fn make_group(&self, group: &str) -> bool {
        let is_made = self.broker().is_some_and(|broker| broker.auto_create_group.is_on());
        let Some(groups) = self.groups.as_ref().filter(|_| is_made) else {
            return false;
        };
        groups.make(group);
        true
    }

    /// Has a topic made, which the name servers know before it is answered, and lets the send that wanted it be tried again.
    pub fn make_topic(
        &self,
        io: &Rc<IoState>,
        peer: &Rc<Peer>,
        wanted: TopicWanted,
        reply: SendReply,
        frame: HeldFrame,
    ) {
        let (io, peer) = (Rc::clone(io), Rc::clone(peer));
        drop(actix_rt::spawn(async move {
            match io.router.make(wanted).await {
                // The connection counts the request as under way until it has taken it up again.
                Ok(()) => peer.again.borrow_mut().push_back(Again::Frame(frame)),
                Err((code, remark)) => {
                    peer.topic_made(&frame);
                    io.note_refusal(&reply, frame.read_at, code);
                    let identity = &io.identity;
                    peer.outbox
                        .borrow_mut()
                        .append(|out| send_answer::write_error(out, identity, &reply, code, &remark));
                }
            }
            peer.wake();
        }));
    }

    async fn make(&self, wanted: TopicWanted) -> Result<(), (ResponseCode, String)> {
        let unavailable = |error: String| (ResponseCode::SYSTEM_ERROR, error);
        let broker = self
            .broker()
            .ok_or_else(|| unavailable("no broker runs here".to_owned()))?;
        let made = match wanted {
            TopicWanted::OnSend(create) => broker.create_on_send.send(create).await,
            TopicWanted::DeadLetters { group } => {
                broker
                    .create_dead_letters
                    .send(CreateDeadLetterTopic {
                        group: Arc::from(group),
                    })
                    .await
            }
        };
        match made {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(ChangeError::Refused(refused))) => Err((refused.code(), refused.to_string())),
            Ok(Err(error)) => Err(unavailable(error.to_string())),
            Err(error) => Err(unavailable(format!(
                "the topics' owner is starting anew, send again: {error}"
            ))),
        }
    }
}
