//! The owner of group membership: takes heartbeats, leaves and closed connections, makes the groups and retry topics that a
//! heartbeat needs, and tells members of changes.
//!
//! Built anew after a failure, it first asks every I/O thread for what its connections keep; until all have answered, no
//! message is handled; and since a notice that was still to be sent may have been lost with the value before, all groups
//! are told then. Notices of one turn are gathered, so that a hundred members who leave together are one notice to
//! those who stay.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::ActorFutureExt;
use actix::{Actor, AsyncContext, Handler, Message, MessageResult, Recipient, ResponseFuture, WrapFuture};
use cuemq_net::body::{HeartbeatData, ProducerTable};
use cuemq_storage::clock::Clock;
use futures_util::FutureExt;
use futures_util::future::{join_all, ready};

use super::{Client, ConsumerGroup, Departure, Heard, Membership, MembershipView, PeerRecord, TooMuch};
use crate::group::GroupView;
use crate::group::actor::FindOrCreateGroup;
use crate::peer::PeerKey;
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

/// The owner of group membership.
pub struct Rebalance {
    membership: Membership,
    settings: RebalanceSettings,
    view: MembershipView,
    clock: Arc<dyn Clock>,
    neighbours: Neighbours,
    /// The groups to be told of, as they were last.
    changed: BTreeMap<Arc<str>, Arc<ConsumerGroup>>,
}

impl Rebalance {
    /// Owns the membership that `view` shows.
    #[must_use]
    pub fn new(
        settings: RebalanceSettings,
        view: MembershipView,
        clock: Arc<dyn Clock>,
        neighbours: Neighbours,
    ) -> Self {
        // The view keeps what it shows until the connections have been asked.
        let membership = Membership::new(settings.notifies, MembershipView::new());
        Self {
            membership,
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

    fn expire(&mut self) {
        let silent = self.membership.expire(self.clock.monotonic_ms());
        for (thread, peers) in by_thread(silent.into_iter()) {
            if let Some(connections) = self.neighbours.threads.get(usize::from(thread)) {
                send(&connections.close, ClosePeers { peers });
            }
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

/// Makes what a heartbeat's groups lack.
async fn make_all(neighbours: Neighbours, lacking: Vec<(Arc<str>, bool)>) {
    let made = lacking.into_iter().map(|(group, unit)| make(&neighbours, group, unit));
    join_all(made).await;
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
        ctx.run_interval(self.settings.expiry_interval, |rebalance, _| rebalance.expire());
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
        let lacking = self.lacking(&data);
        let (groups, now_ms) = (&self.neighbours.group_view, self.clock.monotonic_ms());
        let heard = self
            .membership
            .heartbeat(peer, client, data, now_ms, |group| notifies(groups, group));
        match heard {
            Ok(Heard { kept, changed }) => {
                self.tell(changed, ctx);
                let made = make_all(self.neighbours.clone(), lacking);
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use actix::Addr;
    use cuemq_net::body::{ConsumerData, SubscriptionGroupConfig, TopicConfig};
    use cuemq_net::language::Language;

    use super::*;
    use crate::config_table::Named;
    use crate::group::GroupId;
    use crate::supervise::Site;
    use crate::testing::{Probe, Stage};
    use crate::topic::TopicId;

    type Kept = Arc<Mutex<BTreeMap<PeerKey, Arc<PeerRecord>>>>;

    struct Scene {
        stage: Stage,
        rebalance: Addr<Rebalance>,
        view: MembershipView,
        /// What the connections keep.
        kept: Kept,
        recalls: Probe<RecallPeers>,
        notices: Probe<NotifyMembers>,
        closes: Probe<ClosePeers>,
        groups: Probe<FindOrCreateGroup>,
        topics: Probe<CreateRetryTopic>,
    }

    impl Scene {
        fn new() -> Self {
            let (mut stage, view, kept) = (Stage::new(), MembershipView::new(), Kept::default());
            let keeps = kept.clone();
            let recall = move |_: &RecallPeers| keeps.lock().unwrap().clone().into_iter().collect();
            let recalls: Probe<RecallPeers> = Probe::answering(recall);
            let (notices, closes) = (Probe::new(), Probe::new());
            let groups = Probe::answering(|find: &FindOrCreateGroup| {
                let (id, name) = (GroupId(0), find.group.clone());
                let config = SubscriptionGroupConfig {
                    retry_queue_nums: 3,
                    ..SubscriptionGroupConfig::default()
                };
                Ok(Arc::new(Named { id, name, config }))
            });
            let topics = Probe::answering(|create: &CreateRetryTopic| {
                let (id, name, config) = (TopicId(0), create.group.clone(), TopicConfig::default());
                Ok(Arc::new(Named { id, name, config }))
            });
            let thread = ConnectionsOfThread {
                recall: recalls.recipient(),
                notify: notices.recipient(),
                close: closes.recipient(),
            };
            let neighbours = Neighbours {
                threads: vec![thread],
                group_view: GroupView::new(),
                topic_view: TopicView::new(),
                groups: groups.recipient(),
                topics: topics.recipient(),
            };
            let (shown, clock) = (view.clone(), stage.clock.clone());
            let settings = RebalanceSettings {
                expiry_interval: Duration::from_millis(1),
                ..RebalanceSettings::default()
            };
            let build = move || Rebalance::new(settings, shown.clone(), clock.clone(), neighbours.clone());
            let rebalance = stage.start("rebalance", move |_| Ok(build()));
            Self {
                stage,
                rebalance,
                view,
                kept,
                recalls,
                notices,
                closes,
                groups,
                topics,
            }
        }

        async fn beat(&self, slot: u32, group: &str) {
            let consumer = ConsumerData {
                group_name: group.to_owned(),
                ..ConsumerData::default()
            };
            let data = HeartbeatData {
                consumers: vec![consumer],
                ..HeartbeatData::default()
            };
            let (client_id, address) = (format!("c{slot}").into(), "127.0.0.1:9".into());
            let client = Client {
                client_id,
                address,
                language: Language::Java,
                version: 409,
            };
            let record = self
                .rebalance
                .send(Heartbeat {
                    peer: peer(slot),
                    client,
                    data,
                })
                .await
                .unwrap()
                .unwrap();
            self.kept.lock().unwrap().insert(peer(slot), record);
        }
    }

    fn peer(slot: u32) -> PeerKey {
        PeerKey {
            thread: 0,
            slot,
            generation: 0,
        }
    }

    #[actix::test]
    async fn a_heartbeat_makes_group_and_retry_topic_and_is_shown_before_it_is_answered() {
        let mut scene = Scene::new();
        scene.beat(1, "g").await;
        assert_eq!(scene.view.consumer_group("g").unwrap().consumer_ids(), ["c1".into()]);
        assert_eq!(&*scene.groups.next().await.group, "g");
        let topic = scene.topics.next().await;
        assert_eq!((&*topic.group, topic.queue_nums), ("g", 3));
        let notice = scene.notices.next().await;
        assert_eq!((&*notice.group, notice.peers), ("g", vec![peer(1)]));
    }

    #[actix::test]
    async fn those_who_stay_are_told_once_of_all_who_leave_together() {
        let mut scene = Scene::new();
        for slot in 0..20 {
            scene.beat(slot, "g").await;
        }
        scene.notices.drain().await;
        let closed: Vec<_> = (1..20)
            .map(|slot| scene.rebalance.send(PeerClosed(peer(slot))))
            .collect();
        let left = Unregister {
            peer: peer(20),
            consumer_group: None,
            producer_group: None,
        };
        join_all(closed).await;
        assert!(scene.rebalance.send(left).await.unwrap().is_none());
        assert_eq!(scene.notices.next().await.peers, [peer(0)]);
        assert!(scene.notices.drain().await.is_empty());
    }

    #[actix::test]
    async fn a_rebuilt_owner_knows_its_members_before_its_first_answer() {
        let mut scene = Scene::new();
        scene.beat(1, "g").await;
        scene.beat(2, "g").await;
        scene.recalls.drain().await;
        scene.stage.faults.arm("rebalance", Site::Handler, 1);
        assert!(scene.rebalance.send(PeerClosed(peer(99))).await.is_err());
        let leave = Unregister {
            peer: peer(1),
            consumer_group: Some("g".to_owned()),
            producer_group: None,
        };
        assert!(scene.rebalance.send(leave).await.unwrap().is_none());
        assert_eq!(scene.recalls.drain().await.len(), 1);
        assert_eq!(scene.view.consumer_group("g").unwrap().consumer_ids(), ["c2".into()]);
    }

    #[actix::test]
    async fn a_rebuilt_owner_tells_the_members_whose_notice_may_be_lost() {
        let mut scene = Scene::new();
        scene.beat(1, "g").await;
        scene.beat(2, "g").await;
        scene.notices.drain().await;
        // Its connection is closed, so it keeps nothing any more; the owner fails before it has told who stays.
        scene.kept.lock().unwrap().remove(&peer(2));
        scene.stage.faults.arm("rebalance", Site::Handler, 1);
        assert!(scene.rebalance.send(PeerClosed(peer(2))).await.is_err());
        let notice = scene.notices.next().await;
        assert_eq!((&*notice.group, notice.peers), ("g", vec![peer(1)]));
        assert!(scene.notices.drain().await.is_empty());
    }

    #[actix::test]
    async fn a_silent_connection_is_closed() {
        let mut scene = Scene::new();
        scene.beat(1, "g").await;
        scene.stage.clock.advance(Duration::from_millis(120_001));
        assert_eq!(scene.closes.next().await.peers, [peer(1)]);
        assert!(scene.view.consumer_group("g").is_none());
    }
}
