//! The parked pulls of one I/O thread.
//!
//! Each pull has one place in a table; two rings of place numbers run through it, one for each queue and one for each
//! connection, so that parking, waking and forgetting cost the same whatever else is parked. A pull takes less than 128
//! bytes. Deadlines are not sorted: one sweep over all places takes microseconds, and is done only when the earliest
//! deadline has come.

use cuemq_storage::hash::Map;
use cuemq_storage::position::QueueOffset;

use super::{ParkedPull, QueueKey, Reason, Woken};
use crate::peer::PeerKey;

/// What became of a pull that was to be parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parking {
    /// It waits.
    Parked,
    /// The queue has reached its offset meanwhile: look again at once.
    Arrived,
    /// Its connection, or all together, have as many parked as they may: answer it as it is.
    Full,
}

/// The ring that runs through the pulls of one queue.
const OF_QUEUE: usize = 0;
/// The ring that runs through the pulls of one connection.
const OF_PEER: usize = 1;

/// A pull in its place.
#[derive(Debug)]
struct Entry {
    pull: ParkedPull,
    /// For each ring the places before and after.
    before: [u32; 2],
    after: [u32; 2],
}

const _: () = assert!(size_of::<Option<Entry>>() <= 72, "a parked pull takes little");

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

    /// Parks a pull. `queue_end` is the queue's end as it is now, read after the pull found nothing: what arrived in
    /// between was announced before the pull was here.
    pub fn park(&mut self, pull: ParkedPull, queue_end: QueueOffset) -> Parking {
        if queue_end > pull.queue_offset {
            return Parking::Arrived;
        }
        let of_peer = self.peers.get(&pull.peer).map_or(0, |of_peer| of_peer.count);
        if self.len() >= self.most || of_peer >= self.most_of_peer {
            return Parking::Full;
        }
        self.earliest_ms = self.earliest_ms.min(pull.deadline_ms);
        let (queue, peer) = (pull.queue, pull.peer);
        let place = self.put(pull);
        let first = *self.queues.entry(queue).or_insert(place);
        self.link(OF_QUEUE, first, place);
        let of_peer = self.peers.entry(peer).or_insert(OfPeer { first: place, count: 0 });
        of_peer.count += 1;
        let first = of_peer.first;
        self.link(OF_PEER, first, place);
        Parking::Parked
    }

    /// Messages have arrived in a queue, which now ends at `queue_end`. Wakes the pulls that wait for an offset before
    /// that and may want one of them: those whose subscription matches one of the tags codes, where these are known.
    pub fn arrived(
        &mut self,
        queue: QueueKey,
        queue_end: QueueOffset,
        tags_codes: Option<&[i64]>,
        woken: &mut Vec<Woken>,
    ) {
        let wants = |pull: &ParkedPull| match (&pull.subscription, tags_codes) {
            (Some(subscription), Some(codes)) => codes.iter().any(|code| subscription.tags().matches(*code)),
            _ => true,
        };
        let Some(first) = self.queues.get(&queue).copied() else {
            return;
        };
        let last = self.entry(first).before[OF_QUEUE];
        let mut place = first;
        loop {
            let entry = self.entry(place);
            let next = entry.after[OF_QUEUE];
            if entry.pull.queue_offset < queue_end && wants(&entry.pull) {
                self.wake(place, Reason::Arrived, woken);
            }
            if place == last {
                break;
            }
            place = next;
        }
    }

    /// Looks at the end of every queue that is waited for, and wakes whoever waits for an offset before it, whatever
    /// its tags: Java does so every 5 s, so that clients move on past messages that they do not want.
    pub fn recheck(&mut self, queue_end: impl Fn(QueueKey) -> QueueOffset, woken: &mut Vec<Woken>) {
        let mut queues: Vec<_> = self.queues.keys().copied().collect();
        queues.sort_unstable();
        for queue in queues {
            self.arrived(queue, queue_end(queue), None, woken);
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
            let deadline_ms = entry.pull.deadline_ms;
            if deadline_ms <= now_ms {
                self.wake(place as u32, Reason::TimedOut, woken);
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

    fn wake(&mut self, place: u32, reason: Reason, woken: &mut Vec<Woken>) {
        let ParkedPull { peer, ticket, .. } = self.take(place);
        woken.push(Woken { peer, ticket, reason });
    }

    /// Puts a pull into a free place, a ring of its own.
    fn put(&mut self, pull: ParkedPull) -> u32 {
        let entry = |place| {
            Some(Entry {
                pull,
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
    fn take(&mut self, place: u32) -> ParkedPull {
        let queue = self.entry(place).pull.queue;
        let peer = self.entry(place).pull.peer;
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
        entry.expect("rings hold only places that are taken").pull
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

    use cuemq_net::body::SubscriptionData;
    use cuemq_net::message::tags::java_hash;
    use proptest::prelude::*;

    use super::*;
    use crate::rebalance::Subscription;
    use crate::topic::TopicId;

    fn peer(slot: u32) -> PeerKey {
        PeerKey {
            thread: 0,
            slot,
            generation: 0,
        }
    }

    fn queue(queue_id: u32) -> QueueKey {
        QueueKey {
            topic: TopicId(1),
            queue_id,
        }
    }

    fn pull(slot: u32, ticket: u32, queue_id: u32, queue_offset: u64, deadline_ms: u64) -> ParkedPull {
        let (peer, queue, queue_offset) = (peer(slot), queue(queue_id), QueueOffset(queue_offset));
        ParkedPull {
            peer,
            ticket,
            queue,
            queue_offset,
            deadline_ms,
            subscription: None,
        }
    }

    fn wants(tag: &str) -> Option<Arc<Subscription>> {
        let data = SubscriptionData {
            sub_string: tag.to_owned(),
            ..SubscriptionData::default()
        };
        Some(Arc::new(Subscription::new(data)))
    }

    fn tickets(woken: &[Woken]) -> Vec<u32> {
        woken.iter().map(|woken| woken.ticket).collect()
    }

    #[test]
    fn a_message_wakes_who_waits_for_it_and_nobody_else() {
        let mut parked = ParkedPulls::new(100, 10);
        for (ticket, queue_id, queue_offset) in [(1, 0, 5), (2, 0, 6), (3, 1, 5), (4, 0, 5)] {
            assert_eq!(
                parked.park(pull(0, ticket, queue_id, queue_offset, 100), QueueOffset(5)),
                Parking::Parked
            );
        }
        let mut woken = Vec::new();
        parked.arrived(queue(0), QueueOffset(6), None, &mut woken);
        assert_eq!(tickets(&woken), [1, 4]);
        assert!(woken.iter().all(|woken| woken.reason == Reason::Arrived));
        parked.arrived(queue(0), QueueOffset(6), None, &mut woken);
        assert_eq!((woken.len(), parked.len()), (2, 2));
    }

    #[test]
    fn a_message_with_another_tag_wakes_nobody_until_the_recheck() {
        let mut parked = ParkedPulls::new(100, 10);
        parked.park(
            ParkedPull {
                subscription: wants("TagA"),
                ..pull(0, 1, 0, 5, 100)
            },
            QueueOffset(5),
        );
        parked.park(
            ParkedPull {
                subscription: wants("*"),
                ..pull(0, 2, 0, 5, 100)
            },
            QueueOffset(5),
        );
        let (tag_a, tag_b) = (i64::from(java_hash("TagA")), i64::from(java_hash("TagB")));
        let mut woken = Vec::new();
        parked.arrived(queue(0), QueueOffset(6), Some(&[tag_b]), &mut woken);
        assert_eq!(tickets(&woken), [2]);
        parked.recheck(|_| QueueOffset(5), &mut woken);
        assert_eq!(tickets(&woken), [2]);
        parked.park(
            ParkedPull {
                subscription: wants("TagA"),
                ..pull(0, 3, 0, 6, 100)
            },
            QueueOffset(6),
        );
        parked.arrived(queue(0), QueueOffset(7), Some(&[tag_b, tag_a]), &mut woken);
        assert_eq!(tickets(&woken), [2, 1, 3]);
        parked.park(
            ParkedPull {
                subscription: wants("TagA"),
                ..pull(0, 4, 0, 7, 100)
            },
            QueueOffset(7),
        );
        parked.recheck(|_| QueueOffset(8), &mut woken);
        assert_eq!(tickets(&woken), [2, 1, 3, 4]);
    }

    #[test]
    fn a_message_that_came_before_the_pull_was_parked_is_not_missed() {
        let mut parked = ParkedPulls::new(100, 10);
        assert_eq!(parked.park(pull(0, 1, 0, 5, 100), QueueOffset(6)), Parking::Arrived);
        assert!(parked.is_empty());
    }

    #[test]
    fn a_connection_parks_no_more_than_its_share_and_all_no_more_than_the_whole() {
        let mut parked = ParkedPulls::new(3, 2);
        let mut park = |slot, ticket| parked.park(pull(slot, ticket, ticket, 0, 100), QueueOffset(0));
        assert_eq!(
            [park(0, 1), park(0, 2), park(0, 3)],
            [Parking::Parked, Parking::Parked, Parking::Full]
        );
        assert_eq!([park(1, 4), park(1, 5)], [Parking::Parked, Parking::Full]);
        assert_eq!(parked.peer_closed(peer(0)), 2);
        assert_eq!(parked.park(pull(1, 6, 6, 0, 100), QueueOffset(0)), Parking::Parked);
    }

    #[test]
    fn a_pull_times_out_at_its_deadline_and_not_before() {
        let mut parked = ParkedPulls::new(100, 10);
        for (ticket, deadline_ms) in [(1, 300), (2, 100), (3, 200)] {
            parked.park(pull(0, ticket, 0, 0, deadline_ms), QueueOffset(0));
        }
        assert_eq!(parked.next_deadline_ms(), Some(100));
        let mut woken = Vec::new();
        parked.expire(99, &mut woken);
        assert!(woken.is_empty());
        parked.expire(200, &mut woken);
        assert_eq!(tickets(&woken), [2, 3]);
        assert!(woken.iter().all(|woken| woken.reason == Reason::TimedOut));
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
        Recheck,
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
            1 => Just(Event::Recheck),
            2 => (0..40u64).prop_map(|ms| Event::Wait { ms }),
            1 => (0..4u32).prop_map(|slot| Event::Close { slot }),
        ]
    }

    /// Takes out of the model what `wakes` says, as the pairs that the table must give.
    fn wake(model: &mut Vec<ParkedPull>, reason: Reason, wakes: impl Fn(&ParkedPull) -> bool) -> Vec<Woken> {
        let gone = model.extract_if(.., |pull| wakes(pull));
        gone.map(|pull| Woken {
            peer: pull.peer,
            ticket: pull.ticket,
            reason,
        })
        .collect()
    }

    proptest! {
        /// The table does what a list of pulls does that is searched from end to end.
        #[test]
        fn parked_pulls_behave_like_a_plain_list(events in proptest::collection::vec(event(), 1..120)) {
            let mut parked = ParkedPulls::new(20, 8);
            let mut model: Vec<ParkedPull> = Vec::new();
            let mut ends = [0u64; 3];
            let mut now_ms = 0;
            for (ticket, event) in (0..).zip(events) {
                let mut woken = Vec::new();
                let mut expected = Vec::new();
                match event {
                    Event::Park { slot, queue_id, ahead, wait_ms, tag } => {
                        let end = ends[queue_id as usize];
                        let subscription = tag.and_then(|tag| wants(&format!("tag{tag}")));
                        let new = pull(slot, ticket, queue_id, (end + ahead).saturating_sub(1), now_ms + wait_ms);
                        let new = ParkedPull { subscription, ..new };
                        let mine = model.iter().filter(|pull| pull.peer == new.peer).count();
                        let outcome = if end > new.queue_offset.0 {
                            Parking::Arrived
                        } else if model.len() >= 20 || mine >= 8 {
                            Parking::Full
                        } else {
                            model.push(new.clone());
                            Parking::Parked
                        };
                        prop_assert_eq!(parked.park(new, QueueOffset(end)), outcome);
                    }
                    Event::Arrive { queue_id, count, tag } => {
                        ends[queue_id as usize] += count;
                        let end = QueueOffset(ends[queue_id as usize]);
                        let code = tag.map(|tag| [i64::from(java_hash(&format!("tag{tag}")))]);
                        let codes = code.as_ref().map(|code| code.as_slice());
                        parked.arrived(queue(queue_id), end, codes, &mut woken);
                        expected = wake(&mut model, Reason::Arrived, |pull| {
                            let matches = match (&pull.subscription, code) {
                                (Some(subscription), Some([code])) => subscription.tags().matches(code),
                                _ => true,
                            };
                            pull.queue == queue(queue_id) && pull.queue_offset < end && matches
                        });
                    }
                    Event::Recheck => {
                        let end = |queue: QueueKey| QueueOffset(ends[queue.queue_id as usize]);
                        parked.recheck(end, &mut woken);
                        expected = wake(&mut model, Reason::Arrived, |pull| pull.queue_offset < end(pull.queue));
                    }
                    Event::Wait { ms } => {
                        now_ms += ms;
                        parked.expire(now_ms, &mut woken);
                        expected = wake(&mut model, Reason::TimedOut, |pull| pull.deadline_ms <= now_ms);
                    }
                    Event::Close { slot } => {
                        let before = model.len();
                        model.retain(|pull| pull.peer != peer(slot));
                        prop_assert_eq!(parked.peer_closed(peer(slot)) as usize, before - model.len());
                    }
                }
                woken.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(woken, expected);
                prop_assert_eq!(parked.len(), model.len());
                let earliest = model.iter().map(|pull| pull.deadline_ms).min();
                prop_assert!(parked.next_deadline_ms() <= earliest || earliest.is_none());
            }
        }
    }
}
