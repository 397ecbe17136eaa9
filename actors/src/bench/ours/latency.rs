//! From when a send was due to when the listener of a push consumer had the message.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use cuemq_client::{Client, Consumed, Message, Producer, PushConsumer, ReceivedMessage};
use cuemq_storage::clock::RealClock;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::Stage;
use super::count::Count;
use crate::bench::arguments::{LatencyArguments, LoadArguments};
use crate::bench::engine::{DRAIN, Window, now_ns};
use crate::bench::follow::Receipts;
use crate::bench::measure::{Run, measure_alone};
use crate::bench::pace::Pace;
use crate::bench::report::{Load, Report};
use crate::bench::stamp;

/// What the listener and the load share, once the load has begun.
struct Shared {
    receipts: Receipts,
    begun: Option<(RealClock, Window)>,
    run: u64,
}

type Heard = Arc<Mutex<Shared>>;

impl Shared {
    fn take(&mut self, messages: &[ReceivedMessage]) {
        let Some((clock, window)) = &self.begun else { return };
        let now = now_ns(clock);
        for message in messages {
            let due = stamp::read(message.body(), self.run);
            if let Some(due) = due.filter(|due| (window.from_ns..window.until_ns).contains(due)) {
                self.receipts.latencies.saturating_record(now.saturating_sub(due));
            }
        }
    }
}

fn locked(heard: &Heard) -> std::sync::MutexGuard<'_, Shared> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends at a rate and receives, each message timed from when it was due.
pub(in crate::bench) fn latency(arguments: &LatencyArguments, load: &LoadArguments) -> Result<Report> {
    let mut stage = Stage::new(load)?;
    stage.make_topics(load, arguments.body)?;
    let Stage {
        runtime,
        server,
        namesrv,
        run: number,
        ..
    } = stage;
    let heard: Heard = Arc::new(Mutex::new(Shared {
        receipts: Receipts::new()?,
        begun: None,
        run: number,
    }));
    let (producer, client, consumer) = runtime.block_on(async {
        let producer = Stage::producer(load, &namesrv, 0).await?;
        let client = Stage::client(&namesrv).await?;
        let consumer = consumer(&client, load, &heard, number).await?;
        anyhow::Ok((producer, client, consumer))
    })?;
    let measured = measure_alone(load, |run| {
        let count = Count::new(run, true)?;
        locked(&heard).begun = Some((*run.clock, run.window));
        runtime.block_on(async {
            sends(&producer, arguments, load, &count, run, number).await;
            let all_came = async {
                while locked(&heard).receipts.latencies.len() < count.successes() {
                    tokio::task::yield_now().await;
                }
            };
            // what did not come by then is told as missing
            let _ = tokio::time::timeout(DRAIN, all_came).await;
            consumer.shutdown().await.context("the consumer's end")?;
            producer.shutdown().await;
            for client in [&client, producer.client()] {
                client.shutdown().await;
            }
            anyhow::Ok(())
        })?;
        let receipts = locked(&heard).receipts.clone();
        Ok((count.finish(), Some(receipts)))
    })?;
    let detail = format!(
        "bodies of {} bytes from send to a push consumer's listener by the client library",
        arguments.body
    );
    let made = Load::new("latency", load, arguments.in_flight, detail);
    Ok(Report::new(made, load.pid, server, measured))
}

async fn consumer(client: &Client, load: &LoadArguments, heard: &Heard, number: u64) -> Result<PushConsumer> {
    let heard = Arc::clone(heard);
    let listener = move |messages: Vec<ReceivedMessage>| {
        locked(&heard).take(&messages);
        std::future::ready(Consumed::Success)
    };
    let mut builder = PushConsumer::builder(format!("cuemq-bench-consumer-{number:016x}")).client(client);
    for topic in load.topic_names() {
        builder = builder.subscribe(topic, "*");
    }
    Ok(builder.start(listener).await?)
}

async fn sends(
    producer: &Producer,
    arguments: &LatencyArguments,
    load: &LoadArguments,
    count: &Count<'_>,
    run: Run<'_>,
    number: u64,
) {
    let topics = load.topic_names();
    let body = super::body(arguments.body as usize);
    let one = async |due: u64, message: Message| {
        let sent = producer.send(message).await;
        count.ended(due, sent.map(|_| (1, u64::from(arguments.body))));
    };
    let mut pace = Pace::new(run.window.start_ns, load.rate.unwrap_or(1));
    let mut sending = FuturesUnordered::new();
    let mut topic = topics.iter().cycle();
    while !count.is_over() {
        let now = count.now_ns();
        while let Some(due) = pace.due(now) {
            if sending.len() >= arguments.in_flight as usize {
                pace.note_backlog(now);
                break;
            }
            pace.issue();
            let mut stamped = body.clone();
            stamp::write(&mut stamped, number, due);
            let topic = topic.next().map_or("", String::as_str);
            sending.push(one(due, Message::new(topic, Bytes::from(stamped))));
        }
        // waits actively for the next that is due, as the raw load does: the system wakes a thread late
        tokio::select! {
            biased;
            Some(()) = sending.next() => {}
            () = tokio::task::yield_now() => {}
        }
    }
    while sending.next().await.is_some() {}
    count.backlog(pace.longest_backlog());
}
