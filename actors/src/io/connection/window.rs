//! How many bytes of sends a connection may have under way in the log: what the log answered of them in [`PERIOD`].
//!
//! A disk that is slow syncs all that is under way at once, and nothing moves meanwhile. With a fixed window of 16 MiB one
//! sync takes longer than senders are held back where the disk takes less than 21 MB/s, and they are told that the broker
//! is busy although it goes on as fast as it can. With this one a sync takes about as long as the period, whatever the disk
//! and however many connections share it; what is beyond it waits in the client, by TCP's back-pressure.

use std::time::Duration;

/// The window of a connection of which nothing is known yet, or which the log takes next to nothing of.
pub(super) const LEAST: usize = 4 << 20;
/// What a connection may have under way however fast the disk is.
pub(super) const MOST: usize = 16 << 20;
/// What it may have under way while others send as well: their sends wait behind it, so it is what a disk takes in a few
/// milliseconds. Many connections together fill the log all the same.
pub(super) const SHARED: usize = 512 << 10;
/// For how long others count that were seen under way.
const MEMORY: Duration = Duration::from_secs(1);
/// A quarter of the time that senders are held back.
const PERIOD: Duration = Duration::from_micros(187_500);

/// The window, and the answers that it was made of.
pub(super) struct Window {
    bytes: usize,
    answered: u64,
    since: Duration,
    /// When others had sends under way as well, if that was lately.
    others: Option<Duration>,
}

impl Window {
    /// The window of a connection that opens at `now`.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            bytes: LEAST,
            answered: 0,
            since: now,
            others: None,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        if self.others.is_some() { SHARED } else { self.bytes }
    }

    /// Looks whether others have sends in a log that has `all` bytes under way, `own` of them of this connection.
    pub(super) fn look_round(&mut self, own: usize, all: usize, now: Duration) {
        if all > own {
            self.others = Some(now);
        } else if self.others.is_some_and(|seen| now.saturating_sub(seen) >= MEMORY) {
            self.others = None;
        }
    }

    /// Looks how many bytes were answered since the connection opened. While nothing new is, nothing is learnt: a sync
    /// counts as a whole when it is over.
    pub(super) fn observe(&mut self, answered: u64, now: Duration) {
        let elapsed = now.saturating_sub(self.since);
        if elapsed < PERIOD || answered == self.answered {
            return;
        }
        let new = u128::from(answered.saturating_sub(self.answered));
        let of_period = new * PERIOD.as_micros() / elapsed.as_micros();
        self.bytes = usize::try_from(of_period).unwrap_or(MOST).clamp(LEAST, MOST);
        (self.answered, self.since) = (answered, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_window_is_what_was_answered_in_a_period_and_a_long_sync_counts_as_a_whole() {
        let mut window = Window::new(1000 * MS);
        window.observe(24 * MIB, 1187 * MS);
        assert_eq!(window.bytes(), LEAST, "before the period's end");
        window.observe(24 * MIB, 1375 * MS);
        assert_eq!(window.bytes() as u64, 12 * MIB, "24 MiB in two periods");
        window.observe(24 * MIB, 2000 * MS);
        assert_eq!(window.bytes() as u64, 12 * MIB, "nothing is learnt while a sync lasts");
        window.observe(64 * MIB, 2875 * MS);
        assert_eq!(window.bytes() as u64, 5 * MIB, "40 MiB in eight periods");
    }

    #[test]
    fn a_window_is_4_mib_at_least_and_16_at_most() {
        let mut window = Window::new(Duration::ZERO);
        window.observe(1 << 40, 188 * MS);
        assert_eq!(window.bytes(), MOST);
        window.observe((1 << 40) + 1, 10_000 * MS);
        assert_eq!(window.bytes(), LEAST);
    }

    #[test]
    fn a_window_is_1_mib_while_others_send_and_for_a_second_after() {
        let mut window = Window::new(Duration::ZERO);
        window.look_round(3 << 20, 3 << 20, 1000 * MS);
        assert_eq!(window.bytes(), LEAST, "all of it is its own");
        window.look_round(3 << 20, (3 << 20) + 1, 2000 * MS);
        assert_eq!(window.bytes(), SHARED);
        window.look_round(3 << 20, 3 << 20, 2999 * MS);
        assert_eq!(window.bytes(), SHARED);
        window.look_round(3 << 20, 3 << 20, 3000 * MS);
        assert_eq!(window.bytes(), LEAST);
    }
}
