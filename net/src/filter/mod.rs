//! The SQL that consumers choose messages with by their properties (expression type `SQL92`), as Java's broker reads it
//! (`org.apache.rocketmq.filter`): the same grammar, the same logic with unknown, the same conversions, and for what is no
//! expression the same words.
//!
//! It lives here because it is part of the protocol: broker and client have to agree on it, and it needs no runtime.
//!
//! An expression is compiled once and then tried on each message's stored properties, in place: that takes no memory for
//! up to [`NAMES_IN_PLACE`] different names. Two things have a bound that have none in Java: [`LENGTH_MAX`] and
//! [`DEPTH_MAX`].

#![deny(clippy::indexing_slicing)]

mod bloom;
mod build;
mod error;
mod evaluate;
mod lexer;
mod number;
mod parser;
mod place;
mod token;
mod tree;

pub use bloom::Bloom;
pub use error::{FilterError, Unfit};

use crate::message::properties::Properties;
use evaluate::Evaluation;
use tree::{Id, Tree};

/// The longest expression, in bytes: a list of some thousand values.
pub const LENGTH_MAX: usize = 64 * 1024;
/// How deep one may nest. Only brackets, signs, NOT and equalities of equalities nest; a list, and a chain of ANDs or
/// ORs, may be of any length.
pub const DEPTH_MAX: u16 = 256;
/// Up to so many names an expression is tried without taking memory.
pub const NAMES_IN_PLACE: usize = 16;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct SqlFilter {
    tree: Tree,
    whole: Id,
}

impl SqlFilter {
    /// Compiles an expression.
    ///
    /// # Errors
    /// When it is none, or none that is true or false, or longer or deeper than a broker takes.
    pub fn compile(expression: &str) -> Result<Self, FilterError> {
        if expression.len() > LENGTH_MAX {
            let length = expression.len();
            return Err(FilterError::TooLong { length });
        }
        let (tree, whole) = parser::parse(expression)?;
        Ok(Self { tree, whole })
    }

    /// Tries it on a message's properties; `None` is unknown.
    ///
    /// # Errors
    /// When a property cannot be compared as it asks.
    pub fn evaluate(&self, properties: Properties<'_>) -> Result<Option<bool>, Unfit> {
        let (mut few, mut many) = ([None; NAMES_IN_PLACE], Vec::new());
        let names = &self.tree.names;
        let found = if let Some(few) = few.get_mut(..names.len()) {
            few
        } else {
            many.resize(names.len(), None);
            many.as_mut_slice()
        };
        for (name, value) in properties.pairs() {
            let place = names.binary_search_by(|candidate| candidate.as_bytes().cmp(name));
            if let Some(found) = place.ok().and_then(|place| found.get_mut(place)) {
                *found = str::from_utf8(value).ok().or(*found);
            }
        }
        let (tree, properties) = (&self.tree, &*found);
        Evaluation { tree, properties }.truth(self.whole)
    }

    /// Whether a message with these properties is wanted: one that is unknown or unfit is not.
    #[must_use]
    pub fn matches(&self, properties: Properties<'_>) -> bool {
        self.evaluate(properties) == Ok(Some(true))
    }

    /// How many parts it has: a measure of what it takes to try it.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.tree.nodes.len() + self.tree.parts.len()
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.tree.bytes()
    }
}
