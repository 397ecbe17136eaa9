//! A member of the group that shares its queues among whoever is there: it says so by heartbeats, divides the queues anew
//! whenever the broker tells it that the group has changed and never else, goes on where the group is, and leaves now and
//! then.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use cuemq_net::body::{Body, ConsumerData, ConsumerList, HeartbeatData, SubscriptionData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::request::{ConsumerList as ListHeader, Unregister};
use cuemq_storage::entropy::{Entropy, SeededEntropy};
use futures_util::FutureExt;
use futures_util::future::{pending, select_all};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::auditor::Order;
use super::board::Board;
use super::body::{Queue, TOPICS};
use super::client::Link;
use super::group;
use super::history::{Event, History};
use super::reader::{Pull, ends, messages};

/// The group.
pub(super) const GROUP: &str = "members";
/// The number of the first member, as a consumer.
pub(super) const FIRST: u16 = 100;

/// How long the broker may hold a pull.
const SUSPEND: Duration = Duration::from_millis(700);
/// How often a member says that it is there.
const BEAT: Duration = Duration::from_millis(200);
/// The pause after an answer that brings nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The connection ended, or the broker said something else than it should.
    Lost,
    /// It has stayed long enough.
    Leaves,
    /// The simulation is over.
    Over,
}

/// One member.
pub(super) struct Member {
    /// Its number.
    pub(super) number: u16,
    /// Where everything is noted.
    pub(super) history: Arc<History>,
    /// Decides how long it stays and how it leaves.
    pub(super) entropy: SeededEntropy,
    /// Where it shows what it knows.
    pub(super) board: Rc<Board>,
    /// What all are to do.
    pub(super) orders: watch::Receiver<Order>,
    /// Its queues and where it goes on in them.
    pub(super) places: RefCell<BTreeMap<Queue, u64>>,
    /// How often it has come.
    pub(super) visits: Cell<u32>,
}

impl Member {
    /// A member's name among all.
    pub(super) fn name(number: u16) -> String {
        format!("member-{number}")
    }

    /// Comes and goes until the simulation is over.
    pub(super) async fn work(self) {
        while !self.is_over() {
            if let Ok((link, notices)) = Link::open().await {
                self.visit(&link, notices).await;
                link.close();
                self.places.borrow_mut().clear();
                self.board.forget(self.number);
                self.history.add(Event::Parted(self.number));
            }
            sleep(PAUSE + Duration::from_millis(self.entropy.below(200))).await;
        }
    }

    fn is_over(&self) -> bool {
        *self.orders.borrow() == Order::Audit
    }

    /// What it does on one connection.
    async fn visit(&self, link: &Link, mut notices: mpsc::Receiver<Command>) {
        self.visits.set(self.visits.get() + 1);
        self.history.add(Event::Joining(self.number));
        if self.beat(link).await.is_err() {
            return;
        }
        self.history.add(Event::Joined(self.number));
        let mut keep = pin!(self.keep(link));
        let why = loop {
            if self.divide(link).await.is_err() {
                break Why::Lost;
            }
            tokio::select! {
                biased;
                notice = notices.recv() => match notice {
                    Some(_) => self.hear(&mut notices),
                    None => break Why::Lost,
                },
                why = &mut keep => break why,
                () = self.consume_all(link) => break Why::Lost,
            }
        };
        if why == Why::Leaves {
            self.leave(link).await;
        }
    }

    /// Notes a notice; those that came with it say nothing more.
    fn hear(&self, notices: &mut mpsc::Receiver<Command>) {
        while notices.try_recv().is_ok() {}
        self.history.add(Event::Notified(self.number));
    }

    /// Says again and again that it is there, until it is time to go.
    async fn keep(&self, link: &Link) -> Why {
        let beats = 3 + self.entropy.below(12);
        for beat in 1.. {
            sleep(BEAT).await;
            if self.is_over() {
                return Why::Over;
            }
            if beat > beats && *self.orders.borrow() != Order::Quiet {
                return Why::Leaves;
            }
            if self.beat(link).await.is_err() {
                break;
            }
        }
        Why::Lost
    }

    async fn beat(&self, link: &Link) -> Result<()> {
        let subscription = |topic| SubscriptionData {
            topic: Queue { topic, queue_id: 0 }.topic_name(),
            sub_string: "*".to_owned(),
            ..SubscriptionData::default()
        };
        let shared = ConsumerData {
            group_name: GROUP.to_owned(),
            subscriptions: (0..TOPICS).map(subscription).collect(),
            ..ConsumerData::default()
        };
        // A group that is new with each visit, so that there are groups and their topics to be made.
        let visitors = ConsumerData {
            group_name: format!("visitors-{}-{}", self.number, self.visits.get()),
            ..ConsumerData::default()
        };
        let data = HeartbeatData {
            client_id: Self::name(self.number),
            consumers: vec![shared, visitors],
            ..HeartbeatData::default()
        };
        let request = Command::request(RequestCode::HEART_BEAT).with_body(data.encode(Style::Fastjson));
        let answer = link.call(&request).await?;
        ensure!(answer.code == ResponseCode::SUCCESS.0, "not heard: {:?}", answer.remark);
        Ok(())
    }

    /// Takes over the queues that are its own among all who are there, and lets the others go.
    async fn divide(&self, link: &Link) -> Result<()> {
        let header = ListHeader { consumer_group: GROUP };
        let request =
            Command::request(RequestCode::GET_CONSUMER_LIST_BY_GROUP).with_header(|fields| header.write(fields));
        let answer = link.call(&request).await?;
        ensure!(answer.code == ResponseCode::SUCCESS.0, "no list: {:?}", answer.remark);
        let mut ids = ConsumerList::decode(&answer.body)?.consumer_id_list;
        ids.sort_unstable();
        let name = Self::name(self.number);
        let is_own = |(place, _): &(usize, Queue)| ids.get(place % ids.len().max(1)) == Some(&name);
        let own: Vec<Queue> = (0..).zip(Queue::all()).filter(is_own).map(|(_, queue)| queue).collect();
        self.commit_all(link).await?;
        self.places.borrow_mut().retain(|queue, _| own.contains(queue));
        for queue in own {
            if !self.places.borrow().contains_key(&queue) {
                self.take_over(link, queue).await?;
            }
        }
        self.board.show(self.number, ids);
        Ok(())
    }

    async fn take_over(&self, link: &Link, queue: Queue) -> Result<()> {
        let place = group::find(link, GROUP, queue).await?;
        let consumer_offset = place.consumer_offset;
        self.history.add(Event::Found {
            consumer: self.number,
            queue,
            consumer_offset,
            queue_end: place.queue_end,
        });
        self.history.add(Event::Takes {
            consumer: self.number,
            queue,
            queue_offset: consumer_offset,
        });
        self.places.borrow_mut().insert(queue, consumer_offset);
        Ok(())
    }

    async fn commit_all(&self, link: &Link) -> Result<()> {
        let places: Vec<_> = self.places.borrow().iter().map(|(&queue, &at)| (queue, at)).collect();
        for (queue, queue_offset) in places {
            group::commit(link, GROUP, queue, queue_offset).await?;
        }
        Ok(())
    }

    /// Consumes its queues until something is wrong with one of them.
    async fn consume_all(&self, link: &Link) {
        let queues: Vec<Queue> = self.places.borrow().keys().copied().collect();
        let all = queues.into_iter().map(|queue| self.consume(link, queue).boxed_local());
        match all.collect::<Vec<_>>() {
            none if none.is_empty() => pending().await,
            all => drop(select_all(all).await),
        }
    }

    async fn consume(&self, link: &Link, queue: Queue) {
        loop {
            let queue_offset = self.places.borrow().get(&queue).copied().unwrap_or_default();
            let pull = Pull {
                group: GROUP,
                queue,
                queue_offset,
                suspend: SUSPEND,
                commits: true,
                by_heartbeat: true,
            };
            let asked = self.history.count();
            let Ok(answer) = link.call(&pull.request()).await else {
                return;
            };
            match ResponseCode(answer.code) {
                ResponseCode::SUCCESS => self.take(queue, &answer, asked),
                ResponseCode::PULL_NOT_FOUND => {}
                ResponseCode::PULL_OFFSET_MOVED => {
                    return self.history.add(Event::Moved {
                        consumer: self.number,
                        queue,
                        queue_offset,
                        next: ends(&answer).map_or(0, |(next, _)| next),
                    });
                }
                _ => sleep(PAUSE).await,
            }
            if let Some((next, end)) = ends(&answer) {
                self.board.reached(queue, next, end);
            }
        }
    }

    fn take(&self, queue: Queue, answer: &Command, asked: usize) {
        for stored in messages(queue, answer) {
            self.history.add(Event::Read {
                consumer: self.number,
                asked,
                queue,
                queue_offset: stored.queue_offset,
                content: stored.content,
            });
        }
        if let Some((next, _)) = ends(answer) {
            self.places.borrow_mut().insert(queue, next);
        }
    }

    /// Leaves, with a word to the broker or without.
    async fn leave(&self, link: &Link) {
        if self.commit_all(link).await.is_err() {
            return;
        }
        self.history.add(Event::Leaving(self.number));
        if self.entropy.below(2) == 0 {
            let name = Self::name(self.number);
            let header = Unregister {
                client_id: &name,
                producer_group: None,
                consumer_group: Some(GROUP),
            };
            let request = Command::request(RequestCode::UNREGISTER_CLIENT).with_header(|fields| header.write(fields));
            // Without an answer the connection is closed, by which it leaves as well.
            let _ = link.call(&request).await;
        }
    }
}
