//! What a load by the client library counts, with the words of the other loads.

use std::cell::RefCell;

use anyhow::Result;
use cuemq_client::Error;

use crate::bench::engine::{Passed, now_ns};
use crate::bench::measure::Run;
use crate::bench::tally::Tally;

/// The counts of one load.
pub(super) struct Count<'a> {
    run: Run<'a>,
    /// Whether latencies count by when a request was due, and not by when its answer came.
    by_due: bool,
    counts: RefCell<(Tally, Passed)>,
}

impl<'a> Count<'a> {
    pub(super) fn new(run: Run<'a>, by_due: bool) -> Result<Self> {
        let counts = RefCell::new((Tally::new()?, Passed::default()));
        Ok(Self { run, by_due, counts })
    }

    pub(super) fn now_ns(&self) -> u64 {
        now_ns(self.run.clock)
    }

    pub(super) fn is_over(&self) -> bool {
        self.now_ns() >= self.run.window.until_ns
    }

    /// Answers that were a success, of the measured time.
    pub(super) fn successes(&self) -> u64 {
        let tally = &self.counts.borrow().0;
        let refused: u64 = tally.others.values().map(|answers| answers.count).sum();
        tally.answers.saturating_sub(refused + tally.broken.count)
    }

    /// Takes in what became of a request that began, or was due, then: messages and their bytes.
    pub(super) fn ended(&self, since_ns: u64, outcome: Result<(u64, u64), Error>) {
        let now = self.now_ns();
        let measured = self.run.window.from_ns..self.run.window.until_ns;
        let latency = now.saturating_sub(since_ns);
        let (tally, passed) = &mut *self.counts.borrow_mut();
        if measured.contains(if self.by_due { &since_ns } else { &now }) {
            tally.latencies.saturating_record(latency);
            tally.answers += 1;
        }
        if let (Ok((messages, bytes)), true) = (&outcome, measured.contains(&now)) {
            tally.count(*messages, *bytes);
        }
        let code = match &outcome {
            Ok((messages, _)) => {
                passed.messages += messages;
                0
            }
            Err(error) => match error.code() {
                Some(code) => {
                    let answers = tally.others.entry(code.0).or_default();
                    answers.note(|| Some(error.to_string()));
                    code.0
                }
                None => {
                    tally.broken.note(|| Some(error.to_string()));
                    -1
                }
            },
        };
        passed.note(code, latency);
        self.run.live.show(passed);
    }

    /// The most requests that ever waited for room.
    pub(super) fn backlog(&self, longest: u64) {
        self.counts.borrow_mut().0.longest_backlog = longest;
    }

    /// The counts.
    pub(super) fn finish(self) -> Tally {
        self.counts.into_inner().0
    }
}
