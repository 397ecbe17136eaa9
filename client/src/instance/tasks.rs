//! All tasks of a client, so that none outlives it: dropped, they are aborted; ended in order, they are also awaited.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

/// Tasks that end together.
#[derive(Debug)]
pub(crate) struct Tasks(Mutex<Option<JoinSet<()>>>);

impl Tasks {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Some(JoinSet::new())))
    }

    fn set(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task of them; nothing once they have ended.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(set) = self.set().as_mut() {
            while set.try_join_next().is_some() {}
            set.spawn(task);
        }
    }

    /// Aborts all of them, without waiting until they are gone.
    pub(crate) fn abort(&self) {
        let set = self.set().take();
        drop(set);
    }

    /// Waits so long for those that run to end by themselves, aborts the others, and returns when none runs.
    pub(crate) async fn end(&self, patience: Duration) {
        let Some(mut set) = self.set().take() else {
            return;
        };
        let all = async { while set.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            set.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn none_runs_after_the_end_and_none_begins() {
        let tasks = Tasks::new();
        let held = Arc::new(());
        for _ in 0..3 {
            let held = Arc::clone(&held);
            tasks.spawn(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
        }
        tasks.end(Duration::ZERO).await;
        assert_eq!(Arc::strong_count(&held), 1);
        let late = Arc::clone(&held);
        tasks.spawn(async move { drop(late) });
        assert_eq!(Arc::strong_count(&held), 1);
        tasks.end(Duration::ZERO).await;
    }

    #[tokio::test]
    async fn what_is_about_to_end_may_do_so() {
        let tasks = Tasks::new();
        let (done, ended) = tokio::sync::oneshot::channel();
        tasks.spawn(async move {
            tokio::task::yield_now().await;
            done.send(()).unwrap();
        });
        tasks.end(Duration::from_secs(30)).await;
        ended.await.unwrap();
    }
}
