//! What a connection may make the broker hold: in bytes, whatever it sends.

use std::time::Duration;

use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_storage::clock::Clock;
use tokio::io::AsyncWriteExt;

use super::scene::{Plan, Scene, commit, encoded, heartbeat, pull, send_to};
use crate::hold::actor::HoldLimits;
use crate::io::state::READ_BYTES;

const MIB: usize = 1 << 20;

#[actix::test]
async fn sends_that_wait_for_their_topic_are_counted_and_the_rest_is_refused() {
    let mut scene = Scene::new(Plan::default().waiting_bytes(MIB)).await;
    let mut client = scene.client().await;
    client.send((0..16).map(|_| send_to("RefusedTopic", 100 * 1024))).await;
    for opaque in 12..=16 {
        assert_eq!(client.answer().await, (opaque, ResponseCode::SYSTEM_BUSY));
    }
    let used = scene.io.budgets.waiting.used();
    assert!((MIB..MIB + 110_000).contains(&used), "{used}");
    scene.gates.topics = None;
    for opaque in 1..=11 {
        assert_eq!(client.answer().await, (opaque, ResponseCode::TOPIC_NOT_EXIST));
    }
    assert_eq!((scene.io.budgets.waiting.used(), scene.peer().in_flight.get()), (0, 0));
}

#[actix::test]
async fn a_body_that_no_topic_could_take_makes_no_topic() {
    let scene = Scene::open(Plan::default()).await;
    let mut client = scene.client().await;
    let most = scene.io.identity.live.max_message_bytes.get() as usize;
    client.send([send_to("Fresh", most + 1)]).await;
    assert_eq!(client.answer().await, (1, ResponseCode::MESSAGE_ILLEGAL));
    assert!(scene.topics_made.borrow().is_empty());
}

#[actix::test]
async fn sends_that_waited_for_their_topic_go_on_in_bounded_batches() {
    let mut scene = Scene::new(Plan::default()).await;
    let mut client = scene.client().await;
    client.send((0..40).map(|_| send_to("Fresh", 100 * 1024))).await;
    (scene.gates.log, scene.gates.topics) = (None, None);
    let mut records = 0;
    while records < 40 {
        let batch = scene.batch().await;
        let bytes = batch.batch.bytes.len();
        assert!(bytes < 512 * 1024, "{bytes} bytes in one batch");
        records += batch.batch.records.len();
        scene.stored(batch).await;
    }
    assert_eq!(scene.io.budgets.waiting.used(), 0);
}

#[actix::test]
async fn requests_that_actors_work_on_are_counted_by_their_bytes() {
    let mut scene = Scene::new(Plan::default().control_bytes(100_000)).await;
    let mut first = scene.client().await;
    first.send([heartbeat(120_000)]).await;
    scene
        .until("the first is counted", |io| io.budgets.controls.is_spent())
        .await;
    let mut second = scene.client().await;
    second.send([heartbeat(10)]).await;
    let (_, remark) = second.refusal(ResponseCode::SYSTEM_BUSY).await;
    assert!(remark.contains("bytes of requests are being worked on"), "{remark}");
    scene.gates.members = None;
    assert_eq!(first.answer().await.0, 1);
    second.send([heartbeat(10)]).await;
    assert_eq!(
        second.answer().await,
        (2, ResponseCode::SYSTEM_ERROR),
        "what its owner says"
    );
    assert_eq!(scene.io.budgets.controls.used(), 0);
}

#[actix::test]
async fn a_connection_is_not_read_while_actors_work_on_a_mebibyte_of_it() {
    let mut scene = Scene::new(Plan::default()).await;
    let client = scene.client().await;
    let requests: Vec<u8> = (1..=20)
        .flat_map(|opaque| encoded(&heartbeat(200 * 1024), opaque))
        .collect();
    let writing = client.writing(requests);
    for _ in 0..5_000 {
        tokio::task::yield_now().await;
        let counted = scene.io.budgets.controls.used();
        assert!(counted < 2 * MIB, "{counted} bytes");
    }
    scene.gates.members = None;
    let mut client = writing.await.unwrap();
    for opaque in 1..=20 {
        assert_eq!(client.answer().await.0, opaque);
    }
}

#[actix::test]
async fn a_long_frame_takes_of_the_budget_what_has_come_of_it() {
    let mut scene = Scene::open(Plan::default().waiting_bytes(MIB)).await;
    let (mut first, second) = (scene.client().await, scene.client().await);
    let long = encoded(&send_to("T", 3 * MIB), 7);
    let begin = MIB + 1;
    first.stream.write_all(&long[..begin]).await.unwrap();
    scene
        .until("what has come is counted", |io| io.budgets.waiting.used() == begin)
        .await;

    // The second is read no further than a read goes: the rest stays with its client.
    let writing = second.writing(long.clone());
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        let used = scene.io.budgets.waiting.used();
        assert!(used <= begin + READ_BYTES, "{used} bytes of two frames");
    }
    // When patience ends, it is told so, and its body is passed over.
    scene.stage.clock.advance(Duration::from_millis(751));
    let mut second = writing.await.unwrap();
    assert_eq!(second.answer().await, (7, ResponseCode::SYSTEM_BUSY));
    assert_eq!(scene.io.budgets.waiting.used(), begin);
    second.send([heartbeat(10)]).await;
    assert_eq!(second.answer().await.0, 1);

    // One that is alone may be longer than the budget.
    first.stream.write_all(&long[begin..]).await.unwrap();
    let batch = scene.batch().await;
    scene.stored(batch).await;
    assert_eq!(first.answer().await, (7, ResponseCode::SUCCESS));
    assert_eq!(scene.io.budgets.waiting.used(), 0);
}

#[actix::test]
async fn a_length_that_is_announced_takes_nothing_from_others() {
    let mut scene = Scene::open(Plan::default().waiting_bytes(64 * MIB)).await;
    let mut hostile = Vec::new();
    for _ in 0..16 {
        let mut client = scene.client().await;
        client.stream.write_all(&[0, 0xff, 0xff, 0xfc]).await.unwrap();
        hostile.push(client);
    }
    scene
        .until("all are read", |io| {
            io.peers.borrow().iter().all(|peer| peer.begun.get().is_some())
        })
        .await;
    assert_eq!(scene.io.budgets.waiting.used(), 0);
    let mut client = scene.client().await;
    let long = encoded(&send_to("T", MIB), 7);
    client.stream.write_all(&long).await.unwrap();
    let batch = scene.batch().await;
    scene.stored(batch).await;
    assert_eq!(client.answer().await, (7, ResponseCode::SUCCESS));
}

#[actix::test]
async fn long_requests_that_are_no_sends_have_a_budget_too() {
    let scene = Scene::open(Plan::default().control_bytes(MIB)).await;
    let (mut first, second) = (scene.client().await, scene.client().await);
    let long = encoded(&heartbeat(8 * MIB), 7);
    first.stream.write_all(&long[..MIB + 1]).await.unwrap();
    scene
        .until("the first spends it", |io| io.budgets.controls.is_spent())
        .await;
    let writing = second.writing(long.clone());
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        let used = scene.io.budgets.controls.used();
        assert!(used <= MIB + 1 + READ_BYTES, "{used} bytes of two frames");
    }
    assert!(!writing.is_finished());
    scene.stage.clock.advance(Duration::from_millis(751));
    let mut second = writing.await.unwrap();
    let (opaque, remark) = second.refusal(ResponseCode::SYSTEM_BUSY).await;
    assert_eq!(opaque, 7);
    assert!(remark.contains("bytes of requests are being worked on"), "{remark}");
    assert_eq!(scene.io.budgets.waiting.used(), 0, "sends have theirs");
    second.send([commit()]).await;
    assert_eq!(second.answer().await.0, 1, "the connection goes on behind it");
}

#[actix::test]
async fn a_long_answer_that_nobody_waits_for_is_passed_over() {
    let scene = Scene::open(Plan::default()).await;
    let client = scene.client().await;
    let answer = Command::response_to(&commit(), ResponseCode::SUCCESS).with_body(vec![0; 4 * MIB]);
    let mut bytes = encoded(&answer, 7);
    bytes.extend(encoded(&commit(), 8));
    let writing = client.writing(bytes);
    while !writing.is_finished() {
        let budgets = &scene.io.budgets;
        assert_eq!((budgets.waiting.used(), budgets.controls.used()), (0, 0));
        tokio::task::yield_now().await;
    }
    let mut client = writing.await.unwrap();
    assert_eq!(client.answer().await.0, 8);
}

#[actix::test]
async fn a_frame_that_comes_byte_by_byte_for_ever_ends_its_connection() {
    tokio::time::pause();
    let scene = Scene::open(Plan::default()).await;
    let mut client = scene.client().await;
    let long = encoded(&send_to("T", MIB), 1);
    for byte in &long[..8] {
        client.stream.write_all(&[*byte]).await.unwrap();
        let read_at = scene.stage.clock.monotonic();
        scene
            .until("the byte is read", |io| {
                io.peers.borrow().iter().all(|peer| peer.active.get() == read_at)
            })
            .await;
        scene.stage.clock.advance(Duration::from_secs(20));
    }
    client.closed().await;
}

#[actix::test]
async fn a_frame_of_which_nothing_more_comes_ends_its_connection_sooner_than_silence_does() {
    tokio::time::pause();
    let scene = Scene::open(Plan::default()).await;
    let (mut begins, mut rests) = (scene.client().await, scene.client().await);
    begins.stream.write_all(&encoded(&commit(), 1)[..20]).await.unwrap();
    scene
        .until("its beginning is read", |io| {
            io.peers.borrow().iter().any(|peer| peer.begun.get().is_some())
        })
        .await;
    scene.stage.clock.advance(Duration::from_secs(31));
    begins.closed().await;
    rests.send([commit()]).await;
    assert_eq!(rests.answer().await.0, 1);
}

#[actix::test]
async fn a_pull_with_more_than_1024_tags_is_refused_with_23() {
    let scene = Scene::open(Plan::default()).await;
    let mut client = scene.client().await;
    let tags = |count: usize| (0..count).map(|tag| format!("t{tag}")).collect::<Vec<_>>().join("||");
    client.send([pull(&tags(1025), true), pull(&tags(1024), false)]).await;
    assert_eq!(client.answer().await, (1, ResponseCode::SUBSCRIPTION_PARSE_FAILED));
    assert_eq!(client.answer().await, (2, ResponseCode::PULL_NOT_FOUND));
}

#[actix::test]
async fn pulls_beyond_what_a_connection_may_park_are_answered_as_they_are() {
    let mut scene = Scene::open(Plan::default()).await;
    let mut client = scene.client().await;
    let most = HoldLimits::OF_PEER as usize;
    client.send((0..most + 3).map(|_| pull("*", true))).await;
    for _ in 0..3 {
        assert_eq!(client.answer().await.1, ResponseCode::PULL_NOT_FOUND);
    }
    assert_eq!(scene.hold.drain().await.len(), most);
}
