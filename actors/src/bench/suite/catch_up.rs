//! A backlog that is read while sends go on at half of what the system takes.
//!
//! In one topic: sends as fast as answers allow, which say what the system takes; more of them until the backlog is long
//! enough; sends at half that rate alone; and the same sends with pulls beside them that read, from the beginning on and
//! once, what there was then. The last two are compared. Memory holds what was just written as far as there is room; a
//! backlog that is to come from the disk is longer than that.

use anyhow::{Context, Result, ensure};
use cuemq_storage::entropy::{Entropy, SeededEntropy};
use serde::Serialize;

use super::super::arguments::{LoadArguments, SendArguments};
use super::super::ask::{self, Caller};
use super::super::loads;
use super::super::measure::{Beside, measure};
use super::super::reader::{Reader, Reading};
use super::super::report::{CodeReport, Load, Report};
use super::super::send::{Message, Sends};

/// Connections that read.
const READERS: usize = 8;
/// The longest that the reading may take, in seconds.
const LONGEST: f64 = 1200.0;
/// Loads of which no message came in time, before nothing more is tried.
const IN_VAIN: u32 = 20;
const MEBIBYTE: u64 = 1024 * 1024;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CatchUp {
    /// Records that were read.
    pub(super) messages: u64,
    pub(super) mebibytes: f64,
    pub(super) seconds: f64,
    pub(super) mebibytes_per_second: f64,
    /// Sends a second as fast as answers allow.
    pub(super) sustained_per_second: f64,
    /// The sends beside the reading; their messages and bytes are only those that were sent.
    pub(super) beside: Report,
    /// The same sends before, alone.
    pub(super) before: Report,
    /// Answers to pulls other than success.
    pub(super) pull_answers: Vec<CodeReport>,
    /// CPU time of the server for each message sent or read, in µs.
    pub(super) cpu_us_per_message: Option<f64>,
}

impl CatchUp {
    /// How many times as long the 99th percentile of the sends is beside the reading.
    pub(super) fn p99_to_before(&self) -> f64 {
        self.beside.latency_us.p99 / self.before.latency_us.p99.max(f64::MIN_POSITIVE)
    }

    pub(super) fn is_sound(&self) -> bool {
        self.beside.is_sound() && self.before.is_sound()
    }
}

/// Measures it. `sends` has the topic, which is there, and is a closed loop.
pub(super) fn measure_catch_up(sends: &SendArguments, backlog_mib: u64) -> Result<CatchUp> {
    let backlog = backlog_mib * MEBIBYTE;
    let mut written = 0;
    let mut sustained = (0..IN_VAIN).map(|_| loads::send(sends));
    let sustained = sustained
        .find(|report| !report.as_ref().is_ok_and(|report| report.messages == 0))
        .with_context(|| format!("no send was answered within {} s, {IN_VAIN} times", sends.load.seconds))??;
    let rate = ((sustained.messages_per_second / 2.0) as u64).max(1);
    written += sustained.messages * u64::from(sends.body);
    while written < backlog {
        let missing = (backlog - written) as f64 / f64::from(sends.body) / sustained.messages_per_second;
        let more = SendArguments {
            load: LoadArguments {
                seconds: missing.clamp(0.1, 60.0),
                warm_up: 0.0,
                ..sends.load.clone()
            },
            ..sends.clone()
        };
        let sent = loads::send(&more)?.messages;
        ensure!(sent > 0, "the broker took no more messages for the backlog");
        written += sent * u64::from(sends.body);
    }
    let half = LoadArguments {
        rate: Some(rate),
        ..sends.load.clone()
    };
    let before = loads::send(&SendArguments {
        load: half.clone(),
        ..sends.clone()
    })?;
    let (beside, reading) = beside_reading(sends, half)?;
    let mebibytes = reading.bytes as f64 / MEBIBYTE as f64;
    let moved = (reading.messages + beside.messages).max(1) as f64;
    let cpu = beside
        .process
        .as_ref()
        .map(|process| process.cores_used * reading.seconds);
    Ok(CatchUp {
        messages: reading.messages,
        mebibytes,
        seconds: reading.seconds,
        mebibytes_per_second: mebibytes / reading.seconds,
        sustained_per_second: sustained.messages_per_second,
        cpu_us_per_message: cpu.map(|seconds| seconds * 1e6 / moved),
        beside,
        before,
        pull_answers: CodeReport::of(reading.others),
    })
}

fn beside_reading(sends: &SendArguments, half: LoadArguments) -> Result<(Report, Reading)> {
    let address = ask::broker(&half)?;
    let mut caller = Caller::connect(address)?;
    let server = caller.identity(address)?;
    let message = Message {
        codec: half.header.codec(),
        body_bytes: sends.body as usize,
        wait: true,
        tag: None,
        keys: false,
        stamped: false,
    };
    let topics = half.topic_names();
    let mut queues = Vec::new();
    for topic in &topics {
        queues.extend(caller.queues(topic, half.queues)?);
    }
    queues.retain(|queue| queue.max > queue.min);
    let run = SeededEntropy::from_system()?.next_u64();
    let open_end = LoadArguments {
        seconds: LONGEST,
        ..half
    };
    let beside = Beside {
        reader: Some(Reader::connect(address, open_end.header.codec(), &queues, READERS)?),
        ..Beside::default()
    };
    let mut measured = measure(&open_end, sends.in_flight, address, beside, |_, _| {
        Sends::new(&message, &topics, open_end.queues, run)
    })?;
    let reading = measured.reading.take().context("nothing was read")?;
    let took = LoadArguments {
        seconds: reading.seconds,
        ..open_end
    };
    let detail = format!(
        "bodies of {} bytes beside {} readers of a backlog",
        sends.body,
        queues.len().min(READERS)
    );
    let load = Load::new("send", &took, sends.in_flight, detail);
    Ok((Report::new(load, took.pid, server, measured), reading))
}
