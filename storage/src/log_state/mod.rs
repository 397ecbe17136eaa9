//! The heart of the broker: the commit log's state machine, without actors, I/O or clock.
//!
//! Inputs say what happened (a batch came, a write or a flush ended), outputs say what to do next, in order. The owner
//! carries out each output before it gives the next input.
//!
//! ```text
//! Append* EndOfTick -> Write -> Written -> Publish Dispatch* Reply* Flush -> Flushed -> Flush Publish Dispatch* Reply*
//! ```
//!
//! Invariants, asserted after each step: `visible <= durable` under sync flush, `visible = appended` under async flush,
//! `replicated <= visible`, `durable <= appended <= assigned`; a ticket is answered once; what is dispatched is visible;
//! dispatches leave in the order of the log; after `Failed` nothing is acknowledged or confirmed any more.
//!
//! Group commit has no timer: while a flush runs, appends gather, and the next one covers them all. Under sync flush that one
//! is asked for while the first still runs, and covers what is written when it begins, so that the disk does not wait for the
//! owner to have its turn.

mod confirmation;
#[cfg(test)]
mod model_test;

use std::collections::VecDeque;

use confirmation::Confirmations;
pub use confirmation::Target;

use crate::position::{FlushEpoch, PhysicalOffset};

/// When a message becomes visible and acknowledged (RocketMQ's `flushDiskType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMode {
    /// When fdatasync has covered it.
    Sync,
    /// When it is in the page cache.
    Async,
}

/// What must have happened before an append is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// It is written (asked for by WAIT=false, or all that async flush promises).
    Appended,
    /// It is as safe as the flush mode makes it.
    Flushed,
    /// As `Flushed`, and a replica has it (SYNC_MASTER).
    Replicated,
}

/// How an append ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as safe as was asked for.
    Stored,
    /// The store failed while it was under way: it may or may not be there after a restart.
    Unknown,
    /// Nothing was written: the store has failed before.
    Refused,
}

/// What happened.
#[derive(Debug)]
pub enum Input<T, D> {
    /// A batch was given the positions up to `to`, from where the one before ended.
    Append {
        /// The end of the batch.
        to: PhysicalOffset,
        /// What its sender waits for.
        acknowledge: Acknowledge,
        /// Stands for the answer that is owed.
        ticket: T,
    },
    /// No more batches for now: write them, and keep `dispatch` until they are visible.
    EndOfTick {
        /// What goes to the consume queues and the index for all batches since the last tick.
        dispatch: D,
    },
    /// The write that was asked for has ended well.
    Written,
    /// Time to flush (async flush only; sync flush needs no timer).
    FlushDue,
    /// A flush has ended well.
    Flushed {
        /// The epoch it was asked for in; a late one of an earlier epoch is without effect.
        epoch: FlushEpoch,
        /// Up to where it covers the log: what was asked for, or what was written when it began.
        upto: PhysicalOffset,
    },
    /// A replica has the log up to here.
    Replicated {
        /// The position that the replica reports.
        upto: PhysicalOffset,
    },
    /// A consume queue or the index holds, on disk, all that was dispatched to it up to here.
    Dispatched {
        /// Which one.
        target: Target,
        /// The end of the last record that it has made durable.
        upto: PhysicalOffset,
    },
    /// A write or a flush has failed. Nothing is retried: the kernel has marked the pages clean.
    Failed,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<T, D> {
    /// Write the bytes of the batches from here to there, then say `Written`.
    Write {
        /// The first byte.
        from: PhysicalOffset,
        /// Behind the last byte.
        to: PhysicalOffset,
    },
    /// Sync the log up to here, or further, on the flusher, behind those asked for before, then say `Flushed`.
    Flush {
        /// To be given back with the answer.
        epoch: FlushEpoch,
        /// Up to where the log is written.
        upto: PhysicalOffset,
    },
    /// Readers may now see the log up to here.
    Publish {
        /// The end of what is visible.
        visible: PhysicalOffset,
    },
    /// Hand this to the consume queues and the index.
    Dispatch {
        /// As it came with `EndOfTick`.
        dispatch: D,
        /// The end of the last record in it.
        upto: PhysicalOffset,
    },
    /// Answer a batch.
    Reply {
        /// As it came with `Append`.
        ticket: T,
        /// How it ended.
        outcome: Outcome,
    },
}

/// An answer that is owed once a position is safe.
#[derive(Debug)]
struct Owed<T> {
    to: PhysicalOffset,
    ticket: T,
}

/// The state of the commit log.
#[derive(Debug)]
pub struct LogState<T, D> {
    mode: FlushMode,
    epoch: FlushEpoch,
    assigned: PhysicalOffset,
    writing: Option<PhysicalOffset>,
    appended: PhysicalOffset,
    durable: PhysicalOffset,
    visible: PhysicalOffset,
    replicated: PhysicalOffset,
    /// Up to where the flushes were asked for that have not ended, in their order.
    flushing: VecDeque<PhysicalOffset>,
    failed: bool,
    owed_appended: VecDeque<Owed<T>>,
    owed_durable: VecDeque<Owed<T>>,
    owed_replicated: VecDeque<Owed<T>>,
    undispatched: VecDeque<(PhysicalOffset, D)>,
    confirmations: Confirmations,
}

impl<T, D> LogState<T, D> {
    /// The state after recovery: everything up to `recovered` is on disk, visible, and (but for what recovery feeds
    /// again) dispatched. Each life of the log has a higher `epoch` than the ones before it in this process.
    #[must_use]
    pub fn recovered(mode: FlushMode, recovered: PhysicalOffset, epoch: FlushEpoch) -> Self {
        Self {
            mode,
            epoch,
            assigned: recovered,
            writing: None,
            appended: recovered,
            durable: recovered,
            visible: recovered,
            replicated: PhysicalOffset(0),
            flushing: VecDeque::new(),
            failed: false,
            owed_appended: VecDeque::new(),
            owed_durable: VecDeque::new(),
            owed_replicated: VecDeque::new(),
            undispatched: VecDeque::new(),
            confirmations: Confirmations::default(),
        }
    }

    /// Takes one input and appends what is to be done to `outputs`.
    pub fn step(&mut self, input: Input<T, D>, outputs: &mut Vec<Output<T, D>>) {
        match input {
            Input::Append {
                to,
                acknowledge,
                ticket,
            } => self.append(to, acknowledge, ticket, outputs),
            Input::EndOfTick { dispatch } => self.end_of_tick(dispatch, outputs),
            Input::Written => self.written(outputs),
            Input::FlushDue => self.flush(outputs),
            Input::Flushed { epoch, upto } => self.flushed(epoch, upto, outputs),
            Input::Replicated { upto } => self.replicated(upto, outputs),
            // What failed may have been a sync of this target: the kernel has marked its pages clean, so that a further
            // sync of them says nothing.
            Input::Dispatched { .. } if self.failed => {}
            Input::Dispatched { target, upto } => self.confirmations.confirm(target, upto),
            Input::Failed => self.fail(outputs),
        }
        self.assert_order();
    }

    fn append(&mut self, to: PhysicalOffset, wait: Acknowledge, ticket: T, outputs: &mut Vec<Output<T, D>>) {
        if self.failed {
            outputs.push(Output::Reply {
                ticket,
                outcome: Outcome::Refused,
            });
            return;
        }
        assert!(to >= self.assigned, "positions are assigned in order");
        assert!(self.writing.is_none(), "a write ends before the next batch is assigned");
        self.assigned = to;
        let owed = Owed { to, ticket };
        match (wait, self.mode) {
            (Acknowledge::Replicated, _) => self.owed_replicated.push_back(owed),
            (Acknowledge::Flushed, FlushMode::Sync) => self.owed_durable.push_back(owed),
            (Acknowledge::Appended, _) | (Acknowledge::Flushed, FlushMode::Async) => self.owed_appended.push_back(owed),
        }
    }

    fn end_of_tick(&mut self, dispatch: D, outputs: &mut Vec<Output<T, D>>) {
        if self.failed || self.assigned == self.appended {
            return;
        }
        self.undispatched.push_back((self.assigned, dispatch));
        self.writing = Some(self.assigned);
        outputs.push(Output::Write {
            from: self.appended,
            to: self.assigned,
        });
    }

    fn written(&mut self, outputs: &mut Vec<Output<T, D>>) {
        let Some(upto) = self.writing.take() else { return };
        self.appended = upto;
        if self.mode == FlushMode::Async {
            self.publish(upto, outputs);
        }
        self.release(outputs);
        if self.mode == FlushMode::Sync {
            self.flush(outputs);
        }
    }

    /// Asks for a flush unless enough are under way or nothing is to be flushed.
    fn flush(&mut self, outputs: &mut Vec<Output<T, D>>) {
        let most = match self.mode {
            FlushMode::Sync => 2,
            FlushMode::Async => 1,
        };
        let asked = self.flushing.back().copied().max(Some(self.durable));
        if self.failed || self.flushing.len() >= most || asked >= Some(self.appended) {
            return;
        }
        self.flushing.push_back(self.appended);
        outputs.push(Output::Flush {
            epoch: self.epoch,
            upto: self.appended,
        });
    }

    fn flushed(&mut self, epoch: FlushEpoch, upto: PhysicalOffset, outputs: &mut Vec<Output<T, D>>) {
        if self.failed || epoch != self.epoch || self.flushing.pop_front().is_none() {
            return;
        }
        self.durable = self.durable.max(upto);
        if self.mode == FlushMode::Sync {
            // The next flush first: the disk works while the answers of this one go out.
            self.flush(outputs);
            self.publish(self.durable, outputs);
        }
        self.release(outputs);
    }

    fn replicated(&mut self, upto: PhysicalOffset, outputs: &mut Vec<Output<T, D>>) {
        // A replica is never sent more than what is visible, so one that claims more is wrong about it.
        let upto = upto.min(self.visible);
        if !self.failed && upto > self.replicated {
            self.replicated = upto;
            self.release(outputs);
        }
    }

    fn publish(&mut self, upto: PhysicalOffset, outputs: &mut Vec<Output<T, D>>) {
        self.visible = upto;
        outputs.push(Output::Publish { visible: upto });
        while let Some((end, dispatch)) = self.undispatched.pop_front_if(|(end, _)| *end <= upto) {
            outputs.push(Output::Dispatch { dispatch, upto: end });
        }
    }

    fn release(&mut self, outputs: &mut Vec<Output<T, D>>) {
        let safe = match self.mode {
            FlushMode::Sync => self.durable,
            FlushMode::Async => self.appended,
        };
        let stored = |owed: Owed<T>| Output::Reply {
            ticket: owed.ticket,
            outcome: Outcome::Stored,
        };
        let queues = [
            (&mut self.owed_appended, self.appended),
            (&mut self.owed_durable, safe),
            (&mut self.owed_replicated, safe.min(self.replicated)),
        ];
        for (queue, reached) in queues {
            while let Some(owed) = queue.pop_front_if(|owed| owed.to <= reached) {
                outputs.push(stored(owed));
            }
        }
    }

    fn fail(&mut self, outputs: &mut Vec<Output<T, D>>) {
        self.failed = true;
        self.writing = None;
        self.flushing.clear();
        self.undispatched.clear();
        for queue in [
            &mut self.owed_appended,
            &mut self.owed_durable,
            &mut self.owed_replicated,
        ] {
            let unknown = |owed: Owed<T>| Output::Reply {
                ticket: owed.ticket,
                outcome: Outcome::Unknown,
            };
            outputs.extend(queue.drain(..).map(unknown));
        }
    }

    /// Notes that something was handed to `target` for records from `from` on, up to `upto`: until the target confirms
    /// it, recovery begins no later than at `from`.
    pub fn dispatching(&mut self, target: Target, from: PhysicalOffset, upto: PhysicalOffset) {
        self.confirmations.note(target, from, upto);
    }

    /// The lowest position from which some target may still lack something after a crash: where recovery must begin
    /// to dispatch. What a target confirmed is on its disk.
    #[must_use]
    pub fn confirmed(&self) -> PhysicalOffset {
        let undispatched = if self.undispatched.is_empty() {
            self.appended
        } else {
            self.visible
        };
        self.confirmations.lowest().unwrap_or(undispatched).min(self.durable)
    }

    /// The end of the log as it was assigned.
    #[must_use]
    pub fn assigned(&self) -> PhysicalOffset {
        self.assigned
    }

    /// The end of what is written.
    #[must_use]
    pub fn appended(&self) -> PhysicalOffset {
        self.appended
    }

    /// The end of what is on disk.
    #[must_use]
    pub fn durable(&self) -> PhysicalOffset {
        self.durable
    }

    /// The end of what readers may see.
    #[must_use]
    pub fn visible(&self) -> PhysicalOffset {
        self.visible
    }

    /// Whether a write or a flush has failed.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.failed
    }

    /// How many batches wait for their answer.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.owed_appended.len() + self.owed_durable.len() + self.owed_replicated.len()
    }

    fn assert_order(&self) {
        assert!(self.durable <= self.appended && self.appended <= self.assigned);
        assert!(self.replicated <= self.visible);
        match self.mode {
            FlushMode::Sync => assert!(self.visible <= self.durable),
            FlushMode::Async => assert!(self.visible == self.appended),
        }
    }
}
