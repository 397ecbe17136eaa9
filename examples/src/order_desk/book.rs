//! The orders and how far each is; in an application of one's own a table of a database.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in the book.
    Taken,
    /// It is paid.
    Paid,
    /// Somebody was asked about it.
    Reminded,
}

/// The book of orders.
#[derive(Debug, Default)]
pub struct Book(Mutex<BTreeMap<String, State>>);

impl Book {
    fn orders(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an order in, unless it is worth nothing or here already.
    pub fn take(&self, order: &str, cents: u64) -> bool {
        let mut orders = self.orders();
        if cents == 0 || orders.contains_key(order) {
            return false;
        }
        orders.insert(order.to_owned(), State::Taken);
        true
    }

    /// How far an order is; `None` of one that was not taken.
    #[must_use]
    pub fn state(&self, order: &str) -> Option<State> {
        self.orders().get(order).copied()
    }

    /// Notes how far an order is.
    pub fn change(&self, order: &str, state: State) {
        if let Some(known) = self.orders().get_mut(order) {
            *known = state;
        }
    }
}
