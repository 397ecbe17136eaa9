//! How far the opening of a store has come, for whoever shows it: written by recovery at every record, read by anybody at any
//! time, and never waited for.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What an opening does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Opens the consume queues, so many of so many.
    OpeningQueues,
    /// Reads the log for keys that another program's index may have lost, in bytes.
    ReadingKeys,
    /// Reads the log from the start of the recovery on, in bytes; the total is what its files could hold.
    ReadingLog,
    /// Writes the end of the log anew, in bytes.
    WritingLog,
    /// Makes the consume queues durable, so many of so many.
    SyncingQueues,
}

const STAGES: [Stage; 5] = [
    Stage::OpeningQueues,
    Stage::ReadingKeys,
    Stage::ReadingLog,
    Stage::WritingLog,
    Stage::SyncingQueues,
];

/// A point of an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub stage: Stage,
    /// How much of that is done.
    pub done: u64,
    /// How much there is at most.
    pub total: u64,
}

/// The point that an opening has reached. The three numbers are told one by one: a reader may see one of them from a step
/// before, which a moment later is right.
#[derive(Debug, Default)]
pub struct Steps {
    /// Its place in `STAGES`, from 1 on; 0 before the first step.
    stage: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

impl Steps {
    /// Tells a step.
    pub fn tell(&self, step: Step) {
        let place = STAGES
            .iter()
            .position(|stage| *stage == step.stage)
            .map_or(0, |place| place + 1);
        self.done.store(step.done.min(step.total), Ordering::Relaxed);
        self.total.store(step.total, Ordering::Relaxed);
        self.stage.store(u8::try_from(place).unwrap_or(0), Ordering::Relaxed);
    }

    /// The last step; `None` before the first.
    #[must_use]
    pub fn read(&self) -> Option<Step> {
        let place = usize::from(self.stage.load(Ordering::Relaxed));
        Some(Step {
            stage: *STAGES.get(place.checked_sub(1)?)?,
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
        })
    }
}
