//! Our own client doing what ../desk.py tells it: agent NAMESRV NAME. It answers each command, and tells what arrives.
//! `CUEMQ_ACL=key:secret` has it sign its requests, for a broker that lets in nobody else; `CUEMQ_TLS=FOLDER` has it speak TLS,
//! with the authority and the certificate that `cuemq tls init` wrote there.

mod consumers;
mod form;
mod others;
#[cfg(feature = "tls")]
mod with_tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cuemq_client::producer::{ListenerError, by_hash};
use cuemq_client::{
    AclRequestHook, ClientOptions, Error, LocalTransactionState, Message, Producer, PushConsumer, ReceivedMessage,
    SendResult, TransactionListener, TransactionProducer,
};
use form::Form;

const ABILITIES: &str = "sync async oneway batch large compresses pull push tags keys properties nul creates-topics obeys \
                         delays refuses refuses-one retries orders broadcasts broadcasts-in-order transactions filters polls streams \
                         schedules reads-unfolded namespaces requests";

/// How long a request waits for its reply.
const REPLY_TIME: Duration = Duration::from_secs(20);

/// What runs under a name.
enum Running {
    Producer(Producer),
    Transactor(TransactionProducer),
    Consumer(PushConsumer),
    Replying(PushConsumer, Producer),
    Other(others::Other),
}

struct Agent {
    namesrv: String,
    name: String,
    running: BTreeMap<String, Running>,
    pulls: usize,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome = Result<Form, Failure>;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "standard input blocks")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut agent = Agent {
        namesrv: arguments.next().unwrap_or_default(),
        name: arguments.next().unwrap_or_default(),
        running: BTreeMap::new(),
        pulls: 0,
    };
    Form::default().with("can", ABILITIES).print("can");
    let (commands, mut told) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if commands.send(Form::of(&line)).is_err() {
                return;
            }
        }
    });
    while let Some(command) = told.recv().await {
        if let Some(outcome) = agent.work(&command).await {
            answer(&command, outcome);
        }
    }
}

/// What failed, and what the client's error says to do next.
fn failed(failure: Failure) -> Form {
    let line = Form::default().with("error", &failure);
    match failure.downcast_ref::<Error>() {
        Some(Error::Retry(_)) => line.with("next", "retry"),
        Some(Error::Fix(_)) => line.with("next", "fix"),
        Some(Error::GiveUp(_)) => line.with("next", "give-up"),
        _ => line,
    }
}

/// Prints what came of a command.
fn answer(command: &Form, outcome: Outcome) {
    let line = outcome.unwrap_or_else(failed);
    line.with("call", command.text("call")).print("call");
}

fn told(result: &SendResult) -> Form {
    let line = Form::default()
        .with("id", &result.msg_id)
        .with("queue", result.queue.queue_id);
    line.with("offset", result.queue_offset)
}

fn message(topic: &str, form: &Form) -> Message {
    let mut message = Message::new(topic, form.body());
    if let Some(tags) = form.get("tags") {
        message = message.tags(tags);
    }
    if let Some(keys) = form.get("keys") {
        message = message.keys(keys.split(' '));
    }
    if let Some(level) = form.number("level").and_then(|level| u32::try_from(level).ok()) {
        message = message.delay_time_level(level);
    }
    for (name, value) in form.under("p.").members() {
        message = message.property(name, value);
    }
    message
}

impl Agent {
    fn options(&self, of: &str) -> Result<ClientOptions, Failure> {
        let options = ClientOptions::new().namesrv_addr(&self.namesrv);
        let mut options = options.instance_name(format!("{}-{of}", self.name));
        if let Some(folder) = std::env::var_os("CUEMQ_TLS") {
            #[cfg(feature = "tls")]
            {
                options = with_tls::over_tls(options, folder.as_ref())?;
            }
            #[cfg(not(feature = "tls"))]
            return Err(format!("built without the feature tls, and CUEMQ_TLS is {}", folder.display()).into());
        }
        let keys = std::env::var("CUEMQ_ACL").unwrap_or_default();
        if let Some((access, secret)) = keys.split_once(':') {
            options = options.request_hook(Arc::new(AclRequestHook::new(access, secret)));
        }
        Ok(options)
    }

    /// Does what a command says; what is answered later gives nothing.
    async fn work(&mut self, command: &Form) -> Option<Outcome> {
        Some(match command.text("do").as_str() {
            "producer" => self.start_producer(command).await,
            "transactor" => self.start_transactor(command).await,
            "consumer" => match command.get("kind") {
                Some(kind) => self.start_other(kind, command).await,
                None => self.start_consumer(command).await,
            },
            "send" => return self.send(command).await,
            "batch" => self.batch(command).await,
            "request" => self.request(command).await,
            "pull" => self.pull(&command.text("topic")).await,
            "stop" => self.stop(&command.text("name")).await,
            other => Err(format!("unknown command {other}").into()),
        })
    }

    fn builder(&self, command: &Form) -> Result<cuemq_client::producer::ProducerBuilder, Failure> {
        let builder = Producer::builder(command.text("group"))
            .client_options(self.options(&command.text("name"))?)
            .namespace(&command.text("namespace"));
        let queues = command
            .number("queues")
            .and_then(|queues| u32::try_from(queues).ok())
            .unwrap_or(4);
        Ok(builder
            .default_topic_queue_nums(queues)
            .send_msg_timeout(Duration::from_secs(10)))
    }

    async fn start_producer(&mut self, command: &Form) -> Outcome {
        let producer = self.builder(command)?.start().await?;
        self.running.insert(command.text("name"), Running::Producer(producer));
        Ok(Form::default())
    }

    async fn start_transactor(&mut self, command: &Form) -> Outcome {
        let said = Said(command.text("name"));
        let producer = self.builder(command)?.start_transactional(said).await?;
        self.running.insert(command.text("name"), Running::Transactor(producer));
        Ok(Form::default())
    }

    fn producer(&self, command: &Form) -> Result<Producer, String> {
        match self.running.get(&command.text("by")) {
            Some(Running::Producer(producer)) => Ok(producer.clone()),
            Some(Running::Transactor(producer)) => Ok(producer.producer().clone()),
            _ => Err(format!("no producer {}", command.text("by"))),
        }
    }

    async fn send(&self, command: &Form) -> Option<Outcome> {
        let message = message(&command.text("topic"), command);
        if command.text("mode") == "transaction" {
            return Some(self.send_in_transaction(command, message).await);
        }
        let producer = match self.producer(command) {
            Ok(producer) => producer,
            Err(error) => return Some(Err(error.into())),
        };
        let outcome = match command.text("mode").as_str() {
            "oneway" => producer.send_oneway(message).await.map(|()| Form::default()),
            "async" => {
                let pending = match producer.send_async(message).await {
                    Ok(pending) => pending,
                    Err(error) => return Some(Err(error.into())),
                };
                let command = command.clone();
                tokio::spawn(
                    async move { answer(&command, pending.await.map(|sent| told(&sent)).map_err(Into::into)) },
                );
                return None;
            }
            _ => sync(&producer, message, command.get("lane"))
                .await
                .map(|sent| told(&sent)),
        };
        Some(outcome.map_err(Into::into))
    }

    /// Leaves out where the half message is stored: the message is stored elsewhere when it is committed.
    async fn send_in_transaction(&self, command: &Form, message: Message) -> Outcome {
        let Some(Running::Transactor(producer)) = self.running.get(&command.text("by")) else {
            return Err("no producer of transactions".into());
        };
        let result = producer.send_in_transaction(message).await?;
        Ok(Form::default().with("id", result.sent.msg_id))
    }

    async fn batch(&self, command: &Form) -> Outcome {
        let topic = command.text("topic");
        let count = command.number("count").unwrap_or_default();
        let messages: Vec<_> = (0..count)
            .map(|at| message(&topic, &command.under(&format!("{at}."))))
            .collect();
        Ok(told(&self.producer(command)?.send_batch(&messages).await?))
    }

    async fn request(&self, command: &Form) -> Outcome {
        let message = message(&command.text("topic"), command);
        let reply = self.producer(command)?.request(message, REPLY_TIME).await?;
        Ok(Form::default().with_bytes("reply", reply.body()))
    }

    async fn stop(&mut self, name: &str) -> Outcome {
        match self.running.remove(name) {
            Some(Running::Producer(producer)) => producer.shutdown().await,
            Some(Running::Transactor(producer)) => producer.shutdown().await,
            Some(Running::Consumer(consumer)) => consumer.shutdown().await?,
            Some(Running::Replying(consumer, replier)) => {
                consumer.shutdown().await?;
                replier.shutdown().await;
            }
            Some(Running::Other(consumer)) => consumer.shutdown().await?,
            None => return Err(format!("nothing runs as {name}").into()),
        }
        Ok(Form::default())
    }
}

/// Messages with one lane go to one queue.
async fn sync(producer: &Producer, message: Message, lane: Option<&str>) -> Result<SendResult, Error> {
    match lane {
        Some(lane) => producer.send_by(message, |queues| by_hash(queues, lane)).await,
        None => producer.send(message).await,
    }
}

/// Listens for the producer of that name: a message's tag tells its outcome, what is said at once and what when asked.
struct Said(String);

fn outcome(tags: Option<&str>, time: usize) -> LocalTransactionState {
    match tags.and_then(|tags| tags.split('-').nth(time)) {
        Some("commit") => LocalTransactionState::Commit,
        Some("rollback") => LocalTransactionState::Rollback,
        _ => LocalTransactionState::Unknown,
    }
}

impl TransactionListener for Said {
    async fn execute(&self, message: &Message, _id: &str) -> Result<LocalTransactionState, ListenerError> {
        Ok(outcome(message.get("TAGS"), 0))
    }

    async fn check(&self, message: ReceivedMessage) -> Result<LocalTransactionState, ListenerError> {
        consumers::arrived(&self.0, &message);
        Ok(outcome(message.tags(), 1))
    }
}
