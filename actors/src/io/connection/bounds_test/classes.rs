//! Sends wait for the log, and nothing else waits for sends; who waits too long is told why.

use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use cuemq_net::code::ResponseCode;

use super::super::window::{LEAST, SHARED};
use super::scene::{Plan, Scene, commit, encoded, heartbeat, pull, send_to};

const A_QUARTER: Duration = Duration::from_micros(187_500);
const PATIENCE_IS_OVER: Duration = Duration::from_millis(751);

#[actix::test]
async fn a_heartbeat_a_pull_and_a_commit_pass_by_sends_that_wait_for_the_disk() {
    let mut scene = Scene::open(Plan::default().log_bytes(1)).await;
    let mut client = scene.client().await;
    client.send([send_to("T", 10)]).await;
    let first = scene.batch().await;
    client
        .send([send_to("T", 10), heartbeat(5), pull("*", false), commit()])
        .await;
    let mut answered = [
        client.answer().await.0,
        client.answer().await.0,
        client.answer().await.0,
    ];
    answered.sort_unstable();
    assert_eq!(answered, [3, 4, 5]);
    scene.stored(first).await;
    assert_eq!(client.answer().await, (1, ResponseCode::SUCCESS));
    let second = scene.batch().await;
    scene.stored(second).await;
    assert_eq!(client.answer().await, (2, ResponseCode::SUCCESS));
}

#[actix::test]
async fn sends_are_held_back_first_and_told_the_measured_cause_when_patience_ends() {
    let mut scene = Scene::open(Plan::default().log_bytes(1)).await;
    let mut client = scene.client().await;
    client.send([send_to("T", 10)]).await;
    let first = scene.batch().await;
    let under_way = scene.io.budgets.log.used();
    let sends: Vec<u8> = (2..=40)
        .flat_map(|opaque| encoded(&send_to("T", 100 * 1024), opaque))
        .collect();
    let writing = client.writing(sends);
    for _ in 0..5_000 {
        tokio::task::yield_now().await;
        let held = scene.io.budgets.waiting.used();
        assert!(held < 3 << 19, "{held} bytes of one connection are held back");
    }
    assert!(!writing.is_finished(), "the client feels TCP's back-pressure");
    scene.stage.clock.advance(PATIENCE_IS_OVER);
    let mut client = writing.await.unwrap();
    for opaque in 2..=40 {
        let (answered, remark) = client.refusal(ResponseCode::SYSTEM_BUSY).await;
        assert_eq!(answered, opaque);
        assert!(
            remark.ends_with(&format!("{under_way} bytes of sends are under way")),
            "{remark}"
        );
    }
    assert_eq!(scene.io.budgets.waiting.used(), 0);
    scene.stored(first).await;
    assert_eq!(client.answer().await, (1, ResponseCode::SUCCESS));
    client.send([send_to("T", 10)]).await;
    assert_eq!(
        scene.batch().await.batch.records.len(),
        1,
        "and it goes on when there is room"
    );
}

/// The log's budget belongs to all I/O threads: it may be spent and free again between two looks of this one.
#[actix::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of the test, which is no part of the broker"
)]
async fn a_send_that_was_held_back_is_stored_while_another_thread_spends_the_budget() {
    const SENDS: usize = 1_000;
    let mut scene = Scene::open(Plan::default().log_bytes(1)).await;
    let budget = Arc::clone(&scene.io.budgets.log);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let other_thread = std::thread::Builder::new().spawn(move || {
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            budget.take(1);
            budget.release(1);
        }
    });
    let client = scene.client().await;
    let sends: Vec<u8> = (0..SENDS)
        .flat_map(|_| encoded(&send_to("T", 10).oneway(), 1))
        .collect();
    let writing = client.writing(sends);
    let mut stored = 0;
    while stored < SENDS {
        let batch = scene.batch().await;
        stored += batch.batch.records.len();
        scene.stored(batch).await;
    }
    drop(stop);
    other_thread.unwrap().join().unwrap();
    drop(writing.await.unwrap());
    assert_eq!((scene.io.budgets.log.used(), scene.io.budgets.waiting.used()), (0, 0));
}

#[actix::test]
async fn a_connection_has_as_much_in_the_log_as_the_log_took_of_it_in_a_quarter_of_the_patience() {
    let mut scene = Scene::open(Plan::default()).await;
    let client = scene.client().await;
    let sends: Vec<u8> = (1..=60)
        .flat_map(|opaque| encoded(&send_to("T", 400 * 1024), opaque))
        .collect();
    let writing = client.writing(sends);
    let mut stored = 0;
    let mut under_way = Vec::new();
    while scene.peer().in_flight.get() <= LEAST {
        under_way.push(scene.batch().await);
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        assert!(scene.peer().in_flight.get() < LEAST + (1 << 20));
    }
    // More than 4 MiB are answered in a quarter: as much may be under way then.
    let answered = scene.peer().in_flight.get();
    scene.stage.clock.advance(A_QUARTER);
    for batch in under_way.drain(..) {
        stored += batch.batch.records.len();
        scene.stored(batch).await;
    }
    while scene.peer().in_flight.get() <= LEAST + (1 << 18) {
        under_way.push(scene.batch().await);
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        assert!(scene.peer().in_flight.get() < answered + (1 << 20));
    }
    while stored < 60 {
        let batch = match under_way.pop() {
            Some(batch) => batch,
            None => scene.batch().await,
        };
        stored += batch.batch.records.len();
        scene.stored(batch).await;
    }
    let mut client = writing.await.unwrap();
    for _ in 0..60 {
        assert_eq!(client.answer().await.1, ResponseCode::SUCCESS);
    }
}

#[actix::test]
async fn a_full_mailbox_of_the_log_holds_sends_back_in_their_order() {
    let mut scene = Scene::new(Plan::default().log_batches(1)).await;
    scene.gates.members = None;
    let mut client = scene.client().await;
    for number in 1..=6 {
        client.send([send_to("T", 10 * number as usize), heartbeat(5)]).await;
        assert_eq!(client.answer().await.0, 2 * number, "no send is answered");
    }
    scene.gates.log = None;
    let mut bodies = Vec::new();
    while bodies.len() < 6 {
        let batch = scene.batch().await;
        bodies.extend(batch.batch.records.iter().map(|record| record.length));
        scene.stored(batch).await;
    }
    assert!(bodies.is_sorted_by(|left, right| left < right), "{bodies:?}");
    for number in 1..=6 {
        assert_eq!(client.answer().await, (2 * number - 1, ResponseCode::SUCCESS));
    }
}

#[actix::test]
async fn a_mailbox_of_the_log_that_stays_full_is_told_as_busy() {
    let mut scene = Scene::new(Plan::default().log_batches(1)).await;
    scene.gates.members = None;
    let mut client = scene.client().await;
    for number in 1..=6 {
        client.send([send_to("T", 10), heartbeat(5)]).await;
        assert_eq!(client.answer().await.0, 2 * number);
    }
    scene.stage.clock.advance(PATIENCE_IS_OVER);
    let (_, remark) = client.refusal(ResponseCode::SYSTEM_BUSY).await;
    assert!(remark.ends_with("the commit log's mailbox is full"), "{remark}");
}

#[actix::test]
async fn a_commit_log_that_has_ended_is_told_as_14() {
    let scene = Scene::open(Plan {
        log_ended: true,
        ..Plan::default()
    })
    .await;
    let mut client = scene.client().await;
    client.send([send_to("T", 10)]).await;
    let (_, remark) = client.refusal(ResponseCode::SERVICE_NOT_AVAILABLE).await;
    assert!(remark.contains("has failed for good"), "{remark}");
    assert_eq!((scene.io.budgets.log.used(), scene.peer().in_flight.get()), (0, 0));
}

#[actix::test]
async fn a_connection_has_a_mebibyte_in_the_log_while_others_send() {
    let mut scene = Scene::open(Plan::default()).await;
    let client = scene.client().await;
    let sends: Vec<u8> = (1..=30)
        .flat_map(|opaque| encoded(&send_to("T", 400 * 1024), opaque))
        .collect();
    // A message of another thread's connection.
    scene.io.budgets.log.take(1);
    let writing = client.writing(sends);
    scene.until("it is held back", |io| io.budgets.waiting.used() > 0).await;
    let mut stored = 0;
    while stored < 30 {
        let under_way = scene.peer().in_flight.get();
        assert!(under_way < SHARED + (1 << 20), "{under_way} bytes");
        let batch = scene.batch().await;
        stored += batch.batch.records.len();
        scene.stored(batch).await;
    }
    let mut client = writing.await.unwrap();
    for _ in 0..30 {
        assert_eq!(client.answer().await.1, ResponseCode::SUCCESS);
    }
}
