//! What has passed: messages and bytes by topic (in) and by topic and consumer group (out), since the process started.
//!
//! Each I/O thread counts in tables of its own and nobody else adds to them: a batch of sends adds once for each of its
//! topics when it is stored, a pull once when it is answered, a message that is given back when it is stored again. Readers (`/metrics`, statistics) take the sums of all threads
//! from any other thread and stop nobody. What is counted is what RocketMQ counts: the stored length of the records
//! (`BrokerStatsManager.incTopicPutNums`, `incGroupGetNums` in Java).
//!
//! A name stays in its table until the table is full of names that are gone; a topic that is deleted and made again
//! goes on where it was. The tables of topics and of groups are bounded, their product is bounded here.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cuemq_storage::hash::Hasher;
use smallvec::SmallVec;

use crate::metrics::Counter;
use crate::pulled::{Pulled, PulledTable};
use crate::rpc_times::{Rpc, RpcFigures, Sends, ThreadRpcs};
use crate::under_way::{Processor, UnderWay};

/// From how many names on a table looks for those that are gone.
const PRUNE_FROM: usize = 1024;
/// The most pairs of topic and group that one thread counts apart; further ones count in the broker's sums alone.
const PAIRS_MAX: usize = 65_536;
/// The upper ends of the classes of message sizes, in bytes; the last class has none (`rocketmq_message_size` of release 5).
pub const SIZES: [u64; 6] = [1 << 10, 4 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];

/// What has passed by one name.
#[derive(Debug, Default)]
pub struct Flow {
    messages: Counter,
    bytes: Counter,
    times: Counter,
    /// How far the group has pulled the topic, where it is what a group gets.
    pulled: Option<Arc<Pulled>>,
}

impl Flow {
    fn out(pulled: Arc<Pulled>) -> Self {
        Self {
            pulled: Some(pulled),
            ..Self::default()
        }
    }

    /// Notes where the group reads next in a queue.
    #[inline]
    pub fn note_pulled(&self, queue_id: u32, next: u64) {
        if let Some(pulled) = &self.pulled {
            pulled.note(queue_id, next);
        }
    }

    /// Counts messages, the bytes of their records, and the requests that brought or got them.
    pub fn add(&self, passed: Passed) {
        self.messages.add(passed.messages);
        self.bytes.add(passed.bytes);
        self.times.add(passed.times);
    }
}

/// Two are the same when they are one.
impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Flow {}

/// How much has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Messages.
    pub messages: u64,
    /// Bytes of their records.
    pub bytes: u64,
    /// Requests that brought or got them.
    pub times: u64,
}

impl Passed {
    fn join(&mut self, more: Self) {
        self.messages += more.messages;
        self.bytes += more.bytes;
        self.times += more.times;
    }

    fn note(&mut self, flow: &Flow) {
        self.messages += flow.messages.get();
        self.bytes += flow.bytes.get();
        self.times += flow.times.get();
    }
}

/// What has passed in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What came and was stored.
    pub stored: Passed,
    /// What was pulled.
    pub delivered: Passed,
    /// Pulls that found nothing.
    pub missed: u64,
}

/// A topic and a consumer group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The topic.
    pub topic: Arc<str>,
    /// The group.
    pub group: Arc<str>,
}

impl Hash for Pair {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Names(&self.topic, &self.group).hash(state);
    }
}

/// A pair that is looked up.
#[derive(Clone, Copy)]
struct Names<'a>(&'a str, &'a str);

impl Hash for Names<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl papaya::Equivalent<Pair> for Names<'_> {
    fn equivalent(&self, pair: &Pair) -> bool {
        *self.0 == *pair.topic && *self.1 == *pair.group
    }
}

/// A table of flows with one writer.
struct Flows<K> {
    flows: papaya::HashMap<K, Arc<Flow>, Hasher>,
    /// At how many names those are looked for that are gone.
    prune_at: AtomicUsize,
}

impl<K: Hash + Eq> Flows<K> {
    fn new() -> Self {
        Self {
            flows: papaya::HashMap::with_hasher(Hasher::default()),
            prune_at: AtomicUsize::new(PRUNE_FROM),
        }
    }

    /// Begins a flow. Now and then those are dropped whose names are not known any more; each name pays for one look.
    #[cold]
    fn begin(
        &self,
        key: K,
        most: usize,
        is_known: impl Fn(&K) -> bool,
        make: impl FnOnce(&K) -> Flow,
    ) -> Option<Arc<Flow>> {
        let flows = self.flows.pin();
        if flows.len() >= self.prune_at.load(Ordering::Relaxed) {
            flows.retain(|key, _| is_known(key));
            self.prune_at
                .store((2 * flows.len()).max(PRUNE_FROM), Ordering::Relaxed);
        }
        if flows.len() >= most {
            return None;
        }
        let flow = Arc::new(make(&key));
        flows.insert(key, Arc::clone(&flow));
        Some(flow)
    }
}

impl Flows<Pair> {
    fn of_pair(
        &self,
        topic: &Arc<str>,
        group: &str,
        is_known: impl Fn(&str, &str) -> bool,
        make: impl FnOnce(&Pair) -> Flow,
    ) -> Option<Arc<Flow>> {
        let found = self.flows.pin().get(&Names(topic, group)).cloned();
        let pair = || Pair {
            topic: Arc::clone(topic),
            group: Arc::from(group),
        };
        let is_known = |pair: &Pair| is_known(&pair.topic, &pair.group);
        found.or_else(|| self.begin(pair(), PAIRS_MAX, is_known, make))
    }
}

/// What passes on one I/O thread, which alone adds to it.
pub struct ThreadTraffic {
    topics: Flows<Arc<str>>,
    pairs: Flows<Pair>,
    given_back: Flows<Pair>,
    /// How far groups have pulled, of all threads.
    pulled: PulledTable,
    /// How long requests took.
    pub rpcs: ThreadRpcs,
    /// The requests under way, of all threads, but for those in the log.
    pub under_way: Arc<UnderWay>,
    /// Requests to send that the log has and that are not answered.
    pub in_log: Counter,
    stored: Flow,
    delivered: Flow,
    missed: Counter,
    /// Requests to send by the size of their messages, one class more than [`SIZES`].
    sizes: [Counter; SIZES.len() + 1],
}

impl fmt::Debug for ThreadTraffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadTraffic").finish_non_exhaustive()
    }
}

impl Default for ThreadTraffic {
    /// Nothing yet on a thread that is alone.
    fn default() -> Self {
        Self::new(PulledTable::default(), Arc::default())
    }
}

impl ThreadTraffic {
    /// Nothing yet on a thread, which shares two tables with others.
    fn new(pulled: PulledTable, under_way: Arc<UnderWay>) -> Self {
        Self {
            topics: Flows::new(),
            pairs: Flows::new(),
            given_back: Flows::new(),
            pulled,
            rpcs: ThreadRpcs::default(),
            under_way,
            in_log: Counter::default(),
            stored: Flow::default(),
            delivered: Flow::default(),
            missed: Counter::default(),
            sizes: Default::default(),
        }
    }

    /// What comes into a topic. `is_known` tells which topics there are.
    #[must_use]
    pub fn into_topic(&self, topic: &Arc<str>, is_known: impl Fn(&str) -> bool) -> Option<Arc<Flow>> {
        let found = self.topics.flows.pin().get(&**topic).cloned();
        found.or_else(|| {
            self.topics.begin(
                Arc::clone(topic),
                usize::MAX,
                |topic| is_known(topic),
                |_| Flow::default(),
            )
        })
    }

    /// What goes out of a topic to a group; `None` where too many pairs are counted already. `is_known` tells whether
    /// there are such a topic and such a group.
    #[must_use]
    pub fn to_group(&self, topic: &Arc<str>, group: &str, is_known: impl Fn(&str, &str) -> bool) -> Option<Arc<Flow>> {
        let make = |pair: &Pair| Flow::out(self.pulled.of(pair));
        self.pairs.of_pair(topic, group, is_known, make)
    }

    /// Counts a message of a topic that a group has given back.
    pub fn gave_back(&self, topic: &Arc<str>, group: &str, bytes: u64, is_known: impl Fn(&str, &str) -> bool) {
        if let Some(flow) = self.given_back.of_pair(topic, group, is_known, |_| Flow::default()) {
            let (messages, times) = (1, 1);
            flow.add(Passed { messages, bytes, times });
        }
    }

    /// Counts what one pull got: as many messages, and the bytes of their records.
    pub fn delivered(&self, flow: Option<&Flow>, messages: u64, bytes: u64) {
        let times = 1;
        let passed = Passed { messages, bytes, times };
        if let Some(flow) = flow {
            flow.add(passed);
        }
        self.delivered.add(passed);
    }

    /// Counts a pull that found nothing.
    pub fn missed(&self) {
        self.missed.add(1);
    }
}

/// What one batch of sends brings, counted when it is stored.
#[derive(Debug, Default)]
pub struct Bringing {
    /// By topic, in runs: a connection mostly sends to one.
    runs: SmallVec<[Run; 1]>,
    all: Passed,
    sizes: [u32; SIZES.len() + 1],
    /// The requests, by what they are.
    pub sends: Sends,
}

#[derive(Debug)]
struct Run {
    topic: Arc<str>,
    flow: Arc<Flow>,
    passed: Passed,
}

impl Bringing {
    /// Takes in a request: as many messages, and the bytes of their records.
    pub fn note(
        &mut self,
        thread: &ThreadTraffic,
        topic: &Arc<str>,
        (messages, bytes): (usize, usize),
        is_known: impl Fn(&str) -> bool,
    ) {
        let (messages, bytes) = (messages as u64, bytes as u64);
        if let Some(class) = self.sizes.get_mut(class_of(bytes / messages.max(1))) {
            *class += 1;
        }
        let passed = Passed {
            messages,
            bytes,
            times: 1,
        };
        self.all.join(passed);
        match self.runs.last_mut() {
            Some(run) if Arc::ptr_eq(&run.topic, topic) => run.passed.join(passed),
            _ => {
                if let Some(flow) = thread.into_topic(topic, is_known) {
                    let topic = Arc::clone(topic);
                    self.runs.push(Run { topic, flow, passed });
                }
            }
        }
    }

    /// Counts it: it is stored.
    pub fn count(&self, thread: &ThreadTraffic) {
        for run in &self.runs {
            run.flow.add(run.passed);
        }
        thread.stored.add(self.all);
        for (number, class) in self.sizes.iter().zip(&thread.sizes) {
            if *number > 0 {
                class.add(u64::from(*number));
            }
        }
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.all = Passed::default();
        self.sizes = Default::default();
        self.sends = Sends::default();
    }
}

/// The class of a size.
fn class_of(bytes: u64) -> usize {
    SIZES.iter().position(|most| bytes <= *most).unwrap_or(SIZES.len())
}

/// What has passed on all I/O threads.
#[derive(Clone, Debug)]
pub struct Traffic(Arc<[Arc<ThreadTraffic>]>);

impl Traffic {
    /// Nothing yet, on so many I/O threads.
    #[must_use]
    pub fn new(threads: u16) -> Self {
        let (pulled, under_way) = (PulledTable::default(), Arc::default());
        let of_thread = |_| Arc::new(ThreadTraffic::new(pulled.clone(), Arc::clone(&under_way)));
        Self((0..=threads).map(of_thread).collect())
    }

    /// The tables of what the broker itself appends, on whatever thread.
    #[must_use]
    pub fn of_broker(&self) -> Arc<ThreadTraffic> {
        self.of_thread(u16::try_from(self.0.len().saturating_sub(1)).unwrap_or(u16::MAX))
    }

    /// The tables of one thread.
    ///
    /// # Panics
    /// When there is no such thread.
    #[must_use]
    pub fn of_thread(&self, thread: u16) -> Arc<ThreadTraffic> {
        match self.0.get(usize::from(thread)) {
            Some(tables) => Arc::clone(tables),
            None => panic!("there is no I/O thread {thread}"),
        }
    }

    /// What has come into each topic.
    #[must_use]
    pub fn by_topic(&self) -> BTreeMap<Arc<str>, Passed> {
        sums(self.0.iter().map(|thread| &thread.topics))
    }

    /// What has gone out of each topic to each group.
    #[must_use]
    pub fn by_pair(&self) -> BTreeMap<Pair, Passed> {
        sums(self.0.iter().map(|thread| &thread.pairs))
    }

    /// How far each group has pulled each topic.
    #[must_use]
    pub fn pulled(&self) -> BTreeMap<Pair, Arc<Pulled>> {
        self.0.first().map_or_else(BTreeMap::new, |thread| thread.pulled.all())
    }

    /// How long requests took, by what was asked and answered.
    #[must_use]
    pub fn rpcs(&self) -> BTreeMap<Rpc, RpcFigures> {
        let mut sums = BTreeMap::new();
        self.0.iter().for_each(|thread| thread.rpcs.add_to(&mut sums));
        sums
    }

    /// How many requests are under way.
    #[must_use]
    pub fn under_way(&self, processor: Processor) -> u64 {
        match processor {
            Processor::AsyncPut => self.0.iter().map(|thread| thread.in_log.get()).sum(),
            _ => self.0.first().map_or(0, |thread| thread.under_way.get(processor)),
        }
    }

    /// What of each topic each group has given back.
    #[must_use]
    pub fn given_back(&self) -> BTreeMap<Pair, Passed> {
        sums(self.0.iter().map(|thread| &thread.given_back))
    }

    /// Whether anything has come into a topic.
    #[must_use]
    pub fn counts_topic(&self, topic: &str) -> bool {
        self.0
            .iter()
            .any(|thread| thread.topics.flows.pin().contains_key(topic))
    }

    /// Whether a group has asked for anything of a topic.
    #[must_use]
    pub fn counts_pair(&self, topic: &str, group: &str) -> bool {
        self.counts(|thread| &thread.pairs, Names(topic, group))
    }

    /// Whether a group has given back anything of a topic.
    #[must_use]
    pub fn counts_given_back(&self, topic: &str, group: &str) -> bool {
        self.counts(|thread| &thread.given_back, Names(topic, group))
    }

    fn counts(&self, flows: impl Fn(&ThreadTraffic) -> &Flows<Pair>, names: Names<'_>) -> bool {
        self.0
            .iter()
            .any(|thread| flows(thread).flows.pin().contains_key(&names))
    }

    /// What has passed in all.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for thread in &*self.0 {
            totals.stored.note(&thread.stored);
            totals.delivered.note(&thread.delivered);
            totals.missed += thread.missed.get();
        }
        totals
    }

    /// How many requests to send there were of each class of sizes, those below and between [`SIZES`] and those above.
    #[must_use]
    pub fn by_size(&self) -> [u64; SIZES.len() + 1] {
        let mut sums = [0; SIZES.len() + 1];
        for thread in &*self.0 {
            for (sum, class) in sums.iter_mut().zip(&thread.sizes) {
                *sum += class.get();
            }
        }
        sums
    }
}

fn sums<'a, K: Ord + Hash + Clone + 'a>(tables: impl Iterator<Item = &'a Flows<K>>) -> BTreeMap<K, Passed> {
    let mut sums: BTreeMap<K, Passed> = BTreeMap::new();
    for table in tables {
        for (key, flow) in &table.flows.pin() {
            sums.entry(key.clone()).or_default().note(flow);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bring(thread: &ThreadTraffic, sends: &[(&Arc<str>, usize, usize)]) {
        let mut bringing = Bringing::default();
        for (topic, messages, bytes) in sends {
            bringing.note(thread, topic, (*messages, *bytes), |_| true);
        }
        bringing.count(thread);
    }

    #[test]
    fn what_threads_count_is_summed_by_topic() {
        let traffic = Traffic::new(2);
        let (a, b): (Arc<str>, Arc<str>) = (Arc::from("A"), Arc::from("B"));
        bring(
            &traffic.of_thread(0),
            &[(&a, 1, 100), (&a, 2, 200), (&b, 1, 5000), (&a, 1, 1)],
        );
        bring(&traffic.of_thread(1), &[(&a, 10, 1000)]);
        let passed = |messages, bytes, times| Passed { messages, bytes, times };
        let expected = BTreeMap::from([(a, passed(14, 1301, 4)), (b, passed(1, 5000, 1))]);
        assert_eq!(traffic.by_topic(), expected);
        assert_eq!(traffic.totals().stored, passed(15, 6301, 5));
        assert_eq!(traffic.by_size(), [4, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn a_size_belongs_to_the_class_whose_end_it_does_not_pass() {
        let classes = [0, 1024, 1025, 4 << 20, (4 << 20) + 1].map(class_of);
        assert_eq!(classes, [0, 0, 1, 5, 6]);
    }

    #[test]
    fn pulls_of_a_group_are_found_again_by_both_names() {
        let traffic = Traffic::new(1);
        let (thread, topic) = (traffic.of_thread(0), Arc::from("T"));
        for (group, messages) in [("g", 1), ("h", 2), ("g", 3)] {
            let flow = thread.to_group(&topic, group, |_, _| true);
            thread.delivered(flow.as_deref(), messages, 10);
        }
        let told: Vec<_> = traffic
            .by_pair()
            .into_iter()
            .map(|(pair, passed)| (pair.group.to_string(), passed.messages))
            .collect();
        assert_eq!(told, [("g".to_owned(), 4), ("h".to_owned(), 2)]);
    }

    #[test]
    fn names_that_are_gone_make_room_and_pairs_have_an_end() {
        let (traffic, topic) = (Traffic::new(1), Arc::from("T"));
        let thread = traffic.of_thread(0);
        for number in 0..10 * PRUNE_FROM {
            let name = Arc::from(format!("T{number}"));
            let _ = thread.into_topic(&name, |_| false);
        }
        assert!(traffic.by_topic().len() <= PRUNE_FROM);
        let begun = (0..=PAIRS_MAX).filter_map(|group| thread.to_group(&topic, &group.to_string(), |_, _| true));
        assert_eq!(begun.count(), PAIRS_MAX);
    }
}
