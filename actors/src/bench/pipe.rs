//! One non-blocking socket with what was read and not yet understood, and what is written and not yet gone.
//!
//! Both buffers keep their memory; a frame is looked at where it was read.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use cuemq_net::frame::{self, Frame, FrameError, MAX_FRAME_BYTES};

/// What one read takes at most, unless a single frame is longer.
const INPUT_BYTES: usize = 256 * 1024;

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inflow {
    /// Some bytes, or none for now.
    Open,
    /// The peer sends no more.
    Ended,
}

/// A socket and its buffers.
#[derive(Debug)]
pub(super) struct Pipe {
    socket: TcpStream,
    input: Vec<u8>,
    /// What lies in `input` and is not taken yet.
    start: usize,
    end: usize,
    /// What is to be sent; the first `sent` bytes are gone.
    output: Vec<u8>,
    sent: usize,
}

impl Pipe {
    /// Takes a connected socket over.
    pub(super) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            input: vec![0; INPUT_BYTES],
            start: 0,
            end: 0,
            output: Vec::new(),
            sent: 0,
        })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The buffer that [`Pipe::flush`] empties; only ever append to it.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Reads once.
    pub(super) fn read(&mut self) -> io::Result<Inflow> {
        self.make_room();
        match self.socket.read(&mut self.input[self.end..]) {
            Ok(0) => Ok(Inflow::Ended),
            Ok(read) => {
                self.end += read;
                Ok(Inflow::Open)
            }
            Err(error) if is_later(&error) => Ok(Inflow::Open),
            Err(error) => Err(error),
        }
    }

    /// Takes the next complete frame; its parts lie in [`Pipe::bytes`] until the next read.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(mut frame) = frame::check(&self.input[self.start..self.end], MAX_FRAME_BYTES)? else {
            return Ok(None);
        };
        for part in [&mut frame.header, &mut frame.body] {
            *part = part.start + self.start..part.end + self.start;
        }
        self.start += frame.total;
        Ok(Some(frame))
    }

    /// What the frames' parts point into, and the output beside it.
    pub(super) fn bytes(&mut self) -> (&[u8], &mut Vec<u8>) {
        (&self.input, &mut self.output)
    }

    /// Writes once; tells whether all is gone.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if self.sent < self.output.len() {
            match self.socket.write(&self.output[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if is_later(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let is_done = self.sent == self.output.len();
        if is_done {
            self.output.clear();
            self.sent = 0;
        }
        Ok(is_done)
    }

    /// Moves the beginning of a frame to the front, and grows when the frame is longer than the buffer.
    fn make_room(&mut self) {
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let needed = frame::needed(&self.input[..self.end]).unwrap_or_default();
        if needed > self.input.len() {
            self.input.resize(needed, 0);
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
