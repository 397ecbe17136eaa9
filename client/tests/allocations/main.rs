//! What a sent message costs in allocations, once connections, buffers and tables have grown to what the load needs: those
//! of the whole process are counted while a server without any answers in place.
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]

mod counting;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cuemq_client::network::{BoxFuture, Network, Stream};
use cuemq_client::{ClientOptions, Message, Producer};
use cuemq_net::body::{Body, BrokerData, QueueData, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::dialect::Style;
use cuemq_net::frame;
use cuemq_net::header::{self, HeaderScratch};
use cuemq_net::response::{self, ResponseHead, SendResponse};
use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a message may cost: the topic of the message itself, and its properties as they travel.
const MOST: f64 = 2.0;

const IN_FLIGHT: usize = 32;
const MESSAGES: usize = 20_000;

/// A name server and broker at the other end of a stream, whose memory is there from the beginning.
struct Server {
    asked: Vec<u8>,
    answers: Vec<u8>,
    sent: usize,
    scratch: HeaderScratch,
    reader: Option<Waker>,
}

impl Server {
    fn new() -> Self {
        Self {
            asked: Vec::with_capacity(1 << 20),
            answers: Vec::with_capacity(1 << 20),
            sent: 0,
            scratch: HeaderScratch::new(),
            reader: None,
        }
    }

    fn answer_all(&mut self) {
        let mut done = 0;
        while let Some(parts) = frame::check(&self.asked[done..], frame::MAX_FRAME_BYTES).unwrap() {
            let header = &self.asked[done..][parts.header];
            let view = header::parse(parts.codec, header, &mut self.scratch).unwrap();
            let head = ResponseHead::new(ResponseCode::SUCCESS, view.opaque);
            let route;
            let (stored, body) = match RequestCode(view.code) {
                RequestCode::SEND_MESSAGE_V2 => (true, &b""[..]),
                RequestCode::GET_ROUTEINTO_BY_TOPIC => {
                    route = topic_route();
                    (false, &route[..])
                }
                _ => (false, &b""[..]),
            };
            let fields = SendResponse {
                msg_id: "0A00000100002A9F00000000000003EE",
                queue_id: view.fields.get("e").and_then(|id| id.parse().ok()).unwrap_or_default(),
                queue_offset: 123_456,
                region: Some("DefaultRegion"),
                trace_on: Some(true),
                ..SendResponse::default()
            };
            let write = |out: &mut header::FieldWriter<'_>| {
                if stored {
                    fields.write(out);
                }
            };
            response::write(&mut self.answers, parts.codec, head, None, write, body.len()).unwrap();
            self.answers.extend_from_slice(body);
            done += parts.total;
        }
        self.asked.drain(..done);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

fn topic_route() -> Vec<u8> {
    let route = TopicRouteData {
        broker_datas: vec![BrokerData {
            broker_name: "b".to_owned(),
            broker_addrs: [(0, "b:1".to_owned())].into(),
            ..BrokerData::default()
        }],
        queue_datas: vec![QueueData {
            broker_name: "b".to_owned(),
            perm: 6,
            read_queue_nums: 8,
            write_queue_nums: 8,
            ..QueueData::default()
        }],
        ..TopicRouteData::default()
    };
    route.encode(Style::Standard)
}

impl AsyncRead for Server {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = self.answers.len() - self.sent;
        if left == 0 {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let many = left.min(out.remaining());
        out.put_slice(&self.answers[self.sent..self.sent + many]);
        self.sent += many;
        if self.sent == self.answers.len() {
            self.answers.clear();
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Server {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.asked.extend_from_slice(bytes);
        self.answer_all();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct InPlace;

impl Network for InPlace {
    fn connect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Ok(Box::new(Server::new()) as Box<dyn Stream>) })
    }

    fn own_address<'a>(&'a self, _: &'a str) -> BoxFuture<'a, IpAddr> {
        Box::pin(std::future::ready(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }
}

async fn send(producer: &Producer, body: &Bytes, messages: usize) {
    let sender = async |many: usize| {
        for _ in 0..many {
            let sent = producer.send(Message::new("Orders", body.clone())).await.unwrap();
            assert_eq!(sent.queue_offset, 123_456);
        }
    };
    join_all((0..IN_FLIGHT).map(|_| sender(messages / IN_FLIGHT))).await;
}

#[tokio::test(start_paused = true)]
async fn a_sent_message_costs_two_allocations_at_most() {
    let options = ClientOptions::new().namesrv_addr("ns:1").network(Arc::new(InPlace));
    let builder = Producer::builder("g").client_options(options).topics(["Orders"]);
    let producer = builder.start().await.unwrap();
    let body = Bytes::from(vec![7; 1024]);
    send(&producer, &body, MESSAGES).await;
    let before = counting::allocations();
    send(&producer, &body, MESSAGES).await;
    let each = (counting::allocations() - before) as f64 / MESSAGES as f64;
    println!("{each:.3} allocations for a message");
    // what is shared by many, as a buffer of answers, is less than a tenth
    assert!(each <= MOST + 0.1, "{each:.3} allocations for a message");
    producer.shutdown().await;
}
