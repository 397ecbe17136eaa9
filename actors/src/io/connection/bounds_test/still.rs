//! Clients that stand still: what they hold is left to them until others need it, and no longer.

use std::time::Duration;

use cuemq_net::code::ResponseCode;
use cuemq_storage::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::scene::{Client, Plan, Scene, commit, encoded, send_to};
use crate::io::peer_table::Peer;
use crate::io::pressure::{in_kernel, relieve};
use crate::io::state::IoState;
use crate::metrics::LINES;
use crate::peer::PeerKey;

const KIB: usize = 1 << 10;
const A_SECOND: Duration = Duration::from_millis(1001);
const HURRY: Duration = Duration::from_millis(101);

/// Asks and asks, and reads no answer.
async fn slow_reader(scene: &Scene) -> JoinHandle<Client> {
    let client = scene.client().await;
    let asking = client.writing((1..=5_000).flat_map(|opaque| encoded(&commit(), opaque)).collect());
    scene
        .until("it takes nothing", |io| {
            io.peers.borrow().iter().any(|peer| peer.stalled.get().is_some())
        })
        .await;
    asking
}

async fn half_open(scene: &Scene, bytes: &[u8]) -> Client {
    let mut client = scene.client().await;
    client.stream.write_all(bytes).await.unwrap();
    scene
        .until("the beginning is there", |io| {
            let peers = io.peers.borrow();
            peers
                .iter()
                .any(|peer| peer.begun.get().is_some() && peer.idle.get().max(peer.arriving.get()) >= bytes.len())
        })
        .await;
    client
}

fn count(io: &IoState, which: impl Fn(&Peer) -> bool) -> usize {
    io.peers.borrow().iter().filter(|peer| which(peer)).count()
}

fn dropped(scene: &Scene) -> u64 {
    scene.io.metrics.connections_dropped.get()
}

/// The only open connection is that of a client, which is answered.
async fn is_alone(scene: &Scene, key: PeerKey, mut client: Client) {
    scene
        .until("the other is closed", |io| io.peers.borrow().len() == 1)
        .await;
    assert_eq!(scene.peer().key, key);
    client.send([commit()]).await;
    assert_eq!(client.answer().await, (1, ResponseCode::SUCCESS));
}

#[actix::test]
async fn a_client_that_takes_nothing_is_closed_when_others_need_its_memory() {
    let scene = Scene::open(Plan::default().idle_bytes(128 * KIB)).await;
    let witness = scene.client().await;
    let key = scene.peer().key;
    let slow = slow_reader(&scene).await;
    scene.stage.clock.advance(A_SECOND);
    is_alone(&scene, key, witness).await;
    assert_eq!((dropped(&scene), scene.io.budgets.idle.used()), (1, 0));
    assert!(slow.await.is_err(), "its client hears of it");
}

#[actix::test]
async fn a_client_that_stands_still_while_there_is_memory_is_left_in_peace() {
    let scene = Scene::open(Plan::default()).await;
    let _slow = slow_reader(&scene).await;
    let _half = half_open(&scene, &encoded(&send_to("T", 100 * KIB), 1)[..90 * KIB]).await;
    scene.stage.clock.advance(10 * A_SECOND);
    let now = scene.stage.clock.monotonic();
    relieve(&scene.io, now);
    assert_eq!(dropped(&scene), 0);
}

#[actix::test]
async fn the_largest_beginning_of_a_frame_goes_first_when_others_need_the_memory() {
    let scene = Scene::open(Plan::default().idle_bytes(90 * KIB)).await;
    let frame = encoded(&send_to("T", 100 * KIB), 1);
    let _small = half_open(&scene, &frame[..10 * KIB]).await;
    let key = scene.peer().key;
    let _large = half_open(&scene, &frame[..90 * KIB]).await;
    scene.stage.clock.advance(A_SECOND);
    scene.until("one is closed", |io| io.peers.borrow().len() == 1).await;
    assert_eq!((dropped(&scene), scene.peer().key), (1, key));
}

#[actix::test]
async fn a_few_are_closed_at_once_and_the_next_ones_soon() {
    let scene = Scene::open(Plan::default().idle_bytes(60 * KIB)).await;
    let frame = encoded(&send_to("T", 100 * KIB), 1);
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = scene.client().await;
        client.stream.write_all(&frame[..KIB]).await.unwrap();
        clients.push(client);
    }
    let all_began = |io: &IoState| count(io, |peer| peer.begun.get().is_some()) == 100;
    scene.until("all have begun", all_began).await;
    scene.stage.clock.advance(A_SECOND);
    let again = relieve(&scene.io, scene.stage.clock.monotonic());
    assert!(again < HURRY / 10, "{again:?}");
    let closing = count(&scene.io, |peer| peer.closing().is_some());
    assert_eq!(closing, 32, "others have their turn meanwhile");
    scene.until("enough are closed", |io| !io.budgets.idle.is_spent()).await;
}

#[actix::test]
async fn of_a_newcomer_no_more_is_read_where_memory_is_overdrawn_and_it_is_the_next_to_go() {
    let scene = Scene::open(Plan::default().idle_bytes(20 * KIB)).await;
    let frame = encoded(&send_to("T", 100 * KIB), 1);
    let _half = half_open(&scene, &frame[..90 * KIB]).await;
    let key = scene.peer().key;
    let mut newcomer = scene.client().await;
    newcomer.stream.write_all(&frame[..10 * KIB]).await.unwrap();
    let of_newcomer = |io: &IoState| io.peers.borrow().iter().find(|peer| peer.key != key).cloned();
    scene
        .until("it waits", |io| {
            of_newcomer(io).is_some_and(|peer| peer.unread.get().is_some())
        })
        .await;
    let newcomer = of_newcomer(&scene.io).unwrap();
    assert!(newcomer.still_since().is_some());
    assert_eq!(newcomer.begun.get(), None, "it is not to blame for the time");
    let held = newcomer.idle.get().saturating_sub(in_kernel(&newcomer));
    assert!(held < 5 * KIB, "{held} bytes of it were read");
    scene.stage.clock.advance(HURRY);
    scene.until("both are closed", |io| io.peers.borrow().is_empty()).await;
    assert_eq!(dropped(&scene), 2);
}

#[actix::test]
async fn a_long_frame_that_does_not_go_on_is_no_reason_to_refuse_others() {
    let scene = Scene::open(Plan::default().waiting_bytes(256 * KIB)).await;
    let witness = scene.client().await;
    let key = scene.peer().key;
    let _half = half_open(&scene, &encoded(&send_to("T", 1024 * KIB), 1)[..300 * KIB]).await;
    assert!(scene.io.budgets.waiting.is_spent());
    scene.stage.clock.advance(HURRY);
    is_alone(&scene, key, witness).await;
    assert_eq!((dropped(&scene), scene.io.budgets.waiting.used()), (1, 0));
}

#[actix::test]
async fn requests_whose_answers_nobody_takes_are_no_reason_to_refuse_others() {
    let scene = Scene::open(Plan::default().control_bytes(64 * KIB)).await;
    let witness = scene.client().await;
    let key = scene.peer().key;
    let _slow = slow_reader(&scene).await;
    // An actor works on something of it.
    let peer = scene.io.peers.borrow().iter().find(|peer| peer.key != key).cloned();
    peer.unwrap().control_begins(64 * KIB);
    scene.io.budgets.controls.take(64 * KIB);
    scene.stage.clock.advance(HURRY);
    scene.until("it is closed", |io| io.peers.borrow().len() == 1).await;
    assert_eq!((dropped(&scene), scene.peer().key), (1, key));
    drop(witness);
}

#[actix::test]
async fn connections_that_are_closed_at_their_first_byte_have_ten_lines_and_then_one_in_a_second() {
    let scene = Scene::open(Plan::default()).await;
    for _ in 0..LINES + 2 {
        let mut client = scene.client().await;
        // It begins as TLS, which is switched off.
        client.stream.write_all(&[0x16]).await.unwrap();
        client.stream.read_to_end(&mut Vec::new()).await.unwrap();
    }
    let later = scene.stage.clock.monotonic() + A_SECOND;
    assert_eq!(scene.io.metrics.greetings_told.due(later), Some(2), "left out");
}

#[actix::test]
async fn a_client_that_takes_its_answers_is_served_however_much_others_hold() {
    let scene = Scene::open(Plan::default().idle_bytes(0)).await;
    let mut client = scene.client().await;
    // More answers at once than an idle connection keeps memory for.
    for round in 0..3 {
        client.send((0..40).map(|_| commit())).await;
        for number in 1..=40 {
            assert_eq!(client.answer().await, (40 * round + number, ResponseCode::SUCCESS));
        }
    }
}
