//! One generator thread: its connections, the requests in flight on each, and what is counted of the answers.
//!
//! A closed loop sends the next request on a connection when an answer came on it. An open loop sends when a request is
//! due, on whichever connection has room. What one read brought is answered by one write.
//!
//! A latency counts from when the request was due (open loop) or was put into the buffer (closed loop) until the answer
//! was read. A closed loop takes the latencies of answers that come within the measured time, an open loop those of the
//! requests that were due within it: what is late is still sent and waited for behind it, for a while, and what never
//! got its answer counts with the time that it has waited. Messages and bytes count when their answer came within the
//! measured time, in either loop.

use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cuemq_net::code::ResponseCode;
use cuemq_net::frame::HeaderCodec;
use cuemq_storage::clock::Clock;

use super::follow::Receipts;
use super::pace::Pace;
use super::pipe::{Inflow, Pipe};
use super::poll::{Interest, Poll, Ready};
use super::scan::{Numbers, Scanner};
use super::slots::Slots;
use super::stalls::StallWatch;
use super::tally::Tally;

/// How long requests in flight may still be answered after the measured time.
pub(super) const DRAIN: Duration = Duration::from_secs(5);
/// A wait that ends nearer than this to the next due request is no wait: the system wakes a thread late.
const SPIN: Duration = Duration::from_millis(2);

/// What requests ask and what their answers mean.
pub(super) trait Work: Sized {
    /// Whether the end waits for the answers to all requests; a long poll may stay open.
    const OWES_ANSWERS: bool = true;

    /// Hears which time is measured.
    fn begin(&mut self, _window: Window) {}

    /// Appends the next request. `slot` tells the requests that can be in flight at once apart, over all connections of
    /// this thread.
    fn ask(&mut self, slot: usize, opaque: i32, moment: Moment, out: &mut Vec<u8>);

    /// Takes in an answer; the messages and the bytes that it stands for.
    fn answered(&mut self, slot: usize, answer: Answer<'_>, scanner: &mut Scanner) -> Outcome;

    /// What a consumer received.
    fn receipts(self) -> Option<Receipts> {
        None
    }
}

/// When a request began, or when its answer was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    /// In ns of the run's clock; of a request, when it was due (open loop) or is made (closed loop).
    pub(super) at_ns: u64,
    /// The time of day in ms.
    pub(super) wall_ms: u64,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    /// When it was read.
    pub(super) moment: Moment,
    pub(super) code: i32,
    pub(super) codec: HeaderCodec,
    pub(super) header: &'a [u8],
    pub(super) body: &'a [u8],
}

/// What an answer stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// Why it cannot be right.
    pub(super) broken: Option<String>,
}

/// The times of a run, in ns of its clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) start_ns: u64,
    /// When the measured time begins.
    pub(super) from_ns: u64,
    /// When it ends.
    pub(super) until_ns: u64,
}

/// What the thread that shows progress sees of the others.
#[derive(Debug, Default)]
pub(super) struct Live {
    messages: AtomicU64,
    answers: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    time_us: AtomicU64,
    longest_us: AtomicU64,
}

/// Counts so far, warm-up included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) messages: u64,
    /// Requests that were answered with success.
    pub(super) answers: u64,
    /// Requests that were refused.
    pub(super) refused: u64,
    /// Requests that went with their connection.
    pub(super) lost: u64,
    /// The latencies of all answers with success.
    pub(super) time_us: u64,
    /// The longest of them.
    pub(super) longest_us: u64,
}

impl Live {
    pub(super) fn show(&self, passed: &Passed) {
        self.messages.store(passed.messages, Ordering::Relaxed);
        self.answers.store(passed.answers, Ordering::Relaxed);
        self.refused.store(passed.refused, Ordering::Relaxed);
        self.lost.store(passed.lost, Ordering::Relaxed);
        self.time_us.store(passed.time_us, Ordering::Relaxed);
        self.longest_us.store(passed.longest_us, Ordering::Relaxed);
    }

    pub(super) fn passed(&self) -> Passed {
        Passed {
            messages: self.messages.load(Ordering::Relaxed),
            answers: self.answers.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            time_us: self.time_us.load(Ordering::Relaxed),
            longest_us: self.longest_us.load(Ordering::Relaxed),
        }
    }
}

impl Passed {
    pub(super) fn note(&mut self, code: i32, latency_ns: u64) {
        if code == ResponseCode::SUCCESS.0 {
            self.answers += 1;
            self.time_us += latency_ns / 1000;
            self.longest_us = self.longest_us.max(latency_ns / 1000);
        } else {
            self.refused += 1;
        }
    }

    /// What several threads did.
    pub(super) fn add(mut self, other: Self) -> Self {
        self.messages += other.messages;
        self.answers += other.answers;
        self.refused += other.refused;
        self.lost += other.lost;
        self.time_us += other.time_us;
        self.longest_us = self.longest_us.max(other.longest_us);
        self
    }
}

struct Lane {
    /// `None` once it is lost.
    pipe: Option<Pipe>,
    slots: Slots,
    wants_room: bool,
}

/// A generator thread.
pub(super) struct Engine<'c, W> {
    clock: &'c dyn Clock,
    poll: Poll,
    ready: Vec<Ready>,
    lanes: Vec<Lane>,
    in_flight: usize,
    /// Set for an open loop.
    pace: Option<Pace>,
    /// The lane that an open loop tries first.
    next_lane: usize,
    window: Window,
    work: W,
    scanner: Scanner,
    tally: Tally,
    passed: Passed,
    stalls: StallWatch,
    /// How long turns had something to do, within the measured time.
    busy_ns: u64,
    has_begun: bool,
}

impl<'c, W: Work> Engine<'c, W> {
    /// Takes connected sockets over, with room for `in_flight` requests on each.
    pub(super) fn new(
        clock: &'c dyn Clock,
        sockets: Vec<TcpStream>,
        in_flight: u32,
        rate: Option<u64>,
        window: Window,
        mut work: W,
    ) -> anyhow::Result<Self> {
        work.begin(window);
        let poll = Poll::new()?;
        let mut lanes = Vec::with_capacity(sockets.len());
        for (number, socket) in sockets.into_iter().enumerate() {
            let pipe = Pipe::new(socket)?;
            poll.add(number, pipe.socket())?;
            lanes.push(Lane {
                pipe: Some(pipe),
                slots: Slots::new(in_flight),
                wants_room: false,
            });
        }
        Ok(Self {
            clock,
            poll,
            ready: Vec::new(),
            lanes,
            in_flight: in_flight as usize,
            pace: rate.map(|rate| Pace::new(window.start_ns, rate)),
            next_lane: 0,
            window,
            work,
            scanner: Scanner::new(),
            tally: Tally::new()?,
            passed: Passed::default(),
            stalls: StallWatch::new(window.from_ns),
            busy_ns: 0,
            has_begun: false,
        })
    }

    /// Makes the load until the measured time is over and its requests are answered.
    pub(super) fn run(mut self, live: &Live) -> io::Result<(Tally, W)> {
        while self.turn(live, Duration::MAX)? {}
        Ok(self.finish())
    }

    /// Sends what is due, waits at most so long and takes in what came; `false` when the load is over.
    pub(super) fn turn(&mut self, live: &Live, limit: Duration) -> io::Result<bool> {
        let now = now_ns(self.clock);
        if self.is_over(now) {
            return Ok(false);
        }
        if self.pace.is_some() {
            self.issue_due(now);
        } else if !self.has_begun {
            (0..self.lanes.len()).for_each(|number| self.refill(number, now));
        }
        self.has_begun = true;
        let waits_since = now_ns(self.clock);
        let mut ready = std::mem::take(&mut self.ready);
        self.poll.wait(Some(self.patience(now).min(limit)), &mut ready)?;
        let woken = now_ns(self.clock);
        let has_work = !ready.is_empty();
        for event in ready.drain(..) {
            if event.writable {
                self.flush(event.number);
            }
            if event.readable {
                self.receive(event.number);
            }
        }
        self.ready = ready;
        live.show(&self.passed);
        if now >= self.window.from_ns && now < self.window.until_ns {
            self.busy_ns += waits_since - now;
            if has_work {
                self.busy_ns += now_ns(self.clock) - woken;
            }
        }
        Ok(true)
    }

    /// Has no more requests made; those that are under way are waited for.
    pub(super) fn stop(&mut self, now_ns: u64) {
        self.window.until_ns = self.window.until_ns.min(now_ns);
    }

    /// What was counted, with the requests that are still open, and the work as it stands.
    pub(super) fn finish(mut self) -> (Tally, W) {
        let now = now_ns(self.clock);
        self.settle(now);
        self.tally.busy_ns = self.busy_ns;
        if W::OWES_ANSWERS {
            self.tally.stalls = self.stalls.finish(now, self.clock.now_ms());
        }
        (self.tally, self.work)
    }

    pub(super) fn work(&mut self) -> &mut W {
        &mut self.work
    }

    /// Answers to requests of the measured time that were a success.
    pub(super) fn successes(&self) -> u64 {
        let others: u64 = self.tally.others.values().map(|answers| answers.count).sum();
        self.tally.answers - others
    }

    fn is_over(&self, now: u64) -> bool {
        let until = self.window.until_ns;
        let open = || {
            if !W::OWES_ANSWERS {
                return false;
            }
            let in_flight = self
                .lanes
                .iter()
                .any(|lane| lane.pipe.is_some() && lane.slots.in_flight() > 0);
            in_flight || self.due(now).is_some()
        };
        let is_done = now >= until && (!open() || now >= until + nanoseconds(DRAIN));
        is_done || self.lanes.iter().all(|lane| lane.pipe.is_none())
    }

    /// When the next request of an open loop was due, if it was by now and within the time that requests are made.
    fn due(&self, now: u64) -> Option<u64> {
        self.pace.as_ref()?.due(now.min(self.window.until_ns - 1))
    }

    /// How long there is nothing to do but to wait for answers.
    fn patience(&self, now: u64) -> Duration {
        let until = self.window.until_ns;
        let end = if now < until { until } else { until + nanoseconds(DRAIN) };
        let end = Duration::from_nanos(end.saturating_sub(now));
        match &self.pace {
            Some(pace) if now < until && self.has_room() => {
                let wait = Duration::from_nanos(pace.next_due_ns().saturating_sub(now));
                if wait < SPIN {
                    Duration::ZERO
                } else {
                    end.min(wait - SPIN)
                }
            }
            _ => end,
        }
    }

    fn has_room(&self) -> bool {
        self.lanes.iter().any(Lane::has_room)
    }

    /// Sends whatever is due, as far as there is room.
    fn issue_due(&mut self, now: u64) {
        let wall_ms = self.clock.now_ms();
        while let Some(due) = self.due(now) {
            let count = self.lanes.len();
            let lane = (0..count)
                .map(|step| (self.next_lane + step) % count)
                .find(|lane| self.lanes[*lane].has_room());
            let Some(lane) = lane else {
                if let Some(pace) = &mut self.pace {
                    pace.note_backlog(now.min(self.window.until_ns));
                }
                break;
            };
            self.next_lane = (lane + 1) % count;
            self.ask(lane, due, wall_ms);
            if let Some(pace) = &mut self.pace {
                pace.issue();
            }
        }
        (0..self.lanes.len()).for_each(|number| self.flush(number));
    }

    /// Sends as many requests on a connection as may be in flight.
    fn refill(&mut self, number: usize, now: u64) {
        let wall_ms = self.clock.now_ms();
        while self.lanes[number].has_room() {
            self.ask(number, now, wall_ms);
        }
        self.flush(number);
    }

    fn ask(&mut self, number: usize, since_ns: u64, wall_ms: u64) {
        let lane = &mut self.lanes[number];
        if let (Some(pipe), Some((slot, opaque))) = (&mut lane.pipe, lane.slots.take(since_ns)) {
            let moment = Moment {
                at_ns: since_ns,
                wall_ms,
            };
            self.stalls.asked(since_ns);
            self.work
                .ask(number * self.in_flight + slot, opaque, moment, pipe.output());
        }
    }

    fn flush(&mut self, number: usize) {
        let lane = &mut self.lanes[number];
        let Some(pipe) = &mut lane.pipe else { return };
        let flushed = pipe.flush().and_then(|is_done| {
            if lane.wants_room == is_done {
                lane.wants_room = !is_done;
                let interest = if is_done { Interest::Read } else { Interest::Both };
                self.poll.watch(number, pipe.socket(), interest)?;
            }
            Ok(())
        });
        if let Err(error) = flushed {
            self.lose(number, &error.to_string());
        }
    }

    /// Reads once, counts the answers, and in a closed loop sends as many requests again.
    fn receive(&mut self, number: usize) {
        let Some(pipe) = &mut self.lanes[number].pipe else {
            return;
        };
        let inflow = pipe.read();
        let now = now_ns(self.clock);
        if let Err(reason) = self.take_answers(number, now) {
            return self.lose(number, &reason);
        }
        match inflow {
            Ok(Inflow::Open) if self.pace.is_none() && now < self.window.until_ns => self.refill(number, now),
            Ok(Inflow::Open) => {}
            Ok(Inflow::Ended) => self.lose(number, "the server closed the connection"),
            Err(error) => self.lose(number, &error.to_string()),
        }
    }

    fn take_answers(&mut self, number: usize, now: u64) -> Result<(), String> {
        let wall_ms = self.clock.now_ms();
        let lane = &mut self.lanes[number];
        let Some(pipe) = &mut lane.pipe else { return Ok(()) };
        while let Some(frame) = pipe.next_frame().map_err(|error| error.to_string())? {
            let (input, _) = pipe.bytes();
            let (header, body) = (&input[frame.header], &input[frame.body]);
            let Some(Numbers { code, opaque }) = self.scanner.scan(frame.codec, header) else {
                return Err("an answer has no readable header".to_owned());
            };
            let Some(flown) = lane.slots.answer(opaque) else {
                self.tally
                    .broken
                    .note(|| Some(format!("an answer to no request, opaque {opaque}")));
                continue;
            };
            let slot = number * self.in_flight + flown.slot;
            let answer = Answer {
                moment: Moment { at_ns: now, wall_ms },
                code,
                codec: frame.codec,
                header,
                body,
            };
            let outcome = self.work.answered(slot, answer, &mut self.scanner);
            self.passed.messages += outcome.messages;
            self.passed.note(code, now.saturating_sub(flown.since_ns));
            self.stalls.answered(code == ResponseCode::SUCCESS.0, now, wall_ms);
            let window = self.window.from_ns..self.window.until_ns;
            if window.contains(&now) {
                self.tally.count(outcome.messages, outcome.bytes);
            }
            if window.contains(if self.pace.is_some() { &flown.since_ns } else { &now }) {
                let (tally, scanner) = (&mut self.tally, &mut self.scanner);
                tally.latencies.saturating_record(now.saturating_sub(flown.since_ns));
                tally.answers += 1;
                if code != ResponseCode::SUCCESS.0 {
                    let answers = tally.others.entry(code).or_default();
                    answers.note(|| scanner.details(frame.codec, header, "").0);
                }
            }
            if let Some(reason) = outcome.broken {
                self.tally.broken.note(|| Some(reason));
            }
        }
        Ok(())
    }

    #[cold]
    fn lose(&mut self, number: usize, reason: &str) {
        let lane = &mut self.lanes[number];
        if let Some(pipe) = lane.pipe.take() {
            // closing it does the same
            let _ = self.poll.remove(pipe.socket());
            self.passed.lost += lane.slots.in_flight() as u64;
            self.stalls.lost(lane.slots.in_flight());
            self.tally.lost_connections.note(|| Some(reason.to_owned()));
        }
    }

    /// Counts what got no answer: with the time it has waited, so that it is not missing among the slow ones.
    fn settle(&mut self, now: u64) {
        for lane in self.lanes.iter().filter(|_| W::OWES_ANSWERS) {
            self.tally.unanswered += lane.slots.in_flight() as u64;
            let measured = lane
                .slots
                .open()
                .filter(|since| *since >= self.window.from_ns || self.pace.is_none());
            for since in measured.filter(|_| lane.pipe.is_some()) {
                self.tally.latencies.saturating_record(now.saturating_sub(since));
            }
        }
        let Some(mut pace) = self.pace.take() else { return };
        while let Some(due) = pace.due(self.window.until_ns - 1) {
            self.tally.never_sent += 1;
            if due >= self.window.from_ns {
                self.tally.latencies.saturating_record(now.saturating_sub(due));
            }
            pace.issue();
        }
        self.tally.longest_backlog = pace.longest_backlog();
    }
}

impl Lane {
    fn has_room(&self) -> bool {
        self.pipe.is_some() && self.slots.has_free()
    }
}

/// The time of a clock in ns.
pub(super) fn now_ns(clock: &dyn Clock) -> u64 {
    nanoseconds(clock.monotonic())
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
