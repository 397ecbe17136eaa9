//! The connections of one I/O thread, by place and generation.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;
use std::time::Duration;

use cuemq_net::frame::{self, Frame, MAX_FRAME_BYTES};
use cuemq_net::header::{self, HeaderScratch, HeaderView};

use super::answer_turns::AnswerTurns;
use super::budget::{Budget, Share};
use super::outbox::Outbox;
use super::turns::Place;
use crate::hold::ParkedPull;
use crate::peer::PeerKey;
use crate::rebalance::PeerRecord;
use crate::under_way::Counted;

/// Something that a connection has to take up again.
#[derive(Debug)]
pub enum Again {
    /// A send that had to wait until its topic was made.
    Frame(HeldFrame),
    /// A pull whose queue has something new, or whose time is over.
    Pull(Box<ParkedPull>),
}

/// The whole frame of a request that has to wait; it is counted among what waits until it is dropped.
#[derive(Debug)]
pub struct HeldFrame {
    bytes: Vec<u8>,
    /// When it was read, by the monotonic clock.
    pub read_at: Duration,
    _share: Share,
    _counted: Counted,
}

impl HeldFrame {
    /// Copies a frame out of the read buffer; it is counted as under way.
    #[must_use]
    pub fn new(frame: &[u8], read_at: Duration, waiting: &Arc<Budget>, counted: Counted) -> Self {
        Self {
            bytes: frame.to_vec(),
            read_at,
            _share: waiting.share(frame.len()),
            _counted: counted,
        }
    }

    /// The frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its header, and where its parts lie; `None` where it makes no sense, which its connection has looked at before.
    pub fn read<'a>(&'a self, scratch: &'a mut HeaderScratch) -> Option<(HeaderView<'a>, Frame)> {
        let frame = frame::check(&self.bytes, MAX_FRAME_BYTES).ok()??;
        let header = self.bytes.get(frame.header.clone())?;
        Some((header::parse(frame.codec, header, scratch).ok()?, frame))
    }
}

/// What the rest of the thread can reach of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its name.
    pub key: PeerKey,
    /// The other side's address.
    pub remote: SocketAddr,
    /// What is to be written.
    pub outbox: RefCell<Outbox>,
    /// What is to be taken up again.
    pub again: RefCell<VecDeque<Again>>,
    /// The turns of its longer answers.
    pub answers: AnswerTurns,
    /// What its client said of its groups last, and the number of the request by which that is known.
    kept: RefCell<(u64, Option<Arc<PeerRecord>>)>,
    /// How many requests were numbered.
    requests: Cell<u64>,
    /// Bytes of sends that wait for their outcome, or for their topic.
    pub in_flight: Cell<usize>,
    /// Bytes of sends that the log has answered since the connection opened.
    pub answered: Cell<u64>,
    /// Requests that other actors are working on.
    pub controls: Cell<usize>,
    /// The bytes of those that are neither sends nor pulls.
    pub control_bytes: Cell<usize>,
    /// Pulls that wait in `Hold` or on their way to it.
    pub pulls: Cell<u32>,
    /// Whether it is listed among those that wait for room in the log.
    pub held_back: Cell<bool>,
    /// Since when a frame has been arriving whose end has not come.
    pub begun: Cell<Option<Duration>>,
    /// Bytes that it holds of frames and answers that wait for its client.
    pub idle: Cell<usize>,
    /// Bytes that have come of a long frame.
    pub arriving: Cell<usize>,
    /// When something was last read or written.
    pub active: Cell<Duration>,
    /// Since when nothing could be written although something waits.
    pub stalled: Cell<Option<Duration>>,
    /// Since when a newcomer's frame has not been read for want of room.
    pub unread: Cell<Option<Duration>>,
    /// Whether its client has taken enough to have read.
    pub proven: Cell<bool>,
    /// Where it is in the line of those who do not go first.
    pub place: Cell<Place>,
    closing: Cell<Option<&'static str>>,
    waker: RefCell<Option<Waker>>,
}

impl Peer {
    /// Lets the connection's task run.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Notes how the task is woken.
    pub fn register(&self, waker: &Waker) {
        let mut registered = self.waker.borrow_mut();
        if !registered.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *registered = Some(waker.clone());
        }
    }

    /// Counts so many bytes of sends as answered by the log.
    pub fn sends_answered(&self, bytes: usize) {
        self.in_flight.set(self.in_flight.get().saturating_sub(bytes));
        self.answered.set(self.answered.get() + bytes as u64);
    }

    /// Counts a send that waits for its topic.
    pub fn topic_wanted(&self, held: &HeldFrame) {
        self.controls.set(self.controls.get() + 1);
        self.in_flight.set(self.in_flight.get() + held.bytes().len());
    }

    /// Counts it no longer: it is taken up again, or refused.
    pub fn topic_made(&self, held: &HeldFrame) {
        self.controls.set(self.controls.get().saturating_sub(1));
        self.in_flight
            .set(self.in_flight.get().saturating_sub(held.bytes().len()));
    }

    /// The number of a request that was just read.
    pub fn number_request(&self) -> u64 {
        self.requests.set(self.requests.get() + 1);
        self.requests.get()
    }

    /// Keeps what a request has made known of the client's groups, unless a later one did before: answers overtake each other.
    pub fn keep(&self, request: u64, record: Option<Arc<PeerRecord>>) {
        let mut kept = self.kept.borrow_mut();
        if request > kept.0 {
            *kept = (request, record);
        }
    }

    /// What its client said of its groups last.
    #[must_use]
    pub fn kept(&self) -> Option<Arc<PeerRecord>> {
        self.kept.borrow().1.clone()
    }

    /// Counts a request of so many bytes that another actor works on.
    pub fn control_begins(&self, bytes: usize) {
        self.controls.set(self.controls.get() + 1);
        self.control_bytes.set(self.control_bytes.get() + bytes);
    }

    /// Counts it no longer.
    pub fn control_ends(&self, bytes: usize) {
        self.controls.set(self.controls.get().saturating_sub(1));
        self.control_bytes.set(self.control_bytes.get().saturating_sub(bytes));
    }

    /// Whether nothing is known of its client: it has read little, and brought no message.
    #[must_use]
    pub fn is_newcomer(&self) -> bool {
        !self.proven.get() && self.answered.get() == 0
    }

    /// Since when its client has left something standing: an answer that it does not take, a frame that it does not end, or, of a
    /// newcomer, one for which there is no room.
    #[must_use]
    pub fn still_since(&self) -> Option<Duration> {
        let begun = self.begun.get().map(|_| self.active.get());
        self.stalled.get().or(begun).or(self.unread.get())
    }

    /// Asks the connection to end.
    pub fn close(&self, reason: &'static str) {
        if self.closing.get().is_none() {
            self.closing.set(Some(reason));
        }
        self.wake();
    }

    /// Why the connection has to end, if it has to.
    #[must_use]
    pub fn closing(&self) -> Option<&'static str> {
        self.closing.get()
    }
}

/// The connections of one I/O thread.
#[derive(Debug)]
pub struct PeerTable {
    thread: u16,
    /// Numbers the thread's connections. It outlives the table, so that what is under way for a connection of an earlier
    /// table never reaches one of this.
    generations: Arc<AtomicU32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: usize,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    peer: Option<Rc<Peer>>,
}

impl PeerTable {
    /// The empty table of a thread; all of a thread's tables share `generations`.
    #[must_use]
    pub fn new(thread: u16, generations: Arc<AtomicU32>) -> Self {
        Self {
            thread,
            generations,
            slots: Vec::new(),
            free: Vec::new(),
            open: 0,
        }
    }

    /// Enters a connection.
    pub fn insert(&mut self, remote: SocketAddr, now: Duration) -> Rc<Peer> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                peer: None,
            });
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let peer = Rc::new(Peer {
            key: PeerKey {
                thread: self.thread,
                slot,
                generation,
            },
            remote,
            outbox: RefCell::default(),
            again: RefCell::default(),
            answers: AnswerTurns::default(),
            kept: RefCell::default(),
            requests: Cell::new(0),
            in_flight: Cell::new(0),
            answered: Cell::new(0),
            controls: Cell::new(0),
            control_bytes: Cell::new(0),
            pulls: Cell::new(0),
            held_back: Cell::new(false),
            begun: Cell::new(None),
            idle: Cell::new(0),
            arriving: Cell::new(0),
            active: Cell::new(now),
            stalled: Cell::new(None),
            unread: Cell::new(None),
            proven: Cell::new(false),
            place: Cell::default(),
            closing: Cell::new(None),
            waker: RefCell::new(None),
        });
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            slot.generation = generation;
            slot.peer = Some(Rc::clone(&peer));
            self.open += 1;
        }
        peer
    }

    /// Finds a connection that is still the one that was meant.
    #[must_use]
    pub fn get(&self, key: PeerKey) -> Option<&Rc<Peer>> {
        let slot = self.slots.get(key.slot as usize)?;
        (key.thread == self.thread && slot.generation == key.generation)
            .then_some(slot.peer.as_ref())
            .flatten()
    }

    /// Takes a connection out; its place is used again under the next generation.
    pub fn remove(&mut self, key: PeerKey) {
        if self.get(key).is_none() {
            return;
        }
        if let Some(slot) = self.slots.get_mut(key.slot as usize) {
            slot.peer = None;
            self.free.push(key.slot);
            self.open -= 1;
        }
    }

    /// How many connections are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open
    }

    /// Whether no connection is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// All connections.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<Peer>> {
        self.slots.iter().filter_map(|slot| slot.peer.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use cuemq_net::body::HeartbeatData;
    use cuemq_net::language::Language;

    use super::*;
    use crate::rebalance::{Client, Membership, MembershipView};

    fn remote() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 5))
    }

    #[test]
    fn an_answer_for_a_connection_that_has_gone_reaches_nobody() {
        let mut table = PeerTable::new(1, Arc::default());
        let first = table.insert(remote(), Duration::ZERO).key;
        table.remove(first);
        let second = table.insert(remote(), Duration::ZERO).key;
        assert_eq!((first.slot, table.len()), (second.slot, 1), "the place is used again");
        assert!(table.get(first).is_none());
        assert!(table.get(second).is_some());
        table.remove(first);
        assert!(
            table.get(second).is_some(),
            "and a late removal does not hit the new one"
        );
    }

    #[test]
    fn an_answer_for_a_connection_of_an_earlier_table_reaches_nobody() {
        let generations = Arc::default();
        let earlier = PeerTable::new(1, Arc::clone(&generations))
            .insert(remote(), Duration::ZERO)
            .key;
        let mut table = PeerTable::new(1, generations);
        let later = table.insert(remote(), Duration::ZERO).key;
        assert_eq!(earlier.slot, later.slot);
        assert!(table.get(earlier).is_none() && table.get(later).is_some());
    }

    /// What a connection keeps of its first heartbeat.
    fn record() -> Arc<PeerRecord> {
        let client = Client {
            client_id: Arc::from("c"),
            address: Arc::from("127.0.0.1:9"),
            language: Language::Java,
            version: 409,
        };
        let key = PeerTable::new(1, Arc::default()).insert(remote(), Duration::ZERO).key;
        let heard =
            Membership::new(false, MembershipView::new())
                .heartbeat(key, client, HeartbeatData::default(), 0, |_| false);
        heard.unwrap().kept
    }

    #[test]
    fn an_answer_that_was_overtaken_by_a_later_request_does_not_bring_back_what_that_has_ended() {
        let peer = PeerTable::new(1, Arc::default()).insert(remote(), Duration::ZERO);
        let (heartbeat, leave) = (peer.number_request(), peer.number_request());
        peer.keep(leave, None);
        peer.keep(heartbeat, Some(record()));
        assert!(peer.kept().is_none());
        let next = peer.number_request();
        peer.keep(next, Some(record()));
        assert!(peer.kept().is_some());
    }

    #[test]
    fn a_key_of_another_thread_names_nobody_here() {
        let mut table = PeerTable::new(1, Arc::default());
        let key = table.insert(remote(), Duration::ZERO).key;
        assert!(table.get(PeerKey { thread: 0, ..key }).is_none());
    }
}
