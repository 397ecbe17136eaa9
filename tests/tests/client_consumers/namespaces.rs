//! Applications in a namespace: brokers know their topics and groups as `namespace%name`, and they know nothing of it.

use std::sync::atomic::{AtomicBool, Ordering};

use cuemq_client::consumer::{ConsumeFromWhere, LitePullConsumer, PullConsumer};
use cuemq_client::{Consumed, Message, Producer, PushConsumer, ReceivedMessage};
use cuemq_net::body::MessageQueue;

use crate::retries::later;
use crate::{Stand, inbox, soon, text};

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
