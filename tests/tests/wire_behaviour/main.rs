//! What clients of the protocol meet, frame by frame: a whole broker on real sockets, and tests that speak to it without
//! any client library, so that they can ask what no library asks.
//!
//! Here: the connection that the tests speak through. They are sorted by subject: `sends`, `pulls`, `old_messages`,
//! `filters`, `bitmaps`, `delays`, `timers`, `retries`, `transactions`, `offset_moves`, `retention`, `backup`, `real_disks`, `extensions`, `queries`, `groups`, `locks`,
//! `slow_consumers`, `assignments`, `replies`, `many_pulls`, `many_filters`, `many_timers`, `many_transactions`, `connections`, and what tools ask for: `topics`,
//! `group_settings`, `figures`, `asked_clients`, `settings`; and `http`, where operators read.
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test prepares files that a broker finds, and is its client"
)]

mod asked_clients;
mod assignments;
mod backup;
mod bitmaps;
mod connections;
mod delays;
mod extensions;
mod figures;
mod filters;
mod group_settings;
mod groups;
mod http;
mod locks;
mod many_filters;
mod many_pulls;
mod many_timers;
mod many_transactions;
mod offset_moves;
mod old_messages;
mod pulls;
mod queries;
mod real_disks;
mod replies;
mod retention;
mod retries;
mod sends;
mod settings;
mod slow_consumers;
mod statistics;
mod timers;
mod topics;
mod transactions;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::{self, HeaderCodec, MAX_FRAME_BYTES};

/// How long an answer may take; far longer than any does, so that a loaded machine fails no test.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection of a client without a library.
struct Connection {
    stream: TcpStream,
    read: BytesMut,
    codec: HeaderCodec,
    last_opaque: i32,
}

impl Connection {
    fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: BytesMut::new(),
            codec: HeaderCodec::Json,
            last_opaque: 1000,
        }
    }

    fn speaking(self, codec: HeaderCodec) -> Self {
        Self { codec, ..self }
    }

    /// Sends a command under an opaque of its own, and gives that.
    fn send(&mut self, command: Command) -> i32 {
        self.last_opaque += 1;
        let mut bytes = Vec::new();
        let command = Command {
            opaque: self.last_opaque,
            codec: self.codec,
            ..command
        };
        command.encode(&mut bytes).unwrap();
        self.write(&bytes);
        self.last_opaque
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next command from the broker; `None` when it has closed the connection.
    fn next(&mut self) -> Option<Command> {
        loop {
            if let Some(found) = frame::check(&self.read, MAX_FRAME_BYTES).unwrap() {
                let whole: Bytes = self.read.split_to(found.total).freeze();
                return Some(Command::decode(&whole).unwrap());
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(read) => self.read.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came from the broker: {error}"),
            }
        }
    }

    fn receive(&mut self) -> Command {
        self.next().expect("the broker keeps the connection")
    }

    /// Sends a request and gives its answer, which must be the next thing that comes.
    fn ask(&mut self, command: Command) -> Command {
        let opaque = self.send(command);
        let answer = self.receive();
        assert!(answer.is_response(), "{answer:?}");
        assert_eq!(answer.opaque, opaque, "the answer belongs to the request");
        assert_eq!(answer.codec, self.codec, "the answer has the request's header encoding");
        answer
    }
}

/// Asserts the code of an answer and gives its remark.
#[track_caller]
fn refused(answer: &Command, code: ResponseCode) -> &str {
    assert_eq!(ResponseCode(answer.code), code, "{answer:?}");
    answer.remark.as_deref().expect("a refusal says why")
}

#[track_caller]
fn number(answer: &Command, field: &str) -> i64 {
    assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
    answer.fields.get(field).expect(field).parse().unwrap()
}

/// A send of 310 to queue 0, as a 4.x client fills it in.
fn send_to(topic: &str) -> Command {
    Command::request(RequestCode::SEND_MESSAGE_V2)
        .with_field("a", "producers")
        .with_field("b", topic)
        .with_field("c", "TBW102")
        .with_field("d", 4)
        .with_field("e", 0)
        .with_field("f", 0)
        .with_field("g", 1_700_000_000_000_i64)
        .with_field("h", 0)
        .with_field("i", "UNIQ_KEY\u{1}0A\u{2}WAIT\u{1}true\u{2}")
        .with_field("j", 0)
        .with_field("k", false)
        .with_body("body".as_bytes().to_vec())
}

/// A pull of up to 32 messages of all tags from queue 0 that does not wait.
fn pull_from(topic: &str, queue_offset: i64) -> Command {
    Command::request(RequestCode::PULL_MESSAGE)
        .with_field("consumerGroup", "consumers")
        .with_field("topic", topic)
        .with_field("queueId", 0)
        .with_field("queueOffset", queue_offset)
        .with_field("maxMsgNums", 32)
        .with_field("sysFlag", pulls::SUBSCRIPTION)
        .with_field("commitOffset", 0)
        .with_field("suspendTimeoutMillis", 15_000)
        .with_field("subscription", "*")
        .with_field("subVersion", 1)
        .with_field("expressionType", "TAG")
}

/// Waits until all of `count` messages in queue 0 can be pulled: a send may be answered a moment before its queue has it.
fn arrived(client: &mut Connection, topic: &str, count: i64) {
    let (asked_at, mut next) = (Instant::now(), 0);
    while next < count {
        let waited = asked_at.elapsed();
        assert!(
            waited < PATIENCE,
            "{topic} has {next} of {count} messages after {waited:?}"
        );
        let pull = pull_from(topic, next)
            .with_field("sysFlag", pulls::SUSPEND | pulls::SUBSCRIPTION)
            .with_field("consumerGroup", "TOOLS_CONSUMER");
        let answer = client.ask(pull);
        next = answer.fields.get("nextBeginOffset").unwrap().parse().unwrap();
    }
}
