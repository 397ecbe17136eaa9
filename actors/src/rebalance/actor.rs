//! The owner of group membership and queue locks: takes heartbeats, leaves and closed connections, makes the groups and retry
//! topics that a heartbeat needs, tells members of changes, and locks queues for those who consume in order.
//!
//! Built anew after a failure, it first asks every I/O thread for what its connections keep; until all have answered, no
//! message is handled; and since a notice that was still to be sent may have been lost with the value before, all groups
//! are told then. Notices of one turn are gathered, so that a hundred members who leave together are one notice to
//! those who stay.

mod keeping;
#[cfg(test)]
mod rules_test;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::ActorFutureExt;
use actix::{Actor, AsyncContext, Handler, Message, MessageResult, Recipient, ResponseFuture, WrapFuture};
use cuemq_net::body::{HeartbeatData, LockBatch, MessageQueue, ProducerTable};
use cuemq_storage::clock::Clock;
use futures_util::FutureExt;
use futures_util::future::{join, join_all, ready};

use self::keeping::Keeping;
use super::filters;
use super::lock_file::KeepLocks;
use super::{
    Client, ConsumerGroup, Departure, Heard, MAX_LOCK_BYTES, Membership, MembershipView, PeerRecord, QueueLocks,
    TooMuch,
};
use crate::filter::FilterView;
use crate::filter::actor::{LeaveFilters, RegisterFilters};
use crate::group::GroupView;
use crate::group::actor::FindOrCreateGroup;
use crate::peer::PeerKey;
use crate::slow::Seldom;
use crate::supervise::Context;
use crate::topic::actor::CreateRetryTopic;
use crate::topic::{RETRY_PREFIX, TopicView};

/// Take in a heartbeat; answers what the connection keeps. From a connection, bounded by its requests under way.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Arc<PeerRecord>, TooMuch>")]
pub struct Heartbeat {
    /// The connection.
    pub peer: PeerKey,
    /// The client behind it.
    pub client: Client,
    /// What it says.
    pub data: HeartbeatData,
}

/// Take a connection out of a group, or one of each kind (code 35); answers what the connection keeps. From a connection,
/// bounded by its requests under way.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Option<Arc<PeerRecord>>")]
pub struct Unregister {
    /// The connection.
    pub peer: PeerKey,
    /// The consumer group.
    pub consumer_group: Option<String>,
    /// The producer group.
    pub producer_group: Option<String>,
}

/// Forget a connection: it is closed. From the connection, once.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "()")]
pub struct PeerClosed(pub PeerKey);

/// Lock queues for a client (code 41); answers those that it holds now, once that is kept. From connections, bounded by their requests under
/// way.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Vec<MessageQueue>")]
pub struct LockQueues(pub LockBatch);

/// Unlock those of these queues that the client holds (code 42). From connections, bounded by their requests under way.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub struct UnlockQueues(pub LockBatch);

/// Give all producers (code 328). From connections, one of each at a time.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "ProducerTable")]
pub struct ExportProducers;

/// Give back what your connections keep. To each I/O thread, once in a life of `Rebalance`.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "Vec<(PeerKey, Arc<PeerRecord>)>")]
pub struct RecallPeers;

/// Tell these members that their group has changed (code 40). To an I/O thread, one for each changed group and turn.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub struct NotifyMembers {
    /// The group.
    pub group: Arc<str>,
    /// Its members on that thread.
    pub peers: Vec<PeerKey>,
}

/// Close these connections: they have been silent for too long. To an I/O thread, at most one for each expiry.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub struct ClosePeers {
    /// The connections.
    pub peers: Vec<PeerKey>,
}

/// Tell the members of changed groups: to itself, behind what is in the mailbox already.
#[derive(Message)]
#[rtype(result = "()")]
struct Notify;

/// What an I/O thread does for `Rebalance`.
#[derive(Clone)]
pub struct ConnectionsOfThread {
    /// Gives back what connections keep.
    pub recall: Recipient<RecallPeers>,
    /// Tells members of a change.
    pub notify: Recipient<NotifyMembers>,
    /// Closes connections.
    pub close: Recipient<ClosePeers>,
}

/// Whom `Rebalance` works with.
#[derive(Clone)]
pub struct Neighbours {
    /// The I/O threads, by number.
    pub threads: Vec<ConnectionsOfThread>,
    /// The groups' configurations.
    pub group_view: GroupView,
    /// The topics.
    pub topic_view: TopicView,
    /// Makes a group on its first use.
    pub groups: Recipient<FindOrCreateGroup>,
    /// Makes its retry topic.
    pub topics: Recipient<CreateRetryTopic>,
    /// The registered filters.
    pub filter_view: FilterView,
    /// Registers those that a heartbeat tells.
    pub filters: Recipient<RegisterFilters>,
    /// Hears of groups that have left theirs.
    pub leave_filters: Recipient<LeaveFilters>,
    /// Keeps the locks.
    pub lock_file: Recipient<KeepLocks>,
}

/// What can be set.
#[derive(Clone, Copy, Debug)]
pub struct RebalanceSettings {
    /// Whether members are told of changes at all (`notifyConsumerIdsChangedEnable`).
    pub notifies: bool,
    /// How often silent connections are looked for.
    pub expiry_interval: Duration,
}

impl Default for RebalanceSettings {
    fn default() -> Self {
        Self {
            notifies: true,
            expiry_interval: Duration::from_secs(10),
        }
    }
}

/// The owner of group membership and queue locks.
pub struct Rebalance {
    membership: Membership,
    locks: QueueLocks,
    keeping: Keeping,
    /// Lines about locks that find no room, or cannot be kept.
    locks_told: Seldom,
    settings: RebalanceSettings,
    view: MembershipView,
    clock: Arc<dyn Clock>,
    neighbours: Neighbours,
    /// The groups to be told of, as they were last.
    changed: BTreeMap<Arc<str>, Arc<ConsumerGroup>>,
}

impl Rebalance {
    /// Owns the membership that `view` shows, and `locks` as they are.
    #[must_use]
    pub fn new(
        settings: RebalanceSettings,
        view: MembershipView,
        locks: QueueLocks,
        clock: Arc<dyn Clock>,
        neighbours: Neighbours,
    ) -> Self {
        // The view keeps what it shows until the connections have been asked.
        let membership = Membership::new(settings.notifies, MembershipView::new());
        Self {
            membership,
            locks,
            keeping: Keeping::default(),
            locks_told: Seldom::default(),
            settings,
            view,
            clock,
            neighbours,
            changed: BTreeMap::new(),
        }
    }

    fn rebuild(&mut self, kept: impl IntoIterator<Item = (PeerKey, Arc<PeerRecord>)>, ctx: &mut Context<Self>) {
        self.membership = Membership::rebuild(
            self.settings.notifies,
            self.view.clone(),
            kept,
            self.clock.monotonic_ms(),
        );
        let groups = &self.neighbours.group_view;
        let all = self.membership.all_to_tell(|group| notifies(groups, group));
        self.tell(all, ctx);
    }

    fn expire(&mut self, ctx: &mut Context<Self>) {
        let now_ms = self.clock.monotonic_ms();
        let is_less = self.locks.own().expire(now_ms);
        if is_less {
            self.keep_locks(ctx);
        }
        let silent = self.membership.expire(now_ms);
        for (thread, peers) in by_thread(silent.into_iter()) {
            if let Some(connections) = self.neighbours.threads.get(usize::from(thread)) {
                send(&connections.close, ClosePeers { peers });
            }
        }
        let Neighbours {
            filter_view,
            leave_filters,
            ..
        } = &self.neighbours;
        if let Some(left) = filters::left(filter_view, &self.membership.view()) {
            send(leave_filters, left);
        }
    }

    fn tell(&mut self, changed: Vec<Arc<ConsumerGroup>>, ctx: &mut Context<Self>) {
        if self.changed.is_empty() && !changed.is_empty() {
            ctx.notify(Notify);
        }
        self.changed
            .extend(changed.into_iter().map(|group| (Arc::clone(&group.name), group)));
    }

    /// The groups of a heartbeat that have no configuration or no retry topic, and whether they belong to a unit.
    fn lacking(&self, data: &HeartbeatData) -> Vec<(Arc<str>, bool)> {
        let Neighbours {
            group_view, topic_view, ..
        } = &self.neighbours;
        let lacks =
            |group: &str| !group_view.contains(group) || !topic_view.contains(&format!("{RETRY_PREFIX}{group}"));
        let lacking = data.consumers.iter().filter(|said| lacks(&said.group_name));
        lacking
            .map(|said| (Arc::from(said.group_name.as_str()), said.unit_mode))
            .collect()
    }
}

/// Whether a group's configuration lets its members be told.
fn notifies(groups: &GroupView, group: &str) -> bool {
    let switch = groups.with(group, |group| group.config.notify_consumer_ids_changed_enable);
    switch.unwrap_or(true)
}

/// Makes what a heartbeat's groups lack, and has their filters registered.
async fn make_all(neighbours: Neighbours, lacking: Vec<(Arc<str>, bool)>, told: Vec<RegisterFilters>) {
    let made = lacking.into_iter().map(|(group, unit)| make(&neighbours, group, unit));
    join(join_all(made), filters::register(&neighbours, told)).await;
}

/// Makes a group and its retry topic, by whose route administrators find the group's brokers. What cannot be made is
/// noted; the heartbeat counts all the same.
async fn make(neighbours: &Neighbours, group: Arc<str>, unit: bool) {
    let Neighbours { groups, topics, .. } = neighbours;
    let config = match groups
        .send(FindOrCreateGroup {
            group: Arc::clone(&group),
        })
        .await
    {
        Ok(Ok(config)) => config,
        Ok(Err(error)) => return tracing::debug!(%group, %error, "a group was not made for a heartbeat"),
        Err(error) => return tracing::warn!(%group, %error, "a group could not be made for a heartbeat"),
    };
    let queue_nums = config.config.retry_queue_nums;
    match topics
        .send(CreateRetryTopic {
            group: Arc::clone(&group),
            queue_nums,
            unit,
        })
        .await
    {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%group, %error, "a retry topic was not made for a heartbeat"),
        Err(error) => tracing::warn!(%group, %error, "a retry topic could not be made for a heartbeat"),
    }
}

fn by_thread(peers: impl Iterator<Item = PeerKey>) -> BTreeMap<u16, Vec<PeerKey>> {
    let mut threads: BTreeMap<u16, Vec<PeerKey>> = BTreeMap::new();
    for peer in peers {
        threads.entry(peer.thread).or_default().push(peer);
    }
    threads
}

#[expect(
    clippy::disallowed_methods,
    reason = "one for each group and turn, or for each expiry"
)]
fn send<M: Message<Result = ()> + Send>(to: &Recipient<M>, message: M) {
    to.do_send(message);
}

impl Actor for Rebalance {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.settings.expiry_interval, Self::expire);
        let recalls: Vec<_> = self
            .neighbours
            .threads
            .iter()
            .map(|thread| thread.recall.send(RecallPeers))
            .collect();
        // The connections of a thread that does not answer are gone with it.
        let kept = async move {
            join_all(recalls)
                .await
                .into_iter()
                .flatten()
                .flatten()
                .collect::<Vec<_>>()
        };
        ctx.wait(
            kept.into_actor(self)
                .map(|kept, rebalance, ctx| rebalance.rebuild(kept, ctx)),
        );
    }
}

impl Handler<Heartbeat> for Rebalance {
    type Result = ResponseFuture<Result<Arc<PeerRecord>, TooMuch>>;

    fn handle(&mut self, heartbeat: Heartbeat, ctx: &mut Self::Context) -> Self::Result {
        let Heartbeat { peer, client, data } = heartbeat;
        let (lacking, told) = (self.lacking(&data), filters::told(&self.neighbours.filter_view, &data));
        let (groups, now_ms) = (&self.neighbours.group_view, self.clock.monotonic_ms());
        let heard = self
            .membership
            .heartbeat(peer, client, data, now_ms, |group| notifies(groups, group));
        match heard {
            Ok(Heard { kept, changed }) => {
                self.tell(changed, ctx);
                let made = make_all(self.neighbours.clone(), lacking, told);
                Box::pin(made.map(|()| Ok(kept)))
            }
            Err(too_much) => Box::pin(ready(Err(too_much))),
        }
    }
}

impl Handler<Unregister> for Rebalance {
    type Result = Option<Arc<PeerRecord>>;

    fn handle(&mut self, leave: Unregister, ctx: &mut Self::Context) -> Self::Result {
        let groups = &self.neighbours.group_view;
        let (consumer, producer) = (leave.consumer_group.as_deref(), leave.producer_group.as_deref());
        let Departure { kept, changed } = self
            .membership
            .unregister(leave.peer, consumer, producer, |group| notifies(groups, group));
        self.tell(changed, ctx);
        kept
    }
}

impl Handler<PeerClosed> for Rebalance {
    type Result = ();

    fn handle(&mut self, PeerClosed(peer): PeerClosed, ctx: &mut Self::Context) {
        let changed = self.membership.peer_closed(peer);
        self.tell(changed, ctx);
    }
}

impl Handler<LockQueues> for Rebalance {
    type Result = ResponseFuture<Vec<MessageQueue>>;

    fn handle(&mut self, LockQueues(asked): LockQueues, ctx: &mut Self::Context) -> Self::Result {
        let locking = self.locks.own().lock(asked, self.clock.monotonic_ms());
        if locking.without_room > 0
            && let Some(left_out) = self.locks_told.due(self.clock.monotonic())
        {
            tracing::warn!(
                left_out,
                "queues are not locked, since locks take {MAX_LOCK_BYTES} bytes already"
            );
        }
        if !locking.is_news {
            return Box::pin(ready(locking.held));
        }
        let kept = self.when_kept(ctx);
        Box::pin(kept.map(|_| locking.held))
    }
}

impl Handler<UnlockQueues> for Rebalance {
    type Result = ();

    fn handle(&mut self, UnlockQueues(asked): UnlockQueues, ctx: &mut Self::Context) {
        let is_less = self.locks.own().unlock(&asked);
        if is_less {
            self.keep_locks(ctx);
        }
    }
}

impl Handler<ExportProducers> for Rebalance {
    type Result = MessageResult<ExportProducers>;

    fn handle(&mut self, _: ExportProducers, _: &mut Self::Context) -> Self::Result {
        let (now_ms, monotonic_ms) = (self.clock.now_ms(), self.clock.monotonic_ms());
        let mut table = ProducerTable::default();
        self.membership.each_producer(|group, client, heard_ms| {
            let heard_at_ms = now_ms.saturating_sub(monotonic_ms.saturating_sub(heard_ms));
            let of_group = table.data.entry(group.to_owned()).or_default();
            of_group.push(client.to_producer_info(i64::try_from(heard_at_ms).unwrap_or(i64::MAX)));
        });
        MessageResult(table)
    }
}

impl Handler<Notify> for Rebalance {
    type Result = ();

    fn handle(&mut self, _: Notify, _: &mut Self::Context) {
        for (name, group) in std::mem::take(&mut self.changed) {
            for (thread, peers) in by_thread(group.members().iter().map(|member| member.peer)) {
                if let Some(connections) = self.neighbours.threads.get(usize::from(thread)) {
                    send(
                        &connections.notify,
                        NotifyMembers {
                            group: Arc::clone(&name),
                            peers,
                        },
                    );
                }
            }
        }
    }
}
