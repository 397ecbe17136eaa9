//! 100,000 random histories of the state machine against a model of a log on a disk, with a crash at every output.
//!
//! The model knows what was written and what was synced. A crash leaves some prefix between the two; whatever was
//! promised before (an answer, something visible or dispatched under sync flush) must lie within every such prefix.

use super::*;
use crate::entropy::{Entropy, SeededEntropy};
use crate::hash::{Map, Set};

type State = LogState<u64, u64>;

/// The world around the state machine: a disk, a flusher that may be late, and a memory of all promises.
struct World {
    random: SeededEntropy,
    mode: FlushMode,
    state: State,
    epoch: u64,
    written: u64,
    synced: u64,
    flushes: Vec<(FlushEpoch, PhysicalOffset)>,
    next_ticket: u64,
    open: Map<u64, (u64, Acknowledge)>,
    answered: Set<u64>,
    promised: u64,
    visible: u64,
    dispatched: u64,
    replicated: u64,
    failed: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let random = SeededEntropy::new(seed);
        let mode = if random.below(3) == 0 {
            FlushMode::Async
        } else {
            FlushMode::Sync
        };
        Self {
            random,
            mode,
            state: State::recovered(mode, PhysicalOffset(0), FlushEpoch(0)),
            epoch: 0,
            written: 0,
            synced: 0,
            flushes: Vec::new(),
            next_ticket: 0,
            open: Map::default(),
            answered: Set::default(),
            promised: 0,
            visible: 0,
            dispatched: 0,
            replicated: 0,
            failed: false,
        }
    }

    fn input(&mut self) -> Input<u64, u64> {
        match self.random.below(12) {
            0..5 => self.append(),
            5 | 6 => Input::EndOfTick {
                dispatch: self.state.assigned().0,
            },
            7 => Input::FlushDue,
            8 | 9 if !self.flushes.is_empty() => {
                let at = usize::try_from(self.random.below(self.flushes.len() as u64)).unwrap();
                let (epoch, asked) = self.flushes.swap_remove(at);
                self.flushed(epoch, asked)
            }
            10 => {
                let upto = self.random.below(self.visible + 100);
                self.replicated = self.replicated.max(upto.min(self.visible));
                Input::Replicated {
                    upto: PhysicalOffset(upto),
                }
            }
            11 if self.random.below(20) == 0 => {
                self.failed = true;
                Input::Failed
            }
            _ => Input::EndOfTick {
                dispatch: self.state.assigned().0,
            },
        }
    }

    /// The answer of the flusher, which covers what was asked for, or what was written when it began.
    fn flushed(&mut self, epoch: FlushEpoch, asked: PhysicalOffset) -> Input<u64, u64> {
        let behind = self.written.saturating_sub(asked.0);
        let upto = match epoch == FlushEpoch(self.epoch) {
            true => asked.advanced(self.random.below(behind + 1)),
            false => asked,
        };
        self.synced = self.synced.max(upto.0.min(self.written));
        Input::Flushed { epoch, upto }
    }

    fn append(&mut self) -> Input<u64, u64> {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let to = self.state.assigned().advanced(1 + self.random.below(500));
        let acknowledge = match self.random.below(5) {
            0 => Acknowledge::Appended,
            1 => Acknowledge::Replicated,
            _ => Acknowledge::Flushed,
        };
        self.open.insert(ticket, (to.0, acknowledge));
        Input::Append {
            to,
            acknowledge,
            ticket,
        }
    }

    /// Carries out one output; the answer to `Write` is a further input.
    fn carry_out(&mut self, output: Output<u64, u64>) -> Option<Input<u64, u64>> {
        match output {
            Output::Write { from, to } => {
                assert_eq!(from.0, self.written, "writes follow one another");
                self.written = to.0;
                if self.random.below(100) == 0 {
                    self.failed = true;
                    return Some(Input::Failed);
                }
                return Some(Input::Written);
            }
            Output::Flush { epoch, upto } => {
                assert!(upto.0 <= self.written && !self.failed);
                self.flushes.push((epoch, upto));
                let of_this_life = self
                    .flushes
                    .iter()
                    .filter(|(epoch, _)| *epoch == FlushEpoch(self.epoch));
                let most = if self.mode == FlushMode::Sync { 2 } else { 1 };
                assert!(of_this_life.count() <= most);
            }
            Output::Publish { visible } => {
                assert!(visible.0 >= self.visible, "what was visible stays visible");
                self.visible = visible.0;
                self.hold_under_crash(visible.0);
            }
            Output::Dispatch { dispatch, upto } => {
                assert_eq!(dispatch, upto.0);
                assert!(
                    upto.0 <= self.visible && upto.0 > self.dispatched,
                    "dispatch follows the log"
                );
                self.dispatched = upto.0;
            }
            Output::Reply { ticket, outcome } => self.reply(ticket, outcome),
        }
        None
    }

    fn reply(&mut self, ticket: u64, outcome: Outcome) {
        assert!(self.answered.insert(ticket), "a ticket is answered once");
        let (to, acknowledge) = self.open.remove(&ticket).unwrap();
        match outcome {
            Outcome::Refused => assert!(self.failed),
            Outcome::Unknown => assert!(self.failed),
            Outcome::Stored => {
                assert!(
                    !self.failed || to <= self.promised,
                    "nothing is acknowledged after a failure"
                );
                assert!(to <= self.written);
                if acknowledge != Acknowledge::Appended {
                    self.hold_under_crash(to);
                    self.promised = self.promised.max(to);
                }
                if acknowledge == Acknowledge::Replicated {
                    assert!(to <= self.replicated);
                }
            }
        }
    }

    /// Under sync flush a promise holds in every crash from here on.
    fn hold_under_crash(&self, position: u64) {
        match self.mode {
            FlushMode::Sync => assert!(
                position <= self.synced,
                "promised {position}, on disk only {}",
                self.synced
            ),
            FlushMode::Async => assert!(position <= self.written),
        }
    }

    /// The process dies; what was written but not synced survives in part. Late answers of its flusher still come.
    fn crash(&mut self) {
        let lost = self.random.below(self.written - self.synced + 1);
        let survived = self.written - lost;
        if self.mode == FlushMode::Sync {
            assert!(self.promised <= survived && self.visible <= survived);
        }
        self.epoch += 1;
        self.written = survived;
        self.synced = survived;
        self.visible = survived;
        self.dispatched = survived;
        self.promised = self.promised.min(survived);
        self.replicated = 0;
        self.failed = false;
        self.open.clear();
        self.state = State::recovered(self.mode, PhysicalOffset(survived), FlushEpoch(self.epoch));
    }

    fn run(&mut self, crash_at: u64, steps: u64) {
        let mut done = 0;
        for _ in 0..steps {
            let mut next = Some(self.input());
            while let Some(input) = next.take() {
                let mut outputs = Vec::new();
                self.state.step(input, &mut outputs);
                for output in outputs {
                    if done == crash_at {
                        self.crash();
                        done += 1;
                        next = None;
                        break;
                    }
                    done += 1;
                    if let Some(answer) = self.carry_out(output) {
                        next = Some(answer);
                    }
                }
            }
            if self.failed && self.random.below(4) == 0 {
                self.crash();
            }
        }
    }

    /// The flusher's last answer that is still to come.
    fn end_flush(&mut self) -> Option<Input<u64, u64>> {
        let (epoch, asked) = self.flushes.pop()?;
        Some(self.flushed(epoch, asked))
    }

    /// With a disk that answers, everything that waits is answered.
    fn settle(&mut self) {
        if self.failed {
            return;
        }
        let mut inputs = vec![
            Input::EndOfTick {
                dispatch: self.state.assigned().0,
            },
            Input::FlushDue,
        ];
        while let Some(input) = inputs.pop().or_else(|| self.end_flush()) {
            let mut outputs = Vec::new();
            self.state.step(input, &mut outputs);
            for output in outputs {
                inputs.extend(self.carry_out(output));
            }
            if self.failed {
                return;
            }
        }
        self.replicated = self.visible;
        let mut outputs = Vec::new();
        self.state.step(
            Input::Replicated {
                upto: PhysicalOffset(u64::MAX),
            },
            &mut outputs,
        );
        for output in outputs {
            self.carry_out(output);
        }
        if self.mode == FlushMode::Sync {
            assert_eq!(self.visible, self.written, "all that was written becomes visible");
        }
        assert!(self.open.is_empty(), "{} senders still wait", self.open.len());
        assert_eq!(self.state.owed(), 0);
    }
}

#[test]
fn a_hundred_thousand_histories_with_a_crash_at_every_output_keep_every_promise() {
    for seed in 0..100_000 {
        let mut world = World::new(seed);
        world.run(seed % 60, 40);
        world.settle();
    }
}

#[test]
fn a_late_flush_of_an_earlier_life_acknowledges_nothing() {
    let mut state = State::recovered(FlushMode::Sync, PhysicalOffset(0), FlushEpoch(1));
    let mut outputs = Vec::new();
    let append = Input::Append {
        to: PhysicalOffset(10),
        acknowledge: Acknowledge::Flushed,
        ticket: 1,
    };
    state.step(append, &mut outputs);
    state.step(Input::EndOfTick { dispatch: 10 }, &mut outputs);
    state.step(Input::Written, &mut outputs);
    outputs.clear();
    state.step(
        Input::Flushed {
            epoch: FlushEpoch(0),
            upto: PhysicalOffset(10),
        },
        &mut outputs,
    );
    assert!(outputs.is_empty());
    state.step(
        Input::Flushed {
            epoch: FlushEpoch(1),
            upto: PhysicalOffset(10),
        },
        &mut outputs,
    );
    assert!(outputs.contains(&Output::Reply {
        ticket: 1,
        outcome: Outcome::Stored
    }));
}

#[test]
fn the_next_flush_is_asked_for_while_one_runs_and_what_it_covered_is_not_asked_for_again() {
    let mut state = State::recovered(FlushMode::Sync, PhysicalOffset(0), FlushEpoch(0));
    let mut outputs = Vec::new();
    let mut flushes_after = |inputs: Vec<Input<u64, u64>>| {
        for input in inputs {
            state.step(input, &mut outputs);
        }
        let flushes = outputs.drain(..).filter_map(|output| match output {
            Output::Flush { upto, .. } => Some(upto.0),
            _ => None,
        });
        flushes.collect::<Vec<_>>()
    };
    let written = |to| {
        let append = Input::Append {
            to: PhysicalOffset(to),
            acknowledge: Acknowledge::Flushed,
            ticket: to,
        };
        vec![append, Input::EndOfTick { dispatch: to }, Input::Written]
    };
    let flushed = |upto| {
        vec![Input::Flushed {
            epoch: FlushEpoch(0),
            upto: PhysicalOffset(upto),
        }]
    };
    assert_eq!(flushes_after(written(10)), [10]);
    assert_eq!(flushes_after(written(20)), [20], "behind the one that runs");
    assert_eq!(
        flushes_after(written(30)),
        [0; 0],
        "the second one covers it, if it has not begun"
    );
    assert_eq!(flushes_after(flushed(10)), [30], "and if it has, this one does");
    assert_eq!(flushes_after(flushed(30)), [0; 0]);
    assert_eq!(flushes_after(written(40)), [40]);
    assert_eq!(
        flushes_after(flushed(30)),
        [0; 0],
        "there was nothing left to do for the third one"
    );
    assert_eq!(flushes_after(flushed(40)), [0; 0]);
}

#[test]
fn what_is_not_durable_is_visible_to_nobody_under_sync_flush() {
    let mut state = State::recovered(FlushMode::Sync, PhysicalOffset(0), FlushEpoch(0));
    let mut outputs = Vec::new();
    let append = Input::Append {
        to: PhysicalOffset(10),
        acknowledge: Acknowledge::Appended,
        ticket: 1,
    };
    state.step(append, &mut outputs);
    state.step(Input::EndOfTick { dispatch: 10 }, &mut outputs);
    state.step(Input::Written, &mut outputs);
    assert!(
        outputs.contains(&Output::Reply {
            ticket: 1,
            outcome: Outcome::Stored
        }),
        "WAIT=false is answered at once"
    );
    assert_eq!(state.visible(), PhysicalOffset(0), "but nobody sees it yet");
    assert!(
        !outputs
            .iter()
            .any(|output| matches!(output, Output::Publish { .. } | Output::Dispatch { .. }))
    );
}

#[test]
fn after_a_failure_nothing_is_confirmed_by_a_further_sync() {
    let mut state = State::recovered(FlushMode::Sync, PhysicalOffset(0), FlushEpoch(0));
    let mut outputs = Vec::new();
    let append = Input::Append {
        to: PhysicalOffset(10),
        acknowledge: Acknowledge::Flushed,
        ticket: 1,
    };
    let flushed = Input::Flushed {
        epoch: FlushEpoch(0),
        upto: PhysicalOffset(10),
    };
    for input in [append, Input::EndOfTick { dispatch: 10 }, Input::Written, flushed] {
        state.step(input, &mut outputs);
    }
    let (target, upto) = (Target::Queue(0), PhysicalOffset(10));
    state.dispatching(target, PhysicalOffset(0), upto);
    // A sync of the queue fails; the next one finds no dirty pages and goes well.
    state.step(Input::Failed, &mut outputs);
    state.step(Input::Dispatched { target, upto }, &mut outputs);
    assert_eq!(state.confirmed(), PhysicalOffset(0));
}
