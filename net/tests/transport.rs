//! Calls over a connection, from both ends of a pipe: answers in any order, time running out, and every way to end.
#![cfg(feature = "transport")]
#![expect(clippy::unwrap_used, reason = "a test that cannot do its work has failed")]

use std::time::Duration;

use bytes::BytesMut;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::MAX_FRAME_BYTES;
use cuemq_net::request::ConsumerList;
use cuemq_net::transport::{CallError, Caller, EndError, ReadError, Settings, over, read_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

/// Long enough that only a fault waits for it.
const LONG: Duration = Duration::from_secs(60);
/// What a call gets that is not to be answered.
const SHORT: Duration = Duration::from_millis(1);

/// The far end of the pipe, by hand.
struct Peer {
    stream: DuplexStream,
    buffer: BytesMut,
}

impl Peer {
    async fn read(&mut self) -> Command {
        let frame = read_frame(&mut self.stream, &mut self.buffer, MAX_FRAME_BYTES)
            .await
            .unwrap();
        Command::decode(&frame.unwrap()).unwrap()
    }

    async fn write(&mut self, command: &Command) {
        let mut frame = Vec::new();
        command.encode(&mut frame).unwrap();
        self.stream.write_all(&frame).await.unwrap();
    }

    async fn answer(&mut self, request: &Command, remark: &str) {
        self.write(&Command::response_to(request, ResponseCode::SUCCESS).with_remark(remark))
            .await;
    }
}

type Ended = JoinHandle<Result<(), EndError>>;

fn connect(settings: Settings) -> (Caller, Receiver<Command>, Ended, Peer) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let (caller, requests, driver) = over(ours, settings);
    (
        caller,
        requests,
        tokio::spawn(driver.run()),
        Peer {
            stream: theirs,
            buffer: BytesMut::new(),
        },
    )
}

fn heartbeat(body: &'static str) -> Command {
    Command::request(RequestCode::HEART_BEAT).with_body(body)
}

#[tokio::test]
async fn answers_find_their_calls_in_any_order() {
    let (caller, _requests, _ended, mut peer) = connect(Settings::default());
    let (first, second) = (heartbeat("1"), heartbeat("2"));
    let calls = async { tokio::join!(caller.request(&first, LONG), caller.request(&second, LONG)) };
    let serve = async {
        let (first, second) = (peer.read().await, peer.read().await);
        assert_ne!(first.opaque, second.opaque);
        peer.answer(&second, "to the second").await;
        peer.answer(&first, "to the first").await;
    };
    let ((first, second), ()) = tokio::join!(calls, serve);
    assert_eq!(first.unwrap().remark.as_deref(), Some("to the first"));
    assert_eq!(second.unwrap().remark.as_deref(), Some("to the second"));
    assert_eq!(caller.pending(), 0);
}

/// Otherwise the peer has nothing to do while the calls of all its answers are made.
#[tokio::test]
async fn who_is_answered_first_asks_again_before_the_last_answer_is_handed_out() {
    const CALLS: usize = 64;
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (caller, _requests, driver) = over(ours, Settings::default());
    tokio::spawn(driver.run());
    let mut peer = Peer {
        stream: theirs,
        buffer: BytesMut::new(),
    };
    for _ in 0..CALLS {
        let caller = caller.clone();
        tokio::spawn(async move { while caller.request(&heartbeat("again"), LONG).await.is_ok() {} });
    }
    let mut answers = Vec::new();
    for _ in 0..CALLS {
        let answer = Command::response_to(&peer.read().await, ResponseCode::SUCCESS);
        answer.encode(&mut answers).unwrap();
    }
    assert!(peer.buffer.is_empty(), "each call waits for its answer");
    peer.stream.write_all(&answers).await.unwrap();
    let first = peer.read().await;
    let asked_at_once = 1 + peer.buffer.len() / length_of(&first);
    assert!(asked_at_once < CALLS, "all came together");
}

fn length_of(request: &Command) -> usize {
    let mut frame = Vec::new();
    request.encode(&mut frame).unwrap();
    frame.len()
}

#[tokio::test]
async fn a_typed_header_and_a_body_arrive() {
    let (caller, _requests, _ended, mut peer) = connect(Settings::default());
    let header = ConsumerList { consumer_group: "g" };
    let call = caller.call(
        RequestCode::GET_CONSUMER_LIST_BY_GROUP,
        |fields| header.write(fields),
        b"body",
        LONG,
    );
    let serve = async {
        let request = peer.read().await;
        assert_eq!((request.code, request.fields.get("consumerGroup")), (38, Some("g")));
        assert_eq!(request.body, "body");
        peer.answer(&request, "").await;
    };
    assert!(tokio::join!(call, serve).0.is_ok());
}

#[tokio::test]
async fn a_late_answer_is_dropped_and_the_connection_goes_on() {
    let (caller, _requests, _ended, mut peer) = connect(Settings::default());
    assert!(matches!(
        caller.request(&heartbeat("late"), SHORT).await,
        Err(CallError::Timeout(SHORT))
    ));
    assert_eq!(caller.pending(), 0);
    let next = heartbeat("next");
    let serve = async {
        let late = peer.read().await;
        peer.answer(&late, "late").await;
        let next = peer.read().await;
        peer.answer(&next, "in time").await;
    };
    let (answer, ()) = tokio::join!(caller.request(&next, LONG), serve);
    assert_eq!(answer.unwrap().remark.as_deref(), Some("in time"));
}

#[tokio::test]
async fn a_call_beyond_the_bound_is_not_sent() {
    let (caller, _requests, _ended, mut peer) = connect(Settings {
        max_pending: 1,
        ..Settings::default()
    });
    let request = heartbeat("1");
    let serve = async {
        let first = peer.read().await;
        let refused = caller.request(&heartbeat("2"), LONG).await;
        assert!(matches!(refused, Err(CallError::TooManyPending { limit: 1 })));
        peer.answer(&first, "").await;
    };
    assert!(tokio::join!(caller.request(&request, LONG), serve).0.is_ok());
}

#[tokio::test]
async fn the_peers_end_fails_every_call() {
    let (caller, _requests, ended, mut peer) = connect(Settings::default());
    let request = heartbeat("1");
    let serve = async {
        peer.read().await;
        drop(peer);
    };
    let (answer, ()) = tokio::join!(caller.request(&request, LONG), serve);
    assert!(matches!(answer, Err(CallError::Lost)));
    ended.await.unwrap().unwrap();
    assert!(caller.is_closed() && caller.was_ended_by_peer());
    assert!(matches!(caller.request(&request, LONG).await, Err(CallError::Closed)));
    assert!(matches!(caller.oneway(&request).await, Err(CallError::Closed)));
}

#[tokio::test]
async fn closing_fails_every_call_and_a_dropped_driver_too() {
    let (caller, _requests, ended, mut peer) = connect(Settings::default());
    let request = heartbeat("1");
    let close = async {
        peer.read().await;
        caller.close();
    };
    let (answer, ()) = tokio::join!(caller.request(&request, LONG), close);
    assert!(matches!(answer, Err(CallError::Lost)));
    ended.await.unwrap().unwrap();
    assert!(!caller.was_ended_by_peer());

    let (ours, _theirs) = tokio::io::duplex(64);
    let (caller, _requests, driver) = over(ours, Settings::default());
    let (answer, ()) = tokio::join!(biased; caller.request(&request, LONG), async { drop(driver) });
    assert!(matches!(answer, Err(CallError::Lost)));
    assert!(!caller.was_ended_by_peer());
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_connection_with_the_reason() {
    let (caller, _requests, ended, mut peer) = connect(Settings::default());
    let request = heartbeat("1");
    let serve = async {
        peer.read().await;
        peer.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n").await.unwrap();
    };
    let (answer, ()) = tokio::join!(caller.request(&request, LONG), serve);
    assert!(matches!(answer, Err(CallError::Lost)));
    assert!(matches!(ended.await.unwrap(), Err(EndError::Read(ReadError::Frame(_)))));
    assert!(caller.was_ended_by_peer());
}

#[tokio::test]
async fn the_peer_asks_under_an_opaque_of_its_own() {
    let (caller, mut requests, _ended, mut peer) = connect(Settings::default());
    let ours = heartbeat("ours");
    let serve = async {
        let ours = peer.read().await;
        let mut theirs = Command::request(RequestCode::GET_CONSUMER_RUNNING_INFO);
        theirs.opaque = ours.opaque;
        peer.write(&theirs).await;
        let answer = peer.read().await;
        assert!(answer.is_response());
        assert_eq!(
            (answer.opaque, answer.remark.as_deref()),
            (ours.opaque, Some("running"))
        );
        peer.answer(&ours, "fine").await;
    };
    let respond = async {
        let request = requests.recv().await.unwrap();
        let answer = Command::response_to(&request, ResponseCode::SUCCESS).with_remark("running");
        caller.respond(&request, &answer).await.unwrap();
    };
    let (answer, (), ()) = tokio::join!(caller.request(&ours, LONG), serve, respond);
    assert_eq!(answer.unwrap().remark.as_deref(), Some("fine"));
}

#[tokio::test]
async fn requests_beyond_the_bound_are_refused_and_oneway_ones_dropped() {
    let (caller, mut requests, _ended, mut peer) = connect(Settings {
        max_requests: 1,
        ..Settings::default()
    });
    for body in ["kept", "refused"] {
        peer.write(&heartbeat(body)).await;
    }
    peer.write(&heartbeat("dropped").oneway()).await;
    let refusal = peer.read().await;
    assert_eq!(
        (refusal.code, refusal.remark.as_deref()),
        (2, Some("too many requests are waiting"))
    );
    assert_eq!(requests.recv().await.unwrap().body, "kept");
    // an answer to what is oneway is not sent: the next thing that the peer reads is the mark
    caller
        .respond(&heartbeat("").oneway(), &heartbeat("answer"))
        .await
        .unwrap();
    caller.oneway(&heartbeat("mark")).await.unwrap();
    let mark = peer.read().await;
    assert!(mark.is_oneway());
    assert_eq!(mark.body, "mark");
    drop(requests);
    peer.write(&heartbeat("nobody serves it")).await;
    assert_eq!(peer.read().await.code, ResponseCode::REQUEST_CODE_NOT_SUPPORTED.0);
}

#[tokio::test]
async fn what_was_sent_is_written_before_the_connection_ends() {
    let (caller, _requests, ended, mut peer) = connect(Settings::default());
    // more than the pipe holds
    let long = Command::request(RequestCode::HEART_BEAT).with_body(vec![7; 100_000]);
    caller.oneway(&long).await.unwrap();
    caller.clone().oneway(&heartbeat("last")).await.unwrap();
    drop(caller);
    assert_eq!(peer.read().await.body, long.body);
    assert_eq!(peer.read().await.body, "last");
    assert_eq!(peer.stream.read(&mut [0; 8]).await.unwrap(), 0);
    ended.await.unwrap().unwrap();
}
