//! Messages in transactions are delivered when their local transaction commits, whoever says so and when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cuemq_actors::testing::TestBroker;
use cuemq_client::LocalTransactionState::{Commit, Rollback, Unknown};
use cuemq_client::producer::ListenerError;
use cuemq_client::{
    Error, LocalTransactionState, Message, Producer, ReceivedMessage, TransactionListener, TransactionProducer,
};
use tokio::sync::mpsc;

use crate::{bodies, options, stored};

/// Ends transactions as the messages' bodies say, and remembers who was checked.
struct AsTold {
    executed: Mutex<Vec<String>>,
    checked: mpsc::UnboundedSender<String>,
    checks: LocalTransactionState,
}

impl TransactionListener for AsTold {
    async fn execute(&self, message: &Message, id: &str) -> Result<LocalTransactionState, ListenerError> {
        self.executed.lock().unwrap().push(id.to_owned());
        match &message.body()[..] {
            b"commit" => Ok(Commit),
            b"roll back" => Ok(Rollback),
            b"fail" => Err("the bank is closed".into()),
            b"panic" => panic!("on purpose"),
            _ => Ok(Unknown),
        }
    }

    async fn check(&self, message: ReceivedMessage) -> Result<LocalTransactionState, ListenerError> {
        let _ = self.checked.send(message.message_id());
        assert_eq!(message.topic(), "Money");
        Ok(self.checks)
    }
}

async fn start(
    broker: &TestBroker,
    checks: LocalTransactionState,
) -> (TransactionProducer, mpsc::UnboundedReceiver<String>) {
    let (checked, told) = mpsc::unbounded_channel();
    let listener = AsTold {
        executed: Mutex::new(Vec::new()),
        checked,
        checks,
    };
    let builder = Producer::builder("bank")
        .client_options(options(broker))
        .topics(["Money"]);
    (builder.start_transactional(listener).await.unwrap(), told)
}

/// A broker that asks soon, and leaves time for the answer before it asks again.
async fn asking() -> TestBroker {
    asking_after(Duration::from_millis(50)).await
}

/// A broker that asks about what is open for so long; its topic has one queue.
async fn asking_after(timeout: Duration) -> TestBroker {
    let broker = TestBroker::builder().config(|config| {
        config.transactions.timeout = timeout;
        config.transactions.check_interval = Duration::from_millis(500);
        config.default_topic_queue_nums = 1;
    });
    let broker = broker.start().unwrap();
    let makes_it = crate::producer(&broker, "makes_it").await;
    makes_it.send(Message::new("Money", "first")).await.unwrap();
    makes_it.shutdown().await;
    broker
}

#[tokio::test]
async fn what_commits_is_delivered_and_what_rolls_back_is_not() {
    // on a machine that is busy an ending may take its time
    let broker = asking_after(crate::PATIENCE).await;
    let (producer, mut checked) = start(&broker, Unknown).await;
    for (body, expected) in [("roll back", Rollback), ("commit", Commit)] {
        let result = producer.send_in_transaction(Message::new("Money", body)).await.unwrap();
        assert_eq!(result.state, expected);
    }
    producer.producer().send(Message::new("Money", "plain")).await.unwrap();
    let records = stored(&broker, "Money", 0, 3).await;
    let mut came = bodies(&records);
    came.sort_unstable();
    assert_eq!(came, ["commit", "first", "plain"]);
    assert!(checked.try_recv().is_err(), "both were decided");
    let delayed = producer
        .send_in_transaction(Message::new("Money", "b").delay_time_level(1))
        .await;
    assert!(matches!(delayed, Err(Error::Fix(_))));
    producer.shutdown().await;
}

#[tokio::test]
async fn an_error_or_a_panic_leaves_it_open_and_the_broker_asks() {
    let broker = asking().await;
    let (producer, mut checked) = start(&broker, Commit).await;
    let mut ids = Vec::new();
    for body in ["fail", "panic"] {
        let result = producer.send_in_transaction(Message::new("Money", body)).await.unwrap();
        assert_eq!(result.state, Unknown);
        ids.push(result.sent.msg_id);
    }
    let records = stored(&broker, "Money", 0, 3).await;
    let mut came = bodies(&records);
    came.sort_unstable();
    assert_eq!(came, ["fail", "first", "panic"]);
    let mut asked = vec![checked.recv().await.unwrap()];
    while asked.len() < 2 {
        let id = checked.recv().await.unwrap();
        if !asked.contains(&id) {
            asked.push(id);
        }
    }
    ids.sort_unstable();
    asked.sort_unstable();
    assert_eq!(asked, ids);
    producer.shutdown().await;
}

#[tokio::test]
async fn an_application_that_was_started_again_is_asked_about_what_it_left_open() {
    let broker = asking().await;
    let (before, _checked) = start(&broker, Unknown).await;
    let left_open = before
        .send_in_transaction(Message::new("Money", "undecided"))
        .await
        .unwrap();
    before.shutdown().await;
    let (after, mut checked) = start(&broker, Commit).await;
    assert_eq!(checked.recv().await.unwrap(), left_open.sent.msg_id);
    let records = stored(&broker, "Money", 0, 2).await;
    assert_eq!(bodies(&records), ["first", "undecided"]);
    after.shutdown().await;
}

#[tokio::test]
async fn a_refused_half_message_runs_no_local_transaction() {
    let broker = TestBroker::builder()
        .config(|config| config.transactions.reject = true)
        .start()
        .unwrap();
    let (checked, _told) = mpsc::unbounded_channel();
    let executed = Arc::new(AsTold {
        executed: Mutex::new(Vec::new()),
        checked,
        checks: Commit,
    });
    let builder = Producer::builder("bank").client_options(options(&broker));
    let producer = builder
        .start_transactional(Shared(Arc::clone(&executed)))
        .await
        .unwrap();
    let error = producer
        .send_in_transaction(Message::new("Money", "commit"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("transaction"), "{error}");
    assert!(executed.executed.lock().unwrap().is_empty());
    producer.shutdown().await;
}

/// A listener that the test can look at.
struct Shared(Arc<AsTold>);

impl TransactionListener for Shared {
    async fn execute(&self, message: &Message, id: &str) -> Result<LocalTransactionState, ListenerError> {
        self.0.execute(message, id).await
    }

    async fn check(&self, message: ReceivedMessage) -> Result<LocalTransactionState, ListenerError> {
        self.0.check(message).await
    }
}
