//! The rules of membership one by one, then random histories: a rebuild gives the live state, and notices and topics are
//! those of a model that follows Java's `ConsumerGroupInfo` literally.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cuemq_net::body::{ConsumeType, ConsumerData, HeartbeatData, MessageModel, ProducerData, SubscriptionData};
use cuemq_net::language::Language;
use proptest::prelude::*;

use super::*;
use crate::peer::PeerKey;

fn peer(slot: u32) -> PeerKey {
    PeerKey {
        thread: 0,
        slot,
        generation: 0,
    }
}

fn client(client_id: &str) -> Client {
    Client {
        client_id: client_id.into(),
        address: "127.0.0.1:9".into(),
        language: Language::Java,
        version: 409,
    }
}

/// Topic, expression, version.
type Said<'a> = (&'a str, &'a str, i64);

fn consumer(group: &str, said: &[Said<'_>]) -> ConsumerData {
    let subscription = |(topic, expression, version): &Said<'_>| SubscriptionData {
        topic: (*topic).to_owned(),
        sub_string: (*expression).to_owned(),
        sub_version: *version,
        ..SubscriptionData::default()
    };
    ConsumerData {
        group_name: group.to_owned(),
        subscriptions: said.iter().map(subscription).collect(),
        ..ConsumerData::default()
    }
}

fn consumes(group: &str, said: &[Said<'_>]) -> HeartbeatData {
    HeartbeatData {
        consumers: vec![consumer(group, said)],
        ..HeartbeatData::default()
    }
}

fn produces(group: &str) -> HeartbeatData {
    let producers = vec![ProducerData {
        group_name: group.to_owned(),
    }];
    HeartbeatData {
        producers,
        ..HeartbeatData::default()
    }
}

fn membership() -> Membership {
    Membership::new(true, MembershipView::new())
}

/// A heartbeat of the client `c<slot>`; answers who must be told, by group.
fn beat(membership: &mut Membership, slot: u32, data: HeartbeatData) -> Vec<(String, Vec<u32>)> {
    let heard = membership
        .heartbeat(peer(slot), client(&format!("c{slot}")), data, 0, |_| true)
        .unwrap();
    told(&heard.changed)
}

fn told(changed: &[Arc<ConsumerGroup>]) -> Vec<(String, Vec<u32>)> {
    let slots = |group: &ConsumerGroup| group.members().iter().map(|member| member.peer.slot).collect();
    changed
        .iter()
        .map(|group| (group.name.to_string(), slots(group)))
        .collect()
}

fn expression(membership: &Membership, group: &str, topic: &str) -> Option<String> {
    let find = |group: &ConsumerGroup| group.subscription(topic).map(|said| said.expression().to_owned());
    membership.view().with_consumer_group(group, find)?
}

#[test]
fn a_connection_says_no_more_than_2_mib_however_many_heartbeats_it_takes() {
    let mut membership = Membership::new(true, MembershipView::new());
    let long = "t".repeat(120_000);
    let mut beat = |group: &str| {
        let said = consumes(group, &[("T", &long, 1)]);
        membership.heartbeat(peer(1), client("c"), said, 0, |_| true)
    };
    let (heard, refused): (Vec<_>, Vec<_>) = (0..40)
        .map(|number| beat(&format!("g{number}")))
        .partition(Result::is_ok);
    assert_eq!(
        heard.len(),
        MAX_RECORD_BYTES / (long.len() + 400),
        "each takes its text and a little more"
    );
    assert!(
        refused
            .into_iter()
            .all(|refused| refused.unwrap_err() == TooMuch::OfConnection)
    );
    assert!(beat("g0").is_ok(), "what it said before it may say again");
}

#[test]
fn all_connections_say_no_more_than_256_mib_and_what_is_forgotten_makes_room() {
    let mut membership = Membership::new(true, MembershipView::new());
    let long = "t".repeat(1_800_000);
    let beat = |membership: &mut Membership, slot| {
        let said = consumes("g", &[("T", &long, 1)]);
        membership.heartbeat(peer(slot), client("c"), said, 0, |_| true).err()
    };
    let first = (0..)
        .find_map(|slot| Some((slot, beat(&mut membership, slot)?)))
        .unwrap();
    assert_eq!((first.0 as usize, first.1), (MAX_BYTES / long.len(), TooMuch::OfAll));
    assert_eq!(beat(&mut membership, 0), None, "what it said before it may say again");
    membership.peer_closed(peer(0));
    assert_eq!(beat(&mut membership, first.0), None);
}

#[test]
fn a_connection_that_joins_is_told_to_all_members_itself_included() {
    let mut membership = membership();
    assert_eq!(
        beat(&mut membership, 1, consumes("g", &[("T", "*", 1)])),
        [("g".to_owned(), vec![1])]
    );
    assert_eq!(
        beat(&mut membership, 2, consumes("g", &[("T", "*", 2)])),
        [("g".to_owned(), vec![1, 2])]
    );
    assert_eq!(beat(&mut membership, 1, consumes("g", &[("T", "*", 1)])), []);
}

#[test]
fn a_topic_that_comes_or_goes_is_told_and_a_newer_subscription_is_not() {
    let mut membership = membership();
    beat(&mut membership, 1, consumes("g", &[("T", "a", 1)]));
    assert_eq!(beat(&mut membership, 1, consumes("g", &[("T", "b", 2)])), []);
    assert_eq!(expression(&membership, "g", "T").as_deref(), Some("b"));
    assert_eq!(
        beat(&mut membership, 1, consumes("g", &[("T", "b", 2), ("U", "*", 3)])).len(),
        1
    );
    assert_eq!(beat(&mut membership, 1, consumes("g", &[("U", "*", 3)])).len(), 1);
    assert_eq!(expression(&membership, "g", "T"), None);
}

#[test]
fn the_newest_subscription_counts_and_of_equals_that_of_the_first_member() {
    let mut membership = membership();
    beat(&mut membership, 1, consumes("g", &[("T", "first", 5)]));
    beat(&mut membership, 2, consumes("g", &[("T", "older", 4)]));
    assert_eq!(expression(&membership, "g", "T").as_deref(), Some("first"));
    beat(&mut membership, 3, consumes("g", &[("T", "equal", 5)]));
    beat(&mut membership, 1, consumes("g", &[("T", "first", 5)]));
    assert_eq!(expression(&membership, "g", "T").as_deref(), Some("first"));
    beat(&mut membership, 2, consumes("g", &[("T", "newer", 6)]));
    assert_eq!(expression(&membership, "g", "T").as_deref(), Some("newer"));
}

#[test]
fn members_that_disagree_overwrite_each_other() {
    let mut membership = membership();
    beat(&mut membership, 1, consumes("g", &[("T", "*", 1)]));
    let mut other = consumes("g", &[("U", "*", 1)]);
    other.consumers[0].consume_type = ConsumeType::Actively;
    other.consumers[0].message_model = MessageModel::Broadcasting;
    assert_eq!(beat(&mut membership, 2, other), [("g".to_owned(), vec![1, 2])]);
    let group = membership.view().consumer_group("g").unwrap();
    assert_eq!(
        (group.consume_type, group.message_model),
        (ConsumeType::Actively, MessageModel::Broadcasting)
    );
    assert!(group.subscription("T").is_none() && group.subscription("U").is_some());
    assert_eq!(
        beat(&mut membership, 1, consumes("g", &[("T", "*", 1)])),
        [("g".to_owned(), vec![1, 2])]
    );
    assert!(expression(&membership, "g", "T").is_some());
}

#[test]
fn the_switches_of_group_and_broker_silence_the_notices_but_a_close_obeys_the_broker_s_alone() {
    let mut silent_group = membership();
    for slot in [1, 2] {
        let heard = silent_group.heartbeat(peer(slot), client("c"), consumes("g", &[]), 0, |group| group != "g");
        assert!(heard.unwrap().changed.is_empty());
    }
    assert!(
        silent_group
            .unregister(peer(9), Some("g"), None, |_| false)
            .changed
            .is_empty()
    );
    assert_eq!(told(&silent_group.peer_closed(peer(1))), [("g".to_owned(), vec![2])]);

    let mut silent_broker = Membership::new(false, MembershipView::new());
    assert_eq!(beat(&mut silent_broker, 1, consumes("g", &[])), []);
    assert_eq!(beat(&mut silent_broker, 2, consumes("g", &[])), []);
    assert!(silent_broker.peer_closed(peer(1)).is_empty());
}

#[test]
fn who_leaves_is_told_to_those_who_stay_and_an_empty_group_is_gone() {
    let mut membership = membership();
    beat(&mut membership, 1, consumes("g", &[("T", "*", 1)]));
    beat(&mut membership, 2, consumes("g", &[("T", "*", 1)]));
    let left = membership.unregister(peer(1), Some("g"), Some("nobody"), |_| true);
    assert!(left.kept.is_none());
    assert_eq!(told(&left.changed), [("g".to_owned(), vec![2])]);
    assert!(membership.peer_closed(peer(2)).is_empty());
    assert!(membership.view().consumer_group("g").is_none());
    assert!(membership.view().peer_of("c2").is_none());
}

#[test]
fn a_group_that_a_heartbeat_does_not_name_stays_until_it_is_silent_for_two_minutes() {
    let mut membership = membership();
    let mut hear = |data, now_ms| {
        membership
            .heartbeat(peer(1), client("c"), data, now_ms, |_| true)
            .unwrap()
    };
    hear(consumes("old", &[]), 0);
    hear(consumes("new", &[]), 60_000);
    assert!(membership.expire(120_000).is_empty());
    assert!(membership.view().consumer_group("old").is_some());
    assert!(membership.expire(120_001).is_empty());
    assert!(membership.view().consumer_group("old").is_none());
    assert!(membership.view().consumer_group("new").is_some());
    assert_eq!(membership.expire(180_001), [peer(1)]);
    assert!(membership.view().consumer_groups().is_empty());
}

#[test]
fn producers_are_found_by_group_and_by_client() {
    let mut membership = membership();
    assert_eq!(beat(&mut membership, 1, produces("p")), []);
    beat(&mut membership, 2, produces("p"));
    let view = membership.view();
    let group = view.producer_group("p").unwrap();
    assert_eq!(
        group.members.iter().map(|member| member.peer.slot).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(group.to_body().connections[0].client_id, "c1");
    assert_eq!(view.peer_of("c2"), Some(peer(2)));
    membership.unregister(peer(2), None, Some("p"), |_| true);
    assert_eq!(view.peer_of("c2"), None);
    assert_eq!(view.producer_group("p").unwrap().members.len(), 1);
}

#[test]
fn a_client_on_two_connections_is_one_consumer_and_is_found_on_the_later() {
    let mut membership = membership();
    for slot in [1, 2] {
        membership
            .heartbeat(peer(slot), client("same"), consumes("g", &[]), 0, |_| true)
            .unwrap();
    }
    let view = membership.view();
    assert_eq!(view.consumer_group("g").unwrap().consumer_ids(), ["same".into()]);
    assert_eq!(view.peer_of("same"), Some(peer(2)));
    membership.peer_closed(peer(2));
    assert_eq!(view.peer_of("same"), Some(peer(1)));
}

#[test]
fn a_connection_that_changes_its_client_id_replaces_it_silently() {
    let mut membership = membership();
    beat(&mut membership, 1, consumes("g", &[]));
    let heard = membership
        .heartbeat(peer(1), client("other"), produces("p"), 0, |_| true)
        .unwrap();
    assert!(heard.changed.is_empty());
    let view = membership.view();
    assert_eq!(view.consumer_group("g").unwrap().consumer_ids(), ["other".into()]);
    assert_eq!((view.peer_of("c1"), view.peer_of("other")), (None, Some(peer(1))));
}

#[test]
fn a_heartbeat_without_groups_keeps_no_connection_alive_and_closes_none() {
    let mut membership = membership();
    beat(&mut membership, 1, HeartbeatData::default());
    assert!(membership.expire(1 << 40).is_empty());
    assert!(membership.view().peer_of("c1").is_none());
}

#[test]
fn a_heartbeat_that_names_too_much_changes_nothing() {
    let mut membership = membership();
    let consumers = (0..=MAX_GROUPS)
        .map(|number| consumer(&format!("g{number}"), &[]))
        .collect();
    let data = HeartbeatData {
        consumers,
        ..HeartbeatData::default()
    };
    assert!(membership.heartbeat(peer(1), client("c"), data, 0, |_| true).is_err());
    assert!(membership.view().consumer_groups().is_empty());
}

#[derive(Clone, Debug)]
enum Event {
    Beat {
        slot: u32,
        client: u8,
        consumers: Vec<(u8, Vec<(u8, i64)>)>,
        producers: Vec<u8>,
    },
    Leave {
        slot: u32,
        consumer: Option<u8>,
        producer: Option<u8>,
    },
    Close {
        slot: u32,
    },
    Wait {
        ms: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let subscriptions = proptest::collection::vec((0..3u8, 0..4i64), 0..4);
    let consumers = proptest::collection::vec((0..3u8, subscriptions), 0..3);
    let producers = proptest::collection::vec(0..2u8, 0..2);
    prop_oneof![
        6 => (0..4u32, 0..3u8, consumers, producers).prop_map(|(slot, client, consumers, producers)| {
            Event::Beat { slot, client, consumers, producers }
        }),
        2 => (0..4u32, proptest::option::of(0..3u8), proptest::option::of(0..2u8))
            .prop_map(|(slot, consumer, producer)| Event::Leave { slot, consumer, producer }),
        1 => (0..4u32).prop_map(|slot| Event::Close { slot }),
        2 => (0..80_000u64).prop_map(|ms| Event::Wait { ms }),
    ]
}

fn heartbeat(consumers: &[(u8, Vec<(u8, i64)>)], producers: &[u8], salt: u32) -> HeartbeatData {
    let consumer = |(group, said): &(u8, Vec<(u8, i64)>)| {
        let topics: Vec<_> = said
            .iter()
            .map(|(topic, version)| (format!("T{topic}"), *version))
            .collect();
        let expression = format!("tag{salt}");
        let said: Vec<_> = topics
            .iter()
            .map(|(topic, version)| (topic.as_str(), expression.as_str(), *version))
            .collect();
        consumer(&format!("g{group}"), &said)
    };
    HeartbeatData {
        client_id: String::new(),
        consumers: consumers.iter().map(consumer).collect(),
        producers: producers
            .iter()
            .map(|group| ProducerData {
                group_name: format!("p{group}"),
            })
            .collect(),
    }
}

/// A membership and what the connections keep of it.
struct World {
    membership: Membership,
    kept: BTreeMap<PeerKey, Arc<PeerRecord>>,
    now_ms: u64,
}

impl World {
    fn new() -> Self {
        Self {
            membership: membership(),
            kept: BTreeMap::new(),
            now_ms: 0,
        }
    }

    /// Lets an event happen; answers who must be told.
    fn apply(&mut self, salt: u32, event: &Event) -> Vec<(String, Vec<u32>)> {
        let Self {
            membership,
            kept,
            now_ms,
        } = self;
        match event {
            Event::Beat {
                slot,
                client: id,
                consumers,
                producers,
            } => {
                let (data, client) = (heartbeat(consumers, producers, salt), client(&format!("c{id}")));
                let heard = membership
                    .heartbeat(peer(*slot), client, data, *now_ms, |_| true)
                    .unwrap();
                kept.insert(peer(*slot), heard.kept);
                told(&heard.changed)
            }
            Event::Leave {
                slot,
                consumer,
                producer,
            } => {
                let (consumer, producer) = (consumer.map(|g| format!("g{g}")), producer.map(|g| format!("p{g}")));
                let left = membership.unregister(peer(*slot), consumer.as_deref(), producer.as_deref(), |_| true);
                kept.remove(&peer(*slot));
                kept.extend(left.kept.map(|record| (peer(*slot), record)));
                told(&left.changed)
            }
            Event::Close { slot } => {
                kept.remove(&peer(*slot));
                told(&membership.peer_closed(peer(*slot)))
            }
            Event::Wait { ms } => {
                *now_ms += ms;
                for silent in membership.expire(*now_ms) {
                    kept.remove(&silent);
                }
                Vec::new()
            }
        }
    }

    fn rebuilt(&self, view: MembershipView) -> Membership {
        let kept = self.kept.iter().map(|(peer, kept)| (*peer, Arc::clone(kept)));
        Membership::rebuild(true, view, kept, self.now_ms)
    }

    /// What the connections see.
    fn shown(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let view = self.membership.view();
        let clients = (0..3).map(|id| view.peer_of(&format!("c{id}")));
        (
            view.consumer_groups(),
            view.producer_groups(),
            clients.collect::<Vec<_>>(),
        )
    }
}

proptest! {
    /// What the connections keep is enough to get the live state back, at any moment of any history.
    #[test]
    fn a_rebuild_gives_the_live_state(events in proptest::collection::vec(event(), 1..60)) {
        let mut live = World::new();
        for (salt, event) in (0..).zip(&events) {
            live.apply(salt, event);
            prop_assert_eq!(live.membership.snapshot(), live.rebuilt(MembershipView::new()).snapshot());
        }
    }

    /// An owner that fails now and then tells and shows what one tells and shows that never fails.
    #[test]
    fn a_rebuilt_owner_goes_on_as_if_nothing_had_happened(
        events in proptest::collection::vec((event(), proptest::bool::weighted(0.2)), 1..60),
    ) {
        let (mut steady, mut failing) = (World::new(), World::new());
        for (salt, (event, fails)) in (0..).zip(&events) {
            prop_assert_eq!(steady.apply(salt, event), failing.apply(salt, event));
            if *fails {
                failing.membership = failing.rebuilt(failing.membership.view());
            }
            prop_assert_eq!(steady.shown(), failing.shown());
        }
    }

    /// While nobody leaves, notices, topics and the way of consuming are those that Java's tables give.
    #[test]
    fn heartbeats_lead_to_java_s_notices_and_topics(
        beats in proptest::collection::vec((0..4u32, 0..2u8, proptest::collection::btree_set(0..3u8, 0..3)), 1..60),
    ) {
        let mut live = membership();
        let mut java: BTreeMap<u8, (BTreeSet<u32>, BTreeSet<u8>)> = BTreeMap::new();
        for (slot, group, topics) in beats {
            let (channels, subscribed) = java.entry(group).or_default();
            let new_channel = channels.insert(slot);
            let new_topics = *subscribed != topics;
            subscribed.clone_from(&topics);
            let said = vec![(group, topics.iter().map(|topic| (*topic, 1)).collect())];
            let notices = beat(&mut live, slot, heartbeat(&said, &[], 0));
            let expected: Vec<_> = channels.iter().copied().collect();
            let expected = if new_channel || new_topics { vec![(format!("g{group}"), expected)] } else { Vec::new() };
            prop_assert_eq!(notices, expected);
            let shown = live.view().consumer_group(&format!("g{group}")).unwrap();
            let shown: Vec<_> = shown.subscriptions().iter().map(|said| said.topic().to_owned()).collect();
            prop_assert_eq!(shown, topics.iter().map(|topic| format!("T{topic}")).collect::<Vec<_>>());
        }
    }

    /// A rebuilt owner hides what it does not know in the view that the connections hold already.
    #[test]
    fn a_rebuild_hides_what_is_gone(events in proptest::collection::vec(event(), 1..30)) {
        let mut world = World::new();
        for (salt, event) in (0..).zip(&events) {
            world.apply(salt, event);
        }
        world.kept.remove(&peer(0));
        let in_place = world.rebuilt(world.membership.view());
        prop_assert_eq!(in_place.snapshot(), world.rebuilt(MembershipView::new()).snapshot());
        for (client, peer) in (0..3).map(|id| (id, in_place.view().peer_of(&format!("c{id}")))) {
            prop_assert!(peer.is_none_or(|peer| peer.slot != 0), "c{client} is gone");
        }
    }
}
