//! A bar on standard error for what takes longer than a second; none where nobody looks.

use std::time::Duration;

use cuemq_storage::clock::{Clock, RealClock};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const QUIET: Duration = Duration::from_secs(1);

/// How far something has come, in bytes.
pub(super) struct Progress {
    clock: RealClock,
    begun_ms: u64,
    bar: ProgressBar,
    done: u64,
}

impl Progress {
    /// Of so many bytes in all, or as many as it takes.
    pub(super) fn new(total: Option<u64>) -> Self {
        let clock = RealClock::new();
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        bar.set_draw_target(ProgressDrawTarget::hidden());
        let style = match total {
            Some(_) => "{wide_bar} {bytes} of {total_bytes}, {eta} left",
            None => "{spinner} {bytes} written",
        };
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self {
            begun_ms: clock.now_ms(),
            clock,
            bar,
            done: 0,
        }
    }

    /// So many bytes more.
    pub(super) fn add(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        let taken = self.clock.now_ms().saturating_sub(self.begun_ms);
        if self.bar.is_hidden() && u128::from(taken) > QUIET.as_millis() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(self.done);
    }

    /// Prints a line above the bar.
    pub(super) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
