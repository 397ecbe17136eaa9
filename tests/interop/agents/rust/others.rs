//! Consumers that do not push: one that polls, a stream, and one that is called for each queue.

use std::time::Duration;

use cuemq_client::consumer::{ConsumeFromWhere, PullScheduleService, PullTask};
use cuemq_client::{Error, LitePullConsumer, MessageStream, PullConsumer, PushConsumer};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::consumers::arrived;
use crate::form::Form;
use crate::{Agent, Outcome, Running};

/// How long a poll waits, and how long after a call for a queue the next one comes.
const TURN: Duration = Duration::from_millis(50);

/// One that runs in a task of its own, until it is told to stop.
pub(crate) struct Other {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

impl Other {
    fn run<F>(run: impl FnOnce(oneshot::Receiver<()>) -> F) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        Self {
            stop,
            task: tokio::spawn(run(stopped)),
        }
    }

    pub(crate) async fn shutdown(self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        drop(self.stop);
        Ok(self.task.await??)
    }
}

impl Agent {
    /// Starts one of the kinds that ../desk.py names.
    pub(crate) async fn start_other(&mut self, kind: &str, command: &Form) -> Outcome {
        let (name, group) = (command.text("name"), command.text("group"));
        let (topic, tags) = (command.text("topics"), command.text("tags"));
        let (options, from) = (self.options(&name)?, ConsumeFromWhere::FirstOffset);
        let namespace = command.text("namespace");
        let who = name.clone();
        let running = match kind {
            "lite" => {
                let builder = LitePullConsumer::builder(group)
                    .client_options(options)
                    .namespace(&namespace);
                let builder = builder.consume_from_where(from).subscribe(topic, tags.as_str());
                let consumer = builder.poll_timeout(TURN).start().await?;
                Other::run(|stopped| poll(consumer, who, stopped))
            }
            "stream" => {
                let builder = PushConsumer::builder(group)
                    .client_options(options)
                    .namespace(&namespace);
                let builder = builder.consume_from_where(from).subscribe(topic, tags.as_str());
                let messages = builder.start_stream().await?;
                Other::run(|stopped| stream(messages, who, stopped))
            }
            "scheduled" => {
                let builder = PullConsumer::builder(group)
                    .client_options(options)
                    .namespace(&namespace);
                let service = builder.schedule(topic, move |task| called(task, who.clone())).await?;
                Other::run(|stopped| called_until(service, stopped))
            }
            other => return Err(format!("unknown kind {other}").into()),
        };
        self.running.insert(name, Running::Other(running));
        Ok(Form::default())
    }
}

async fn poll(consumer: LitePullConsumer, name: String, mut stopped: oneshot::Receiver<()>) -> Result<(), Error> {
    while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
        for message in consumer.poll().await {
            arrived(&name, &message);
        }
    }
    consumer.shutdown().await
}

async fn stream(mut messages: MessageStream, name: String, mut stopped: oneshot::Receiver<()>) -> Result<(), Error> {
    loop {
        tokio::select! {
            delivery = messages.recv() => match delivery {
                Some(delivery) => {
                    arrived(&name, delivery.message());
                    delivery.ack();
                }
                None => break,
            },
            _ = &mut stopped => break,
        }
    }
    messages.shutdown().await
}

/// One call for a queue: tells what is there and notes how far that is. What fails is tried at the next call.
async fn called(task: PullTask, name: String) -> Duration {
    let (consumer, queue) = (task.consumer(), task.queue());
    let pull = async {
        let next = consumer.fetch_consume_offset(queue).await?.unwrap_or_default();
        let pulled = consumer.pull(queue, "*", next, 32).await?;
        for message in &pulled.messages {
            arrived(&name, message);
        }
        consumer.update_consume_offset(queue, pulled.next_begin_offset);
        Ok::<_, Error>(())
    };
    if let Err(error) = pull.await {
        eprintln!("a call for {queue:?}: {error}");
    }
    TURN
}

async fn called_until(service: PullScheduleService, stopped: oneshot::Receiver<()>) -> Result<(), Error> {
    let _ = stopped.await;
    service.shutdown().await
}
