//! Messages are found again, and requests get their replies.

use std::time::Duration;

use cuemq_actors::testing::TestBroker;
use cuemq_client::{Admin, Cause, Error, Message};

use crate::{PATIENCE, options, producer, stored};

#[tokio::test]
async fn a_message_is_found_by_either_id_and_by_its_key() {
    let broker = TestBroker::start();
    let producer = producer(&broker, "p").await;
    let sent = producer
        .send(Message::new("T", "b").keys(["order-17", "shop-3"]).tags("A"))
        .await
        .unwrap();
    producer
        .send(Message::new("T", "other").keys(["order-18"]))
        .await
        .unwrap();
    let admin = Admin::new(producer.client());
    let found = admin.view_message_at(&sent.offset_msg_id).await.unwrap();
    assert_eq!(
        (&found.body()[..], found.message_id()),
        (&b"b"[..], sent.msg_id.to_string())
    );
    // what is stored is indexed a moment later
    let by_key = async {
        loop {
            let found = admin.query_message("T", "order-17", 10, 0, i64::MAX).await.unwrap();
            if !found.is_empty() {
                return found;
            }
        }
    };
    let by_key = tokio::time::timeout(PATIENCE, by_key).await.unwrap();
    assert_eq!(
        by_key.iter().map(|message| message.message_id()).collect::<Vec<_>>(),
        std::slice::from_ref(&sent.msg_id)
    );
    for id in [&sent.msg_id, &sent.offset_msg_id] {
        let found = admin.view_message("T", id).await.unwrap().unwrap();
        assert_eq!((found.tags(), found.queue_offset()), (Some("A"), sent.queue_offset));
    }
    assert!(
        admin
            .query_message("T", "order-19", 10, 0, i64::MAX)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(admin.query_message_by_unique_key("T", "0A").await.unwrap().is_none());
    assert!(matches!(admin.view_message_at("no id").await, Err(Error::Fix(_))));
    producer.shutdown().await;
}

#[tokio::test]
async fn a_request_gets_the_reply_of_whoever_reads_it() {
    let broker = TestBroker::start();
    let asks = producer(&broker, "asks").await;
    let replies = producer(&broker, "replies").await;
    let first = asks.send(Message::new("Questions", "makes the topic")).await.unwrap();
    let asking = asks.clone();
    let request = tokio::spawn(async move { asking.request(Message::new("Questions", "how many?"), PATIENCE).await });
    // queues are used in turn
    let queue = (first.queue.queue_id + 1) % 4;
    let records = stored(&broker, "Questions", queue, 1).await;
    let record = cuemq_net::message::record::Record::parse(&records[0]).unwrap();
    let id = cuemq_net::message::id::OffsetMessageId {
        host: broker.broker(),
        physical_offset: record.physical_offset(),
    };
    let question = Admin::new(replies.client())
        .view_message_at(&id.to_string())
        .await
        .unwrap();
    assert_eq!(&question.body()[..], b"how many?");
    replies
        .send(Message::reply_to(&question, "twelve").unwrap())
        .await
        .unwrap();
    let reply = request.await.unwrap().unwrap();
    assert_eq!(&reply.body()[..], b"twelve");
    assert_eq!(reply.property("CORRELATION_ID"), question.property("CORRELATION_ID"));
    let plain = Admin::new(asks.client())
        .view_message_at(&first.offset_msg_id)
        .await
        .unwrap();
    assert!(
        matches!(Message::reply_to(&plain, "b"), Err(Error::Fix(_))),
        "it is no question"
    );
    replies.shutdown().await;
    asks.shutdown().await;
}

#[tokio::test]
async fn a_request_without_a_reply_ends_with_its_time() {
    let broker = TestBroker::start();
    let client = options(&broker).start().await.unwrap();
    let asks = cuemq_client::Producer::builder("asks")
        .client(&client)
        .start()
        .await
        .unwrap();
    let error = asks
        .request(Message::new("Questions", "?"), Duration::from_millis(300))
        .await
        .unwrap_err();
    assert!(matches!(error.trouble().cause, Cause::NoReply(_)), "{error}");
    asks.shutdown().await;
    client.shutdown().await;
}
