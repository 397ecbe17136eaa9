//! The parked pulls of one I/O thread.
//!
//! Each pull has one place in a table; two rings of place numbers run through it, one for each queue and one for each
//! connection, so that parking, waking and forgetting cost the same whatever else is parked. A pull takes less than 128
//! bytes. Deadlines are not sorted: one sweep over all places takes microseconds, and is done only when the earliest
//! deadline has come.

use cuemq_storage::hash::Map;
use cuemq_storage::position::QueueOffset;

use super::{ParkedPull, QueueKey};
use crate::peer::PeerKey;

/// A pull that waits no longer, with its connection, which looks again, and may park it once more when that brings nothing
/// and its deadline has not come.
pub type Woken = (PeerKey, Box<ParkedPull>);

/// What became of a pull that was to be parked.
#[derive(Debug, PartialEq, Eq)]
pub enum Parking {
    /// It waits.
    Parked,
    /// The queue has reached its offset meanwhile: look again at once.
    Arrived(Woken),
    /// Its connection, or all together, have as many parked as they may: answer it as it is.
    Full(Woken),
}

/// The ring that runs through the pulls of one queue.
const OF_QUEUE: usize = 0;
/// The ring that runs through the pulls of one connection.
const OF_PEER: usize = 1;

/// A pull in its place.
#[derive(Debug)]
struct Entry {
    peer: PeerKey,
    pull: Box<ParkedPull>,
    deadline_ms: u64,
    /// For each ring the places before and after.
    before: [u32; 2],
    after: [u32; 2],
}

const _: () = assert!(
    size_of::<Option<Entry>>() + size_of::<ParkedPull>() <= 120,
    "a parked pull takes little"
);

/// The pulls of one connection.
#[derive(Clone, Copy, Debug)]
struct OfPeer {
    first: u32,
    count: u32,
}

/// The parked pulls of one I/O thread.
#[derive(Debug)]
pub struct ParkedPulls {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// The place that each queue's ring begins at: the pull that was parked first.
    queues: Map<QueueKey, u32>,
    peers: Map<PeerKey, OfPeer>,
    /// No parked pull's deadline is earlier.
    earliest_ms: u64,
    most: usize,
    most_of_peer: u32,
}

impl ParkedPulls {
    /// Holds at most `most` pulls, and at most `most_of_peer` of one connection.
    #[must_use]
    pub fn new(most: usize, most_of_peer: u32) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            queues: Map::default(),
            peers: Map::default(),
            earliest_ms: u64::MAX,
            most: most.min(u32::MAX as usize),
            most_of_peer,
        }
    }

    /// How many pulls are parked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a pull waits for this queue.
    #[must_use]
    pub fn waits_for(&self, queue: &QueueKey) -> bool {
        self.queues.contains_key(queue)
    }

    /// The queues that are waited for, in no particular order.
    pub fn queues(&self) -> impl Iterator<Item = &QueueKey> {
        self.queues.keys()
    }

    /// Parks a pull. `queue_end` is the queue's end as it is now, read after the pull found nothing: what arrived in
    /// between was announced before the pull was here.
    pub fn park(&mut self, peer: PeerKey, pull: Box<ParkedPull>, queue_end: QueueOffset) -> Parking {
        if queue_end.0 > pull.queue_offset {
            return Parking::Arrived((peer, pull));
        }
        let of_peer = self.peers.get(&peer).map_or(0, |of_peer| of_peer.count);
        if self.len() >= self.most || of_peer >= self.most_of_peer {
            return Parking::Full((peer, pull));
        }
        self.earliest_ms = self.earliest_ms.min(pull.deadline_ms);
        let queue = pull.queue();
        let place = self.put(peer, pull);
        let first = *self.queues.entry(queue).or_insert(place);
        self.link(OF_QUEUE, first, place);
        let of_peer = self.peers.entry(peer).or_insert(OfPeer { first: place, count: 0 });
        of_peer.count += 1;
        let first = of_peer.first;
        self.link(OF_PEER, first, place);
        Parking::Parked
    }

    /// Messages have arrived in a queue, which now ends at `queue_end`. Wakes the pulls that wait for an offset before
    /// that and may want one of them: those whose filter matches one of the tags codes, where these are known.
    pub fn arrived(
        &mut self,
        queue: &QueueKey,
        queue_end: QueueOffset,
        tags_codes: Option<&[i64]>,
        woken: &mut Vec<Woken>,
    ) {
        let wants =
            |pull: &ParkedPull| tags_codes.is_none_or(|codes| codes.iter().any(|code| pull.filter.may_want(*code)));
        let Some(first) = self.queues.get(queue).copied() else {
            return;
        };
        let last = self.entry(first).before[OF_QUEUE];
        let mut place = first;
        loop {
            let entry = self.entry(place);
            let next = entry.after[OF_QUEUE];
            if entry.pull.queue_offset < queue_end.0 && wants(&entry.pull) {
                woken.push(self.take(place));
            }
            if place == last {
                break;
            }
            place = next;
        }
    }

    /// When the next pull may time out, in milliseconds of the monotonic clock; `None` when none is parked.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.earliest_ms)
    }

    /// Wakes the pulls whose time is up.
    pub fn expire(&mut self, now_ms: u64, woken: &mut Vec<Woken>) {
        if now_ms < self.earliest_ms {
            return;
        }
        self.earliest_ms = u64::MAX;
        for place in 0..self.entries.len() {
            let Some(entry) = &self.entries[place] else { continue };
            let deadline_ms = entry.deadline_ms;
            if deadline_ms <= now_ms {
                woken.push(self.take(place as u32));
            } else {
                self.earliest_ms = self.earliest_ms.min(deadline_ms);
            }
        }
    }

    /// Forgets the pulls of a connection that has gone; answers how many there were.
    pub fn peer_closed(&mut self, peer: PeerKey) -> u32 {
        let Some(OfPeer { count, .. }) = self.peers.get(&peer).copied() else {
            return 0;
        };
        while let Some(OfPeer { first, .. }) = self.peers.get(&peer).copied() {
            self.take(first);
        }
        count
    }

    /// Puts a pull into a free place, a ring of its own.
    fn put(&mut self, peer: PeerKey, pull: Box<ParkedPull>) -> u32 {
        let deadline_ms = pull.deadline_ms;
        let entry = |place| {
            Some(Entry {
                peer,
                pull,
                deadline_ms,
                before: [place; 2],
                after: [place; 2],
            })
        };
        if let Some(place) = self.free.pop() {
            self.entries[place as usize] = entry(place);
            return place;
        }
        let place = self.entries.len() as u32;
        self.entries.push(entry(place));
        place
    }

    /// Takes a pull out of its place and its rings.
    fn take(&mut self, place: u32) -> Woken {
        let queue = self.entry(place).pull.queue();
        let peer = self.entry(place).peer;
        let next_of_queue = self.unlink(OF_QUEUE, place);
        if self.queues.get(&queue) == Some(&place) {
            match next_of_queue {
                Some(next) => self.queues.insert(queue, next),
                None => self.queues.remove(&queue),
            };
        }
        let next_of_peer = self.unlink(OF_PEER, place);
        if let Some(of_peer) = self.peers.get_mut(&peer) {
            of_peer.count -= 1;
            match next_of_peer {
                Some(next) if of_peer.first == place => of_peer.first = next,
                Some(_) => {}
                None => drop(self.peers.remove(&peer)),
            }
        }
        self.free.push(place);
        let entry = self.entries[place as usize].take();
        let Entry { peer, pull, .. } = entry.expect("rings hold only places that are taken");
        (peer, pull)
    }

    /// Links a place to the end of the ring that begins at `first`.
    fn link(&mut self, ring: usize, first: u32, place: u32) {
        if first == place {
            return;
        }
        let last = self.entry(first).before[ring];
        self.entry_mut(last).after[ring] = place;
        self.entry_mut(first).before[ring] = place;
        let entry = self.entry_mut(place);
        (entry.before[ring], entry.after[ring]) = (last, first);
    }

    /// Takes a place out of its ring. Answers the place after it, `None` when it was alone.
    fn unlink(&mut self, ring: usize, place: u32) -> Option<u32> {
        let entry = self.entry(place);
        let (before, after) = (entry.before[ring], entry.after[ring]);
        if after == place {
            return None;
        }
        self.entry_mut(before).after[ring] = after;
        self.entry_mut(after).before[ring] = before;
        Some(after)
    }

    fn entry(&self, place: u32) -> &Entry {
        self.entries[place as usize]
            .as_ref()
            .expect("rings hold only places that are taken")
    }

    fn entry_mut(&mut self, place: u32) -> &mut Entry {
        self.entries[place as usize]
            .as_mut()
            .expect("rings hold only places that are taken")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cuemq_net::frame::HeaderCodec;
    use cuemq_net::message::tags::java_hash;
    use proptest::prelude::*;

    use super::*;
    use crate::filter::MessageFilter;
    use crate::group::SubscriptionGroup;
    use crate::hold::PullKind;
    use crate::rebalance::TagFilter;

    fn peer(slot: u32) -> PeerKey {
        PeerKey {
            thread: 0,
            slot,
            generation: 0,
        }
    }

    fn queue(queue_id: u32) -> QueueKey {
        QueueKey {
            topic: "T".into(),
            queue_id,
        }
    }

    /// A pull for all messages, named by its `opaque`.
    fn pull(opaque: i32, queue_id: u32, queue_offset: u64, deadline_ms: u64) -> Box<ParkedPull> {
        Box::new(ParkedPull {
            opaque,
            codec: HeaderCodec::Json,
            kind: PullKind::Pull,
            read_ms: 0,
            topic: "T".into(),
            queue_id,
            queue_offset,
            max_messages: 32,
            filter: Arc::new(MessageFilter::all()),
            group: SubscriptionGroup::fresh("G"),
            flow: None,
            deadline_ms,
        })
    }

    fn of_tag(tag: &str, mut pull: Box<ParkedPull>) -> Box<ParkedPull> {
        pull.filter = Arc::new(TagFilter::parse(tag).unwrap().into());
        pull
    }

    fn names(woken: &[Woken]) -> Vec<i32> {
        woken.iter().map(|(_, pull)| pull.opaque).collect()
    }

    #[test]
    fn a_message_wakes_who_waits_for_it_and_nobody_else() {
        let mut parked = ParkedPulls::new(100, 10);
        for (name, queue_id, queue_offset) in [(1, 0, 5), (2, 0, 6), (3, 1, 5), (4, 0, 5)] {
            let pull = pull(name, queue_id, queue_offset, 100);
            assert_eq!(parked.park(peer(0), pull, QueueOffset(5)), Parking::Parked);
        }
        let mut woken = Vec::new();
        parked.arrived(&queue(0), QueueOffset(6), None, &mut woken);
        assert_eq!(names(&woken), [1, 4]);
        parked.arrived(&queue(0), QueueOffset(6), None, &mut woken);
        assert_eq!((woken.len(), parked.len()), (2, 2));
        assert!(parked.waits_for(&queue(1)) && !parked.waits_for(&queue(2)));
    }

    #[test]
    fn a_message_with_another_tag_wakes_nobody_and_one_of_unknown_tag_everybody() {
        let mut parked = ParkedPulls::new(100, 10);
        let mut woken = Vec::new();
        let (tag_a, tag_b) = (i64::from(java_hash("TagA")), i64::from(java_hash("TagB")));
        parked.park(peer(0), of_tag("TagA", pull(1, 0, 5, 100)), QueueOffset(5));
        parked.park(peer(0), pull(2, 0, 5, 100), QueueOffset(5));
        parked.arrived(&queue(0), QueueOffset(6), Some(&[tag_b]), &mut woken);
        assert_eq!(names(&woken), [2]);
        parked.arrived(&queue(0), QueueOffset(7), Some(&[tag_b, tag_a]), &mut woken);
        assert_eq!(names(&woken), [2, 1]);
        parked.park(peer(0), of_tag("TagA", pull(3, 0, 7, 100)), QueueOffset(7));
        parked.arrived(&queue(0), QueueOffset(8), None, &mut woken);
        assert_eq!(names(&woken), [2, 1, 3]);
    }

    #[test]
    fn a_message_that_came_before_the_pull_was_parked_is_not_missed() {
        let mut parked = ParkedPulls::new(100, 10);
        let pull = pull(1, 0, 5, 100);
        assert_eq!(
            parked.park(peer(0), pull.clone(), QueueOffset(6)),
            Parking::Arrived((peer(0), pull))
        );
        assert!(parked.is_empty());
    }

    #[test]
    fn a_connection_parks_no_more_than_its_share_and_all_no_more_than_the_whole() {
        let mut parked = ParkedPulls::new(3, 2);
        let mut is_full = |slot, name| {
            let parking = parked.park(peer(slot), pull(name, 0, 0, 100), QueueOffset(0));
            matches!(parking, Parking::Full((_, pull)) if pull.opaque == name)
        };
        assert_eq!([is_full(0, 1), is_full(0, 2), is_full(0, 3)], [false, false, true]);
        assert_eq!([is_full(1, 4), is_full(1, 5)], [false, true]);
        assert_eq!(parked.peer_closed(peer(0)), 2);
        assert_eq!(
            parked.park(peer(1), pull(6, 0, 0, 100), QueueOffset(0)),
            Parking::Parked
        );
    }

    #[test]
    fn a_pull_times_out_at_its_deadline_and_not_before() {
        let mut parked = ParkedPulls::new(100, 10);
        for (name, deadline_ms) in [(1, 300), (2, 100), (3, 200)] {
            parked.park(peer(0), pull(name, 0, 0, deadline_ms), QueueOffset(0));
        }
        assert_eq!(parked.next_deadline_ms(), Some(100));
        let mut woken = Vec::new();
        parked.expire(99, &mut woken);
        assert!(woken.is_empty());
        parked.expire(200, &mut woken);
        assert_eq!(names(&woken), [2, 3]);
        assert_eq!(parked.next_deadline_ms(), Some(300));
        parked.peer_closed(peer(0));
        assert_eq!(parked.next_deadline_ms(), None);
    }

    #[derive(Clone, Debug)]
    enum Event {
        Park {
            slot: u32,
            queue_id: u32,
            ahead: u64,
            wait_ms: u64,
            tag: Option<u8>,
        },
        Arrive {
            queue_id: u32,
            count: u64,
            tag: Option<u8>,
        },
        Wait {
            ms: u64,
        },
        Close {
            slot: u32,
        },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            5 => (0..4u32, 0..3u32, 0..3u64, 0..50u64, proptest::option::of(0..3u8)).prop_map(
                |(slot, queue_id, ahead, wait_ms, tag)| Event::Park { slot, queue_id, ahead, wait_ms, tag }
            ),
            3 => (0..3u32, 1..3u64, proptest::option::of(0..3u8))
                .prop_map(|(queue_id, count, tag)| Event::Arrive { queue_id, count, tag }),
            2 => (0..40u64).prop_map(|ms| Event::Wait { ms }),
            1 => (0..4u32).prop_map(|slot| Event::Close { slot }),
        ]
    }

    /// The parked pulls as a list that is searched from end to end.
    type Model = Vec<Woken>;

    fn wake(model: &mut Model, wakes: impl Fn(&ParkedPull) -> bool) -> Vec<i32> {
        model
            .extract_if(.., |(_, pull)| wakes(pull))
            .map(|(_, pull)| pull.opaque)
            .collect()
    }

    /// What the list makes of a pull that is to be parked.
    fn park(model: &mut Model, new: Woken, end: u64) -> Parking {
        let mine = model.iter().filter(|(peer, _)| *peer == new.0).count();
        if end > new.1.queue_offset {
            Parking::Arrived(new)
        } else if model.len() >= 20 || mine >= 8 {
            Parking::Full(new)
        } else {
            model.push(new);
            Parking::Parked
        }
    }

    proptest! {
        /// The table does what the list does.
        #[test]
        fn parked_pulls_behave_like_a_plain_list(events in proptest::collection::vec(event(), 1..120)) {
            let mut parked = ParkedPulls::new(20, 8);
            let mut model = Model::new();
            let mut ends = [0u64; 3];
            let mut now_ms = 0;
            for (name, event) in (0..).zip(events) {
                let mut woken = Vec::new();
                let mut expected = Vec::new();
                match event {
                    Event::Park { slot, queue_id, ahead, wait_ms, tag } => {
                        let end = ends[queue_id as usize];
                        let new = pull(name, queue_id, (end + ahead).saturating_sub(1), now_ms + wait_ms);
                        let new = tag.map_or(new.clone(), |tag| of_tag(&format!("tag{tag}"), new));
                        let outcome = park(&mut model, (peer(slot), new.clone()), end);
                        prop_assert_eq!(parked.park(peer(slot), new, QueueOffset(end)), outcome);
                    }
                    Event::Arrive { queue_id, count, tag } => {
                        ends[queue_id as usize] += count;
                        let end = ends[queue_id as usize];
                        let code = tag.map(|tag| [i64::from(java_hash(&format!("tag{tag}")))]);
                        let codes = code.as_ref().map(|code| code.as_slice());
                        parked.arrived(&queue(queue_id), QueueOffset(end), codes, &mut woken);
                        expected = wake(&mut model, |pull| {
                            let matches = code.is_none_or(|[code]| pull.filter.may_want(code));
                            pull.queue_id == queue_id && pull.queue_offset < end && matches
                        });
                    }
                    Event::Wait { ms } => {
                        now_ms += ms;
                        parked.expire(now_ms, &mut woken);
                        expected = wake(&mut model, |pull| pull.deadline_ms <= now_ms);
                    }
                    Event::Close { slot } => {
                        let before = model.len();
                        model.retain(|(of, _)| *of != peer(slot));
                        prop_assert_eq!(parked.peer_closed(peer(slot)) as usize, before - model.len());
                    }
                }
                let mut woken = names(&woken);
                woken.sort_unstable();
                prop_assert_eq!(woken, expected);
                prop_assert_eq!(parked.len(), model.len());
                for queue_id in 0..3 {
                    let waits = model.iter().any(|(_, pull)| pull.queue_id == queue_id);
                    prop_assert_eq!(parked.waits_for(&queue(queue_id)), waits);
                }
                let earliest = model.iter().map(|(_, pull)| pull.deadline_ms).min();
                prop_assert!(parked.next_deadline_ms() <= earliest);
            }
        }
    }
}
