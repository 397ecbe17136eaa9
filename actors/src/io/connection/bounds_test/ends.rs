//! What a connection leaves behind when it ends: nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::scene::{Plan, Scene, encoded, heartbeat};
use crate::net::Stream;

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
