//! The hold of one I/O thread as an actor: pulls come in from the thread's connections, arrivals from the consume queues,
//! and what is woken goes back to the thread, as one message for each event.
//!
//! A pull cannot slip past a message: the queue is told that somebody waits before its end is read, and the end is
//! published before the queue looks whether somebody waits. A hold that fails gives its pulls back to the thread, which looks
//! once more and lets those wait anew whose time is not up; the one being parked is lost, and its client pulls again.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, Recipient};
use cuemq_storage::clock::Clock;
use cuemq_storage::hash::Map;
use cuemq_storage::position::QueueOffset;

use super::{ParkedPull, ParkedPulls, Parking, QueueKey, Woken};
use crate::peer::PeerKey;
use crate::supervise::Context;

/// How often deadlines and queues that did not exist are looked at.
const SWEEP: Duration = Duration::from_millis(200);
/// How many sweeps pass between two looks at the end of every queue that is waited for: 5 s, as in Java.
const SWEEPS_PER_RECHECK: u32 = 25;

/// Let this pull wait. From a connection of the thread, bounded by the requests that each may have under way.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Park {
    /// The connection.
    pub peer: PeerKey,
    /// The pull.
    pub pull: Box<ParkedPull>,
}

/// A queue has grown. From `ConsumeQueue`, one for each tick while somebody waits for the queue.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Arrived {
    /// The topic.
    pub topic: Arc<str>,
    /// The queue.
    pub queue_id: u32,
    /// Where the queue ends now.
    pub max_offset: QueueOffset,
    /// The tags codes of the new messages, where they are at hand: without them every waiting pull looks for itself.
    pub tags_codes: Option<Arc<[i64]>>,
}

/// Forget a connection's pulls: it is closed. From the connection, once.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Forget(pub PeerKey);

/// Pulls that waited can be tried again. From `Hold` to the thread's connections, bounded by what is parked.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Resume {
    /// The pulls, each with its connection.
    pub pulls: Vec<Woken>,
}

/// The ends of all queues, as their owners publish them.
pub trait QueueEnds: Send + 'static {
    /// Tells a queue that somebody waits for its next message, for as long as the answer is held; `None` for a queue that
    /// does not exist.
    fn watch(&self, topic: &str, queue_id: u32) -> Option<Box<dyn QueueWatch>>;
}

/// A queue that knows that somebody waits for it.
pub trait QueueWatch {
    /// Where the queue ends now.
    fn end(&self) -> QueueOffset;
}

/// How much is held.
#[derive(Clone, Copy, Debug)]
pub struct HoldLimits {
    /// The most pulls in all.
    pub pulls: usize,
    /// The most pulls of one connection.
    pub pulls_of_peer: u32,
}

impl Default for HoldLimits {
    /// 100,000 pulls, some 10 MB, and at most 420 MB where each brings a filter of its own with as many tags as it may
    /// have; [`HoldLimits::OF_PEER`] of one connection.
    fn default() -> Self {
        Self {
            pulls: 100_000,
            pulls_of_peer: Self::OF_PEER,
        }
    }
}

impl HoldLimits {
    /// The most pulls of one connection: more than the queues that one client pulls from.
    pub const OF_PEER: u32 = 8_192;
}

/// The hold of one I/O thread.
pub struct Hold {
    parked: ParkedPulls,
    /// The queues that are waited for and exist.
    watches: Map<QueueKey, Box<dyn QueueWatch>>,
    queues: Box<dyn QueueEnds>,
    clock: Arc<dyn Clock>,
    resume: Recipient<Resume>,
    sweeps: u32,
}

impl Hold {
    /// A hold of no pulls.
    #[must_use]
    pub fn new(
        limits: HoldLimits,
        queues: Box<dyn QueueEnds>,
        clock: Arc<dyn Clock>,
        resume: Recipient<Resume>,
    ) -> Self {
        let parked = ParkedPulls::new(limits.pulls, limits.pulls_of_peer);
        Self {
            parked,
            watches: Map::default(),
            queues,
            clock,
            resume,
            sweeps: 0,
        }
    }
}

impl Actor for Hold {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SWEEP, |hold, _| hold.sweep());
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut parked = Vec::new();
        self.parked.expire(u64::MAX, &mut parked);
        self.resume(parked);
    }
}

impl Handler<Park> for Hold {
    type Result = ();

    fn handle(&mut self, Park { peer, pull }: Park, _: &mut Self::Context) {
        let queue_end = self.watch(&pull.queue()).unwrap_or_default();
        match self.parked.park(peer, pull, queue_end) {
            Parking::Parked => {}
            Parking::Arrived(woken) => self.resume(vec![woken]),
            Parking::Full((peer, mut pull)) => {
                pull.deadline_ms = 0;
                self.resume(vec![(peer, pull)]);
            }
        }
    }
}

impl Handler<Arrived> for Hold {
    type Result = ();

    fn handle(&mut self, arrived: Arrived, _: &mut Self::Context) {
        let Arrived {
            topic,
            queue_id,
            max_offset,
            tags_codes,
        } = arrived;
        let mut woken = Vec::new();
        self.parked.arrived(
            &QueueKey { topic, queue_id },
            max_offset,
            tags_codes.as_deref(),
            &mut woken,
        );
        self.resume(woken);
    }
}

impl Handler<Forget> for Hold {
    type Result = ();

    fn handle(&mut self, Forget(peer): Forget, _: &mut Self::Context) {
        self.parked.peer_closed(peer);
    }
}

impl Hold {
    /// Watches a queue and answers where it ends; `None` when it does not exist.
    fn watch(&mut self, queue: &QueueKey) -> Option<QueueOffset> {
        if !self.watches.contains_key(queue) {
            let watch = self.queues.watch(&queue.topic, queue.queue_id)?;
            self.watches.insert(queue.clone(), watch);
        }
        self.watches.get(queue).map(|watch| watch.end())
    }

    /// Wakes the pulls whose time is up and those whose queue has come to be, lets go of queues that nobody waits for, and
    /// now and then looks at all queues.
    fn sweep(&mut self) {
        let now_ms = self.clock.monotonic_ms();
        let mut woken = Vec::new();
        self.parked.expire(now_ms, &mut woken);
        self.watches.retain(|queue, _| self.parked.waits_for(queue));
        self.sweeps = self.sweeps.wrapping_add(1);
        let all = self.sweeps.is_multiple_of(SWEEPS_PER_RECHECK);
        let looked_at = |queue: &&QueueKey| all || !self.watches.contains_key(*queue);
        let mut queues: Vec<_> = self.parked.queues().filter(looked_at).cloned().collect();
        queues.sort_unstable();
        for queue in queues {
            if let Some(end) = self.watch(&queue) {
                self.parked.arrived(&queue, end, None, &mut woken);
            }
        }
        self.resume(woken);
    }

    #[expect(clippy::disallowed_methods, reason = "bounded by what was parked")]
    fn resume(&self, pulls: Vec<Woken>) {
        if !pulls.is_empty() {
            self.resume.do_send(Resume { pulls });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use cuemq_net::frame::HeaderCodec;

    use super::*;
    use crate::filter::MessageFilter;
    use crate::group::SubscriptionGroup;
    use crate::hold::PullKind;
    use crate::testing::{Probe, Stage};

    /// Queues of the topic `T`: end and how many watch.
    #[derive(Clone, Default)]
    struct Queues(Arc<Mutex<BTreeMap<u32, (u64, u32)>>>);

    struct Watch {
        queues: Queues,
        queue_id: u32,
    }

    impl Queues {
        fn grow(&self, queue_id: u32, end: u64) {
            self.0.lock().unwrap().entry(queue_id).or_default().0 = end;
        }

        fn watched(&self, queue_id: u32) -> u32 {
            self.0.lock().unwrap()[&queue_id].1
        }
    }

    impl QueueEnds for Queues {
        fn watch(&self, _topic: &str, queue_id: u32) -> Option<Box<dyn QueueWatch>> {
            self.0.lock().unwrap().get_mut(&queue_id)?.1 += 1;
            Some(Box::new(Watch {
                queues: self.clone(),
                queue_id,
            }))
        }
    }

    impl QueueWatch for Watch {
        fn end(&self) -> QueueOffset {
            QueueOffset(self.queues.0.lock().unwrap()[&self.queue_id].0)
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            if let Some(queue) = self.queues.0.lock().unwrap().get_mut(&self.queue_id) {
                queue.1 -= 1;
            }
        }
    }

    struct Scene {
        stage: Stage,
        queues: Queues,
        resumed: Probe<Resume>,
        hold: actix::Addr<Hold>,
    }

    const PEER: PeerKey = PeerKey {
        thread: 0,
        slot: 1,
        generation: 0,
    };

    impl Scene {
        fn new(limits: HoldLimits) -> Self {
            let (mut stage, queues, resumed) = (Stage::new(), Queues::default(), Probe::new());
            queues.grow(0, 5);
            let (clock, ends, resume) = (stage.clock.clone(), queues.clone(), resumed.recipient());
            let build = move || Hold::new(limits, Box::new(ends.clone()), clock.clone(), resume.clone());
            let hold = stage.start("hold", move |_| Ok(build()));
            Self {
                stage,
                queues,
                resumed,
                hold,
            }
        }

        async fn park(&self, opaque: i32, queue_id: u32, queue_offset: u64, deadline_ms: u64) {
            let pull = Box::new(ParkedPull {
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
            });
            self.hold.send(Park { peer: PEER, pull }).await.unwrap();
        }

        async fn arrive(&self, end: u64) {
            let (topic, max_offset) = ("T".into(), QueueOffset(end));
            self.queues.grow(0, end);
            self.hold
                .send(Arrived {
                    topic,
                    queue_id: 0,
                    max_offset,
                    tags_codes: None,
                })
                .await
                .unwrap();
        }

        async fn woken(&mut self) -> Vec<i32> {
            self.resumed
                .next()
                .await
                .pulls
                .iter()
                .map(|(_, pull)| pull.opaque)
                .collect()
        }
    }

    #[actix::test]
    async fn an_arrival_resumes_all_who_wait_in_one_message() {
        let mut scene = Scene::new(HoldLimits::default());
        for opaque in [1, 2] {
            scene.park(opaque, 0, 5, 1_000).await;
        }
        assert_eq!(scene.queues.watched(0), 1);
        scene.arrive(6).await;
        assert_eq!(scene.woken().await, [1, 2]);
    }

    #[actix::test]
    async fn a_pull_that_comes_after_its_message_or_finds_no_room_is_resumed_at_once() {
        let mut scene = Scene::new(HoldLimits {
            pulls: 10,
            pulls_of_peer: 1,
        });
        scene.park(1, 0, 4, 1_000).await;
        assert_eq!(scene.woken().await, [1]);
        scene.park(2, 0, 5, 1_000).await;
        scene.park(3, 0, 5, 1_000).await;
        let refused = scene.resumed.next().await.pulls;
        assert_eq!((refused[0].1.opaque, refused[0].1.deadline_ms), (3, 0));
    }

    #[actix::test]
    async fn a_pull_is_resumed_when_its_time_is_up_and_its_queue_is_let_go() {
        let mut scene = Scene::new(HoldLimits::default());
        scene.park(1, 0, 5, 1_000).await;
        scene.stage.clock.advance(Duration::from_millis(1_000));
        assert_eq!(scene.woken().await, [1]);
        assert_eq!(scene.queues.watched(0), 0);
    }

    #[actix::test]
    async fn a_queue_that_comes_to_be_wakes_who_waits_for_it() {
        let mut scene = Scene::new(HoldLimits::default());
        scene.park(1, 7, 0, 1_000).await;
        scene.queues.grow(7, 1);
        assert_eq!(scene.woken().await, [1]);
    }

    #[actix::test]
    async fn a_hold_that_fails_gives_its_pulls_back() {
        let mut scene = Scene::new(HoldLimits::default());
        scene.park(1, 0, 5, 1_000).await;
        scene.stage.faults.arm("hold", crate::testing::Site::Task, 1);
        assert_eq!(scene.woken().await, [1]);
        scene.park(2, 0, 5, 1_000).await;
        scene.arrive(6).await;
        assert_eq!(scene.woken().await, [2]);
    }

    #[actix::test]
    async fn a_closed_connection_s_pulls_are_forgotten() {
        let mut scene = Scene::new(HoldLimits::default());
        scene.park(1, 0, 5, 1_000).await;
        scene.hold.send(Forget(PEER)).await.unwrap();
        scene.arrive(6).await;
        assert!(scene.resumed.drain().await.is_empty());
    }
}
