//! The queue locks on their way to their file: one write is under way at most, and all changes that come meanwhile share the
//! next.

use actix::fut::ActorFutureExt;
use actix::{AsyncContext, MailboxError, WrapFuture};
use cuemq_storage::StoreError;
use tokio::sync::oneshot;

use super::Rebalance;
use crate::rebalance::lock_file::KeepLocks;
use crate::supervise::Context;

/// What is on its way.
#[derive(Default)]
pub(super) struct Keeping {
    under_way: bool,
    once_more: bool,
    /// Who waits for the next write.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Rebalance {
    /// Has the locks kept as they are now; the answer comes when that is done, or cannot be.
    pub(super) fn when_kept(&mut self, ctx: &mut Context<Self>) -> oneshot::Receiver<()> {
        let (waiter, kept) = oneshot::channel();
        self.keeping.waiting.push(waiter);
        self.keep_locks(ctx);
        kept
    }

    /// Has the locks kept, or once more after the write that is under way.
    pub(super) fn keep_locks(&mut self, ctx: &mut Context<Self>) {
        if self.keeping.under_way {
            self.keeping.once_more = true;
            return;
        }
        let waiting = std::mem::take(&mut self.keeping.waiting);
        let locks = KeepLocks(self.locks.own().to_keep());
        let kept = self.neighbours.lock_file.send(locks).into_actor(self);
        self.keeping.under_way = true;
        ctx.spawn(kept.map(move |kept, rebalance, ctx| rebalance.kept(kept, waiting, ctx)));
    }

    /// Answers those who waited. A lock that cannot be kept is granted all the same: it counts until the broker ends.
    fn kept(
        &mut self,
        kept: Result<Result<(), StoreError>, MailboxError>,
        waiting: Vec<oneshot::Sender<()>>,
        ctx: &mut Context<Self>,
    ) {
        let failure = match kept {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failure
            && let Some(left_out) = self.locks_told.due(self.clock.monotonic())
        {
            tracing::warn!(
                error,
                left_out,
                "queue locks cannot be kept, and do not outlive the broker"
            );
        }
        for waiter in waiting {
            // Whoever asked may have gone.
            let _ = waiter.send(());
        }
        self.keeping.under_way = false;
        if std::mem::take(&mut self.keeping.once_more) {
            self.keep_locks(ctx);
        }
    }
}
