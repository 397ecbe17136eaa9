//! What producers send is stored as they were told.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;

use cuemq_actors::testing::TestBroker;
use cuemq_client::producer::by_hash;
use cuemq_client::{Error, Message, Producer, SendStatus};
use cuemq_net::body::MessageQueue;
use cuemq_net::message::properties::{Properties, name};
use cuemq_net::message::record::Record;
use cuemq_net::message::sysflag::{self, Compression};

use crate::{bodies, options, producer, stored};

#[tokio::test]
async fn a_message_is_stored_where_the_result_says_and_makes_its_topic() {
    let broker = TestBroker::start();
    let producer = producer(&broker, "p").await;
    let message = Message::new("T", "hello")
        .tags("A")
        .keys(["k1", "k2"])
        .property("shop", "12")
        .flag(7);
    let result = producer.send(message).await.unwrap();
    assert_eq!(
        (result.status, result.queue_offset, result.queue.topic.as_str()),
        (SendStatus::SendOk, 0, "T")
    );
    let records = stored(&broker, "T", result.queue.queue_id, 1).await;
    let record = Record::parse(&records[0]).unwrap();
    let properties = Properties::new(record.properties());
    assert_eq!((record.body(), record.flag()), (&b"hello"[..], 7));
    assert_eq!(properties.get(name::UNIQUE_KEY), Some(result.msg_id.as_str()));
    assert_eq!(
        (properties.get("TAGS"), properties.get("KEYS"), properties.get("shop")),
        (Some("A"), Some("k1 k2"), Some("12"))
    );
    let offset_id = cuemq_net::message::id::OffsetMessageId {
        host: record.store_host(),
        physical_offset: record.physical_offset(),
    };
    assert_eq!(result.offset_msg_id, offset_id.to_string());
    producer.shutdown().await;
}

#[tokio::test]
async fn queues_are_used_in_turn() {
    let broker = TestBroker::start();
    let producer = producer(&broker, "p").await;
    let mut used = Vec::new();
    for _ in 0..8 {
        used.push(producer.send(Message::new("T", "b")).await.unwrap().queue.queue_id);
    }
    assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), 4);
    assert!(used.windows(2).all(|two| two[1] == (two[0] + 1) % 4), "{used:?}");
    producer.shutdown().await;
}

#[tokio::test]
async fn a_key_leads_to_one_queue_and_keeps_its_order() {
    let broker = TestBroker::start();
    let producer = producer(&broker, "p").await;
    let mut queues = BTreeSet::new();
    for step in 0..5 {
        let send = producer.send_by(Message::new("T", step.to_string()), |queues| {
            by_hash(queues, "order-17")
        });
        queues.insert(send.await.unwrap().queue.queue_id);
    }
    assert_eq!(queues.len(), 1);
    let records = stored(&broker, "T", queues.into_iter().next().unwrap(), 5).await;
    assert_eq!(bodies(&records), ["0", "1", "2", "3", "4"]);
    producer.shutdown().await;
}

#[tokio::test]
async fn batches_are_stored_together_and_long_ones_are_cut_to_the_limit() {
    let broker = TestBroker::start();
    let producer = Producer::builder("p")
        .client_options(options(&broker))
        .max_message_size(4000)
        .start()
        .await
        .unwrap();
    let first = producer.send(Message::new("T", "makes the topic")).await.unwrap();
    let queue = MessageQueue {
        queue_id: 3,
        ..producer.fetch_publish_message_queues("T").await.unwrap().remove(0)
    };
    let before = usize::from(first.queue.queue_id == 3);
    let messages: Vec<_> = (0..50).map(|n| Message::new("T", format!("{n:0200}"))).collect();
    assert!(
        matches!(producer.send_batch(&messages).await, Err(Error::Fix(_))),
        "10,000 bytes are too long"
    );
    let parts = producer.split(messages.clone());
    assert!(parts.len() > 2);
    let mut ids = Vec::new();
    for part in &parts {
        let result = producer.send_batch_to(part, &queue).await.unwrap();
        assert_eq!(result.msg_id.split(',').count(), part.len());
        assert_eq!(result.offset_msg_id.split(',').count(), part.len());
        ids.extend(result.msg_id.split(',').map(str::to_owned));
    }
    let records = stored(&broker, "T", 3, before + 50).await;
    assert_eq!(
        bodies(&records[before..]),
        (0..50).map(|n| format!("{n:0200}")).collect::<Vec<_>>()
    );
    for (record, id) in records[before..].iter().zip(&ids) {
        let properties = Record::parse(record).unwrap().properties();
        assert_eq!(Properties::new(properties).get(name::UNIQUE_KEY), Some(id.as_str()));
    }
    producer.shutdown().await;
}

#[tokio::test]
async fn a_long_body_is_stored_compressed() {
    let broker = TestBroker::start();
    let producer = producer(&broker, "p").await;
    let result = producer.send(Message::new("T", vec![b'x'; 5000])).await.unwrap();
    let records = stored(&broker, "T", result.queue.queue_id, 1).await;
    let record = Record::parse(&records[0]).unwrap();
    assert_eq!(sysflag::compression(record.system_flag()), Some(Compression::Zlib));
    assert!(record.body().len() < 100);
    let mut body = Vec::new();
    flate2::read::ZlibDecoder::new(record.body())
        .read_to_end(&mut body)
        .unwrap();
    assert_eq!(body, vec![b'x'; 5000]);
    producer.shutdown().await;
}

#[tokio::test]
async fn what_is_sent_oneway_or_in_the_background_is_stored_before_the_producer_ends() {
    let broker = TestBroker::start();
    let producer = Producer::builder("p")
        .client_options(options(&broker))
        .send_window(8)
        .start()
        .await
        .unwrap();
    producer.send(Message::new("T", "makes the topic")).await.unwrap();
    let queue = MessageQueue {
        queue_id: 1,
        ..producer.fetch_publish_message_queues("T").await.unwrap().remove(0)
    };
    producer
        .send_oneway_to(Message::new("T", "oneway"), &queue)
        .await
        .unwrap();
    let mut pending = Vec::new();
    for n in 0..200 {
        pending.push(producer.send_async(Message::new("T", n.to_string())).await.unwrap());
    }
    producer.shutdown().await;
    let mut places = BTreeSet::new();
    for sent in pending {
        let result = sent.await.unwrap();
        places.insert((result.queue.queue_id, result.queue_offset));
    }
    assert_eq!(places.len(), 200);
    let records = stored(&broker, "T", 1, 1).await;
    assert!(bodies(&records).contains(&"oneway".to_owned()));
    assert!(matches!(
        producer.send(Message::new("T", "late")).await,
        Err(Error::GiveUp(_))
    ));
}

#[tokio::test]
async fn a_refusal_tells_the_brokers_words_and_the_place() {
    let broker = TestBroker::builder()
        .config(|config| config.auto_create_topic = false)
        .start()
        .unwrap();
    let producer = producer(&broker, "p").await;
    let error = producer.send(Message::new("T", "b")).await.unwrap_err();
    assert!(matches!(error, Error::GiveUp(_)), "{error}");
    assert!(error.to_string().contains("topic T"), "{error}");
    producer.shutdown().await;
}

#[tokio::test]
async fn producers_of_one_client_share_its_connections_and_its_end() {
    let broker = TestBroker::start();
    let client = options(&broker).start().await.unwrap();
    let first = Producer::builder("first").client(&client).start().await.unwrap();
    let second = Producer::builder("second").client(&client).start().await.unwrap();
    let taken = Producer::builder("second").client(&client).start().await;
    assert!(matches!(taken, Err(Error::Fix(_))));
    first.send(Message::new("T", "1")).await.unwrap();
    first.shutdown().await;
    second.send(Message::new("T", "2")).await.unwrap();
    client.shutdown().await;
    assert!(second.send(Message::new("T", "3")).await.is_err());
}

#[tokio::test]
async fn a_producer_goes_on_after_its_broker_was_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let start = |ports: Option<(u16, u16)>| {
        let builder = TestBroker::builder().data(directory.path().join("data"));
        let builder = builder.config(|config| {
            if let Some((name_server, broker)) = ports {
                (config.name_server_port, config.port) = (name_server, broker);
            }
        });
        builder.start().unwrap()
    };
    let broker = start(None);
    let ports = (broker.name_server().port(), broker.broker().port());
    let producer = producer(&broker, "p").await;
    producer.send(Message::new("T", "before")).await.unwrap();
    broker.stop().unwrap();
    assert!(matches!(
        producer.send(Message::new("T", "meanwhile")).await,
        Err(Error::Retry(_))
    ));
    let broker = start(Some(ports));
    producer.send(Message::new("T", "after")).await.unwrap();
    producer.shutdown().await;
    broker.stop().unwrap();
}

#[tokio::test]
async fn a_delayed_message_waits_for_its_time_and_can_be_recalled() {
    let broker = TestBroker::start();
    let producer = producer(&broker, "p").await;
    let queue = producer.fetch_publish_message_queues("T").await.unwrap().remove(0);
    let in_an_hour = |body: &str| Message::new("T", body.to_owned()).delay_time(Duration::from_secs(3600));
    let waits = producer.send_to(in_an_hour("recalled"), &queue).await.unwrap();
    let recalled = producer
        .recall_message("T", waits.recall_handle.as_deref().unwrap())
        .await
        .unwrap();
    assert_eq!(recalled, waits.msg_id);
    assert!(matches!(
        producer.recall_message("T", "no handle").await,
        Err(Error::Fix(_))
    ));
    let soon = producer
        .send_to(
            Message::new("T", "soon").delay_time(Duration::from_millis(1500)),
            &queue,
        )
        .await
        .unwrap();
    producer
        .send_to(Message::new("T", "level").delay_time_level(1), &queue)
        .await
        .unwrap();
    let plain = producer.send_to(Message::new("T", "now"), &queue).await.unwrap();
    assert!(plain.recall_handle.is_none());
    let records = stored(&broker, "T", queue.queue_id, 3).await;
    let mut came = bodies(&records);
    assert_eq!(came[0], "now");
    came.sort_unstable();
    assert_eq!(came, ["level", "now", "soon"]);
    assert_ne!(soon.recall_handle, waits.recall_handle);
    producer.shutdown().await;
}
