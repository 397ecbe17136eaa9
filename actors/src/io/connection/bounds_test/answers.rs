//! Long answers: no more of them is held than clients take.

use std::sync::Arc;

use cuemq_net::body::{ConsumerData, HeartbeatData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::language::Language;

use super::scene::{Plan, Scene, commit};
use crate::peer::PeerKey;
use crate::rebalance::{Client, Membership};

const MIB: usize = 1 << 20;

/// Asks for the list of a group's members.
fn members() -> Command {
    Command::request(RequestCode::GET_CONSUMER_LIST_BY_GROUP).with_field("consumerGroup", "g")
}

/// Makes a group of so many members that their list has more than a mebibyte.
fn fill(scene: &Scene) {
    let view = scene.io.broker.as_ref().unwrap().membership.clone();
    let mut membership = Membership::new(false, view);
    for slot in 0..1100 {
        let peer = PeerKey {
            thread: 9,
            slot,
            generation: 0,
        };
        let client = Client {
            client_id: Arc::from(format!("{slot:01000}")),
            address: Arc::from("127.0.0.1:9"),
            language: Language::Java,
            version: 409,
        };
        let consumer = ConsumerData {
            group_name: "g".to_owned(),
            ..ConsumerData::default()
        };
        let data = HeartbeatData {
            consumers: vec![consumer],
            ..HeartbeatData::default()
        };
        membership.heartbeat(peer, client, data, 0, |_| false).unwrap();
    }
}

#[actix::test]
async fn a_client_that_takes_nothing_is_given_one_long_answer_however_many_it_asks_for() {
    let scene = Scene::open(Plan::default()).await;
    fill(&scene);
    let mut client = scene.client().await;
    client.send((0..100).map(|_| members())).await;
    for _ in 0..5_000 {
        tokio::task::yield_now().await;
        let buffered = scene.peer().outbox.borrow().buffered();
        assert!(buffered < 2 * MIB, "{buffered} bytes");
    }
    client.send([commit()]).await;
    let mut order = Vec::new();
    for _ in 0..101 {
        let answer = client.next().await;
        assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{:?}", answer.remark);
        order.push(answer.opaque);
    }
    let commit_at = order.iter().position(|opaque| *opaque == 101).unwrap();
    assert!(commit_at < 100, "what is short passes them by");
    order.remove(commit_at);
    assert!(order.is_sorted());
    scene.until("all is taken", |io| io.budgets.answers.used() == 0).await;
}

#[actix::test]
async fn long_answers_that_no_client_takes_are_bounded_for_the_whole_process() {
    let scene = Scene::open(Plan::default().answer_bytes(MIB)).await;
    fill(&scene);
    let (mut first, mut second) = (scene.client().await, scene.client().await);
    first.send([members()]).await;
    scene
        .until("the first is answered", |io| io.budgets.answers.is_spent())
        .await;
    second.send([members()]).await;
    let (_, remark) = second.refusal(ResponseCode::SYSTEM_BUSY).await;
    assert!(remark.contains("bytes of answers wait for their clients"), "{remark}");
    assert_eq!(first.answer().await, (1, ResponseCode::SUCCESS));
    scene.until("it is taken", |io| io.budgets.answers.used() == 0).await;
    second.send([members()]).await;
    assert_eq!(second.answer().await, (2, ResponseCode::SUCCESS));
}

#[actix::test]
async fn the_end_of_a_connection_frees_what_waited_for_its_client() {
    let scene = Scene::open(Plan::default()).await;
    fill(&scene);
    let mut client = scene.client().await;
    client.send((0..3).map(|_| members())).await;
    scene
        .until("the first is answered", |io| io.budgets.answers.used() > 0)
        .await;
    scene.peer().close("the test ends it");
    scene
        .until("nothing is left", |io| {
            (io.budgets.answers.used(), io.budgets.controls.used()) == (0, 0)
        })
        .await;
}
