//! What the owner of membership and locks promises, through its mailbox and over its failures.

use std::sync::Mutex;

use actix::Addr;
use cuemq_net::body::{ConsumerData, ConsumerFilterTable, SubscriptionData, SubscriptionGroupConfig, TopicConfig};
use cuemq_net::language::Language;

use super::*;
use crate::config_table::Named;
use crate::filter::{Registry, RegistrySettings};
use crate::group::GroupId;
use crate::supervise::Site;
use crate::testing::{Probe, Stage};
use crate::topic::TopicId;

const LOCK_TIME: Duration = Duration::from_secs(60);

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
    registered: Probe<RegisterFilters>,
    left: Probe<LeaveFilters>,
    /// What the file of the locks has got.
    lock_file: Probe<KeepLocks>,
    filters: Registry,
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
            Ok(Arc::new(Named::new(id, name, config)))
        });
        let topics = Probe::answering(|create: &CreateRetryTopic| {
            let (id, name, config) = (TopicId(0), create.group.clone(), TopicConfig::default());
            Ok(Arc::new(Named::new(id, name, config)))
        });
        let lock_file = Probe::answering(|_: &KeepLocks| Ok(()));
        let thread = ConnectionsOfThread {
            recall: recalls.recipient(),
            notify: notices.recipient(),
            close: closes.recipient(),
        };
        let (registered, left, filter_view) = (Probe::new(), Probe::new(), FilterView::default());
        let neighbours = Neighbours {
            threads: vec![thread],
            group_view: GroupView::new(),
            topic_view: TopicView::new(),
            groups: groups.recipient(),
            topics: topics.recipient(),
            filter_view: filter_view.clone(),
            filters: registered.recipient(),
            leave_filters: left.recipient(),
            lock_file: lock_file.recipient(),
        };
        let no_filters = ConsumerFilterTable::default();
        let (shown, clock) = (view.clone(), stage.clock.clone());
        let settings = RebalanceSettings {
            expiry_interval: Duration::from_millis(1),
            ..RebalanceSettings::default()
        };
        let locks = QueueLocks::new(LOCK_TIME);
        let build = move || {
            Rebalance::new(
                settings,
                shown.clone(),
                locks.clone(),
                clock.clone(),
                neighbours.clone(),
            )
        };
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
            registered,
            left,
            lock_file,
            filters: Registry::load(no_filters, RegistrySettings::default(), filter_view, 1),
        }
    }

    async fn beat(&self, slot: u32, group: &str) {
        self.beat_for(slot, group, &[]).await;
    }

    async fn beat_for(&self, slot: u32, group: &str, subscriptions: &[SubscriptionData]) {
        let consumer = ConsumerData {
            group_name: group.to_owned(),
            subscriptions: subscriptions.to_vec(),
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

impl Scene {
    /// The queues that a client holds after it has asked for these.
    async fn lock(&self, client: &str, queues: &[i32]) -> Vec<i32> {
        let held = self.rebalance.send(LockQueues(batch(client, queues))).await.unwrap();
        held.iter().map(|queue| queue.queue_id).collect()
    }
}

fn batch(client: &str, queues: &[i32]) -> LockBatch {
    let queue = |queue_id: &i32| MessageQueue {
        topic: "T".to_owned(),
        broker_name: "b".to_owned(),
        queue_id: *queue_id,
    };
    LockBatch {
        client_id: client.to_owned(),
        consumer_group: "g".to_owned(),
        queues: queues.iter().map(queue).collect(),
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
async fn what_a_heartbeat_says_of_filters_is_registered_before_it_is_answered_and_ends_with_the_group() {
    let mut scene = Scene::new();
    let said = |topic: &str, expression_type: &str, version| SubscriptionData {
        topic: topic.to_owned(),
        sub_string: "a = 1".to_owned(),
        expression_type: expression_type.to_owned(),
        sub_version: version,
        ..SubscriptionData::default()
    };
    let (by_sql, by_tag) = (said("T", "SQL92", 7), said("U", "TAG", 8));
    scene.beat_for(1, "tags", std::slice::from_ref(&by_tag)).await;
    scene.beat_for(1, "g", &[by_sql, by_tag.clone()]).await;
    let registered = scene.registered.next().await;
    assert_eq!(
        &*registered.group, "g",
        "a group that filters by tag alone has nothing to register"
    );
    let told = registered.wanted.iter();
    let told: Vec<_> = told.map(|wanted| (&*wanted.topic, wanted.filter.is_some())).collect();
    assert_eq!(told, [("T", true), ("U", false)]);

    scene.filters.register(&registered.group, &registered.wanted, (10, 10));
    scene.beat_for(1, "g", &[by_tag]).await;
    assert_eq!(
        scene.registered.next().await.wanted.len(),
        1,
        "its filter is known, so that its end is told"
    );
    let leave = Unregister {
        peer: peer(1),
        consumer_group: Some("g".to_owned()),
        producer_group: None,
    };
    scene.rebalance.send(leave).await.unwrap();
    assert_eq!(scene.left.next().await.groups, ["g".into()]);
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

#[actix::test]
async fn a_rebuilt_owner_grants_nobody_a_queue_that_another_still_holds() {
    let scene = Scene::new();
    assert_eq!(scene.lock("one", &[0, 1]).await, [0, 1]);
    scene.stage.clock.advance(LOCK_TIME / 2);
    scene.stage.faults.arm("rebalance", Site::Handler, 1);
    assert!(scene.rebalance.send(PeerClosed(peer(99))).await.is_err());
    assert_eq!(
        scene.lock("two", &[0, 1, 2]).await,
        [2],
        "a free queue is granted at once"
    );
    assert_eq!(scene.lock("one", &[1]).await, [1], "the holder renews");
    scene.stage.clock.advance(LOCK_TIME / 2 + Duration::from_millis(1));
    assert_eq!(
        scene.lock("two", &[0, 1]).await,
        [0],
        "what was not renewed is over, in this life as in the one before"
    );
}

#[actix::test]
async fn a_consumer_that_left_without_unlocking_holds_its_queues_until_their_time_is_over() {
    let mut scene = Scene::new();
    scene.beat(1, "g").await;
    assert_eq!(scene.lock("c1", &[0, 1]).await, [0, 1]);
    scene.rebalance.send(PeerClosed(peer(1))).await.unwrap();
    assert_eq!(scene.lock("c2", &[0, 1]).await, [0; 0]);
    scene.rebalance.send(UnlockQueues(batch("c2", &[0]))).await.unwrap();
    assert_eq!(scene.lock("c2", &[0, 1]).await, [0; 0], "only the holder unlocks");
    scene.rebalance.send(UnlockQueues(batch("c1", &[1]))).await.unwrap();
    assert_eq!(scene.lock("c2", &[0, 1]).await, [1]);
    scene.stage.clock.advance(LOCK_TIME + Duration::from_millis(1));
    assert_eq!(scene.lock("c2", &[0, 1]).await, [0, 1]);
    assert!(scene.closes.drain().await.is_empty());
}

#[actix::test]
async fn a_lock_is_answered_when_it_is_kept_and_one_that_is_renewed_at_once() {
    let mut scene = Scene::new();
    assert_eq!(scene.lock("one", &[0, 1]).await, [0, 1]);
    let kept: Vec<_> = scene.lock_file.drain().await;
    let [KeepLocks(locks)] = &kept[..] else {
        panic!("one write for one change: {kept:?}")
    };
    let owners: Vec<_> = locks
        .iter()
        .map(|lock| (lock.queue.queue_id, lock.owner.as_str()))
        .collect();
    assert_eq!(owners, [(0, "one"), (1, "one")]);
    assert_eq!(scene.lock("one", &[0, 1]).await, [0, 1]);
    assert_eq!(scene.lock("two", &[0, 1]).await, [0; 0]);
    assert!(scene.lock_file.drain().await.is_empty(), "nothing has changed hands");
    scene.rebalance.send(UnlockQueues(batch("one", &[1]))).await.unwrap();
    assert_eq!(scene.lock_file.next().await.0.len(), 1);
}
