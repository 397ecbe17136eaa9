//! What is told of a start that takes long, mostly a recovery: from the first second on how far it is, as a bar where standard
//! error is a terminal and as a line of the log elsewhere; and to a service manager that the start goes on, so that it is not
//! taken for a hanging one and killed, to begin again.
//!
//! All that is told by a thread of its own, since a recovery holds up the one that runs it.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use cuemq_storage::clock::Clock;
use cuemq_storage::steps::{Stage, Step, Steps};
use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};

use super::notify;

/// How often the time is looked at.
const BEAT: Duration = Duration::from_secs(1);
/// How often something is said, but for the bar: at the start, after the first second, and at each of these spans.
const SPAN_S: u64 = 5;

/// A start that is under way; dropping it ends the telling.
pub(super) struct Starting(Arbiter);

impl Starting {
    /// Tells of it from now on.
    pub(super) fn tell(steps: Arc<Steps>, clock: Arc<dyn Clock>) -> Self {
        let arbiter = Arbiter::new();
        arbiter.spawn(async move {
            let mut screen = io::stderr().is_terminal().then(Screen::default);
            let began = clock.monotonic();
            let mut beat = tokio::time::interval(BEAT);
            loop {
                beat.tick().await;
                let seconds = clock.monotonic().saturating_sub(began).as_secs();
                let step = steps.read();
                if let Some(screen) = &mut screen {
                    screen.show(seconds, step);
                }
                if is_said(seconds) {
                    notify::goes_on(&said(seconds, step));
                }
                if screen.is_none() && is_said(seconds) && seconds > 0 {
                    tracing::info!("{}", said(seconds, step));
                }
            }
        });
        Self(arbiter)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn is_said(seconds: u64) -> bool {
    seconds == 1 || seconds.is_multiple_of(SPAN_S)
}

/// How far a start is after so many seconds. Of one that has just begun nothing is known.
fn said(seconds: u64, step: Option<Step>) -> String {
    match step.filter(|_| seconds > 0) {
        Some(step) => format!("opening the store, for {seconds} s now: {}", described(step)),
        None => format!("opening the store, for {seconds} s now"),
    }
}

fn described(Step { stage, done, total }: Step) -> String {
    let bytes = |doing: &str| format!("{doing}, {} of {}", BinaryBytes(done), BinaryBytes(total));
    match stage {
        Stage::OpeningQueues => format!("opening consume queues, {done} of {total}"),
        Stage::ReadingKeys => bytes("reading the log for lost keys"),
        Stage::ReadingLog => bytes("reading the log"),
        Stage::WritingLog => bytes("writing the end of the log anew"),
        Stage::SyncingQueues => format!("syncing consume queues, {done} of {total}"),
    }
}

/// The bar on a terminal, from the first second on.
#[derive(Default)]
struct Screen(Option<ProgressBar>);

impl Screen {
    fn show(&mut self, seconds: u64, step: Option<Step>) {
        let Some(step) = step.filter(|_| seconds > 0) else {
            return;
        };
        let bar = self.0.get_or_insert_with(|| {
            let bar = ProgressBar::new(0);
            match ProgressStyle::with_template("{wide_bar} {msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        bar.set_length(step.total);
        bar.set_position(step.done);
        bar.set_message(described(step));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_said_at_once_after_a_second_and_every_five() {
        let said: Vec<u64> = (0..=12).filter(|seconds| is_said(*seconds)).collect();
        assert_eq!(said, [0, 1, 5, 10]);
    }

    #[test]
    fn how_far_it_is_has_its_measure() {
        let step = |stage, done, total| Some(Step { stage, done, total });
        assert_eq!(said(0, step(Stage::ReadingLog, 1, 2)), "opening the store, for 0 s now");
        assert_eq!(said(1, None), "opening the store, for 1 s now");
        let log = step(Stage::ReadingLog, 3 << 29, 4 << 30);
        assert_eq!(
            said(7, log),
            "opening the store, for 7 s now: reading the log, 1.50 GiB of 4.00 GiB"
        );
        let queues = step(Stage::SyncingQueues, 20, 10_000);
        assert!(said(9, queues).ends_with(": syncing consume queues, 20 of 10000"));
    }
}
