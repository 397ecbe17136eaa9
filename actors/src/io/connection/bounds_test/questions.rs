//! What the broker asks clients: each answer finds its question, and no question outlives its end.

use std::time::Duration;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use tokio::task::JoinHandle;

use super::scene::{Client, Plan, Scene, encoded};
use crate::io::egress::{AskClient, CloseAll, TellClients};
use crate::io::questions::{FIRST_OPAQUE, QUESTIONS_MAX, Unanswered};
use crate::peer::PeerKey;
use crate::testing::PATIENCE;

const LONG: usize = 1 << 20;

type Asked = JoinHandle<Result<Command, Unanswered>>;

/// Asks the client behind a connection.
fn ask(scene: &Scene, peer: PeerKey, patience: Duration) -> Asked {
    let command = Command::request(RequestCode::GET_CONSUMER_RUNNING_INFO).with_field("clientId", "c");
    let ask = AskClient {
        peer,
        command,
        patience,
    };
    let asked = scene.egress.send(ask);
    actix_rt::spawn(async move { asked.await.expect("the thread goes on") })
}

fn answer_to(question: &Command, body: &[u8]) -> Vec<u8> {
    let answer = Command::response_to(question, ResponseCode::SUCCESS).with_body(body.to_vec());
    encoded(&answer, question.opaque)
}

/// The keys of two connections, in the order in which they were made.
async fn two_clients(scene: &Scene) -> [(Client, PeerKey); 2] {
    let first = scene.client().await;
    let first_key = scene.peer().key;
    let second = scene.client().await;
    let second_key = scene.io.peers.borrow().iter().last().unwrap().key;
    assert_ne!(first_key, second_key);
    [(first, first_key), (second, second_key)]
}

async fn nothing_waits(scene: &Scene, question: &Command, peer: PeerKey) {
    let opaque = question.opaque;
    scene
        .until("nothing waits", |io| !io.questions.waits_for(peer, opaque))
        .await;
}

#[actix::test]
async fn each_answer_finds_its_question_in_any_order_and_on_its_own_connection_alone() {
    let scene = Scene::open(Plan::default()).await;
    let [(mut one, one_key), (mut two, two_key)] = two_clients(&scene).await;
    let asked = [one_key, one_key, two_key].map(|peer| ask(&scene, peer, PATIENCE));
    let questions = [one.next().await, one.next().await, two.next().await];
    for question in &questions {
        assert!(!question.is_response() && !question.is_oneway() && question.opaque >= FIRST_OPAQUE);
        assert_eq!(question.fields.get("clientId"), Some("c"));
    }
    // A stranger's answer to another's question is nobody's.
    let answers = [(0, b"0"), (1, b"1"), (2, b"2")].map(|(at, body)| answer_to(&questions[at], body));
    let forged = answer_to(&questions[0], b"forged");
    let _two = two.writing([forged, answers[2].clone()].concat()).await.unwrap();
    let _one = one
        .writing([answers[1].clone(), answers[0].clone()].concat())
        .await
        .unwrap();
    for (at, asked) in asked.into_iter().enumerate() {
        let answer = asked.await.unwrap().unwrap();
        assert_eq!(*answer.body, [b'0' + u8::try_from(at).unwrap()]);
    }
}

#[actix::test]
async fn a_question_ends_at_its_deadline_and_a_late_answer_is_nobodys() {
    let scene = Scene::open(Plan::default()).await;
    let mut client = scene.client().await;
    let peer = scene.peer().key;
    let patience = Duration::from_millis(20);
    let asked = ask(&scene, peer, patience);
    let question = client.next().await;
    assert_eq!(asked.await.unwrap().unwrap_err(), Unanswered::TimedOut(patience));
    nothing_waits(&scene, &question, peer).await;
    let late = answer_to(&question, &vec![b'x'; LONG]);
    let mut client = client.writing(late).await.unwrap();
    let next = ask(&scene, peer, PATIENCE);
    let question = client.next().await;
    let client = client.writing(answer_to(&question, b"in time")).await.unwrap();
    assert_eq!(*next.await.unwrap().unwrap().body, *b"in time");
    drop(client);
}

#[actix::test]
async fn a_question_ends_with_its_connection() {
    let scene = Scene::open(Plan::default()).await;
    let mut client = scene.client().await;
    let peer = scene.peer().key;
    let asked = ask(&scene, peer, PATIENCE);
    client.next().await;
    drop(client);
    assert_eq!(asked.await.unwrap().unwrap_err(), Unanswered::Gone);
    let never = ask(&scene, peer, PATIENCE).await.unwrap();
    assert_eq!(never.unwrap_err(), Unanswered::Gone, "there is nobody to ask any more");
}

#[actix::test]
async fn a_stop_waits_for_no_answer() {
    let scene = Scene::open(Plan::default()).await;
    let mut client = scene.client().await;
    let asked = ask(&scene, scene.peer().key, PATIENCE);
    client.next().await;
    scene.egress.send(CloseAll).await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap_err(), Unanswered::Gone);
    client.closed().await;
}

#[actix::test]
async fn so_many_questions_wait_and_no_more() {
    let scene = Scene::open(Plan::default()).await;
    let mut client = scene.client().await;
    let peer = scene.peer().key;
    let mut asked: Vec<_> = (0..QUESTIONS_MAX).map(|_| ask(&scene, peer, PATIENCE)).collect();
    let first = client.next().await;
    for _ in 1..QUESTIONS_MAX {
        client.next().await;
    }
    let one_more = ask(&scene, peer, PATIENCE).await.unwrap();
    assert_eq!(one_more.unwrap_err(), Unanswered::TooMany);
    let client = client.writing(answer_to(&first, b"")).await.unwrap();
    asked.remove(0).await.unwrap().unwrap();
    drop(client);
    for waits in asked {
        assert_eq!(waits.await.unwrap().unwrap_err(), Unanswered::Gone);
    }
}

#[actix::test]
async fn a_long_answer_comes_whole_and_is_counted_while_it_arrives() {
    let scene = Scene::open(Plan::default()).await;
    let mut client = scene.client().await;
    let asked = ask(&scene, scene.peer().key, PATIENCE);
    let question = client.next().await;
    let bytes = answer_to(&question, &vec![b'x'; LONG]);
    let (half, rest) = bytes.split_at(bytes.len() / 2);
    let client = client.writing(half.to_vec()).await.unwrap();
    let half = half.len() / 2;
    scene
        .until("it is counted", |io| io.budgets.controls.used() > half)
        .await;
    let client = client.writing(rest.to_vec()).await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap().body.len(), LONG);
    scene
        .until("nothing is left", |io| io.budgets.controls.used() == 0)
        .await;
    drop(client);
}

#[actix::test]
async fn an_answer_that_finds_no_room_is_passed_over_and_whoever_waits_for_it_is_told() {
    let scene = Scene::open(Plan::default().answer_bytes(1)).await;
    let _others = scene.io.budgets.answers.share(1);
    let mut client = scene.client().await;
    let asked = ask(&scene, scene.peer().key, PATIENCE);
    let question = client.next().await;
    let mut client = client.writing(answer_to(&question, &vec![b'x'; LONG])).await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap_err(), Unanswered::NoRoom);
    let short = ask(&scene, scene.peer().key, PATIENCE);
    let question = client.next().await;
    let client = client.writing(answer_to(&question, b"short")).await.unwrap();
    assert_eq!(*short.await.unwrap().unwrap().body, *b"short");
    drop(client);
}

#[actix::test]
async fn those_who_are_told_get_it_oneway_and_who_takes_nothing_is_passed_by() {
    let scene = Scene::open(Plan::default()).await;
    let [(mut one, one_key), (_two, two_key)] = two_clients(&scene).await;
    let stuffed = scene.io.peers.borrow().get(two_key).cloned().unwrap();
    stuffed.outbox.borrow_mut().append(|out| out.resize(LONG, 0));
    let before = stuffed.outbox.borrow().waiting();
    let command = Command::request(RequestCode::RESET_CONSUMER_CLIENT_OFFSET).oneway();
    let peers = vec![one_key, two_key];
    scene.egress.send(TellClients { peers, command }).await.unwrap();
    let told = one.next().await;
    assert!(told.is_oneway() && told.code == RequestCode::RESET_CONSUMER_CLIENT_OFFSET.0);
    assert!(stuffed.outbox.borrow().waiting() <= before);
    let refused = ask(&scene, two_key, PATIENCE).await.unwrap();
    assert_eq!(refused.unwrap_err(), Unanswered::Stalled);
}
