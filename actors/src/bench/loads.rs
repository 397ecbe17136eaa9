//! The loads that are measured, each from its flags to its report.

use anyhow::{Result, ensure};
use cuemq_storage::entropy::{Entropy, SeededEntropy};

use super::arguments::{Client, LatencyArguments, PullArguments, SendArguments};
use super::ask::{self, Caller};
use super::consumer::Consumer;
use super::follow::{Follow, Since};
use super::measure::{Beside, measure};
use super::ours;
use super::pull::{self, Pulls};
use super::report::{Load, Report};
use super::send::{Message, Sends};

/// Messages a second of `latency` unless it is told otherwise.
const RATE: u64 = 1000;

/// Sends messages.
pub(super) fn send(arguments: &SendArguments) -> Result<Report> {
    let SendArguments { load, in_flight, .. } = arguments;
    if load.client == Client::Ours {
        return ours::send(arguments);
    }
    let address = ask::broker(load)?;
    let mut caller = Caller::connect(address)?;
    let server = caller.identity(address)?;
    let message = Message {
        codec: load.header.codec(),
        body_bytes: arguments.body as usize,
        wait: arguments.wait,
        tag: arguments.tag.clone(),
        keys: arguments.keys,
        stamped: false,
    };
    let topics = load.topic_names();
    let run = SeededEntropy::from_system()?.next_u64();
    caller.make_topics(&message, &topics, load.queues, run)?;
    let measured = measure(load, *in_flight, address, Beside::default(), |thread, _| {
        let number = thread as u64 + 1;
        let sends = Sends::new(&message, &topics, load.queues, run.wrapping_add(number))?;
        Ok(sends.starting_at(thread * topics.len() * load.queues as usize / load.threads as usize))
    })?;
    let mut detail = format!("bodies of {} bytes", arguments.body);
    if !arguments.wait {
        detail.push_str(" that need not be waited for");
    }
    if let Some(tag) = &arguments.tag {
        detail.push_str(&format!(", tag {tag}"));
    }
    if arguments.keys {
        detail.push_str(", a key each");
    }
    let made = Load::new("send", load, *in_flight, detail);
    Ok(Report::new(made, load.pid, server, measured))
}

/// Pulls what is stored.
pub(super) fn pull(arguments: &PullArguments) -> Result<Report> {
    let PullArguments { load, in_flight, .. } = arguments;
    if load.client == Client::Ours {
        return ours::pull(arguments);
    }
    let address = ask::broker(load)?;
    let mut caller = Caller::connect(address)?;
    let server = caller.identity(address)?;
    let mut queues = Vec::new();
    for topic in load.topic_names() {
        queues.extend(caller.queues(&topic, load.queues)?);
    }
    queues.retain(|queue| queue.max > queue.min);
    ensure!(
        !queues.is_empty(),
        "no messages are stored in the topics {}-*: send some first by `cuemq bench send`",
        load.topic_prefix
    );
    let max_messages = arguments.max_messages;
    let measured = measure(load, *in_flight, address, Beside::default(), |thread, readers| {
        let first = thread * queues.len() / load.threads as usize;
        Pulls::new(
            load.header.codec(),
            max_messages,
            &queues,
            readers,
            first,
            arguments.verify,
        )
    })?;
    let verified = if arguments.verify { ", checksums compared" } else { "" };
    let detail = format!("up to {max_messages} messages a pull{verified}");
    let made = Load::new("pull", load, *in_flight, detail);
    Ok(Report::new(made, load.pid, server, measured))
}

/// Sends at a rate and receives, each message timed from when it was due.
pub(super) fn latency(arguments: &LatencyArguments) -> Result<Report> {
    let mut load = arguments.load.clone();
    load.rate = Some(load.rate.unwrap_or(RATE));
    ensure!(
        load.threads == 1,
        "sends and receipts are timed by one thread: leave --threads out"
    );
    if load.client == Client::Ours {
        return ours::latency(arguments, &load);
    }
    let address = ask::broker(&load)?;
    let mut caller = Caller::connect(address)?;
    let server = caller.identity(address)?;
    let message = Message {
        codec: load.header.codec(),
        body_bytes: arguments.body as usize,
        wait: true,
        tag: None,
        keys: false,
        stamped: true,
    };
    let topics = load.topic_names();
    let run = SeededEntropy::from_system()?.next_u64();
    caller.make_topics(&message, &topics, load.queues, run)?;
    let run = run.wrapping_add(1);
    let mut queues = Vec::new();
    for topic in &topics {
        queues.extend(caller.queues(topic, load.queues)?);
    }
    let follow = Follow::new(load.header.codec(), pull::GROUP, &queues, Since::Due { run }, |_| ())?;
    let beside = Beside {
        consumer: Some(Consumer::connect(address, queues.len(), arguments.consumers, follow)?),
        ..Beside::default()
    };
    let measured = measure(&load, arguments.in_flight, address, beside, |_, _| {
        Sends::new(&message, &topics, load.queues, run)
    })?;
    let detail = format!("bodies of {} bytes from send to receipt by long polls", arguments.body);
    let made = Load::new("latency", &load, arguments.in_flight, detail);
    Ok(Report::new(made, load.pid, server, measured))
}
