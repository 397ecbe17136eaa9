//! What a service manager hears (`sd_notify`, where `NOTIFY_SOCKET` is set): that a start takes its time, that messages are
//! accepted, and that the program stops.
//!
//! A start is given another half a minute every few seconds for as long as it lasts, so that a long recovery is not taken
//! for a hanging one and killed, to begin again. That is told by a thread of its own, since a recovery holds up the one that
//! runs it.

use std::time::Duration;

use actix::Arbiter;
use sd_notify::NotifyState;

/// How often a start says that it is still there.
const BEAT: Duration = Duration::from_secs(5);
/// How much longer it may take from then on, in microseconds.
const MORE_US: u32 = 30_000_000;

/// A start that is under way; dropping it ends the telling.
pub(super) struct Starting(Option<Arbiter>);

impl Starting {
    /// Tells of it from now on, where somebody listens.
    pub(super) fn tell() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self(None);
        }
        let arbiter = Arbiter::new();
        arbiter.spawn(async {
            let mut beat = tokio::time::interval(BEAT);
            for seconds in (0..).step_by(usize::try_from(BEAT.as_secs()).unwrap_or(1)) {
                beat.tick().await;
                let status = format!("opening the store, for {seconds} s now");
                tell(&[NotifyState::ExtendTimeoutUsec(MORE_US), NotifyState::Status(&status)]);
            }
        });
        Self(Some(arbiter))
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(arbiter) = &self.0 {
            arbiter.stop();
        }
    }
}

/// Messages are accepted.
pub(super) fn ready(line: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(line)]);
}

/// The program stops in order.
pub(super) fn stopping() {
    let status = NotifyState::Status("stopping: what is in flight is brought to disk");
    tell(&[NotifyState::Stopping, status]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told how it goes (NOTIFY_SOCKET)");
    }
}
