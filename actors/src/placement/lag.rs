//! Threads that are slow, for the simulation: a task is polled only some time after it was woken.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::Thread;

/// Says how late threads are.
pub trait Lag: Send + Sync + 'static {
    /// How long a task of this thread waits that is woken now.
    fn lag(&self, thread: Thread) -> Duration;
}

impl fmt::Debug for dyn Lag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Lag")
    }
}

/// A task on a slow thread.
pub(super) struct Lagging<F> {
    task: Pin<Box<F>>,
    thread: Thread,
    lag: Arc<dyn Lag>,
    /// The wait since the task was woken; none while it rests.
    wait: Option<Pin<Box<Sleep>>>,
}

impl<F> Lagging<F> {
    pub(super) fn new(task: F, thread: Thread, lag: Arc<dyn Lag>) -> Self {
        Self {
            task: Box::pin(task),
            thread,
            lag,
            wait: None,
        }
    }
}

impl<F: Future> Future for Lagging<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let lag = match this.wait {
            Some(_) => Duration::ZERO,
            None => this.lag.lag(this.thread),
        };
        if !lag.is_zero() {
            this.wait = Some(Box::pin(sleep(lag)));
        }
        if let Some(wait) = &mut this.wait {
            std::task::ready!(wait.as_mut().poll(cx));
            this.wait = None;
        }
        this.task.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;
    use crate::placement::Placement;

    /// The flusher's thread alone is late, by three seconds.
    struct SlowFlusher;

    impl Lag for SlowFlusher {
        fn lag(&self, thread: Thread) -> Duration {
            match thread {
                Thread::Flusher => Duration::from_secs(3),
                _ => Duration::ZERO,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_runs_as_late_as_its_thread() {
        let local = tokio::task::LocalSet::new();
        let elapsed = |thread| {
            let (done, is_done) = oneshot::channel();
            Placement::lagging(Arc::new(SlowFlusher)).run(thread, "task", || async {
                tokio::task::yield_now().await;
                done.send(()).unwrap();
            });
            is_done
        };
        local
            .run_until(async {
                let began = now();
                elapsed(Thread::Log).await.unwrap();
                assert_eq!(now() - began, Duration::ZERO);
                elapsed(Thread::Flusher).await.unwrap();
                assert_eq!(
                    now() - began,
                    Duration::from_secs(6),
                    "late to begin, and late to go on"
                );
            })
            .await;
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the runtime's paused time is what is asked for"
    )]
    fn now() -> Instant {
        Instant::now()
    }
}
