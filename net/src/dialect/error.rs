//! Why a text in fastjson's dialect, or a value in it, was refused.

use super::{MAX_BYTES, MAX_DEPTH, MAX_VALUES};
use thiserror::Error;

/// The reason for refusing a body or a config file; `position` counts bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DialectError {
    /// The text is longer than [`MAX_BYTES`].
    #[error("a text of {length} bytes is longer than the limit of {MAX_BYTES}")]
    TooLong {
        /// The text's length in bytes.
        length: usize,
    },
    /// The text is not UTF-8.
    #[error("byte {position} is not valid UTF-8")]
    NotUtf8 {
        /// The first byte that is not.
        position: usize,
    },
    /// The text breaks the grammar.
    #[error("expected {expected} at byte {position}")]
    Syntax {
        /// Where.
        position: usize,
        /// What would have been right.
        expected: &'static str,
    },
    /// The text nests deeper than [`MAX_DEPTH`], a reference leads back to itself, or an object that is a key has a key
    /// that is an object.
    #[error("nested deeper than {MAX_DEPTH} levels, or an object as a key within another one")]
    TooDeep,
    /// The text holds more than [`MAX_VALUES`] values.
    #[error("more than {MAX_VALUES} values in one text")]
    TooManyValues,
    /// Its references would copy, or take to follow, more than [`MAX_BYTES`] of text.
    #[error("references to more than {MAX_BYTES} bytes in one text")]
    TooMuchReferred,
    /// The text is well formed, but not the body that was expected; serde says why.
    #[error("unexpected content: {0}")]
    Shape(String),
}

impl serde::de::Error for DialectError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        DialectError::Shape(message.to_string())
    }
}

impl serde::ser::Error for DialectError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        DialectError::Shape(message.to_string())
    }
}
