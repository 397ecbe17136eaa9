//! Runs the generator threads for the measured time, shows how it goes, and reads the server's CPU time and memory at
//! both ends of it.
//!
//! CPU time for each message is that of the server's whole process between two looks, by the messages between the same
//! two looks. The looking thread is not one of the generators and sleeps in between.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cuemq_storage::clock::{Clock, RealClock};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::arguments::LoadArguments;
use super::ask;
use super::consumer::Consumer;
use super::engine::{Engine, Live, Passed, Window, Work, now_ns};
use super::follow::Receipts;
use super::process::{Memory, Process};
use super::reader::{Reader, Reading};
use super::tally::Tally;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(250);

/// What came of a run.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) tally: Tally,
    /// How many cores' worth of time this program took: near the number of its threads, it was the limit itself. (An
    /// open loop waits actively for the next request to be due.)
    pub(super) generator_cores: f64,
    pub(super) server: Option<ServerUse>,
    /// What consumers received.
    pub(super) receipts: Option<Receipts>,
    /// What a reader of a backlog read.
    pub(super) reading: Option<Reading>,
}

/// What belongs to a load beside its requests.
#[derive(Default)]
pub(super) struct Beside<'a> {
    /// A consumer that the first thread drives in turn with its requests.
    pub(super) consumer: Option<Consumer>,
    /// Instead, a reader whose end is the end of the load.
    pub(super) reader: Option<Reader>,
    /// Hears now and then what all threads have done until then, in ns of the run's clock.
    pub(super) listener: Option<&'a mut dyn FnMut(u64, Passed)>,
}

/// A thread's counts at its end.
type Ended = (Tally, Option<Receipts>, Option<Reading>);

/// What the server's process used within the measured time.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerUse {
    /// Cores' worth of CPU time.
    pub(super) cores: f64,
    /// CPU time for each message, in µs.
    pub(super) us_per_message: f64,
    /// What it occupied at the end.
    pub(super) memory: Memory,
}

/// One look at the processes.
struct Sample {
    at_ns: u64,
    messages: u64,
    own_cpu: Duration,
    server_cpu: Option<Duration>,
}

struct Observer<'a, 'b> {
    clock: &'a dyn Clock,
    listener: Option<&'b mut dyn FnMut(u64, Passed)>,
    lives: &'a [Live],
    server: Option<Process>,
    window: Window,
    progress: ProgressBar,
}

/// Makes the load: `work` makes each thread's requests from its number and from its number of requests in flight.
pub(super) fn measure<W: Work + Send>(
    load: &LoadArguments,
    in_flight: u32,
    address: SocketAddr,
    beside: Beside<'_>,
    work: impl Fn(usize, usize) -> Result<W>,
) -> Result<Measured> {
    ensure!(
        load.threads <= load.connections,
        "each of {} threads needs a connection of its own",
        load.threads
    );
    let server = load.pid.map(Process::new);
    if let Some(server) = server {
        server.cpu()?;
        server.memory()?;
    }
    let threads = load.threads as usize;
    let mut shares = Vec::new();
    for thread in 0..threads {
        let connections = share(load.connections.into(), threads, thread) as usize;
        let sockets = (0..connections)
            .map(|_| ask::connect(address))
            .collect::<Result<Vec<_>>>()?;
        let rate = load.rate.map(|rate| share(rate, threads, thread));
        shares.push((thread, sockets, rate, work(thread, connections * in_flight as usize)?));
    }
    let clock = RealClock::new();
    let window = window(&clock, load);
    let lives: Vec<Live> = (0..threads).map(|_| Live::default()).collect();
    let (done, finished) = mpsc::channel();
    let (mut consumer, mut reader) = (beside.consumer, beside.reader);
    thread::scope(|scope| {
        for (thread, sockets, rate, work) in shares {
            let (done, clock, live) = (done.clone(), &clock, &lives[thread]);
            let (consumer, reader) = (consumer.take(), reader.take());
            let core = load.cpu.map(|first| first + thread);
            scope.spawn(move || {
                let run = || -> Result<Ended> {
                    pin(core)?;
                    let engine = Engine::new(clock, sockets, in_flight, rate, window, work)?;
                    if let Some(consumer) = consumer {
                        let (tally, receipts) = consumer.run_with(engine, clock, window, live)?;
                        return Ok((tally, receipts, None));
                    }
                    if let Some(reader) = reader {
                        let (tally, reading) = reader.run_with(engine, clock, window, live)?;
                        return Ok((tally, None, Some(reading)));
                    }
                    let (tally, work) = engine.run(live)?;
                    Ok((tally, work.receipts(), None))
                };
                // nobody listens once another thread has failed
                let _ = done.send(run());
            });
        }
        drop(done);
        let observer = Observer {
            clock: &clock,
            listener: beside.listener,
            lives: &lives,
            server,
            window,
            progress: progress(load.label.clone()),
        };
        observer.observe(&finished)
    })
}

/// What a load that one thread makes is told.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) clock: &'a RealClock,
    pub(super) window: Window,
    pub(super) live: &'a Live,
}

/// Has a thread make the load in its own way, which counts what it does.
pub(super) fn measure_alone(
    load: &LoadArguments,
    work: impl FnOnce(Run<'_>) -> Result<(Tally, Option<Receipts>)> + Send,
) -> Result<Measured> {
    let server = load.pid.map(Process::new);
    let clock = RealClock::new();
    let window = window(&clock, load);
    let live = Live::default();
    let (done, finished) = mpsc::channel();
    thread::scope(|scope| {
        let (clock, live) = (&clock, &live);
        scope.spawn(move || {
            let run = || -> Result<Ended> {
                pin(load.cpu)?;
                let (tally, receipts) = work(Run { clock, window, live })?;
                Ok((tally, receipts, None))
            };
            // nobody listens once the observer has failed
            let _ = done.send(run());
        });
        let observer = Observer {
            clock,
            listener: None,
            lives: std::slice::from_ref(live),
            server,
            window,
            progress: progress(load.label.clone()),
        };
        observer.observe(&finished)
    })
}

impl Observer<'_, '_> {
    /// Waits for the threads' tallies; looks at the processes when the measured time begins and when it ends.
    fn observe(mut self, finished: &Receiver<Result<Ended>>) -> Result<Measured> {
        let mut tally = Tally::new()?;
        let (mut receipts, mut reading) = (None, None);
        let (mut first, mut last) = (None, None);
        loop {
            let now = now_ns(self.clock);
            if first.is_none() && now >= self.window.from_ns {
                first = Some(self.sample()?);
            }
            if last.is_none() && now >= self.window.until_ns {
                last = Some(self.sample()?);
            }
            self.show(now);
            let passed = self.passed();
            if let Some(listener) = &mut self.listener {
                listener(now, passed);
            }
            let mark = if first.is_none() {
                self.window.from_ns
            } else {
                self.window.until_ns
            };
            let mark = Duration::from_nanos(mark.saturating_sub(now));
            let limit = if mark.is_zero() { TICK } else { mark.min(TICK) };
            match finished.recv_timeout(limit) {
                Ok(thread) => {
                    let (counted, received, read) = thread?;
                    tally.add(counted)?;
                    receipts = receipts.or(received);
                    reading = reading.or(read);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.progress.finish_and_clear();
        let first = first.context("all connections were lost before the measured time began")?;
        let last = match last {
            Some(last) => last,
            None => self.sample()?,
        };
        let seconds = Duration::from_nanos(last.at_ns - first.at_ns).as_secs_f64();
        let messages = last.messages - first.messages;
        let memory = self.server.map(Process::memory).transpose()?;
        let server_cpu = first
            .server_cpu
            .zip(last.server_cpu)
            .map(|(first, last)| last.saturating_sub(first));
        let server = server_cpu.zip(memory).map(|(cpu, memory)| ServerUse {
            cores: cpu.as_secs_f64() / seconds,
            us_per_message: cpu.as_secs_f64() * 1e6 / messages.max(1) as f64,
            memory,
        });
        Ok(Measured {
            tally,
            generator_cores: last.own_cpu.saturating_sub(first.own_cpu).as_secs_f64() / seconds,
            server,
            receipts,
            reading,
        })
    }

    fn sample(&self) -> Result<Sample> {
        Ok(Sample {
            at_ns: now_ns(self.clock),
            messages: self.passed().messages,
            own_cpu: Process::own().cpu()?,
            server_cpu: self.server.map(Process::cpu).transpose()?,
        })
    }

    fn passed(&self) -> Passed {
        self.lives.iter().map(Live::passed).fold(Passed::default(), Passed::add)
    }

    fn show(&self, now: u64) {
        let Window {
            start_ns,
            from_ns,
            until_ns,
        } = self.window;
        let (phase, from, until) = if now < from_ns {
            ("warm-up", start_ns, from_ns)
        } else {
            ("measuring", from_ns, until_ns)
        };
        self.progress.set_length(until - from);
        self.progress.set_position(now.min(until) - from);
        let seconds = Duration::from_nanos(now - start_ns).as_secs_f64().max(0.001);
        let rate = self.passed().messages as f64 / seconds;
        self.progress.set_message(format!("{phase}, {rate:.0} msg/s so far"));
    }
}

/// A bar on a terminal, and nothing elsewhere.
fn progress(label: Option<String>) -> ProgressBar {
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template("{prefix}{bar:40} {msg}") {
        bar.set_style(style);
    }
    if let Some(label) = label {
        bar.set_prefix(label);
    }
    bar
}

fn window(clock: &dyn Clock, load: &LoadArguments) -> Window {
    let start_ns = now_ns(clock);
    let from_ns = start_ns + (load.warm_up * 1e9) as u64;
    Window {
        start_ns,
        from_ns,
        until_ns: from_ns + (load.seconds * 1e9) as u64,
    }
}

/// The part of a whole that falls to one of several threads.
fn share(whole: u64, threads: usize, thread: usize) -> u64 {
    let (threads, thread) = (threads as u64, thread as u64);
    whole / threads + u64::from(thread < whole % threads)
}

/// Binds this thread to a core.
pub(super) fn pin(core: Option<usize>) -> Result<()> {
    let Some(core) = core else { return Ok(()) };
    ensure!(core < CpuSet::MAX_CPU, "there is no core {core}");
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("cannot run on core {core}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_whole() {
        for (whole, threads) in [(16, 3), (3, 3), (100_001, 7)] {
            let sum: u64 = (0..threads).map(|thread| share(whole, threads, thread)).sum();
            assert_eq!(sum, whole);
        }
    }
}
