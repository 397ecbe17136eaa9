//! What a connection leaves behind when it ends: nothing.

use std::time::Duration;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::{self, MAX_FRAME_BYTES};
use cuemq_net::header::{self, HeaderScratch};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::scene::{Plan, Scene, encoded, heartbeat, send_to};
use crate::io::send::{self, SendRequest};
use crate::net::Stream;
use crate::peer::PeerKey;

/// A connection that brings some bytes and is reset at the next read.
struct Reset(Option<Vec<u8>>);

impl AsyncRead for Reset {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.0.take() {
            Some(bytes) => {
                room.put_slice(&bytes);
                Poll::Ready(Ok(()))
            }
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncWrite for Reset {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Stream for Reset {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 9)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 10_911)))
    }
}

#[actix::test]
async fn a_heartbeat_that_was_read_just_before_a_reset_makes_no_member() {
    let mut scene = Scene::open(Plan::default()).await;
    scene.serve(Reset(Some(encoded(&heartbeat(5), 1)))).await;
    scene.gone.next().await;
    scene
        .until("the request is forgotten", |io| io.budgets.controls.used() == 0)
        .await;
    // Another one is heard, and was sent later.
    let mut client = scene.client().await;
    client.send([heartbeat(5)]).await;
    client.answer().await;
    assert_eq!(*scene.heartbeats.borrow(), 1);
}

#[actix::test]
async fn an_end_that_overtakes_a_heartbeat_in_a_full_mailbox_is_told_again_behind_it() {
    let mut scene = Scene::new(Plan::default()).await;
    let mut client = scene.client().await;
    client.send([heartbeat(5)]).await;
    scene
        .until("the heartbeat is taken", |io| io.budgets.controls.used() > 0)
        .await;
    // Its task has its turn before the connection ends.
    scene.stage.reports.drain().await;
    scene.peer().close("the test ends it");
    let key = scene.gone.next().await.0;
    scene.gates.members = None;
    assert_eq!(scene.gone.next().await.0, key);
    assert_eq!(*scene.heartbeats.borrow(), 1);
}

#[actix::test]
async fn what_a_failed_connection_left_is_told_to_it_and_charged_to_nobody() {
    let mut scene = Scene::open(Plan::default()).await;
    let failed = PeerKey {
        thread: 0,
        slot: 77,
        generation: 77,
    };
    // As by a panic between the check of a send and the end of its turn.
    let bytes = encoded(&send_to("T", 1000), 1);
    let frame = frame::check(&bytes, MAX_FRAME_BYTES).unwrap().unwrap();
    let mut scratch = HeaderScratch::new();
    let request = SendRequest {
        view: &header::parse(frame.codec, &bytes[frame.header.clone()], &mut scratch).unwrap(),
        codec: frame.codec,
        body: &bytes[frame.body.clone()],
        peer: failed,
        remote: SocketAddr::from(([127, 0, 0, 1], 9)),
        read_at: Duration::ZERO,
    };
    let side = scene.io.broker.as_ref().unwrap();
    send::take(&scene.io, side, request, &mut scene.io.batches.borrow_mut()).unwrap();

    let mut client = scene.client().await;
    client.send([send_to("T", 10)]).await;
    let batch = scene.batch().await;
    assert_ne!(
        batch.batch.context.peer, failed,
        "what was left is not stored for another"
    );
    scene.stored(batch).await;
    assert_eq!(client.answer().await, (1, ResponseCode::SUCCESS));
    assert_eq!((scene.peer().in_flight.get(), scene.io.budgets.log.used()), (0, 0));
    client
        .send([Command::request(RequestCode::GET_CONSUMER_LIST_BY_GROUP).with_field("consumerGroup", "g")])
        .await;
    assert_eq!(client.answer().await.0, 2);
    assert!(scene.log.try_recv().is_err());
}
