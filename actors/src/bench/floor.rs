//! `cuemq bench floor`: a server that reads the same frames and answers each with success, storing nothing. What it costs
//! is what sockets and frames cost on this machine, so a broker's figures can be given as a ratio to it, in the same run.
//!
//! A pull is answered with as many records of 1 KiB as it asks for, from the position that it asks for; queues seem to
//! begin at 0 and to hold a million messages.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result};
use cuemq_net::body::{Body, BrokerData, QueueData, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::dialect::Style;
use cuemq_net::frame::{FrameError, HeaderCodec};
use cuemq_net::header::{self, HeaderScratch};
use cuemq_net::message::record::{self, RecordFields};
use cuemq_net::request::PullHeader;
use cuemq_net::response::{self, OffsetResponse, PullResponse, ResponseHead, SendResponse};

use super::pipe::{Inflow, Pipe};
use super::poll::{Interest, Poll, Ready};
use super::scan::{Numbers, Scanner};

/// The listener's number; connections follow.
const LISTENER: usize = 0;
/// How many messages each queue seems to hold.
const MAX_OFFSET: i64 = 1_000_000;
/// What messages to pull have in their bodies.
const BODY_BYTES: usize = 1024;
/// The most messages that one pull gets.
const MAX_MESSAGES: i32 = 1024;
/// What the answer to a send says; no message is behind it.
const MESSAGE_ID: &str = "7F00000100002A9F0000000000000000";

/// The server.
pub(super) struct Floor {
    listener: TcpListener,
    poll: Poll,
    ready: Vec<Ready>,
    connections: Vec<Option<Connection>>,
    answers: Answers,
}

struct Connection {
    pipe: Pipe,
    wants_room: bool,
}

/// How requests are answered.
struct Answers {
    address: SocketAddr,
    scanner: Scanner,
    scratch: HeaderScratch,
    record: Vec<u8>,
}

impl Floor {
    pub(super) fn bind(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.add(LISTENER, &listener)?;
        Ok(Self {
            listener,
            poll,
            ready: Vec::new(),
            connections: Vec::new(),
            answers: Answers {
                address,
                scanner: Scanner::new(),
                scratch: HeaderScratch::new(),
                record: record(address)?,
            },
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.answers.address
    }

    /// Waits until something can be done, and does it.
    pub(super) fn turn(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        self.poll.wait(limit, &mut ready)?;
        for event in &ready {
            if event.number == LISTENER {
                self.accept()?;
            } else if !self.serve(event) {
                self.connections[event.number - 1] = None;
            }
        }
        self.ready = ready;
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let free = self.connections.iter().position(Option::is_none);
            let place = free.unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let pipe = Pipe::new(socket)?;
            self.poll.add(place + 1, pipe.socket())?;
            self.connections[place] = Some(Connection {
                pipe,
                wants_room: false,
            });
        }
    }

    /// Whether the connection goes on.
    fn serve(&mut self, event: &Ready) -> bool {
        let Some(connection) = &mut self.connections[event.number - 1] else {
            return true;
        };
        if event.readable {
            let inflow = connection.pipe.read();
            if !matches!(inflow, Ok(Inflow::Open)) || self.answers.answer_all(&mut connection.pipe).is_err() {
                return false;
            }
        }
        let Ok(is_done) = connection.pipe.flush() else {
            return false;
        };
        if connection.wants_room == is_done {
            connection.wants_room = !is_done;
            // a client that does not read its answers is not read either
            let interest = if is_done { Interest::Read } else { Interest::Write };
            return self
                .poll
                .watch(event.number, connection.pipe.socket(), interest)
                .is_ok();
        }
        true
    }
}

impl Answers {
    fn answer_all(&mut self, pipe: &mut Pipe) -> Result<(), FrameError> {
        while let Some(frame) = pipe.next_frame()? {
            let (input, out) = pipe.bytes();
            self.answer(frame.codec, &input[frame.header], out)?;
        }
        Ok(())
    }

    fn answer(&mut self, codec: HeaderCodec, header: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        let Some(Numbers { code, opaque }) = self.scanner.scan(codec, header) else {
            return Ok(());
        };
        let head = ResponseHead::new(ResponseCode::SUCCESS, opaque);
        match RequestCode(code) {
            RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_MESSAGE => {
                let stored = SendResponse {
                    msg_id: MESSAGE_ID,
                    ..SendResponse::default()
                };
                response::write(out, codec, head, None, |fields| stored.write(fields), 0)
            }
            RequestCode::PULL_MESSAGE => self.pulled(codec, header, head, out),
            RequestCode::GET_MIN_OFFSET => position(codec, head, 0, out),
            RequestCode::GET_MAX_OFFSET => position(codec, head, MAX_OFFSET, out),
            RequestCode::GET_ROUTEINTO_BY_TOPIC => {
                let route = self.route().encode(Style::Standard);
                response::write(out, codec, head, None, |_| (), route.len())?;
                out.extend_from_slice(&route);
                Ok(())
            }
            _ => response::write(out, codec, head, None, |_| (), 0),
        }
    }

    fn pulled(
        &mut self,
        codec: HeaderCodec,
        header: &[u8],
        head: ResponseHead,
        out: &mut Vec<u8>,
    ) -> Result<(), FrameError> {
        let view = header::parse(codec, header, &mut self.scratch).unwrap_or_default();
        let asked = PullHeader::read(&view).unwrap_or_default();
        let first = asked.queue_offset.clamp(0, MAX_OFFSET);
        let count = asked.max_msg_nums.clamp(1, MAX_MESSAGES);
        let found = PullResponse {
            suggest_which_broker_id: 0,
            next_begin_offset: first + i64::from(count),
            min_offset: 0,
            max_offset: MAX_OFFSET,
        };
        let body = self.record.len() * count as usize;
        response::write(out, codec, head, None, |fields| found.write(fields), body)?;
        for queue_offset in first..first + i64::from(count) {
            let at = out.len();
            out.extend_from_slice(&self.record);
            let queue_offset_place = at + record::position::QUEUE_OFFSET;
            out[queue_offset_place..queue_offset_place + 8].copy_from_slice(&queue_offset.to_be_bytes());
        }
        Ok(())
    }

    /// Whatever the topic, it is here.
    fn route(&self) -> TopicRouteData {
        let broker_name = "floor".to_owned();
        TopicRouteData {
            broker_datas: vec![BrokerData {
                broker_addrs: [(0, self.address.to_string())].into(),
                broker_name: broker_name.clone(),
                ..BrokerData::default()
            }],
            queue_datas: vec![QueueData {
                broker_name,
                perm: 6,
                read_queue_nums: 8,
                write_queue_nums: 8,
                topic_sys_flag: 0,
            }],
            ..TopicRouteData::default()
        }
    }
}

fn position(codec: HeaderCodec, head: ResponseHead, queue_offset: i64, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let found = OffsetResponse { queue_offset };
    response::write(out, codec, head, None, |fields| found.write(fields), 0)
}

fn record(address: SocketAddr) -> Result<Vec<u8>> {
    let body = vec![b'x'; BODY_BYTES];
    let fields = RecordFields {
        body: &body,
        body_crc: record::body_crc(&body),
        topic: "floor",
        properties: b"",
        queue_id: 0,
        flag: 0,
        system_flag: 0,
        born_timestamp_ms: 0,
        born_host: address,
        store_host: address,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
    };
    let mut record = Vec::new();
    record::encode(&fields, &mut record)?;
    Ok(record)
}
