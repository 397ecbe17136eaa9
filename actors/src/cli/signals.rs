//! SIGTERM and SIGINT: the first one ends the program in order, also while it starts, the second one at once. SIGHUP has
//! settings, TLS files and the log file taken up anew; where it means that the terminal is gone at which the program was
//! started, it ends it in order.
//!
//! They are waited for on a thread of their own, so that neither a recovery nor a disk that hangs keeps the second one
//! waiting.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use actix::Arbiter;
use anyhow::{Context as _, Result};
use cuemq_storage::interrupt::Interrupt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot, watch};

/// A second signal ends the process at once, with this status.
const IMPATIENT: i32 = 130;

/// Whether a signal has come.
pub(super) struct Signals {
    come: watch::Receiver<bool>,
    reloads: Arc<Notify>,
}

/// The signals that are waited for.
struct Heard {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    had_terminal: bool,
}

impl Signals {
    /// Waits for signals from now on.
    pub(super) async fn listen() -> Result<Self> {
        let (tell, come) = watch::channel(false);
        let (ready, listening) = oneshot::channel();
        let reloads = Arc::new(Notify::new());
        let reload = Arc::clone(&reloads);
        Arbiter::new().spawn(async move {
            match Heard::new() {
                Ok(signals) => {
                    // Whoever starts the program waits for it.
                    let _ = ready.send(Ok(()));
                    hear(signals, &tell, &reload).await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
        let listens = listening.await.context("the thread that waits for signals has ended")?;
        listens.context("signals cannot be waited for")?;
        Ok(Self { come, reloads })
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

    /// Tells when settings are to be read again; one that came before is told at once.
    pub(super) fn reloads(&self) -> Arc<Notify> {
        Arc::clone(&self.reloads)
    }

    /// Waits until one has come.
    pub(super) async fn first(&mut self) {
        if self.come.wait_for(|come| *come).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Heard {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            had_terminal: io::stdin().is_terminal(),
        })
    }

    /// Waits for one that ends the program.
    async fn end(&mut self, reload: &Notify) {
        loop {
            tokio::select! {
                biased;
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {}
            }
            if self.had_terminal && !io::stdin().is_terminal() {
                return;
            }
            reload.notify_one();
        }
    }
}

async fn hear(mut signals: Heard, tell: &watch::Sender<bool>, reload: &Notify) {
    signals.end(reload).await;
    tracing::info!("stopping: a second signal ends the process at once");
    tell.send_replace(true);
    signals.end(reload).await;
    end_at_once();
}

/// Ends the process as somebody wants it who has lost patience.
pub(super) fn end_at_once() -> ! {
    super::logs::finish();
    std::process::exit(IMPATIENT)
}
