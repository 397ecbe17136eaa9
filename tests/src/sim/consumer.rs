//! A consumer: pulls one queue from its beginning with long polling, notes what it gets, and commits how far it has come.
//! On each new connection it asks what the broker kept of that.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;

use super::body::Queue;
use super::client::{Client, Link};
use super::group;
use super::history::{Event, History};
use super::reader::{Pull, ends, messages};

/// The group in which each queue has one consumer, always the same one.
pub(super) const GROUP: &str = "consumers";

/// How long the broker may hold a pull.
const SUSPEND: Duration = Duration::from_millis(700);
/// The pause after an answer that brings nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// One consumer of one queue.
pub(super) struct Consumer {
    /// Its number.
    pub(super) number: u16,
    /// The queue.
    pub(super) queue: Queue,
    /// The connection, shared with others of its host.
    pub(super) client: Rc<Client>,
    /// Where everything is noted.
    pub(super) history: Arc<History>,
    /// Where it goes on.
    pub(super) queue_offset: u64,
    /// The connection on which it has asked what the broker kept, and what it has committed there.
    pub(super) known: Option<(u64, u64)>,
}

impl Consumer {
    /// Pulls once.
    pub(super) async fn turn(&mut self) {
        let Ok(link) = self.client.link().await else {
            return tokio::time::sleep(PAUSE).await;
        };
        if self.known.is_none_or(|(number, _)| number != link.number) && self.look(&link).await.is_err() {
            link.close();
            return tokio::time::sleep(PAUSE).await;
        }
        let pull = Pull {
            group: GROUP,
            queue: self.queue,
            queue_offset: self.queue_offset,
            suspend: SUSPEND,
            commits: true,
            by_heartbeat: false,
        };
        let asked = self.history.count();
        let Ok(answer) = link.call(&pull.request()).await else {
            return tokio::time::sleep(PAUSE).await;
        };
        match ResponseCode(answer.code) {
            ResponseCode::SUCCESS => {
                self.committed(&link, asked);
                self.take(&answer, asked);
            }
            ResponseCode::PULL_NOT_FOUND => self.committed(&link, asked),
            ResponseCode::PULL_OFFSET_MOVED => {
                if let Some((next, _)) = ends(&answer) {
                    self.move_to(next);
                }
                tokio::time::sleep(PAUSE).await;
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }

    /// Asks what the broker kept. What was read beyond the end of the queue is gone, and read anew when it is there again.
    async fn look(&mut self, link: &Link) -> Result<()> {
        let place = group::find(link, GROUP, self.queue).await?;
        self.history.add(Event::Found {
            consumer: self.number,
            queue: self.queue,
            consumer_offset: place.consumer_offset,
            queue_end: place.queue_end,
        });
        if place.queue_end < self.queue_offset {
            self.move_to(place.queue_end);
        }
        self.known = Some((link.number, place.consumer_offset));
        Ok(())
    }

    fn move_to(&mut self, next: u64) {
        self.history.add(Event::Moved {
            consumer: self.number,
            queue: self.queue,
            queue_offset: self.queue_offset,
            next,
        });
        self.queue_offset = next;
    }

    /// Notes that the broker has taken the place that the pull named.
    fn committed(&mut self, link: &Link, asked: usize) {
        let known = (link.number, self.queue_offset);
        if self.known.replace(known) != Some(known) {
            self.history.add(Event::Committed {
                consumer: self.number,
                asked,
                queue: self.queue,
                consumer_offset: self.queue_offset,
            });
        }
    }

    fn take(&mut self, answer: &Command, asked: usize) {
        for stored in messages(self.queue, answer) {
            self.history.add(Event::Read {
                consumer: self.number,
                asked,
                queue: self.queue,
                queue_offset: stored.queue_offset,
                content: stored.content,
            });
        }
        if let Some((next, _)) = ends(answer) {
            self.queue_offset = next;
        }
    }
}
