//! What can be wrong with bytes from a peer, by what the reader does next.
//!
//! | error | the reader |
//! |---|---|
//! | [`FrameError`] | closes the connection: the next frame cannot be found any more |
//! | [`HeaderError`] | closes the connection: nobody knows whom to answer |
//! | [`FieldError`] | answers code 1 with the error's text and goes on |

use crate::code::{RequestCode, ResponseCode};

/// The first eight bytes of a frame announce something that no frame can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame is longer than the receiver takes.
    #[error("a frame of {announced} bytes is over the limit of {limit}")]
    TooLarge {
        /// Length of the whole frame, the length field included.
        announced: u64,
        /// The longest frame that is accepted.
        limit: usize,
    },
    /// The length leaves no room for the header word.
    #[error("a frame length of {announced} leaves no room for the header length")]
    TooShort {
        /// The length field's value.
        announced: u32,
    },
    /// The header is said to be longer than what encloses it.
    #[error("a header of {header} bytes does not fit the {room} that the frame holds")]
    HeaderBeyondFrame {
        /// The header length.
        header: usize,
        /// Bytes between the header word and the end of the frame.
        room: usize,
    },
    /// The header alone is longer than any sensible one.
    #[error("a header of {header} bytes is over the limit of {limit}")]
    HeaderTooLarge {
        /// The header length.
        header: usize,
        /// The longest header that is accepted.
        limit: usize,
    },
    /// The codec byte names neither JSON (0) nor the binary header (1).
    #[error("header codec {0} is neither JSON (0) nor ROCKETMQ (1)")]
    UnknownCodec(u8),
}

/// A header that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The JSON text breaks off or holds something else than what has to stand there.
    #[error("bad JSON header: expected {expected} at byte {at}")]
    Syntax {
        /// Where, counted from the header's first byte.
        at: usize,
        /// What has to stand there.
        expected: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("the header is not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// Position of the first bad byte, counted from the start of the text in question.
        at: usize,
    },
    /// A member that has to be a 32-bit number is none.
    #[error("header member `{member}` is not a 32-bit number")]
    NotANumber {
        /// The member's name.
        member: &'static str,
    },
    /// More extension fields than [`MAX_FIELDS`](crate::header::MAX_FIELDS).
    #[error("the header has more than {limit} fields")]
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// A key in JSON that is longer than the binary form allows.
    #[error("the header has a field whose name is longer than {limit} bytes")]
    KeyTooLong {
        /// The limit.
        limit: usize,
    },
    /// JSON nested deeper than [`MAX_DEPTH`](crate::header::MAX_DEPTH).
    #[error("the header's JSON is nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A binary header that ends within a member.
    #[error("binary header: {member} needs {needed} bytes, {left} are left")]
    Truncated {
        /// What was being read.
        member: &'static str,
        /// Bytes it takes.
        needed: usize,
        /// Bytes the header still has.
        left: usize,
    },
    /// A binary header announces a negative length.
    #[error("binary header: the length of {member} is {length}")]
    NegativeLength {
        /// What was being read.
        member: &'static str,
        /// The announced length.
        length: i32,
    },
    /// Bytes that belong to no member follow the header.
    #[error("{extra} bytes follow the end of the header")]
    Trailing {
        /// How many.
        extra: usize,
    },
}

/// A whole frame that cannot be turned into a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The lengths are wrong.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The header is wrong.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The bytes end before the frame does.
    #[error("the frame is not complete: {had} bytes are there")]
    Incomplete {
        /// Bytes that were given.
        had: usize,
    },
}

/// A header whose extension fields do not say what the code needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} in the header of {command}")]
pub struct FieldError {
    /// Whose header it is.
    pub command: CommandCode,
    /// What is wrong with which field.
    pub problem: FieldProblem,
}

/// The command that a [`FieldError`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandCode {
    /// A request.
    #[error("request {0}")]
    Request(RequestCode),
    /// An answer.
    #[error("response {0}")]
    Response(ResponseCode),
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// A required field is not there; one with several names is given as "`a` or `b`" without the outer quotes.
    #[error("the required field `{0}` is missing")]
    Missing(String),
    /// A field is there and holds something else than its type.
    #[error("the field `{field}` holds `{text}`, which is not {expected}")]
    Unreadable {
        /// The field's name on the wire, as the peer wrote it.
        field: String,
        /// The first characters of what it holds.
        text: String,
        /// What it has to be.
        expected: &'static str,
    },
}
