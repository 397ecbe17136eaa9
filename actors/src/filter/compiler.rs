//! The expressions that pulls brought along last, compiled, with those that are none: a consumer that brings one brings it with
//! each pull.

use std::collections::BTreeMap;
use std::sync::Arc;

use cuemq_net::filter::{FilterError, SqlFilter};

use super::MessageFilter;
use crate::io::budget::Budget;

/// How many expressions are kept, as in Java.
const ENTRIES_MAX: usize = 100;
/// The longest that is kept.
const KEPT_BYTES_MAX: usize = 8 * 1024;

/// Why an expression cannot be used for a pull.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCompiled {
    /// It is none.
    #[error("parse the consumer's subscription failed: {0}")]
    Wrong(FilterError),
    /// The pulls of all clients have brought too much.
    #[error(
        "the expressions that pulls bring along take too much memory: subscribe to them by heartbeat, or use fewer"
    )]
    TooMuch,
}

type Compiled = Result<Arc<MessageFilter>, NotCompiled>;

/// Compiles expressions, and keeps the last hundred. For one I/O thread; it has no lock.
#[derive(Debug)]
pub struct Compiler {
    kept: BTreeMap<Box<str>, (u64, Compiled)>,
    uses: u64,
    budget: Arc<Budget>,
}

impl Compiler {
    /// A compiler whose expressions take their bytes from this budget, for as long as anybody uses them.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self {
            kept: BTreeMap::new(),
            uses: 0,
            budget,
        }
    }

    /// Compiles an expression, if it is not kept.
    ///
    /// # Errors
    /// When it is none, or the budget is spent.
    pub fn compile(&mut self, expression: &str) -> Compiled {
        self.uses += 1;
        if let Some((used, compiled)) = self.kept.get_mut(expression) {
            *used = self.uses;
            return compiled.clone();
        }
        if self.budget.is_spent() {
            return Err(NotCompiled::TooMuch);
        }
        let compiled = match SqlFilter::compile(expression) {
            Ok(filter) => Ok(Arc::new(MessageFilter::Sql {
                share: Some(self.budget.share(expression.len() + filter.bytes())),
                filter: Arc::new(filter),
                marks: None,
            })),
            Err(error) => Err(NotCompiled::Wrong(error)),
        };
        if expression.len() <= KEPT_BYTES_MAX {
            self.keep(expression, compiled.clone());
        }
        compiled
    }

    fn keep(&mut self, expression: &str, compiled: Compiled) {
        if self.kept.len() >= ENTRIES_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(expression, _)| expression.clone()) {
                self.kept.remove(&oldest);
            }
        }
        self.kept.insert(expression.into(), (self.uses, compiled));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiler(bytes: usize) -> Compiler {
        Compiler::new(Arc::new(Budget::new(bytes)))
    }

    #[test]
    fn what_was_compiled_is_not_compiled_again() {
        let mut compiler = compiler(1 << 20);
        let first = compiler.compile("a = 1").unwrap();
        assert!(Arc::ptr_eq(&first, &compiler.compile("a = 1").unwrap()));
        let error = compiler.compile("a =").unwrap_err();
        assert_eq!(compiler.compile("a =").unwrap_err(), error);
        assert_eq!(compiler.kept.len(), 2);
    }

    #[test]
    fn of_more_than_a_hundred_the_one_goes_that_was_used_longest_ago() {
        let mut compiler = compiler(1 << 20);
        let expression = |number: usize| format!("a = {number}");
        let first = compiler.compile(&expression(0)).unwrap();
        let second = compiler.compile(&expression(1)).unwrap();
        for number in 2..ENTRIES_MAX {
            compiler.compile(&expression(number)).unwrap();
        }
        compiler.compile(&expression(0)).unwrap();
        compiler.compile(&expression(ENTRIES_MAX)).unwrap();
        assert_eq!(compiler.kept.len(), ENTRIES_MAX);
        assert!(Arc::ptr_eq(&first, &compiler.compile(&expression(0)).unwrap()));
        assert!(!Arc::ptr_eq(&second, &compiler.compile(&expression(1)).unwrap()));
    }

    #[test]
    fn a_long_expression_is_counted_while_it_is_used_and_not_kept() {
        let mut compiler = compiler(KEPT_BYTES_MAX);
        let long = format!("a = '{}'", "x".repeat(KEPT_BYTES_MAX));
        let used = compiler.compile(&long).unwrap();
        assert!(compiler.kept.is_empty());
        assert_eq!(compiler.compile("a = 1").unwrap_err(), NotCompiled::TooMuch);
        drop(used);
        assert!(compiler.compile("a = 1").is_ok());
    }
}
