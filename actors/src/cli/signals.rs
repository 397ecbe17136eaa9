//! SIGTERM and SIGINT: the first one ends the program in order, also while it starts, the second one at once.
//!
//! They are waited for on a thread of their own, so that neither a recovery nor a disk that hangs keeps the second one
//! waiting.

use actix::Arbiter;
use anyhow::{Context as _, Result};
use cuemq_storage::interrupt::Interrupt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

/// A second signal ends the process at once, with this status.
const IMPATIENT: i32 = 130;

/// Whether a signal has come.
pub(super) struct Signals {
    come: watch::Receiver<bool>,
}

impl Signals {
    /// Waits for signals from now on.
    pub(super) async fn listen() -> Result<Self> {
        let (tell, come) = watch::channel(false);
        let (ready, listening) = oneshot::channel();
        Arbiter::new().spawn(async move {
            let signals =
                signal(SignalKind::terminate()).and_then(|first| Ok((first, signal(SignalKind::interrupt())?)));
            match signals {
                Ok((terminate, interrupt)) => {
                    // Whoever starts the program waits for it.
                    let _ = ready.send(Ok(()));
                    hear(terminate, interrupt, &tell).await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
        let listens = listening.await.context("the thread that waits for signals has ended")?;
        listens.context("signals cannot be waited for")?;
        Ok(Self { come })
    }

    /// Ends a recovery when a signal comes.
    pub(super) fn interrupt(&self) -> Interrupt {
        let come = self.come.clone();
        Interrupt::when(move || *come.borrow())
    }

    /// Whether one has come.
    pub(super) fn has_come(&self) -> bool {
        *self.come.borrow()
    }

    /// Waits until one has come.
    pub(super) async fn first(&mut self) {
        if self.come.wait_for(|come| *come).await.is_err() {
            std::future::pending().await
        }
    }
}

async fn hear(mut terminate: Signal, mut interrupt: Signal, tell: &watch::Sender<bool>) {
    next(&mut terminate, &mut interrupt).await;
    tracing::info!("stopping: a second signal ends the process at once");
    tell.send_replace(true);
    next(&mut terminate, &mut interrupt).await;
    end_at_once();
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Ends the process as somebody wants it who has lost patience.
pub(super) fn end_at_once() -> ! {
    super::logs::finish();
    std::process::exit(IMPATIENT)
}
