//! Makes the commit log durable. Flush, step 6 of a send: blocks in fdatasync on a thread of its own, one flush at a time,
//! each for all that was appended while the one before ran (`GroupCommitService` in Java, without its timer). The next one is
//! asked for while one runs, so the disk does not wait for the log's thread in between.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Handler, Message, Recipient};
use cuemq_storage::StoreError;
use cuemq_storage::clock::Clock;
use cuemq_storage::commit_log::FlushJob;
use cuemq_storage::position::{FlushEpoch, PhysicalOffset};

use crate::metrics::Metrics;
use crate::supervise::Context;

/// Sync these files. From `CommitLog`, at most two under way.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Flush {
    /// What to sync.
    pub job: FlushJob,
    /// Who is told.
    pub answer: Recipient<Flushed>,
}

/// A flush has ended. To `CommitLog`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Flushed {
    /// As it was asked for.
    pub epoch: FlushEpoch,
    /// Up to where the log was to be made durable: at least as far as was asked for.
    pub upto: PhysicalOffset,
    /// How long it took.
    pub took: Duration,
    /// Whether it is.
    pub result: Result<(), StoreError>,
}

/// The actor.
pub struct Flusher {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// What the last flush made durable, and in which life of the log.
    durable: Option<(FlushEpoch, PhysicalOffset)>,
}

impl Flusher {
    /// A flusher that measures its work.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            clock,
            metrics,
            durable: None,
        }
    }
}

impl Actor for Flusher {
    type Context = Context<Self>;
}

impl Handler<Flush> for Flusher {
    type Result = ();

    #[expect(clippy::disallowed_methods, reason = "one answer for each flush")]
    fn handle(&mut self, Flush { job, answer }: Flush, _: &mut Self::Context) {
        let (epoch, upto) = (job.epoch, job.upto());
        let (mut took, mut result) = (Duration::ZERO, Ok(()));
        // What was appended before the last flush began is durable by that one.
        if self.durable.is_none_or(|durable| durable < (epoch, upto)) {
            (took, result) = self.sync(&job, upto);
        }
        if result.is_ok() {
            self.durable = Some((epoch, upto));
        }
        answer.do_send(Flushed {
            epoch,
            upto,
            took,
            result,
        });
    }
}

impl Flusher {
    fn sync(&self, job: &FlushJob, upto: PhysicalOffset) -> (Duration, Result<(), StoreError>) {
        let began = self.clock.monotonic();
        let result = job.run();
        let now = self.clock.monotonic();
        let took = now.saturating_sub(began);
        self.metrics.note_flush(took);
        if let Some(left_out) = self.metrics.slow_flushes.note(took, now) {
            let (took_ms, files) = (took.as_millis(), job.file_count());
            tracing::warn!(took_ms, files, %upto, left_out, "a slow flush: the disk took this long to sync the commit log");
        }
        (took, result)
    }
}
