//! Applications in a namespace: brokers know their topics and groups as `namespace%name`, and they know nothing of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cuemq_client::LocalTransactionState::{Commit, Rollback, Unknown};
use cuemq_client::consumer::{ConsumeFromWhere, LitePullConsumer, PullConsumer};
use cuemq_client::producer::ListenerError;
use cuemq_client::{
    Consumed, LocalTransactionState, Message, Producer, PushConsumer, ReceivedMessage, TransactionListener,
    TransactionProducer,
};
use cuemq_net::body::MessageQueue;
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::request::SendHeader;
use tokio::sync::mpsc;

use crate::retries::later;
use crate::{Got, Stand, inbox, soon, text};

fn queue(topic: &str) -> MessageQueue {
    MessageQueue {
        topic: topic.to_owned(),
        broker_name: "broker-a".to_owned(),
        queue_id: 0,
    }
}

async fn producer(stand: &Stand) -> Producer {
    let builder = Producer::builder("p").namespace("ns").client_options(stand.options());
    builder.start().await.unwrap()
}

#[tokio::test]
async fn what_is_sent_in_a_namespace_goes_to_its_topic_and_comes_back_without_it() {
    let stand = Stand::start();
    stand.create_topic("ns%T", 1).await;
    let producer = producer(&stand).await;
    assert_eq!(producer.group(), "p");
    assert_eq!(producer.fetch_publish_message_queues("T").await.unwrap(), [queue("T")]);
    let sent = producer.send(Message::new("T", "one")).await.unwrap();
    assert_eq!((&*sent.queue, sent.queue_offset), (&queue("T"), 0));
    let sent = producer.send_to(Message::new("T", "two"), &queue("T")).await.unwrap();
    assert_eq!(*sent.queue, queue("T"));
    let select = |queues: &[MessageQueue]| {
        assert_eq!(queues, [queue("T")]);
        0
    };
    let by = producer.send_by(Message::new("T", "three"), |queues| queues.get(select(queues)));
    assert_eq!(*by.await.unwrap().queue, queue("T"));
    let batch = [Message::new("T", "four"), Message::new("ns%T", "five")];
    producer.send_batch(&batch[..1]).await.unwrap();
    producer.send(batch[1].clone()).await.unwrap();
    assert_eq!(stand.max_offset("ns%T", 0).await, 5);
    producer.shutdown().await;

    let (inbox, mut got) = inbox();
    let is_new = AtomicBool::new(true);
    let consumer = PushConsumer::builder("g")
        .namespace("ns")
        .client_options(stand.options())
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .subscribe("T", "*")
        .start(move |messages: Vec<ReceivedMessage>| {
            let is_new = is_new.swap(false, Ordering::Relaxed);
            let inbox = inbox.clone();
            async move {
                inbox.take(messages);
                if is_new {
                    Consumed::LaterAt(1)
                } else {
                    Consumed::Success
                }
            }
        })
        .await
        .unwrap();
    assert_eq!(consumer.group(), "g");
    for _ in 0..5 {
        let message = got.next().await;
        assert_eq!((message.topic(), message.property("INSTANCE_ID")), ("T", Some("ns")));
        assert_eq!(message.queue().topic, "ns%T");
    }
    assert!(
        consumer.owned_queues().contains(&queue("T")),
        "{:?}",
        consumer.owned_queues()
    );
    let message = later(&stand, &mut got).await;
    assert_eq!((message.topic(), message.reconsume_times()), ("T", 1));
    assert_eq!(message.queue().topic, "%RETRY%ns%g");
    assert_eq!(message.property("RETRY_TOPIC"), Some("ns%T"));
    consumer.shutdown().await.unwrap();
    assert_eq!(stand.committed("ns%g", "ns%T", 0).await, Some(5));
}

#[tokio::test]
async fn who_pulls_in_a_namespace_names_queues_with_it_or_without() {
    let stand = Stand::start();
    stand.create_topic("ns%T", 1).await;
    let producer = producer(&stand).await;
    producer.send(Message::new("T", "one")).await.unwrap();
    producer.shutdown().await;
    let pulls = PullConsumer::builder("pulls")
        .namespace("ns")
        .client_options(stand.options());
    let pulls = pulls.start().await.unwrap();
    let queues = pulls.fetch_subscribe_message_queues("T").await.unwrap();
    assert_eq!(queues.into_iter().collect::<Vec<_>>(), [queue("T")]);
    for name in ["T", "ns%T"] {
        let pulled = pulls.pull(&queue(name), "*", 0, 8).await.unwrap();
        assert_eq!((pulled.messages.len(), pulled.messages[0].topic()), (1, "T"));
    }
    pulls.update_consume_offset(&queue("T"), 1);
    pulls.shutdown().await.unwrap();
    assert_eq!(stand.committed("ns%pulls", "ns%T", 0).await, Some(1));

    let lite = LitePullConsumer::builder("lite")
        .namespace("ns")
        .client_options(stand.options());
    let lite = lite.start().await.unwrap();
    lite.assign([queue("T")]).await.unwrap();
    assert_eq!(lite.assignment().into_iter().collect::<Vec<_>>(), [queue("T")]);
    lite.seek_to_begin(&queue("T")).await.unwrap();
    let polled = soon("a message", lite.poll()).await;
    assert_eq!((polled[0].topic(), text(&polled[0])), ("T", "one".to_owned()));
    lite.commit().await.unwrap();
    assert_eq!(lite.committed(&queue("T")).await.unwrap(), Some(1));
    lite.shutdown().await.unwrap();
    assert_eq!(stand.committed("ns%lite", "ns%T", 0).await, Some(1));
}

/// A consumer in the namespace from the first message on, and what it gets.
async fn consumer(stand: &Stand, topic: &str) -> (PushConsumer, Got) {
    let (inbox, got) = inbox();
    let builder = PushConsumer::builder("g").namespace("ns").subscribe(topic, "*");
    let consumer = builder
        .client_options(stand.options())
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages: Vec<ReceivedMessage>| {
            inbox.take(messages);
            async { Consumed::Success }
        });
    (consumer.await.unwrap(), got)
}

/// Leaves transactions open until it is asked, and tells what it saw of their messages.
struct Open {
    saw: mpsc::UnboundedSender<String>,
    asked: LocalTransactionState,
}

impl TransactionListener for Open {
    async fn execute(&self, message: &Message, _id: &str) -> Result<LocalTransactionState, ListenerError> {
        self.saw.send(format!("{} is sent", message.topic()))?;
        Ok(Unknown)
    }

    async fn check(&self, message: ReceivedMessage) -> Result<LocalTransactionState, ListenerError> {
        self.saw.send(format!("{} is asked about", message.topic()))?;
        Ok(self.asked)
    }
}

async fn bank(
    stand: &Stand,
    namespace: &str,
    asked: LocalTransactionState,
) -> (TransactionProducer, mpsc::UnboundedReceiver<String>) {
    let (saw, told) = mpsc::unbounded_channel();
    let builder = Producer::builder("bank").namespace(namespace).topics(["T"]);
    let builder = builder.client_options(stand.options());
    let producer = builder.start_transactional(Open { saw, asked }).await.unwrap();
    (producer, told)
}

#[tokio::test]
async fn a_broker_asks_in_the_namespace_about_what_was_left_open_there() {
    let stand = Stand::with(|config| {
        config.transactions.timeout = Duration::from_secs(1);
        config.transactions.check_interval = Duration::from_millis(20);
    });
    stand.create_topic("ns%T", 1).await;
    stand.create_topic("T", 1).await;
    let (outside, mut told_outside) = bank(&stand, "", Rollback).await;
    let (bank, mut told) = bank(&stand, "ns", Commit).await;
    let sent = bank.send_in_transaction(Message::new("T", "open")).await.unwrap();
    assert_eq!((sent.state, &*sent.sent.queue), (Unknown, &queue("T")));
    assert_eq!(told.recv().await.unwrap(), "T is sent");

    let (consumer, mut got) = consumer(&stand, "T").await;
    let message = later(&stand, &mut got).await;
    assert_eq!((message.topic(), &*text(&message)), ("T", "open"));
    assert_eq!(message.queue().topic, "ns%T");
    assert_eq!(message.property("PGROUP"), Some("ns%bank"));
    assert_eq!(told.recv().await.unwrap(), "T is asked about");
    assert!(told_outside.try_recv().is_err(), "it is not in the namespace");
    consumer.shutdown().await.unwrap();
    bank.shutdown().await;
    outside.shutdown().await;
}

/// Answers a question as one of Java's does that is in the namespace: the cluster's topic is in it too.
async fn answer_as_java(stand: &Stand, question: &ReceivedMessage, body: &'static str) {
    let mut properties = "MSG_TYPE\u{1}reply\u{2}".to_owned();
    for name in ["CORRELATION_ID", "REPLY_TO_CLIENT", "TTL"] {
        properties += &format!("{name}\u{1}{}\u{2}", question.property(name).unwrap());
    }
    let header = SendHeader {
        producer_group: "ns%p",
        topic: "ns%DefaultCluster_REPLY_TOPIC",
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        born_timestamp: 1,
        properties: Some(&properties),
        ..SendHeader::default()
    };
    let request = Command::request(RequestCode::SEND_REPLY_MESSAGE_V2).with_header(|fields| header.write(fields));
    stand.ask(request.with_body(body)).await;
}

#[tokio::test]
async fn a_request_is_answered_in_the_namespace() {
    let stand = Stand::start();
    stand.create_topic("ns%Questions", 1).await;
    let (asks, replies) = (producer(&stand).await, producer(&stand).await);
    let (consumer, mut got) = consumer(&stand, "Questions").await;
    for answered_by in ["ours", "java"] {
        let asks = asks.clone();
        let question = Message::new("Questions", answered_by);
        let reply = tokio::spawn(async move { asks.request(question, crate::PATIENCE).await });
        let question = got.next().await;
        assert_eq!(
            (question.topic(), &*question.queue().topic),
            ("Questions", "ns%Questions")
        );
        match answered_by {
            "java" => answer_as_java(&stand, &question, "java").await,
            by => drop(replies.send(Message::reply_to(&question, by).unwrap()).await.unwrap()),
        }
        let reply = soon("a reply", reply).await.unwrap().unwrap();
        assert_eq!(
            (text(&reply), reply.topic()),
            (answered_by.to_owned(), "DefaultCluster_REPLY_TOPIC")
        );
    }
    consumer.shutdown().await.unwrap();
    replies.shutdown().await;
    asks.shutdown().await;
}
