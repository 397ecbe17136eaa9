//! `cuemq bench producer` and `consumer`: what RocketMQ's benchmark tools do, told in their lines, with our table behind.
//!
//! They work with the first master that the name server tells for the topic. The consumer polls all queues that the topic
//! has there, from their ends, and commits nothing, as each start of RocketMQ's consumer is a group of its own.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use cuemq_storage::entropy::{Entropy, SeededEntropy};

use super::ask::{self, Caller};
use super::follow::{Ages, Follow, Since, connections};
use super::measure::{Beside, measure};
use super::report::{Load, Report};
use super::rocketmq_arguments::{ConsumerArguments, ProducerArguments};
use super::rocketmq_line::Lines;
use super::send::{Message, Sends};

/// The queues of a topic that is not there yet, as many as a broker makes on first use at most.
const QUEUES: u32 = 8;

/// Sends until the time is over, with a line to `out` now and then.
pub(super) fn producer(arguments: &ProducerArguments, out: &mut dyn Write) -> Result<Report> {
    let mut load = arguments.tool.load();
    let topic = &arguments.tool.topic;
    let place = ask::place(&load, topic)?;
    load.queues = place.write_queues.unwrap_or(QUEUES);
    let mut caller = Caller::connect(place.address)?;
    let server = caller.identity(place.address)?;
    let message = Message {
        codec: load.header.codec(),
        body_bytes: arguments.body as usize,
        wait: true,
        tag: None,
        keys: arguments.keys,
        stamped: false,
    };
    let topics = [topic.clone()];
    let run = SeededEntropy::from_system()?.next_u64();
    caller.make_topics(&message, &topics, load.queues, run)?;
    let mut lines = Lines::new(arguments.tool.every);
    let mut listener = |now_ns, passed| tell(out, lines.producer(now_ns, passed));
    let beside = Beside {
        listener: Some(&mut listener),
        ..Beside::default()
    };
    let measured = measure(&load, arguments.in_flight, place.address, beside, |_, _| {
        Sends::new(&message, &topics, load.queues, run.wrapping_add(1))
    })?;
    let detail = format!("bodies of {} bytes to {topic}", arguments.body);
    let made = Load::new("producer", &load, arguments.in_flight, detail);
    Ok(Report::new(made, load.pid, server, measured))
}

/// Consumes until the time is over, with a line to `out` now and then.
pub(super) fn consumer(arguments: &ConsumerArguments, out: &mut dyn Write) -> Result<Report> {
    let mut load = arguments.tool.load();
    let topic = &arguments.tool.topic;
    let place = ask::place(&load, topic)?;
    let count = place.read_queues.unwrap_or_default();
    ensure!(
        count > 0,
        "there is no topic {topic} to read yet: `cuemq bench producer -t {topic}` makes it"
    );
    let mut caller = Caller::connect(place.address)?;
    let server = caller.identity(place.address)?;
    let queues = caller.queues(topic, count)?;
    load.queues = count;
    load.connections = u32::try_from(connections(queues.len(), arguments.connections as usize))?;
    let in_flight = count / load.connections;
    let ages = Arc::new(Mutex::new(Ages::default()));
    let mut lines = Lines::new(arguments.tool.every);
    let mut listener = |now_ns, _| {
        let ages = *ages.lock().unwrap_or_else(PoisonError::into_inner);
        tell(out, lines.consumer(now_ns, ages));
    };
    let beside = Beside {
        listener: Some(&mut listener),
        ..Beside::default()
    };
    let measured = measure(&load, in_flight, place.address, beside, |_, _| {
        let ages = ages.clone();
        let heard = move |new| *ages.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Follow::new(load.header.codec(), &arguments.group, &queues, Since::Born, heard)
    })?;
    let detail = format!("long polls of {topic} by group {}", arguments.group);
    let made = Load::new("consumer", &load, in_flight, detail);
    Ok(Report::new(made, load.pid, server, measured))
}

fn tell(out: &mut dyn Write, line: Option<String>) {
    if let Some(line) = line {
        // who closed the output is not interested any more
        let _ = writeln!(out, "{line}");
    }
}
