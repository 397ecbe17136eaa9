//! A consumer: pulls one queue from its beginning with long polling, and notes what it gets.

use std::rc::Rc;
use std::time::Duration;

use cuemq_net::code::ResponseCode;

use super::body::Queue;
use super::client::Client;
use super::history::{Event, History};
use super::reader::{ends, messages, pull};

/// How long the broker may hold a pull.
const SUSPEND: Duration = Duration::from_millis(700);
/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
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
    pub(super) history: Rc<History>,
    /// Where it goes on.
    pub(super) queue_offset: u64,
}

impl Consumer {
    /// Pulls once.
    pub(super) async fn turn(&mut self) {
        let request = pull("consumers", self.queue, self.queue_offset, SUSPEND);
        let Ok(answer) = self.client.call_within(&request, PATIENCE).await else {
            return tokio::time::sleep(PAUSE).await;
        };
        if answer.code == ResponseCode::SUCCESS.0 {
            return self.take(&answer);
        }
        if answer.code == ResponseCode::PULL_OFFSET_MOVED.0
            && let Some((next, _)) = ends(&answer)
        {
            self.history.add(Event::Moved {
                consumer: self.number,
                queue: self.queue,
                queue_offset: self.queue_offset,
                next,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }

    fn take(&mut self, answer: &cuemq_net::command::Command) {
        for stored in messages(self.queue, answer) {
            self.history.add(Event::Read {
                consumer: self.number,
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
