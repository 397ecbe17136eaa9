//! An answer as it came: a caller that wants two fields of it makes no text of any.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::command::Command;
use crate::error::DecodeError;
use crate::header::{FieldTable, HeaderView};

/// Room for the fields of many answers, in bytes.
const ROOM_BYTES: usize = 16 * 1024;

/// The answer to a call. It shares the memory of what was read from the connection.
#[derive(Debug, Clone)]
pub struct Answer {
    frame: Bytes,
    body: Range<usize>,
    code: i32,
    fields: Bytes,
}

impl Answer {
    /// Takes a frame whose header was read; its fields go to `room`, which many answers share.
    pub(super) fn new(frame: Bytes, body: Range<usize>, view: &HeaderView<'_>, room: &mut BytesMut) -> Self {
        let fields = view.fields.bytes();
        if room.capacity() - room.len() < fields.len() {
            room.reserve(fields.len().max(ROOM_BYTES));
        }
        room.extend_from_slice(fields);
        Self {
            frame,
            body,
            code: view.code,
            fields: room.split().freeze(),
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

    /// Lends its code and its fields, from which the typed headers read. The remark is not among them.
    pub fn view(&self) -> HeaderView<'_> {
        HeaderView {
            code: self.code,
            fields: FieldTable::of_bytes(&self.fields),
            ..HeaderView::default()
        }
    }

    /// The whole answer in memory of its own.
    ///
    /// # Errors
    /// None that can be seen: a frame that cannot be read has ended the connection before.
    pub fn into_command(self) -> Result<Command, DecodeError> {
        Command::decode(&self.frame)
    }
}
