//! The state machine of group membership: heartbeats, leaves, closed and silent connections.
//!
//! Membership is by connection. A heartbeat adds to what a connection said before: a group that it does not name stays
//! until the connection leaves it (code 35), closes, or has not named it for [`SILENT_MS`]. Members are told when a
//! connection joins, leaves or closes and when the group's topics change; a newer subscription to a known topic and a
//! connection that fell silent are not told, as in Java.
//!
//! One difference: where Java keeps what a member said after it has gone, until the next heartbeat of another, here only
//! present members count. The same is reached up to 30 seconds sooner, and the state follows from the records alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cuemq_net::body::{ConsumerData, HeartbeatData};

use super::peer_record::{ConsumerRecord, Statement};
use super::{Client, ConsumerGroup, Member, MembershipView, PeerRecord, ProducerGroup};
use crate::peer::PeerKey;

/// How long a connection may be silent about a group, in milliseconds.
pub const SILENT_MS: u64 = 120_000;
/// The most groups of either kind that one connection may be in.
pub const MAX_GROUPS: usize = 4096;
/// The most topics that one connection may subscribe to for one group.
pub const MAX_SUBSCRIPTIONS: usize = 4096;
/// The most bytes that are kept of what one connection has said: about 7,000 subscriptions.
pub const MAX_RECORD_BYTES: usize = 2 << 20;
/// The most bytes that are kept of what all connections have said.
pub const MAX_BYTES: usize = 256 << 20;

/// A heartbeat that says more than a broker keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// It names too many groups or topics for one connection.
    #[error(
        "a connection may be in at most {MAX_GROUPS} groups and subscribe to at most {MAX_SUBSCRIPTIONS} topics for \
         each: use more clients"
    )]
    Names,
    /// With what the connection said before it is too long for one connection.
    #[error("the groups and subscriptions of a connection may take at most {MAX_RECORD_BYTES} bytes: use more clients")]
    OfConnection,
    /// All connections together have said too much.
    #[error("the groups and subscriptions of all connections take {MAX_BYTES} bytes already: use fewer clients")]
    OfAll,
}

/// What a heartbeat led to.
#[derive(Debug)]
pub struct Heard {
    /// What the connection keeps, for [`Membership::rebuild`].
    pub kept: Arc<PeerRecord>,
    /// The groups whose members, all of them, must be told.
    pub changed: Vec<Arc<ConsumerGroup>>,
}

/// What the leaving of a group led to.
#[derive(Debug)]
pub struct Departure {
    /// What the connection keeps; `None` when it is in no group any more.
    pub kept: Option<Arc<PeerRecord>>,
    /// The groups whose remaining members must be told.
    pub changed: Vec<Arc<ConsumerGroup>>,
}

/// The membership of all groups.
#[derive(Debug)]
pub struct Membership {
    peers: BTreeMap<PeerKey, Arc<PeerRecord>>,
    consumers: BTreeMap<Arc<str>, Consumers>,
    producers: BTreeMap<Arc<str>, BTreeSet<PeerKey>>,
    /// The connections of each client id by the number of their first heartbeat.
    clients: BTreeMap<Arc<str>, BTreeSet<(u64, PeerKey)>>,
    /// How many heartbeats there were.
    heartbeats: u64,
    /// Bytes of all records.
    bytes: usize,
    broker_notifies: bool,
    view: MembershipView,
}

#[derive(Debug)]
struct Consumers {
    members: BTreeSet<PeerKey>,
    shown: Option<Arc<ConsumerGroup>>,
}

impl Membership {
    /// A membership of nobody. `broker_notifies` is Java's `notifyConsumerIdsChangedEnable` of the broker: without it
    /// nobody is ever told of changes.
    #[must_use]
    pub fn new(broker_notifies: bool, view: MembershipView) -> Self {
        Self::rebuild(broker_notifies, view, std::iter::empty(), 0)
    }

    /// The membership that follows from what live connections keep, as it was before; what is silent for too long at
    /// `now_ms` is left out.
    pub fn rebuild(
        broker_notifies: bool,
        view: MembershipView,
        kept: impl IntoIterator<Item = (PeerKey, Arc<PeerRecord>)>,
        now_ms: u64,
    ) -> Self {
        let mut membership = Self {
            peers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            producers: BTreeMap::new(),
            clients: BTreeMap::new(),
            heartbeats: 0,
            bytes: 0,
            broker_notifies,
            view,
        };
        for (peer, record) in kept {
            membership.take_back(peer, record, now_ms);
        }
        let groups: Vec<_> = membership.consumers.keys().cloned().collect();
        for group in &groups {
            membership.show_consumers(group);
        }
        let groups: Vec<_> = membership.producers.keys().cloned().collect();
        for group in &groups {
            membership.show_producers(group);
        }
        let Self {
            consumers,
            producers,
            clients,
            view,
            ..
        } = &membership;
        view.retain(
            |group| consumers.contains_key(group),
            |group| producers.contains_key(group),
            |client_id| clients.contains_key(client_id),
        );
        membership
    }

    /// Takes in a heartbeat at `now_ms` of the monotonic clock. `notifies` tells for a group whether its configuration
    /// lets its members be told.
    ///
    /// # Errors
    /// When it names more than is kept; nothing has changed then.
    pub fn heartbeat(
        &mut self,
        peer: PeerKey,
        client: Client,
        data: HeartbeatData,
        now_ms: u64,
        notifies: impl Fn(&str) -> bool,
    ) -> Result<Heard, TooMuch> {
        let number = self.heartbeats + 1;
        let before = self.peers.get(&peer).cloned();
        let mut record = match &before {
            Some(before) => PeerRecord::clone(before),
            None => PeerRecord {
                client: Arc::new(client.clone()),
                joined: number,
                consumers: BTreeMap::new(),
                producers: BTreeMap::new(),
            },
        };
        let other_client = *record.client != client;
        if other_client {
            record.client = Arc::new(client);
        }
        let mut touched = BTreeSet::new();
        for said in data.consumers {
            touched.extend(self.note_consumer(&mut record, said, number, now_ms)?);
        }
        let mut joined = BTreeSet::new();
        for said in data.producers {
            let group = intern(&self.producers, &said.group_name);
            if record.producers.insert(Arc::clone(&group), now_ms).is_none() {
                joined.insert(group);
            }
        }
        if record.consumers.len().max(record.producers.len()) > MAX_GROUPS {
            return Err(TooMuch::Names);
        }
        let (bytes, known) = (record.bytes(), before.as_ref().map_or(0, |before| before.bytes()));
        if bytes > MAX_RECORD_BYTES {
            return Err(TooMuch::OfConnection);
        }
        if bytes > known && self.bytes - known + bytes > MAX_BYTES {
            return Err(TooMuch::OfAll);
        }
        if other_client {
            touched.extend(record.consumers.keys().cloned());
            joined.extend(record.producers.keys().cloned());
        }
        self.heartbeats = number;
        let kept = Arc::new(record);
        if kept.is_empty() {
            return Ok(Heard {
                kept,
                changed: Vec::new(),
            });
        }
        self.note_client(peer, before.as_deref(), Some(&kept));
        self.insert(peer, Arc::clone(&kept));
        for group in &joined {
            self.producers.entry(Arc::clone(group)).or_default().insert(peer);
            self.show_producers(group);
        }
        let changed = touched.iter().filter_map(|group| self.refresh(group, peer)).collect();
        Ok(Heard {
            kept,
            changed: self.to_tell(changed, notifies),
        })
    }

    /// A connection leaves a group, or one of each kind (code 35).
    pub fn unregister(
        &mut self,
        peer: PeerKey,
        consumer_group: Option<&str>,
        producer_group: Option<&str>,
        notifies: impl Fn(&str) -> bool,
    ) -> Departure {
        let Some(before) = self.peers.get(&peer).cloned() else {
            return Departure {
                kept: None,
                changed: Vec::new(),
            };
        };
        let mut record = PeerRecord::clone(&before);
        let consumers = consumer_group.and_then(|group| record.consumers.remove_entry(group));
        let producers = producer_group.and_then(|group| record.producers.remove_entry(group));
        let kept = self.keep(peer, record);
        let changed = self.leave(
            peer,
            consumers.iter().map(|(group, _)| group),
            producers.iter().map(|(group, _)| group),
        );
        Departure {
            kept,
            changed: self.to_tell(changed, notifies),
        }
    }

    /// A connection was closed. Answers the groups whose remaining members must be told (whatever the groups'
    /// configurations say, as in Java).
    pub fn peer_closed(&mut self, peer: PeerKey) -> Vec<Arc<ConsumerGroup>> {
        let Some(before) = self.remove(peer) else {
            return Vec::new();
        };
        self.note_client(peer, Some(&before), None);
        let changed = self.leave(peer, before.consumers.keys(), before.producers.keys());
        self.to_tell(changed, |_| true)
    }

    /// Calls `each` for every producer: with its group, its client and when it was last heard of, in milliseconds of the
    /// monotonic clock.
    pub fn each_producer(&self, mut each: impl FnMut(&str, &Client, u64)) {
        for record in self.peers.values() {
            for (group, heard_ms) in &record.producers {
                each(group, &record.client, *heard_ms);
            }
        }
    }

    /// Drops what connections have not spoken of for [`SILENT_MS`]. Answers the connections that are silent altogether:
    /// they are to be closed. Nobody is told.
    pub fn expire(&mut self, now_ms: u64) -> Vec<PeerKey> {
        let mut silent = Vec::new();
        let stale: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, record)| is_stale(record, now_ms))
            .collect();
        let stale: Vec<_> = stale
            .into_iter()
            .map(|(peer, record)| (*peer, Arc::clone(record)))
            .collect();
        for (peer, before) in stale {
            let record = without_stale(&before, now_ms);
            let consumers = before
                .consumers
                .keys()
                .filter(|group| !record.consumers.contains_key(*group));
            let producers = before
                .producers
                .keys()
                .filter(|group| !record.producers.contains_key(*group));
            let (consumers, producers): (Vec<_>, Vec<_>) = (consumers.collect(), producers.collect());
            if self.keep(peer, record).is_none() {
                silent.push(peer);
            }
            self.leave(peer, consumers.into_iter(), producers.into_iter());
        }
        silent
    }

    /// The readers' side.
    #[must_use]
    pub fn view(&self) -> MembershipView {
        self.view.clone()
    }

    /// Notes what a heartbeat says of one consumer group. Answers the group when it must be put together anew.
    fn note_consumer(
        &self,
        record: &mut PeerRecord,
        said: ConsumerData,
        number: u64,
        now_ms: u64,
    ) -> Result<Option<Arc<str>>, TooMuch> {
        if said.subscriptions.len() > MAX_SUBSCRIPTIONS {
            return Err(TooMuch::Names);
        }
        let group = intern(&self.consumers, &said.group_name);
        let statement = Statement::new(said);
        let shown = self
            .consumers
            .get(&group)
            .and_then(|consumers| consumers.shown.as_deref());
        let agreed = shown.is_some_and(|shown| shown.agrees_with(&statement));
        if let Some(known) = record.consumers.get_mut(&group) {
            (known.heard, known.heard_ms) = (number, now_ms);
            if *known.statement == statement {
                return Ok((!agreed).then_some(group));
            }
            known.statement = Arc::new(statement);
        } else {
            let new = ConsumerRecord {
                statement: Arc::new(statement),
                joined: number,
                heard: number,
                heard_ms: now_ms,
            };
            record.consumers.insert(Arc::clone(&group), new);
        }
        Ok(Some(group))
    }

    /// Puts a group together after a heartbeat of `peer`. Answers it when its members must be told.
    fn refresh(&mut self, group: &Arc<str>, peer: PeerKey) -> Option<Arc<ConsumerGroup>> {
        let none = || Consumers {
            members: BTreeSet::new(),
            shown: None,
        };
        let consumers = self.consumers.entry(Arc::clone(group)).or_insert_with(none);
        let joined = consumers.members.insert(peer);
        let before = consumers.shown.clone();
        let after = self.show_consumers(group)?;
        let same_topics = before.is_some_and(|before| before.has_topics_of(after.subscriptions()));
        (joined || !same_topics).then_some(after)
    }

    /// Takes a connection out of groups. Answers the consumer groups that still have members.
    fn leave<'a>(
        &mut self,
        peer: PeerKey,
        consumers: impl Iterator<Item = &'a Arc<str>>,
        producers: impl Iterator<Item = &'a Arc<str>>,
    ) -> Vec<Arc<ConsumerGroup>> {
        for group in producers {
            if let Some(members) = self.producers.get_mut(group) {
                members.remove(&peer);
            }
            self.show_producers(group);
        }
        let mut remaining = Vec::new();
        for group in consumers {
            if let Some(consumers) = self.consumers.get_mut(group) {
                consumers.members.remove(&peer);
            }
            remaining.extend(self.show_consumers(group));
        }
        remaining
    }

    /// Shows a consumer group as its members' records make it, and forgets it when there is no member.
    fn show_consumers(&mut self, group: &Arc<str>) -> Option<Arc<ConsumerGroup>> {
        let Self {
            peers, consumers, view, ..
        } = self;
        let entry = consumers.get_mut(group)?;
        let said = entry.members.iter().filter_map(|peer| {
            let record = peers.get(peer)?;
            Some((*peer, &record.client, record.consumers.get(group)?))
        });
        let Some(now) = ConsumerGroup::new(group, said) else {
            consumers.remove(group);
            view.show_consumers(group, None);
            return None;
        };
        if entry.shown.as_deref() != Some(&now) {
            let now = Arc::new(now);
            entry.shown = Some(Arc::clone(&now));
            view.show_consumers(group, Some(now));
        }
        entry.shown.clone()
    }

    /// Shows a producer group as it is now, and forgets it when there is no member.
    fn show_producers(&mut self, group: &Arc<str>) {
        let Some(peers) = self.producers.get(group) else { return };
        let client = |peer: &PeerKey| self.peers.get(peer).map(|record| Arc::clone(&record.client));
        let members: Vec<_> = peers
            .iter()
            .filter_map(|peer| {
                Some(Member {
                    peer: *peer,
                    client: client(peer)?,
                })
            })
            .collect();
        if members.is_empty() {
            self.producers.remove(group);
            return self.view.show_producers(group, None);
        }
        let name = Arc::clone(group);
        self.view
            .show_producers(group, Some(Arc::new(ProducerGroup { name, members })));
    }

    /// Keeps a connection's record, unless nothing is left in it.
    fn keep(&mut self, peer: PeerKey, record: PeerRecord) -> Option<Arc<PeerRecord>> {
        if record.is_empty() {
            if let Some(before) = self.remove(peer) {
                self.note_client(peer, Some(&before), None);
            }
            return None;
        }
        let kept = Arc::new(record);
        self.insert(peer, Arc::clone(&kept));
        Some(kept)
    }

    fn insert(&mut self, peer: PeerKey, record: Arc<PeerRecord>) {
        self.bytes += record.bytes();
        if let Some(before) = self.peers.insert(peer, record) {
            self.bytes -= before.bytes();
        }
    }

    fn remove(&mut self, peer: PeerKey) -> Option<Arc<PeerRecord>> {
        let before = self.peers.remove(&peer)?;
        self.bytes -= before.bytes();
        Some(before)
    }

    /// Notes which connection a client id stands for.
    fn note_client(&mut self, peer: PeerKey, before: Option<&PeerRecord>, after: Option<&PeerRecord>) {
        let key = |record: &PeerRecord| Arc::clone(&record.client.client_id);
        if before.map(key) == after.map(key) {
            return;
        }
        if let Some(record) = before
            && let Some(peers) = self.clients.get_mut(&record.client.client_id)
        {
            peers.remove(&(record.joined, peer));
        }
        if let Some(record) = after {
            self.clients
                .entry(key(record))
                .or_default()
                .insert((record.joined, peer));
        }
        for client_id in before.map(key).into_iter().chain(after.map(key)) {
            let last = self
                .clients
                .get(&client_id)
                .and_then(BTreeSet::last)
                .map(|(_, peer)| *peer);
            if last.is_none() {
                self.clients.remove(&client_id);
            }
            self.view.show_client(&client_id, last);
        }
    }

    /// Takes in what a connection kept, without showing it yet.
    fn take_back(&mut self, peer: PeerKey, kept: Arc<PeerRecord>, now_ms: u64) {
        let heard = kept.consumers.values().map(|said| said.heard);
        self.heartbeats = heard.chain([kept.joined, self.heartbeats]).max().unwrap_or(0);
        let kept = if is_stale(&kept, now_ms) {
            Arc::new(without_stale(&kept, now_ms))
        } else {
            kept
        };
        if kept.is_empty() {
            return;
        }
        for group in kept.consumers.keys() {
            let none = || Consumers {
                members: BTreeSet::new(),
                shown: None,
            };
            self.consumers
                .entry(Arc::clone(group))
                .or_insert_with(none)
                .members
                .insert(peer);
        }
        for group in kept.producers.keys() {
            self.producers.entry(Arc::clone(group)).or_default().insert(peer);
        }
        self.note_client(peer, None, Some(&kept));
        self.insert(peer, kept);
    }

    /// All groups whose members may be told of changes.
    pub fn all_to_tell(&self, notifies: impl Fn(&str) -> bool) -> Vec<Arc<ConsumerGroup>> {
        let all = self.consumers.values().filter_map(|group| group.shown.clone());
        self.to_tell(all.collect(), notifies)
    }

    fn to_tell(
        &self,
        mut changed: Vec<Arc<ConsumerGroup>>,
        notifies: impl Fn(&str) -> bool,
    ) -> Vec<Arc<ConsumerGroup>> {
        changed.retain(|group| self.broker_notifies && notifies(&group.name));
        changed
    }

    /// All that the state is, for comparison.
    #[cfg(test)]
    pub(super) fn snapshot(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let consumers = self
            .consumers
            .iter()
            .map(|(name, group)| (name.clone(), group.shown.clone()));
        let shown = (self.view.consumer_groups(), self.view.producer_groups());
        let clients: Vec<_> = self
            .clients
            .keys()
            .map(|id| (id.clone(), self.view.peer_of(id)))
            .collect();
        (
            self.peers.clone(),
            consumers.collect::<Vec<_>>(),
            self.producers.clone(),
            clients,
            shown,
        )
    }
}

/// The name as the table has it already, or a new one.
fn intern<V>(known: &BTreeMap<Arc<str>, V>, name: &str) -> Arc<str> {
    known
        .get_key_value(name)
        .map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name))
}

fn is_silent(heard_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(heard_ms) > SILENT_MS
}

fn is_stale(record: &PeerRecord, now_ms: u64) -> bool {
    let mut heard = record
        .consumers
        .values()
        .map(|said| said.heard_ms)
        .chain(record.producers.values().copied());
    record.is_empty() || heard.any(|heard_ms| is_silent(heard_ms, now_ms))
}

fn without_stale(record: &PeerRecord, now_ms: u64) -> PeerRecord {
    let mut record = record.clone();
    record.consumers.retain(|_, said| !is_silent(said.heard_ms, now_ms));
    record.producers.retain(|_, heard_ms| !is_silent(*heard_ms, now_ms));
    record
}
