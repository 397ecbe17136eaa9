//! What a service manager hears (`sd_notify`, where `NOTIFY_SOCKET` is set): that a start takes its time, that messages are
//! accepted, and that the program stops.

use sd_notify::NotifyState;

/// How much longer it may take from then on, in microseconds.
const MORE_US: u32 = 30_000_000;

/// The start goes on, and is given another half a minute.
pub(super) fn goes_on(status: &str) {
    tell(&[NotifyState::ExtendTimeoutUsec(MORE_US), NotifyState::Status(status)]);
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
