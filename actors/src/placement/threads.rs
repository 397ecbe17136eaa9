//! The real threads: one actix `Arbiter` for each thread of the layout, named, and joined in reverse order.

use std::ffi::CString;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix::{Arbiter, System};
use tokio::sync::oneshot;

use super::{Layout, Placement, Target, Thread};

/// Why the threads could not be started or joined.
#[derive(Debug, thiserror::Error)]
pub enum ThreadsError {
    /// Arbiters need an actix `System` on the thread that makes them.
    #[error("no actix system runs on this thread: start the broker within `actix::System::block_on`")]
    NoSystem,
    /// The operating system gave no thread or no event loop.
    #[error("cannot start thread {thread}: {source}")]
    Start {
        /// Its name.
        thread: Thread,
        /// The system's answer.
        source: io::Error,
    },
    /// Threads did not end in time; they end with the process.
    #[error("threads still busy after {} ms: {}", limit.as_millis(), busy.join(", "))]
    Busy {
        /// The time they were given.
        limit: Duration,
        /// Their names.
        busy: Vec<String>,
    },
}

/// Owns the threads of a layout.
#[derive(Debug)]
pub struct Threads {
    placement: Placement,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    thread: Thread,
    arbiter: Arbiter,
    /// Fails when the thread's event loop is gone.
    gone: oneshot::Receiver<()>,
}

impl Threads {
    /// Starts the threads of a layout.
    ///
    /// # Errors
    /// When this thread has no actix `System`, or the operating system gives no thread.
    pub fn start(layout: Layout) -> Result<Self, ThreadsError> {
        System::try_current().ok_or(ThreadsError::NoSystem)?;
        let running = layout
            .threads()
            .iter()
            .map(|thread| Running::start(*thread))
            .collect::<Result<Vec<_>, _>>()?;
        let handles = running.iter().map(|running| running.arbiter.handle()).collect();
        let placement = Placement {
            target: Target::Threads {
                layout: Arc::new(layout),
                handles,
            },
        };
        Ok(Self { placement, running })
    }

    /// The handle by which actors and tasks are started.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.placement.clone()
    }

    /// Ends the threads one after the other, the last started first. Tasks still on them are dropped.
    ///
    /// # Errors
    /// When some are still busy after `limit`: those are left behind.
    pub async fn join(mut self, limit: Duration) -> Result<(), ThreadsError> {
        let mut busy = Vec::new();
        let all = async {
            while let Some(running) = self.running.pop() {
                busy.push(running.thread.to_string());
                running.end().await;
                busy.pop();
            }
        };
        if tokio::time::timeout(limit, all).await.is_ok() {
            return Ok(());
        }
        for running in self.running.iter().rev() {
            running.arbiter.stop();
            busy.push(running.thread.to_string());
        }
        Err(ThreadsError::Busy { limit, busy })
    }
}

impl Running {
    fn start(thread: Thread) -> Result<Self, ThreadsError> {
        let arbiter = Arbiter::try_with_tokio_rt(move || {
            // A name only helps whoever looks at the process: not having it is no reason not to run.
            if let Ok(name) = CString::new(format!("cuemq-{thread}")) {
                let _ = rustix::thread::set_name(&name);
            }
            tokio::runtime::Builder::new_current_thread().enable_all().build()
        })
        .map_err(|source| ThreadsError::Start { thread, source })?;
        let (alive, gone) = oneshot::channel::<()>();
        // Held by a task that never ends by itself, so it goes when the event loop does.
        arbiter.spawn(async move {
            std::future::pending::<()>().await;
            drop(alive);
        });
        Ok(Self { thread, arbiter, gone })
    }

    async fn end(self) {
        self.arbiter.stop();
        let _ = self.gone.await;
        // Its event loop is gone: what is left of the thread takes no time.
        if self.arbiter.join().is_err() {
            tracing::error!(thread = %self.thread, "thread panicked");
        }
    }
}
