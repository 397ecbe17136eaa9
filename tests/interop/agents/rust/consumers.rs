//! What the agent consumes, and how it tells of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cuemq_client::consumer::{ConsumeFromWhere, MessageModel, PullStatus};
use cuemq_client::{
    Consumed, ConsumedInOrder, Message, MessageSelector, Producer, PullConsumer, PushConsumer, ReceivedMessage,
};

use crate::form::Form;
use crate::{Agent, Failure, Outcome, Running};

/// What a listener does with what it gets.
#[derive(Clone)]
struct Way {
    consumer: String,
    slow: Duration,
    refuse: Option<String>,
    left: Arc<AtomicI64>,
    /// Who answers each message.
    replier: Option<Producer>,
}

impl Way {
    /// Tells of messages; whether they are to come again.
    async fn take(&self, messages: &[ReceivedMessage]) -> bool {
        for message in messages {
            tokio::time::sleep(self.slow).await;
            arrived(&self.consumer, message);
            if let Some(replier) = &self.replier {
                reply(replier, message).await;
            }
            let is_refused = self.refuse.is_some() && message.tags() == self.refuse.as_deref();
            if is_refused && self.left.fetch_sub(1, Ordering::Relaxed) > 0 {
                return true;
            }
        }
        false
    }
}

/// Answers a message with `re: ` and its body.
async fn reply(replier: &Producer, message: &ReceivedMessage) {
    let sent = async {
        let reply = Message::reply_to(message, [b"re: ", &message.body()[..]].concat())?;
        replier.send(reply).await
    };
    if let Err(error) = sent.await {
        eprintln!("a reply to {}: {error}", message.message_id());
    }
}

/// Tells of a message that came.
pub(crate) fn arrived(consumer: &str, message: &ReceivedMessage) {
    let mut line = Form::default()
        .with("got", consumer)
        .with("topic", message.topic())
        .with("tags", message.tags().unwrap_or_default())
        .with("keys", message.property("KEYS").unwrap_or_default())
        .with_bytes("body", message.body())
        .with("queue", message.queue().queue_id)
        .with("offset", message.queue_offset())
        .with("stored", message.stored_bytes())
        .with("times", message.reconsume_times())
        .with("at", message.store_timestamp_ms());
    for (name, value) in message.properties().iter() {
        line = line.with(&format!("p.{name}"), value);
    }
    line.print("got");
}

impl Agent {
    pub(crate) async fn start_consumer(&mut self, command: &Form) -> Outcome {
        let name = command.text("name");
        let mut builder = PushConsumer::builder(command.text("group"))
            .client_options(self.options(&name)?)
            .namespace(&command.text("namespace"))
            .consume_from_where(ConsumeFromWhere::FirstOffset);
        if command.get("broadcast").is_some() {
            let offsets = std::env::temp_dir().join(format!("agent-rust-{}", std::process::id()));
            builder = builder
                .message_model(MessageModel::Broadcasting)
                .local_offset_store_dir(offsets);
        }
        if let Some(retries) = command
            .number("retries")
            .and_then(|retries| i32::try_from(retries).ok())
        {
            builder = builder.max_reconsume_times(Some(retries));
        }
        for topic in command.text("topics").split(',') {
            let selector = match command.get("sql") {
                Some(sql) => MessageSelector::by_sql(sql),
                None => MessageSelector::from(command.get("tags").unwrap_or("*")),
            };
            builder = builder.subscribe(topic, selector);
        }
        let replier = self.replier(command).await?;
        let way = Way {
            consumer: name.clone(),
            slow: Duration::from_millis(command.number("slow").unwrap_or_default().unsigned_abs()),
            refuse: command.get("refuse").map(str::to_owned),
            left: Arc::new(AtomicI64::new(command.number("count").unwrap_or_default())),
            replier: replier.clone(),
        };
        let again = match command.number("level").and_then(|level| i32::try_from(level).ok()) {
            Some(level) => Consumed::LaterAt(level),
            None => Consumed::Later,
        };
        let consumer = if command.get("ordered").is_some() {
            let listener = move |messages: Vec<ReceivedMessage>| {
                let way = way.clone();
                async move {
                    match way.take(&messages).await {
                        true => ConsumedInOrder::Suspend(None),
                        false => ConsumedInOrder::Success,
                    }
                }
            };
            builder.start_orderly(listener).await?
        } else {
            let listener = move |messages: Vec<ReceivedMessage>| {
                let way = way.clone();
                async move {
                    if way.take(&messages).await {
                        again
                    } else {
                        Consumed::Success
                    }
                }
            };
            builder.start(listener).await?
        };
        let running = match replier {
            Some(replier) => Running::Replying(consumer, replier),
            None => Running::Consumer(consumer),
        };
        self.running.insert(name, running);
        Ok(Form::default())
    }

    /// Starts the producer by which a consumer answers, where it does.
    async fn replier(&self, command: &Form) -> Result<Option<Producer>, Failure> {
        let Some(group) = command.get("replies") else {
            return Ok(None);
        };
        let builder = Producer::builder(group).client_options(self.options(group)?);
        let builder = builder.namespace(&command.text("namespace"));
        Ok(Some(builder.start().await?))
    }

    /// Brings all that the queues of a topic hold.
    pub(crate) async fn pull(&mut self, topic: &str) -> Outcome {
        self.pulls += 1;
        let group = format!("readers-{}-{}", self.name, self.pulls);
        let consumer = PullConsumer::builder(&group)
            .client_options(self.options(&group)?)
            .start()
            .await?;
        for queue in consumer.fetch_subscribe_message_queues(topic).await? {
            let mut next = consumer.admin().min_offset(&queue).await?;
            let end = consumer.admin().max_offset(&queue).await?;
            while next < end {
                let pulled = consumer.pull(&queue, "*", next, 32).await?;
                if pulled.status == PullStatus::OffsetIllegal {
                    return Err(format!("a pull of {queue:?} at {next} gave {pulled:?}").into());
                }
                for message in &pulled.messages {
                    arrived("pull", message);
                }
                next = pulled.next_begin_offset;
            }
        }
        consumer.shutdown().await?;
        Ok(Form::default())
    }
}
