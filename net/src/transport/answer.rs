//! An answer as it came, read where it lies: a caller that wants two fields of it copies none of the others.

use std::cell::RefCell;
use std::ops::Range;

use bytes::Bytes;

use crate::command::Command;
use crate::error::{DecodeError, HeaderError};
use crate::frame::HeaderCodec;
use crate::header::{self, HeaderScratch, HeaderView};

thread_local! {
    /// Where the fields of JSON headers are unescaped while they are read; nothing of one reading outlasts it.
    static SCRATCH: RefCell<HeaderScratch> = RefCell::default();
}

/// The answer to a call. It shares the memory of what was read from the connection.
#[derive(Debug, Clone)]
pub struct Answer {
    frame: Bytes,
    codec: HeaderCodec,
    header: Range<usize>,
    body: Range<usize>,
    code: i32,
}

impl Answer {
    pub(super) fn new(frame: Bytes, codec: HeaderCodec, header: Range<usize>, body: Range<usize>, code: i32) -> Self {
        Self {
            frame,
            codec,
            header,
            body,
            code,
        }
    }

    /// Its code.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// Its body; empty when there is none.
    pub fn body(&self) -> Bytes {
        self.frame.slice(self.body.clone())
    }

    /// Lends the header to a reader.
    ///
    /// # Errors
    /// None that can be seen: a header that cannot be read has ended the connection before.
    pub fn read<T>(&self, reader: impl FnOnce(&HeaderView<'_>) -> T) -> Result<T, HeaderError> {
        let header = self.frame.get(self.header.clone()).unwrap_or_default();
        // a reader that reads another answer meanwhile takes memory of its own
        let mut scratch = SCRATCH.take();
        let read = header::parse(self.codec, header, &mut scratch).map(|view| reader(&view));
        SCRATCH.set(scratch);
        read
    }

    /// The whole answer in memory of its own.
    ///
    /// # Errors
    /// As for [`Answer::read`].
    pub fn into_command(self) -> Result<Command, DecodeError> {
        Command::decode(&self.frame)
    }
}
