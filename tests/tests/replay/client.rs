//! One recorded connection, open to our broker: sends frames as they were recorded, and sorts what comes back.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::frame::{self, MAX_FRAME_BYTES};

/// How long anything may take that is to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The opaque numbers of the tests' own requests, which no recording has.
const OWN_OPAQUES: i32 = 1 << 30;

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    read: BytesMut,
    own: i32,
    /// Answers that nobody has asked for yet, by their opaque number.
    pub(crate) answers: BTreeMap<i32, Command>,
    /// Requests of the broker that nobody has asked for yet.
    pub(crate) requests: Vec<Command>,
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: BytesMut::new(),
            own: OWN_OPAQUES,
            answers: BTreeMap::new(),
            requests: Vec::new(),
        }
    }

    /// Sends a frame as it is.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.stream.write_all(frame).unwrap();
    }

    /// Sends a request of the test's own and gives its answer.
    pub(crate) fn ask(&mut self, request: Command) -> Command {
        self.own += 1;
        let opaque = self.own;
        let mut bytes = Vec::new();
        Command { opaque, ..request }.encode(&mut bytes).unwrap();
        self.send(&bytes);
        self.answer(opaque).expect("an answer to the test's own request")
    }

    /// The answer with this number; `None` when it does not come.
    pub(crate) fn answer(&mut self, opaque: i32) -> Option<Command> {
        loop {
            if let Some(answer) = self.answers.remove(&opaque) {
                return Some(answer);
            }
            self.take_in()?;
        }
    }

    /// Waits for the answer with this number and leaves it where it is; whether it came.
    pub(crate) fn has_answer(&mut self, opaque: i32) -> bool {
        let answer = self.answer(opaque);
        answer.is_some_and(|answer| self.answers.insert(opaque, answer).is_none())
    }

    /// The next request with this code; `None` when it does not come.
    pub(crate) fn request(&mut self, code: RequestCode) -> Option<Command> {
        loop {
            if let Some(at) = self.requests.iter().position(|request| request.code == code.0) {
                return Some(self.requests.remove(at));
            }
            self.take_in()?;
        }
    }

    /// Reads one frame; `None` when none comes.
    fn take_in(&mut self) -> Option<()> {
        loop {
            if let Some(found) = frame::check(&self.read, MAX_FRAME_BYTES).unwrap() {
                let whole: Bytes = self.read.split_to(found.total).freeze();
                let command = Command::decode(&whole).unwrap();
                if command.is_response() {
                    let twice = self.answers.insert(command.opaque, command);
                    assert!(twice.is_none(), "answered twice: {twice:?}");
                } else {
                    self.requests.push(command);
                }
                return Some(());
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => panic!("the broker closed the connection"),
                Ok(read) => self.read.extend_from_slice(&bytes[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
                Err(error) => panic!("the connection broke: {error}"),
            }
        }
    }
}
