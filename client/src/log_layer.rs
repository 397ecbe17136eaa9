//! Ships an application's events to a topic, as RocketMQ's log appenders do; behind the feature `log-layer`.
//!
//! An event becomes a message, `LEVEL target: text name=value …`, which is sent oneway. Logging never waits: when more is
//! logged than can be sent, events are dropped, and the next one that is sent says how many.

use std::fmt::{Debug, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::message::Message;
use crate::producer::Producer;

/// How many events wait to be sent.
const WAITING: usize = 1024;

/// A layer that ships events to a topic. The library's own are left out, since sending them would make more.
///
/// ```no_run
/// # async fn log(producer: cuemq_client::Producer) {
/// use cuemq_client::log_layer::TopicLayer;
/// use tracing_subscriber::prelude::*;
///
/// tracing_subscriber::registry().with(TopicLayer::new(&producer, "Logs").tags("shop")).init();
/// # }
/// ```
pub struct TopicLayer {
    events: mpsc::Sender<Message>,
    topic: String,
    tags: Option<String>,
    dropped: Arc<AtomicU64>,
}

impl TopicLayer {
    /// Ships by a producer, whose client's end is the end of it. Must be called in a tokio runtime.
    #[must_use]
    pub fn new(producer: &Producer, topic: impl Into<String>) -> Self {
        let (events, waiting) = mpsc::channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        producer
            .client()
            .spawn(ship(producer.clone(), waiting, Arc::clone(&dropped)));
        Self {
            events,
            topic: topic.into(),
            tags: None,
            dropped,
        }
    }

    /// Gives every message this tag.
    #[must_use]
    pub fn tags(mut self, tags: impl Into<String>) -> Self {
        self.tags = Some(tags.into());
        self
    }
}

async fn ship(producer: Producer, mut waiting: mpsc::Receiver<Message>, dropped: Arc<AtomicU64>) {
    while let Some(message) = waiting.recv().await {
        if producer.send_oneway(message).await.is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// An event's text.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // writing to a string does not fail
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

impl<S: Subscriber> Layer<S> for TopicLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let about = event.metadata();
        if ["cuemq_client", "cuemq_net"]
            .iter()
            .any(|own| about.target().starts_with(own))
        {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let mut line = format!("{} {}: {}{}", about.level(), about.target(), text.message, text.fields);
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let _ = write!(line, " ({dropped} events before it were dropped)");
        }
        let mut message = Message::new(&self.topic, line);
        if let Some(tags) = &self.tags {
            message = message.tags(tags);
        }
        if self.events.try_send(message).is_err() {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeNetwork, name_server, yes_to_all};
    use cuemq_net::code::RequestCode;
    use tracing_subscriber::prelude::*;

    #[tokio::test(start_paused = true)]
    async fn events_become_messages_and_the_librarys_own_do_not() {
        let network = FakeNetwork::default();
        network.serve("ns:9876", name_server("Logs", &["a"], 1));
        network.serve("a:10911", yes_to_all);
        let producer = Producer::builder("p")
            .client_options(network.options())
            .start()
            .await
            .unwrap();
        let layer = TopicLayer::new(&producer, "Logs").tags("shop");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(target: "shop::orders", order = 17, who = "Bob", "no book left");
            tracing::warn!(target: "cuemq_client::instance", "not this one");
            tracing::info!(target: "shop", "the last");
        });
        let mut watch = network.watch();
        let mut lines = Vec::new();
        while lines.len() < 2 {
            let (_, request) = watch.recv().await.unwrap();
            if request.code == RequestCode::SEND_MESSAGE_V2.0 {
                assert!(request.fields.get("i").unwrap().contains("TAGS\u{1}shop"));
                lines.push(String::from_utf8_lossy(&request.body).into_owned());
            }
        }
        assert_eq!(
            lines,
            [
                "WARN shop::orders: no book left order=17 who=\"Bob\"",
                "INFO shop: the last"
            ]
        );
        producer.shutdown().await;
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_can_be_sent_is_dropped_and_told() {
        let network = FakeNetwork::default();
        network.serve("ns:9876", name_server("Logs", &["a"], 1));
        network.serve("a:10911", yes_to_all);
        let producer = Producer::builder("p")
            .client_options(network.options())
            .start()
            .await
            .unwrap();
        let layer = TopicLayer::new(&producer, "Logs");
        let subscriber = tracing_subscriber::registry().with(layer);
        let guard = tracing::subscriber::set_default(subscriber);
        for _ in 0..WAITING + 5 {
            tracing::info!(target: "shop", "much");
        }
        let mut watch = network.watch();
        watch.recv().await.unwrap();
        tracing::info!(target: "shop", "later");
        loop {
            let (_, request) = watch.recv().await.unwrap();
            let line = String::from_utf8_lossy(&request.body).into_owned();
            if line.contains("later") {
                assert_eq!(line, "INFO shop: later (5 events before it were dropped)");
                break;
            }
        }
        drop(guard);
        producer.shutdown().await;
    }
}
