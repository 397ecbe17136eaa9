//! Deleted topics: their queues are emptied, and their messages, which stay in the log, are in none any more
//! (`DefaultMessageStore.cleanUnusedTopic` in Java). A topic that is made again has its messages numbered from 0.
//!
//! A record keeps the place in its queue that it was given, so a queue is emptied only when all that was given one has
//! been handed to it. The note of the deletion is on disk before the first file goes: a crash in between brings nothing back.

use std::path::PathBuf;
use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Handler, Message, ResponseFuture, WrapFuture};
use cuemq_storage::StoreError;
use cuemq_storage::deletions::Deletions;
use cuemq_storage::disk::Disk;
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::CommitLog;
use crate::supervise::Context;

/// Forget what the queues of these topics hold. From connections, once for each deletion.
#[derive(Message, Debug)]
#[rtype(result = "Result<(), NotForgotten>")]
pub struct ForgetTopics(pub Vec<Arc<str>>);

/// Why the queues of a deleted topic are still there.
#[derive(Debug, thiserror::Error)]
pub enum NotForgotten {
    /// Nothing was done.
    #[error("the deletion cannot be noted, so that the queues stay as they are: {0}; delete the topic once more")]
    NotNoted(StoreError),
    /// Some may be there.
    #[error("not all of the queues could be removed, for the reason in the broker's log; restart the broker")]
    Remains,
}

/// Where deletions are noted.
#[derive(Clone)]
pub struct DeletionNote {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The store's directory.
    pub root: PathBuf,
}

/// Is told how it went.
type Done = oneshot::Sender<Result<(), NotForgotten>>;

/// Topics to be forgotten as soon as nothing is on its way to their queues.
pub(super) struct Forgetting {
    topics: Vec<Arc<str>>,
    /// Their queues with the places that come next.
    queues: Vec<(u32, Option<QueueOffset>)>,
    /// All that has a place in them lies in front of this.
    upto: PhysicalOffset,
    done: Done,
}

impl CommitLog {
    /// Forgets the topics whose queues have been handed all.
    pub(super) fn forget_settled(&mut self, ctx: &mut Context<Self>) {
        for forgetting in std::mem::take(&mut self.forgetting) {
            let now = self.queues_of(&forgetting.topics);
            if self.log.state().is_failed() {
                let _ = forgetting.done.send(Err(NotForgotten::Remains));
            } else if now != forgetting.queues {
                // A send that was under way has come since.
                self.forget_later(forgetting.topics, forgetting.done);
            } else if self.log.state().visible() < forgetting.upto {
                self.forgetting.push(forgetting);
            } else {
                self.forget(forgetting, ctx);
            }
        }
    }

    fn forget_later(&mut self, topics: Vec<Arc<str>>, done: Done) {
        self.forgetting.push(Forgetting {
            queues: self.queues_of(&topics),
            topics,
            upto: self.log.state().assigned(),
            done,
        });
    }

    fn queues_of(&self, topics: &[Arc<str>]) -> Vec<(u32, Option<QueueOffset>)> {
        let table = self.log.queues_ref();
        let slots = topics.iter().flat_map(|topic| table.slots_of(topic));
        slots.map(|slot| (slot, table.next(slot))).collect()
    }

    fn forget(&mut self, forgetting: Forgetting, ctx: &mut Context<Self>) {
        let Forgetting { topics, upto, done, .. } = forgetting;
        let DeletionNote { disk, root } = &self.neighbours.deletions;
        let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
        if let Err(error) = Deletions::add(disk.as_ref(), root, &names, upto, self.log.view().minimum()) {
            // Who asked may have gone.
            let _ = done.send(Err(NotForgotten::NotNoted(error)));
            return;
        }
        let mut cleared = Vec::new();
        for (slot, _) in forgetting.queues {
            self.log.queues().set_next(slot, QueueOffset(0));
            cleared.extend(self.neighbours.queues.clear(slot, upto));
        }
        let cleared = join_all(cleared).into_actor(self).map(move |cleared, _, _| {
            let all = cleared.iter().all(Result::is_ok);
            let _ = done.send(if all { Ok(()) } else { Err(NotForgotten::Remains) });
        });
        ctx.spawn(cleared);
    }
}

impl Handler<ForgetTopics> for CommitLog {
    type Result = ResponseFuture<Result<(), NotForgotten>>;

    fn handle(&mut self, ForgetTopics(topics): ForgetTopics, ctx: &mut Self::Context) -> Self::Result {
        let (done, forgotten) = oneshot::channel();
        self.forget_later(topics, done);
        self.forget_settled(ctx);
        Box::pin(async move { forgotten.await.unwrap_or(Err(NotForgotten::Remains)) })
    }
}
