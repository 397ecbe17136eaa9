//! Stored messages, read by a pull consumer round and round as the raw load does, or by the listener of a push consumer of
//! a new group, which reads each queue once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cuemq_client::consumer::{ConsumeFromWhere, PullStatus};
use cuemq_client::{Client, Consumed, PullConsumer, PushConsumer, ReceivedMessage};
use cuemq_net::body::MessageQueue;
use futures_util::future::join_all;

use super::Stage;
use super::count::Count;
use crate::bench::arguments::PullArguments;
use crate::bench::measure::measure_alone;
use crate::bench::pull::Queue;
use crate::bench::report::{Load, Report};

/// How often a load by a listener looks at what came.
const LOOK: Duration = Duration::from_millis(1);

/// A queue that is read round and round.
struct Round {
    queue: MessageQueue,
    range: std::ops::Range<i64>,
}

/// Pulls what is stored.
pub(in crate::bench) fn pull(arguments: &PullArguments) -> Result<Report> {
    let load = &arguments.load;
    ensure!(
        load.rate.is_none(),
        "pulls of the client library are a closed loop: leave --rate out"
    );
    ensure!(
        !arguments.verify,
        "the client library compares no checksums: leave --verify out"
    );
    let mut stage = Stage::new(load)?;
    let mut queues = Vec::new();
    for topic in load.topic_names() {
        queues.extend(stage.caller.queues(&topic, load.queues)?);
    }
    queues.retain(|queue| queue.max > queue.min);
    ensure!(
        !queues.is_empty(),
        "no messages are stored in the topics {}-*: send some first by `cuemq bench send`",
        load.topic_prefix
    );
    let Stage {
        runtime,
        server,
        namesrv,
        run,
        ..
    } = stage;
    let client = runtime.block_on(Stage::client(&namesrv))?;
    let group = format!("cuemq-bench-consumer-{run:016x}");
    let measured = measure_alone(load, |run| {
        let count = Count::new(run, false)?;
        runtime.block_on(async {
            let read = if arguments.push {
                let all = queues.iter().map(|queue| queue.max - queue.min).sum();
                listen(&client, &group, arguments, &count, all).await
            } else {
                rounds(&client, &group, arguments, &count, &queues).await
            };
            client.shutdown().await;
            read
        })?;
        Ok((count.finish(), None))
    })?;
    let by = if arguments.push {
        "a push consumer's listener"
    } else {
        "pull consumers"
    };
    let detail = format!(
        "up to {} messages a pull by {by} of the client library",
        arguments.max_messages
    );
    let made = Load::new("pull", load, arguments.in_flight, detail);
    Ok(Report::new(made, load.pid, server, measured))
}

async fn rounds(
    client: &Client,
    group: &str,
    arguments: &PullArguments,
    count: &Count<'_>,
    queues: &[Queue],
) -> Result<()> {
    let consumer = PullConsumer::builder(group).client(client).start().await?;
    let mut rounds = Vec::new();
    for topic in arguments.load.topic_names() {
        for queue in consumer.fetch_subscribe_message_queues(&topic).await? {
            let mut known = queues.iter();
            let known = known.find(|known| known.topic == queue.topic && known.queue_id == queue.queue_id);
            let Some(known) = known else { continue };
            let range = i64::try_from(known.min)?..i64::try_from(known.max)?;
            rounds.push(Round { queue, range });
        }
    }
    ensure!(!rounds.is_empty(), "the name server tells of no queue to read");
    let readers = (arguments.load.connections * arguments.in_flight) as usize;
    let max_messages = arguments.max_messages as usize;
    join_all((0..readers).map(|first| reader(&consumer, &rounds, first, max_messages, count))).await;
    consumer.shutdown().await.context("the consumer's end")
}

/// Reads one queue after the other.
async fn reader(consumer: &PullConsumer, rounds: &[Round], first: usize, max_messages: usize, count: &Count<'_>) {
    for Round { queue, range } in rounds.iter().cycle().skip(first % rounds.len()) {
        let mut next = range.start;
        while next < range.end {
            if count.is_over() {
                return;
            }
            let begun = count.now_ns();
            let pulled = consumer.pull(queue, "*", next, max_messages).await;
            let is_found = pulled.as_ref().is_ok_and(|pulled| pulled.status == PullStatus::Found);
            next = pulled.as_ref().map_or(next, |pulled| pulled.next_begin_offset);
            count.ended(begun, pulled.map(|pulled| weight(&pulled.messages)));
            if !is_found {
                break;
            }
        }
    }
}

fn weight(messages: &[ReceivedMessage]) -> (u64, u64) {
    let bytes = messages.iter().map(|message| message.stored_bytes() as u64).sum();
    (messages.len() as u64, bytes)
}

async fn listen(client: &Client, group: &str, arguments: &PullArguments, count: &Count<'_>, all: u64) -> Result<()> {
    let received = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let max_messages = arguments.max_messages as usize;
    let mut builder = PushConsumer::builder(group)
        .client(client)
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .pull_batch_size(max_messages)
        .consume_message_batch_max_size(max_messages);
    for topic in arguments.load.topic_names() {
        builder = builder.subscribe(topic, "*");
    }
    let heard = Arc::clone(&received);
    let listener = move |messages: Vec<ReceivedMessage>| {
        let (many, bytes) = weight(&messages);
        heard.0.fetch_add(many, Ordering::Relaxed);
        heard.1.fetch_add(bytes, Ordering::Relaxed);
        std::future::ready(Consumed::Success)
    };
    let consumer = builder.start(listener).await?;
    let mut seen = (0, 0);
    while !count.is_over() {
        tokio::time::sleep(LOOK).await;
        let now = (received.0.load(Ordering::Relaxed), received.1.load(Ordering::Relaxed));
        if now.0 > seen.0 {
            count.ended(count.now_ns(), Ok((now.0 - seen.0, now.1 - seen.1)));
            seen = now;
        }
        if seen.0 >= all {
            break;
        }
    }
    consumer.shutdown().await?;
    ensure!(
        seen.0 < all,
        "all {all} messages were read before the time was over: send more first, or measure for a shorter time"
    );
    Ok(())
}
