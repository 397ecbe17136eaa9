//! Sends by producers: each connection is a producer with a client of its own.

use anyhow::{Result, ensure};
use bytes::Bytes;
use cuemq_client::{Message, Producer};
use futures_util::future::join_all;

use super::Stage;
use super::count::Count;
use crate::bench::arguments::SendArguments;
use crate::bench::measure::measure_alone;
use crate::bench::report::{Load, Report};

struct Sends<'a> {
    topics: Vec<String>,
    body: Bytes,
    arguments: &'a SendArguments,
}

impl Sends<'_> {
    fn message(&self, number: usize) -> Message {
        let topic = &self.topics[number % self.topics.len()];
        let mut message = Message::new(topic.as_str(), self.body.clone());
        if let Some(tag) = &self.arguments.tag {
            message = message.tags(tag);
        }
        if self.arguments.keys {
            message = message.keys([format!("{number:016X}")]);
        }
        if self.arguments.wait {
            return message;
        }
        message.wait_store_msg_ok(false)
    }

    /// One send after the other.
    async fn sender(&self, producer: &Producer, count: &Count<'_>, first: usize) {
        for number in first.. {
            if count.is_over() {
                return;
            }
            let begun = count.now_ns();
            let sent = producer.send(self.message(number)).await;
            count.ended(begun, sent.map(|_| (1, self.body.len() as u64)));
        }
    }
}

/// Sends messages.
pub(in crate::bench) fn send(arguments: &SendArguments) -> Result<Report> {
    let load = &arguments.load;
    ensure!(
        load.rate.is_none(),
        "sends of the client library are a closed loop: leave --rate out"
    );
    let mut stage = Stage::new(load)?;
    stage.make_topics(load, arguments.body)?;
    let sends = Sends {
        topics: load.topic_names(),
        body: super::body(arguments.body as usize).into(),
        arguments,
    };
    let Stage {
        runtime,
        server,
        namesrv,
        ..
    } = stage;
    let producers = runtime.block_on(async {
        let mut producers = Vec::new();
        for number in 0..load.connections {
            producers.push(Stage::producer(load, &namesrv, number).await?);
        }
        anyhow::Ok(producers)
    })?;
    let measured = measure_alone(load, |run| {
        let count = Count::new(run, false)?;
        runtime.block_on(async {
            let senders = producers.iter().enumerate().flat_map(|(connection, producer)| {
                let (sends, count) = (&sends, &count);
                (0..arguments.in_flight as usize).map(move |slot| sends.sender(producer, count, connection + slot))
            });
            join_all(senders).await;
            for producer in &producers {
                producer.shutdown().await;
                producer.client().shutdown().await;
            }
        });
        Ok((count.finish(), None))
    })?;
    let detail = format!("bodies of {} bytes by the client library", arguments.body);
    let made = Load::new("send", load, arguments.in_flight, detail);
    Ok(Report::new(made, load.pid, server, measured))
}
